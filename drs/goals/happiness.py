"""Every VM gets what it asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs.errors import Fault
from drs.goals import checks
from drs.goals.base import Goal, Prices, goal
from drs.model import Placement, Snapshot
from drs.model.pools import RESOURCES, wanted
from drs.terms import OverTarget, Weighted


@goal("happiness")
@dataclass(frozen=True)
class Happiness(Goal):
    """Demand that the hosts cannot deliver, as a share of all demand, summed over the resources.

    Limits, those of resource pools too, cap the demand; shares and reservations decide who goes short on a
    full host and not how much is missing there, so they do not change this sum (`happiness` says who).

    resources : the resources whose missing demand is added.
    """

    unit: ClassVar[str] = "share of demand"
    _: KW_ONLY
    resources: Sequence[str] = RESOURCES

    def misfits(self, snapshot: Snapshot, field: str) -> Iterator[Fault]:
        yield from checks.resources(f"{field}resources", self.resources, snapshot)

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        missing = 0.0
        for resource in self.resources:
            demand, capacity = wanted(snapshot, resource), snapshot.capacity(resource)
            total = float(sum(demand))
            for host in range(snapshot.n_hosts):
                asked = float(sum(demand[placement.host_idx == host]))
                missing += max(0.0, asked - float(capacity[host])) / total if total > 0 else 0.0
        return missing

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        found = []
        for resource in self.resources:
            demand = wanted(snapshot, resource)
            total = float(demand.sum())
            if total > 0:
                weight = np.full(snapshot.n_hosts, 1.0 / total)
                term = OverTarget(resource, demand, snapshot.capacity(resource), weight)
                found.append(Weighted(term, origin=f"undelivered {resource}"))
        return found
