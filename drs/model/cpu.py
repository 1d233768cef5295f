"""CPU compatibility: EVC baselines as sets of CPU features.

A running VM carries the features of the baseline it was powered on with; a host, or its cluster's EVC mode,
offers a set. The VM may go where the offer contains what it carries. That is a test of sets and not of
levels: AMD's baselines are no chain (3DNow! went with Opteron generation 4; XOP, FMA4 and TBM went with Zen),
and Intel and AMD never mix.

========================================  =====================================================
what                                      carries / offers
========================================  =====================================================
powered-on VM with `evc_mode`             that baseline
powered-on VM without                     what the host it runs on offers today
powered-off or unplaced VM                nothing: it reads the CPU afresh at power-on and may be
                                          registered anywhere, also on the other vendor's hosts
host of a cluster with `evc_mode`         the cluster's mode
host without, with `evc_max`              its highest baseline
host without either                       an anonymous set, one for each CPU vendor: VMs that were
                                          started on such a host may go to such hosts. It also
                                          offers the known baselines of the VMs that run on it
no host has either                        EVC is not known at all: only the vendors must agree
key that begins with custom               an anonymous set of that name, equal to itself only
========================================  =====================================================

Sources of the features: two CPU databases, archspec 0.2.7 (archspec/cpu, `microarchitectures.json`) and
libvirt 9.0.0 (`cpu_map`), which describe the processors; VMware guarantees a selection of them in each mode.
Keys as in VMware's `PerVMEVC.psm1`; tracks and tiers as in the vSphere API's `EVCMode`. The data is in
`drs/model/evc.csv`, one row a baseline with its source.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from drs.errors import Fault, did_you_mean
from drs.model.snapshot import Bools, Ints, Names, Snapshot
from drs.words import some

VENDORS = ("amd", "intel")
_UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Baseline:
    """An EVC baseline: a named set of CPU features of one vendor's generation."""

    key: str
    """VMware's key, such as `intel-broadwell`."""
    vendor: str
    """`intel` or `amd`."""
    label: str
    """As vCenter shows it."""
    track: tuple[str, ...]
    """L for Intel; A (Opterons with 3DNow!) and B (without) for AMD. For display: the features decide."""
    tier: int
    """Position on its track."""
    features: frozenset[str]
    """Names of the features, much as archspec and libvirt spell them (abm is LZCNT, sha is SHA-NI)."""
    source: str = ""


def _read_baselines() -> dict[str, Baseline]:
    found: dict[str, Baseline] = {}
    text = resources.files("drs.model").joinpath("evc.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        before = found[row["follows"]].features if row["follows"] else frozenset()
        features = (before | set(row["adds"].split())) - set(row["drops"].split())
        found[row["key"]] = Baseline(
            row["key"],
            row["vendor"],
            row["label"],
            tuple(row["track"].split()),
            int(row["tier"]),
            features,
            row["source"],
        )
    return found


BASELINES: Mapping[str, Baseline] = MappingProxyType(_read_baselines())
"""Every known EVC baseline by VMware's key, oldest first within a vendor."""


def vendor_of(key: str) -> str:
    """`intel` or `amd`, or "" where the key does not tell.

    >>> vendor_of("amd-zen2")
    'amd'
    """
    if key in BASELINES:
        return BASELINES[key].vendor
    head = key.removeprefix(_UNKNOWN).split("-", 1)[0]
    return head if head in VENDORS else ""


def offers(key_or_features: str | Iterable[str]) -> frozenset[str]:
    """The set of features behind a key; a set stays what it is.

    "" is the empty set. A key that is not in `BASELINES` (a custom mode, an unknown CPU) stands for an
    anonymous set, equal to itself and comparable with nothing else.
    """
    if not isinstance(key_or_features, str):
        return frozenset(key_or_features)
    if not key_or_features:
        return frozenset()
    known = BASELINES.get(key_or_features)
    return known.features if known else frozenset({f"all of {key_or_features}"})


def compatible(vm_key: str, offered_key: str) -> bool:
    """Whether a VM that carries `vm_key` may run where `offered_key` is offered.

    True when the offer contains the features and the vendors agree. "" for the VM: it carries nothing.
    "" for the offer: not known, hence only a VM that carries nothing.

    >>> compatible("intel-haswell", "intel-skylake"), compatible("amd-steamroller", "amd-zen")
    (True, False)
    """
    if not vm_key:
        return True
    return _vendors_agree(vendor_of(vm_key), vendor_of(offered_key)) and offers(vm_key) <= offers(offered_key)


def missing_features(vm_key: str, offered_key: str) -> tuple[str, ...]:
    """The features that the VM carries and the offer lacks, sorted; empty when only the vendor is wrong."""
    return tuple(sorted(offers(vm_key) - offers(offered_key)))


def reason(vm_key: str, offered_key: str) -> str:
    """Why a VM with `vm_key` may not run where `offered_key` is offered, in words; "" when it may.

    >>> reason("amd-steamroller", "amd-zen")
    'it was started with amd-steamroller; amd-zen lacks fma4, tbm, xop'
    """
    if compatible(vm_key, offered_key):
        return ""
    mine, theirs = vendor_of(vm_key), vendor_of(offered_key)
    if not _vendors_agree(mine, theirs):
        return f"it was started on an {_label(mine)} CPU and {_label(theirs)} CPUs never take it"
    lacking = missing_features(vm_key, offered_key)
    carried = f"it was started with {_unnamed(vm_key)}"
    if not offered_key or offered_key not in BASELINES or vm_key not in BASELINES:
        return f"{carried}; whether {_unnamed(offered_key)} contains that is not known"
    shown = some(lacking)
    return f"{carried}; {offered_key} lacks {shown}"


def offer_keys(snapshot: Snapshot) -> Names:
    """What each host offers, str[n_hosts]: a key, or `?intel`, `?amd`, `?` where it is not known."""
    hosts, clusters = snapshot.hosts, snapshot.clusters
    if not len(hosts):
        return np.zeros(0, dtype="U1")
    mode = np.zeros(len(hosts), dtype="U1")
    if len(clusters):
        mode = np.where(hosts.cluster_idx >= 0, clusters.evc_mode[hosts.cluster_idx], "")
    unknown = np.char.add(_UNKNOWN, hosts.cpu_vendor)
    return np.asarray(np.where(mode != "", mode, np.where(hosts.evc_max != "", hosts.evc_max, unknown)))


def carried_keys(snapshot: Snapshot) -> Names:
    """What each VM carries with it, str[n_vms]: a key, `?intel` and the like, or "" for nothing.

    A VM on no host is to be powered on, for the first time or again after its host was lost: it carries nothing.
    """
    vms = snapshot.vms
    if not len(vms):
        return np.zeros(0, dtype="U1")
    inherited = np.zeros(len(vms), dtype="U1")
    if snapshot.n_hosts:
        inherited = np.where(vms.host_idx >= 0, offer_keys(snapshot)[vms.host_idx], "")
    carried = np.where(vms.evc_mode != "", vms.evc_mode, inherited)
    return np.asarray(np.where(vms.on & (vms.host_idx >= 0), carried, ""))


def frozen(snapshot: Snapshot) -> Snapshot:
    """The snapshot with what each running VM carries written down: it does not change with its host."""
    carried = carried_keys(snapshot)
    known = np.isin(carried, list(BASELINES))
    key = np.where(known & (snapshot.vms.evc_mode == ""), carried, snapshot.vms.evc_mode)
    return dataclasses.replace(snapshot, vms=dataclasses.replace(snapshot.vms, evc_mode=key))


def evc_classes(snapshot: Snapshot) -> tuple[Ints, Bools]:
    """Which hosts each VM may run on, by class: VMs that carry the same set share a row.

    Returns
    -------
    class_idx : i4[n_vms]
        The class of each VM.
    mask : bool[n_classes, n_hosts]
        Whether the offer of the host contains what the class carries. Class order is that of `class_keys`.
    """
    carried = carried_keys(snapshot)
    keys, class_idx = np.unique(carried, return_inverse=True)
    return class_idx.astype(np.int32).reshape(-1), _mask(snapshot, [str(key) for key in keys], carried)


def class_keys(snapshot: Snapshot) -> Names:
    """The key of each class of `evc_classes`, str[n_classes], sorted."""
    return np.asarray(np.unique(carried_keys(snapshot)))


def compatibility(snapshot: Snapshot) -> Bools:
    """The mask of `evc_classes`, bool[n_classes, n_hosts]."""
    return evc_classes(snapshot)[1]


def allowed_hosts(snapshot: Snapshot, vm_idx: int) -> Bools:
    """The hosts that offer what one VM carries, bool[n_hosts]."""
    carried = carried_keys(snapshot)
    return np.asarray(_mask(snapshot, [str(carried[vm_idx])], carried)[0])


def supported(key: str) -> tuple[str, ...]:
    """Every baseline that a host with this highest baseline can take as its EVC mode, lowest first."""
    if key not in BASELINES:
        return (key,) if key else ()
    return tuple(name for name in BASELINES if compatible(name, key))


def highest_common(keys: Iterable[str]) -> str:
    """The highest baseline that every one of these hosts supports; "" when there is none.

    `keys` are the hosts' highest baselines (`evc_max`). Highest means: contained in every key's set, and of
    those the one with the most features. A key that is not in `BASELINES` is only common with itself.

    >>> highest_common(["amd-zen3", "amd-bulldozer"])
    'amd-greyhound-no3dnow'
    """
    distinct = sorted(set(keys))
    if not distinct or "" in distinct or any(key.startswith(_UNKNOWN) for key in distinct):
        return ""
    common = set.intersection(*(set(supported(key)) for key in distinct))
    return max(common, key=lambda key: (len(offers(key)), key), default="")


def blockers(snapshot: Snapshot, key: str, host_idx: ArrayLike | None = None) -> Ints:
    """The VMs that stand in the way when these hosts are to offer the baseline `key`.

    A VM is in the way when it carries a feature that the baseline lacks: it must be powered off, or moved
    away, before the mode can be set. Raising a mode is blocked by nobody, but a VM has the new features
    only after a power cycle.

    Parameters
    ----------
    host_idx : array_like of int, optional
        Positions of the hosts; all when not given.

    Returns
    -------
    i4[n]
        Positions of the VMs, ascending.
    """
    vms = snapshot.vms
    on_them = vms.on & (vms.host_idx >= 0)
    if host_idx is not None:
        on_them = on_them & np.isin(vms.host_idx, np.asarray(host_idx))
    keys, class_idx = np.unique(carried_keys(snapshot), return_inverse=True)
    in_the_way = np.array([not compatible(str(carried), key) for carried in keys], dtype=bool)
    if not len(keys):
        return np.zeros(0, dtype=np.int32)
    return np.flatnonzero(on_them & in_the_way[class_idx.reshape(-1)]).astype(np.int32)


def faults(snapshot: Snapshot) -> list[Fault]:
    """Everything about EVC that cannot be true, for the reader to report with the other faults.

    Unknown keys (with the near miss), a host's baseline of another vendor than its CPU, a cluster's mode
    that a host of it cannot take. Keys that start with `custom` are vSphere 9's own feature masks and pass.
    """
    found: list[Fault] = []
    hosts, clusters, vms = snapshot.hosts, snapshot.clusters, snapshot.vms
    for file, table, column, values in (
        ("hosts.csv", hosts, "evc_max", hosts.evc_max),
        ("clusters.csv", clusters, "evc_mode", clusters.evc_mode),
        ("vms.csv", vms, "evc_mode", vms.evc_mode),
    ):
        strange = {key for key in np.unique(values).tolist() if not _is_key(key)}
        for position, key in enumerate(values.tolist()):
            if key not in strange:
                continue
            found.append(
                Fault(
                    f"{file}, row {position + 1}, field {column}",
                    f"unknown EVC baseline {key!r} of {table.name[position]}",
                    "a key such as intel-broadwell or amd-zen2",
                    did_you_mean(key, BASELINES),
                )
            )
    for i in range(len(hosts)):
        highest, vendor = str(hosts.evc_max[i]), str(hosts.cpu_vendor[i])
        row = f"hosts.csv, row {i + 1}"
        if highest and not _vendors_agree(vendor, vendor_of(highest)):
            found.append(
                Fault(
                    f"{row}, field evc_max",
                    f"{highest} on {hosts.name[i]}, a host with an {_label(vendor)} CPU",
                    f"a baseline of {_label(vendor)}",
                )
            )
        cluster = int(hosts.cluster_idx[i])
        inside = 0 <= cluster < len(clusters)
        mode = str(clusters.evc_mode[cluster]) if inside else ""
        runs = f"its cluster {clusters.name[cluster]} runs {mode}" if inside else ""
        if mode not in BASELINES or (highest and highest not in BASELINES):
            continue
        if highest and not compatible(mode, highest):
            found.append(
                Fault(
                    f"{row}, field evc_max",
                    f"{hosts.name[i]} supports at most {highest}, {runs}",
                    f"a host that supports {mode}",
                    f"the highest baseline of both is {highest_common([mode, highest]) or 'none'}",
                )
            )
        elif not highest and not _vendors_agree(vendor, vendor_of(mode)):
            found.append(
                Fault(
                    f"{row}, field cpu_vendor",
                    f"{hosts.name[i]} has an {_label(vendor)} CPU, {runs}",
                    f"an {_label(vendor_of(mode))} CPU",
                )
            )
    return found


def _mask(snapshot: Snapshot, keys: list[str], carried: Names) -> Bools:
    hosts = snapshot.hosts
    offered = offer_keys(snapshot)
    unknown = np.array([key.startswith(_UNKNOWN) for key in offered.tolist()], dtype=bool)
    if len(hosts) and unknown.all():
        host_vendors = hosts.cpu_vendor.tolist()
        rows = [[not key or _vendors_agree(vendor_of(key), v) for v in host_vendors] for key in keys]
        return np.array(rows, dtype=bool).reshape(len(keys), len(hosts))
    distinct, offer_idx = np.unique(offered, return_inverse=True)
    by_offer = np.array(
        [[compatible(key, str(offer)) for offer in distinct] for key in keys], dtype=bool
    ).reshape(len(keys), len(distinct))
    mask = by_offer[:, offer_idx.reshape(-1)]
    vms = snapshot.vms
    seen = vms.on & (vms.host_idx >= 0) & (vms.evc_mode != "")
    seen[seen] = unknown[vms.host_idx[seen]]
    proven: dict[int, set[str]] = {}
    for host, key in set(zip(vms.host_idx[seen].tolist(), carried[seen].tolist(), strict=True)):
        proven.setdefault(host, set()).add(key)
    for host, its_keys in proven.items():
        features = frozenset[str]().union(*(offers(key) for key in its_keys))
        vendor = str(hosts.cpu_vendor[host]) or next((v for v in map(vendor_of, sorted(its_keys)) if v), "")
        for c, key in enumerate(keys):
            if _vendors_agree(vendor_of(key), vendor) and offers(key) <= features:
                mask[c, host] = True
    return np.asarray(mask)


def _vendors_agree(one: str, other: str) -> bool:
    return not one or not other or one == other


def _is_key(key: str) -> bool:
    return not key or key in BASELINES or key.startswith("custom")


def _label(vendor: str) -> str:
    return {"intel": "Intel", "amd": "AMD"}.get(vendor, vendor or "unknown")


def _unnamed(key: str) -> str:
    if not key or key == _UNKNOWN:
        return "an unknown CPU"
    return f"an unknown {_label(vendor_of(key))} CPU" if key.startswith(_UNKNOWN) else key
