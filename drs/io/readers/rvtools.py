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

import re
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drs.errors import Fault, InputError
from drs.io.build import build
from drs.io.raw import Faults, InputWarning, RawTable
from drs.io.readers.identity import Register, distinct_names
from drs.io.readers.numbers import decimal_marks, is_unclear, parse_number
from drs.io.readers.workbook import Sheet, is_tab_export, read_tabs, read_workbook
from drs.model.cpu import BASELINES
from drs.model.snapshot import Snapshot
from drs.words import some

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
NUMBERS = (
    "Overall",
    "Size",
    "Capacity",
    "Free",
    "In Use",
    "Memory",
    "Active",
    "Consumed",
    "Speed",
    "# Memory",
)
"""Columns whose text proves the decimal mark of the export."""
NO_NETWORK = frozenset({"not connected", "none", "n/a", "-", "disconnected", "not assigned"})
"""What stands for no network at an adapter without a switch."""
LOST = frozenset({"orphaned", "inaccessible", "invalid"})
"""Connection states of VMs that no host runs for certain: vCenter cannot move them."""
AUTOMATION = {"fullyautomated": "full", "partiallyautomated": "partial", "manual": "manual"}


def read_rvtools(path: str | Path, *, without_unknown_hosts: bool = False) -> Snapshot:
    """Read an RVTools workbook.

    Parameters
    ----------
    path : str or Path
        The xlsx file, or a folder or a zip with a CSV file for each tab.
    without_unknown_hosts : bool, default False
        Leave out running VMs whose host the export does not have; they are a fault otherwise.

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
    sheets = read_tabs(path, SHEETS) if is_tab_export(path) else read_workbook(path, SHEETS)
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
    converter = _Converter(sheets, faults, without_unknown_hosts)
    raw = converter.tables()
    says = [f"CPU demand: {converter.cpu_demand_is}"] if converter.cpu_demand_is != "measured" else []
    says += [converter.left_out_running] if converter.left_out_running else []
    return build(
        raw,
        faults,
        name=path.stem,
        source=f"RVTools export {path.name}",
        description="; ".join(says),
    )


class _Converter:
    def __init__(self, sheets: dict[str, Sheet], faults: Faults, without_unknown_hosts: bool) -> None:
        self.without_unknown_hosts = without_unknown_hosts
        self.sheets, self.faults = sheets, faults
        self.cpu_demand_is, self.left_out_running = "measured", ""
        self.info = sheets["vInfo"]
        self.vcenter_of_uuid = {
            str(uuid): str(server)
            for sheet in sheets.values()
            for uuid, server in zip(sheet.column("VI SDK UUID"), sheet.column("VI SDK Server"), strict=True)
            if uuid is not None and server is not None
        }
        marks = decimal_marks(
            cell for sheet in sheets.values() for label in NUMBERS for cell in sheet.column(label)
        )
        self.decimal = next(iter(marks)) if len(marks) == 1 else None

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

    def vcenters(self, sheet: Sheet) -> list[str]:
        """The vCenter of each row; "" where the row does not say it."""
        return [
            str(server) if server is not None else self.vcenter_of_uuid.get(str(uuid), str(uuid or ""))
            for server, uuid in zip(sheet.column("VI SDK Server"), sheet.column("VI SDK UUID"), strict=True)
        ]

    def where(self, sheet: Sheet, row: int, label: str) -> str:
        return f"sheet {sheet.name}, row {sheet.numbers[row]}, column {sheet.label(label)}"

    def numbers(self, sheet: Sheet, label: str, factor: float = 1.0, *, no_limit: bool = False) -> list[Any]:
        """A column times a factor; what is no number stays as it is, for `build` to find fault with."""
        found: list[Any] = []
        for row, value in enumerate(sheet.column(label)):
            number = parse_number(value, self.decimal)
            if number is None:
                if is_unclear(value, self.decimal):
                    self.faults.add(
                        self.where(sheet, row, label),
                        f"{value!r}, text that may be read in two ways",
                        "a number, or text whose decimal mark another cell proves",
                        "make the column one of numbers in the spreadsheet",
                    )
                    value = None
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
        names = self.name_hosts(sheet)
        memory = self.numbers(sheet, "# Memory")
        self.largest_mib = max((mib for mib in memory if isinstance(mib, float)), default=float("inf"))
        self.used_mhz: dict[str, float] = {}
        for name, mhz, percent in zip(names, cpu, self.numbers(sheet, "CPU usage %"), strict=True):
            if name is not None and isinstance(mhz, float) and isinstance(percent, float):
                self.used_mhz[name] = mhz * percent / 100
        self.cluster_names(sheet)
        fastest: dict[str, float] = {}
        nics = self.get("vNIC")
        for host, mbps in zip(self.hosts_of(nics), self.numbers(nics, "Speed"), strict=True):
            if host is not None and isinstance(mbps, float) and mbps > 0:
                fastest[host] = max(mbps, fastest.get(host, 0.0))
        return self.table(
            "hosts",
            sheet,
            {
                "host": ("Host", names),
                "cpu_mhz": ("Speed", cpu),
                "memory_mib": ("# Memory", memory),
                "cluster": ("Cluster", self.cluster_of_row),
                "site": ("Datacenter", self.site_of_row),
                "vcenter": ("VI SDK Server", sheet.column("VI SDK Server")),
                "cpu_cores": ("# Cores", cores),
                "cpu_vendor": ("CPU Model", [_vendor(model) for model in sheet.column("CPU Model")]),
                "evc_max": ("Max EVC", [_evc(key) for key in sheet.column("Max EVC")]),
                "state": ("in Maintenance Mode", states),
                "vmotion_mbps": ("Speed", [fastest.get(str(name)) for name in names]),
            },
        )

    def name_hosts(self, sheet: Sheet) -> list[str | None]:
        """A name for each host that no host of another vCenter has; a host twice is a fault of `build`."""
        vcenters, names = self.vcenters(sheet), sheet.column("Host")
        keys = [(vcenter, str(name)) for vcenter, name in zip(vcenters, names, strict=True)]
        known = [key for key, name in zip(keys, names, strict=True) if name is not None]
        named = distinct_names({key: key[1] for key in known}, {key: key[0] for key in known})
        self.host_at = Register([(*key, key) for key in dict.fromkeys(known)], short=True)
        self.host_named = named
        self.vcenter_of_host = {named[key]: key[0] for key in known}
        return [None if name is None else named[key] for key, name in zip(keys, names, strict=True)]

    def host(self, vcenter: str, name: object) -> str | None:
        """Our name of a host; None for one that vHost does not have."""
        key = self.host_at.find(vcenter, name)
        return None if key is None else self.host_named[key]

    def hosts_of(self, sheet: Sheet) -> list[str | None]:
        """Our names of the hosts in the column Host of a sheet."""
        pairs = zip(self.vcenters(sheet), sheet.column("Host"), strict=True)
        return [self.host(vcenter, name) for vcenter, name in pairs]

    def cluster_names(self, sheet: Sheet) -> None:
        """Names of the clusters; with datacenter or vCenter where two of them have clusters of one name.

        A host outside of any cluster is a cluster of its own: nothing moves there by itself.
        """
        vcenters = self.vcenters(sheet)
        centers = list(zip(vcenters, sheet.column("Datacenter"), strict=True))
        keys = list(zip(vcenters, sheet.column("Datacenter"), sheet.column("Cluster"), strict=True))
        own = {key for key in keys if key[2] is not None}
        names: dict[tuple[str, Any, Any], str] = {}
        for key in own:
            same = {other for other in own if other[2] == key[2]}
            across = {other[0] for other in same}
            inside = {other for other in same if other[0] == key[0]}
            parts = [key[0]] if len(across) > 1 else []
            parts += [str(key[1])] if len(inside) > 1 else []
            names[key] = "/".join([*parts, str(key[2])])
        sites = {center for center in centers if center[1] is not None}
        often = Counter(site for _, site in sites)
        self.site_of_row = [
            None if site is None else f"{vcenter}/{site}" if often[site] > 1 else str(site)
            for vcenter, site in centers
        ]
        self.cluster_of_row: list[str | None] = []
        self.clusters_named: dict[tuple[str, str], list[str]] = {}
        self.cluster_in: dict[tuple[str, str, str], str] = {}
        hosts = sheet.column("Host")
        for (vcenter, site, cluster), host in zip(keys, hosts, strict=True):
            if cluster is None:
                self.cluster_of_row.append(self.host(vcenter, host))
                continue
            name = names[vcenter, site, cluster]
            self.cluster_in[vcenter, str(site), str(cluster)] = name
            known = self.clusters_named.setdefault((vcenter, str(cluster)), [])
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
        labels = sheet.column("Name" if sheet.has("Name") else "Cluster")
        for row, pair in enumerate(zip(self.vcenters(sheet), labels, strict=True)):
            for cluster in self.clusters_called(*pair):
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

    def clusters_called(self, vcenter: str, name: object) -> list[str]:
        """Our names of the clusters of a name; of all vCenters where the row does not say which."""
        if vcenter or ("", str(name)) in self.clusters_named:
            return self.clusters_named.get((vcenter, str(name)), [])
        return [
            one for (_, other), known in self.clusters_named.items() if other == str(name) for one in known
        ]

    # -- resource pools

    def pools(self) -> dict[str, RawTable]:
        """The pools below each cluster's own, which RVTools shows as `…/CLUSTER/Resources/POOL/POOL`.

        A pool is called by its path below the cluster where another one has its name.
        """
        sheet = self.get("vRP")
        self.pool_of_path: dict[tuple[str, str], str] = {}
        vcenters = self.vcenters(sheet)
        paths = [str(path or "").rstrip("/") for path in sheet.column("Resource Pool path")]
        clusters = [self.cluster_of_pool(*pair) for pair in zip(vcenters, paths, strict=True)]
        rows = [row for row, cluster in enumerate(clusters) if cluster is not None]
        short = {row: paths[row].rsplit("/", 1)[-1] for row in rows}
        often = Counter(short.values())
        for row in rows:
            whole = f"{clusters[row]}/{paths[row].split('/Resources/', 1)[1]}"
            self.pool_of_path[vcenters[row], paths[row]] = short[row] if often[short[row]] == 1 else whole
        if not rows:
            return {}
        places = list(zip(vcenters, paths, strict=True))
        names = [self.pool_of_path.get(place) for place in places]
        parents = [self.pool_of_path.get((vcenter, path.rsplit("/", 1)[0])) for vcenter, path in places]
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

    def cluster_of_pool(self, vcenter: str, path: str) -> str | None:
        """The cluster that a path below some `Resources` belongs to; None for any other path."""
        above, found, _ = path.partition("/Resources/")
        if not found:
            return None
        parts = [part for part in above.split("/") if part and part != "host"]
        if len(parts) > 1 and (vcenter, parts[-2], parts[-1]) in self.cluster_in:
            return self.cluster_in[vcenter, parts[-2], parts[-1]]
        known = self.clusters_called(vcenter, parts[-1] if parts else "")
        return known[0] if len(known) == 1 else None

    # -- VMs

    def choose_vms(self) -> None:
        """Which rows of vInfo are VMs, and a name for each that no other has."""
        info = self.info
        template, placeholder = info.column("Template"), info.column("SRM Placeholder")
        names, ids, uuids = info.column("VM"), info.column("VM ID"), info.column(self.uuid_label(info))
        state, power = info.column("Connection state"), [_power(cell) for cell in info.column("Powerstate")]
        vcenters, hosts = self.vcenters(info), self.hosts_of(info)
        given_hosts = info.column("Host")
        self.host_of_vm, self.vcenter_of_vm = hosts, vcenters
        left_out: dict[str, list[int]] = {}
        self.vm_rows: list[int] = []
        strange: list[int] = []
        running = 0
        size = self.numbers(info, "Memory")
        for row in range(len(info)):
            if _true(template[row]) or _true(placeholder[row]):
                left_out.setdefault("templates and SRM placeholders are left out", []).append(row)
            elif str(state[row]).casefold() in LOST:
                left_out.setdefault("orphaned, inaccessible or invalid VMs are left out", []).append(row)
            elif re.match(r"vcls[-_ (]", str(names[row]).casefold()):
                left_out.setdefault("agents of vSphere Cluster Services (vCLS) are left out", []).append(row)
            elif power[row] != "on" and isinstance(size[row], float) and size[row] > self.largest_mib:
                what = "VMs that do not run and are larger than every host are left out"
                left_out.setdefault(what, []).append(row)
            else:
                running += power[row] == "on"
                if given_hosts[row] is not None and hosts[row] is None and power[row] == "on":
                    strange.append(row)
                self.vm_rows.append(row)
        self.refuse_strange(strange, running)
        stopped = [
            row
            for row in self.vm_rows
            if given_hosts[row] is not None and hosts[row] is None and power[row] != "on"
        ]
        if stopped:
            _warn(
                f"{self.where(info, stopped[0], 'Host')}: {len(stopped)} VMs are on hosts that "
                f"the sheet vHost does not have, such as {given_hosts[stopped[0]]}; "
                "they do not run and count as not placed"
            )
        rules = {
            str(name)
            for label in ("Cluster rule name(s)", "Cluster rule(s)")
            for name in info.column(label)
            if name is not None
        }
        if rules:
            _warn(
                f"sheet vInfo: {len(rules)} DRS rules are not read, write them into rules.toml: "
                f"{some([str(name) for name in sorted(rules)], 5)}"
            )
        for what, rows in left_out.items():
            _warn(f"sheet vInfo: {len(rows)} {what}: {some([str(names[row]) for row in rows], 5)}")
        lost = [row for row in self.vm_rows if state[row] not in (None, "connected")]
        if lost:
            _warn(
                f"{self.where(info, lost[0], 'Connection state')}: {len(lost)} VMs are not connected: "
                f"{some([str(names[row]) for row in lost], 5)}"
            )
        given = {row: str(names[row]) for row in self.vm_rows if names[row] is not None}
        self.vm_names: dict[int, str | None] = dict.fromkeys(self.vm_rows)
        mark_of = {row: str(ids[row] or uuids[row] or "") for row in given}
        self.vm_names |= distinct_names(given, {row: vcenters[row] for row in given}, mark_of)
        twice = [name for name, count in Counter(given.values()).items() if count > 1]
        if twice:
            _warn(
                f"sheet vInfo: {len(twice)} names of VMs stand there more than once: {some([*map(str, twice)], 5)}; "
                "their vCenter or VM ID is added to the name"
            )
        every = range(len(info))
        self.by_id = Register([(vcenters[row], str(ids[row]), row) for row in every if ids[row] is not None])
        self.by_uuid = Register([("", str(uuids[row]), row) for row in every if uuids[row] is not None])
        self.by_name = Register(
            [(vcenters[row], str(names[row]), row) for row in every if names[row] is not None]
        )
        self.is_vm = set(self.vm_rows)
        self.info_names = {name for name in names if name is not None}
        self.left_out_names = {str(names[row]) for row in set(every) - self.is_vm}

    def uuid_label(self, sheet: Sheet) -> str:
        """The column of the UUID that no two VMs of one vCenter share."""
        return "VM UUID" if sheet.has("VM UUID") else "UUID"

    def refuse_strange(self, strange: list[int], running: int) -> None:
        """A running VM on a host that the file lacks is a fault: it is not waiting for a place."""
        if not strange:
            return
        info = self.info
        if self.without_unknown_hosts:
            self.vm_rows = [row for row in self.vm_rows if row not in set(strange)]
            self.left_out_running = (
                f"{len(strange)} of {running} running VMs are left out: their hosts, such as "
                f"{info.column('Host')[strange[0]]}, are not in the sheet vHost"
            )
            _warn(self.left_out_running)
            return
        self.faults.add(
            self.where(info, strange[0], "Host"),
            f"{len(strange)} of {running} running VMs are on hosts that the sheet vHost does not have, "
            f"such as {info.column('Host')[strange[0]]}",
            "the host of each running VM in the sheet vHost",
            "export all hosts, or leave these VMs out: option without_unknown_hosts",
        )

    def info_rows(self, sheet: Sheet) -> list[int | None]:
        """For each row of another sheet the row of vInfo that it belongs to; None for what is left out.

        A row that belongs to nothing is a fault.
        """
        found: list[int | None] = []
        names, ids = sheet.column("VM"), sheet.column("VM ID")
        uuids, vcenters = sheet.column(self.uuid_label(sheet)), self.vcenters(sheet)
        known = [str(name) for name in self.vm_names.values() if name is not None]
        for row, (vcenter, name, id_, uuid) in enumerate(zip(vcenters, names, ids, uuids, strict=True)):
            at = self.by_id.find(vcenter, id_)
            if at is None:
                at = self.by_uuid.find("", uuid)
            if at is None:
                at = self.by_name.find(vcenter, name)
            if at is None and str(name) not in self.left_out_names:
                given = "an empty cell" if name is None else f"unknown VM {name!r}"
                expected = "a VM of the sheet vInfo"
                if name is not None and name in self.info_names:
                    given = f"{name!r}, which several VMs are called"
                    expected = "the VM's VI SDK Server and VM ID, or its UUID"
                self.faults.add(
                    self.where(sheet, row, "VM"),
                    given,
                    expected,
                    self.faults.near(str(name), known) if name is not None else "",
                )
            found.append(at if at in self.is_vm else None)
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
        columns: dict[str, list[Any]] = {}
        origins: dict[str, tuple[str, str]] = {}

        def put(column: str, sheet: Sheet, label: str, cells: list[Any]) -> None:
            columns[column] = cells
            origins[column] = (f"sheet {sheet.name}", sheet.label(label))

        def own(cells: list[Any]) -> list[Any]:
            return [cells[row] for row in self.vm_rows]

        put("vm", info, "VM", [self.vm_names[row] for row in self.vm_rows])
        put("host", info, "Host", own(self.host_of_vm))
        if self.pool_of_path:
            paths = [str(path or "").rstrip("/") for path in info.column("Resource pool")]
            put(
                "pool",
                info,
                "Resource pool",
                own([self.pool_of_path.get(place) for place in zip(self.vcenters(info), paths, strict=True)]),
            )
        put("power", info, "Powerstate", own([_power(state) for state in info.column("Powerstate")]))
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
        if all(value is None for value in demand):
            demand = self.spread_load(columns["host"], columns["power"], columns["vcpus"])
        else:
            self.compare_load(columns["host"], demand)
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

    def compare_load(self, hosts: list[Any], demand: list[Any]) -> None:
        """Warn where the VMs' MHz are more than 10 % off what vHost measured."""
        total: dict[Any, float] = {}
        for host, mhz in zip(hosts, demand, strict=True):
            total[host] = total.get(host, 0.0) + (mhz if isinstance(mhz, float) else 0.0)
        off = [
            f"{host} {total.get(host, 0.0):,.0f} MHz against {used:,.0f}"
            for host, used in self.used_mhz.items()
            if used > 0 and abs(total.get(host, 0.0) - used) > 0.1 * used
        ]
        if off:
            _warn(
                f"the CPU usage of the VMs (sheet vCPU) and that of their host (sheet vHost) differ by more "
                f"than 10 % on {len(off)} of {len(self.used_mhz)} hosts: {some([str(name) for name in off], 3)}"
            )

    def spread_load(self, hosts: list[Any], power: list[Any], vcpus: list[Any]) -> list[Any]:
        """The CPU usage of each host, shared out over its running VMs by their vCPUs, in MHz."""
        lacks = "there is no sheet vCPU with a column Overall"
        weights = [
            count if isinstance(count, float) and state == "on" else 0.0
            for count, state in zip(vcpus, power, strict=True)
        ]
        total: dict[Any, float] = {}
        for host, weight in zip(hosts, weights, strict=True):
            total[host] = total.get(host, 0.0) + weight
        if not any(self.used_mhz.get(host) for host in total):
            _warn(f"{lacks}: the CPU demand of every VM is taken as 0")
            self.cpu_demand_is = "missing"
            return [None] * len(hosts)
        _warn(
            f"{lacks}: the CPU demand of the VMs is estimated, the CPU usage % of each host in the sheet vHost "
            "is spread over its running VMs by their vCPUs"
        )
        self.cpu_demand_is = "estimated from the CPU usage of the hosts"
        return [
            self.used_mhz.get(host, 0.0) * weight / total[host] if total[host] else 0.0
            for host, weight in zip(hosts, weights, strict=True)
        ]

    # -- storage

    def name_stores(self, stores: Sheet) -> list[str | None]:
        """A name for each datastore that no other has, and who mounts it."""
        vcenters, given = self.vcenters(stores), stores.column("Name")
        self.store_hosts = [
            [host for name in _listed(cell) if (host := self.host(vcenter, name)) is not None]
            for vcenter, cell in zip(vcenters, stores.column("Hosts"), strict=True)
        ]
        rows = [row for row, name in enumerate(given) if name is not None]
        named = distinct_names(
            {row: str(given[row]) for row in rows},
            {row: vcenters[row] for row in rows},
            {row: ", ".join(self.store_hosts[row][:1]) for row in rows},
        )
        self.store_rows: dict[str, list[int]] = {}
        for row in rows:
            self.store_rows.setdefault(str(given[row]), []).append(row)
        self.store_vcenters, self.store_named = vcenters, named
        return [named.get(row) for row in range(len(stores))]

    def store(self, name: str | None, vm: int) -> str | None:
        """Our name of the datastore that a VM calls so: of its vCenter, and of its host where two are left."""
        rows = self.store_rows.get(name or "", [])
        vcenter, host = self.vcenter_of_vm[vm], self.host_of_vm[vm]
        if len(rows) > 1:
            rows = [row for row in rows if not vcenter or self.store_vcenters[row] in ("", vcenter)]
        if len(rows) > 1:
            rows = [row for row in rows if host in self.store_hosts[row]]
        return self.store_named[rows[0]] if rows else name

    def storage(self) -> dict[str, RawTable]:
        disks, stores = self.get("vDisk"), self.get("vDatastore")
        if not len(stores):
            if len(disks):
                _warn("there is no sheet vDatastore: disks and datastores are left out")
            return {}
        names = self.name_stores(stores)
        capacity = self.numbers(stores, "Capacity", 1 / 1024)
        accessible = stores.column("Accessible")
        empty = [
            row
            for row in range(len(stores))
            if not (isinstance(capacity[row], float) and capacity[row] > 0)
            and (accessible[row] is not None and not _true(accessible[row]))
        ]
        self.stores_left_out = {names[row] for row in empty}
        if empty:
            _warn(
                f"{self.where(stores, empty[0], 'Capacity')}: {len(empty)} inaccessible datastores without "
                f"a capacity are left out, with the disks on them: {some([str(names[row]) for row in empty], 5)}"
            )
        there = [row for row in range(len(stores)) if row not in set(empty)]
        found = {
            "datastores": self.table(
                "datastores",
                stores,
                {
                    "datastore": ("Name", names),
                    "capacity_gib": ("Capacity MiB", capacity),
                    "free_gib": ("Free MiB", self.numbers(stores, "Free", 1 / 1024)),
                    "datastore_cluster": ("Cluster name", stores.column("Cluster name")),
                    "state": (
                        "Accessible",
                        [None if value is None or _true(value) else "disconnected" for value in accessible],
                    ),
                },
                there,
            )
        }
        pairs = [(row, host) for row in there for host in self.store_hosts[row]]
        if pairs:
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
            store = self.store(store, at)
            if store in self.stores_left_out:
                continue
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
        switch, connected = nics.column("Switch"), nics.column("Connected")
        loose, keep, seen = 0, [], set()
        for row, at in enumerate(vm_of):
            if at is None:
                continue
            unplugged = str(networks[row]).casefold() in NO_NETWORK
            if networks[row] is None or (unplugged and switch[row] is None and not _true(connected[row])):
                loose += 1
            elif (at, networks[row]) not in seen:
                seen.add((at, networks[row]))
                keep.append(row)
        if loose:
            _warn(f"sheet vNetwork: {loose} network adapters are connected to no network")
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
        for host, group in zip(self.hosts_of(ports), ports.column("Port Group"), strict=True):
            if host is not None and group is not None:
                offered[host, str(group)] = None
        # `Switch` is the switch; `Name` is the short name of the product, "DVS" at every one of them.
        switches = self.get("dvSwitch")
        label = "Switch" if switches.has("Switch") else "Name"
        vcenters, labels = self.vcenters(switches), switches.column(label)
        switch_at = Register(
            [
                (vcenter, str(name), row)
                for row, (vcenter, name) in enumerate(zip(vcenters, labels, strict=True))
                if name is not None
            ]
        )
        members = [
            [host for name in _listed(cell) if (host := self.host(vcenter, name)) is not None]
            for vcenter, cell in zip(vcenters, switches.column("Host members"), strict=True)
        ]
        dv_ports = self.get("dvPort")
        for vcenter, group, name in zip(
            self.vcenters(dv_ports), dv_ports.column("Port"), dv_ports.column("Switch"), strict=True
        ):
            at = switch_at.find(vcenter, name)
            if group is not None and at is not None:
                for host in members[at]:
                    offered[host, str(group)] = None
        if not offered:
            return found
        # A network that a VM uses and no sheet places is offered by the host that the VM runs on.
        known = {group for _, group in offered}
        guessed = []
        for row in keep:
            if str(networks[row]) not in known:
                offered[self.host_of_vm[vm_of[row]], str(networks[row])] = None  # type: ignore[index]
                guessed.append(networks[row])
        if guessed:
            names = list(dict.fromkeys(guessed))
            _warn(
                f"sheet vNetwork: no sheet says where {len(names)} networks are: {some([*map(str, names)], 5)}; "
                "each counts as offered by the hosts of its VMs alone"
            )
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
