"""Only so many of a group of VMs may move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs.model import Placement, Snapshot
from drs.rules.base import Rule, Violation, names_of
from drs.rules.catalogue import rule
from drs.rules.fields import Whole
from drs.rules.selecting import Vms, select_vms
from drs.terms import MoveLimit as Limit
from drs.terms import Term


@rule("move-limit")
@dataclass(frozen=True)
class MoveLimit(Rule):
    """At most `at_most` of these VMs leave the host where they are today.

    at_most : how many may move
    """

    binds_restarts: ClassVar[bool] = False
    chapter: ClassVar[str] = "Limits on hosts and plans"

    _: KW_ONLY
    at_most: Whole
    vms: Vms = "*"

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        today = snapshot.vms.host_idx
        moved = [
            vm for vm in select_vms(self.vms, snapshot).tolist()
            if today[vm] >= 0 and placement.host_idx[vm] != today[vm]
        ]  # fmt: skip
        if len(moved) > self.at_most:
            yield Violation(
                self.label,
                names_of(moved, snapshot),
                (),
                float(len(moved) - self.at_most),
                "VMs",
                f"{len(moved)} VMs move; at most {self.at_most} may",
            )

    def lower(self, snapshot: Snapshot) -> list[Term]:
        weight = np.zeros(snapshot.n_vms)
        weight[select_vms(self.vms, snapshot)] = 1.0
        return [Limit(weight, float(self.at_most))]
