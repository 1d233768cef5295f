"""VMs whose disks stay on certain datastores (`policy` hard: must, soft: should)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from drs.model import Placement, Snapshot
from drs.rules.base import Items, Rule, Violation
from drs.rules.catalogue import rule
from drs.rules.selecting import Datastores, Vms, select_datastores, select_vms
from drs.terms import Allowed, Term
from drs.words import some


@rule("on-datastores")
@dataclass(frozen=True)
class OnDatastores(Rule):
    """The disks of these VMs on these datastores only (VM-datastore affinity)."""

    chapter: ClassVar[str] = "Disks and datastores"
    reason_code: ClassVar[str] = "storagePlacement"

    vms: Vms
    datastores: Datastores

    @property
    def items(self) -> Items:
        return "disks"

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        held = set(select_vms(self.vms, snapshot).tolist())
        among = set(select_datastores(self.datastores, snapshot).tolist())
        names = some([str(snapshot.datastores.name[store]) for store in sorted(among)])
        for disk, store in enumerate(placement.datastore_idx.tolist()):
            vm = int(snapshot.disks.vm_idx[disk])
            if vm in held and store >= 0 and store not in among:
                who = str(snapshot.vms.name[vm])
                sentence = (
                    f"disk {snapshot.disks.name[disk]} of {who} is on {snapshot.datastores.name[store]}; "
                    f"it belongs on {names} ({self.label})"
                )
                yield Violation(self.label, (who,), (), 1.0, "disks", sentence)

    def lower(self, snapshot: Snapshot) -> list[Term]:
        held = np.isin(snapshot.disks.vm_idx, select_vms(self.vms, snapshot))
        mask = np.ones((2, len(snapshot.datastores)), dtype=bool)
        mask[1] = False
        mask[1, select_datastores(self.datastores, snapshot)] = True
        return [Allowed(held.astype(np.int32), mask)] if held.any() else []
