"""RVTools workbooks to snapshots.

What is taken from where (sheet: columns):

===========  ================================================================================================
hosts        vHost: Host, Cluster, Datacenter (site), Speed x # Cores, # Memory, Max EVC, maintenance and
             quarantine mode; vNIC: the fastest NIC, for want of the vMotion NICs
clusters     vHost: Current EVC; vCluster: DRS behaviour and rate, Failover Level
pools        vRP: path, reservation, limit, shares, expandable; vInfo: Resource pool
vms          vInfo: Powerstate, Host, min Required EVC Mode Key; vCPU: CPUs, Overall (MHz used now), shares,
             reservation, limit; vMemory: Size, Active, Consumed, shares, reservation, limit
disks        vDisk: Capacity, Path; vInfo: In Use, shared out over the disks by size
datastores   vDatastore: Capacity, Free, Cluster name, Hosts (mounts)
networks     vNetwork: Network; vPort: standard port groups; dvPort and dvSwitch: distributed ones
===========  ================================================================================================

Templates and SRM placeholders are left out. Units are binary; labels say MB up to version 4.0, MiB since.
"""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drs.errors import Fault, InputError
from drs.io.build import build
from drs.io.raw import Faults, InputWarning, RawTable
from drs.io.readers.workbook import Sheet, read_workbook
from drs.model.cpu import BASELINES
from drs.model.snapshot import Snapshot

SHEETS = frozenset(
    {
        "vInfo",
        "vCPU",
        "vMemory",
        "vDisk",
        "vNetwork",
        "vHost",
        "vCluster",
        "vRP",
        "vDatastore",
        "vNIC",
        "vPort",
        "vSwitch",
        "dvPort",
        "dvSwitch",
    }
)
REQUIRED = {"vInfo": ("VM", "Powerstate", "Host"), "vHost": ("Host", "Speed", "# Cores", "# Memory")}
AUTOMATION = {"fullyautomated": "full", "partiallyautomated": "partial", "manual": "manual"}


def read_rvtools(path: str | Path) -> Snapshot:
    """Read an RVTools workbook.

    Parameters
    ----------
    path : str or Path
        The xlsx file.

    Returns
    -------
    Snapshot
        What the workbook knows; what it does not know holds the default of the snapshot format.

    Raises
    ------
    InputError
        With all faults, each with its sheet, row (as the spreadsheet counts) and column.
    """
    path = Path(path)
    sheets = read_workbook(path, SHEETS)
    faults = Faults()
    for name, labels in REQUIRED.items():
        if name not in sheets:
            faults.add(
                path.name, f"there is no sheet {name}", f"an RVTools workbook with {' and '.join(REQUIRED)}"
            )
            continue
        for label in labels:
            if not sheets[name].has(label):
                faults.add(
                    f"{path.name}: sheet {name}, header",
                    f"the required column {label} is missing",
                    f"the columns {', '.join(labels)}",
                    faults.near(label, sheets[name].labels),
                )
    faults.raise_if_any()
    raw = _Converter(sheets, faults).tables()
    return build(raw, faults, name=path.stem, source=f"RVTools workbook {path.name}")


class _Converter:
    def __init__(self, sheets: dict[str, Sheet], faults: Faults) -> None:
        self.sheets, self.faults = sheets, faults
        self.info = sheets["vInfo"]

    def get(self, name: str) -> Sheet:
        """A sheet, or an empty one."""
        return self.sheets.get(name) or Sheet(name, [], [])

    def tables(self) -> dict[str, RawTable]:
        raw = {"hosts": self.hosts(), "clusters": self.clusters()}
        raw |= self.pools()
        self.choose_vms()
        raw["vms"] = self.vms()
        raw |= self.storage() | self.networks()
        return raw

    # -- helpers

    def where(self, sheet: Sheet, row: int, label: str) -> str:
        return f"sheet {sheet.name}, row {sheet.numbers[row]}, column {sheet.label(label)}"

    def numbers(self, sheet: Sheet, label: str, factor: float = 1.0, *, no_limit: bool = False) -> list[Any]:
        """A column times a factor; what is no number stays as it is, for `build` to find fault with."""
        found: list[Any] = []
        for value in sheet.column(label):
            number = _number(value)
            if number is None:
                found.append(value)
            else:
                found.append(None if no_limit and number <= 0 else number * factor)
        return found

    def table(
        self,
        table: str,
        sheet: Sheet,
        columns: dict[str, tuple[str, list[Any]]],
        keep: list[int] | None = None,
    ) -> RawTable:
        """A raw table of columns (label in the sheet, cells), of some of its rows."""
        rows = range(len(sheet)) if keep is None else keep
        return RawTable(
            table,
            f"sheet {sheet.name}",
            {name: [cells[row] for row in rows] for name, (_, cells) in columns.items()},
            [sheet.numbers[row] for row in rows],
            {name: (f"sheet {sheet.name}", sheet.label(label)) for name, (label, _) in columns.items()},
            other_unit=frozenset(name for name in columns if name.endswith("_gib")),
        )

    # -- hosts and clusters

    def hosts(self) -> RawTable:
        sheet = self.sheets["vHost"]
        speed, cores = self.numbers(sheet, "Speed"), self.numbers(sheet, "# Cores")
        cpu = []
        for row, (clock, n) in enumerate(zip(speed, cores, strict=True)):
            if n is None:
                self.faults.add(self.where(sheet, row, "# Cores"), "an empty cell", "a number above 0")
            cpu.append(clock * (n if isinstance(n, float) else 1e6) if isinstance(clock, float) else clock)
        states = []
        for maintenance, quarantine in zip(
            sheet.column("in Maintenance Mode"), sheet.column("in Quarantine Mode"), strict=True
        ):
            states.append(
                "maintenance" if _true(maintenance) else "quarantine" if _true(quarantine) else None
            )
        fastest: dict[str, float] = {}
        nics = self.get("vNIC")
        for host, mbps in zip(nics.column("Host"), self.numbers(nics, "Speed"), strict=True):
            if host is not None and isinstance(mbps, float) and mbps > 0:
                fastest[str(host)] = max(mbps, fastest.get(str(host), 0.0))
        names = sheet.column("Host")
        self.cluster_names(sheet)
        self.host_names = {str(name) for name in names if name is not None}
        return self.table(
            "hosts",
            sheet,
            {
                "host": ("Host", names),
                "cpu_mhz": ("Speed", cpu),
                "memory_mib": ("# Memory", self.numbers(sheet, "# Memory")),
                "cluster": ("Cluster", self.cluster_of_row),
                "site": ("Datacenter", sheet.column("Datacenter")),
                "vcenter": ("VI SDK Server", sheet.column("VI SDK Server")),
                "cpu_cores": ("# Cores", cores),
                "cpu_vendor": ("CPU Model", [_vendor(model) for model in sheet.column("CPU Model")]),
                "evc_max": ("Max EVC", [_evc(key) for key in sheet.column("Max EVC")]),
                "state": ("in Maintenance Mode", states),
                "vmotion_mbps": ("Speed", [fastest.get(str(name)) for name in names]),
            },
        )

    def cluster_names(self, sheet: Sheet) -> None:
        """Names of the clusters; with the datacenter where two of them have clusters of one name.

        A host outside of any cluster is a cluster of its own: nothing moves there by itself.
        """
        pairs = list(zip(sheet.column("Datacenter"), sheet.column("Cluster"), strict=True))
        shared = Counter(cluster for _, cluster in {pair for pair in pairs if pair[1] is not None})
        self.cluster_of_row = []
        self.clusters_named: dict[str, list[str]] = {}
        for (datacenter, cluster), host in zip(pairs, sheet.column("Host"), strict=True):
            if cluster is None:
                name = None if host is None else str(host)
            else:
                name = f"{datacenter}/{cluster}" if shared[cluster] > 1 else str(cluster)
                known = self.clusters_named.setdefault(str(cluster), [])
                if name not in known:
                    known.append(name)
            self.cluster_of_row.append(name)

    def clusters(self) -> RawTable:
        hosts, sheet = self.sheets["vHost"], self.get("vCluster")
        modes: dict[str, str] = {}
        for cluster, key in zip(self.cluster_of_row, hosts.column("Current EVC"), strict=True):
            if cluster is not None and _evc(key) is not None:
                modes.setdefault(cluster, _evc(key) or "")
        settings: dict[str, int] = {}
        for row, name in enumerate(sheet.column("Name" if sheet.has("Name") else "Cluster")):
            for cluster in self.clusters_named.get(str(name), []):
                settings.setdefault(cluster, row)
        names = list(dict.fromkeys(name for name in self.cluster_of_row if name is not None))
        at = [settings.get(name) for name in names]

        def of(cells: list[Any]) -> list[Any]:
            return [None if row is None else cells[row] for row in at]

        behaviour = [
            AUTOMATION.get(str(value).casefold().replace(" ", ""))
            for value in sheet.column("DRS default VM behavior")
        ]
        enabled = [value is not None and not _true(value) for value in sheet.column("DRS enabled")]
        automation = ["manual" if off else level for off, level in zip(enabled, behaviour, strict=True)]
        protected = sheet.column("HA enabled")
        failover = [
            None if protected[row] is not None and not _true(protected[row]) else value
            for row, value in enumerate(self.numbers(sheet, "Failover Level"))
        ]
        # RVTools shows the API's rate, which runs against the threshold that vCenter shows: 5 is aggressive
        # there, 1 in the API (ansible-collections/vmware.vmware issue 68, community.vmware PR 1542).
        rate = [
            6 - value if isinstance(value, float) else value
            for value in self.numbers(sheet, "DRS vmotion rate")
        ]
        label = "sheet vCluster"
        return RawTable(
            "clusters",
            label,
            {
                "cluster": names,
                "evc_mode": [modes.get(name) for name in names],
                "ha_failover_hosts": of(failover),
                "automation": of(automation),
                "migration_threshold": of(rate),
            },
            None,
            {
                "cluster": ("sheet vHost", "Cluster"),
                "evc_mode": ("sheet vHost", "Current EVC"),
                "ha_failover_hosts": (label, sheet.label("Failover Level")),
                "automation": (label, sheet.label("DRS default VM behavior")),
                "migration_threshold": (label, sheet.label("DRS vmotion rate")),
            },
            {
                label: [None if row is None else sheet.numbers[row] for row in at],
                "sheet vHost": [None] * len(names),
            },
        )

    # -- resource pools

    def pools(self) -> dict[str, RawTable]:
        """The pools below each cluster's own, which RVTools shows as `…/CLUSTER/Resources/POOL/POOL`.

        A pool is called by its path below the cluster where another one has its name.
        """
        sheet = self.get("vRP")
        self.pool_of_path: dict[str, str] = {}
        paths = [str(path or "").rstrip("/") for path in sheet.column("Resource Pool path")]
        clusters = [self.cluster_of_pool(path) for path in paths]
        rows = [row for row, cluster in enumerate(clusters) if cluster is not None]
        short = {row: paths[row].rsplit("/", 1)[-1] for row in rows}
        often = Counter(short.values())
        for row in rows:
            whole = f"{clusters[row]}/{paths[row].split('/Resources/', 1)[1]}"
            self.pool_of_path[paths[row]] = short[row] if often[short[row]] == 1 else whole
        if not rows:
            return {}
        names = [self.pool_of_path.get(path) for path in paths]
        parents = [self.pool_of_path.get(path.rsplit("/", 1)[0]) for path in paths]
        columns: dict[str, tuple[str, list[Any]]] = {
            "pool": ("Resource Pool path", names),
            "parent": ("Resource Pool path", parents),
            "cluster": ("Resource Pool path", clusters),
        }
        for ours, theirs, unit in (("cpu", "CPU", "mhz"), ("memory", "Mem", "mib")):
            for what in ("reservation", "limit"):
                cells = self.numbers(sheet, f"{theirs} {what}")
                if what == "limit":
                    cells = [None if isinstance(value, float) and value < 0 else value for value in cells]
                columns[f"{ours}_{what}_{unit}"] = (f"{theirs} {what}", cells)
            columns[f"{ours}_shares"] = (f"{theirs} shares", self.numbers(sheet, f"{theirs} shares"))
            label = f"{theirs} expandableReservation"
            cells = [
                None if value is None else "yes" if _true(value) else "no" for value in sheet.column(label)
            ]
            columns[f"{ours}_expandable"] = (label, cells)
        return {"pools": self.table("pools", sheet, columns, rows)}

    def cluster_of_pool(self, path: str) -> str | None:
        """The cluster that a path below some `Resources` belongs to; None for any other path."""
        above, found, _ = path.partition("/Resources/")
        if not found:
            return None
        parts = [part for part in above.split("/") if part and part != "host"]
        known = self.clusters_named.get(parts[-1] if parts else "", [])
        whole = "/".join(parts[-2:])
        return whole if whole in known else known[0] if len(known) == 1 else None

    # -- VMs

    def choose_vms(self) -> None:
        """Which rows of vInfo are VMs, and a name for each that no other has."""
        info = self.info
        template, placeholder = info.column("Template"), info.column("SRM Placeholder")
        names, ids = info.column("VM"), info.column("VM ID")
        self.vm_rows = [
            row for row in range(len(info)) if not _true(template[row]) and not _true(placeholder[row])
        ]
        left_out = len(info) - len(self.vm_rows)
        if left_out:
            _warn(f"sheet vInfo: {left_out} templates and SRM placeholders are left out")
        often = Counter(names[row] for row in self.vm_rows)
        self.vm_names: dict[int, str | None] = {}
        for row in self.vm_rows:
            name = names[row]
            if name is not None and often[name] > 1 and ids[row] is not None:
                self.vm_names[row] = f"{name} ({ids[row]})"
            else:
                self.vm_names[row] = None if name is None else str(name)
        twice = [str(name) for name, count in often.items() if name is not None and count > 1]
        if twice:
            _warn(
                f"sheet vInfo: {len(twice)} names of VMs stand there more than once, such as {twice[0]}; "
                "their VM ID is added to the name"
            )
        self.by_id = {ids[row]: row for row in self.vm_rows if ids[row] is not None}
        self.by_name = {names[row]: row for row in self.vm_rows if often[names[row]] == 1}
        self.skipped = {(names[row], ids[row]) for row in set(range(len(info))) - set(self.vm_rows)}
        self.skipped |= {(name, None) for name, _ in self.skipped}

    def info_rows(self, sheet: Sheet) -> list[int | None]:
        """For each row of another sheet the row of vInfo that it belongs to; None for templates.

        A row that belongs to nothing is a fault.
        """
        found: list[int | None] = []
        names, ids = sheet.column("VM"), sheet.column("VM ID")
        for row, (name, id_) in enumerate(zip(names, ids, strict=True)):
            at = self.by_id.get(id_) if id_ is not None and self.info.has("VM ID") else None
            if at is None:
                at = self.by_name.get(name)
            if at is None and (name, id_) not in self.skipped and (name, None) not in self.skipped:
                known = [str(known) for known in self.by_name if known is not None]
                given = "an empty cell" if name is None else f"unknown VM {name!r}"
                self.faults.add(
                    self.where(sheet, row, "VM"),
                    given,
                    "a VM of the sheet vInfo",
                    self.faults.near(name, known) if name is not None else "",
                )
            found.append(at)
        return found

    def joined(self, sheet: Sheet) -> Callable[[list[Any]], list[Any]]:
        """Brings cells of another sheet into the order of the VMs."""
        row_of: dict[int, int] = {}
        for row, at in enumerate(self.info_rows(sheet)):
            if at is not None:
                row_of.setdefault(at, row)
        return lambda cells: [cells[row_of[at]] if at in row_of else None for at in self.vm_rows]

    def vms(self) -> RawTable:
        info, cpu, memory = self.info, self.get("vCPU"), self.get("vMemory")
        of_cpu, of_memory = self.joined(cpu), self.joined(memory)
        hosts = info.column("Host")
        strange = [
            row for row in self.vm_rows if hosts[row] is not None and str(hosts[row]) not in self.host_names
        ]
        if strange:
            _warn(
                f"{self.where(info, strange[0], 'Host')}: {len(strange)} VMs are on hosts that "
                f"the sheet vHost does not have, such as {hosts[strange[0]]}; they count as not placed"
            )
        columns: dict[str, list[Any]] = {}
        origins: dict[str, tuple[str, str]] = {}

        def put(column: str, sheet: Sheet, label: str, cells: list[Any]) -> None:
            columns[column] = cells
            origins[column] = (f"sheet {sheet.name}", sheet.label(label))

        def own(cells: list[Any]) -> list[Any]:
            return [cells[row] for row in self.vm_rows]

        put("vm", info, "VM", [self.vm_names[row] for row in self.vm_rows])
        put("host", info, "Host", [None if row in set(strange) else hosts[row] for row in self.vm_rows])
        if self.pool_of_path:
            paths = [str(path or "").rstrip("/") for path in info.column("Resource pool")]
            put("pool", info, "Resource pool", own([self.pool_of_path.get(path) for path in paths]))
        put("power", info, "Powerstate", own([_power(state) for state in info.column("Powerstate")]))
        if info.has("Connection state"):
            lost = [
                row for row in self.vm_rows if info.column("Connection state")[row] not in (None, "connected")
            ]
            if lost:
                _warn(f"{self.where(info, lost[0], 'Connection state')}: {len(lost)} VMs are not connected")
        put(
            "evc_mode",
            info,
            "min Required EVC Mode Key",
            own([_evc(key) for key in info.column("min Required EVC Mode Key")]),
        )
        if memory.has("Size"):
            put("memory_mib", memory, "Size MiB", of_memory(self.numbers(memory, "Size")))
            spare = own(self.numbers(info, "Memory"))
            columns["memory_mib"] = [
                a if a is not None else b for a, b in zip(columns["memory_mib"], spare, strict=True)
            ]
        else:
            put("memory_mib", info, "Memory", own(self.numbers(info, "Memory")))
        if cpu.has("CPUs"):
            put("vcpus", cpu, "CPUs", of_cpu(self.numbers(cpu, "CPUs")))
        else:
            put("vcpus", info, "CPUs", own(self.numbers(info, "CPUs")))
        demand = of_cpu(self.numbers(cpu, "Overall"))
        if not cpu.has("Overall"):
            _warn("there is no sheet vCPU with a column Overall: the CPU demand of every VM is taken as 0")
        put("cpu_demand_mhz", cpu, "Overall", [0.0 if value is None else value for value in demand])
        put("memory_active_mib", memory, "Active", of_memory(self.numbers(memory, "Active")))
        put("memory_consumed_mib", memory, "Consumed", of_memory(self.numbers(memory, "Consumed")))
        put("cpu_shares", cpu, "Shares", of_cpu(self.numbers(cpu, "Shares")))
        put("cpu_reservation_mhz", cpu, "Reservation", of_cpu(self.numbers(cpu, "Reservation")))
        put("cpu_limit_mhz", cpu, "Limit", of_cpu(self.numbers(cpu, "Limit", no_limit=True)))
        put("memory_shares", memory, "Shares", of_memory(self.numbers(memory, "Shares")))
        put("memory_reservation_mib", memory, "Reservation", of_memory(self.numbers(memory, "Reservation")))
        put("memory_limit_mib", memory, "Limit", of_memory(self.numbers(memory, "Limit", no_limit=True)))
        return RawTable(
            "vms",
            "sheet vInfo",
            columns,
            own(info.numbers),
            origins,
            {"sheet vCPU": of_cpu(cpu.numbers), "sheet vMemory": of_memory(memory.numbers)},
        )

    # -- storage

    def storage(self) -> dict[str, RawTable]:
        disks, stores = self.get("vDisk"), self.get("vDatastore")
        if not len(stores):
            if len(disks):
                _warn("there is no sheet vDatastore: disks and datastores are left out")
            return {}
        names = stores.column("Name")
        found = {
            "datastores": self.table(
                "datastores",
                stores,
                {
                    "datastore": ("Name", names),
                    "capacity_gib": ("Capacity MiB", self.numbers(stores, "Capacity", 1 / 1024)),
                    "free_gib": ("Free MiB", self.numbers(stores, "Free", 1 / 1024)),
                    "datastore_cluster": ("Cluster name", stores.column("Cluster name")),
                    "state": (
                        "Accessible",
                        [
                            None if value is None or _true(value) else "disconnected"
                            for value in stores.column("Accessible")
                        ],
                    ),
                },
            )
        }
        lists = [_listed(cell) for cell in stores.column("Hosts")]
        if any(self.host_names & set(hosts) for hosts in lists):
            pairs = [
                (row, host) for row, hosts in enumerate(lists) for host in hosts if host in self.host_names
            ]
            found["mounts"] = self.table(
                "mounts", stores, {"host": ("Hosts", []), "datastore": ("Name", [])}, []
            )
            found["mounts"].columns = {
                "host": [host for _, host in pairs],
                "datastore": [names[row] for row, _ in pairs],
            }
            found["mounts"].rows = [stores.numbers[row] for row, _ in pairs]

        vm_of = self.info_rows(disks)
        capacity = self.numbers(disks, "Capacity", 1 / 1024)
        in_use = self.numbers(self.info, "In Use", 1 / 1024)
        total: dict[int, float] = dict.fromkeys(self.vm_rows, 0.0)
        for at, size in zip(vm_of, capacity, strict=True):
            if at is not None:
                total[at] += size if isinstance(size, float) else 0.0
        paths = disks.column("Path" if disks.has("Path") else "Disk Path")
        homes = self.info.column("Path")
        keep, stores_of, used, homeless = [], [], [], []
        for row, at in enumerate(vm_of):
            if at is None:
                continue
            store = _datastore(paths[row]) or _datastore(homes[at])
            if store is None:
                homeless.append(row)
                continue
            keep.append(row)
            stores_of.append(store)
            size, taken = capacity[row], in_use[at]
            share = min(1.0, taken / total[at]) if isinstance(taken, float) and total[at] else 1.0
            used.append(size * share if isinstance(size, float) else None)
        if homeless:
            _warn(
                f"{self.where(disks, homeless[0], 'Path')}: {len(homeless)} disks without "
                "a datastore are left out"
            )
        labels = disks.column("Disk")
        table = self.table(
            "disks",
            disks,
            {
                "vm": ("VM", [None if at is None else self.vm_names[at] for at in vm_of]),
                "disk": ("Disk", labels),
                "size_gib": ("Capacity MiB", capacity),
            },
            keep,
        )
        table.columns["datastore"], table.columns["used_gib"] = stores_of, used
        path = disks.label("Path") if disks.has("Path") else disks.label("Disk Path")
        table.origins = {**table.origins, "datastore": ("sheet vDisk", path)}
        return found | {"disks": table}

    # -- networks

    def networks(self) -> dict[str, RawTable]:
        nics, ports = self.get("vNetwork"), self.get("vPort")
        vm_of = self.info_rows(nics)
        networks = nics.column("Network")
        keep, seen = [], set()
        for row, at in enumerate(vm_of):
            if at is not None and networks[row] is not None and (at, networks[row]) not in seen:
                seen.add((at, networks[row]))
                keep.append(row)
        found = {}
        if keep:
            found["nics"] = self.table(
                "nics",
                nics,
                {
                    "vm": ("VM", [None if at is None else self.vm_names[at] for at in vm_of]),
                    "network": ("Network", networks),
                },
                keep,
            )
        offered: dict[tuple[str | None, str], None] = {}
        for host, group in zip(ports.column("Host"), ports.column("Port Group"), strict=True):
            if host is not None and group is not None and str(host) in self.host_names:
                offered[str(host), str(group)] = None
        switches = self.get("dvSwitch")
        name_label = "Name" if switches.has("Name") else "Switch"
        members = {
            str(name): [host for host in _listed(hosts) if host in self.host_names]
            for name, hosts in zip(switches.column(name_label), switches.column("Host members"), strict=True)
        }
        dv_ports = self.get("dvPort")
        for group, switch in zip(dv_ports.column("Port"), dv_ports.column("Switch"), strict=True):
            if group is not None:
                for host in members.get(str(switch), []):
                    offered[host, str(group)] = None
        if not offered:
            return found
        # A network that a VM uses and no sheet places is offered by the host that the VM runs on.
        known = {group for _, group in offered}
        hosts = self.info.column("Host")
        for row in keep:
            if str(networks[row]) not in known:
                host = hosts[vm_of[row]]  # type: ignore[index]
                offered[str(host) if str(host) in self.host_names else None, str(networks[row])] = None
        found["portgroups"] = RawTable(
            "portgroups",
            "sheet vPort",
            {"host": [host for host, _ in offered], "network": [g for _, g in offered]},
        )
        return found


def _warn(text: str) -> None:
    warnings.warn(text, InputWarning, stacklevel=3)


def _true(value: object) -> bool:
    return value is True or str(value).casefold() in ("true", "yes", "1", "wahr", "vrai", "verdadero")


def _number(value: object) -> float | None:
    """A cell as a number; None for nothing, for text, and for what is not finite."""
    try:
        number = float(str(value).replace(",", "")) if isinstance(value, str) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _power(state: object) -> str | None:
    if state is None:
        return None
    folded = str(state).casefold().replace(" ", "")
    return {"poweredon": "on", "poweredoff": "off", "suspended": "off"}.get(folded, str(state))


def _vendor(model: object) -> str | None:
    text = str(model).casefold()
    return (
        "intel" if "intel" in text or "xeon" in text else "amd" if "amd" in text or "epyc" in text else None
    )


def _evc(value: object) -> str | None:
    """VMware's key of a baseline, from the key or from the label that vCenter shows.

    >>> _evc('Intel® "Broadwell" Generation'), _evc("intel-haswell"), _evc("N/A")
    ('intel-broadwell', 'intel-haswell', None)
    """
    if value is None or str(value).casefold() in ("", "none", "n/a", "na", "-", "disabled"):
        return None
    text = str(value).strip()
    if text.casefold() in BASELINES:
        return text.casefold()

    def plain(label: str) -> str:
        return re.sub(r"[^a-z0-9]", "", re.sub(r"\(r\)|\(tm\)|®|™|generation", "", label.casefold()))

    labels = {plain(baseline.label): key for key, baseline in BASELINES.items()}
    return labels.get(plain(text), text)


def _datastore(path: object) -> str | None:
    found = re.match(r"\[([^\]]+)\]", str(path)) if path is not None else None
    return found.group(1).strip() if found else None


def _listed(cell: object) -> list[str]:
    """Names in a cell, separated by commas or semicolons."""
    if cell is None or isinstance(cell, int | float):
        return []
    return [name.strip() for name in re.split(r"[,;\n]", str(cell)) if name.strip()]


def is_workbook(path: str | Path) -> bool:
    """Whether it is named like a workbook.

    Parameters
    ----------
    path : str or Path
        Any path.
    """
    if Path(path).suffix.lower() == ".xls":
        raise InputError(
            Fault(str(path), "a workbook of the old kind .xls", "an xlsx workbook", "save it as .xlsx")
        )
    return Path(path).suffix.lower() in (".xlsx", ".xlsm")
