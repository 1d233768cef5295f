"""A snapshot straight from a vCenter, through its API (the extra `vcenter` brings pyvmomi).

Only what DRS needs is read, in one bulk request for each kind of object; nothing is changed. The mapping from
properties to tables is tested on fakes; it has not been run against every version of vCenter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from drs.errors import Fault, InputError
from drs.io.build import build
from drs.io.raw import Faults
from drs.io.readers.inventory import raw_tables
from drs.io.readers.look import Look
from drs.io.readers.protocol import Options, Reader, Reading, warn
from drs.io.readers.vcenter_login import is_address, parse_address, session
from drs.io.readers.vcenter_rules import rules_of
from drs.model.provenance import Provenance
from drs.words import some

PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "HostSystem": (
        "name",
        "parent",
        "summary.hardware",
        "summary.maxEVCModeKey",
        "runtime.connectionState",
        "runtime.inMaintenanceMode",
        "runtime.inQuarantineMode",
        "datastore",
        "network",
        "config.network.pnic",
    ),
    "ClusterComputeResource": ("name", "summary", "configurationEx"),
    "ResourcePool": ("name", "parent", "owner", "config"),
    "VirtualMachine": (
        "name",
        "runtime.host",
        "resourcePool",
        "runtime.powerState",
        "runtime.connectionState",
        "runtime.minRequiredEVCModeKey",
        "config.template",
        "config.instanceUuid",
        "config.hardware",
        "config.cpuAllocation",
        "config.memoryAllocation",
        "summary.quickStats",
        "network",
    ),
    "Datastore": ("name", "parent", "summary"),
    "StoragePod": ("name",),
    "Network": ("name",),
}
"""What is read of each kind of managed object."""

LOST = frozenset({"orphaned", "inaccessible", "invalid"})
"""Connection states of VMs that no host runs for certain: vCenter cannot move them."""

Objects = Sequence[tuple[Any, Mapping[str, Any]]]
"""Managed objects with their properties."""


def recognises(seen: Look) -> bool:
    """Whether it is the address of a vCenter.

    Parameters
    ----------
    seen : Look
        What was given.
    """
    return is_address(seen.given)


def read(seen: Sequence[Look], options: Options) -> Reading:
    """Read one vCenter.

    Parameters
    ----------
    seen : sequence of Look
        One address.
    options : Options
        `login`, `without_unknown_hosts`.
    """
    (one,) = seen
    return read_vcenter(one.given, options)


def read_vcenter(source: str, options: Options | None = None) -> Reading:
    """Read the inventory of a vCenter: hosts, clusters with their DRS rules, pools, VMs, disks, datastores, networks.

    Parameters
    ----------
    source : str
        `vcenter://[user@]host[:port]`.
    options : Options, optional
        `login`: credentials and how the server's certificate is verified. Read-only rights are enough.

    Returns
    -------
    Reading
        The inventory as it is now, and its rules.

    Raises
    ------
    InputError
        When pyvmomi or the credentials are missing, the server cannot be reached, or what it says makes no
        snapshot.
    """
    address = parse_address(source)
    if address is None:
        raise InputError(Fault("source", "no vCenter address", "vcenter://[user@]host[:port]"))
    options = options or Options()
    with session(address, options.login) as service:
        return read_service(service, address.host, options)


def read_service(service: Any, name: str, options: Options | None = None) -> Reading:
    """The inventory behind a session that is open, as it is now."""
    content = service.RetrieveContent()
    return reading_of(
        lambda kind: fetch(content, kind, PROPERTIES[kind]),
        options,
        name=name,
        uuid=str(_get(content, "about.instanceUuid", "")),
        taken_at=_get(service, "CurrentTime", lambda: None)(),
    )


def fetch(content: Any, kind: str, properties: Sequence[str]) -> Objects:
    """All objects of a kind, with their properties, page by page."""
    from pyVmomi import vim, vmodl

    query = vmodl.query.PropertyCollector
    view = content.viewManager.CreateContainerView(content.rootFolder, [getattr(vim, kind)], True)
    try:
        step = query.TraversalSpec(name="view", path="view", skip=False, type=vim.view.ContainerView)
        wanted = query.FilterSpec(
            objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[step])],
            propSet=[query.PropertySpec(type=getattr(vim, kind), pathSet=list(properties), all=False)],
        )
        collector = content.propertyCollector
        page = collector.RetrievePropertiesEx([wanted], query.RetrieveOptions(maxObjects=1000))
        found: list[tuple[Any, dict[str, Any]]] = []
        while page is not None:
            found += [(one.obj, {p.name: p.val for p in one.propSet}) for one in page.objects]
            page = collector.ContinueRetrievePropertiesEx(page.token) if page.token else None
        return found
    finally:
        view.Destroy()


def _get(thing: Any, path: str, default: Any = None) -> Any:
    """An attribute of an attribute; the default where one is missing."""
    for part in path.split("."):
        thing = getattr(thing, part, None)
        if thing is None:
            return default
    return thing


def _limit(value: Any) -> Any:
    return None if value is None or value < 0 else value


def reading_of(
    fetch: Callable[[str], Objects],
    options: Options | None = None,
    name: str = "",
    uuid: str = "",
    taken_at: datetime | None = None,
) -> Reading:
    """Turn managed objects into a snapshot and its rules.

    Parameters
    ----------
    fetch : callable
        Takes a kind of `PROPERTIES`, gives its objects with their properties.
    options : Options, optional
        `without_unknown_hosts`.
    name : str
        Name of the snapshot.
    uuid : str
        Instance UUID of the vCenter.
    taken_at : datetime, optional
        Its clock.

    Returns
    -------
    Reading
        Without templates, VMs without a configuration, orphaned and inaccessible VMs, agents of vCLS, and
        datastores without a capacity; all of them are named.
    """
    faults = Faults()
    behaviour = {"fullyAutomated": "full", "partiallyAutomated": "partial", "manual": "manual"}
    clusters = named(fetch("ClusterComputeResource"))
    pods = {ref: p["name"] for ref, p in fetch("StoragePod")}
    networks = {ref: p["name"] for ref, p in named(fetch("Network")).items()}
    stores = named(fetch("Datastore"))
    hosts = named(fetch("HostSystem"))

    cluster_rows, overrides = [], {}
    for ref, p in clusters.items():
        config = p.get("configurationEx")
        drs = _get(config, "drsConfig")
        on = _get(drs, "enabled", True)
        rate = _get(drs, "vmotionRate")
        cluster_rows.append(
            {
                "cluster": p["name"],
                "id": _id(ref),
                "evc_mode": _get(p.get("summary"), "currentEVCModeKey"),
                "ha_failover_hosts": _failover(_get(config, "dasConfig")),
                "automation": behaviour.get(str(_get(drs, "defaultVmBehavior"))) if on else "manual",
                "migration_threshold": None
                if rate is None
                else 6 - rate,  # the API counts the other way round
            }
        )
        for one in _get(config, "drsVmConfig", []):
            level = behaviour.get(str(_get(one, "behavior"))) if _get(one, "enabled", True) else "manual"
            overrides[one.key] = level

    # A cluster's own pool (its parent is the cluster) is the cluster; below it are the pools proper.
    pools = named(
        [
            (ref, p)
            for ref, p in fetch("ResourcePool")
            if p.get("owner") in clusters and p["parent"] != p["owner"]
        ]
    )
    pool_rows = [
        {
            "pool": p["name"],
            "id": _id(ref),
            "parent": pools[p["parent"]]["name"] if p["parent"] in pools else None,
            "cluster": clusters[p["owner"]]["name"],
            **_allocation(p.get("config"), "cpu", "mhz"),
            **_allocation(p.get("config"), "memory", "mib"),
        }
        for ref, p in pools.items()
    ]

    host_rows, mounts, portgroups = [], [], []
    for ref, p in hosts.items():
        hardware = p["summary.hardware"]
        speeds = [_get(nic, "linkSpeed.speedMb", 0) for nic in p.get("config.network.pnic") or []]
        maker = str(_get(hardware, "cpuModel", "")).casefold()
        parent = clusters.get(p.get("parent"))
        host_rows.append(
            {
                "host": p["name"],
                "id": _id(ref),
                "vcenter_id": uuid or None,
                "cluster": parent["name"] if parent else p["name"],
                "cpu_mhz": hardware.cpuMhz * hardware.numCpuCores,
                "memory_mib": hardware.memorySize / 2**20,
                "cpu_cores": hardware.numCpuCores,
                "cpu_vendor": "intel" if "intel" in maker else "amd" if "amd" in maker else None,
                "evc_max": p.get("summary.maxEVCModeKey"),
                "state": host_state(p),
                "vmotion_mbps": max(speeds, default=0) or None,
                "vcenter": name or None,
            }
        )
        mounts += [
            {"host": p["name"], "datastore": stores[store]["name"]}
            for store in p.get("datastore") or []
            if store in stores
        ]
        portgroups += [
            {"host": p["name"], "network": networks[one]} for one in p.get("network") or [] if one in networks
        ]

    store_rows = []
    empty = {ref for ref, p in stores.items() if not p["summary"].capacity}
    if empty:
        said = some([str(stores[ref]["name"]) for ref in stores if ref in empty], 5)
        warn(f"{len(empty)} datastores without a capacity are left out, with the disks on them: {said}")
    stores = {ref: p for ref, p in stores.items() if ref not in empty}
    mounts = [row for row in mounts if row["datastore"] in {p["name"] for p in stores.values()}]
    for ref, p in stores.items():
        summary = p["summary"]
        store_rows.append(
            {
                "datastore": p["name"],
                "id": _id(ref),
                "capacity_gib": summary.capacity / 2**30,
                "free_gib": min(summary.freeSpace, summary.capacity) / 2**30,
                "datastore_cluster": pods.get(p.get("parent")),
                "state": store_state(summary),
            }
        )

    vm_rows, disks, nics = [], [], []
    machines, left_out = _machines(named(fetch("VirtualMachine")), hosts, options or Options(), faults)
    for ref, p in machines.items():
        hardware = p["config.hardware"]
        stats, cpu, memory = (
            p.get("summary.quickStats"),
            p.get("config.cpuAllocation"),
            p.get("config.memoryAllocation"),
        )
        host = hosts.get(p.get("runtime.host"))
        devices = _get(hardware, "device", [])
        vm_rows.append(
            {
                "vm": p["name"],
                "id": _id(ref),
                "instance_uuid": p.get("config.instanceUuid"),
                "host": host["name"] if host else None,
                "memory_mib": hardware.memoryMB,
                "vcpus": hardware.numCPU,
                "cpu_demand_mhz": _get(stats, "overallCpuDemand", _get(stats, "overallCpuUsage", 0)),
                "memory_active_mib": _get(stats, "guestMemoryUsage"),
                "memory_consumed_mib": _get(stats, "hostMemoryUsage"),
                "cpu_reservation_mhz": _get(cpu, "reservation"),
                "cpu_limit_mhz": _limit(_get(cpu, "limit")),
                "cpu_shares": _get(cpu, "shares.shares"),
                "memory_reservation_mib": _get(memory, "reservation"),
                "memory_limit_mib": _limit(_get(memory, "limit")),
                "memory_shares": _get(memory, "shares.shares"),
                "evc_mode": p.get("runtime.minRequiredEVCModeKey"),
                "power": "on" if str(p.get("runtime.powerState")) == "poweredOn" else "off",
                "automation": overrides.get(ref),
                "pool": pools[p["resourcePool"]]["name"] if p.get("resourcePool") in pools else None,
                "gpus": sum(type(device).__name__.endswith("VirtualPCIPassthrough") for device in devices)
                or None,
            }
        )
        disks += [
            {"vm": p["name"], "disk": label, "datastore": store, "size_gib": device.capacityInKB / 2**20}
            for label, device, store in virtual_disks(hardware, stores)
        ]
        nics += [
            {"vm": p["name"], "network": networks[one]} for one in p.get("network") or [] if one in networks
        ]

    rows: dict[str, list[dict[str, Any]]] = {
        "hosts": host_rows,
        "clusters": cluster_rows,
        "pools": pool_rows,
        "vms": vm_rows,
        "datastores": store_rows,
        "disks": disks,
        "mounts": mounts,
        "nics": nics,
        "portgroups": _all_networks(portgroups, nics),
    }
    raw = raw_tables(rows, "vCenter")
    for table in ("hosts", "vms"):
        if table not in raw:
            faults.add(name or "vCenter", f"it shows no {table}", f"an account that may see the {table}")
    faults.raise_if_any()
    running = [p for p in machines.values() if str(p.get("runtime.powerState")) == "poweredOn"]
    snapshot = build(
        raw,
        faults,
        name=name,
        taken_at="" if taken_at is None else taken_at.isoformat(timespec="seconds"),
        description=left_out,
        source=f"vCenter {name}".strip(),
        provenance=_provenance([p.get("summary.quickStats") for p in running], left_out),
    )
    rules = rules_of(
        [(str(p["name"]), p.get("configurationEx")) for p in clusters.values()],
        {ref: str(p["name"]) for ref, p in machines.items()},
        {ref: str(p["name"]) for ref, p in hosts.items()},
    )
    return Reading(snapshot, rules, (NOT_READ,))


def virtual_disks(hardware: Any, stores: Mapping[Any, Mapping[str, Any]]) -> list[tuple[str, Any, str]]:
    """(label, device, datastore) of each virtual disk, in the order of the devices."""
    found = []
    for device in _get(hardware, "device", []):
        store = stores.get(_get(device, "backing.datastore"))
        if store and _get(device, "capacityInKB") is not None:
            label = str(_get(device, "deviceInfo.label", f"disk-{device.key}"))
            found.append((label, device, str(store["name"])))
    return found


def host_state(p: Mapping[str, Any]) -> str:
    """The state of a host, of its `runtime` properties."""
    if str(p.get("runtime.connectionState", "connected")) != "connected":
        return "disconnected"
    if p.get("runtime.inMaintenanceMode"):
        return "maintenance"
    return "quarantine" if p.get("runtime.inQuarantineMode") else "connected"


def store_state(summary: Any) -> str:
    """The state of a datastore, of its `summary`."""
    if not _get(summary, "accessible", True):
        return "disconnected"
    return "maintenance" if _get(summary, "maintenanceMode", "normal") != "normal" else "connected"


def _id(ref: Any) -> str | None:
    return getattr(ref, "_moId", None)


NOT_READ = "restart priorities and other overrides of HA, tags, storage policies, the load history"


def _failover(ha: Any) -> Any:
    """Host failures that HA tolerates, as its admission control or, before vSphere 5, HA itself says."""
    if not _get(ha, "enabled"):
        return None
    return _get(ha, "admissionControlPolicy.failoverLevel", _get(ha, "failoverLevel"))


def _provenance(stats: Sequence[Any], note: str) -> Provenance:
    """What the quick statistics of the running VMs have."""
    cpu = [_get(one, "overallCpuDemand", _get(one, "overallCpuUsage")) for one in stats]
    memory = [_get(one, "guestMemoryUsage", _get(one, "hostMemoryUsage")) for one in stats]
    lacking = sum(value is None for value in cpu)
    if lacking:
        warn(f"{lacking} of {len(cpu)} running VMs have no statistics; their CPU demand counts as 0")
    return Provenance(
        "measured" if lacking < len(cpu) else "missing",
        "measured" if any(value is not None for value in memory) else "configured",
        note,
    )


def _machines(
    given: Mapping[Any, Mapping[str, Any]],
    hosts: Mapping[Any, Mapping[str, Any]],
    options: Options,
    faults: Faults,
) -> tuple[dict[Any, Mapping[str, Any]], str]:
    """The VMs that are planned, and a sentence on running ones that are left out; all others are named."""
    found: dict[Any, Mapping[str, Any]] = {}
    left_out: dict[str, list[str]] = {}
    for ref, p in given.items():
        if p.get("config.template"):
            what = "templates are left out"
        elif str(p.get("runtime.connectionState")) in LOST:
            what = "orphaned, inaccessible or invalid VMs are left out"
        elif p.get("config.hardware") is None:
            what = "VMs without a configuration are left out"
        elif re.match(r"vcls[-_ (]", str(p["name"]).casefold()):
            what = "agents of vSphere Cluster Services (vCLS) are left out"
        else:
            found[ref] = p
            continue
        left_out.setdefault(what, []).append(str(p["name"]))
    suspended = [str(p["name"]) for p in found.values() if str(p.get("runtime.powerState")) == "suspended"]
    if suspended:
        left_out["suspended VMs count as powered off"] = suspended
    for what, names in left_out.items():
        warn(f"{len(names)} {what}: {some(names, 5)}")
    running = {ref: p for ref, p in found.items() if str(p.get("runtime.powerState")) == "poweredOn"}
    strange = {ref: str(p["name"]) for ref, p in running.items() if p.get("runtime.host") not in hosts}
    if not strange:
        return found, ""
    said = f"{len(strange)} of {len(running)} running VMs are on hosts that the account cannot see"
    if options.without_unknown_hosts:
        warn(f"{said}; they are left out: {some(list(strange.values()), 5)}")
        return {ref: p for ref, p in found.items() if ref not in strange}, f"{said} and are left out"
    hint = "leave these VMs out: option without_unknown_hosts"
    faults.add(
        "vCenter vms", f"{said}: {some(list(strange.values()), 3)}", "an account that may see them", hint
    )
    return found, ""


def _allocation(config: Any, resource: str, unit: str) -> dict[str, Any]:
    """Reservation, limit, shares and expandability of a pool."""
    found = _get(config, f"{resource}Allocation")
    expandable = _get(found, "expandableReservation")
    return {
        f"{resource}_reservation_{unit}": _get(found, "reservation"),
        f"{resource}_limit_{unit}": _limit(_get(found, "limit")),
        f"{resource}_shares": _get(found, "shares.shares"),
        f"{resource}_expandable": None if expandable is None else "yes" if expandable else "no",
    }


def named(objects: Objects) -> dict[Any, Mapping[str, Any]]:
    """The objects with tidy names; two of one name are told apart by their id."""
    names = [" ".join(unquote(str(p["name"])).split()) for _, p in objects]
    often = Counter(names)
    return {
        ref: {**p, "name": name if often[name] == 1 else f"{name} ({getattr(ref, '_moId', number)})"}
        for number, ((ref, p), name) in enumerate(zip(objects, names, strict=True), start=1)
    }


def _all_networks(portgroups: list[dict[str, Any]], nics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The port groups, and a row without a host for networks that only VMs name."""
    if not portgroups:
        return []
    known = {row["network"] for row in portgroups}
    orphans = dict.fromkeys(row["network"] for row in nics if row["network"] not in known)
    return [*portgroups, *({"host": None, "network": network} for network in orphans)]


READER = Reader(
    name="vCenter",
    give="its address: vcenter://[user@]host[:port]",
    tried="a simulator and fakes",
    recognises=recognises,
    read=read,
)
