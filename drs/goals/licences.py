"""Few hosts that need a licence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

import numpy as np

from drs.errors import Fault
from drs.goals import checks
from drs.goals.base import Goal, Prices, goal
from drs.model import Placement, Snapshot
from drs.model.selector import select
from drs.terms import BinsUsed, Weighted
from drs.terms.base import Floats


@goal("licences")
@dataclass(frozen=True)
class Licences(Goal):
    """What licences cost that are bought for each host (or each of its cores) that runs one of these VMs.

    vms : VMs that need the licence.
    per : the licence is bought for each `host`, or for each `core` of a host.
    """

    unit: ClassVar[str] = "licences"
    when_left: ClassVar[str] = "{host} needs no licence any more (licences in use {before:g} → {after:g})"
    _: KW_ONLY
    vms: str | Sequence[str] = "*"
    per: Literal["host", "core"] = "host"

    def _price(self, snapshot: Snapshot) -> Floats:
        if self.per == "host":
            return np.ones(snapshot.n_hosts)
        return np.nan_to_num(snapshot.hosts.cpu_cores, nan=1.0)

    def misfits(self, snapshot: Snapshot, field: str) -> Iterator[Fault]:
        yield from checks.chosen(f"{field}vms", self.vms, snapshot.vms, "VM")

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        price = self._price(snapshot)
        used = {int(placement.host_idx[vm]) for vm in select(self.vms, snapshot.vms)} - {-1}
        return float(sum(price[host] for host in sorted(used)))

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        term = BinsUsed(self._price(snapshot), select(self.vms, snapshot.vms))
        return [Weighted(term, origin="licences")]
