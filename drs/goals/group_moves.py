"""Few moves within each group of VMs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs import terms
from drs.errors import Fault
from drs.goals import checks
from drs.goals.base import Goal, Prices, goal
from drs.goals.moves import moved_vms
from drs.model import Placement, Snapshot
from drs.model.selector import select
from drs.terms import Weighted
from drs.terms.base import Ints


@goal("group-moves")
@dataclass(frozen=True)
class GroupMoves(Goal):
    """The largest number of VMs that move in any one of these groups (a service, a tenant).

    groups : names, patterns or lists of VMs, one entry for each group.
    """

    unit: ClassVar[str] = "VMs"
    _: KW_ONLY
    groups: Sequence[str | Sequence[str]] = ()

    def _group(self, snapshot: Snapshot) -> Ints:
        group = np.full(snapshot.n_vms, -1, dtype=np.int32)
        for number, selector in enumerate(self.groups):
            group[select(selector, snapshot.vms)] = number
        return group

    def misfits(self, snapshot: Snapshot, field: str) -> Iterator[Fault]:
        for group in self.groups:
            yield from checks.chosen(f"{field}groups", group, snapshot.vms, "VM")

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        moved = Counter(self._group(snapshot)[moved_vms(snapshot, placement)].tolist())
        return float(max((moved[group] for group in range(len(self.groups))), default=0))

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        return [Weighted(terms.GroupMoves(self._group(snapshot), len(self.groups)), origin="moves per group")]
