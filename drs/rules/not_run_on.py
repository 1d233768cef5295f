"""VMs that stay off certain hosts (`policy` hard: must not, soft: should not)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from drs.errors import Fault
from drs.model import Snapshot
from drs.rules.base import HostFilter, Judge, only
from drs.rules.catalogue import rule
from drs.rules.selecting import Hosts, Vms, select_hosts, select_vms
from drs.terms import Allowed


@rule("not-run-on")
@dataclass(frozen=True)
class NotRunOn(HostFilter):
    """None of these VMs on any of these hosts (VM-host anti-affinity)."""

    effort: ClassVar[int] = 2
    reason_code: ClassVar[str] = "vmHostHardAffinity"
    soft_reason_code: ClassVar[str] = "vmHostSoftAffinity"

    vms: Vms
    hosts: Hosts

    def judge(self, snapshot: Snapshot) -> Judge:
        held = set(select_vms(self.vms, snapshot).tolist())
        off = set(select_hosts(self.hosts, snapshot).tolist())

        def why_not(vm: int, host: int) -> str:
            return f"it is to stay off this host ({self.label})" if vm in held and host in off else ""

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        return only(select_vms(self.vms, snapshot), select_hosts(self.hosts, snapshot), snapshot, away=True)

    def misfits(self, snapshot: Snapshot) -> Iterator[Fault]:
        if snapshot.n_hosts and len(select_hosts(self.hosts, snapshot)) == snapshot.n_hosts:
            yield Fault(self.field("hosts"), "every host", "at least one host left to run on")
