"""A VM runs only where its networks are offered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from drs.model import Snapshot
from drs.rules.base import HostFilter, Judge, When
from drs.rules.catalogue import rule
from drs.terms import Allowed


@rule("network-visibility")
@dataclass(frozen=True)
class NetworkVisibility(HostFilter):
    """The host has a port group of every network that the VM is connected to."""

    is_fact: ClassVar[bool] = True
    chapter: ClassVar[str] = "In force without being written down"
    cure: ClassVar[str] = "offer the networks of {vms} on another host"
    effort: ClassVar[int] = 5

    default_when: ClassVar[When] = "during"

    @property
    def replaces(self) -> str:
        return "network-visibility"

    def judge(self, snapshot: Snapshot) -> Judge:
        used = _networks(snapshot)

        def why_not(vm: int, host: int) -> str:
            missing = [n for n in sorted(used.get(vm, ())) if not snapshot.portgroups[host, n]]
            names = ", ".join(str(snapshot.networks[n]) for n in missing)
            return f"it does not have the network {names}" if missing else ""

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        rows: dict[frozenset[int], int] = {frozenset(): 0}
        class_idx = np.zeros(snapshot.n_vms, dtype=np.int32)
        for vm, networks in _networks(snapshot).items():
            class_idx[vm] = rows.setdefault(frozenset(networks), len(rows))
        mask = np.array([snapshot.portgroups[:, sorted(chosen)].all(axis=1) for chosen in rows], dtype=bool)
        return None if mask.all() else Allowed(class_idx, mask)


def _networks(snapshot: Snapshot) -> dict[int, set[int]]:
    used: dict[int, set[int]] = {}
    for vm, network in zip(snapshot.nic_vm_idx.tolist(), snapshot.nic_network_idx.tolist(), strict=True):
        if vm >= 0 and network >= 0:
            used.setdefault(vm, set()).add(network)
    return used
