"""VMs that stay where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from drs.model import Snapshot
from drs.rules.base import HostFilter, Judge, When, stay
from drs.rules.catalogue import rule
from drs.rules.selecting import Vms, select_vms
from drs.terms import Allowed


@rule("pinned")
@dataclass(frozen=True)
class Pinned(HostFilter):
    """These VMs stay on the host where they are today; those that are nowhere yet may be placed anywhere."""

    binds_restarts: ClassVar[bool] = False
    effort: ClassVar[int] = 0

    default_when: ClassVar[When] = "during"

    vms: Vms

    def judge(self, snapshot: Snapshot) -> Judge:
        held, today = set(select_vms(self.vms, snapshot).tolist()), snapshot.vms.host_idx.tolist()

        def why_not(vm: int, host: int) -> str:
            moved = vm in held and today[vm] >= 0 and host != today[vm]
            return f"it is pinned to {snapshot.hosts.name[today[vm]]} ({self.label})" if moved else ""

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        fixed = np.zeros(snapshot.n_vms, dtype=bool)
        fixed[select_vms(self.vms, snapshot)] = True
        return stay(fixed, snapshot)
