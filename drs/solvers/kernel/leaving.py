"""Which whole items leave a bin, when each has its price and load above a level costs more the more it is.

The search of `drs.solvers.bounds.leaving`: depth first over the items of one bin. What the load costs is convex in
what leaves, so the slope where a node stands bounds all that is below it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drs.solvers.kernel.jit import jit
from drs.terms.base import Floats


@jit
def penalty(at, row, top, b, steep):  # type: ignore[no-untyped-def]
    """Price of the loads in a row of `at` above those of bin b in `top`."""
    total = 0.0
    for k in range(len(steep)):
        x = at[row, k] - top[b, k]
        if x > 0.0:
            total += steep[k] * x * x
    return total


@jit
def worth(at, row, top, b, steep, price, share, i):  # type: ignore[no-untyped-def]
    """No less than this is added when item i leaves, whatever else does: its price and the slope at the loads."""
    total = price[i]
    for k in range(len(steep)):
        x = at[row, k] - top[b, k]
        if x > 0.0:
            total -= 2.0 * steep[k] * x * share[i, k]
    return total


@jit
def rank(at, top, b, steep, price, share, first, last, order, gain):  # type: ignore[no-untyped-def]
    """List the items of bin b that could be worth it, the most useful first; returns how many."""
    m = 0
    for i in range(first, last):
        value = worth(at, 0, top, b, steep, price, share, i)
        if value < 0.0:
            q = m
            while q > 0 and gain[q - 1] > value:
                gain[q] = gain[q - 1]
                order[q] = order[q - 1]
                q -= 1
            gain[q] = value
            order[q] = i
            m += 1
    return m


@jit
def cheapest_leaving(b, z, top, steep, price, share, first, last, most):  # type: ignore[no-untyped-def]
    """Least price of a set of items first to last - 1 that leave bin b + sum over k of
    steep[k] ((z[b, k] - what leaves - top[b, k])^+)^2.

    z, top: f8[n_bins, k]; steep: f8[k]; price: f8[n_items]; share: f8[n_items, k]. Never more than the true minimum,
    and less only where `most` sets were not enough.
    """
    n = last - first + 2
    at, paid, gain = np.zeros((n, len(steep))), np.zeros(n), np.zeros(n)
    order, stage = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for k in range(len(steep)):
        at[0, k] = z[b, k]
    best = penalty(at, 0, top, b, steep)
    m = rank(at, top, b, steep, price, share, first, last, order, gain)
    root = best
    for q in range(m):
        root += gain[q]
    paid[0] = 0.0
    stage[0] = 0
    depth = 0
    nodes = 0
    while depth >= 0:
        if stage[depth] == 0:  # a new node: the first `depth` items are decided
            nodes += 1
            if nodes > most:
                return max(root, 0.0)
            value = paid[depth] + penalty(at, depth, top, b, steep)
            best = min(best, value)
            for q in range(depth, m):
                value += min(0.0, worth(at, depth, top, b, steep, price, share, order[q]))
            if depth == m or value >= best - 1e-9 * best:
                depth -= 1
                continue
        if stage[depth] == 2:
            depth -= 1
            continue
        leaves = 1.0 if stage[depth] == 0 else 0.0
        stage[depth] += 1
        i = order[depth]
        for k in range(len(steep)):
            at[depth + 1, k] = at[depth, k] - leaves * share[i, k]
        paid[depth + 1] = paid[depth] + leaves * price[i]
        depth += 1
        stage[depth] = 0
    return best * (1.0 - 1e-9)


@jit
def sum_of_bins(pointer, z, top, steep, price, share, most):  # type: ignore[no-untyped-def]
    """`cheapest_leaving` summed over bins; `pointer`: i8[n_bins + 1], where each bin's items begin."""
    total = 0.0
    for b in range(len(pointer) - 1):
        total += cheapest_leaving(b, z, top, steep, price, share, pointer[b], pointer[b + 1], most)
    return total


def least_total(
    pointer: NDArray[np.int64], z: Floats, top: Floats, steep: Floats, price: Floats, share: Floats, most: int
) -> float:
    """See `sum_of_bins`."""
    return float(sum_of_bins(pointer, z, top, steep, price, share, most))
