"""Every VM gets what it asks for: the score of each VM, and the goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from drs.goals.base import Goal, Prices, goal
from drs.goals.entitlement import water_fill
from drs.goals.pools import RESOURCES, guaranteed, wanted, weights
from drs.model import Placement, Snapshot
from drs.terms import OverTarget, Weighted
from drs.terms.base import Bools, Floats


class Happiness(NamedTuple):
    """How much of its demand each VM gets."""

    delivered: dict[str, Floats]
    """Per resource, f8[n_vms]."""
    demand: dict[str, Floats]
    """Per resource, f8[n_vms], as far as the limits of the VM and its pools allow."""
    score: Floats
    """f8[n_vms]: 0 to 100, that of the scarcer resource; 100 without demand, 0 when on but nowhere."""

    @property
    def asks(self) -> Bools:
        """Which VMs have demand, bool[n_vms]."""
        return np.asarray(np.any([values > 0 for values in self.demand.values()], axis=0))

    @property
    def cluster_score(self) -> float:
        """Mean of the VMs that have demand; 100 when none has."""
        asks = self.asks
        return float(self.score[asks].mean()) if asks.any() else 100.0

    def short(self) -> list[int]:
        """VMs that get less than they ask for, worst first."""
        found = np.flatnonzero(self.score < 100.0 - 1e-6)
        return [int(vm) for vm in found[np.argsort(self.score[found], kind="stable")]]


def happiness(snapshot: Snapshot, placement: Placement) -> Happiness:
    """What the hosts of a placement deliver, and each VM's score.

    A host divides its capacity by water-filling: to each VM what is reserved for it (by itself or as its part
    of its pools), the rest by shares, up to demand and the limits of the VM and its pools.
    """
    host = np.asarray(placement.host_idx, dtype=np.int32)
    delivered: dict[str, Floats] = {}
    demand: dict[str, Floats] = {}
    score = np.full(snapshot.n_vms, 100.0)
    for resource in RESOURCES:
        demand[resource] = wanted(snapshot, resource)
        delivered[resource] = water_fill(
            snapshot.capacity(resource),
            host,
            guaranteed(snapshot, resource),
            demand[resource],
            weights(snapshot, resource),
            demand[resource],
        )
        asks = demand[resource] > 0
        score[asks] = np.minimum(score[asks], 100.0 * delivered[resource][asks] / demand[resource][asks])
    return Happiness(delivered, demand, np.clip(score, 0.0, 100.0))


@goal("happiness")
@dataclass(frozen=True)
class Undelivered(Goal):
    """Demand that the hosts cannot deliver, as a share of all demand, summed over the resources.

    Limits, those of resource pools too, cap the demand; shares and reservations decide who goes short on a
    full host and not how much is missing there, so they do not change this sum (`happiness` says who).
    """

    unit: ClassVar[str] = "share of demand"
    _: KW_ONLY
    resources: Sequence[str] = RESOURCES

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
