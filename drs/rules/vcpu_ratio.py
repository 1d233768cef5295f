"""No host runs more virtual CPUs per core than so many."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from dataclasses import field as _field

import numpy as np

from drs.model import Snapshot
from drs.rules.capacity import HostLimit
from drs.rules.catalogue import rule
from drs.rules.fields import Factor
from drs.rules.selecting import Hosts, select_hosts
from drs.terms.base import Floats


@rule("vcpu-ratio")
@dataclass(frozen=True)
class VcpuRatio(HostLimit):
    """At most `at_most` virtual CPUs of powered-on VMs for each physical core of these hosts.

    Hosts whose cores are not known have no limit.

    at_most : virtual CPUs for each core
    """

    resource: str = _field(default="vcpus", init=False)
    _: KW_ONLY
    at_most: Factor
    hosts: Hosts = "*"

    def demand(self, snapshot: Snapshot) -> Floats:
        return np.where(snapshot.vms.on, np.nan_to_num(snapshot.vms.vcpus, nan=1.0), 0.0)

    def limit(self, snapshot: Snapshot) -> Floats:
        limit = np.full(snapshot.n_hosts, 2 * self.demand(snapshot).sum())
        hosts = select_hosts(self.hosts, snapshot)
        hosts = hosts[~np.isnan(snapshot.hosts.cpu_cores[hosts])]
        limit[hosts] = snapshot.hosts.cpu_cores[hosts] * self.at_most
        return limit

    def scale(self, snapshot: Snapshot) -> float:
        cores = snapshot.hosts.cpu_cores[~np.isnan(snapshot.hosts.cpu_cores)]
        return float(cores.mean() * self.at_most) if len(cores) else 1.0
