"""A host in maintenance empties, one in quarantine takes nobody in, one that is lost is out of reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from drs.model import Snapshot
from drs.rules.base import HostFilter, Judge, When
from drs.rules.catalogue import rule
from drs.terms import Allowed


@rule("host-state")
@dataclass(frozen=True)
class HostState(HostFilter):
    """What a host's state allows.

    `maintenance`: no VM may run there. `quarantine`: no VM may come, those that are there may stay.
    `disconnected`: no VM may come, and those that are there cannot be moved.
    """

    binds_restarts: ClassVar[bool] = False
    chapter: ClassVar[str] = "In force without being written down"
    cure: ClassVar[str] = "bring a host back that is not connected"

    default_when: ClassVar[When] = "during"

    @property
    def replaces(self) -> str:
        return "host-state"

    def judge(self, snapshot: Snapshot) -> Judge:
        state, names = snapshot.hosts.state.tolist(), snapshot.hosts.name
        today = snapshot.vms.host_idx.tolist()

        def why_not(vm: int, host: int) -> str:
            home = today[vm]
            if home >= 0 and home != host and state[home] == "disconnected":
                return f"{names[home]}, where the VM is, is disconnected: it cannot be moved from there"
            if state[host] == "connected" or (home == host and state[host] != "maintenance"):
                return ""
            words = {"maintenance": "in maintenance", "quarantine": "in quarantine"}
            return f"the host is {words.get(state[host], state[host])}"

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        state, home = snapshot.hosts.state, snapshot.vms.host_idx
        if (state == "connected").all():
            return None
        mask = np.zeros((2, snapshot.n_hosts), dtype=bool)
        mask[0] = state == "connected"
        of_home = np.where(home >= 0, state[home], "connected")
        stay = np.where((of_home == "quarantine") | (of_home == "disconnected"), home, -1)
        return Allowed((of_home == "disconnected").astype(np.int32), mask, stay.astype(np.int32))
