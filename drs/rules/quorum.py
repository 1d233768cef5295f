"""At least so many of a group of VMs run on certain hosts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs.errors import Fault
from drs.model import Placement, Snapshot
from drs.rules.base import Rule, Violation, hosts_of, names_of
from drs.rules.catalogue import rule
from drs.rules.fields import Count
from drs.rules.selecting import Hosts, Vms, select_hosts, select_vms
from drs.terms import AtMost, Term
from drs.words import some


@rule("quorum")
@dataclass(frozen=True)
class Quorum(Rule):
    """At least `at_least` of these VMs on these hosts, such as the majority of a cluster's nodes in one site.

    A VM that has no host yet is not missing: what counts is how many run on other hosts.

    hosts : where they run, by name, pattern or list
    at_least : how many of the VMs, 1 to all of them
    """

    chapter: ClassVar[str] = "VMs and hosts"
    reason_code: ClassVar[str] = "vmHostHardAffinity"
    soft_reason_code: ClassVar[str] = "vmHostSoftAffinity"
    asks: ClassVar[str] = "too many of the group run on other hosts, such as {host}"

    vms: Vms
    hosts: Hosts
    _: KW_ONLY
    at_least: Count

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        vms, among = select_vms(self.vms, snapshot).tolist(), set(select_hosts(self.hosts, snapshot).tolist())
        away = [vm for vm in vms if placement.host_idx[vm] >= 0 and int(placement.host_idx[vm]) not in among]
        missing = self.at_least - (len(vms) - len(away))
        if missing > 0:
            where = some([str(snapshot.hosts.name[host]) for host in sorted(among)])
            who = names_of(away, snapshot)
            yield Violation(
                self.label,
                who,
                hosts_of(away, snapshot, placement),
                float(missing),
                "VMs",
                f"{some(who)} run on other hosts than {where}; at least {self.at_least} of {len(vms)} VMs "
                f"belong there",
            )

    def lower(self, snapshot: Snapshot) -> list[Term]:
        vms = select_vms(self.vms, snapshot)
        others = np.zeros(snapshot.n_hosts, dtype=np.int32)
        others[select_hosts(self.hosts, snapshot)] = -1
        return [AtMost(vms, others, np.array([float(len(vms) - self.at_least)]))]

    def misfits(self, snapshot: Snapshot) -> Iterator[Fault]:
        n_vms = len(select_vms(self.vms, snapshot))
        if self.at_least > n_vms:
            yield Fault(self.field("at_least"), f"{self.at_least} of {n_vms} VMs", f"at most {n_vms}")
