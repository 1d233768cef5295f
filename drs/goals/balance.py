"""Even load: the DRS imbalance and its alternatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

import numpy as np

from drs.goals.base import Goal, Prices, goal
from drs.model import Placement, Snapshot
from drs.terms import Deviation, Weighted
from drs.terms.base import Floats, Ints
from drs.terms.costs import Measure


def threshold(migration_threshold: int, n_hosts: int) -> float:
    """The imbalance that DRS tolerates: 0.1 x (5 - T) / sqrt(N).

    From VMware's "Calculating the priority level of a VMware DRS migration recommendation" (DRS up to 6.7):
    priority = 6 - ceil(I / 0.1 x sqrt(N)); a recommendation is made when its priority is at most T. T = 1
    makes mandatory moves only, so its tolerance has no end.
    """
    if migration_threshold <= 1:
        return float("inf")
    return 0.1 * (5 - migration_threshold) / float(np.sqrt(max(1, n_hosts)))


@goal("balance")
@dataclass(frozen=True)
class Balance(Goal):
    """Per cluster and resource, the spread of host load over capacity above a target, summed.

    measure : `std` (the DRS imbalance), `mad`, `max`, `range`.
    target : a number, or "threshold": what the cluster's migration threshold tolerates, so that balancing
        stops where DRS would be content. 0 balances as far as possible.
    memory : which memory of a VM counts: `configured`, `active` (with 25 % of idle consumed memory, as DRS
        taxes it), or `consumed`.
    """

    unit: ClassVar[str] = "load spread above target"
    default_slack_ratio: ClassVar[float] = 0.05
    default_worth_ratio: ClassVar[float] = 0.1
    _: KW_ONLY
    measure_by: Measure = "std"
    resources: Sequence[str] = ("cpu", "memory")
    target: float | Literal["threshold"] = "threshold"
    memory: Literal["configured", "active", "consumed"] = "configured"

    def load_demand(self, snapshot: Snapshot, resource: str) -> Floats:
        """Demand per VM as this goal counts it, f8[n_vms]."""
        if resource != "memory" or self.memory == "configured":
            return snapshot.demand(resource)
        vms = snapshot.vms
        consumed = np.where(np.isnan(vms.memory_consumed_mib), vms.memory_mib, vms.memory_consumed_mib)
        active = np.minimum(snapshot.memory_active_mib, vms.memory_mib)
        used = consumed if self.memory == "consumed" else active + 0.25 * np.maximum(0.0, consumed - active)
        return np.where(vms.on, used, 0.0)

    def _parts(self, snapshot: Snapshot) -> list[tuple[str, Ints, float]]:
        usable = snapshot.hosts.state == "connected"
        parts = []
        for cluster in range(len(snapshot.clusters)):
            member = usable & (snapshot.hosts.cluster_idx == cluster)
            tolerance = self.target
            if tolerance == "threshold":
                tolerance = threshold(int(snapshot.clusters.migration_threshold[cluster]), int(member.sum()))
            for resource in self.resources:
                bins = np.flatnonzero(member & (snapshot.capacity(resource) > 0)).astype(np.int32)
                if len(bins) > 1 and np.isfinite(tolerance):
                    parts.append((resource, bins, float(tolerance)))
        return parts

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        total = 0.0
        for resource, bins, target in self._parts(snapshot):
            demand, capacity = self.load_demand(snapshot, resource), snapshot.capacity(resource)
            loads = []
            for host in bins:
                loads.append(sum(demand[placement.host_idx == host]) / capacity[host])
            mean = sum(loads) / len(loads)
            value = {
                "std": (sum((x - mean) ** 2 for x in loads) / len(loads)) ** 0.5,
                "mad": sum(abs(x - mean) for x in loads) / len(loads),
                "max": max(loads),
                "range": max(loads) - min(loads),
            }[self.measure_by]
            total += max(0.0, value - target)
        return total

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        return [
            Weighted(
                Deviation(
                    resource, self.load_demand(snapshot, resource), snapshot.capacity(resource), bins,
                    self.measure_by, target,
                ),
                origin=f"balance of {resource}",
            )
            for resource, bins, target in self._parts(snapshot)
        ]  # fmt: skip
