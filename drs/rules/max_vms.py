"""No host runs more than so many VMs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs.model import Placement, Snapshot
from drs.rules.base import Rule, Violation, names_of
from drs.rules.catalogue import rule
from drs.rules.fields import Whole
from drs.rules.selecting import Hosts, Vms, select_hosts, select_vms
from drs.terms import AtMost, Term
from drs.terms.base import Ints


@rule("max-vms")
@dataclass(frozen=True)
class MaxVms(Rule):
    """At most `at_most` powered-on VMs (of those named) on each of these hosts.

    at_most : VMs on a host
    vms : the VMs that count; `*` is every VM
    """

    chapter: ClassVar[str] = "Limits on hosts and plans"
    reason_code: ClassVar[str] = "maxVmsConstraint"
    asks: ClassVar[str] = "{host} runs more VMs than it may"

    _: KW_ONLY
    at_most: Whole
    hosts: Hosts = "*"
    vms: Vms = "*"

    def _vms(self, snapshot: Snapshot) -> Ints:
        vms = select_vms(self.vms, snapshot)
        return vms[snapshot.vms.on[vms]]

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        there: dict[int, list[int]] = {}
        for vm in self._vms(snapshot).tolist():
            there.setdefault(int(placement.host_idx[vm]), []).append(vm)
        for host in select_hosts(self.hosts, snapshot).tolist():
            vms = there.get(host, [])
            if len(vms) > self.at_most:
                where = str(snapshot.hosts.name[host])
                yield Violation(
                    self.label,
                    names_of(vms, snapshot),
                    (where,),
                    float(len(vms) - self.at_most),
                    "VMs",
                    f"{where} runs {len(vms)} VMs; at most {self.at_most} may",
                )

    def lower(self, snapshot: Snapshot) -> list[Term]:
        hosts = select_hosts(self.hosts, snapshot)
        domain = np.full(snapshot.n_hosts, -1, dtype=np.int32)
        domain[hosts] = np.arange(len(hosts))
        return [AtMost(self._vms(snapshot), domain, np.full(len(hosts), float(self.at_most)))]
