"""A live migration needs a path that the hypervisor accepts."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from drs import precopy
from drs.model import Snapshot
from drs.model.network import Network
from drs.model.selector import cached
from drs.rules.base import HostFilter, Judge, When
from drs.terms import Allowed
from drs.terms.base import Bools, Ints

AT_ONCE = 64
"""Rows of the table of hosts and hosts that are looked up together: its floats would fill the memory."""


@dataclass(frozen=True)
class MigrationPath(HostFilter):
    """A running VM goes only where the path from its host is one that the profile accepts.

    vMotion asks for 250 Mbit/s and a round trip of at most 150 ms (`drs.precopy.kinds`). `Problem` makes this
    rule of the policy's profile; it stands in no `rules.toml`.
    """

    type: ClassVar[str] = "migration-path"
    default_when: ClassVar[When] = "during"
    binds_restarts: ClassVar[bool] = False
    binds_cold_moves: ClassVar[bool] = False
    cure: ClassVar[str] = "give {vms} a path that a live migration accepts"
    effort: ClassVar[int] = 5

    _: KW_ONLY
    profile: Any = "vmware"

    def judge(self, snapshot: Snapshot) -> Judge:
        today, running = snapshot.vms.host_idx.tolist(), snapshot.vms.on.tolist()
        network = Network.of(snapshot)

        def why_not(vm: int, host: int) -> str:
            here = today[vm]
            if here in (-1, host) or not running[vm]:
                return ""
            path = network.paths(here, host)
            if not path.bandwidth_mbps[0] > 0:  # no route at all is the migration scope's matter
                return ""
            price = precopy.estimate(
                memory_mib=1.0,
                bandwidth_mbps=float(path.bandwidth_mbps[0]),
                rtt_ms=float(path.rtt_ms[0]),
                loss_ratio=float(path.loss_ratio[0]),
                profile=self.profile,
            )
            return "" if bool(np.all(price.possible)) else str(np.ravel(price.advice)[0])

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        accepted: Bools = cached(snapshot, ("accepted paths", self.profile), lambda: self._accepted(snapshot))
        moving = snapshot.vms.on & (snapshot.vms.host_idx >= 0)
        kinds, of_host = np.unique(accepted, axis=0, return_inverse=True)
        if kinds.all() or not moving.any():
            return None
        # By class of VM: the hosts that reach the same ones are alike.
        class_idx = np.full(snapshot.n_vms, len(kinds), dtype=np.int32)
        class_idx[moving] = of_host.reshape(-1)[snapshot.vms.host_idx[moving]]
        mask = np.vstack([kinds, np.ones((1, snapshot.n_hosts), dtype=np.bool_)])
        stay: Ints = np.where(moving, snapshot.vms.host_idx, -1).astype(np.int32)
        return Allowed(class_idx, mask, stay)

    def _accepted(self, snapshot: Snapshot) -> Bools:
        """Whether a live migration from each host to each other may begin, bool[n_hosts, n_hosts]."""
        network, n = Network.of(snapshot), snapshot.n_hosts
        accepted = np.ones((n, n), dtype=np.bool_)
        for first in range(0, n, AT_ONCE):
            rows = np.arange(first, min(first + AT_ONCE, n))
            src, dst = (each.reshape(-1) for each in np.meshgrid(rows, np.arange(n), indexing="ij"))
            paths = network.paths(src, dst)
            asked = (src != dst) & (paths.bandwidth_mbps > 0)
            if not asked.any():
                continue
            few = np.stack([paths.bandwidth_mbps[asked], paths.rtt_ms[asked], paths.loss_ratio[asked]])
            kinds, kind = np.unique(few, axis=1, return_inverse=True)
            price = precopy.estimate(
                memory_mib=np.ones(kinds.shape[1]),
                bandwidth_mbps=kinds[0],
                rtt_ms=np.nan_to_num(kinds[1]),
                loss_ratio=np.nan_to_num(kinds[2]),
                profile=self.profile,
            )
            verdict = np.ones(len(src), dtype=np.bool_)
            verdict[asked] = np.atleast_1d(price.possible)[kind.reshape(-1)]
            accepted[rows] = verdict.reshape(len(rows), n)
        np.fill_diagonal(accepted, True)
        return accepted
