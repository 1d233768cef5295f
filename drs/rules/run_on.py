"""VMs that run on certain hosts only (`policy` hard: must, soft: should)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from drs.model import Snapshot
from drs.rules.base import HostFilter, Judge, only
from drs.rules.catalogue import rule
from drs.rules.selecting import Hosts, Vms, select_hosts, select_vms
from drs.terms import Allowed
from drs.words import some


@rule("run-on")
@dataclass(frozen=True)
class RunOn(HostFilter):
    """These VMs on these hosts only (VM-host affinity)."""

    effort: ClassVar[int] = 1
    reason_code: ClassVar[str] = "vmHostHardAffinity"
    soft_reason_code: ClassVar[str] = "vmHostSoftAffinity"

    vms: Vms
    hosts: Hosts

    def judge(self, snapshot: Snapshot) -> Judge:
        held = set(select_vms(self.vms, snapshot).tolist())
        among = set(select_hosts(self.hosts, snapshot).tolist())
        names = some([str(snapshot.hosts.name[host]) for host in sorted(among)])

        def why_not(vm: int, host: int) -> str:
            return f"it belongs on {names} ({self.label})" if vm in held and host not in among else ""

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        return only(select_vms(self.vms, snapshot), select_hosts(self.hosts, snapshot), snapshot)
