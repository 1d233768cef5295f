"""A VM with devices of its host stays there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from drs.model import Snapshot
from drs.rules.base import HostFilter, Judge, When, rule, stay
from drs.terms import Allowed


@rule("local-devices")
@dataclass(frozen=True)
class LocalDevices(HostFilter):
    """A VM with `gpus` (passthrough, mounted devices) does not leave the host that they are in."""

    default_when: ClassVar[When] = "during"

    @property
    def replaces(self) -> str:
        return "local-devices"

    def judge(self, snapshot: Snapshot) -> Judge:
        gpus, today = snapshot.vms.gpus.tolist(), snapshot.vms.host_idx.tolist()

        def why_not(vm: int, host: int) -> str:
            if gpus[vm] > 0 and today[vm] >= 0 and host != today[vm]:
                return f"it uses devices of {snapshot.hosts.name[today[vm]]}"
            return ""

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        return stay(snapshot.vms.gpus > 0, snapshot)
