"""A datastore in maintenance empties; one that is lost is out of reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from drs.model import Placement, Snapshot
from drs.rules.base import Items, Rule, Violation
from drs.rules.catalogue import rule
from drs.terms import Allowed, Term


@rule("datastore-state")
@dataclass(frozen=True)
class DatastoreState(Rule):
    """No disk on a datastore in `maintenance`; from and to a `disconnected` one no disk moves."""

    chapter: ClassVar[str] = "Disks and datastores"
    reason_code: ClassVar[str] = "datastoreMaint"

    @property
    def items(self) -> Items:
        return "disks"

    @property
    def replaces(self) -> str:
        return "datastore-state"

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        stores, state = snapshot.datastores, snapshot.datastores.state.tolist()
        today = snapshot.disks.datastore_idx.tolist()
        for disk, store in enumerate(placement.datastore_idx.tolist()):
            home = today[disk]
            if store < 0:
                continue
            lost = home >= 0 and state[home] == "disconnected" and store != home
            if lost or state[store] == "maintenance" or (state[store] == "disconnected" and store != home):
                who = str(snapshot.vms.name[snapshot.disks.vm_idx[disk]])
                what = f"disk {snapshot.disks.name[disk]} of {who}"
                where = stores.name[home if lost else store]
                way = "cannot leave" if lost else "is on"
                sentence = f"{what} {way} {where}, which is {state[home if lost else store]}"
                yield Violation(self.label, (who,), (), 1.0, "disks", sentence)

    def lower(self, snapshot: Snapshot) -> list[Term]:
        state, home = snapshot.datastores.state, snapshot.disks.datastore_idx
        if (state == "connected").all() or not len(home):
            return []
        mask = np.zeros((2, len(state)), dtype=bool)
        mask[0] = state == "connected"
        lost = np.where(home >= 0, state[home] == "disconnected", False)
        return [Allowed(lost.astype(np.int32), mask, np.where(lost, home, -1).astype(np.int32))]
