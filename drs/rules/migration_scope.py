"""A VM stays within its cluster, or its vCenter, and where the network can carry it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

import numpy as np

from drs.errors import Fault, did_you_mean
from drs.model import Snapshot
from drs.model.network import Network
from drs.model.selector import cached
from drs.rules.base import HostFilter, Judge, Selector, When, rule, select_vms, selector_faults
from drs.terms import Allowed
from drs.terms.base import Ints


@rule("migration-scope")
@dataclass(frozen=True)
class MigrationScope(HostFilter):
    """These VMs do not leave their `scope`; `cluster` is where DRS works, `any` is no limit but the network's.

    Nor do running VMs go to hosts that the network has no route to from theirs. VMs that are nowhere yet may
    be placed anywhere.
    """

    default_when: ClassVar[When] = "during"

    _: KW_ONLY
    scope: Literal["cluster", "site", "vcenter", "any"] = "cluster"
    vms: Selector = "*"

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
        # A kind of VM for each domain of those that are off, and one for each of its islands of those that run.
        kinds, kind = np.unique(np.stack([label, island]), axis=1, return_inverse=True)
        off_kinds = np.unique(label)
        if len(off_kinds) < 2 and kinds.shape[1] < 2:
            return None
        mask = np.vstack(
            [
                (label == kinds[0][:, None]) & (island == kinds[1][:, None]),
                label == off_kinds[:, None],
                np.ones((1, snapshot.n_hosts), dtype=bool),
            ]
        )
        vms = select_vms(self.vms, snapshot)
        vms = vms[snapshot.vms.host_idx[vms] >= 0]
        host = snapshot.vms.host_idx[vms]
        off = kinds.shape[1] + np.searchsorted(off_kinds, label[host])
        class_idx = np.full(snapshot.n_vms, len(mask) - 1, dtype=np.int32)
        class_idx[vms] = np.where(snapshot.vms.on[vms], kind.reshape(-1)[host], off)
        mask, which = np.unique(
            mask, axis=0, return_inverse=True
        )  # where no domain is cut, both are the same
        return Allowed(which.reshape(-1)[class_idx].astype(np.int32), mask)

    def faults(self, snapshot: Snapshot) -> Iterator[Fault]:
        yield from super().faults(snapshot)
        yield from selector_faults(self.field("vms"), self.vms, snapshot.vms, "VM")
        known = ("cluster", "site", "vcenter", "any")
        if self.scope not in known:
            near = did_you_mean(self.scope, known)
            yield Fault(
                self.field("scope"), f"unknown scope {self.scope!r}", f"one of {', '.join(known)}", near
            )


def _islands(snapshot: Snapshot) -> Ints:
    found: Ints = cached(snapshot, "islands", lambda: Network.of(snapshot).islands())
    return found
