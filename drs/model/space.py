"""How full the datastores are: the disks of VMs that are somewhere, and what else lies there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drs.model.placement import Placement
from drs.model.snapshot import Snapshot


def used_gib(snapshot: Snapshot, placement: Placement | None = None) -> NDArray[np.float64]:
    """What is used of each datastore, f8[n_datastores]; above its capacity where more is to lie there than fits.

    The disks of a VM without a host take no space yet. What a datastore holds besides the disks of the snapshot is
    its capacity less what is free less those disks, and stays.

    Parameters
    ----------
    placement : where VMs and disks are; today where not given.
    """
    stores, disks = snapshot.datastores, snapshot.disks
    at = placement or Placement.of(snapshot)

    def held(store_idx: NDArray[np.int32], counts: NDArray[np.bool_]) -> NDArray[np.float64]:
        there = counts & (store_idx >= 0)
        return np.bincount(store_idx[there], weights=disks.used_gib[there], minlength=len(stores)).astype(
            np.float64
        )

    every = held(disks.datastore_idx, np.ones(len(disks), dtype=np.bool_))
    other = np.maximum(0.0, stores.capacity_gib - stores.free_gib - every)
    return other + held(at.datastore_idx, at.host_idx[disks.vm_idx] >= 0)


def overfull(snapshot: Snapshot) -> list[tuple[str, float, float]]:
    """The datastores that hold more than their capacity today: name, GiB used, GiB of capacity."""
    used, capacity = used_gib(snapshot), snapshot.datastores.capacity_gib
    over = np.flatnonzero(used > capacity * (1 + 1e-9) + 1e-6)
    return [(str(snapshot.datastores.name[d]), float(used[d]), float(capacity[d])) for d in over.tolist()]
