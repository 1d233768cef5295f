"""Facts: a cluster at one moment, its network, its CPUs, and where everything runs."""

from drs.model.placement import Placement
from drs.model.snapshot import (
    ClusterTable,
    DatastoreTable,
    DiskTable,
    HostTable,
    LinkTable,
    LoadHistory,
    PoolTable,
    Snapshot,
    VmTable,
)

__all__ = [
    "ClusterTable",
    "DatastoreTable",
    "DiskTable",
    "HostTable",
    "LinkTable",
    "LoadHistory",
    "Placement",
    "PoolTable",
    "Snapshot",
    "VmTable",
]
