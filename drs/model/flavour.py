"""Sizes of VMs that are not there: `16c/32g`, as clouds sell them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from drs.model.snapshot import Snapshot, VmTable

UNITS: Mapping[str, tuple[str, float]] = {
    "c": ("vcpus", 1.0),
    "vcpu": ("vcpus", 1.0),
    "mhz": ("cpu", 1.0),
    "ghz": ("cpu", 1000.0),
    "m": ("memory", 1.0),
    "mib": ("memory", 1.0),
    "g": ("memory", 1024.0),
    "gib": ("memory", 1024.0),
}
"""What a unit in a flavour counts, and how much of it."""
LEAST_MIB = 1.0
"""Memory of a VM whose size says nothing of it: none has less."""
EXPECTED = "a size such as 16c/32g: c for vCPUs, g for GiB, mhz, or the name of a resource, joined by /"


@dataclass(frozen=True)
class Flavour:
    """A size of VM.

    vcpus : virtual CPUs. cpu_mhz : CPU demand; None for `vcpus` whole cores. memory_mib : memory.
    more : demand for further resources of hosts, by name. weight : how much it counts in a mix.
    """

    name: str
    vcpus: float = 0.0
    cpu_mhz: float | None = None
    memory_mib: float = 0.0
    more: Mapping[str, float] = field(default_factory=dict, hash=False)
    weight: float = 1.0

    def demand(self, snapshot: Snapshot) -> dict[str, float]:
        """What one VM needs of each resource of the hosts, those above 0; vCPUs are counted in the cores of `core_mhz`.

        Without any host whose cores are known, and without `cpu_mhz`, CPU is left out.
        """
        cpu = self.cpu_mhz
        if cpu is None:
            clock = core_mhz(snapshot)
            cpu = 0.0 if clock is None else self.vcpus * clock
        need = {"cpu": cpu, "memory": self.memory_mib, **self.more}
        return {resource: amount for resource, amount in need.items() if amount > 0}


def core_mhz(snapshot: Snapshot) -> float | None:
    """The clock of a core, the median over the hosts whose cores are known; None where none are."""
    hosts = snapshot.hosts
    known = ~np.isnan(hosts.cpu_cores) & (hosts.cpu_cores > 0)
    return float(np.median(hosts.cpu_mhz[known] / hosts.cpu_cores[known])) if known.any() else None


def flavour(text: str) -> Flavour:
    """A flavour from `16c/32g`, with `=3` behind it for its weight in a mix.

    >>> flavour("16c/32g=3")
    Flavour(name='16c/32g', vcpus=16.0, cpu_mhz=None, memory_mib=32768.0, more={}, weight=3.0)

    Raises
    ------
    ValueError : with what is wrong.
    """
    name, equals, weight_text = text.strip().partition("=")
    name = name.strip()
    found: dict[str, float] = {}
    for part in name.split("/"):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z_][\w-]*)\s*", part)
        if match is None:
            raise ValueError(f"{part.strip()!r} is no amount with a unit")
        what, factor = UNITS.get(match[2].lower(), (match[2], 1.0))
        if what in found:
            raise ValueError(f"{what} stands twice")
        found[what] = float(match[1]) * factor
    if not any(found.values()):
        raise ValueError("a VM that needs nothing")
    weight = 1.0
    if equals:
        try:
            weight = float(weight_text)
        except ValueError:
            weight = -1.0
        if not 0 < weight < float("inf"):
            raise ValueError(f"the weight {weight_text.strip()!r} is no number above 0")
    more = {what: amount for what, amount in found.items() if what not in ("vcpus", "cpu", "memory")}
    return Flavour(name, found.get("vcpus", 0.0), found.get("cpu"), found.get("memory", 0.0), more, weight)


def flavours(texts: str | Sequence[str]) -> tuple[Flavour, ...]:
    """Flavours from a list, or from one text with commas.

    Raises
    ------
    ValueError : with what is wrong, as `flavour`.
    """
    found = [
        flavour(part)
        for text in ([texts] if isinstance(texts, str) else texts)
        for part in text.split(",")
        if part.strip()
    ]
    names = [each.name for each in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} stands twice")
    if not found:
        raise ValueError("no size")
    return tuple(found)


def misfit(wanted: Flavour, snapshot: Snapshot) -> str:
    """What this cluster does not know of a flavour; "" where it can be counted."""
    unknown = [what for what in wanted.more if what not in snapshot.resources]
    if unknown:
        return f"{wanted.name}: unknown unit or resource {', '.join(unknown)}"
    if wanted.cpu_mhz is None and wanted.vcpus and core_mhz(snapshot) is None:
        cure = f"give its CPU demand too, as in {wanted.name}/8000mhz"
        return f"{wanted.name}: no host has cpu_cores, so that vCPUs have no MHz; {cure}"
    return ""


def with_vms(snapshot: Snapshot, wanted: Sequence[Flavour]) -> Snapshot:
    """The snapshot with one VM more of each flavour, which has no host yet; they come last, in order."""
    vms = snapshot.vms
    n = len(wanted)
    own: dict[str, Any] = {
        "name": [_free_name(each.name, snapshot) for each in wanted],
        "host_idx": -1,
        "memory_mib": [each.memory_mib or LEAST_MIB for each in wanted],
        "cpu_demand_mhz": [each.demand(snapshot).get("cpu", 0.0) for each in wanted],
        "vcpus": [each.vcpus or 1.0 for each in wanted],
        "power": "on",
        "on_maintenance": "migrate",
        "pool_idx": -1,
        "home_idx": -1,
        "gpus": [each.more.get("gpus", 0.0) for each in wanted],
        **dict.fromkeys(("cpu_limit_mhz", "memory_limit_mib"), np.inf),
        **dict.fromkeys(("cpu_reservation_mhz", "memory_reservation_mib"), 0.0),
    }
    columns: dict[str, Any] = {}
    for column in dataclasses.fields(VmTable):
        value = getattr(vms, column.name)
        if column.name == "demand":
            columns["demand"] = {
                key: np.append(each, [wish.more.get(key, 0.0) for wish in wanted])
                for key, each in value.items()
            }
        elif column.name == "more":
            columns["more"] = {key: _longer(each, n, None) for key, each in value.items()}
        else:
            columns[column.name] = _longer(value, n, own.get(column.name))
    for wish in wanted:
        for resource in wish.more:  # no VM of today asks for it
            if resource != "gpus" and resource not in columns["demand"]:
                asked = [each.more.get(resource, 0.0) for each in wanted]
                columns["demand"][resource] = np.append(np.zeros(len(vms)), asked)
    loads = snapshot.loads
    if loads is not None:
        wider = {
            name: np.pad(getattr(loads, name), ((0, 0), (0, n)), constant_values=np.nan)
            for name in ("cpu_mhz", "memory_active_mib")
        }
        loads = dataclasses.replace(loads, **wider)
    return dataclasses.replace(snapshot, vms=VmTable(**columns), loads=loads)


def _free_name(name: str, snapshot: Snapshot) -> str:
    """A name that no VM has."""
    name = f"new {name}"
    while name in snapshot.vms.position:
        name += "'"
    return name


def _longer(values: np.ndarray[Any, Any], n: int, more: Any) -> np.ndarray[Any, Any]:
    """A column with n rows more, with what stands for "not given" where `more` is None."""
    if more is None:
        more = "" if values.dtype.kind in "US" else np.nan if values.dtype.kind == "f" else 0
    return np.concatenate([values, np.full(n, more) if np.ndim(more) == 0 else np.asarray(more)])
