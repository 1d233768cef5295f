"""No host loaded above a safe level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs import terms
from drs.errors import Fault
from drs.goals import checks
from drs.goals.base import Goal, Prices, goal
from drs.model import Placement, Snapshot
from drs.model.demand import Memory, demand_now
from drs.terms import Weighted
from drs.terms.base import Floats


@goal("over-target")
@dataclass(frozen=True)
class OverTarget(Goal):
    """Load above a safety level, summed over the hosts, as a share of the mean host's capacity.

    resource : the resource that is watched; any `<name>_capacity` column of the hosts may stand here.
    ratio : the level as a share of each host's capacity.
    target : the level of each host in the resource's unit, instead of `ratio`; the sum is then in that unit.
    memory : which memory of a VM counts: `configured`, `active` or `consumed`; as the policy's `memory` says
        where not given.
    """

    unit: ClassVar[str] = "hosts"
    _: KW_ONLY
    resource: str = "cpu"
    ratio: float = 0.8
    target: Sequence[float] | None = None
    memory: Memory | None = None

    def _levels(self, snapshot: Snapshot) -> tuple[Floats, float]:
        if self.target is not None:
            return np.asarray(self.target, dtype=np.float64), 1.0
        capacity = snapshot.capacity(self.resource)
        return self.ratio * capacity, 1.0 / (float(capacity.mean()) if capacity.any() else 1.0)

    def misfits(self, snapshot: Snapshot, field: str) -> Iterator[Fault]:
        yield from checks.resources(f"{field}resource", self.resource, snapshot)
        yield from checks.at_least(f"{field}ratio", self.ratio)
        if self.target is not None:
            yield from checks.as_many(f"{field}target", self.target, snapshot.n_hosts, "host")

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        levels, weight = self._levels(snapshot)
        demand = demand_now(snapshot, self.resource, self.memory)
        use = [0.0] * snapshot.n_hosts
        for vm, host in enumerate(placement.host_idx.tolist()):
            if host >= 0:
                use[host] += float(demand[vm])
        return float(sum(weight * max(0.0, used - level) for used, level in zip(use, levels, strict=True)))

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        levels, weight = self._levels(snapshot)
        demand = demand_now(snapshot, self.resource, self.memory)
        term = terms.OverTarget(self.resource, demand, levels, np.full(snapshot.n_hosts, weight))
        return [Weighted(term, origin=f"{self.resource} above target")]
