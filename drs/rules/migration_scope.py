"""A VM stays within its cluster, or its vCenter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

import numpy as np

from drs.errors import Fault, did_you_mean
from drs.model import Snapshot
from drs.rules.base import HostFilter, Judge, Selector, When, rule, select_vms, selector_faults
from drs.terms import Allowed
from drs.terms.base import Ints


@rule("migration-scope")
@dataclass(frozen=True)
class MigrationScope(HostFilter):
    """These VMs do not leave their `scope`; `cluster` is where DRS works, `any` is no limit.

    VMs that are nowhere yet may be placed anywhere.
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

        def why_not(vm: int, host: int) -> str:
            if vm not in held or today[vm] < 0 or domain[today[vm]] == domain[host]:
                return ""
            return f"it is outside the VM's {self.scope} {names[domain[today[vm]]]}"

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        label, _ = self._labels(snapshot)
        found, domain = np.unique(label, return_inverse=True)
        if len(found) < 2:
            return None
        domain = domain.reshape(-1)
        class_idx = np.full(snapshot.n_vms, len(found), dtype=np.int32)
        vms = select_vms(self.vms, snapshot)
        vms = vms[snapshot.vms.host_idx[vms] >= 0]
        class_idx[vms] = domain[snapshot.vms.host_idx[vms]]
        mask = np.vstack([domain[None, :] == np.arange(len(found))[:, None], np.ones((1, len(domain)), bool)])
        return Allowed(class_idx, mask)

    def faults(self, snapshot: Snapshot) -> Iterator[Fault]:
        yield from super().faults(snapshot)
        yield from selector_faults(self.field("vms"), self.vms, snapshot.vms, "VM")
        known = ("cluster", "site", "vcenter", "any")
        if self.scope not in known:
            near = did_you_mean(self.scope, known)
            yield Fault(
                self.field("scope"), f"unknown scope {self.scope!r}", f"one of {', '.join(known)}", near
            )
