"""How much of its demand each VM gets: the score of each VM, and of a cluster."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from drs.model.entitlement import water_fill
from drs.model.placement import Placement
from drs.model.pools import RESOURCES, guaranteed, wanted, weights
from drs.model.snapshot import Bools, Floats, Snapshot


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

    def of(self, vms: Bools) -> Happiness:
        """The same of some VMs, bool[n_vms]: the others count as if they asked for nothing."""
        return Happiness(
            {resource: np.where(vms, values, 0.0) for resource, values in self.delivered.items()},
            {resource: np.where(vms, values, 0.0) for resource, values in self.demand.items()},
            np.where(vms, self.score, 100.0),
        )

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
