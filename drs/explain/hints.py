"""What an administrator would want to be told without having asked: nothing is broken, and yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from drs.explain.immovable import immovable
from drs.model import Snapshot
from drs.model.pools import RESOURCES, own_shares
from drs.model.snapshot import HostTable
from drs.problem import Problem
from drs.rules.capacity import overcommitted
from drs.terms.base import Bools, Floats
from drs.terms.limits import usage
from drs.words import count, percent, some

IDLE_RATIO = 0.05
"""A running VM whose CPU demand is below this share of its vCPUs is idle."""
FEWEST_IDLE = 8
"""A host with fewer idle VMs has no pile of them."""
MHZ_OF_A_CORE = 2000.0
"""Clock of a core where hosts do not say how many they have."""

Kind = Literal[
    "overcommitted", "idle-pile-up", "pool-upside-down", "one-host", "wider-than-numa-node", "vgpu"
]


@dataclass(frozen=True, slots=True)
class Hint:
    """One thing to know. `about`: the cluster, host, pool or VM."""

    kind: Kind
    about: str
    sentence: str


def hints(problem: Problem) -> tuple[Hint, ...]:
    """Over-committed clusters, idle VMs that pile up, pools turned upside down by their shares, VMs with one possible
    host, VMs wider than a NUMA node, vGPUs that the snapshot does not describe."""
    snapshot = problem.snapshot
    taking = np.ones(snapshot.n_hosts, dtype=np.bool_) if problem.scope is None else problem.scope
    return (
        *_overcommitted(snapshot, taking),
        *_idle(snapshot, taking),
        *_upside_down(snapshot),
        *_one_host(problem),
        *_wide(snapshot, taking),
        *_vgpus(snapshot),
    )


def _overcommitted(snapshot: Snapshot, taking: Bools) -> Iterator[Hint]:
    """Clusters that have more memory configured on a host than it has, and where it is not used."""
    ratio = overcommitted(snapshot)
    mine = np.unique(snapshot.hosts.cluster_idx[taking])
    for c in mine.tolist():
        if c >= 0 and ratio[c] > 1:
            name = str(snapshot.clusters.name[c])
            yield Hint(
                "overcommitted", name,
                f"{name} over-commits memory: up to {percent(float(ratio[c]))} of a host is {snapshot.memory_counts}, "
                "and what is consumed fits; no host may go beyond that. To count what is used, set memory = 'consumed' "
                "or 'active' in policy.toml; a rule of type capacity forbids over-commitment",
            )  # fmt: skip


def _core_mhz(snapshot: Snapshot) -> Floats:
    """Clock of a core of each host, f8[n_hosts]."""
    hosts = snapshot.hosts
    cores = np.where(hosts.cpu_cores > 0, hosts.cpu_cores, np.nan)
    return np.where(np.isnan(cores), MHZ_OF_A_CORE, hosts.cpu_mhz / cores)


def _idle(snapshot: Snapshot, taking: Bools) -> Iterator[Hint]:
    """Hosts with far more idle VMs than the others of their cluster, which could not give them what they may want."""
    hosts, vms = snapshot.hosts, snapshot.vms
    here = vms.on & (vms.host_idx >= 0)
    if not snapshot.n_hosts or snapshot.rests_on.cpu_demand == "missing":
        return
    most = vms.vcpus * _core_mhz(snapshot)[np.maximum(vms.host_idx, 0)]
    idle = here & (vms.cpu_demand_mhz < IDLE_RATIO * most)
    n_idle = usage(vms.host_idx, idle.astype(np.float64), snapshot.n_hosts)
    wanted = usage(vms.host_idx, np.where(idle, most, 0.0), snapshot.n_hosts)
    used = usage(vms.host_idx, np.where(here & ~idle, vms.cpu_demand_mhz, 0.0), snapshot.n_hosts)
    up = (hosts.state == "connected") & taking
    for h in np.flatnonzero(up & (n_idle >= FEWEST_IDLE)).tolist():
        others = up & (hosts.cluster_idx == hosts.cluster_idx[h])
        if others.sum() < 2 or n_idle[h] <= 2.0 * float(n_idle[others].mean()) - 1e-9:
            continue
        if used[h] + wanted[h] <= snapshot.capacity("cpu")[h]:
            continue
        name = str(hosts.name[h])
        yield Hint(
            "idle-pile-up", name,
            f"{name} holds {n_idle[h]:.0f} of the {n_idle[others].sum():.0f} idle VMs of its cluster; if they all woke "
            f"up, they would ask for {wanted[h]:,.0f} MHz, and it has {snapshot.capacity('cpu')[h]:,.0f}. A rule "
            "of type vcpu-ratio or max-vms spreads them",
        )  # fmt: skip


def _upside_down(snapshot: Snapshot) -> Iterator[Hint]:
    """Sibling pools of which the one with more shares gives each of its VMs fewer, for it has so many more."""
    table = snapshot.pools
    if not len(table):
        return
    below = _vcpus_below(snapshot)
    families: dict[tuple[int, int], list[int]] = {}
    for pool in np.flatnonzero(below > 0).tolist():
        families.setdefault((int(table.cluster_idx[pool]), int(table.parent_idx[pool])), []).append(pool)
    for family in families.values():
        told: dict[tuple[str, str], list[str]] = {}
        for resource in RESOURCES:
            shares = own_shares(snapshot, resource)
            each = {pool: float(shares[pool] / below[pool]) for pool in family}
            for high in family:
                low = max(
                    (pool for pool in family if shares[pool] < shares[high] and each[pool] > each[high] * 1.01),
                    key=lambda pool: each[pool], default=None,
                )  # fmt: skip
                if low is not None:
                    pair = (str(table.name[high]), str(table.name[low]))
                    figures = (
                        f"{resource} {shares[high]:,.0f} against {shares[low]:,.0f} shares, for each vCPU "
                        f"{each[high]:,.0f} against {each[low]:,.0f}"
                    )
                    told.setdefault(pair, []).append(figures)
        for (high_name, low_name), figures_of in told.items():
            yield Hint(
                "pool-upside-down", high_name,
                f"pool {high_name} has more shares than {low_name}, and its VMs have fewer ({'; '.join(figures_of)}): "
                "where CPU or memory is short they get less. Give it shares by its VMs, or scalable shares (pools.csv, "
                "column scalable_shares)",
            )  # fmt: skip


def _vcpus_below(snapshot: Snapshot) -> Floats:
    """vCPUs of the running VMs in each pool and below it, f8[n_pools]."""
    vms, table = snapshot.vms, snapshot.pools
    inside = vms.on & (vms.pool_idx >= 0)
    found = np.bincount(vms.pool_idx[inside], weights=vms.vcpus[inside], minlength=len(table)).astype(float)
    total = found.copy()
    for pool in range(len(table)):
        above = int(table.parent_idx[pool])
        for _ in range(len(table)):
            if above < 0:
                break
            total[above] += found[pool]
            above = int(table.parent_idx[above])
    return total


def _one_host(problem: Problem) -> Iterator[Hint]:
    """Running VMs that can be nowhere but where they are: they are lost with their host, and block its maintenance."""
    snapshot = problem.snapshot
    reasons: dict[tuple[int, str], list[str]] = {}
    for each in immovable(problem):
        vm = snapshot.vms.position[each.vm]
        host = int(snapshot.vms.host_idx[vm])
        if host >= 0 and snapshot.vms.on[vm]:
            reasons.setdefault((int(snapshot.hosts.cluster_idx[host]), each.reason), []).append(each.vm)
    for (cluster, reason), names in reasons.items():
        where = str(snapshot.clusters.name[cluster]) if cluster >= 0 else ""
        yield Hint(
            "one-host", where,
            f"{where}: {count(len(names), 'VM has', 'VMs have')} one possible host, {some(names)}: {reason}",
        )  # fmt: skip


def _wide(snapshot: Snapshot, taking: Bools) -> Iterator[Hint]:
    """Running VMs with more vCPUs or memory than a NUMA node of their host has."""
    hosts, vms = snapshot.hosts, snapshot.vms
    nodes = _column(hosts, "numa_nodes")
    if nodes is None or not snapshot.n_hosts:
        return
    here = np.maximum(vms.host_idx, 0)
    known = vms.on & (vms.host_idx >= 0) & taking[here] & (nodes[here] > 1)
    memory = vms.memory_mib > hosts.memory_mib[here] / np.maximum(nodes[here], 1)
    vcpus = (hosts.cpu_cores[here] > 0) & (vms.vcpus > hosts.cpu_cores[here] / np.maximum(nodes[here], 1))
    for h in np.unique(vms.host_idx[known & (memory | vcpus)]).tolist():
        name = str(hosts.name[h])
        names = [str(vm) for vm in vms.name[known & (memory | vcpus) & (vms.host_idx == h)]]
        yield Hint(
            "wider-than-numa-node", name,
            f"{name} has {nodes[h]:.0f} NUMA nodes, and {count(len(names), 'VM is', 'VMs are')} wider than one of "
            f"them: {some(names)}; part of their memory is remote",
        )  # fmt: skip


def _vgpus(snapshot: Snapshot) -> Iterator[Hint]:
    """VMs with a GPU on hosts whose GPUs the snapshot does not count: which other host has one free is not known."""
    vms = snapshot.vms
    if "gpus" in snapshot.resources:
        return
    names = [str(vm) for vm in vms.name[vms.on & (vms.gpus > 0)]]
    if names:
        yield Hint(
            "vgpu", names[0],
            f"{count(len(names), 'VM has', 'VMs have')} a GPU, {some(names)}, and hosts.csv has no gpus_capacity (or "
            "vgpu_gib_capacity): their profiles and which host has room for them are not known, so they stay",
        )  # fmt: skip


def _column(table: HostTable, name: str) -> Floats | None:
    """A column that a snapshot may have; None where it has nothing in it."""
    values = table.value(name)
    if values is None:
        return None
    found = np.nan_to_num(np.asarray(values, dtype=np.float64))
    return found if (found > 0).any() else None
