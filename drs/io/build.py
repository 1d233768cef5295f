"""Unread cells to a `Snapshot`: every cell checked, every reference resolved, all faults told together."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from drs.io.columns import (
    OPEN_COLUMNS,
    RESERVED_RESOURCES,
    TABLES_REQUIRED,
    keys,
    open_column,
    tables,
)
from drs.io.pools import build_pools, check_clusters
from drs.io.raw import Faults, InputWarning, RawTable
from drs.io.reader import Reader, as_names, more_of, positions, table_of
from drs.model.cpu import BASELINES, compatible, vendor_of
from drs.model.provenance import UNSAID, Provenance
from drs.model.snapshot import (
    Bools,
    ClusterTable,
    DatastoreTable,
    DiskTable,
    Floats,
    HostTable,
    Ints,
    LinkTable,
    LoadHistory,
    Names,
    Snapshot,
    VmTable,
)


def build(
    raw: Mapping[str, RawTable],
    faults: Faults | None = None,
    *,
    name: str = "",
    taken_at: str = "",
    description: str = "",
    source: str = "",
    provenance: Provenance = UNSAID,
    too_large: bool = False,
) -> Snapshot:
    """Build a snapshot from unread tables.

    Parameters
    ----------
    raw : mapping of str to RawTable
        Table by name; `hosts` and `vms` are required.
    faults : Faults, optional
        What was found at fault before; told together with the rest.
    name, taken_at, description, source : str
        What the snapshot says about itself.
    provenance : Provenance
        Where the figures of demand come from.
    too_large : bool
        Whether a VM may be larger than every host, as one that grew in a scenario; else that is a fault.

    Returns
    -------
    Snapshot
        With every default filled in.

    Raises
    ------
    InputError
        With all faults of all tables.
    """
    faults = Faults() if faults is None else faults
    for table in TABLES_REQUIRED:
        if table not in raw:
            continue
        if not raw[table].n_rows and all(k in raw[table].columns for k in keys(table)):
            faults.add(raw[table].label, "a header and no rows", f"at least one {table.removesuffix('s')}")
    empty = {table: RawTable(table, table, {}) for table in tables()}
    read = {table: Reader(raw.get(table, empty[table]), faults, given=table in raw) for table in tables()}
    # Every column is read first, so that all cells are checked whatever else is wrong.
    for table, reader in read.items():
        if table not in raw:
            continue
        for column in tables()[table].values():
            if column.numeric:
                reader.number(column.column)
            elif column.kind == "evc":
                _check_evc(reader, column.column)
            elif column.kind != "time":
                reader.text(column.column)
        if table != "loads":
            reader.unique()

    clusters = _clusters(read, raw.get("clusters"))
    hosts = _hosts(read, clusters)
    pools, pool_idx = build_pools(read, clusters, hosts)
    vms = _vms(read, clusters, hosts, pool_idx, too_large)
    datastores, disks = _storage(read, raw, vms.name)
    mounts, networks, portgroups, nic_vm_idx, nic_network_idx = _visibility(read, raw, hosts, vms, datastores)
    links = _links(read)
    loads = _loads(read["loads"], read["vms"], vms.name) if "loads" in raw else None
    if not faults:
        check_clusters(read, clusters, hosts, pools, vms)
    faults.raise_if_any()
    return Snapshot(
        hosts=hosts,
        vms=vms,
        clusters=clusters,
        disks=disks,
        datastores=datastores,
        links=links,
        mounts=mounts,
        networks=networks,
        portgroups=portgroups,
        nic_vm_idx=nic_vm_idx,
        nic_network_idx=nic_network_idx,
        loads=loads,
        pools=pools,
        name=name,
        taken_at=taken_at,
        description=description,
        source=source,
        provenance=provenance,
    )


def _check_evc(reader: Reader, column: str) -> None:
    values = reader.text(column)
    strange = {key for key in set(values) if key and key not in BASELINES and not key.startswith("custom")}
    if not strange:
        return
    labels = {baseline.label.casefold(): key for key, baseline in BASELINES.items()}
    for row, key in enumerate(values):
        if key in strange:
            label = labels.get(key.casefold())
            hint = f"did you mean {label}?" if label else reader.faults.near(key, BASELINES)
            reader.faults.add(
                reader.raw.where(row, column),
                f"unknown EVC baseline {key!r}",
                tables()[reader.raw.table][column].expected,
                hint,
            )


def _clusters(read: dict[str, Reader], given: RawTable | None) -> ClusterTable:
    """The clusters of the table, then those that only hosts name, with the defaults."""
    reader = read["clusters"]
    names = reader.text("cluster")
    known = set(names)
    added = [name for name in dict.fromkeys(read["hosts"].text("cluster")) if name not in known]
    if given is not None and added and names:
        for name in added:
            hint = reader.faults.near(name, known)
            if hint:
                warnings.warn(
                    f"{given.label} has no cluster {name!r} that a host names; it takes the defaults; {hint}",
                    InputWarning,
                    stacklevel=4,
                )
    n = len(added)

    found: dict[str, Any] = {"name": as_names([*names, *added])}
    for column in tables()["clusters"].values():
        if column.numeric:
            numbers = np.concatenate([reader.number(column.column), np.full(n, column.default_number)])
            found[column.attribute] = (
                np.nan_to_num(numbers).astype(np.int32) if column.kind == "integer" else numbers
            )
        elif not column.key:
            texts = [*reader.text(column.column), *[column.default_text] * n]
            found[column.attribute] = as_names(texts)
    own = {each.name for each in dataclasses.fields(ClusterTable)}
    more = more_of("clusters", found, own)
    return ClusterTable(**{key: value for key, value in found.items() if key in own}, more=more)


def _hosts(read: dict[str, Reader], clusters: ClusterTable) -> HostTable:
    reader = read["hosts"]
    position = positions(clusters.name.tolist())
    cluster_idx = np.array([position[name] for name in reader.text("cluster")], dtype=np.int32).reshape(
        reader.n
    )
    evc_max = reader.text("evc_max")
    vendors = [given or vendor_of(key) for given, key in zip(reader.text("cpu_vendor"), evc_max, strict=True)]
    where = reader.raw.where
    for row, (vendor, key) in enumerate(zip(vendors, evc_max, strict=True)):
        mode = str(clusters.evc_mode[cluster_idx[row]])
        if key in BASELINES and vendor != vendor_of(key):
            reader.faults.add(where(row, "evc_max"), f"{key} on a CPU of {vendor}", f"a baseline of {vendor}")
        elif mode in BASELINES and key in BASELINES and not compatible(mode, key):
            reader.faults.add(
                where(row, "evc_max"),
                f"{key}",
                f"a host that supports {mode}, the evc_mode of its cluster {clusters.name[cluster_idx[row]]}",
            )
        elif mode in BASELINES and vendor and vendor != vendor_of(mode):
            reader.faults.add(
                where(row, "cpu_vendor"),
                vendor,
                f"{vendor_of(mode)}, as the evc_mode {mode} of its "
                f"cluster {clusters.name[cluster_idx[row]]} needs",
            )
    for total in ("cpu_mhz", "memory_mib"):
        reserved = total.replace("_", "_reserved_")
        with np.errstate(invalid="ignore"):
            holds = ~(reader.number(reserved) >= reader.number(total))
        reader.require(
            holds,
            reserved,
            lambda row, r=reserved: f"{reader.number(r)[row]:.10g}",
            lambda row, t=total: f"less than its {t} of {reader.number(t)[row]:.10g}",
        )
    reader.not_above("power_idle_w", "power_max_w")
    capacity = {}
    for column in reader.raw.columns:
        if open_column("hosts", column):
            resource = column.removesuffix(OPEN_COLUMNS["hosts"])
            _check_resource(reader, column, resource)
            capacity[resource] = reader.number(column)

    def inherited(column: str) -> Names:
        of_cluster = getattr(clusters, column)[cluster_idx].tolist()
        return as_names([own or theirs for own, theirs in zip(reader.text(column), of_cluster, strict=True)])

    return table_of(
        HostTable,
        read,
        "hosts",
        cluster_idx=cluster_idx,
        cpu_vendor=as_names(vendors),
        site=inherited("site"),
        vcenter=inherited("vcenter"),
        capacity=capacity,
    )


def _check_resource(reader: Reader, column: str, resource: str) -> None:
    if resource in RESERVED_RESOURCES:
        reader.faults.add(
            f"{reader.raw.label}, header",
            f"the column {column}",
            f"the {resource} in its own columns (hosts: {RESERVED_RESOURCES[resource]})",
        )


def _vms(
    read: dict[str, Reader], clusters: ClusterTable, hosts: HostTable, pool_idx: Ints, too_large: bool
) -> VmTable:
    reader, faults = read["vms"], read["vms"].faults
    host_idx = reader.refer("host", read["hosts"])
    vcpus, memory = reader.number("vcpus"), reader.number("memory_mib")
    cpu_demand = reader.number("cpu_demand_mhz")
    reader.not_above("cpu_reservation_mhz", "cpu_limit_mhz")
    reader.not_above("memory_reservation_mib", "memory_limit_mib")
    reader.not_above("memory_reservation_mib", "memory_mib")
    demand = {}
    for column in reader.raw.columns:
        if open_column("vms", column):
            resource = column.removesuffix(OPEN_COLUMNS["vms"])
            _check_resource(reader, column, resource)
            if resource not in hosts.capacity and resource not in RESERVED_RESOURCES:
                faults.add(
                    f"{reader.raw.label}, header",
                    f"the column {column}, but no host has {resource}_capacity",
                    f"a column {resource}_capacity in the table hosts",
                    faults.near(f"{resource}_capacity", [f"{name}_capacity" for name in hosts.capacity]),
                )
            demand[resource] = reader.number(column)

    if len(hosts) and not too_large:
        ratio = clusters.cpu_overcommit_ratio[hosts.cluster_idx]
        cpu = hosts.cpu_mhz - hosts.cpu_reserved_mhz
        room = {
            "memory_mib": (memory, hosts.memory_mib - hosts.memory_reserved_mib, "memory for VMs"),
            "cpu_demand_mhz": (cpu_demand, cpu * ratio, "CPU for VMs"),
            "cpu_reservation_mhz": (reader.number("cpu_reservation_mhz"), cpu, "CPU for VMs"),
            **(
                {"gpus": (reader.number("gpus"), hosts.capacity["gpus"], "gpus_capacity")}
                if "gpus" in hosts.capacity and "gpus" not in demand
                else {}
            ),
            **{
                f"{resource}_demand": (need, hosts.capacity[resource], f"{resource}_capacity")
                for resource, need in demand.items()
                if resource in hosts.capacity
            },
        }
        for column, (need, offered, what) in room.items():
            if np.isnan(offered).any():
                continue
            largest = int(np.argmax(offered))
            with np.errstate(invalid="ignore"):
                fits = ~(need > offered[largest])
            limit = f"at most {offered[largest]:.10g}, the {what} of the largest host {hosts.name[largest]}"
            reader.require(
                fits,
                column,
                lambda row, need=need: f"{need[row]:.10g}, more than every host has",
                lambda row, limit=limit: limit,
            )

    def derived(column: str, default: Floats) -> Floats:
        values = reader.number(column)
        return np.where(np.isnan(values), default, values)

    return table_of(
        VmTable,
        read,
        "vms",
        host_idx=host_idx,
        cpu_shares=derived("cpu_shares", 1000 * vcpus),
        memory_shares=derived("memory_shares", 10 * memory),
        demand=demand,
        pool_idx=pool_idx,
        on_maintenance=reader.names("on_maintenance"),
        home_idx=reader.refer("home", read["hosts"]),
    )


def _storage(
    read: dict[str, Reader], raw: Mapping[str, RawTable], vm_names: Names
) -> tuple[DatastoreTable, DiskTable]:
    stores, disks = read["datastores"], read["disks"]
    stores.not_above("free_gib", "capacity_gib")
    replica_of = np.full(stores.n, -1, dtype=np.int32)
    if any(stores.text("replica_of")):
        replica_of = stores.refer("replica_of", stores)
        original = np.where(replica_of >= 0, replica_of[np.maximum(replica_of, 0)] < 0, True)
        stores.require(
            original,
            "replica_of",
            lambda row: f"{stores.text('replica_of')[row]!r}, a replica itself",
            lambda row: "a datastore that is no replica",
        )
    vm_idx = disks.refer("vm", read["vms"])
    store_idx = disks.refer("datastore", stores)
    size, used = disks.number("size_gib"), disks.number("used_gib")
    disks.not_above("used_gib", "size_gib")
    used = np.where(np.isnan(used), size, used)
    capacity = stores.number("capacity_gib")
    taken = np.zeros(stores.n)
    known = store_idx >= 0
    np.add.at(taken, store_idx[known], used[known])
    free = stores.number("free_gib")
    free = np.where(np.isnan(free), np.maximum(capacity - taken, 0.0), free)
    return (
        table_of(DatastoreTable, read, "datastores", free_gib=free, replica_of_idx=replica_of),
        table_of(DiskTable, read, "disks", vm_idx=vm_idx, datastore_idx=store_idx, used_gib=used),
    )


def _visibility(
    read: dict[str, Reader],
    raw: Mapping[str, RawTable],
    hosts: HostTable,
    vms: VmTable,
    datastores: DatastoreTable,
) -> tuple[Bools, Names, Bools, Ints, Ints]:
    """What each host sees: datastores and networks; and the virtual NICs."""
    mounts = np.ones((len(hosts), len(datastores)), dtype=np.bool_)
    if "mounts" in raw:
        reader = read["mounts"]
        host = reader.refer("host", read["hosts"])
        store = reader.refer("datastore", read["datastores"])
        mounts[:] = False
        known = (host >= 0) & (store >= 0)
        mounts[host[known], store[known]] = True

    nics = read["nics"]
    nic_vm_idx = nics.refer("vm", read["vms"])
    if "portgroups" in raw:
        reader = read["portgroups"]
        networks = [name for name in dict.fromkeys(reader.text("network")) if name]
        network_at = positions(networks)
        nic_network_idx = nics.refer("network", reader)
        host = reader.refer("host", read["hosts"])
        network = np.array([network_at.get(name, -1) for name in reader.text("network")], dtype=np.int32)
        portgroups = np.zeros((len(hosts), len(networks)), dtype=np.bool_)
        known = (host >= 0) & (network.reshape(reader.n) >= 0)
        portgroups[host[known], network[known]] = True
    else:
        networks = [name for name in dict.fromkeys(nics.text("network")) if name]
        network_at = positions(networks)
        nic_network_idx = np.array(
            [network_at.get(name, -1) for name in nics.text("network")], dtype=np.int32
        )
        portgroups = np.ones((len(hosts), len(networks)), dtype=np.bool_)
    return mounts, as_names(networks), portgroups, nic_vm_idx, nic_network_idx.reshape(nics.n)


def _links(read: Mapping[str, Reader]) -> LinkTable:
    reader = read["links"]
    a, b = reader.text("a"), reader.text("b")
    first: dict[tuple[str, str], int] = {}
    for row, (one, other) in enumerate(zip(a, b, strict=True)):
        if one and one == other:
            reader.faults.add(
                reader.raw.where(row, "b"),
                f"{other!r}, the same as its other end a",
                "a link between two different nodes",
            )
        elif (other, one) in first and (one, other) not in first:
            before = reader.raw.where(first[other, one]).split(", ")[-1].split(" (")[0]
            reader.faults.add(
                reader.raw.where(row),
                f"a duplicate a and b: {one!r}, {other!r} the other way round",
                "each link once",
                f"it stood in {before} before",
            )
        first.setdefault((one, other), row)
    reader.not_above("shared_mbps", "bandwidth_mbps")
    return table_of(LinkTable, read, "links")


def _loads(reader: Reader, vms: Reader, vm_names: Names) -> LoadHistory:
    vm_idx = reader.refer("vm", vms)
    seconds = reader.seconds("time")
    times, time_idx = np.unique(seconds, return_inverse=True)
    time_idx = time_idx.reshape(reader.n)
    good = (vm_idx >= 0) & (seconds >= 0)
    cell = time_idx.astype(np.int64) * max(len(vm_names), 1) + vm_idx
    order = np.argsort(cell, kind="stable")
    repeated = order[1:][(np.diff(cell[order]) == 0) & good[order[1:]]]
    for row in np.sort(repeated).tolist():
        reader.faults.add(
            reader.raw.where(row, "time"),
            f"a duplicate vm and time: {str(vm_names[vm_idx[row]])!r}, "
            f"{np.datetime64(int(seconds[row]), 's')}Z",
            "one sample for each vm and time",
        )
    shape = (len(times), len(vm_names))
    history = {}
    for column in ("cpu_mhz", "memory_active_mib"):
        values = np.full(shape, np.nan, dtype=np.float32)
        values[time_idx[good], vm_idx[good]] = reader.number(column)[good].astype(np.float32)
        history[column] = values
    return LoadHistory(time=times.astype("datetime64[s]"), **history)
