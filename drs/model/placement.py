"""Where everything is: the host of each VM and the datastore of each disk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drs.model.snapshot import Bools, Ints, Snapshot


@dataclass(frozen=True)
class Placement:
    """An assignment of VMs to hosts and of disks to datastores, as positions in the snapshot's tables."""

    host_idx: Ints
    """i4[n_vms]; -1: nowhere."""
    datastore_idx: Ints
    """i4[n_disks]; -1: nowhere yet."""

    def __post_init__(self) -> None:
        for name in ("host_idx", "datastore_idx"):
            vector = np.array(getattr(self, name), dtype=np.int32)
            vector.flags.writeable = False
            object.__setattr__(self, name, vector)

    @classmethod
    def of(cls, snapshot: Snapshot) -> Placement:
        """Where everything is today."""
        return cls(snapshot.vms.host_idx, snapshot.disks.datastore_idx)

    def moved(self, other: Placement) -> Bools:
        """Which VMs have another host, or a disk another datastore, in `other`; bool[n_vms] by host only."""
        return np.asarray(self.host_idx != other.host_idx)

    def apply(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot after the moves: hosts, datastores and free space changed, all else as it was.

        But a VM that comes to another cluster leaves its resource pool behind.
        """
        import dataclasses

        pool_idx = snapshot.vms.pool_idx
        inside = (pool_idx >= 0) & (self.host_idx >= 0)
        if inside.any():
            foreign = snapshot.pools.cluster_idx[pool_idx] != snapshot.hosts.cluster_idx[self.host_idx]
            pool_idx = np.where(inside & foreign, -1, pool_idx).astype(np.int32)
        vms = dataclasses.replace(snapshot.vms, host_idx=self.host_idx, pool_idx=pool_idx)
        disks = dataclasses.replace(snapshot.disks, datastore_idx=self.datastore_idx)
        free = snapshot.datastores.free_gib.copy()
        changed = snapshot.disks.datastore_idx != self.datastore_idx
        was, goes = changed & (snapshot.disks.datastore_idx >= 0), changed & (self.datastore_idx >= 0)
        np.add.at(free, snapshot.disks.datastore_idx[was], snapshot.disks.used_gib[was])
        np.subtract.at(free, self.datastore_idx[goes], snapshot.disks.used_gib[goes])
        datastores = dataclasses.replace(snapshot.datastores, free_gib=free)
        return dataclasses.replace(snapshot, vms=vms, disks=disks, datastores=datastores)
