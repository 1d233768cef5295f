"""At most so many of a group of VMs in any one host, rack, cluster or site."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass

import numpy as np

from drs.errors import Fault
from drs.model import Placement, Snapshot
from drs.rules.base import Rule, Scope, Selector, Violation, domains, rule, select_vms, selector_faults
from drs.terms import AtMost, Term


@rule("keep-apart")
@dataclass(frozen=True)
class KeepApart(Rule):
    """At most `at_most` of these VMs in any one `scope` (VM-VM anti-affinity)."""

    vms: Selector
    _: KW_ONLY
    scope: Scope = "host"
    at_most: int = 1

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        domain, names = domains(snapshot, self.scope)
        members: dict[int, list[int]] = {}
        for vm in select_vms(self.vms, snapshot):
            host = placement.host_idx[vm]
            if host >= 0 and domain[host] >= 0:
                members.setdefault(int(domain[host]), []).append(int(vm))
        for where, vms in sorted(members.items()):
            excess = len(vms) - self.at_most
            if excess > 0:
                who = tuple(str(snapshot.vms.name[vm]) for vm in vms)
                hosts = tuple(sorted({str(snapshot.hosts.name[placement.host_idx[vm]]) for vm in vms}))
                yield Violation(
                    self.label,
                    who,
                    hosts,
                    excess,
                    "VMs",
                    f"{', '.join(who)} run in one {self.scope}, {names[where]}; at most {self.at_most} may",
                )

    def lower(self, snapshot: Snapshot) -> list[Term]:
        domain, names = domains(snapshot, self.scope)
        limit = np.full(len(names), float(self.at_most))
        return [AtMost(select_vms(self.vms, snapshot), domain, limit)]

    def faults(self, snapshot: Snapshot) -> Iterator[Fault]:
        yield from selector_faults(f"rule {self.label!r}, field vms", self.vms, snapshot.vms.name, "VM")
        if self.at_most < 1:
            yield Fault(f"rule {self.label!r}, field at_most", str(self.at_most), "1 or more")
