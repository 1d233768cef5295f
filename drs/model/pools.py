"""What each VM and each resource pool may get: the pool tree of every cluster, divided.

A pool stands for its VMs on all hosts. Three numbers carry it to a host: what the tree reserves for each VM,
what its limits leave each VM, and each VM's shares, a pool's shares being split among its children in
proportion to theirs (that is how DRS hands a pool down to the hosts). Without pools they are the VM's own
reservation, limit and shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from drs.model.demand import demand_now
from drs.model.entitlement import divide
from drs.model.snapshot import Bools, Floats, Ints, PoolTable, Snapshot

RESOURCES = ("cpu", "memory")
NORMAL_SHARES = {"cpu": 4000.0, "memory": 163_840.0}
"""Shares of a pool at vSphere's level normal."""


class _Tree(NamedTuple):
    """One cluster's nodes: first its pools, then its VMs."""

    cluster: int
    pools: Ints
    vms: Ints
    parent: Ints
    reservation: Floats
    limit: Floats
    shares: Floats
    demand: Floats
    expandable: Bools

    def divide(self, capacity: float | None) -> Floats:
        """What each node gets of a capacity; None: what is reserved for it."""
        return divide(
            capacity, self.parent, self.reservation, self.limit, self.shares, self.demand, self.expandable
        )

    def weights(self) -> Floats:
        """Shares of each node in the whole cluster: a pool's are split among its children that want some."""
        asks = self.demand > 0
        order = self._top_down()
        for node in reversed(order):
            if self.parent[node] >= 0:
                asks[self.parent[node]] |= asks[node]
        below = np.zeros(len(self.parent))
        inside = (self.parent >= 0) & asks
        np.add.at(below, self.parent[inside], self.shares[inside])
        weight = self.shares.astype(np.float64)
        for node in order:
            above = self.parent[node]
            if above >= 0 and below[above] > 0:
                weight[node] *= weight[above] / below[above]
        return weight

    def _top_down(self) -> list[int]:
        n = len(self.pools)
        depth = np.zeros(len(self.parent), dtype=np.int64)
        for _ in range(n):
            depth = np.where(self.parent >= 0, depth[self.parent] + 1, 0)
        return [int(node) for node in np.argsort(depth, kind="stable")]


def own_demand(snapshot: Snapshot, resource: str) -> Floats:
    """What each VM asks for as far as its own limit allows, f8[n_vms]: CPU demand, active memory."""
    _, limit, _ = _settings(snapshot, resource)
    return np.asarray(np.minimum(demand_now(snapshot, resource, "active"), limit))


def wanted(snapshot: Snapshot, resource: str) -> Floats:
    """What each VM asks for as far as its own limit and those of its pools allow, f8[n_vms]."""
    found = own_demand(snapshot, resource)
    for tree in _trees(snapshot, snapshot.vms.host_idx, resource):
        found[tree.vms] = np.minimum(found[tree.vms], tree.divide(np.inf)[len(tree.pools) :])
    return found


def guaranteed(snapshot: Snapshot, resource: str) -> Floats:
    """What is reserved for each VM and used by it, by itself or as its part of its pools, f8[n_vms]."""
    found = np.minimum(_settings(snapshot, resource)[0], own_demand(snapshot, resource))
    for tree in _trees(snapshot, snapshot.vms.host_idx, resource):
        found[tree.vms] = tree.divide(None)[len(tree.pools) :]
    return found


def weights(snapshot: Snapshot, resource: str) -> Floats:
    """Shares of each VM among all of its cluster, f8[n_vms]."""
    found = np.array(_settings(snapshot, resource)[2])
    for tree in _trees(snapshot, snapshot.vms.host_idx, resource):
        found[tree.vms] = tree.weights()[len(tree.pools) :]
    return found


def entitled(snapshot: Snapshot, resource: str) -> Floats:
    """What each VM is due of its cluster, as if the cluster were one host, f8[n_vms].

    Reservation <= entitlement <= min(limit, demand), the capacity of the connected hosts divided down the
    pools by shares (Gulati et al. 2012). VMs without a host are due what they ask for.
    """
    found = own_demand(snapshot, resource)
    for tree in _trees(snapshot, snapshot.vms.host_idx, resource, every=True):
        found[tree.vms] = tree.divide(_capacity(snapshot, resource, tree.cluster))[len(tree.pools) :]
    return found


@dataclass(frozen=True, slots=True)
class Division:
    """One resource of one pool. Units: MHz or MiB."""

    reservation: float
    limit: float
    shares: float
    demand: float
    """What is asked for below it, as far as the limits there allow."""
    entitlement: float
    """What it is due now that all of the cluster ask."""
    fixed: float
    """What it always gets when its VMs ask for it."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A resource pool as it is today."""

    name: str
    parent: str
    cluster: str
    depth: int
    n_vms: int
    """Powered-on VMs in it and below it."""
    cpu: Division
    memory: Division


def pools(snapshot: Snapshot) -> tuple[Pool, ...]:
    """Every pool with what it is entitled to, in the order of the tree: each parent before its children."""
    table, divisions = snapshot.pools, {}
    n_vms = np.zeros(len(table), dtype=np.int64)
    for resource in RESOURCES:
        for tree in _trees(snapshot, snapshot.vms.host_idx, resource):
            due = tree.divide(_capacity(snapshot, resource, tree.cluster))
            asked, fixed = tree.divide(np.inf), tree.divide(None)
            for node, pool in enumerate(tree.pools.tolist()):
                divisions[pool, resource] = Division(
                    *(float(column[node]) for column in (tree.reservation, tree.limit, tree.shares)),
                    *(float(column[node]) for column in (asked, due, fixed)),
                )
    for pool in snapshot.vms.pool_idx[snapshot.vms.on].tolist():
        while pool >= 0:
            n_vms[pool] += 1
            pool = int(table.parent_idx[pool])
    names = table.name.tolist()
    return tuple(
        Pool(
            names[pool],
            names[table.parent_idx[pool]] if table.parent_idx[pool] >= 0 else "",
            str(snapshot.clusters.name[table.cluster_idx[pool]]),
            depth,
            int(n_vms[pool]),
            divisions[pool, "cpu"],
            divisions[pool, "memory"],
        )
        for pool, depth in _walk(table.parent_idx, -1, 0)
    )


def _walk(parent: Ints, above: int, depth: int) -> Iterator[tuple[int, int]]:
    for pool in np.flatnonzero(parent == above).tolist():
        yield pool, depth
        yield from _walk(parent, pool, depth + 1)


def _capacity(snapshot: Snapshot, resource: str, cluster: int) -> float:
    hosts = snapshot.hosts
    usable = (hosts.state == "connected") & (hosts.cluster_idx == cluster)
    return float(snapshot.capacity(resource)[usable].sum())


def _settings(snapshot: Snapshot, resource: str) -> tuple[Floats, Floats, Floats]:
    vms = snapshot.vms
    if resource == "cpu":
        return vms.cpu_reservation_mhz, vms.cpu_limit_mhz, vms.cpu_shares
    return vms.memory_reservation_mib, vms.memory_limit_mib, vms.memory_shares


def _trees(snapshot: Snapshot, host_idx: Ints, resource: str, *, every: bool = False) -> Iterator[_Tree]:
    """The tree of each cluster that has pools, or of `every` one."""
    table, vms = snapshot.pools, snapshot.vms
    cpu = resource == "cpu"
    reservation, limit, shares = _settings(snapshot, resource)
    of_host = np.where(host_idx >= 0, snapshot.hosts.cluster_idx[np.maximum(host_idx, 0)], -1)
    of_vm = np.where(vms.pool_idx >= 0, table.cluster_idx[vms.pool_idx] if len(table) else -1, of_host)
    demand = own_demand(snapshot, resource)
    pool_shares = own_shares(snapshot, resource)
    clusters = range(len(snapshot.clusters)) if every else np.unique(table.cluster_idx).tolist()
    for cluster in clusters:
        own = np.flatnonzero(table.cluster_idx == cluster).astype(np.int32)
        its = np.flatnonzero(of_vm == cluster).astype(np.int32)
        position = np.full(len(table) + 1, -1, dtype=np.int32)  # the last place is that of "no pool"
        position[own] = np.arange(len(own))
        yield _Tree(
            cluster,
            own,
            its,
            np.concatenate([position[table.parent_idx[own]], position[vms.pool_idx[its]]]),
            np.concatenate(
                [
                    (table.cpu_reservation_mhz if cpu else table.memory_reservation_mib)[own],
                    np.where(vms.on, reservation, 0.0)[its],
                ]
            ),
            np.concatenate([(table.cpu_limit_mhz if cpu else table.memory_limit_mib)[own], limit[its]]),
            np.concatenate([pool_shares[own], shares[its]]),
            np.concatenate([np.zeros(len(own)), demand[its]]),
            np.concatenate(
                [
                    (table.cpu_expandable if cpu else table.memory_expandable)[own] == "yes",
                    np.zeros(len(its), dtype=np.bool_),
                ]
            ),
        )


def own_shares(snapshot: Snapshot, resource: str) -> Floats:
    """Shares of each pool beside its siblings, f8[n_pools].

    Those of a pool with scalable shares are its level (shares over vSphere's normal) times the shares of the running
    VMs and of the pools in it: then a VM of a pool at level high has twice those of a like one at level normal,
    however many there are (vSphere Resource Management, "Scalable Shares").
    """
    table, vms = snapshot.pools, snapshot.vms
    given = np.asarray(table.cpu_shares if resource == "cpu" else table.memory_shares, dtype=np.float64)
    scalable = table.value("scalable_shares")
    if scalable is None or not (scalable == "yes").any():
        return given
    inside = vms.on & (vms.pool_idx >= 0)
    below = np.zeros(len(table))
    np.add.at(below, vms.pool_idx[inside], _settings(snapshot, resource)[2][inside])
    found = given.copy()
    for pool in reversed(top_down(table.parent_idx)):
        if scalable[pool] == "yes":
            found[pool] = given[pool] / NORMAL_SHARES[resource] * below[pool]
        if table.parent_idx[pool] >= 0:
            below[table.parent_idx[pool]] += found[pool]
    return found


def top_down(parent: Ints) -> list[int]:
    """Pools in an order in which each stands after its parent."""
    depth = [0] * len(parent)
    for pool in range(len(parent)):
        at = int(parent[pool])
        while at >= 0:
            depth[pool] += 1
            at = int(parent[at])
    return sorted(range(len(parent)), key=depth.__getitem__)


def reserved(pools: PoolTable, resource: str, pool_idx: Ints, asked: Floats) -> tuple[Floats, Floats]:
    """What is reserved below each pool, and what it takes of its parent for it: two f8[n_pools], MHz or MiB.

    A pool takes its own reservation; an expandable one takes more where more is reserved below it.

    Parameters
    ----------
    resource : `cpu` or `memory`.
    pool_idx, asked : the pool of each VM (-1: none), and what is reserved for it, [n_vms].
    """
    own, grows, _ = settings(pools, resource)
    inside = pool_idx >= 0
    below = np.zeros(len(pools))
    np.add.at(below, pool_idx[inside], asked[inside])
    takes = np.zeros(len(pools))
    for pool in reversed(top_down(pools.parent_idx)):
        takes[pool] = max(own[pool], below[pool]) if grows[pool] else own[pool]
        if pools.parent_idx[pool] >= 0:
            below[pools.parent_idx[pool]] += takes[pool]
    return below, takes


def settings(pools: PoolTable, resource: str) -> tuple[Floats, Bools, Floats]:
    """Reservation, whether it is expandable, and limit of each pool."""
    if resource == "cpu":
        return pools.cpu_reservation_mhz, pools.cpu_expandable == "yes", pools.cpu_limit_mhz
    return pools.memory_reservation_mib, pools.memory_expandable == "yes", pools.memory_limit_mib
