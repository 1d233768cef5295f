"""Proxmox VE: what `pvesh get PATH --output-format json` prints, one file a path, together or as a folder.

===========================  ==================================================================================
`/cluster/resources`         required: nodes, VMs, their load now, storages
`/nodes/NODE/status`         clock, cores and maker of the CPU; its file or folder bears the node's name
`/cluster/ha/rules`          node-affinity and resource-affinity rules (Proxmox VE 9)
`/cluster/ha/groups`         with `/cluster/ha/resources`: groups of nodes (Proxmox VE 8)
`/cluster/ha/status/current` nodes in maintenance mode
===========================  ==================================================================================

CPU is counted in threads, as Proxmox does: capacity is threads x clock, the demand of a VM is its share of its
vCPUs x clock. Fields as in the API viewer of Proxmox VE (pve-docs, `api-viewer`) and its chapter “High Availability”.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from drs.errors import Fault, InputError
from drs.io.build import build
from drs.io.raw import Faults
from drs.io.readers.identity import distinct_names
from drs.io.readers.inventory import number, raw_tables
from drs.io.readers.look import Look
from drs.io.readers.protocol import Options, Reader, Reading, warn
from drs.model.provenance import Provenance
from drs.words import some

if TYPE_CHECKING:
    from drs.rules import Rule
    from drs.rules.base import Policy

Part = Literal["resources", "status", "rules", "groups", "ha-resources", "ha-status"]

NOMINAL_MHZ = 1000.0
"""What a thread counts for where no file has the clock of its node."""
USED = {
    "node": {"type", "node", "status", "maxcpu", "maxmem", "hastate"},
    "qemu": {"type", "vmid", "name", "node", "status", "template", "cpu", "maxcpu", "mem", "maxmem"},
    "lxc": {"type", "vmid", "name", "node", "status", "template", "cpu", "maxcpu", "mem", "maxmem"},
    "storage": {"type", "storage", "node", "shared", "content", "status", "disk", "maxdisk"},
}


def rows_of(document: Any) -> list[dict[str, Any]]:
    """The objects of a list, or of the answer `{"data": [...]}` of the API; none of anything else.

    Parameters
    ----------
    document : Any
        A JSON document.
    """
    if isinstance(document, dict) and isinstance(document.get("data"), list):
        document = document["data"]
    return [row for row in document if isinstance(row, dict)] if isinstance(document, list) else []


def status_of(document: Any) -> dict[str, Any]:
    """The object of `/nodes/NODE/status`; empty for anything else.

    Parameters
    ----------
    document : Any
        A JSON document.
    """
    if isinstance(document, dict) and isinstance(document.get("data"), dict):
        document = document["data"]
    whole = isinstance(document, dict) and isinstance(document.get("cpuinfo"), dict) and "memory" in document
    return document if whole else {}


def part_of(document: Any) -> Part | None:
    """Which path of the API a document is of; None for none that is read.

    Parameters
    ----------
    document : Any
        A JSON document.
    """
    if status_of(document):
        return "status"
    rows = rows_of(document)
    if not rows:
        return None
    if all({"id", "type"} <= row.keys() for row in rows):
        if any(str(row["id"]).startswith(("node/", "qemu/", "lxc/", "storage/")) for row in rows):
            return "resources"
        if any(row["type"] in ("quorum", "master", "lrm", "service") for row in rows):
            return "ha-status"
    if all({"rule", "type"} <= row.keys() for row in rows):
        return "rules"
    if all({"group", "nodes"} <= row.keys() for row in rows):
        return "groups"
    return "ha-resources" if all("sid" in row for row in rows) else None


def recognises(seen: Look) -> bool:
    """Whether it is a part of a Proxmox VE cluster.

    Parameters
    ----------
    seen : Look
        A file or folder.
    """
    return seen.kind == "json" and part_of(seen.document) is not None


@dataclass
class _Cluster:
    resources: list[dict[str, Any]] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    ha_resources: list[dict[str, Any]] = field(default_factory=list)
    ha_status: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[tuple[Look, dict[str, Any]]] = field(default_factory=list)


def read(seen: Sequence[Look], options: Options) -> Reading:
    """Read the parts of one cluster.

    Parameters
    ----------
    seen : sequence of Look
        JSON files.
    options : Options
        `without_unknown_hosts`.
    """
    cluster = _Cluster()
    first: dict[str, Look] = {}
    for one in seen:
        part = part_of(one.document)
        if part == "status":
            cluster.statuses.append((one, status_of(one.document)))
            continue
        if part in first:
            raise InputError(
                Fault(
                    one.given,
                    f"a second file of /cluster/{part}",
                    "one cluster",
                    f"{first[part].given} is one",
                )
            )
        first[str(part)] = one
        getattr(cluster, str(part).replace("-", "_")).extend(rows_of(one.document))
    if not cluster.resources:
        raise InputError(
            Fault(
                seen[0].given,
                "no nodes and VMs",
                "the output of pvesh get /cluster/resources, as JSON, among the files",
            )
        )
    return _Converter(cluster, first["resources"], options).reading()


class _Converter:
    def __init__(self, cluster: _Cluster, home: Look, options: Options) -> None:
        self.cluster, self.home, self.options, self.faults = cluster, home, options, Faults()
        by_type: dict[str, list[dict[str, Any]]] = {}
        for row in cluster.resources:
            by_type.setdefault(str(row.get("type")), []).append(row)
        self.by_type = by_type
        self.nodes = [row for row in by_type.get("node", []) if row.get("node")]
        self.names = [str(row["node"]) for row in self.nodes]
        self.unused: list[str] = []
        self.clock = self._clocks()

    def _clocks(self) -> dict[str, dict[str, Any]]:
        """The CPU of each node of which there is a status."""
        found: dict[str, dict[str, Any]] = {}
        for seen, status in self.cluster.statuses:
            places = {*re.split(r"[^\w-]+", seen.path.stem), seen.path.stem, seen.path.parent.name}
            fits = [name for name in self.names if name in places]
            fits = fits or sorted((name for name in self.names if name in seen.path.stem), key=len)[-1:]
            if len(fits) == 1:
                found[fits[0]] = status["cpuinfo"]
            else:
                warn(
                    f"{seen.given}: which node's status it is cannot be told and it is not used; "
                    "let the file bear the name of its node"
                )
        return found

    def mhz(self, node: str) -> float:
        """The clock of a node; the same for all where one has none, so that they stay comparable."""
        clocks = {name: _clock_mhz(self.clock.get(name, {})) for name in self.names}
        return NOMINAL_MHZ if None in clocks.values() else clocks.get(node) or NOMINAL_MHZ

    def reading(self) -> Reading:
        hosts = self._hosts()
        known = self.names_kept = {str(row["host"]) for row in hosts}
        missing = [name for name in self.names if _clock_mhz(self.clock.get(name, {})) is None]
        if missing:
            warn(
                f"the clock of {some(missing, 5)} is not known (/nodes/NODE/status): a thread counts as "
                f"{NOMINAL_MHZ:,.0f} MHz on every node, so CPU figures are right in relation and not in MHz"
            )
        running_off: list[str] = []
        vms, templates = [], []
        for row in self.by_type.get("qemu", []):
            label = str(row.get("name") or row.get("vmid"))
            if row.get("template"):
                templates.append(label)
            elif row.get("status") == "running" and str(row.get("node")) not in known:
                running_off.append(label)
            else:
                vms.append(row)
        if templates:
            warn(f"{len(templates)} templates are left out: {some(templates, 5)}")
        note = self._strangers(running_off, sum(row.get("status") == "running" for row in vms))
        given = {str(row.get("vmid")): str(row.get("name") or f"vm-{row.get('vmid')}") for row in vms}
        named = distinct_names(given, {key: key for key in given})
        rows = {
            "hosts": hosts,
            "vms": [self._vm(row, named[str(row.get("vmid"))], known) for row in vms],
            "datastores": self._storages(known),
            "mounts": [
                {"host": str(row["node"]), "datastore": self._storage_name(row)}
                for row in self._disks()
                if str(row.get("node")) in known
            ],
        }
        if not rows["datastores"]:
            rows["mounts"] = []
        if vms:
            warn(
                "/cluster/resources does not say which storage holds the disks of a VM: disks are not known, and "
                "a VM with a disk on local storage counts as one that can move"
            )
        if len(self.nodes) != len(set(self.names)):
            self.faults.add(self.home.given, "a node stands there twice", "each node once")
        for table in ("hosts", "vms"):
            if not rows[table]:
                what = "nodes" if table == "hosts" else "VMs"
                self.faults.add(self.home.given, f"it has no {what}", f"a cluster with {what}")
        self.faults.raise_if_any()
        provenance = Provenance(
            "measured", "measured" if any(row.get("mem") for row in vms) else "configured", note
        )
        snapshot = build(
            raw_tables(rows, "Proxmox VE"),
            self.faults,
            name=self.home.path.stem,
            source=f"Proxmox VE {self.home.label}",
            description=note,
            provenance=provenance,
        )
        return Reading(snapshot, self._rules(named), self._left())

    def _strangers(self, strange: list[str], running: int) -> str:
        if not strange:
            return ""
        said = f"{len(strange)} of {len(strange) + running} running VMs are on nodes that the file lacks"
        if self.options.without_unknown_hosts:
            warn(f"{said}; they are left out: {some(strange, 5)}")
            return f"{said} and are left out"
        self.faults.add(
            self.home.given,
            f"{said}: {some(strange, 3)}",
            "every node of the cluster",
            "leave these VMs out: option without_unknown_hosts",
        )
        return ""

    def _maintained(self) -> set[str]:
        """Nodes in the maintenance mode of the HA manager."""
        found = {str(row["node"]) for row in self.nodes if row.get("hastate") == "maintenance"}
        for row in self.cluster.ha_status:
            if row.get("type") == "lrm" and "maintenance" in str(row.get("status")):
                found.add(str(row.get("node")))
        return found

    def _hosts(self) -> list[dict[str, Any]]:
        """Nodes; what their containers use is kept for them, for a container cannot be migrated live."""
        maintained = self._maintained()
        kept: dict[str, list[float]] = {name: [0.0, 0.0] for name in self.names}
        containers = [
            row
            for row in self.by_type.get("lxc", [])
            if row.get("status") == "running" and str(row.get("node")) in kept
        ]
        for row in containers:
            share = kept[str(row["node"])]
            cores = number(row.get("maxcpu")) or 0.0
            share[0] += (number(row.get("cpu")) or 0.0) * cores * self.mhz(str(row["node"]))
            share[1] += (number(row.get("maxmem")) or 0.0) / 2**20
        if containers:
            names = [str(row.get("name") or row.get("vmid")) for row in containers]
            warn(
                f"{len(containers)} containers cannot be migrated live: their CPU and memory count as reserved "
                f"on their nodes: {some(names, 5)}"
            )
        found = []
        for row in self.nodes:
            name, info = str(row["node"]), self.clock.get(str(row["node"]), {})
            threads, memory = number(row.get("maxcpu")), number(row.get("maxmem"))
            if not threads or not memory:
                warn(f"node {name} is left out: it is {row.get('status')} and shows no CPU and memory")
                continue
            model = str(info.get("model", "")).casefold()
            state = "connected" if row.get("status") == "online" else "disconnected"
            found.append(
                {
                    "host": name,
                    "cluster": "proxmox",
                    "cpu_mhz": threads * self.mhz(name),
                    "memory_mib": memory / 2**20,
                    "cpu_reserved_mhz": kept[name][0],
                    "memory_reserved_mib": kept[name][1],
                    "cpu_vendor": "intel" if "intel" in model else "amd" if "amd" in model else None,
                    "state": "maintenance" if name in maintained and state == "connected" else state,
                    "hypervisor": "kvm",
                }
            )
        return found

    def _vm(self, row: dict[str, Any], name: str, known: set[str]) -> dict[str, Any]:
        running, node = row.get("status") == "running", str(row.get("node"))
        vcpus = number(row.get("maxcpu")) or 1.0
        memory = number(row.get("maxmem"))
        used = number(row.get("mem")) if running else None
        share = number(row.get("cpu")) or 0.0
        return {
            "vm": name,
            "host": node if node in known else None,
            "memory_mib": None if memory is None else memory / 2**20,
            "vcpus": vcpus,
            "cpu_demand_mhz": share * vcpus * self.mhz(node) if running else 0.0,
            "memory_consumed_mib": None if used is None or memory is None else min(used, memory) / 2**20,
            "power": "on" if running else "off",
        }

    def _disks(self) -> list[dict[str, Any]]:
        """Storages that hold images of VMs."""
        return [
            row
            for row in self.by_type.get("storage", [])
            if number(row.get("maxdisk")) and "images" in str(row.get("content", "images"))
        ]

    def _storage_name(self, row: dict[str, Any]) -> str:
        """A shared storage is one on all its nodes, another one is its node's own."""
        name = str(row.get("storage"))
        return name if row.get("shared") else f"{name} ({row.get('node')})"

    def _storages(self, known: set[str]) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for row in self._disks():
            if str(row.get("node")) not in known:
                continue
            capacity, taken = number(row.get("maxdisk")) or 0.0, number(row.get("disk")) or 0.0
            found.setdefault(
                self._storage_name(row),
                {
                    "datastore": self._storage_name(row),
                    "capacity_gib": capacity / 2**30,
                    "free_gib": max(0.0, capacity - taken) / 2**30,
                },
            )
        return list(found.values())

    # -- rules of the HA manager

    def _rules(self, named: dict[str, str]) -> tuple[Rule, ...]:
        from drs.rules import KeepApart, KeepTogether, RunOn

        found: list[Rule] = []
        unread: list[str] = []
        taken: set[str] = set()
        for row in self.cluster.rules:
            name, kind = str(row["rule"]), str(row["type"])
            vms, others = self._vms_of(row.get("resources"), named)
            hosts = self._nodes_of(row.get("nodes"))
            if others:
                unread.append(f"{name} for {some(others, 3)}")
            if row.get("disable") or not vms or name in taken:
                unread.append(f"{name} (switched off)" if row.get("disable") else name)
            elif kind == "node-affinity" and hosts:
                found.append(
                    RunOn(vms=vms, hosts=hosts, name=name, policy="hard" if row.get("strict") else "soft")
                )
            elif (
                kind == "resource-affinity"
                and len(vms) > 1
                and row.get("affinity") in ("positive", "negative")
            ):
                make = KeepTogether if row["affinity"] == "positive" else KeepApart
                found.append(make(vms=vms, name=name, policy="hard"))
            else:
                unread.append(name)
            taken.add(name)
            self._say_priorities(name, row.get("nodes"))
        groups = {str(row["group"]): row for row in self.cluster.groups}
        members: dict[str, list[str]] = {}
        for row in self.cluster.ha_resources:
            vms, _ = self._vms_of(row.get("sid"), named)
            if row.get("group") in groups and vms:
                members.setdefault(str(row["group"]), []).extend(vms)
        for name, group in members.items():
            hosts = self._nodes_of(groups[name].get("nodes"))
            if hosts and name not in taken:
                policy: Policy = "hard" if groups[name].get("restricted") else "soft"
                found.append(RunOn(vms=tuple(group), hosts=hosts, name=name, policy=policy))
                self._say_priorities(name, groups[name].get("nodes"))
        if unread:
            warn(f"{len(unread)} HA rules are not read: {some(unread, 5)}")
        return tuple(found)

    def _say_priorities(self, name: str, nodes: Any) -> None:
        if len({part.partition(":")[2] for part in str(nodes or "").split(",")}) > 1:
            warn(f"HA rule {name}: the priorities of its nodes are not read, all of them count alike")

    def _vms_of(self, resources: Any, named: dict[str, str]) -> tuple[tuple[str, ...], list[str]]:
        """Our names of the VMs among some resources such as `vm:101,ct:102`, and the others."""
        parts = [part.strip() for part in str(resources or "").split(",") if part.strip()]
        ids = {part: part.removeprefix("vm:") for part in parts}
        vms = tuple(named[key] for key in ids.values() if key in named)
        return vms, [part for part, key in ids.items() if key not in named]

    def _nodes_of(self, nodes: Any) -> tuple[str, ...]:
        names = [part.partition(":")[0].strip() for part in str(nodes or "").split(",")]
        return tuple(name for name in names if name in self.names_kept)

    def _left(self) -> tuple[str, ...]:
        lines = list(self.unused)
        kinds = [kind for kind in self.by_type if kind not in USED]
        if kinds:
            lines.append(f"resources of the type {some(kinds, 8)}")
        for kind, used in USED.items():
            left = {key for row in self.by_type.get(kind, []) for key in row} - used - {"id"}
            if left:
                lines.append(f"{kind}: fields {some(sorted(left), 10)}")
        return tuple(lines)


def _clock_mhz(info: dict[str, Any]) -> float | None:
    """The clock that the model names; else what the first thread had at that moment."""
    named = re.search(r"@\s*([\d.]+)\s*GHz", str(info.get("model", "")))
    ghz = number(named.group(1)) if named else None
    return ghz * 1000 if ghz else number(info.get("mhz"))


READER = Reader(
    name="Proxmox VE",
    give="files of pvesh get PATH in the output format json: /cluster/resources, and with it /nodes/NODE/status, "
    "/cluster/ha/rules, …; one by one or their folder",
    tried="files built from published formats",
    recognises=recognises,
    read=read,
    together=True,
)
