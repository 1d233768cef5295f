"""Dividing capacity: among VMs by water-filling, and down a tree of resource pools.

The dynamic entitlement is VMware's (Gulati et al., "VMware Distributed Resource Management: Design,
Implementation, and Lessons Learned", 2012): reservation <= entitlement <= min(limit, demand), and what
remains of the capacity is divided by shares. `water_fill` is exact: within a group every VM gets
clip(level x shares, floor, ceiling), and the level is where the capacity is used up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from drs.model.snapshot import Bools, Floats

ALMOST_NONE = 1e-6
"""Members without shares get what those with shares leave."""


def water_fill(
    capacity: ArrayLike,
    group: ArrayLike,
    reservation: ArrayLike,
    limit: ArrayLike,
    shares: ArrayLike,
    demand: ArrayLike,
) -> Floats:
    """What each member of a group gets when the group's capacity is divided, f8[n].

    Parameters
    ----------
    capacity : of each group, shape (n_groups,).
    group : of each member, shape (n,), -1 for none (it gets nothing).
    reservation, limit, shares, demand : of each member, shape (n,).

    Returns
    -------
    f8[n]
        Never more than demand or limit. Reservations (as far as there is demand) are met before any shares
        count; where even they exceed the capacity, all are cut in proportion.
    """
    room = np.asarray(capacity, dtype=np.float64)
    where = np.asarray(group, dtype=np.int64)
    ceiling = np.minimum(np.asarray(demand, dtype=np.float64), np.asarray(limit, dtype=np.float64))
    floor = np.minimum(np.asarray(reservation, dtype=np.float64), ceiling)
    weight = np.asarray(shares, dtype=np.float64)
    least = weight[weight > 0].min(initial=1.0)
    weight = np.where(weight > 0, weight, ALMOST_NONE * least)
    n_groups = len(room)
    inside = where >= 0

    def total(values: Floats) -> Floats:
        return np.bincount(where[inside], weights=values[inside], minlength=n_groups).astype(np.float64)

    lowest, highest = total(floor), total(ceiling)
    got = np.where(inside, floor, 0.0)
    short = lowest > room
    with np.errstate(divide="ignore", invalid="ignore"):
        cut = np.where(short, room / lowest, 1.0)
    got[inside] *= cut[where[inside]]
    plenty = highest <= room
    full = inside & plenty[where]
    got[full] = ceiling[full]

    rising = inside & ~short[where] & ~plenty[where] & (ceiling > floor)
    members = np.flatnonzero(rising)
    if not len(members):
        return got
    # The sum over a group is piecewise linear in the level: it gains a member's shares in slope where the
    # member leaves its floor and loses them where it reaches its ceiling.
    at = np.concatenate([floor[members] / weight[members], ceiling[members] / weight[members]])
    slope = np.concatenate([weight[members], -weight[members]])
    of = np.concatenate([where[members], where[members]])
    order = np.lexsort((at, of))
    at, slope, of = at[order], slope[order], of[order]
    first = np.r_[True, of[1:] != of[:-1]]
    slope_after = _running(slope, first)
    step = np.where(first, 0.0, np.r_[0.0, slope_after[:-1]] * np.diff(at, prepend=0.0))
    use = lowest[of] + _running(step, first)
    below = use <= room[of] * (1 + 1e-12)
    last = np.full(n_groups, -1, dtype=np.int64)
    np.maximum.at(last, of[below], np.flatnonzero(below))
    level = np.full(n_groups, np.inf)
    known = last >= 0
    k = last[known]
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = np.where(
            slope_after[k] > 1e-12 * np.abs(slope[k]), (room[of[k]] - use[k]) / slope_after[k], 0.0
        )
    level[known] = at[k] + np.maximum(0.0, rest)
    got[members] = np.clip(level[where[members]] * weight[members], floor[members], ceiling[members])
    return got


def _running(values: Floats, first: Bools) -> Floats:
    """Cumulative sums that begin anew at every `first`."""
    sums = np.cumsum(values)
    start = np.flatnonzero(first)
    base = np.where(start > 0, sums[start - 1], 0.0)
    return np.asarray(sums - np.repeat(base, np.diff(np.append(start, len(values)))))


def divide(
    capacity: float | None,
    parent: ArrayLike,
    reservation: ArrayLike,
    limit: ArrayLike,
    shares: ArrayLike,
    demand: ArrayLike,
    expandable: ArrayLike = True,
) -> Floats:
    """Entitlements in a tree of resource pools, from the root down, f8[n_nodes].

    Parameters
    ----------
    capacity : of the root (a cluster); None: no more than what is reserved in it.
    parent : position of each node's pool, -1 for a child of the root; pools and VMs are nodes alike.
    demand : of the VMs; that of a pool is what its children ask for.
    expandable : whether a pool that has reserved less than its children may borrow from its parent.
    """
    up = np.asarray(parent, dtype=np.int64)
    n = len(up)
    depth = np.zeros(n, dtype=np.int64)
    for _ in range(n + 1):
        deeper = np.where(up >= 0, depth[up] + 1, 0)
        if np.array_equal(deeper, depth):
            break
        depth = deeper
    else:
        raise ValueError("the pools form a cycle")
    ceiling = np.asarray(limit, dtype=np.float64)
    asked = np.array(demand, dtype=np.float64)
    floor = np.array(reservation, dtype=np.float64)
    lends = np.broadcast_to(np.asarray(expandable, dtype=bool), (n,))
    is_pool = np.isin(np.arange(n), up)
    asked[is_pool] = 0.0
    for level in range(int(depth.max(initial=0)), 0, -1):
        nodes = np.flatnonzero(depth == level)
        np.add.at(asked, up[nodes], np.minimum(asked[nodes], ceiling[nodes]))
        wanted = np.zeros(n)
        np.add.at(wanted, up[nodes], np.minimum(floor[nodes], np.minimum(asked[nodes], ceiling[nodes])))
        borrow = lends & is_pool & (wanted > floor)
        floor[borrow] = wanted[borrow]
    got = np.zeros(n)
    roots = up < 0
    if capacity is None:
        capacity = float(np.minimum(floor, np.minimum(asked, ceiling))[roots].sum())
    got[roots] = water_fill(
        np.array([capacity]),
        np.zeros(int(roots.sum()), dtype=np.int64),
        floor[roots],
        ceiling[roots],
        np.asarray(shares, dtype=np.float64)[roots],
        asked[roots],
    )
    for level in range(1, int(depth.max(initial=0)) + 1):
        nodes = np.flatnonzero(depth == level)
        got[nodes] = water_fill(
            got,
            up[nodes],
            floor[nodes],
            ceiling[nodes],
            np.asarray(shares, dtype=np.float64)[nodes],
            asked[nodes],
        )
    return got
