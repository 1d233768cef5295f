"""Hosts that some VMs would rather be on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs.errors import Fault
from drs.goals import checks
from drs.goals.base import Goal, Prices, goal
from drs.model import Placement, Snapshot
from drs.model.selector import select
from drs.terms import Penalty, Weighted


@goal("prefer-hosts")
@dataclass(frozen=True)
class PreferHosts(Goal):
    """A penalty for each of these VMs that runs on none of these hosts.

    vms : VMs that have a wish.
    hosts : hosts that they should run on.
    penalty : cost of each VM that runs elsewhere.
    """

    unit: ClassVar[str] = "penalty"
    _: KW_ONLY
    vms: str | Sequence[str] = "*"
    hosts: str | Sequence[str] = "*"
    penalty: float = 1.0

    def misfits(self, snapshot: Snapshot, field: str) -> Iterator[Fault]:
        yield from checks.chosen(f"{field}vms", self.vms, snapshot.vms, "VM")
        yield from checks.chosen(f"{field}hosts", self.hosts, snapshot.hosts, "host")
        yield from checks.at_least(f"{field}penalty", self.penalty)

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        wanted = set(select(self.hosts, snapshot.hosts).tolist())
        total = 0.0
        for vm in select(self.vms, snapshot.vms):
            host = int(placement.host_idx[vm])
            total += self.penalty if host >= 0 and host not in wanted else 0.0
        return total

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        class_idx = np.zeros(snapshot.n_vms, dtype=np.int32)
        class_idx[select(self.vms, snapshot.vms)] = 1
        table = np.zeros((2, snapshot.n_hosts))
        table[1] = self.penalty
        table[1, select(self.hosts, snapshot.hosts)] = 0.0
        return [Weighted(Penalty(class_idx, table), origin="preferred hosts")]
