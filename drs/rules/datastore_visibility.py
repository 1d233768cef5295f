"""A VM runs only where its datastores are mounted, or where its disks can follow it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs.model import Placement, Snapshot
from drs.rules.base import HostFilter, Judge, Violation, When
from drs.rules.catalogue import rule
from drs.terms import Allowed


@rule("datastore-visibility")
@dataclass(frozen=True)
class DatastoreVisibility(HostFilter):
    """The host sees every datastore of the VM.

    storage_moves : disks may move along: for a host that the VM moves to it is enough that it sees one usable
        datastore with room for all of the VM's disks. Each VM is looked at by itself.
    """

    is_fact: ClassVar[bool] = True
    chapter: ClassVar[str] = "In force without being written down"
    cure: ClassVar[str] = "move the disks of {vms} to where other hosts see them (or storage_moves = true)"
    effort: ClassVar[int] = 4

    default_when: ClassVar[When] = "during"

    _: KW_ONLY
    storage_moves: bool = False

    @property
    def replaces(self) -> str:
        return "datastore-visibility"

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        blind: dict[int, set[int]] = {}
        owners = snapshot.disks.vm_idx.tolist()
        for vm, store in zip(owners, placement.datastore_idx.tolist(), strict=True):
            host = placement.host_idx[vm]
            if host >= 0 and store >= 0 and not snapshot.mounts[host, store]:
                blind.setdefault(vm, set()).add(store)
        for vm, stores in sorted(blind.items()):
            who = str(snapshot.vms.name[vm])
            where = str(snapshot.hosts.name[placement.host_idx[vm]])
            names = ", ".join(str(snapshot.datastores.name[store]) for store in sorted(stores))
            sentence = f"{who} on {where}: it does not see the datastore {names}"
            yield Violation(self.label, (who,), (where,), 1.0, "VMs", sentence)

    def judge(self, snapshot: Snapshot) -> Judge:
        disks, stores = snapshot.disks, snapshot.datastores
        used: dict[int, set[int]] = {}
        size_gib: dict[int, float] = {}
        for vm, store, gib in zip(
            disks.vm_idx.tolist(), disks.datastore_idx.tolist(), disks.used_gib.tolist(), strict=True
        ):
            used.setdefault(vm, set()).add(store)
            size_gib[vm] = size_gib.get(vm, 0.0) + gib
        today = snapshot.vms.host_idx.tolist()
        usable = stores.usable.tolist()

        def why_not(vm: int, host: int) -> str:
            missing = [s for s in sorted(used.get(vm, ())) if s >= 0 and not snapshot.mounts[host, s]]
            if not missing:
                return ""
            names = ", ".join(str(stores.name[s]) for s in missing)
            if not self.storage_moves or host == today[vm]:
                return f"it does not see the datastore {names}"
            for store in range(len(stores)):
                if usable[store] and snapshot.mounts[host, store] and stores.free_gib[store] >= size_gib[vm]:
                    return ""
            return f"it does not see {names}, and no datastore that it sees has {size_gib[vm]:,.0f} GiB free"

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        first, order = snapshot.disks_of_vm
        stores = snapshot.disks.datastore_idx[order].tolist()
        bounds = first.tolist()
        sets = [frozenset(stores[bounds[vm] : bounds[vm + 1]]) - {-1} for vm in range(snapshot.n_vms)]
        rows: dict[frozenset[int], int] = {}
        set_idx = np.array([rows.setdefault(chosen, len(rows)) for chosen in sets], dtype=np.int32)
        mask = np.array(
            [snapshot.mounts[:, sorted(chosen)].all(axis=1) for chosen in rows], dtype=bool
        ).reshape(len(rows), snapshot.n_hosts)
        if mask.all():
            return None
        if not self.storage_moves:
            return Allowed(set_idx, mask)
        room_gib = np.where(snapshot.mounts & snapshot.datastores.usable,
                            snapshot.datastores.free_gib, -np.inf).max(axis=1, initial=-np.inf)  # fmt: skip
        size_gib = np.bincount(
            snapshot.disks.vm_idx, weights=snapshot.disks.used_gib, minlength=snapshot.n_vms
        )
        steps = np.unique(room_gib)
        level = np.searchsorted(steps, size_gib)
        pairs, class_idx = np.unique(set_idx.astype(np.int64) * (len(steps) + 1) + level, return_inverse=True)
        least = np.append(steps, np.inf)[pairs % (len(steps) + 1)]
        wide = mask[pairs // (len(steps) + 1)] | (room_gib[None, :] >= least[:, None])
        class_idx = class_idx.reshape(-1).astype(np.int32)
        # Disks follow a VM that moves; one that stays where it does not see its disks stays broken.
        home = snapshot.vms.host_idx
        blind = (home >= 0) & ~mask[set_idx, home]
        if blind.any():
            kinds, at = np.unique(np.stack([class_idx, home], axis=1)[blind], axis=0, return_inverse=True)
            strict = wide[kinds[:, 0]]
            strict[np.arange(len(kinds)), kinds[:, 1]] = False
            class_idx[blind] = len(wide) + at.reshape(-1)
            wide = np.vstack([wide, strict])
        return None if wide.all() else Allowed(class_idx, wide)
