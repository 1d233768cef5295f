"""VMs that run on certain hosts only (`policy` hard: must, soft: should)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drs.errors import Fault
from drs.model import Snapshot
from drs.rules.base import (
    HostFilter,
    Judge,
    Selector,
    only,
    rule,
    select_hosts,
    select_vms,
    selector_faults,
)
from drs.terms import Allowed
from drs.words import some


@rule("run-on")
@dataclass(frozen=True)
class RunOn(HostFilter):
    """These VMs on these hosts only (VM-host affinity)."""

    vms: Selector
    hosts: Selector

    def judge(self, snapshot: Snapshot) -> Judge:
        held = set(select_vms(self.vms, snapshot).tolist())
        among = set(select_hosts(self.hosts, snapshot).tolist())
        names = some([str(snapshot.hosts.name[host]) for host in sorted(among)])

        def why_not(vm: int, host: int) -> str:
            return f"it belongs on {names} ({self.label})" if vm in held and host not in among else ""

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        return only(select_vms(self.vms, snapshot), select_hosts(self.hosts, snapshot), snapshot)

    def faults(self, snapshot: Snapshot) -> Iterator[Fault]:
        yield from super().faults(snapshot)
        yield from selector_faults(self.field("vms"), self.vms, snapshot.vms, "VM")
        yield from selector_faults(self.field("hosts"), self.hosts, snapshot.hosts, "host")
