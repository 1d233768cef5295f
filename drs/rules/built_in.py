"""The rules that hold in every cluster without being written down."""

from __future__ import annotations

from typing import Literal

from drs.model import Snapshot
from drs.rules.base import Rule
from drs.rules.capacity import HostCapacity
from drs.rules.datastore_visibility import DatastoreVisibility
from drs.rules.evc import Evc
from drs.rules.host_state import HostState
from drs.rules.local_devices import LocalDevices
from drs.rules.migration_scope import MigrationScope
from drs.rules.network_visibility import NetworkVisibility


def default_rules(
    snapshot: Snapshot,
    migration_scope: Literal["cluster", "vcenter", "any"] = "cluster",
    storage_moves: bool = False,
) -> tuple[Rule, ...]:
    """Capacity of every resource, EVC, datastores, networks, reach of migrations, host state, devices."""
    return (
        *(HostCapacity(r, tolerates_overcommit=r == "memory") for r in snapshot.resources),
        Evc(),
        DatastoreVisibility(storage_moves=storage_moves),
        NetworkVisibility(),
        MigrationScope(scope=migration_scope),
        HostState(),
        LocalDevices(),
    )
