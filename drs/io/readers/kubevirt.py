"""KubeVirt: a saved inventory, `kubectl get vmi,nodes -A -o json`.

===========  ================================================================================================
nodes        capacity and allocatable CPU and memory, Ready, cordoned, zone, the clock that KubeVirt labels
VMs          each VirtualMachineInstance: domain CPU and memory, node, phase, LiveMigratable
rules        nodeSelector, required node affinity; required and preferred affinity between instances
load         `kubectl get --raw /apis/metrics.k8s.io/v1beta1/pods`, where it is given: usage of the launcher pods
===========  ================================================================================================

Stopped VMs are no instances and are not read. Fields as in the API reference of KubeVirt v1
(`VirtualMachineInstanceSpec`, `VirtualMachineInstanceStatus`) and of Kubernetes core/v1 (`NodeStatus`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

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

NOMINAL_MHZ = 1000.0
"""What a CPU counts for where a node has no label of its clock."""
CLOCK = "cpu-timer.node.kubevirt.io/tsc-frequency"
VENDOR = "cpu-vendor.node.kubevirt.io/"
ALLOCATION = 10.0
"""vCPUs for each requested CPU: KubeVirt's default `cpuAllocationRatio`."""
FACTORS = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50,
}  # fmt: skip
TOPOLOGY = {
    "kubernetes.io/hostname": "host",
    "topology.kubernetes.io/zone": "site",
    "topology.kubernetes.io/rack": "rack",
}


def quantity(value: Any) -> float | None:
    """A quantity of Kubernetes as a number: `500m` is 0.5, `8Gi` is 2³⁰ x 8; None for none.

    Parameters
    ----------
    value : Any
        Text or a number.

    >>> quantity("500m"), quantity("8Gi"), quantity(4), quantity("much")
    (0.5, 8589934592.0, 4.0, None)
    """
    found = re.fullmatch(r"([+-]?[\d.]+(?:[eE][+-]?\d+)?)([A-Za-z]*)", str(value).strip())
    if found is None or found[2] not in FACTORS or number(found[1]) is None:
        return None
    return float(found[1]) * FACTORS[found[2]]


def get(thing: Any, *path: str) -> Any:
    """What stands at a path of keys; None where a key is missing.

    Parameters
    ----------
    thing : Any
        A JSON object.
    *path : str
        Keys from the outside in.
    """
    for key in path:
        thing = thing.get(key) if isinstance(thing, dict) else None
    return thing


def table(thing: Any, *path: str) -> dict[str, Any]:
    """The object at a path of keys; empty where there is none.

    Parameters
    ----------
    thing : Any
        A JSON object.
    *path : str
        Keys from the outside in.
    """
    found = get(thing, *path)
    return found if isinstance(found, dict) else {}


def entries(thing: Any, *path: str) -> list[dict[str, Any]]:
    """The objects of the list at a path of keys; none where there is none.

    Parameters
    ----------
    thing : Any
        A JSON object.
    *path : str
        Keys from the outside in.
    """
    found = get(thing, *path)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def items_of(document: Any) -> list[dict[str, Any]]:
    """The objects of a `List` of any kind, or one object; none of anything else.

    Parameters
    ----------
    document : Any
        A JSON document.
    """
    if not isinstance(document, dict) or "kind" not in document:
        return []
    rows = document.get("items")
    if not isinstance(rows, list):
        return [document]
    kind = str(document["kind"]).removesuffix("List")
    return [{**({"kind": kind} if kind else {}), **row} for row in rows if isinstance(row, dict)]


def recognises(seen: Look) -> bool:
    """Whether it holds instances of KubeVirt, nodes of Kubernetes, or the metrics of pods.

    Parameters
    ----------
    seen : Look
        A file or folder.
    """
    kinds = {str(row.get("kind")) for row in items_of(seen.document)} if seen.kind == "json" else set()
    return bool(kinds & {"VirtualMachineInstance", "Node", "PodMetrics"})


def read(seen: Sequence[Look], options: Options) -> Reading:
    """Read the parts of one inventory.

    Parameters
    ----------
    seen : sequence of Look
        JSON files.
    options : Options
        `without_unknown_hosts`.
    """
    rows = [row for one in seen for row in items_of(one.document)]
    of_kind: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        of_kind.setdefault(str(row.get("kind")), []).append(row)
    missing = [kind for kind in ("Node", "VirtualMachineInstance") if kind not in of_kind]
    if missing:
        raise InputError(
            Fault(
                seen[0].given,
                f"no object of the kind {' and '.join(missing)}",
                "the output of kubectl get vmi,nodes -A -o json",
            )
        )
    return _Converter(of_kind, seen[0], options).reading()


class _Converter:
    def __init__(self, of_kind: Mapping[str, list[dict[str, Any]]], home: Look, options: Options) -> None:
        self.of_kind, self.home, self.options, self.faults = of_kind, home, options, Faults()
        self.nodes = of_kind["Node"]
        self.labels = {self._name(row): table(row, "metadata", "labels") for row in self.nodes}
        clocks = {name: number(labels.get(CLOCK)) for name, labels in self.labels.items()}
        dark = [name for name, hertz in clocks.items() if not hertz]
        self.mhz = {name: NOMINAL_MHZ if dark else (hertz or 0.0) / 1e6 for name, hertz in clocks.items()}
        if dark:
            warn(
                f"the clock of {some(dark, 5)} is not known (label {CLOCK}): a CPU counts as "
                f"{NOMINAL_MHZ:,.0f} MHz on every node, so CPU figures are right in relation and not in MHz"
            )

    @staticmethod
    def _name(row: Mapping[str, Any]) -> str:
        return str(get(row, "metadata", "name"))

    @staticmethod
    def _node(row: Mapping[str, Any]) -> str | None:
        node = get(row, "status", "nodeName")
        return str(node) if node else None

    @staticmethod
    def _space(row: Mapping[str, Any]) -> str:
        return str(get(row, "metadata", "namespace") or "default")

    def reading(self) -> Reading:
        instances = self._choose()
        given = {place: self._name(row) for place, row in enumerate(instances)}
        named = distinct_names(given, {place: self._space(row) for place, row in enumerate(instances)})
        usage = self._usage()
        hosts = self._hosts()
        vms = [self._vm(row, named[place], usage) for place, row in enumerate(instances)]
        for table, found in (("nodes", hosts), ("running instances", vms)):
            if not found:
                self.faults.add(self.home.given, f"it has no {table}", f"an inventory with {table}")
        self.faults.raise_if_any()
        measured = [row for row in instances if (self._space(row), self._name(row)) in usage]
        note = self.left_out
        if usage and len(measured) < len(instances):
            warn(f"{len(instances) - len(measured)} instances have no metrics; their requests count")
        if not usage:
            warn(
                "an inventory has no load: the CPU demand of an instance is its request, or a "
                f"{ALLOCATION:g}th of its vCPUs; give the metrics of the pods too to have it measured"
            )
        origin: Any = "measured" if usage else "configured"
        snapshot = build(
            raw_tables({"hosts": hosts, "vms": vms}, "KubeVirt"),
            self.faults,
            name=self.home.path.stem,
            source=f"KubeVirt {self.home.label}",
            description=note,
            provenance=Provenance(origin, origin, note),
        )
        return Reading(snapshot, self._rules(instances, named), self._left())

    def _choose(self) -> list[dict[str, Any]]:
        """Instances that run on a node of the inventory."""
        self.left_out = ""
        rows = self.of_kind["VirtualMachineInstance"]
        done = [row for row in rows if get(row, "status", "phase") in ("Succeeded", "Failed")]
        if done:
            warn(
                f"{len(done)} instances have ended and are left out: {some([self._name(row) for row in done], 5)}"
            )
        alive = [row for row in rows if get(row, "status", "phase") not in ("Succeeded", "Failed")]
        known = set(self.labels)
        strange = [row for row in alive if self._node(row) not in known | {None}]
        if strange:
            said = f"{len(strange)} of {len(alive)} running instances are on nodes that the inventory lacks"
            names = some([self._name(row) for row in strange], 3)
            if self.options.without_unknown_hosts:
                warn(f"{said}; they are left out: {names}")
                self.left_out = f"{said} and are left out"
                return [row for row in alive if row not in strange]
            hint = "leave these VMs out: option without_unknown_hosts"
            self.faults.add(self.home.given, f"{said}: {names}", "every node of the cluster", hint)
        return [row for row in alive if row not in strange]

    def _hosts(self) -> list[dict[str, Any]]:
        found = []
        for row in self.nodes:
            name, labels = self._name(row), self.labels[self._name(row)]
            capacity = {what: quantity(get(row, "status", "capacity", what)) for what in ("cpu", "memory")}
            usable = {what: quantity(get(row, "status", "allocatable", what)) for what in ("cpu", "memory")}
            conditions = entries(row, "status", "conditions")
            ready = {str(get(each, "type")): get(each, "status") for each in conditions}.get("Ready", "True")
            if labels.get("kubevirt.io/schedulable") == "false":
                ready = "False"
            state = "maintenance" if get(row, "spec", "unschedulable") else "connected"
            cpus, memory = capacity["cpu"], capacity["memory"]
            if not cpus or not memory:
                self.faults.add(
                    f"{self.home.given}, node {name}, field status.capacity", "no cpu or memory", "both"
                )
                continue
            kept = {
                what: (capacity[what] or 0.0) - (usable[what] or capacity[what] or 0.0) for what in usable
            }
            vendors = [key.removeprefix(VENDOR).casefold() for key in labels if key.startswith(VENDOR)]
            found.append(
                {
                    "host": name,
                    "cluster": "kubevirt",
                    "cpu_mhz": cpus * self.mhz[name],
                    "memory_mib": memory / 2**20,
                    "cpu_reserved_mhz": max(0.0, kept["cpu"]) * self.mhz[name],
                    "memory_reserved_mib": max(0.0, kept["memory"]) / 2**20,
                    "cpu_vendor": next((vendor for vendor in vendors if vendor in ("intel", "amd")), None),
                    "site": labels.get("topology.kubernetes.io/zone"),
                    "rack": labels.get("topology.kubernetes.io/rack"),
                    "state": state if ready == "True" else "disconnected",
                    "hypervisor": "kvm",
                }
            )
        return found

    def _vm(
        self, row: dict[str, Any], name: str, usage: Mapping[tuple[str, str], tuple[float, float]]
    ) -> dict[str, Any]:
        domain = get(row, "spec", "domain")
        topology = table(row, "status", "currentCPUTopology") or table(domain, "cpu")
        requests = table(domain, "resources", "requests")
        limits = table(domain, "resources", "limits")
        vcpus = 1.0
        for part in ("sockets", "cores", "threads"):
            vcpus *= number(get(topology, part)) or 1.0
        if not get(domain, "cpu"):
            vcpus = max(1.0, quantity(requests.get("cpu")) or quantity(limits.get("cpu")) or 1.0)
        memory = (
            quantity(get(domain, "memory", "guest"))
            or quantity(requests.get("memory"))
            or quantity(limits.get("memory"))
        )
        node = self._node(row)
        mhz = self.mhz.get(str(node), NOMINAL_MHZ)
        asked = quantity(requests.get("cpu")) or vcpus / ALLOCATION
        cpus, used = usage.get((self._space(row), self._name(row)), (asked, None))
        devices = table(domain, "devices")
        return {
            "vm": name,
            "host": node,
            "memory_mib": None if memory is None else memory / 2**20,
            "vcpus": vcpus,
            "cpu_demand_mhz": cpus * mhz,
            "memory_consumed_mib": None if used is None or memory is None else min(used, memory) / 2**20,
            "cpu_reservation_mhz": (quantity(requests.get("cpu")) or 0.0) * mhz,
            "memory_reservation_mib": min(quantity(requests.get("memory")) or 0.0, memory or 0.0) / 2**20,
            "gpus": len(entries(devices, "gpus") + entries(devices, "hostDevices")),
        }

    def _usage(self) -> dict[tuple[str, str], tuple[float, float]]:
        """(CPUs, bytes) that the launcher pod of each instance uses, by namespace and name."""
        found: dict[tuple[str, str], tuple[float, float]] = {}
        for row in self.of_kind.get("PodMetrics", []):
            launcher = re.fullmatch(r"virt-launcher-(.+)-[a-z0-9]{5}", self._name(row))
            if launcher is None:
                continue
            containers = entries(row, "containers")
            cpus, memory = (
                sum(quantity(get(each, "usage", what)) or 0.0 for each in containers)
                for what in ("cpu", "memory")
            )
            found[self._space(row), launcher[1]] = (cpus, memory)
        return found

    # -- rules

    def _rules(self, instances: Sequence[dict[str, Any]], named: Mapping[int, str]) -> tuple[Rule, ...]:
        self.unread: Counter[str] = Counter()
        found = [
            *self._fixed(instances, named),
            *self._on_nodes(instances, named),
            *self._between(instances, named),
        ]
        if self.unread:
            said = [f"{what} ({count})" for what, count in self.unread.items()]
            warn(f"what is not read of where instances may run: {some(said, 8)}")
        return tuple(found)

    def _fixed(self, instances: Sequence[dict[str, Any]], named: Mapping[int, str]) -> list[Rule]:
        from drs.rules import Pinned

        held = []
        for place, row in enumerate(instances):
            conditions = entries(row, "status", "conditions")
            if any(
                get(each, "type") == "LiveMigratable" and get(each, "status") == "False"
                for each in conditions
            ):
                held.append(named[place])
        return [Pinned(vms=tuple(held), name="not live migratable", policy="hard")] if held else []

    def _on_nodes(self, instances: Sequence[dict[str, Any]], named: Mapping[int, str]) -> list[Rule]:
        from drs.rules import RunOn

        groups: dict[tuple[str, ...], list[str]] = {}
        for place, row in enumerate(instances):
            chosen = list(self.labels)
            selector = table(row, "spec", "nodeSelector")
            wanted = table(row, "spec", "affinity", "nodeAffinity")
            terms = entries(wanted, "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
            chosen = [node for node in chosen if selector.items() <= self.labels[node].items()]
            if terms:
                chosen = [
                    node for node in chosen if any(self._fits(self.labels[node], term) for term in terms)
                ]
            if get(wanted, "preferredDuringSchedulingIgnoredDuringExecution"):
                self.unread["preferred node affinity"] += 1
            if not chosen:
                self.unread["a nodeSelector that fits no node"] += 1
            elif len(chosen) < len(self.labels):
                groups.setdefault(tuple(chosen), []).append(named[place])
        return [
            RunOn(vms=tuple(vms), hosts=nodes, name=f"nodes of {vms[0]}", policy="hard")
            for nodes, vms in groups.items()
        ]

    def _between(self, instances: Sequence[dict[str, Any]], named: Mapping[int, str]) -> list[Rule]:
        """Affinity between instances whose own group it speaks of; the others are counted as not read."""
        from drs.rules import KeepApart, KeepTogether

        found: dict[tuple[Any, ...], Rule] = {}
        for place, row in enumerate(instances):
            for key, make in (("podAntiAffinity", KeepApart), ("podAffinity", KeepTogether)):
                affinity = table(row, "spec", "affinity", key)
                required = entries(affinity, "requiredDuringSchedulingIgnoredDuringExecution")
                preferred = entries(affinity, "preferredDuringSchedulingIgnoredDuringExecution")
                terms = [(term, "hard") for term in required]
                terms += [(get(each, "podAffinityTerm"), "soft") for each in preferred]
                for term, policy in terms:
                    scope = TOPOLOGY.get(str(get(term, "topologyKey")))
                    named_spaces = get(term, "namespaces")
                    spaces = named_spaces if isinstance(named_spaces, list) else [self._space(row)]
                    group = [
                        number_
                        for number_, other in enumerate(instances)
                        if self._space(other) in spaces
                        and self._selected(table(other, "metadata", "labels"), table(term, "labelSelector"))
                    ]
                    if scope is None or place not in group or get(term, "namespaceSelector") is not None:
                        self.unread[f"{key} to another group of instances"] += 1
                    elif len(group) > 1:
                        vms = tuple(named[each] for each in group)
                        name = f"{'apart' if make is KeepApart else 'together'} {scope} {vms[0]}"
                        found.setdefault(
                            (key, scope, vms),
                            make(vms=vms, scope=scope, name=name, policy=policy),  # type: ignore[arg-type]
                        )
        return list(found.values())

    def _fits(self, labels: Mapping[str, str], term: Any) -> bool:
        if get(term, "matchFields"):
            self.unread["node affinity by fields"] += 1
        return all(self._holds(labels, each) for each in entries(term, "matchExpressions"))

    def _selected(self, labels: Mapping[str, str], selector: Any) -> bool:
        return all(labels.get(key) == value for key, value in table(selector, "matchLabels").items()) and all(
            self._holds(labels, each) for each in entries(selector, "matchExpressions")
        )

    def _holds(self, labels: Mapping[str, str], expression: Any) -> bool:
        """One expression of a selector, as Kubernetes reads it."""
        key, values = str(get(expression, "key")), get(expression, "values")
        values = values if isinstance(values, list) else []
        value = labels.get(key)
        tests: dict[str, Callable[[], bool]] = {
            "In": lambda: value in values,
            "NotIn": lambda: value not in values,
            "Exists": lambda: key in labels,
            "DoesNotExist": lambda: key not in labels,
            "Gt": lambda: (number(value) or 0.0) > (number(values[0]) or 0.0) if values else False,
            "Lt": lambda: (number(value) or 0.0) < (number(values[0]) or 0.0) if values else False,
        }
        return tests.get(str(get(expression, "operator")), lambda: False)()

    def _left(self) -> tuple[str, ...]:
        known = {"Node", "VirtualMachineInstance", "PodMetrics"}
        kinds = [
            f"{len(rows)} of the kind {kind}" for kind, rows in self.of_kind.items() if kind not in known
        ]
        lines = [f"objects: {some(kinds, 8)}"] if kinds else []
        lines.append("instances: disks, networks and their storage classes; VMs that are stopped")
        tainted = [self._name(row) for row in self.nodes if get(row, "spec", "taints")]
        if tainted:
            lines.append(f"taints of nodes {some(tainted, 5)}, and what tolerates them")
        return tuple(lines)


READER = Reader(
    name="KubeVirt",
    give="the file of kubectl get vmi,nodes -A -o json, and with it the metrics of its pods "
    "(raw path /apis/metrics.k8s.io/v1beta1/pods)",
    tried="files built from published formats",
    recognises=recognises,
    read=read,
    together=True,
)
