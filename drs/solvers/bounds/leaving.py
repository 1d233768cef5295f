"""A lower bound for the price of moves, where a standard deviation has to stay under a ceiling: whole VMs leave.

Let z_b be the loads over capacity of n bins today, m their mean, and T the ceiling of the standard deviation. A plan
sends a set S_b of items away from each bin, and load g_b >= 0 comes in. What leaves comes in somewhere, so the mean
stays, and the plan keeps sum((z_b - out(S_b) + g_b - m)^2) <= n T^2. With a price lambda >= 0 for that, and a price
for load that must arrive, any choice of which is valid, the problem falls apart into bins. The best g_b is known in
closed form (it fills a bin up to m - kappa), and what remains is

    sum over bins of min over S of [price of S + lambda ((z_b - out(S) - m + kappa)^+)^2] - lambda n (T^2 + kappa^2).

The minimum over S is over sets of whole items: a bin that is a little too full sends one item away, never a half.
A Lagrangian by items (`drs.solvers.bounds.dual`) allows halves, and is no better than the continuous relaxation
(Geoffrion, "Lagrangean relaxation for integer programming", 1974). The sets are searched depth first: the sum is
convex in what leaves, so its slope where a node stands bounds everything below it.

Several resources add up, each with its lambda and kappa; so there are few prices, and the search of Nelder and Mead
("A simplex method for function minimization", 1965) finds good ones. With unequal capacities C_b the mean of z moves
by at most T std(C) / mean(C) (see `drs.solvers.bounds.whole_items`), so T^2 grows by the factor 1 + var(C) / mean(C)^2,
and kappa is in proportion to C_b.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from drs.solvers import levels as order
from drs.solvers.bounds.whole_items import Reach, reach
from drs.solvers.kernel.leaving import least_total
from drs.terms import Deviation, Lowered, MoveCost
from drs.terms.base import Bools, Floats

Longs = NDArray[np.int64]

MOST_NODES = 20_000
"""Sets tried for one bin at most; beyond, the slope at today's load bounds it."""
EVALUATIONS = 120
"""Prices tried for each resource, at most."""


_compiled = threading.Event()


def ready() -> None:
    """Load the compiled functions."""
    if not _compiled.is_set():
        nothing = np.zeros((1, 1))
        least_total(
            np.zeros(2, dtype=np.int64), nothing, nothing, np.ones(1), np.zeros(0), np.zeros((0, 1)), 1
        )
        _compiled.set()


@dataclass(frozen=True)
class _Ceiling:
    """A standard deviation that has to stay under a ceiling."""

    term: Deviation
    level: int
    weight: float
    room: float
    """How much the level may cost"""

    @property
    def highest(self) -> float:
        return self.term.target + self.room / self.weight


def price_of_leaving(lowered: Lowered, k: int, limits: Floats) -> float:
    """A lower bound of level `k`'s price of moves while the levels before it keep `limits`; 0 if unknown.

    `limits`: f8[n_levels], as `drs.solvers.levels.ceilings` gives them.
    """
    prices = [
        entry for entry in lowered.levels[k].terms if isinstance(entry.term, MoveCost) and entry.weight > 0
    ]
    if not prices or not any(
        isinstance(e.term, Deviation) for level in lowered.levels[:k] for e in level.terms
    ):
        return 0.0
    where = reach(lowered)
    ceilings = [
        _Ceiling(entry.term, level, entry.weight, float(limits[level]) + order.close(float(limits[level])))
        for level in range(k)
        for entry in lowered.levels[level].terms
        if isinstance(entry.term, Deviation)
        and entry.term.measure == "std"
        and entry.weight > 0
        and np.isfinite(limits[level])
        and _closed(lowered, entry.term, where)
    ]
    if not ceilings:
        return 0.0
    ready()
    price = np.zeros(lowered.n_items)
    for entry in prices:
        assert isinstance(entry.term, MoveCost)
        price += entry.weight * _least_price(lowered, entry.term)
    stays = _stays(lowered, where)
    return sum(_one(lowered, group, price, stays) for group in _groups(ceilings))


def _stays(lowered: Lowered, where: Reach) -> Bools:
    """Whether an item is nowhere today, or has no other bin to go to, bool[n_items]."""
    home = np.maximum(lowered.start, 0)
    others = where.n_allowed[where.class_idx] - where.mask[where.class_idx, home]
    free = others > 0
    for stay in where.homes:
        free |= (stay >= 0) & (stay != lowered.start)
    return (lowered.start < 0) | ~free


def _any(mask: Bools) -> Bools:
    """Whether a class has any of some bins."""
    return np.asarray(mask.any(axis=1))


def _closed(lowered: Lowered, term: Deviation, where: Reach) -> bool:
    """Whether no item can enter or leave the bins that are compared, so that their load is today's in every plan."""
    if not len(term.bins) or bool((term.demand < 0).any()):
        return False
    inside = np.zeros(lowered.n_bins + 1, dtype=np.bool_)
    inside[term.bins] = True
    here = inside[lowered.start]
    loaded = term.demand > 0
    enters = _any(where.mask[:, inside[:-1]])[where.class_idx]
    leaves = _any(where.mask[:, ~inside[:-1]])[where.class_idx]
    for stay in where.homes:
        enters |= (stay >= 0) & inside[stay]
        leaves |= (stay >= 0) & ~inside[stay]
    return not bool((np.where(here, leaves, enters) & loaded).any())


def _least_price(lowered: Lowered, term: MoveCost) -> Floats:
    """What each item pays at least when it moves, f8[n_items]."""
    price = term.per_item.astype(np.float64)
    if term.pair is not None and term.bin_class is not None:
        used = np.unique(term.bin_class)
        pair = term.pair[:, used].min(axis=1)[term.bin_class[np.maximum(lowered.start, 0)]]
        price = price + (pair if term.scale is None else pair * term.scale)
    return np.maximum(price, 0.0)


def _groups(ceilings: Sequence[_Ceiling]) -> list[list[_Ceiling]]:
    """Ceilings that share bins, together."""
    groups: list[tuple[set[int], list[_Ceiling]]] = []
    for ceiling in ceilings:
        bins, members = set(ceiling.term.bins.tolist()), [ceiling]
        apart = []
        for other, found in groups:
            if bins & other:
                bins |= other
                members = found + members
            else:
                apart.append((other, found))
        groups = [*apart, (bins, members)]
    return [members for _, members in groups]


def _one(lowered: Lowered, ceilings: Sequence[_Ceiling], price: Floats, stays: Bools) -> float:
    """The bound for bins that share ceilings."""
    bins = np.unique(np.concatenate([ceiling.term.bins for ceiling in ceilings]))
    n, dims = len(bins), len(ceilings)
    position = np.full(lowered.n_bins + 1, -1, dtype=np.int64)
    position[bins] = np.arange(n)
    at = position[lowered.start]
    items = np.flatnonzero((at >= 0) & ~stays)
    items = items[np.argsort(at[items], kind="stable")]
    pointer = np.searchsorted(at[items], np.arange(n + 1)).astype(np.int64)
    share, z, middle = np.zeros((len(items), dims)), np.zeros((n, dims)), np.full((n, dims), np.inf)
    shape, bins_of, spread, highest = np.zeros((n, dims)), np.zeros(dims), np.zeros(dims), np.zeros(dims)
    for k, ceiling in enumerate(ceilings):
        term = ceiling.term
        inside = position[term.bins]
        capacity = term.capacity[term.bins]
        z[inside, k] = term.loads(lowered.start)
        middle[inside, k] = float(z[inside, k] @ capacity) / float(capacity.sum())
        shape[inside, k] = capacity / capacity.mean()
        bins_of[k] = len(inside)
        compared = np.isfinite(middle[at[items], k])
        share[compared, k] = term.demand[items[compared]] / term.capacity[lowered.start[items[compared]]]
        spread[k] = 1.0 + float(capacity.var()) / float(capacity.mean()) ** 2
        highest[k] = ceiling.highest
    cost = price[items]
    # Ceilings of one level share its room: what one takes of it the others have not (std >= var / highest).
    shared = [
        (np.array(of), ceilings[of[0]].room) for level in sorted({ceiling.level for ceiling in ceilings})
        if len(of := [k for k, ceiling in enumerate(ceilings) if ceiling.level == level]) > 1
    ]  # fmt: skip
    weight = np.array([ceiling.weight for ceiling in ceilings])

    def value(prices: Floats) -> float:
        steep, kappa = np.exp(np.minimum(prices[:dims], 60.0)), prices[dims:]
        filled = kappa * shape
        total = least_total(pointer, z, middle - filled, steep, cost, share, MOST_NODES)
        allowed = float((steep * (bins_of * spread * highest**2 + (filled**2).sum(axis=0))).sum())
        for of, room in shared:
            least = float((steep[of] * bins_of[of] * spread[of] * highest[of] / weight[of]).min())
            allowed -= least * (len(of) - 1) * room
        return total - allowed

    wide = np.array([float(z[np.isfinite(middle[:, k]), k].std()) for k in range(dims)])
    if (wide <= highest).all() or not len(items):
        return 0.0
    width = np.maximum(highest, 0.05 * wide)
    ratio = [
        float(np.median(cost[on] / share[on, k])) if (on := share[:, k] > 0).any() else 1.0
        for k in range(dims)
    ]
    first = np.concatenate(
        [np.log(np.maximum(np.array(ratio), 1e-9) / (8.0 * np.maximum(width, 1e-9))), 0.5 * width]
    )
    step = np.concatenate([np.ones(dims), 0.5 * np.maximum(width, 1e-9)])
    simplex = first + np.vstack([np.zeros(2 * dims), np.diag(step)])
    options = {
        "initial_simplex": simplex,
        "maxfev": 2 * dims * EVALUATIONS,
        "xatol": 1e-3,
        "fatol": 1e-3 * max(1e-9, float(np.median(cost))),
    }
    found = minimize(lambda prices: -value(prices), first, method="Nelder-Mead", options=options)
    best = -float(found.fun)
    return max(0.0, best - 1e-7 * abs(best))
