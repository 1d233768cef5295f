"""The catalogue of rules: one file per rule, each found in `RULES` by the type it has in `rules.toml`."""

from drs.rules.automation import Automation
from drs.rules.base import HostFilter, Rule, Violation
from drs.rules.built_in import default_rules
from drs.rules.capacity import HostCapacity
from drs.rules.catalogue import RULES
from drs.rules.confine import Confine
from drs.rules.datastore_capacity import DatastoreCapacity
from drs.rules.datastore_state import DatastoreState
from drs.rules.datastore_visibility import DatastoreVisibility
from drs.rules.dependency import Dependency
from drs.rules.disks_together import DisksTogether
from drs.rules.evc import Evc
from drs.rules.failover import Failover
from drs.rules.host_state import HostState
from drs.rules.keep_apart import KeepApart
from drs.rules.keep_together import KeepTogether
from drs.rules.latency import Latency
from drs.rules.local_devices import LocalDevices
from drs.rules.max_vms import MaxVms
from drs.rules.migration_scope import MigrationScope
from drs.rules.move_limit import MoveLimit
from drs.rules.network_visibility import NetworkVisibility
from drs.rules.never_with import NeverWith
from drs.rules.not_run_on import NotRunOn
from drs.rules.on_datastores import OnDatastores
from drs.rules.pinned import Pinned
from drs.rules.quorum import Quorum
from drs.rules.run_on import RunOn
from drs.rules.spread import Spread
from drs.rules.vcpu_ratio import VcpuRatio

__all__ = [
    "RULES",
    "Automation",
    "Confine",
    "DatastoreCapacity",
    "DatastoreState",
    "DatastoreVisibility",
    "Dependency",
    "DisksTogether",
    "Evc",
    "Failover",
    "HostCapacity",
    "HostFilter",
    "HostState",
    "KeepApart",
    "KeepTogether",
    "Latency",
    "LocalDevices",
    "MaxVms",
    "MigrationScope",
    "MoveLimit",
    "NetworkVisibility",
    "NeverWith",
    "NotRunOn",
    "OnDatastores",
    "Pinned",
    "Quorum",
    "Rule",
    "RunOn",
    "Spread",
    "VcpuRatio",
    "Violation",
    "default_rules",
]
