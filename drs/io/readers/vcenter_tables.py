"""The managed objects of a vCenter as tables of a snapshot."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from drs.io.build import build
from drs.io.raw import Faults
from drs.io.readers.inventory import raw_tables
from drs.io.readers.protocol import Options, Reading, warn
from drs.io.readers.vcenter_rules import rules_of
from drs.model.provenance import Provenance
from drs.words import some

if TYPE_CHECKING:
    from drs.rules import Rule

Properties = Mapping[str, Any]
Objects = Sequence[tuple[Any, Properties]]
"""Managed objects with their properties."""
Row = dict[str, Any]

LOST = frozenset({"orphaned", "inaccessible", "invalid"})
"""Connection states of VMs that no host runs for certain: vCenter cannot move them."""
LEVELS = {"fullyAutomated": "full", "partiallyAutomated": "partial", "manual": "manual"}
NOT_READ = "restart priorities and other overrides of HA, tags, storage policies, the load history"


def get(thing: Any, path: str, default: Any = None) -> Any:
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
        Takes a kind of managed object, gives its objects with their properties.
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
    inventory = _Inventory(fetch, options or Options(), name, uuid, faults)
    raw = raw_tables(inventory.tables(), "vCenter")
    for table in ("hosts", "vms"):
        if table not in raw:
            faults.add(name or "vCenter", f"it shows no {table}", f"an account that may see the {table}")
    faults.raise_if_any()
    snapshot = build(
        raw,
        faults,
        name=name,
        taken_at="" if taken_at is None else taken_at.isoformat(timespec="seconds"),
        description=inventory.left_out,
        source=f"vCenter {name}".strip(),
        provenance=inventory.provenance(),
    )
    return Reading(snapshot, inventory.rules(), (NOT_READ,))


class _Inventory:
    """The objects of each kind under names that no two share."""

    def __init__(
        self, fetch: Callable[[str], Objects], options: Options, name: str, uuid: str, faults: Faults
    ) -> None:
        self.name, self.uuid = name, uuid
        self.clusters = named(fetch("ClusterComputeResource"))
        self.pods = {ref: p["name"] for ref, p in fetch("StoragePod")}
        self.networks = {ref: p["name"] for ref, p in named(fetch("Network")).items()}
        self.stores = _with_room(named(fetch("Datastore")))
        self.hosts = named(fetch("HostSystem"))
        # A cluster's own pool (its parent is the cluster) is the cluster; below it are the pools proper.
        self.pools = named(
            [
                (ref, p)
                for ref, p in fetch("ResourcePool")
                if p.get("owner") in self.clusters and p["parent"] != p["owner"]
            ]
        )
        self.machines, self.left_out = _machines(named(fetch("VirtualMachine")), self.hosts, options, faults)

    def tables(self) -> dict[str, list[Row]]:
        """The rows of each table."""
        portgroups = self._seen("network", self.networks)
        nics = [
            {"vm": p["name"], "network": self.networks[one]}
            for p in self.machines.values()
            for one in p.get("network") or []
            if one in self.networks
        ]
        stores = {ref: p["name"] for ref, p in self.stores.items()}
        hosts = [self._host(p) for p in self.hosts.values()]
        clusters = [self._cluster(p) for p in self.clusters.values()]
        known = {row["cluster"] for row in clusters}
        empty = dict.fromkeys(clusters[0]) if clusters else {}
        # A host outside of any cluster is one of its own.
        clusters += [{**empty, "cluster": row["cluster"]} for row in hosts if row["cluster"] not in known]
        return {
            "hosts": hosts,
            "clusters": clusters,
            "pools": [self._pool(p) for p in self.pools.values()],
            "vms": self._vms(),
            "datastores": [self._store(p) for p in self.stores.values()],
            "disks": [disk for p in self.machines.values() for disk in self._disks(p)],
            "mounts": self._seen("datastore", stores),
            "nics": nics,
            "portgroups": _all_networks(portgroups, nics),
        }

    def _seen(self, what: str, names: Mapping[Any, str]) -> list[Row]:
        """Which host sees which network or datastore."""
        return [
            {"host": p["name"], what: names[ref]}
            for p in self.hosts.values()
            for ref in p.get(what) or []
            if ref in names
        ]

    def _cluster(self, p: Properties) -> Row:
        config = p.get("configurationEx")
        drs = get(config, "drsConfig")
        rate = get(drs, "vmotionRate")
        level = LEVELS.get(str(get(drs, "defaultVmBehavior")))
        return {
            "cluster": p["name"],
            "id": p["id"],
            "evc_mode": get(p.get("summary"), "currentEVCModeKey"),
            "ha_failover_hosts": _failover(get(config, "dasConfig")),
            "automation": level if get(drs, "enabled", True) else "manual",
            "migration_threshold": None if rate is None else 6 - rate,  # the API counts the other way round
        }

    def _pool(self, p: Properties) -> Row:
        return {
            "pool": p["name"],
            "id": p["id"],
            "parent": self.pools[p["parent"]]["name"] if p["parent"] in self.pools else None,
            "cluster": self.clusters[p["owner"]]["name"],
            **_allocation(p.get("config"), "cpu", "mhz"),
            **_allocation(p.get("config"), "memory", "mib"),
        }

    def _host(self, p: Properties) -> Row:
        hardware = p["summary.hardware"]
        speeds = [get(nic, "linkSpeed.speedMb", 0) for nic in p.get("config.network.pnic") or []]
        maker = str(get(hardware, "cpuModel", "")).casefold()
        parent = self.clusters.get(p.get("parent"))
        return {
            "host": p["name"],
            "id": p["id"],
            "vcenter_id": self.uuid or None,
            "cluster": parent["name"] if parent else p["name"],
            "cpu_mhz": hardware.cpuMhz * hardware.numCpuCores,
            "memory_mib": hardware.memorySize / 2**20,
            "cpu_cores": hardware.numCpuCores,
            "cpu_vendor": "intel" if "intel" in maker else "amd" if "amd" in maker else None,
            "evc_max": p.get("summary.maxEVCModeKey"),
            "state": host_state(p),
            "vmotion_mbps": max(speeds, default=0) or None,
            "vcenter": self.name or None,
        }

    def _store(self, p: Properties) -> Row:
        summary = p["summary"]
        return {
            "datastore": p["name"],
            "id": p["id"],
            "capacity_gib": summary.capacity / 2**30,
            "free_gib": min(summary.freeSpace, summary.capacity) / 2**30,
            "datastore_cluster": self.pods.get(p.get("parent")),
            "state": store_state(summary),
        }

    def _vms(self) -> list[Row]:
        overrides = {
            one.key: LEVELS.get(str(get(one, "behavior"))) if get(one, "enabled", True) else "manual"
            for p in self.clusters.values()
            for one in get(p.get("configurationEx"), "drsVmConfig", [])
        }
        return [self._vm(p, overrides.get(ref)) for ref, p in self.machines.items()]

    def _vm(self, p: Properties, automation: str | None) -> Row:
        hardware, stats = p["config.hardware"], p.get("summary.quickStats")
        cpu, memory = p.get("config.cpuAllocation"), p.get("config.memoryAllocation")
        host, pool = self.hosts.get(p.get("runtime.host")), self.pools.get(p.get("resourcePool"))
        local = [
            type(each).__name__.endswith("VirtualPCIPassthrough") for each in get(hardware, "device", [])
        ]
        return {
            "vm": p["name"],
            "id": p["id"],
            "instance_uuid": p.get("config.instanceUuid"),
            "host": host["name"] if host else None,
            "memory_mib": hardware.memoryMB,
            "vcpus": hardware.numCPU,
            "cpu_demand_mhz": get(stats, "overallCpuDemand", get(stats, "overallCpuUsage", 0)),
            "memory_active_mib": get(stats, "guestMemoryUsage"),
            "memory_consumed_mib": get(stats, "hostMemoryUsage"),
            "cpu_reservation_mhz": get(cpu, "reservation"),
            "cpu_limit_mhz": _limit(get(cpu, "limit")),
            "cpu_shares": get(cpu, "shares.shares"),
            "memory_reservation_mib": get(memory, "reservation"),
            "memory_limit_mib": _limit(get(memory, "limit")),
            "memory_shares": get(memory, "shares.shares"),
            "evc_mode": p.get("runtime.minRequiredEVCModeKey"),
            "power": "on" if str(p.get("runtime.powerState")) == "poweredOn" else "off",
            "automation": automation,
            "pool": pool["name"] if pool else None,
            "gpus": sum(local) or None,
        }

    def _disks(self, p: Properties) -> list[Row]:
        return [
            {"vm": p["name"], "disk": label, "datastore": store, "size_gib": device.capacityInKB / 2**20}
            for label, device, store in virtual_disks(p["config.hardware"], self.stores)
        ]

    def provenance(self) -> Provenance:
        """What the quick statistics of the running VMs have."""
        running = [p for p in self.machines.values() if str(p.get("runtime.powerState")) == "poweredOn"]
        return _provenance([p.get("summary.quickStats") for p in running], self.left_out)

    def rules(self) -> tuple[Rule, ...]:
        """The DRS rules of all clusters."""
        return rules_of(
            [(str(p["name"]), p.get("configurationEx")) for p in self.clusters.values()],
            {ref: str(p["name"]) for ref, p in self.machines.items()},
            {ref: str(p["name"]) for ref, p in self.hosts.items()},
        )


def virtual_disks(hardware: Any, stores: Mapping[Any, Properties]) -> list[tuple[str, Any, str]]:
    """(label, device, datastore) of each virtual disk, in the order of the devices."""
    found = []
    for device in get(hardware, "device", []):
        store = stores.get(get(device, "backing.datastore"))
        if store and get(device, "capacityInKB") is not None:
            label = str(get(device, "deviceInfo.label", f"disk-{device.key}"))
            found.append((label, device, str(store["name"])))
    return found


def host_state(p: Properties) -> str:
    """The state of a host, of its `runtime` properties."""
    if str(p.get("runtime.connectionState", "connected")) != "connected":
        return "disconnected"
    if p.get("runtime.inMaintenanceMode"):
        return "maintenance"
    return "quarantine" if p.get("runtime.inQuarantineMode") else "connected"


def store_state(summary: Any) -> str:
    """The state of a datastore, of its `summary`."""
    if not get(summary, "accessible", True):
        return "disconnected"
    return "connected" if get(summary, "maintenanceMode", "normal") == "normal" else "maintenance"


def _with_room(stores: dict[Any, Properties]) -> dict[Any, Properties]:
    """The datastores with a capacity: it is known only of those that are accessible."""
    empty = [str(p["name"]) for p in stores.values() if not p["summary"].capacity]
    if empty:
        said = some(empty, 5)
        warn(f"{len(empty)} datastores without a capacity are left out, with the disks on them: {said}")
    return {ref: p for ref, p in stores.items() if p["summary"].capacity}


def _failover(ha: Any) -> Any:
    """Host failures that HA tolerates, as its admission control or, before vSphere 5, HA itself says."""
    if not get(ha, "enabled"):
        return None
    return get(ha, "admissionControlPolicy.failoverLevel", get(ha, "failoverLevel"))


def _provenance(stats: Sequence[Any], note: str) -> Provenance:
    """What the quick statistics of the running VMs have."""
    cpu = [get(one, "overallCpuDemand", get(one, "overallCpuUsage")) for one in stats]
    memory = [get(one, "guestMemoryUsage", get(one, "hostMemoryUsage")) for one in stats]
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
    found = get(config, f"{resource}Allocation")
    expandable = get(found, "expandableReservation")
    return {
        f"{resource}_reservation_{unit}": get(found, "reservation"),
        f"{resource}_limit_{unit}": _limit(get(found, "limit")),
        f"{resource}_shares": get(found, "shares.shares"),
        f"{resource}_expandable": None if expandable is None else "yes" if expandable else "no",
    }


def named(objects: Objects) -> dict[Any, Mapping[str, Any]]:
    """The objects with their ids and tidy names; two of one name are told apart by their id."""
    names = [" ".join(unquote(str(p["name"])).split()) for _, p in objects]
    often = Counter(names)
    return {
        ref: {
            **p,
            "id": getattr(ref, "_moId", None),
            "name": name if often[name] == 1 else f"{name} ({getattr(ref, '_moId', number)})",
        }
        for number, ((ref, p), name) in enumerate(zip(objects, names, strict=True), start=1)
    }


def _all_networks(portgroups: list[dict[str, Any]], nics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The port groups, and a row without a host for networks that only VMs name."""
    if not portgroups:
        return []
    known = {row["network"] for row in portgroups}
    orphans = dict.fromkeys(row["network"] for row in nics if row["network"] not in known)
    return [*portgroups, *({"host": None, "network": network} for network in orphans)]
