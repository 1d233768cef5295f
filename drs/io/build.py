"""Unread cells to a `Snapshot`: every cell checked, every reference resolved, all faults told together."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from drs.io.columns import (
    OPEN_COLUMNS,
    RESERVED_RESOURCES,
    TABLES_REQUIRED,
    Column,
    keys,
    open_column,
    tables,
)
from drs.io.pools import build_pools, check_clusters
from drs.io.raw import Faults, InputWarning, RawTable
from drs.model.cpu import BASELINES, compatible, vendor_of
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

NAME_PATTERN = r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
"""No blanks around a name and no control characters in it."""

LARGEST = 1e15
"""No number may be larger: sums and products of such numbers stay exact enough, and finite."""

TARGETS = {"hosts": "host", "vms": "vm", "pools": "pool", "datastores": "datastore", "portgroups": "network"}
"""The column of a table that others refer to."""


@cache
def _adapter(kind: str, bounds: str, choices: tuple[str, ...]) -> Any:
    """Pydantic's validator of a whole column; None is allowed everywhere."""
    from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter

    item: Any
    if kind in ("number", "integer"):
        low, high, open_low = Column("", "", "", False, "", "number", "", "", bounds, (), "", "").limits
        limits: dict[str, Any] = {}
        if math.isfinite(low):
            limits["gt" if open_low else "ge"] = low
        limits["le"] = min(high, LARGEST)
        if kind == "integer":
            item = Annotated[int, Field(**limits)]
        else:
            item = Annotated[float, Field(allow_inf_nan=False, **limits)]
    elif kind == "choice":
        item = Literal[choices]
    else:
        item = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    return TypeAdapter(list[item | None], config=ConfigDict(coerce_numbers_to_str=True))


def _given(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _hint_for(column: Column, value: object, faults: Faults) -> str:
    """The likely cure for a cell that cannot be read."""
    text = str(value).strip()
    if column.numeric:
        if re.fullmatch(r"[+-]?\d{1,3}([.,' ]\d{3})*[.,]?\d*", text) and re.search(r"[,' ]", text):
            return "a point before the decimals, and nothing between the thousands"
        if re.fullmatch(r"[+-]?[\d.]+\s*[A-Za-z%/]+", text):
            return "the number alone: the unit is the one of the column"
        if column.default == "unlimited" and re.fullmatch(r"-1(\.0*)?|[+]?inf(inity)?", text, re.IGNORECASE):
            return "leave the cell empty for no limit"
        if re.fullmatch(r"[+-]?(nan|inf|infinity)|n/?a|null|none|-|\?", text, re.IGNORECASE):
            return "leave the cell empty when it is not known" if not column.required else ""
        try:
            return f"nothing is above {LARGEST:g}" if LARGEST < float(text) < math.inf else ""
        except ValueError:
            return ""
    if column.kind == "choice":
        return faults.near(value, column.choices)
    if isinstance(value, str) and value != text:
        return f"did you mean {text!r}?" if text else ""
    return "is a quotation mark not closed?" if "\n" in text else ""


class _Reader:
    """The typed columns of one table; a cell that is at fault counts as not given from there on."""

    def __init__(self, raw: RawTable, faults: Faults, *, given: bool = True) -> None:
        self.raw, self.faults, self.n, self.given = raw, faults, raw.n_rows, given
        self._bad: dict[str, list[int]] = {}
        self._text: dict[str, list[str]] = {}
        self._number: dict[str, Floats] = {}

    def _expected(self, column: Column) -> str:
        """What a cell should hold; without the unit where its origin has another one."""
        if column.column in self.raw.other_unit:
            return column.expected.removesuffix(f", in {column.unit}")
        return column.expected

    def _clean(self, column: Column) -> list[Any]:
        cells = self.raw.columns.get(column.column)
        if cells is None:
            return [None] * self.n
        if column.kind == "time":
            return self._times(column, cells)
        from pydantic import ValidationError

        adapter = _adapter(column.kind, column.bounds, column.choices)
        cured = cells
        try:
            read = adapter.validate_python(cells)
        except ValidationError as error:
            cured = list(cells)
            for one in error.errors(include_url=False, include_context=False, include_input=False):
                row = int(one["loc"][0])
                if cured[row] is None:
                    continue
                cured[row] = None
                self._bad.setdefault(column.column, []).append(row)
                self.faults.add(
                    self.raw.where(row, column.column),
                    _given(cells[row]),
                    self._expected(column),
                    _hint_for(column, cells[row], self.faults),
                )
            read = adapter.validate_python(cured)
        if column.required == "yes":
            for row, value in enumerate(cells):
                if value is None:
                    self._bad.setdefault(column.column, []).append(row)
                    self.faults.add(
                        self.raw.where(row, column.column), "an empty cell", self._expected(column)
                    )
        return list(read)

    def _times(self, column: Column, cells: Sequence[Any]) -> list[Any]:
        """Times as seconds since 1970; each distinct text is read once."""
        times = [value if isinstance(value, str | date) else None for value in cells]
        known = {value: epoch_s(value) for value in dict.fromkeys(times)}
        read = [known[value] for value in times]
        for row, (value, seconds) in enumerate(zip(cells, read, strict=True)):
            if seconds is None:
                hint = ""
                if value is not None and re.fullmatch(r"\d{9,13}(\.\d*)?", str(value)):
                    hint = "it looks like Unix time"
                elif isinstance(value, str) and "/" in value:
                    hint = "year-month-day, with hyphens"
                given = "an empty cell" if value is None else _given(value)
                self.faults.add(self.raw.where(row, column.column), given, column.expected, hint)
        return read

    def text(self, name: str) -> list[str]:
        """A text column, the default filled in."""
        if name not in self._text:
            column = tables()[self.raw.table][name]
            default = column.default_text
            self._text[name] = [default if value is None else value for value in self._clean(column)]
        return self._text[name]

    def names(self, name: str) -> Names:
        """A text column as a numpy array."""
        return as_names(self.text(name))

    def number(self, name: str) -> Floats:
        """A numeric column, the default filled in; NaN where it is derived or unknown."""
        if name not in self._number:
            column = tables()[self.raw.table].get(name) or open_column(self.raw.table, name)
            assert column is not None, name
            values = np.array(self._clean(column), dtype=np.float64).reshape(self.n) + 0.0
            default = column.default_number
            if not math.isnan(default):
                values = np.where(np.isnan(values), default, values)
                values[self._bad.get(name, [])] = np.nan  # so that no other check stumbles over it again
            self._number[name] = values
        return self._number[name]

    def seconds(self, name: str) -> NDArray[np.int64]:
        """A column of times as seconds since 1970; -1 where it is at fault."""
        read = self._clean(tables()[self.raw.table][name])
        return np.array([-1 if value is None else value for value in read], dtype=np.int64).reshape(self.n)

    def refer(self, name: str, target: _Reader) -> Ints:
        """Positions of the names of a column in another table; -1 for an empty cell.

        An unknown name is a fault, unless the other table has its own fault where the name may have been.
        """
        column = tables()[self.raw.table][name]
        what, values = TARGETS[column.refers_to], self.text(name)
        if not target.given and self.n:
            if column.refers_to not in TABLES_REQUIRED:
                self.faults.add(
                    self.raw.where(None, name),
                    f"there is no table {column.refers_to} to look them up in",
                    f"a table {column.refers_to} that names each {what}",
                )
            return np.full(self.n, -1, dtype=np.int32)
        known, lost = target.positions, target.lost_names
        found = np.array([known.get(value, -1) for value in values], dtype=np.int32).reshape(self.n)
        for row in np.flatnonzero(found < 0).tolist():
            if values[row] and lost is not None and values[row] not in lost:
                self.faults.add(
                    self.raw.where(row, name),
                    f"unknown {what} {values[row]!r}",
                    column.expected,
                    self.faults.near(values[row], known),
                )
        return found

    @property
    def positions(self) -> dict[str, int]:
        """Position of each name that other tables refer to."""
        names = self.text(TARGETS[self.raw.table])
        if self.raw.table == "portgroups":  # a network has a row for each host
            names = [name for name in dict.fromkeys(names) if name]
        return _positions(names)

    @property
    def lost_names(self) -> set[str] | None:
        """Names that stand in this table but cannot be read; None when nobody can say which."""
        column = TARGETS[self.raw.table]
        cells = self.raw.columns.get(column)
        if not cells or (self.n > 0 and self._bad.get(column) and any(cell is None for cell in cells)):
            return None
        return self.raw.lost | {str(cells[row]).strip() for row in self._bad.get(column, ())}

    def unique(self) -> None:
        """A fault for every row whose key stood before."""
        names = keys(self.raw.table)
        if any(name not in self.raw.columns for name in names):
            return
        cells = list(zip(*(self.text(name) for name in names), strict=True))
        if len(set(cells)) == len(cells):
            return
        first: dict[tuple[str, ...], int] = {}
        for row, key in enumerate(cells):
            if all(key[i] == "" for i in range(len(key))) or first.setdefault(key, row) == row:
                continue
            before = self.raw.where(first[key]).split(", ")[-1].split(" (")[0]
            self.faults.add(
                self.raw.where(row, names[-1] if len(names) == 1 else None),
                f"a duplicate {' and '.join(names)}: {', '.join(map(repr, key))}",
                f"each {' and '.join(names)} once",
                f"it stood in {before} before",
            )

    def require(self, holds: Bools, column: str, given: Any, expected: Any, hint: str = "") -> None:
        """A fault for each row where a condition does not hold; `given` and `expected` take a row."""
        for row in np.flatnonzero(~holds).tolist():
            self.faults.add(self.raw.where(row, column), given(row), expected(row), hint)

    def not_above(
        self, low: str, high: str, values: Floats | None = None, bound: Floats | None = None
    ) -> None:
        """A fault for each row where the column `low` is above the column `high`."""
        less = self.number(low) if values is None else values
        more = self.number(high) if bound is None else bound
        with np.errstate(invalid="ignore"):
            holds = ~(less > more)
        self.require(
            holds, low, lambda row: f"{less[row]:.10g}", lambda row: f"at most its {high} of {more[row]:.10g}"
        )


def epoch_s(value: object) -> int | None:
    """Seconds since 1970 of an ISO 8601 text, a datetime or a date; None when it is none."""
    moment: datetime
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day)
    elif isinstance(value, str) and re.match(r"\d{4}-?\d{2}-?\d{2}(\D|$)", value):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
    else:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = math.floor(moment.timestamp())
    return seconds if seconds >= 0 else None


def as_names(values: Iterable[str]) -> Names:
    """A numpy string array, also of nothing."""
    listed = list(values)
    return np.array(listed, dtype=np.str_) if listed else np.empty(0, dtype="<U1")


def _positions(names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for i, name in enumerate(names):
        found.setdefault(name, i)
    return found


def build(
    raw: Mapping[str, RawTable],
    faults: Faults | None = None,
    *,
    name: str = "",
    taken_at: str = "",
    description: str = "",
    source: str = "",
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
    read = {table: _Reader(raw.get(table, empty[table]), faults, given=table in raw) for table in tables()}
    # Every column is read first, so that all cells are checked whatever else is wrong.
    for table, reader in read.items():
        if table not in raw:
            continue
        for column in tables()[table].values():
            if column.numeric:
                reader.number(column.column)
            elif column.kind != "time":
                reader.text(column.column)
        if table != "loads":
            reader.unique()

    clusters = _clusters(read, raw.get("clusters"))
    hosts = _hosts(read, clusters)
    pools, pool_idx = build_pools(read, clusters, hosts)
    vms = _vms(read, clusters, hosts, pool_idx)
    datastores, disks = _storage(read, raw, vms.name)
    mounts, networks, portgroups, nic_vm_idx, nic_network_idx = _visibility(read, raw, hosts, vms, datastores)
    links = _links(read["links"])
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
    )


def _check_evc(reader: _Reader, column: str) -> None:
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


def _clusters(read: dict[str, _Reader], given: RawTable | None) -> ClusterTable:
    """The clusters of the table, then those that only hosts name, with the defaults."""
    reader = read["clusters"]
    _check_evc(reader, "evc_mode")
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

    def text(column: str) -> Names:
        return as_names([*reader.text(column), *[tables()["clusters"][column].default_text] * n])

    def number(column: str) -> Floats:
        return np.concatenate(
            [reader.number(column), np.full(n, tables()["clusters"][column].default_number)]
        )

    def integer(column: str) -> Ints:
        return np.nan_to_num(number(column)).astype(np.int32)

    return ClusterTable(
        name=as_names([*names, *added]),
        site=text("site"),
        vcenter=text("vcenter"),
        evc_mode=text("evc_mode"),
        ha_failover_hosts=integer("ha_failover_hosts"),
        cpu_overcommit_ratio=number("cpu_overcommit_ratio"),
        automation=text("automation"),
        migration_threshold=integer("migration_threshold"),
    )


def _hosts(read: dict[str, _Reader], clusters: ClusterTable) -> HostTable:
    reader = read["hosts"]
    _check_evc(reader, "evc_max")
    position = _positions(clusters.name.tolist())
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

    return HostTable(
        name=reader.names("host"),
        cluster_idx=cluster_idx,
        cpu_mhz=reader.number("cpu_mhz"),
        memory_mib=reader.number("memory_mib"),
        cpu_reserved_mhz=reader.number("cpu_reserved_mhz"),
        memory_reserved_mib=reader.number("memory_reserved_mib"),
        cpu_cores=reader.number("cpu_cores"),
        cpu_vendor=as_names(vendors),
        evc_max=as_names(evc_max),
        state=reader.names("state"),
        rack=reader.names("rack"),
        site=inherited("site"),
        vcenter=inherited("vcenter"),
        vmotion_mbps=reader.number("vmotion_mbps"),
        hypervisor=reader.names("hypervisor"),
        power_idle_w=reader.number("power_idle_w"),
        power_max_w=reader.number("power_max_w"),
        capacity=capacity,
    )


def _check_resource(reader: _Reader, column: str, resource: str) -> None:
    if resource in RESERVED_RESOURCES:
        reader.faults.add(
            f"{reader.raw.label}, header",
            f"the column {column}",
            f"the {resource} in its own columns (hosts: {RESERVED_RESOURCES[resource]})",
        )


def _vms(read: dict[str, _Reader], clusters: ClusterTable, hosts: HostTable, pool_idx: Ints) -> VmTable:
    reader, faults = read["vms"], read["vms"].faults
    _check_evc(reader, "evc_mode")
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

    if len(hosts):
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

    return VmTable(
        name=reader.names("vm"),
        host_idx=host_idx,
        memory_mib=memory,
        cpu_demand_mhz=cpu_demand,
        vcpus=vcpus,
        memory_active_mib=reader.number("memory_active_mib"),
        memory_consumed_mib=reader.number("memory_consumed_mib"),
        cpu_reservation_mhz=reader.number("cpu_reservation_mhz"),
        cpu_limit_mhz=reader.number("cpu_limit_mhz"),
        cpu_shares=derived("cpu_shares", 1000 * vcpus),
        memory_reservation_mib=reader.number("memory_reservation_mib"),
        memory_limit_mib=reader.number("memory_limit_mib"),
        memory_shares=derived("memory_shares", 10 * memory),
        evc_mode=reader.names("evc_mode"),
        power=reader.names("power"),
        automation=reader.names("automation"),
        dirty_rate_mibps=reader.number("dirty_rate_mibps"),
        working_set_mib=reader.number("working_set_mib"),
        downtime_budget_ms=reader.number("downtime_budget_ms"),
        gpus=reader.number("gpus"),
        demand=demand,
        pool_idx=pool_idx,
    )


def _storage(
    read: dict[str, _Reader], raw: Mapping[str, RawTable], vm_names: Names
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
        DatastoreTable(
            name=stores.names("datastore"),
            capacity_gib=capacity,
            free_gib=free,
            datastore_cluster=stores.names("datastore_cluster"),
            latency_ms=stores.number("latency_ms"),
            iops_capacity=stores.number("iops_capacity"),
            state=stores.names("state"),
            replica_of_idx=replica_of,
        ),
        DiskTable(
            name=disks.names("disk"),
            vm_idx=vm_idx,
            datastore_idx=store_idx,
            size_gib=size,
            used_gib=used,
            write_mibps=disks.number("write_mibps"),
            iops=disks.number("iops"),
        ),
    )


def _visibility(
    read: dict[str, _Reader],
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
        network_at = _positions(networks)
        nic_network_idx = nics.refer("network", reader)
        host = reader.refer("host", read["hosts"])
        network = np.array([network_at.get(name, -1) for name in reader.text("network")], dtype=np.int32)
        portgroups = np.zeros((len(hosts), len(networks)), dtype=np.bool_)
        known = (host >= 0) & (network.reshape(reader.n) >= 0)
        portgroups[host[known], network[known]] = True
    else:
        networks = [name for name in dict.fromkeys(nics.text("network")) if name]
        network_at = _positions(networks)
        nic_network_idx = np.array(
            [network_at.get(name, -1) for name in nics.text("network")], dtype=np.int32
        )
        portgroups = np.ones((len(hosts), len(networks)), dtype=np.bool_)
    return mounts, as_names(networks), portgroups, nic_vm_idx, nic_network_idx.reshape(nics.n)


def _links(reader: _Reader) -> LinkTable:
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
    return LinkTable(
        a=as_names(a),
        b=as_names(b),
        bandwidth_mbps=reader.number("bandwidth_mbps"),
        latency_ms=reader.number("latency_ms"),
        loss_ratio=reader.number("loss_ratio"),
        shared_mbps=reader.number("shared_mbps"),
    )


def _loads(reader: _Reader, vms: _Reader, vm_names: Names) -> LoadHistory:
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


def check_cells(raw: RawTable, faults: Faults) -> None:
    """Note what is wrong with the cells of one table by itself, without the others.

    Parameters
    ----------
    raw : RawTable
        The table.
    faults : Faults
        Takes what is wrong.
    """
    reader = _Reader(raw, faults)
    for column in tables()[raw.table].values():
        if column.numeric:
            reader.number(column.column)
        elif column.kind == "time":
            reader.seconds(column.column)
        else:
            reader.text(column.column)
    if raw.table != "loads":
        reader.unique()
