"""Live Optics (Dell, formerly Optical Prime): the VMware workbook.

One row a host, VM and host storage device, with averages over the collection. Labels say MB or MiB, both binary.
Sheets and columns as in Dell's “Optical Prime VMware Excel Definitions” and the readers of others
(github.com/vmware-archive/vmware-cloud-sizer-companion-cli, github.com/xzitony/rvtools-analyzer).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from drs.io.readers.look import Look
from drs.io.readers.numbers import parse_number
from drs.io.readers.protocol import Options, Reader, Reading, warn
from drs.io.readers.sheets import From, Sheet, read_workbook, squash
from drs.io.readers.vsphere.convert import convert

SHEETS = frozenset({"Details", "ESX Hosts", "ESX Performance", "VMs", "VM Performance", "Host Devices"})
HOSTS: Mapping[str, From] = {
    "Host": From(("Host Name", "Host-Name")),
    "Datacenter": From("Datacenter"),
    "Cluster": From("Cluster"),
    "CPU Model": From("CPU Description"),
    "Speed": From("CPU Clock Speed (GHz)", 1000.0),
    "# Cores": From("CPU Cores"),
    "# Memory": From(("Memory (KiB)", "Memory (KB)"), 1 / 1024),
}
VMS: Mapping[str, From] = {
    "VM": From("VM Name"),
    "Powerstate": From(("Power State", "PowerState")),
    "Template": From("Template"),
    "Connection state": From("Connection State"),
    "CPUs": From("Virtual CPU"),
    "Memory": From("Provisioned Memory (MiB)"),
    "In Use": From("Virtual Disk Used (MiB)"),
    "Datacenter": From("Datacenter"),
    "Cluster": From("Cluster"),
    "Host": From("Host"),
    "VM ID": From(("MOB ID", "MOB_ID")),
    "VM UUID": From(("InstanceUUID", "Instance UUID")),
}
MEMORY: Mapping[str, From] = {
    **{label: VMS[label] for label in ("VM", "VM ID", "VM UUID")},
    "Size": From("Provisioned Memory (MiB)"),
    "Active": From("Used Memory (active) (MiB)"),
    "Consumed": From("Consumed Memory (MiB)"),
}
LOAD: Mapping[str, From] = {
    "VM": From("VM Name"),
    "VM ID": From(("MOB ID", "MOB_ID")),
    "VM UUID": From(("InstanceUUID", "Instance UUID")),
    "Overall": From("Average vCPU (GHz)", 1000.0),
}


def recognises(seen: Look) -> bool:
    """Whether it is a workbook of Live Optics.

    Parameters
    ----------
    seen : Look
        A file or folder.
    """
    return seen.kind == "workbook" and {"esxhosts", "vms"} <= {squash(name) for name in seen.names}


def read(seen: Sequence[Look], options: Options) -> Reading:
    """Read one workbook.

    Parameters
    ----------
    seen : sequence of Look
        One workbook.
    options : Options
        How to read.
    """
    (one,) = seen
    sheets = read_workbook(one.path, SHEETS)
    given = {name: sheets.get(name) or Sheet.empty(name) for name in SHEETS}
    hosts = given["ESX Hosts"].renamed(HOSTS)
    load = given["ESX Performance"]
    percent = {
        str(host).casefold(): cell
        for host, cell in zip(load.first("Host", "Host Name"), load.column("Average CPU %"), strict=True)
    }
    hosts.add(
        "CPU usage %", "Average CPU %", [percent.get(str(host).casefold()) for host in hosts.column("Host")]
    )
    vms = given["VMs"].renamed(VMS)
    stores = given["VMs"].column("Datastore")
    vms.add(
        "Path",
        "Datastore",
        [None if cell is None else f"[{str(cell).split(',')[0].strip()}]" for cell in stores],
    )
    ours = {"vHost": hosts, "vInfo": vms, "vMemory": given["VMs"].renamed(MEMORY)}
    if len(given["VM Performance"]):
        ours["vCPU"] = given["VM Performance"].renamed(LOAD)
    if len(given["Host Devices"]):
        ours["vDatastore"] = _datastores(given["Host Devices"])
        warn(
            "Live Optics does not list virtual disks: datastores are read, disks are not known and do not move"
        )
    warn(
        "Live Optics does not list networks, DRS and HA settings, EVC modes and rules: they count as not set"
    )
    return convert(
        ours,
        options,
        label=one.label,
        tool="Live Optics",
        taken_at=_details(given["Details"]),
        other_sheets=[name for name in one.names if squash(name) not in map(squash, SHEETS)],
    )


def _details(sheet: Sheet) -> str:
    """When it was collected: Details has a label and a value in each row, the first in the header's place."""
    labels = sheet.labels
    for name, cell in (
        zip(sheet.column(labels[0]), sheet.column(labels[1]), strict=True) if len(labels) > 1 else ()
    ):
        if squash(str(name)) in ("date", "collectiondate", "starttime") and isinstance(cell, datetime):
            return str(cell.replace(microsecond=0).isoformat())
    return ""


def _datastores(devices: Sheet) -> Sheet:
    """Host Devices has a row for each host and device: one for each datastore, with its hosts."""
    rows: dict[str, list[Any]] = {}
    hosts: dict[str, dict[str, None]] = {}
    cells = zip(
        devices.numbers,
        devices.column("Device Name"),
        devices.column("Server Name"),
        devices.column("Lun Type"),
        devices.first("Capacity (GiB)", "Capacity (GB)"),
        devices.first("Free Capacity (GiB)", "Free Capacity (GB)"),
        strict=True,
    )
    for number, name, host, kind, capacity, free in cells:
        if name is None or str(kind or "disk").casefold() != "disk":
            continue
        rows.setdefault(str(name), [number, name, _mib(capacity), _mib(free)])
        hosts.setdefault(str(name), {})[str(host)] = None
    return Sheet(
        devices.name,
        ["Name", "Capacity", "Free", "Hosts"],
        [(row[0], (*row[1:], ", ".join(hosts[name]))) for name, row in rows.items()],
    )


def _mib(gib: Any) -> Any:
    number = parse_number(gib, ".")
    return gib if number is None else number * 1024


READER = Reader(
    name="Live Optics",
    give="the VMware workbook .xlsx (Export, Excel)",
    tried="files built from published formats",
    recognises=recognises,
    read=read,
)
