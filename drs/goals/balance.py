"""Even load: the DRS imbalance and its alternatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

import numpy as np

from drs.errors import Fault
from drs.goals import checks
from drs.goals.base import Goal, Prices, goal
from drs.model import Placement, Snapshot
from drs.model.demand import Memory, demand_at, demand_now
from drs.model.pools import RESOURCES, entitled
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


def priority(imbalance_ratio: float, n_hosts: int) -> int:
    """DRS's priority of a recommendation by the imbalance, 2 (best) to 5; 1 is for mandatory ones.

    >>> priority(0.11, 8)
    2
    """
    level = 6 - int(np.ceil(imbalance_ratio / 0.1 * np.sqrt(max(1, n_hosts)) - 1e-12))
    return min(5, max(2, level))


@goal("balance")
@dataclass(frozen=True)
class Balance(Goal):
    """Per cluster and resource, the spread of host load over capacity above a target, summed.

    measure_by : `std` (the DRS imbalance), `mad` (mean absolute deviation), `max`, `range`.
    resources : the resources that are to be even; any `<name>_capacity` column of the hosts may stand here.
    target : a number, or "threshold": what the cluster's migration threshold tolerates, so that balancing
        stops where DRS would be content. 0 balances as far as possible.
    memory : which memory of a VM counts: `configured`, `active` (with 25 % of idle consumed memory, as DRS
        taxes it), or `consumed`; as the policy's `memory` says where not given.
    percentile : this percentile of the VM's load history counts instead of its demand now.
    by : `demand` counts what a VM asks for. `entitlement` counts what each VM is due of its cluster by
        reservations, limits, shares and resource pools, as DRS does (CPU and memory; the memory is then the
        active one).
    """

    unit: ClassVar[str] = "load spread above target"
    default_slack_ratio: ClassVar[float] = 0.05
    default_worth_ratio: ClassVar[float] = 0.1
    _: KW_ONLY
    measure_by: Measure = "std"
    resources: Sequence[str] = ("cpu", "memory")
    target: float | Literal["threshold"] = "threshold"
    memory: Memory | None = None
    percentile: float | None = None
    by: Literal["demand", "entitlement"] = "demand"

    def load_demand(self, snapshot: Snapshot, resource: str) -> Floats:
        """Demand per VM as this goal counts it, f8[n_vms]."""
        if self.by == "entitlement" and resource in RESOURCES:
            return entitled(snapshot, resource)
        if self.percentile is None:
            return demand_now(snapshot, resource, self.memory)
        return demand_at(snapshot, resource, self.percentile, self.memory)

    def demands(self, snapshot: Snapshot, resource: str) -> list[Floats]:
        """One demand per VM for each load that is to be even, f8[n_vms] each; they count alike."""
        return [self.load_demand(snapshot, resource)]

    def _clusters(self, snapshot: Snapshot) -> Iterator[tuple[str, Ints, float]]:
        usable = snapshot.hosts.state == "connected"
        for cluster in range(len(snapshot.clusters)):
            member = usable & (snapshot.hosts.cluster_idx == cluster)
            tolerance = self.target
            if tolerance == "threshold":
                level = int(snapshot.clusters.migration_threshold[cluster])
                tolerance = threshold(level, int(member.sum()))
            for resource in self.resources:
                if resource not in snapshot.resources:
                    continue
                bins = np.flatnonzero(member & (snapshot.capacity(resource) > 0)).astype(np.int32)
                if len(bins) > 1 and np.isfinite(tolerance):
                    yield resource, bins, float(tolerance)

    def misfits(self, snapshot: Snapshot, field: str) -> Iterator[Fault]:
        yield from checks.resources(f"{field}resources", self.resources, snapshot)
        yield from checks.percentile(f"{field}percentile", self.percentile)
        if self.target != "threshold":
            yield from checks.at_least(f"{field}target", self.target, words='0 or more, or "threshold"')

    def looks_back(self) -> bool:
        """Whether it counts what was, and not only what is."""
        return self.percentile is not None

    def notes(self, snapshot: Snapshot) -> Iterator[str]:
        if self.looks_back() and (snapshot.loads is None or not len(snapshot.loads)):
            yield f"goal {self.type}: there is no load history (loads.csv), so the demand now counts"

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        total = 0.0
        for resource, bins, target in self._clusters(snapshot):
            capacity, demands = snapshot.capacity(resource), self.demands(snapshot, resource)
            for demand in demands:
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
                total += max(0.0, value - target) / len(demands)
        return total

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        found = []
        made = {resource: self.demands(snapshot, resource) for resource in self.resources
                if resource in snapshot.resources}  # fmt: skip
        for resource, bins, target in self._clusters(snapshot):
            capacity, demands = snapshot.capacity(resource), made[resource]
            for demand in demands:
                term = Deviation(resource, demand, capacity, bins, self.measure_by, target)
                found.append(Weighted(term, 1.0 / len(demands), f"{self.type} of {resource}"))
        return found
