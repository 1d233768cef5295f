"""Few or thrifty hosts on."""

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


@goal("consolidate")
@dataclass(frozen=True)
class Consolidate(Goal):
    """The price of every host that runs at least one powered-on VM.

    by : `power`, the host's idle power in watts (where not known, the mean of the known ones); `hosts`, 1
        for each host.
    hosts : hosts that are worth emptying; all others cost nothing.
    """

    unit: ClassVar[str] = "W or hosts"
    when_left: ClassVar[str] = "{host} empties and can be powered off"
    left_code: ClassVar[str] = "powerSaving"
    _: KW_ONLY
    by: Literal["power", "hosts"] = "power"
    hosts: str | Sequence[str] = "*"

    def price(self, snapshot: Snapshot) -> Floats:
        """What each host costs while it is on, f8[n_hosts]."""
        idle_w = snapshot.hosts.power_idle_w
        known = ~np.isnan(idle_w)
        price = np.ones(snapshot.n_hosts)
        if self.by == "power" and known.any():
            price = np.where(known, idle_w, idle_w[known].mean())
        counted = np.zeros(snapshot.n_hosts)
        counted[select(self.hosts, snapshot.hosts)] = 1.0
        return np.asarray(price * counted)

    def misfits(self, snapshot: Snapshot, field: str) -> Iterator[Fault]:
        yield from checks.chosen(f"{field}hosts", self.hosts, snapshot.hosts, "host")

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        price = self.price(snapshot)
        used = {
            int(placement.host_idx[vm])
            for vm in range(snapshot.n_vms)
            if snapshot.vms.on[vm] and placement.host_idx[vm] >= 0
        }
        return float(sum(price[host] for host in sorted(used)))

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        running = np.flatnonzero(snapshot.vms.on).astype(np.int32)
        return [Weighted(BinsUsed(self.price(snapshot), running), origin=f"consolidate by {self.by}")]
