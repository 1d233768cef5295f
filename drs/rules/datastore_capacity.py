"""No datastore fuller than it may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs.model import Placement, Snapshot
from drs.rules.base import Items, Rule, Violation, When
from drs.rules.catalogue import rule
from drs.rules.fields import PartShare
from drs.terms import Capacity, Term
from drs.terms.base import Floats


@rule("datastore-capacity")
@dataclass(frozen=True)
class DatastoreCapacity(Rule):
    """The space used on each datastore is at most `max_ratio` of its capacity.

    What is used there and is no disk of the snapshot counts too.

    max_ratio : share of the capacity; Storage DRS acts at 0.8
    """

    chapter: ClassVar[str] = "Disks and datastores"
    reason_code: ClassVar[str] = "datastoreSpaceOutage"

    default_when: ClassVar[When] = "during"
    _: KW_ONLY
    max_ratio: PartShare = 1.0

    @property
    def items(self) -> Items:
        return "disks"

    @property
    def replaces(self) -> str:
        return "datastore-capacity"

    def _limit(self, snapshot: Snapshot) -> Floats:
        """GiB that the snapshot's disks may take, f8[n_datastores]."""
        stores, disks = snapshot.datastores, snapshot.disks
        placed = disks.datastore_idx >= 0
        known = np.bincount(
            disks.datastore_idx[placed], weights=disks.used_gib[placed], minlength=len(stores)
        )
        other = np.maximum(0.0, stores.capacity_gib - stores.free_gib - known)
        return np.maximum(0.0, self.max_ratio * stores.capacity_gib - other)

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        stores, limit, used = snapshot.datastores, self._limit(snapshot), [0.0] * len(snapshot.datastores)
        sizes = snapshot.disks.used_gib.tolist()
        for store, gib in zip(placement.datastore_idx.tolist(), sizes, strict=True):
            if store >= 0:
                used[store] += gib
        for store, gib in enumerate(used):
            excess = gib - float(limit[store])
            if excess > 1e-9 * max(1.0, gib):
                name = str(stores.name[store])
                vms = {
                    int(snapshot.disks.vm_idx[d]) for d in np.flatnonzero(placement.datastore_idx == store)
                }
                yield Violation(
                    self.label,
                    tuple(str(snapshot.vms.name[vm]) for vm in sorted(vms)),
                    (),
                    excess,
                    "GiB",
                    f"the disks on {name} take {gib:,.0f} GiB; {limit[store]:,.0f} GiB are there for them",
                )

    def lower(self, snapshot: Snapshot) -> list[Term]:
        return [Capacity("space", np.asarray(snapshot.disks.used_gib), self._limit(snapshot))]

    def scale(self, snapshot: Snapshot) -> float:
        capacity = snapshot.datastores.capacity_gib
        return float(capacity.mean()) if len(capacity) and capacity.any() else 1.0
