"""The disks of a VM on one datastore."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs.model import Placement, Snapshot
from drs.rules.base import Items, Rule, Violation
from drs.rules.catalogue import rule
from drs.rules.selecting import Vms, select_vms
from drs.terms import Term, Together


@rule("disks-together")
@dataclass(frozen=True)
class DisksTogether(Rule):
    """All disks of each of these VMs on one datastore (VMDK affinity)."""

    chapter: ClassVar[str] = "Disks and datastores"
    reason_code: ClassVar[str] = "virtualDiskJointAffin"

    _: KW_ONLY
    vms: Vms = "*"

    @property
    def items(self) -> Items:
        return "disks"

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        chosen = set(select_vms(self.vms, snapshot).tolist())
        stores_of: dict[int, list[int]] = {}
        owners = snapshot.disks.vm_idx.tolist()
        for vm, store in zip(owners, placement.datastore_idx.tolist(), strict=True):
            if vm in chosen and store >= 0:
                stores_of.setdefault(vm, []).append(store)
        for vm, stores in sorted(stores_of.items()):
            elsewhere = len(stores) - max(stores.count(store) for store in stores)
            if elsewhere:
                who = str(snapshot.vms.name[vm])
                names = ", ".join(str(snapshot.datastores.name[store]) for store in sorted(set(stores)))
                sentence = f"the disks of {who} are on {names}"
                yield Violation(self.label, (who,), (), float(elsewhere), "disks", sentence)

    def lower(self, snapshot: Snapshot) -> list[Term]:
        first, order = snapshot.disks_of_vm
        domain = np.arange(len(snapshot.datastores), dtype=np.int32)
        chosen = [order[first[vm] : first[vm + 1]] for vm in select_vms(self.vms, snapshot)]
        return [Together(disks, domain, len(domain)) for disks in chosen if len(disks) > 1]
