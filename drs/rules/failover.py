"""Room for the VMs of hosts that fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs.errors import Fault
from drs.model import Snapshot
from drs.rules.capacity import HostCapacity, HostLimit
from drs.rules.catalogue import rule
from drs.rules.fields import ResourceName, Whole
from drs.terms.base import Floats


@rule("failover")
@dataclass(frozen=True)
class Failover(HostLimit):
    """Every host keeps its share of a reserve in which the VMs of failed hosts find room (N+k).

    Of a cluster with n connected hosts of which `n_hosts` may fail, each host leaves n_hosts / n of its
    `resource` free: vSphere's percentage policy, host by host. It is no proof that every VM fits somewhere.

    n_hosts : failures to tolerate; that of each cluster (`ha_failover_hosts`) where not given.
    """

    binds_restarts: ClassVar[bool] = False
    resource: ResourceName = "memory"
    _: KW_ONLY
    n_hosts: Whole | None = None

    @property
    def label(self) -> str:
        return self.name or f"failover reserve of {self.resource}"

    def limit(self, snapshot: Snapshot) -> Floats:
        limit = HostCapacity(self.resource).limit(snapshot)
        hosts, clusters = snapshot.hosts, snapshot.clusters
        for cluster, tolerated in enumerate(clusters.ha_failover_hosts.tolist()):
            members = np.flatnonzero((hosts.cluster_idx == cluster) & (hosts.state == "connected"))
            fail = tolerated if self.n_hosts is None else self.n_hosts
            if len(members):
                limit[members] *= max(0.0, 1.0 - fail / len(members))
        return limit

    def misfits(self, snapshot: Snapshot) -> Iterator[Fault]:
        if self.n_hosts is None:
            return
        connected = snapshot.hosts.cluster_idx[snapshot.hosts.state == "connected"]
        sizes = np.bincount(connected[connected >= 0], minlength=1)
        smallest = int(sizes[sizes > 0].min(initial=snapshot.n_hosts))
        if not 0 <= self.n_hosts < max(1, smallest):
            expected = f"0 to {smallest - 1}: the smallest cluster has {smallest} connected hosts"
            yield Fault(self.field("n_hosts"), str(self.n_hosts), expected)
