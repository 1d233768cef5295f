"""What is reserved in a tree of resource pools."""

from __future__ import annotations

import numpy as np

from drs.model.snapshot import Bools, Floats, Ints, PoolTable


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
