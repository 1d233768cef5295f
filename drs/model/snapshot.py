"""A cluster at one moment: hosts, VMs, disks, datastores, networks, links and load history.

Frozen dataclasses of read-only numpy vectors. Names are numpy string arrays; references to other tables
are positions (`_idx`, -1 for none); a quantity that was not given holds its documented default, NaN where
that default is "unknown". Building one from files or frames, with validation, is `drs.io`'s work.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from drs.model.provenance import UNSAID, Provenance

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]
Names = NDArray[np.str_]

MemoryCounts = Literal["configured", "active", "consumed"]
IDLE_TAX = 0.25
"""Share of a VM's idle consumed memory that counts as in use (DRS's default)."""

AUTOMATION = ("disabled", "manual", "partial", "full")

IDENTITY = ("id", "instance_uuid", "vcenter_id")
"""Columns that say what a platform calls a thing itself; "" where not given. They do not count in a digest."""

LOADS = frozenset(
    {
        "cpu_demand_mhz", "memory_active_mib", "memory_consumed_mib", "dirty_rate_mibps", "working_set_mib",
        "dirtied_1s_mib", "dirtied_10s_mib",
        "used_gib", "write_mibps", "iops", "free_gib", "latency_ms", "loads",
    }
)  # fmt: skip
"""What changes from one minute to the next while nobody moves or configures anything."""


def _owned_for_good(array: NDArray[Any]) -> bool:
    """Whether nobody can write to it any more: read-only, and its memory is its own."""
    return not array.flags.writeable and array.base is None


def _freeze(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if not _owned_for_good(value):
            value = value.copy()
            value.flags.writeable = False
        return value
    if isinstance(value, Mapping):
        return MappingProxyType({key: _freeze(item) for key, item in value.items()})
    return value


class _Frozen:
    """Copies the vectors that it is given, read-only: nobody changes it behind its digest."""

    def __post_init__(self) -> None:
        for column in dataclasses.fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, column.name, _freeze(getattr(self, column.name)))

    def __getstate__(self) -> dict[str, Any]:
        # A mapping proxy cannot be sent to a worker process; a dict can.
        values = ((column.name, getattr(self, column.name)) for column in dataclasses.fields(self))  # type: ignore[arg-type]
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in values}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, _freeze(value))


def _no_names() -> Names:
    return np.empty(0, dtype="<U1")


def _fill(table: HostTable | VmTable | LinkTable, column: str, value: Any) -> None:
    """Give a column that was left out the same value in every row."""
    if len(getattr(table, column)) != len(table):
        object.__setattr__(table, column, np.full(len(table), value))


@dataclass(frozen=True, repr=False)
class _Columns(_Frozen):
    """Vectors of one length: those that code asks for are fields, all others stand in `more`."""

    _: KW_ONLY
    more: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Columns of the snapshot format that have no field, by their attribute in `columns.csv`."""

    def value(self, attribute: str) -> NDArray[Any] | None:
        """A column by its attribute in `columns.csv`, whether it has a field or not; None where it is not there."""
        return self.more[attribute] if attribute in self.more else getattr(self, attribute, None)

    def columns(self) -> Iterator[tuple[str, Any]]:
        """(name, vector) of each column; a resource mapping yields one column per resource."""
        for column in dataclasses.fields(self):
            value = getattr(self, column.name)
            if isinstance(value, Mapping):
                for key in sorted(value):
                    yield f"{key}_{column.name}", value[key]
            else:
                yield column.name, value


class _Table(_Columns):
    """Rows with a name each."""

    name: Names

    def __post_init__(self) -> None:
        for column in IDENTITY:
            if hasattr(self, column) and len(getattr(self, column)) != len(self.name):
                object.__setattr__(self, column, np.full(len(self.name), "", dtype="<U1"))
        super().__post_init__()

    def __len__(self) -> int:
        return len(self.name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} rows>"

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Name to position."""
        return {str(name): i for i, name in enumerate(self.name)}


@dataclass(frozen=True, repr=False)
class ClusterTable(_Table):
    """Clusters, shape (n_clusters,)."""

    name: Names
    site: Names
    vcenter: Names
    evc_mode: Names
    """VMware's key, "" for none."""
    ha_failover_hosts: Ints
    cpu_overcommit_ratio: Floats
    """CPU demand allowed per MHz of capacity, default 1."""
    automation: Names
    migration_threshold: Ints
    id: Names = field(default_factory=_no_names)
    """Object id at the platform."""


@dataclass(frozen=True, repr=False)
class HostTable(_Table):
    """Hosts, shape (n_hosts,)."""

    name: Names
    cluster_idx: Ints
    cpu_mhz: Floats
    memory_mib: Floats
    cpu_reserved_mhz: Floats
    memory_reserved_mib: Floats
    cpu_cores: Floats
    cpu_vendor: Names
    evc_max: Names
    state: Names
    rack: Names
    site: Names
    vcenter: Names
    vmotion_mbps: Floats
    hypervisor: Names
    power_idle_w: Floats
    power_max_w: Floats
    capacity: Mapping[str, Floats] = field(default_factory=dict)
    """Further resources by name: `<name>_capacity` columns."""
    sender_mbps: Floats = field(default_factory=lambda: np.empty(0))
    """What the host's CPU can send, shared by all migrations that leave it; inf for no limit. Not given: none."""

    id: Names = field(default_factory=_no_names)
    """Object id at the platform."""
    vcenter_id: Names = field(default_factory=_no_names)
    """Instance UUID of the manager."""

    def __post_init__(self) -> None:
        _fill(self, "sender_mbps", np.inf)
        super().__post_init__()


@dataclass(frozen=True, repr=False)
class VmTable(_Table):
    """VMs, shape (n_vms,)."""

    name: Names
    host_idx: Ints
    """Where it runs (or is registered, when powered off); -1 for not yet placed."""
    memory_mib: Floats
    cpu_demand_mhz: Floats
    vcpus: Floats
    memory_active_mib: Floats
    """NaN where not given."""
    memory_consumed_mib: Floats
    """NaN where not given."""
    cpu_reservation_mhz: Floats
    cpu_limit_mhz: Floats
    """inf for none."""
    cpu_shares: Floats
    memory_reservation_mib: Floats
    memory_limit_mib: Floats
    """inf for none."""
    memory_shares: Floats
    evc_mode: Names
    """Baseline that the VM was powered on with; "" for unknown."""
    power: Names
    automation: Names
    """"" for the cluster's."""
    dirty_rate_mibps: Floats
    """NaN where not measured."""
    working_set_mib: Floats
    """NaN where not measured."""
    downtime_budget_ms: Floats
    """NaN for none."""
    gpus: Floats
    demand: Mapping[str, Floats] = field(default_factory=dict)
    """Demand for the hosts' further resources: `<name>_demand` columns."""
    pool_idx: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    """The resource pool; -1 for none: the VM is a child of its cluster itself. Not given: none for all."""
    dirtied_1s_mib: Floats = field(default_factory=lambda: np.empty(0))
    """NaN where not measured. Not given: nowhere."""
    dirtied_10s_mib: Floats = field(default_factory=lambda: np.empty(0))
    """NaN where not measured. Not given: nowhere."""

    on_maintenance: Names = field(default_factory=lambda: np.empty(0, dtype="U9"))
    """`migrate`, or `shut-down` with its host. Not given: `migrate` for all."""
    home_idx: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    """Where it belongs; -1 for no matter where. Not given: no matter where for all."""
    id: Names = field(default_factory=_no_names)
    """Object id at the platform."""
    instance_uuid: Names = field(default_factory=_no_names)
    """What the VM keeps wherever it goes."""

    def __post_init__(self) -> None:
        _fill(self, "pool_idx", np.int32(-1))
        _fill(self, "dirtied_1s_mib", np.nan)
        _fill(self, "dirtied_10s_mib", np.nan)
        _fill(self, "home_idx", np.int32(-1))
        _fill(self, "on_maintenance", "migrate")
        super().__post_init__()

    @cached_property
    def on(self) -> Bools:
        """Powered-on VMs, bool[n_vms]: only these use CPU, memory and other host resources."""
        return np.asarray(self.power != "off")


@dataclass(frozen=True, repr=False)
class PoolTable(_Table):
    """Resource pools, shape (n_pools,). A pool divides what it gets among its VMs and the pools below it."""

    name: Names
    parent_idx: Ints
    """The pool above it; -1 for a pool right below its cluster."""
    cluster_idx: Ints
    cpu_reservation_mhz: Floats
    cpu_limit_mhz: Floats
    """inf for none."""
    cpu_shares: Floats
    cpu_expandable: Names
    """"yes" where it may reserve more than its own reservation, from what its parent has left; or "no"."""
    memory_reservation_mib: Floats
    memory_limit_mib: Floats
    """inf for none."""
    memory_shares: Floats
    memory_expandable: Names
    id: Names = field(default_factory=_no_names)
    """Object id at the platform."""

    @classmethod
    def none(cls) -> PoolTable:
        """No pools."""
        text, number, idx = np.empty(0, "<U1"), np.empty(0), np.empty(0, np.int32)
        return cls(text, idx, idx, number, number, number, text, number, number, number, text)


@dataclass(frozen=True, repr=False)
class DiskTable(_Table):
    """Virtual disks, shape (n_disks,)."""

    name: Names
    vm_idx: Ints
    datastore_idx: Ints
    size_gib: Floats
    used_gib: Floats
    """The size where not given."""
    write_mibps: Floats
    iops: Floats


@dataclass(frozen=True, repr=False)
class DatastoreTable(_Table):
    """Datastores, shape (n_datastores,)."""

    name: Names
    capacity_gib: Floats
    free_gib: Floats
    datastore_cluster: Names
    latency_ms: Floats
    iops_capacity: Floats
    state: Names
    replica_of_idx: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    """The datastore whose content this one holds a copy of; -1 for none. Not given: none for all."""
    id: Names = field(default_factory=_no_names)
    """Object id at the platform."""

    def __post_init__(self) -> None:
        if len(self.replica_of_idx) != len(self.name):
            object.__setattr__(self, "replica_of_idx", np.full(len(self.name), -1, dtype=np.int32))
        super().__post_init__()

    @cached_property
    def usable(self) -> Bools:
        """Where disks may be put, bool[n_datastores]: connected, and no copy of another datastore."""
        return np.asarray((self.state == "connected") & (self.replica_of_idx < 0))


@dataclass(frozen=True, repr=False)
class LinkTable(_Columns):
    """Links of the network, shape (n_links,). Ends are hosts or any other names (switches, routers)."""

    a: Names
    b: Names
    bandwidth_mbps: Floats
    latency_ms: Floats
    """One way."""
    loss_ratio: Floats
    shared_mbps: Floats
    """Taken by other traffic."""
    mtu_bytes: Floats = field(default_factory=lambda: np.empty(0))
    """NaN where not given."""
    congestion_control: Names = field(default_factory=lambda: np.empty(0, dtype=str))
    """"" where not given."""

    def __post_init__(self) -> None:
        _fill(self, "mtu_bytes", np.nan)
        _fill(self, "congestion_control", "")
        super().__post_init__()

    def __len__(self) -> int:
        return len(self.a)

    def __repr__(self) -> str:
        return f"<LinkTable: {len(self)} rows>"


@dataclass(frozen=True, repr=False)
class LoadHistory(_Frozen):
    """Load of the VMs over time; NaN where a VM has no sample."""

    time: NDArray[np.datetime64]
    """datetime64[s], ascending, shape (n_times,)."""
    cpu_mhz: NDArray[np.float32]
    """Shape (n_times, n_vms)."""
    memory_active_mib: NDArray[np.float32]
    """Shape (n_times, n_vms)."""

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        return f"<LoadHistory: {len(self)} times of {self.cpu_mhz.shape[1]} VMs>"


@dataclass(frozen=True)
class Snapshot(_Frozen):
    """A cluster at one moment. Immutable; `dataclasses.replace` makes a changed copy."""

    hosts: HostTable
    vms: VmTable
    clusters: ClusterTable
    disks: DiskTable
    datastores: DatastoreTable
    links: LinkTable
    mounts: Bools
    """Which host sees which datastore, shape (n_hosts, n_datastores)."""
    networks: Names
    """Names of the networks, shape (n_networks,)."""
    portgroups: Bools
    """Which host offers which network, shape (n_hosts, n_networks)."""
    nic_vm_idx: Ints
    """Shape (n_nics,): the VM of each virtual NIC."""
    nic_network_idx: Ints
    """Shape (n_nics,): its network."""
    loads: LoadHistory | None = None
    pools: PoolTable = field(default_factory=PoolTable.none)
    name: str = ""
    taken_at: str = ""
    description: str = ""
    source: str = ""
    provenance: Provenance = UNSAID
    """Where the demand of the VMs comes from, as far as it was said."""
    memory_counts: MemoryCounts = "configured"
    """Which memory of a VM is its demand: a choice of the policy (`memory`), not a fact of the cluster."""

    def __repr__(self) -> str:
        sizes = f"{self.n_hosts} hosts, {self.n_vms} VMs, {len(self.disks)} disks"
        return f"<Snapshot {self.name!r}: {sizes}, digest {self.digest}>"

    @property
    def n_hosts(self) -> int:
        """How many hosts."""
        return len(self.hosts)

    @property
    def n_vms(self) -> int:
        """How many VMs."""
        return len(self.vms)

    @cached_property
    def resources(self) -> tuple[str, ...]:
        """Names of the host resources: cpu, memory and every further `<name>_capacity`."""
        return ("cpu", "memory", *sorted(self.hosts.capacity))

    def capacity(self, resource: str) -> Floats:
        """What VMs may use on each host, f8[n_hosts]: the total less the hypervisor's own reserve, and of that the
        share that a derated host may use (column `derate_ratio`)."""
        hosts = self.hosts
        if resource == "cpu":
            whole = hosts.cpu_mhz - hosts.cpu_reserved_mhz
        elif resource == "memory":
            whole = hosts.memory_mib - hosts.memory_reserved_mib
        else:
            whole = hosts.capacity[resource]
        derated = hosts.value("derate_ratio")
        return np.asarray(whole if derated is None or resource not in ("cpu", "memory") else whole * derated)

    def demand(self, resource: str) -> Floats:
        """What each VM uses of a resource, f8[n_vms]; 0 when it is powered off.

        cpu: `cpu_demand_mhz`; memory: what `memory_counts` says, at first the configured `memory_mib`; gpus,
        where hosts have a `gpus_capacity`: the VM's `gpus`; others: their `<name>_demand` column.
        """
        vms = self.vms
        if resource == "cpu":
            raw = vms.cpu_demand_mhz
        elif resource == "memory" and self.memory_counts == "active":
            raw = self.taxed_mib(self.memory_active_mib)
        elif resource == "memory":
            raw = self.memory_consumed_mib if self.memory_counts == "consumed" else vms.memory_mib
        else:
            raw = vms.demand.get(resource, vms.gpus if resource == "gpus" else np.zeros(len(vms)))
        return np.where(vms.on, raw, 0.0)

    def counting(self, memory: MemoryCounts) -> Snapshot:
        """The same cluster, with another memory of the VMs as their demand."""
        return self if memory == self.memory_counts else dataclasses.replace(self, memory_counts=memory)

    @cached_property
    def memory_consumed_mib(self) -> Floats:
        """Consumed memory, f8[n_vms]; where not measured the configured memory."""
        return np.where(
            np.isnan(self.vms.memory_consumed_mib), self.vms.memory_mib, self.vms.memory_consumed_mib
        )

    def taxed_mib(self, active_mib: NDArray[np.floating]) -> Floats:
        """Active memory with a quarter of the idle consumed memory, as DRS taxes it, f8[..., n_vms]."""
        active = np.minimum(active_mib, self.vms.memory_mib)
        return np.asarray(active + IDLE_TAX * np.maximum(0.0, self.memory_consumed_mib - active))

    def automation_of(self, vm: int) -> str:
        """Automation level of a VM, by its position: its own, else its cluster's, else `full`."""
        own, host = str(self.vms.automation[vm]), int(self.vms.host_idx[vm])
        cluster = int(self.hosts.cluster_idx[host]) if host >= 0 else -1
        return own or (str(self.clusters.automation[cluster]) if cluster >= 0 else "full")

    @cached_property
    def memory_active_mib(self) -> Floats:
        """Active memory, f8[n_vms]; where not measured the consumed, else the configured memory."""
        vms = self.vms
        known = np.where(np.isnan(vms.memory_active_mib), vms.memory_consumed_mib, vms.memory_active_mib)
        return np.where(np.isnan(known), vms.memory_mib, known)

    @cached_property
    def rests_on(self) -> Provenance:
        """Where the demand of the VMs comes from: as it was said, else what the figures show.

        Running VMs that all ask for 0 MHz have no figures of CPU; those without active and consumed memory
        have what is configured.
        """
        vms, said = self.vms, self.provenance
        if not vms.on.any():
            return said
        cpu = said.cpu_demand or (None if vms.cpu_demand_mhz[vms.on].any() else "missing")
        known = ~np.isnan(vms.memory_active_mib) | ~np.isnan(vms.memory_consumed_mib)
        memory = said.memory_demand or (None if known[vms.on].any() else "configured")
        return Provenance(cpu, memory, said.note)

    @cached_property
    def disks_of_vm(self) -> tuple[Ints, Ints]:
        """Disks by VM as CSR: (start[n_vms + 1], disk positions)."""
        order = np.argsort(self.disks.vm_idx, kind="stable").astype(np.int32)
        start = np.searchsorted(self.disks.vm_idx[order], np.arange(self.n_vms + 1)).astype(np.int32)
        return start, order

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, 16 hex digits: cache key, header of result files, line one of a bug report.

        The descriptive fields (name, taken_at, description, source, provenance) and ids do not count.
        """
        return self._digest(frozenset())

    @cached_property
    def structure(self) -> str:
        """The same of placement and configuration alone: it stays as it is while only loads change."""
        return self._digest(LOADS)

    def _digest(self, without: frozenset[str]) -> str:
        digest = hashlib.sha256()

        def feed(label: str, value: Any) -> None:
            array = np.ascontiguousarray(value)
            digest.update(f"{label}:{array.dtype.kind}:{array.shape};".encode())
            if array.dtype.kind in "US":
                digest.update("\0".join(array.ravel().tolist()).encode())
            else:
                digest.update(array.tobytes())

        for table in (self.hosts, self.vms, self.clusters, self.pools, self.disks, self.datastores):
            for label, value in table.columns():
                if label in IDENTITY or label in without:
                    continue
                feed(f"{type(table).__name__}.{label}", value)
        for label, value in self.links.columns():
            feed(f"links.{label}", value)
        for label in ("mounts", "networks", "portgroups", "nic_vm_idx", "nic_network_idx"):
            feed(label, getattr(self, label))
        if self.loads is not None and "loads" not in without:
            feed("loads.time", self.loads.time.astype(np.int64))
            feed("loads.cpu_mhz", self.loads.cpu_mhz)
            feed("loads.memory_active_mib", self.loads.memory_active_mib)
        return digest.hexdigest()[:16]
