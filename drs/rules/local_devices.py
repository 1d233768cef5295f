"""A VM with devices of its host stays there while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from drs.model import Snapshot
from drs.rules.base import HostFilter, Judge, When, stay
from drs.rules.catalogue import rule
from drs.terms import Allowed
from drs.terms.base import Bools


def irreplaceable(snapshot: Snapshot) -> Bools:
    """VMs that only the host can start whose devices they have, bool[n_vms]: no table says what others have."""
    return np.asarray((snapshot.vms.gpus > 0) & ("gpus" not in snapshot.hosts.capacity))


@rule("local-devices")
@dataclass(frozen=True)
class LocalDevices(HostFilter):
    """A VM with `gpus` (passthrough, mounted devices) does not leave the host that they are in.

    A VM that is started anew takes free devices of any host, where `gpus_capacity` says how many there are.
    """

    is_fact: ClassVar[bool] = True
    binds_restarts: ClassVar[bool] = False
    chapter: ClassVar[str] = "In force without being written down"
    cure: ClassVar[str] = "power {vms} off and let it stay, or take its local devices away"

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
