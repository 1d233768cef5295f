"""A VM runs only where the CPU features that it was started with are offered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from drs.model import Snapshot, cpu
from drs.rules.base import HostFilter, Judge, When
from drs.rules.catalogue import rule
from drs.terms import Allowed


@rule("evc")
@dataclass(frozen=True)
class Evc(HostFilter):
    """The host, or its cluster's EVC mode, offers every CPU feature that the VM carries (`drs.model.cpu`)."""

    binds_restarts: ClassVar[bool] = False  # a restart is a power-on: the VM reads the CPU of its new host
    binds_cold_moves: ClassVar[bool] = False
    chapter: ClassVar[str] = "In force without being written down"
    cure: ClassVar[str] = "power {vms} off: it takes the features of the next host when it is started again"
    effort: ClassVar[int] = 6

    default_when: ClassVar[When] = "during"

    @property
    def replaces(self) -> str:
        return "evc"

    def judge(self, snapshot: Snapshot) -> Judge:
        carried, offered = cpu.carried_keys(snapshot).tolist(), cpu.offer_keys(snapshot).tolist()
        hosts_of: dict[str, list[bool]] = {}

        def why_not(vm: int, host: int) -> str:
            key = carried[vm]
            if key not in hosts_of:
                hosts_of[key] = cpu.allowed_hosts(snapshot, vm).tolist()
            if hosts_of[key][host]:
                return ""
            return cpu.reason(key, offered[host]) or "the CPU does not offer what the VM was started with"

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        class_idx, mask = cpu.evc_classes(snapshot)
        return None if mask.all() else Allowed(class_idx, mask)
