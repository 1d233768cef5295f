"""A VM stays within its cluster, or its vCenter, and where the network can carry it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

import numpy as np

from drs.model import Snapshot
from drs.model.network import Network
from drs.model.selector import cached
from drs.rules.base import HostFilter, Judge, When
from drs.rules.catalogue import rule
from drs.rules.selecting import Vms, select_vms
from drs.terms import Allowed
from drs.terms.base import Ints


@rule("migration-scope")
@dataclass(frozen=True)
class MigrationScope(HostFilter):
    """These VMs do not leave their `scope`; `cluster` is where DRS works, `any` is no limit but the network's.

    Nor do running VMs go to hosts that the network has no route to from theirs. VMs that are nowhere yet may
    be placed anywhere.

    scope : what they do not leave; `any` is no limit but the network's
    """

    binds_restarts: ClassVar[bool] = False
    chapter: ClassVar[str] = "In force without being written down"
    cure: ClassVar[str] = "let {vms} leave its cluster (migration_scope)"
    effort: ClassVar[int] = 3

    default_when: ClassVar[When] = "during"

    _: KW_ONLY
    scope: Literal["cluster", "site", "vcenter", "any"] = "cluster"
    vms: Vms = "*"

    @property
    def replaces(self) -> str:
        return "migration-scope" if self.vms == "*" else ""

    def _labels(self, snapshot: Snapshot) -> tuple[Ints, list[str]]:
        hosts = snapshot.hosts
        if self.scope == "any":
            return np.zeros(len(hosts), dtype=np.int32), [""]
        if self.scope == "cluster":
            return hosts.cluster_idx, snapshot.clusters.name.tolist()
        names, idx = np.unique(getattr(hosts, self.scope), return_inverse=True)
        return idx.reshape(-1).astype(np.int32), names.tolist()

    def judge(self, snapshot: Snapshot) -> Judge:
        label, names = self._labels(snapshot)
        held = set(select_vms(self.vms, snapshot).tolist())
        today, domain = snapshot.vms.host_idx.tolist(), label.tolist()
        island, running, network = _islands(snapshot), snapshot.vms.on.tolist(), Network.of(snapshot)

        def why_not(vm: int, host: int) -> str:
            here = today[vm]
            if vm not in held or here < 0:
                return ""
            if domain[here] != domain[host]:
                return f"it is outside the VM's {self.scope} {names[domain[here]]}"
            if running[vm] and island[here] != island[host]:
                return network.path(here, host).reason
            return ""

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        label, _ = self._labels(snapshot)
        island = _islands(snapshot)
        vms = select_vms(self.vms, snapshot)
        vms = vms[snapshot.vms.host_idx[vms] >= 0]
        host = snapshot.vms.host_idx[vms]
        # -1: an island does not matter to VMs that are off, and to none where the network is whole.
        bound_to = np.where(snapshot.vms.on[vms] & island.any(), island[host], -1)
        kinds, kind = np.unique(np.stack([label[host], bound_to]), axis=1, return_inverse=True)
        of_label, of_island = kinds[:, :, None]
        mask = (label == of_label) & ((island == of_island) | (of_island < 0))
        if mask.all():
            return None
        class_idx = np.full(snapshot.n_vms, len(mask), dtype=np.int32)
        class_idx[vms] = kind.reshape(-1)
        return Allowed(class_idx, np.vstack([mask, np.ones((1, snapshot.n_hosts), dtype=np.bool_)]))


def _islands(snapshot: Snapshot) -> Ints:
    found: Ints = cached(snapshot, "islands", lambda: Network.of(snapshot).islands())
    return found
