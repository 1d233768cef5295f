"""Room for VMs of given sizes: free room that lies together, not scattered over the hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs import terms
from drs.errors import Fault
from drs.goals.base import Goal, Prices, goal
from drs.model import Placement, Snapshot
from drs.model.flavour import EXPECTED, Flavour, flavours, misfit
from drs.terms import Weighted
from drs.terms.base import Floats


@goal("slots")
@dataclass(frozen=True)
class Slots(Goal):
    """Slots in use or lost: VMs of a size that the empty hosts would take, less those that today's free room takes.

    Only connected hosts count, each with its capacity times the CPU overcommitment of its cluster. Several
    flavours are counted each by itself, and added by their weights.

    flavours : sizes such as `16c/32g`, or `16c/32g=3` with a weight; a vCPU counts as a whole core.
    """

    unit: ClassVar[str] = "slots"
    _: KW_ONLY
    flavours: str | Sequence[str]

    def wanted(self) -> tuple[Flavour, ...]:
        """The sizes. Raises ValueError where a text is none."""
        return flavours(self.flavours)

    def misfits(self, snapshot: Snapshot, field: str) -> Iterator[Fault]:
        try:
            wanted = self.wanted()
        except ValueError as error:
            yield Fault(f"{field}flavours", str(error), EXPECTED)
            return
        for each in wanted:
            if reason := misfit(each, snapshot):
                yield Fault(f"{field}flavours", reason, f"{EXPECTED}; one of {', '.join(snapshot.resources)}")

    def notes(self, snapshot: Snapshot) -> Iterator[str]:
        left_out = [each.name for each in self.wanted() if not self._most(snapshot, each).any()]
        if left_out:
            yield f"no host would take a VM of {', '.join(left_out)} even if it were empty"

    def _limits(self, snapshot: Snapshot, resource: str) -> Floats:
        """What VMs may use on each host, f8[n_hosts]."""
        limit = snapshot.capacity(resource)
        clusters, cluster = snapshot.clusters, snapshot.hosts.cluster_idx
        if resource == "cpu" and len(clusters):
            limit = limit * np.where(cluster >= 0, clusters.cpu_overcommit_ratio[cluster], 1.0)
        return np.asarray(limit)

    def _most(self, snapshot: Snapshot, wanted: Flavour) -> Floats:
        """Slots of each host if it were empty, f8[n_hosts]; 0 for one that is not connected."""
        most = np.full(snapshot.n_hosts, np.inf)
        for resource, size in wanted.demand(snapshot).items():
            most = np.minimum(most, np.floor(self._limits(snapshot, resource) / size + 1e-9))
        return np.where(np.isfinite(most) & (snapshot.hosts.state == "connected"), np.maximum(0.0, most), 0.0)

    def parts(self, snapshot: Snapshot) -> list[tuple[Flavour, terms.Slots]]:
        """Each size with its term."""
        found = []
        for each in self.wanted():
            need = each.demand(snapshot)
            found.append((each, terms.Slots(
                np.array([snapshot.demand(resource) for resource in need]).reshape(len(need), snapshot.n_vms),
                np.array([self._limits(snapshot, resource) for resource in need]).reshape(len(need), snapshot.n_hosts),
                np.array(list(need.values())),
                self._most(snapshot, each),
            )))  # fmt: skip
        return found

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        total = 0.0
        for each in self.wanted():
            need, most = each.demand(snapshot), self._most(snapshot, each)
            limits = {resource: self._limits(snapshot, resource) for resource in need}
            demands = {resource: snapshot.demand(resource) for resource in need}
            for host in range(snapshot.n_hosts):
                there = np.flatnonzero(placement.host_idx == host)
                free = float(most[host])
                for resource, size in need.items():
                    left = float(limits[resource][host]) - float(sum(demands[resource][there]))
                    free = min(free, np.floor(left / size + 1e-9))
                total += each.weight * (float(most[host]) - max(0.0, free))
        return total

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        return [
            Weighted(term, each.weight, f"slots of {each.name}")
            for each, term in self.parts(snapshot)
            if term.most.any()
        ]
