"""Nutanix Collector: the workbook of a vCenter.

Sheets and columns as the readers of others have them (github.com/xzitony/rvtools-analyzer,
github.com/b0rbb/vcenter-rvtools-report). Its percentiles are over the days that it collected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drs.io.readers.look import Look
from drs.io.readers.numbers import parse_number
from drs.io.readers.protocol import Options, Reader, Reading, warn
from drs.io.readers.sheets import From, Sheet, read_workbook, squash
from drs.io.readers.vsphere.cells import is_true
from drs.io.readers.vsphere.convert import convert

SAME_VM: Mapping[str, From] = {
    "VM": From("VM Name"),
    "VM ID": From(("MOID", "VM ID")),
    "VM UUID": From(("UUID", "VM UUID")),
}
PERCENTILE = "95th Percentile % (recommended)"
COLUMNS: Mapping[str, tuple[str, Mapping[str, From]]] = {
    "vHost": (
        "vHosts",
        {
            "Host": From("Host Name"),
            "Cluster": From("Cluster Name"),
            "in Maintenance Mode": From("Maintenance Mode"),
            "CPU Model": From("CPU Model"),
            "Speed": From("CPU Speed"),
            "# Cores": From("CPU Cores"),
            "CPU usage %": From("CPU Usage"),
            "# Memory": From("Memory Size", 1024.0),
            "# VMs total": From("VMs"),
        },
    ),
    "vCluster": ("vCluster", {"Name": From("Cluster Name")}),
    "vInfo": (
        "vInfo",
        {
            **SAME_VM,
            "Powerstate": From("Power State"),
            "Template": From("Template"),
            "Connection state": From("Connection state"),
            "Resource pool": From("Resource pool"),
            "Datacenter": From("Datacenter Name"),
            "Cluster": From("Cluster Name"),
            "Host": From(("Host Name", "Host")),
        },
    ),
    "vCPU": (
        "vCPU",
        {
            **SAME_VM,
            "CPUs": From("vCPUs"),
            "Overall": From("Overall CPU (MHz)"),
            "Reservation": From("Reservation"),
            "Limit": From("Limit"),
        },
    ),
    "vMemory": (
        "vMemory",
        {
            **SAME_VM,
            "Size": From("Size (MiB)"),
            "Reservation": From("Reservation"),
            "Limit": From("Limit"),
        },
    ),
    "vDisk": (
        "vDisk",
        {**SAME_VM, "Disk": From("Disk Name"), "Capacity": From("Capacity (MiB)"), "Path": From("Path")},
    ),
    "vNetwork": (
        "vNetwork",
        {
            "VM": From("VM Name"),
            "VM ID": From("VM ID"),
            "VM UUID": From("VM UUID"),
            "Network": From("Network"),
            "Switch": From("vSwitch"),
            "Connected": From("Connection Status"),
        },
    ),
    "vDatastore": (
        "Datastore",
        {
            "Name": From("Datastore Name"),
            "Accessible": From("Accessible"),
            "Capacity": From("Capacity (MiB)"),
            "Free": From(("Freespace (MiB)", "Free Space (MiB)")),
            "Hosts": From("Host Names"),
        },
    ),
    "vNIC": ("vNICs", {"Host": From("Host"), "Speed": From("Speed (Mbps)")}),
    "vPort": ("vPort", {"Host": From("Host"), "Port Group": From("Port Group"), "Switch": From("vSwitch")}),
}
"""RVTools' name of a sheet: the Collector's, and its columns."""
SHEETS = frozenset({"Metadata", "vmList", *(theirs for theirs, _ in COLUMNS.values())})


def recognises(seen: Look) -> bool:
    """Whether it is a workbook of Nutanix Collector.

    Parameters
    ----------
    seen : Look
        A file or folder.
    """
    return seen.kind == "workbook" and {"metadata", "vhosts"} <= {squash(name) for name in seen.names}


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
    meta = sheets.pop("Metadata", None)
    if meta is not None and any(is_true(cell) for cell in meta.column("Is Anonymized")):
        warn("the workbook is anonymized: names show as NTNX-… and agree with no other source")
    ours = {
        name: sheets[theirs].renamed(columns)
        for name, (theirs, columns) in COLUMNS.items()
        if theirs in sheets
    }
    if "vMemory" in ours:
        _active(ours["vMemory"], sheets["vMemory"])
    if "vDisk" in ours:
        paths, stores = sheets["vDisk"].column("Path"), sheets["vDisk"].column("Datastore Name")
        ours["vDisk"].add(
            "Path",
            "Datastore Name",
            [
                path if str(path).startswith("[") or store is None else f"[{store}]"
                for path, store in zip(paths, stores, strict=True)
            ],
        )
    warn("Nutanix Collector does not list DRS and HA settings, EVC modes and rules: they count as not set")
    return convert(
        ours,
        options,
        label=one.label,
        tool="Nutanix Collector",
        other_sheets=[name for name in one.names if squash(name) not in ("metadata", "vmlist")],
    )


def _active(ours: Sheet, theirs: Sheet) -> None:
    """Active memory: vCenter's counter of memory usage is active memory, here its 95th percentile in % of the size."""
    sizes, percents = theirs.column("Size (MiB)"), theirs.column(PERCENTILE)
    active: list[float | None] = []
    for size, percent in zip(sizes, percents, strict=True):
        whole, share = parse_number(size, "."), parse_number(percent, ".")
        active.append(None if whole is None or share is None else whole * min(share, 100.0) / 100)
    ours.add("Active", PERCENTILE, active)


READER = Reader(
    name="Nutanix Collector",
    give="the workbook .xlsx of a vCenter",
    tried="files built from published formats",
    recognises=recognises,
    read=read,
)
