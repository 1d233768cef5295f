"""How many hosts? The least number of hosts of a model, or the cheapest mix, that holds the VMs, proven."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drs.capacity.answer import Answer, worst
from drs.capacity.packing import Items, Model, Packing, pack
from drs.errors import Fault, InputError, did_you_mean
from drs.model import Snapshot
from drs.model.cpu import carried_keys, compatible
from drs.model.selector import select
from drs.problem.scope import clusters_of, hosts_of
from drs.rules import KeepApart, KeepTogether, Rule
from drs.words import percent

RULE_OF_THUMB = 0.8
"""Averages at 80 % of a host."""


def models_of(snapshot: Snapshot, given: Mapping[str, Mapping[str, Any]] | None) -> dict[str, dict[str, Any]]:
    """Models by name; where none are given, the snapshot's own kinds of hosts."""
    if given:
        faults = [
            Fault(f"model {name}, field {field}", repr(cells.get(field)), "a number above 0",
                  did_you_mean(field, cells))
            for name, cells in given.items() for field in ("cpu_mhz", "memory_mib")
            if not isinstance(cells.get(field), (int, float)) or not cells[field] > 0
        ]  # fmt: skip
        if faults:
            raise InputError(faults)
        return {name: dict(cells) for name, cells in given.items()}
    hosts, found = snapshot.hosts, {}
    seen: dict[tuple[float, float, str], str] = {}
    for row in range(len(hosts)):
        key = (float(hosts.cpu_mhz[row]), float(hosts.memory_mib[row]), str(hosts.evc_max[row]))
        if key not in seen:
            seen[key] = name = f"like {hosts.name[row]}"
            found[name] = {
                "cpu_mhz": key[0], "memory_mib": key[1], "cpu_reserved_mhz": float(hosts.cpu_reserved_mhz[row]),
                "memory_reserved_mib": float(hosts.memory_reserved_mib[row]), "evc_max": key[2],
                **{f"{r}_capacity": float(hosts.capacity[r][row]) for r in sorted(hosts.capacity)},
            }  # fmt: skip
    return found


def how_many(
    snapshot: Snapshot,
    models: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    rules: Sequence[Rule] = (),
    cluster: str | Sequence[str] = (),
    failures: int = 1,
    headroom_ratio: float = 0.0,
    cpu_overcommit_ratio: float = 1.0,
    memory_overcommit_ratio: float = 1.0,
    percentile: float | None = None,
    restarted: bool = False,
    together: bool = False,
    time_s: float = 30.0,
) -> Answer:
    """The smallest target for the running VMs of a snapshot.

    A target that holds all VMs on M hosts survives any k failures with k more of the largest: a spare takes the VMs of
    a host as they are. And no target of M + k hosts or fewer can be without M that hold all. So N+k is M + k.

    Parameters
    ----------
    models : columns of `hosts` and a `price` by name; the snapshot's own kinds of hosts where not given. Without prices
        hosts are counted.
    cluster : only the VMs of these. together : one target for all of them; else one for each cluster.
    failures : k. headroom_ratio : so much of each host stays free. cpu_overcommit_ratio, memory_overcommit_ratio : so
        much demand for each unit of capacity.
    percentile : of each VM's own load history, 0 to 100, instead of the demand of now.
    restarted : whether the VMs are powered on anew in the target, as in a change of platform: EVC then does not count.

    Raises
    ------
    InputError : for models without capacity, or a percentile without a load history.
    """
    chosen = models_of(snapshot, models)
    priced = all("price" in cells for cells in chosen.values())
    price = [float(cells["price"]) if priced else 1.0 for cells in chosen.values()]
    resources = snapshot.resources
    keep = 1.0 - headroom_ratio
    over = {"cpu": cpu_overcommit_ratio, "memory": memory_overcommit_ratio}
    rooms = np.array(
        [[_room(cells, r) * keep * over.get(r, 1.0) for r in resources] for cells in chosen.values()]
    )
    names = list(chosen)
    bought = [Model(name, rooms[k], price[k]) for k, name in enumerate(names)]
    demand, notes = _demand(snapshot, percentile)
    scope = hosts_of(snapshot, cluster)
    of_vm = np.where(
        snapshot.vms.host_idx >= 0, snapshot.hosts.cluster_idx[np.maximum(snapshot.vms.host_idx, 0)], -1
    )
    groups = [
        (each, np.flatnonzero(of_vm == snapshot.clusters.position[each]))
        for each in clusters_of(snapshot, scope)
    ]
    waiting = np.flatnonzero(of_vm < 0)
    if scope is None and len(waiting):
        groups.append(("no host yet", waiting))
    if together:
        groups = [("all", np.sort(np.concatenate([vms for _, vms in groups])))]
    rows, packings, total, bound = [], {}, 0.0, 0.0
    used_rules, unused = _counted(rules)
    notes += [f"rule {rule.label!r} is not counted: only rules within one host are" for rule in unused]
    for name, vms in groups:
        vms = vms[snapshot.vms.on[vms]]
        if not len(vms):
            continue
        items = _items(snapshot, vms, demand, chosen, used_rules, restarted)
        found = pack(items, bought, time_s=time_s / max(1, len(groups)))
        packings[name] = (vms, found)
        if found.homeless:
            lost = [str(snapshot.vms.name[vms[k]]) for k in found.homeless]
            notes.append(f"{name}: {len(lost)} VMs fit on no model: {', '.join(lost[:5])}")
        row = _row(name, found, bought, failures, demand[vms], resources, chosen, snapshot, vms)
        total, bound = total + row["price"], bound + row["bound"]
        rows.append(row)
    binding = rows[int(np.argmax([row["n_hosts"] for row in rows]))]["binding"] if rows else "no running VM"
    n_hosts, thumb = sum(row["n_hosts"] for row in rows), sum(row["rule_of_thumb"] for row in rows)
    homeless = any(found.homeless for _, found in packings.values())
    proven = bool(rows) and bound >= total - 1e-6 * max(1.0, total) and not homeless
    least = sum(row["least"] for row in rows)
    what = f"{n_hosts} hosts" + (f" for {total:,.0f}" if priced else "")
    proof = (
        f"no {'cheaper' if priced else 'smaller'} target exists (column generation)" if proven
        else f"at least {bound:,.0f}{'' if priced else ' hosts'} are needed whatever else is tried"
    )  # fmt: skip
    sentence = (
        f"{what} hold {sum(row['n_vms'] for row in rows)} VMs with N+{failures}; the usual rule says {thumb}"
    )
    if homeless:
        sentence += "; some VMs fit on no model"
    return Answer("how-many", float(total if priced else n_hosts), "price" if priced else "hosts", sentence, proof,
                  proven, binding, tuple(rows), tuple(dict.fromkeys(notes)),
                  {"least": least, "models": {row["cluster"]: row["mix"] for row in rows}})  # fmt: skip


def _room(cells: Mapping[str, Any], resource: str) -> float:
    if resource == "cpu":
        return float(cells["cpu_mhz"]) - float(cells.get("cpu_reserved_mhz", 0.0))
    if resource == "memory":
        return float(cells["memory_mib"]) - float(cells.get("memory_reserved_mib", 0.0))
    return float(cells.get(f"{resource}_capacity", 0.0))


def _demand(
    snapshot: Snapshot, percentile: float | None
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], list[str]]:
    demand = np.array([snapshot.demand(resource) for resource in snapshot.resources]).T
    if percentile is None:
        return demand, []
    if snapshot.loads is None:
        raise InputError(
            Fault("percentile", "the snapshot has no load history", "a table loads with VM, time, cpu_mhz")
        )
    cpu = snapshot.loads.cpu_mhz
    known = ~np.isnan(cpu).all(axis=0)
    demand[known, 0] = np.nanpercentile(cpu[:, known].astype(np.float64), percentile, axis=0)
    demand[~snapshot.vms.on] = 0.0
    notes = [] if known.all() else [f"{int((~known).sum())} VMs have no history: their demand of now counts"]
    return demand, notes


def _counted(rules: Sequence[Rule]) -> tuple[list[Rule], list[Rule]]:
    within: list[Rule] = [
        rule
        for rule in rules
        if isinstance(rule, (KeepApart, KeepTogether)) and getattr(rule, "scope", "") == "host"
    ]
    return within, [rule for rule in rules if rule not in within]


def _items(
    snapshot: Snapshot, vms: np.ndarray[Any, np.dtype[np.intp]], demand: np.ndarray[Any, np.dtype[np.float64]],
    models: Mapping[str, Mapping[str, Any]], rules: Sequence[Rule], restarted: bool,
) -> Items:  # fmt: skip
    at = {int(vm): k for k, vm in enumerate(vms.tolist())}
    apart, together = [], []
    for rule in rules:
        group = tuple(at[vm] for vm in select(rule.vms, snapshot.vms).tolist() if vm in at)  # type: ignore[attr-defined]
        if len(group) < 2 or rule.policy == "soft":
            continue
        if isinstance(rule, KeepApart):
            apart.append((group, int(rule.at_most)))
        else:
            together.append(group)
    fits = np.ones((len(vms), len(models)), dtype=bool)
    if not restarted:
        carried = carried_keys(snapshot)[vms]
        for k, cells in enumerate(models.values()):
            if offered := cells.get("evc_max"):
                ok = {key: not key or compatible(key, str(offered)) for key in set(carried.tolist())}
                fits[:, k] = [ok[key] for key in carried.tolist()]
    return Items(demand[vms], fits, tuple(apart), tuple(together))


def _row(
    name: str, found: Packing, models: Sequence[Model], failures: int, demand: np.ndarray[Any, np.dtype[np.float64]],
    resources: Sequence[str], cells: Mapping[str, Mapping[str, Any]], snapshot: Snapshot,
    vms: np.ndarray[Any, np.dtype[np.intp]],
) -> dict[str, Any]:  # fmt: skip
    """The target of one cluster."""
    used = sorted(set(found.hosts))
    spare = max(used, key=lambda m: (tuple(models[m].room), -models[m].price)) if used else 0
    counts = {models[m].name: found.hosts.count(m) + (failures if m == spare else 0) for m in used}
    price = found.price + failures * models[spare].price
    # Whatever fails, what is left still holds all: so the k dearest hosts come on top of the cheapest packing.
    bound = found.bound + failures * min(model.price for model in models)
    n = len(found.hosts) + failures
    least = math.ceil(found.bound / max(model.price for model in models) - 1e-6) + failures
    room = sum((models[m].room for m in found.hosts), np.zeros(len(resources)))
    share = {
        r: float(demand[:, k].sum() / max(room[k], 1e-9))
        for k, r in enumerate(resources)
        if demand[:, k].any()
    }
    resource, load = worst(share) if share else ("memory", 0.0)
    whole = list(cells.values())[spare]
    average = snapshot.demand("cpu")[vms]
    thumb = max(
        float(average.sum()) / (RULE_OF_THUMB * float(whole["cpu_mhz"])),
        float(snapshot.demand("memory")[vms].sum()) / (RULE_OF_THUMB * float(whole["memory_mib"])),
    )
    binding = f"{resource}: {percent(load)} of the {len(found.hosts)} hosts that hold the VMs"
    if load < 0.75:
        binding = f"what cannot share a host (rules, or VMs that are large beside it); {binding}"
    return {
        "cluster": name, "n_vms": len(vms), "n_hosts": n, "n_spare": failures, "least": least, "price": price,
        "bound": bound, "proven": bound >= price - 1e-6 * max(1.0, price), "binding": binding,
        "mix": ", ".join(f"{count} x {model}" for model, count in counts.items()),
        "rule_of_thumb": math.ceil(thumb - 1e-9) + failures, **{f"{r}_load_ratio": value for r, value in share.items()},
    }  # fmt: skip
