"""No host runs more virtual CPUs per core than so many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from dataclasses import field as _field

import numpy as np

from drs.errors import Fault
from drs.model import Snapshot
from drs.rules.base import Selector, rule, select_hosts, selector_faults
from drs.rules.capacity import HostLimit
from drs.terms.base import Floats


@rule("vcpu-ratio")
@dataclass(frozen=True)
class VcpuRatio(HostLimit):
    """At most `at_most` virtual CPUs of powered-on VMs for each physical core of these hosts.

    Hosts whose cores are not known have no limit.
    """

    resource: str = _field(default="vcpus", init=False)
    _: KW_ONLY
    at_most: float
    hosts: Selector = "*"

    def demand(self, snapshot: Snapshot) -> Floats:
        return np.where(snapshot.vms.on, np.nan_to_num(snapshot.vms.vcpus, nan=1.0), 0.0)

    def limit(self, snapshot: Snapshot) -> Floats:
        limit = np.full(snapshot.n_hosts, 2 * self.demand(snapshot).sum())
        hosts = select_hosts(self.hosts, snapshot)
        hosts = hosts[~np.isnan(snapshot.hosts.cpu_cores[hosts])]
        limit[hosts] = snapshot.hosts.cpu_cores[hosts] * self.at_most
        return limit

    def faults(self, snapshot: Snapshot) -> Iterator[Fault]:
        yield from super().faults(snapshot)
        yield from selector_faults(self.field("hosts"), self.hosts, snapshot.hosts, "host")
        if not self.at_most > 0:
            yield Fault(self.field("at_most"), str(self.at_most), "a number above 0")

    def scale(self, snapshot: Snapshot) -> float:
        cores = snapshot.hosts.cpu_cores[~np.isnan(snapshot.hosts.cpu_cores)]
        return float(cores.mean() * self.at_most) if len(cores) else 1.0
