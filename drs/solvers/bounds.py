"""A lower bound for every level at every size, by Lagrangian duality.

Every cost that is linear in the placement, or the maximum of such (an excess over a limit, a standard
deviation), and every limit of that kind gets a price; the rest separates by item, and each item takes its
cheapest allowed bin. With prices lambda >= 0 on use over a limit and vectors zeta (sum 0 over the bins
compared) on loads::

    L(lambda, zeta) = sum_i min_b [ c_ib + sum_r d_ir (lambda_rb + zeta_rb / cap_rb) ]
                      - sum lambda_rb limit_rb - sum_r sqrt(H) ||zeta_r|| target_r

is a lower bound for any prices, since std(x) sqrt(H) ||zeta|| >= zeta . x (Cauchy and Schwarz, zeta . 1 = 0).
Where the excess or the spread is itself the cost, its price is capped by its weight. A limit of M moves is
kept exactly: the M best gains over staying are taken. The prices are improved by supergradient steps of
Polyak's length (B. T. Polyak, "Minimization of unsmooth functionals", 1969), and may stop at any time.

What is not priced counts as 0: at-most, at-least, together and near terms, pair prices of moves, free-room
balance, group maxima, and mean absolute deviations. The bound of level k holds for all placements that keep
the ceilings of the levels before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drs.solvers.levels import ceilings
from drs.stop import Stop
from drs.terms import (
    Allowed,
    BinsUsed,
    Capacity,
    Deviation,
    MoveCost,
    MoveLimit,
    OverTarget,
    Penalty,
    Unplaced,
)
from drs.terms.base import Bools, Floats, Ints, Lowered, Term

ROUNDING = 1e-9
MAX_CELLS = 60_000_000
"""Items x bins above which a bound takes too long; 0 is then the bound."""


@dataclass
class _Excess:
    """price . (use - limit) with 0 <= price <= cap, per bin."""

    demand: Floats
    limit: Floats
    cap: Floats


@dataclass
class _Cone:
    """zeta . load - target sqrt(H) ||zeta||, with ||zeta|| sqrt(H) <= cap."""

    demand: Floats
    capacity: Floats
    bins: Ints
    target: float
    cap: float


@dataclass
class _Relaxation:
    """What is priced, and what each item pays for each bin."""

    n_items: int
    n_bins: int
    start: Ints
    mask_of: Ints
    masks: Bools
    excesses: list[_Excess]
    cones: list[_Cone]
    must_move: Bools
    """Items that a settled level forbids to stay."""
    move_price: Floats
    waiting_price: Floats
    """What an item pays for being nowhere; inf where it has a bin today."""
    linear: list[tuple[Ints, Floats]] = field(default_factory=list)
    """(class of each item, price[class, bin])"""
    per_use: list[tuple[Floats, Floats]] = field(default_factory=list)
    """(demand, price per unit of it in each bin)"""
    max_moves: float = math.inf


def lower_bounds(
    lowered: Lowered, scores: Floats, stop: Stop, *, max_steps: int = 300, known: Floats | None = None
) -> Floats:
    """A lower bound of every level, f8[n_levels].

    Parameters
    ----------
    scores : f8[n_levels], those of the best solution; they set the ceilings of earlier levels, and the
        length of the steps.
    stop : time to spend over all levels; with an iteration budget alone every level takes `max_steps`.
    known : f8[n_levels], bounds that are known already.
    """
    n_levels = len(lowered.levels)
    best = np.zeros(n_levels) if known is None else np.maximum(known, 0.0)
    if lowered.n_items == 0 or lowered.n_bins == 0:
        return np.minimum(best, scores)
    limits = ceilings(lowered, scores)
    cells = lowered.n_items * lowered.n_bins
    open_levels = [k for k in range(n_levels) if scores[k] > best[k] + ROUNDING * max(1.0, scores[k])]
    for count, k in enumerate(open_levels):
        if cells > MAX_CELLS or stop.remaining_s <= 0:
            break
        relaxation = _relax(lowered, k, limits)
        part = stop.part(1.0 / (len(open_levels) - count)).begin()
        best[k] = max(best[k], _ascend(relaxation, float(scores[k]), part, max_steps))
    return np.minimum(best, scores)


def _relax(lowered: Lowered, k: int, limits: Floats) -> _Relaxation:
    """Walls, the earlier levels under their ceilings, and the costs of level `k`."""
    start = lowered.start
    classes: list[Ints] = []
    rows: list[Bools] = []
    free_to_stay = np.ones(lowered.n_items, dtype=np.bool_)

    def allow(term: Allowed, strict: bool) -> None:
        classes.append(term.class_idx)
        rows.append(term.mask)
        if strict:
            placed = start >= 0
            here = placed & ~term.mask[term.class_idx, np.maximum(start, 0)]
            if term.stay is not None:
                here &= start != term.stay
            free_to_stay[here] = False

    excesses: list[_Excess] = []
    cones: list[_Cone] = []
    max_moves = math.inf
    for wall in lowered.walls:
        term: Term = wall.term
        match term:
            case Allowed():
                allow(term, strict=False)
            case Capacity():
                # At once, what left counts too: leaving it out only lowers the bound.
                _add_excess(excesses, term.demand, term.limit, np.inf)
            case MoveLimit() if len(term.weight) and term.weight.min() > 0:
                max_moves = min(max_moves, math.floor(term.limit / term.weight.min() + ROUNDING))
    for j in range(k):
        for entry in lowered.levels[j].terms:
            slack = float(limits[j]) / entry.weight if entry.weight > 0 else math.inf
            term = entry.term
            match term:
                case Allowed() if slack < 1.0 - 1e-6:
                    allow(term, strict=True)
                case Capacity():
                    _add_excess(excesses, term.demand, term.limit + slack, np.inf)
                case OverTarget():
                    room = np.where(term.weight > 0, slack / np.maximum(term.weight, 1e-300), np.inf)
                    _add_excess(excesses, term.demand, term.target + room, np.inf)
                case Deviation():
                    _add_cone(cones, term, slack, math.inf)
    masks, mask_of = _combine(classes, rows, lowered)
    at = _Relaxation(
        lowered.n_items, lowered.n_bins, start, mask_of, masks, excesses, cones, ~free_to_stay,
        np.zeros(lowered.n_items), np.where(start < 0, 0.0, np.inf), max_moves=max_moves,
    )  # fmt: skip
    for entry in lowered.levels[k].terms:
        term, weight = entry.term, entry.weight
        match term:
            case MoveCost():
                at.move_price += weight * term.per_item
            case Allowed():
                away = ~term.mask * weight
                at.linear.append((term.class_idx, away.astype(np.float64)))
            case Penalty():
                at.linear.append((term.class_idx, weight * term.penalty))
            case Capacity():
                _add_excess(at.excesses, term.demand, term.limit, weight)
            case OverTarget():
                _add_excess(at.excesses, term.demand, term.target, weight * term.weight)
            case Deviation():
                _add_cone(at.cones, term, 0.0, weight)
            case Unplaced():
                at.waiting_price += weight * term.weight
            case BinsUsed():
                _add_bins_used(at, lowered, term, weight)
    return at


def _add_excess(into: list[_Excess], demand: Floats, limit: Floats, cap: float | Floats) -> None:
    cap = np.broadcast_to(np.asarray(cap, dtype=np.float64), limit.shape)
    cap = np.where(np.isfinite(limit), cap, 0.0)
    into.append(_Excess(demand, np.where(np.isfinite(limit), limit, 0.0), cap))


def _add_cone(into: list[_Cone], term: Deviation, slack: float, cap: float) -> None:
    """std directly; range >= 2 std. A maximum is at least every load, which is an excess of its own."""
    if term.measure == "std" and math.isfinite(slack):
        into.append(_Cone(term.demand, term.capacity, term.bins, term.target + slack, cap))
    elif term.measure == "range" and math.isfinite(slack):
        into.append(_Cone(term.demand, term.capacity, term.bins, (term.target + slack) / 2, 2 * cap))


def _add_bins_used(at: _Relaxation, lowered: Lowered, term: BinsUsed, weight: float) -> None:
    """A bin that is used to the share u of any capacity costs at least u of its price."""
    counted = np.zeros(lowered.n_items)
    counted[term.items] = 1.0
    best: tuple[float, Floats, Floats] | None = None
    for wall in lowered.walls:
        if isinstance(wall.term, Capacity):
            demand, limit = wall.term.demand * counted, wall.term.limit
            per_unit = np.where(limit > 0, weight * term.price / np.maximum(limit, 1e-300), 0.0)
            worth = float(demand.sum() * (per_unit[per_unit > 0].min() if (per_unit > 0).any() else 0.0))
            if best is None or worth > best[0]:
                best = (worth, demand, per_unit)
    if best is not None:
        at.per_use.append((best[1], best[2]))


def _combine(classes: list[Ints], rows: list[Bools], lowered: Lowered) -> tuple[Bools, Ints]:
    """All masks as one: (mask[n_kinds, n_bins], kind of each item)."""
    if not classes:
        return np.ones((1, lowered.n_bins), dtype=np.bool_), np.zeros(lowered.n_items, dtype=np.int32)
    kinds, kind = np.unique(np.stack(classes, axis=1), axis=0, return_inverse=True)
    mask = np.ones((len(kinds), lowered.n_bins), dtype=np.bool_)
    for column, row in enumerate(rows):
        mask &= row[kinds[:, column]]
    return mask, np.asarray(kind.ravel(), dtype=np.int32)


def _ascend(at: _Relaxation, score: float, stop: Stop, max_steps: int) -> float:
    """The best value of the dual over supergradient steps."""
    demands = [part.demand for part in at.excesses] + [cone.demand for cone in at.cones]
    demands += [demand for demand, _ in at.per_use]
    scale = [_unit(part) for part in at.excesses]
    prices = [np.zeros(at.n_bins) for _ in at.excesses]
    zetas = [np.zeros(len(cone.bins)) for cone in at.cones]
    groups = [np.flatnonzero(at.mask_of == kind) for kind in range(len(at.masks))]
    need = np.stack(demands, axis=1) if demands else np.zeros((at.n_items, 0))
    best, theta, idle = -math.inf, 1.0, 0
    for step in range(max_steps):
        if step and stop.reached(0):
            break
        bin_price = _bin_prices(at, prices, zetas)
        value, chosen = _cheapest(at, groups, need, bin_price)
        for part, price in zip(at.excesses, prices, strict=True):
            value -= float(price @ part.limit)
        for cone, zeta in zip(at.cones, zetas, strict=True):
            value -= cone.target * math.sqrt(len(cone.bins)) * float(np.linalg.norm(zeta))
        if value > (best + 1e-7 * max(1.0, abs(best)) if step else -math.inf):
            best, idle = value, 0
        else:
            idle += 1
            if idle >= 10:
                theta, idle = theta / 2, 0
                if theta < 1e-4:
                    break
        if not demands or best >= score * (1 - 1e-9):
            break
        slopes, up, size = [], [], 0.0
        placed = chosen >= 0
        for part, unit in zip(at.excesses, scale, strict=True):
            use = np.bincount(chosen[placed], weights=part.demand[placed], minlength=at.n_bins)
            slope = (use - part.limit) / unit
            slope[part.cap <= 0] = 0.0
            slopes.append(slope)
        for slope, price in zip(slopes, prices, strict=True):
            slope[(price <= 0) & (slope < 0)] = 0.0
            size += float(slope @ slope)
        for cone, zeta in zip(at.cones, zetas, strict=True):
            use = np.bincount(chosen[placed], weights=cone.demand[placed], minlength=at.n_bins)
            load = use[cone.bins] / cone.capacity[cone.bins]
            slope = load - load.mean()
            norm = float(np.linalg.norm(zeta))
            root = math.sqrt(len(cone.bins))
            if norm > 0:
                slope = slope - cone.target * root * zeta / norm
            elif np.linalg.norm(slope) <= cone.target * root:
                slope = np.zeros_like(slope)
            up.append(slope)
            size += float(slope @ slope)
        if size <= 1e-18:
            break
        goal = max(score - value, 1e-3 * max(score, 1e-12))
        length = theta * goal / size
        for i, (part, slope) in enumerate(zip(at.excesses, slopes, strict=True)):
            prices[i] = np.clip(prices[i] + length * slope / scale[i], 0.0, part.cap)
        for i, (cone, slope) in enumerate(zip(at.cones, up, strict=True)):
            zeta = zetas[i] + length * slope
            zeta -= zeta.mean()
            norm = float(np.linalg.norm(zeta)) * math.sqrt(len(cone.bins))
            zetas[i] = zeta * (cone.cap / norm) if norm > cone.cap else zeta
    return best - ROUNDING * max(1.0, abs(best)) if math.isfinite(best) else 0.0


def _unit(part: _Excess) -> float:
    """A typical size of the use, so that prices of different resources take comparable steps."""
    known = part.limit[part.limit > 0]
    return float(known.mean()) if len(known) else 1.0


def _bin_prices(at: _Relaxation, prices: list[Floats], zetas: list[Floats]) -> NDArray[np.float64]:
    """Price of a unit of each demand in each bin, f8[n_demands, n_bins]."""
    rows = [*prices]
    for cone, zeta in zip(at.cones, zetas, strict=True):
        row = np.zeros(at.n_bins)
        row[cone.bins] = zeta / cone.capacity[cone.bins]
        rows.append(row)
    rows.extend(price for _, price in at.per_use)
    return np.stack(rows) if rows else np.zeros((0, at.n_bins))


def _cheapest(
    at: _Relaxation,
    groups: list[NDArray[np.intp]],
    need: Floats,
    bin_price: Floats,
) -> tuple[float, Ints]:
    """Every item in its cheapest bin, at most `max_moves` of them away from today's: (cost, bins)."""
    stay = np.full(at.n_items, np.inf)
    go = np.full(at.n_items, np.inf)
    where = np.full(at.n_items, -1, dtype=np.int32)
    for kind, items in enumerate(groups):
        bins = np.flatnonzero(at.masks[kind])
        if not len(items):
            continue
        home = at.start[items]
        here = home >= 0
        own = np.einsum("ij,ji->i", need[items], bin_price[:, np.maximum(home, 0)])
        for class_idx, table in at.linear:
            own = own + table[class_idx[items], np.maximum(home, 0)]
        stay[items] = np.where(here, own, at.waiting_price[items])
        if len(bins):
            cost = need[items] @ bin_price[:, bins]
            for class_idx, table in at.linear:
                cost = cost + table[class_idx[items]][:, bins]
            first = cost.argmin(axis=1)
            where[items] = bins[first]
            go[items] = cost[np.arange(len(items)), first] + np.where(here, at.move_price[items], 0.0)
    stay[at.must_move] = np.inf
    chosen = at.start.copy()
    forced = np.isinf(stay)
    gain = np.zeros(at.n_items)
    free = ~forced & np.isfinite(go)
    gain[free] = stay[free] - go[free]
    moving = gain > 0
    counts = at.start >= 0  # placing what was nowhere is no move
    if math.isfinite(at.max_moves):
        room = int(max(0, at.max_moves - int((forced & counts).sum())))
        movers = np.flatnonzero(moving & counts)
        if len(movers) > room:
            keep = movers[np.argpartition(-gain[movers], room)[:room]] if room else movers[:0]
            moving[movers] = False
            moving[keep] = True
    chosen[moving | forced] = where[moving | forced]
    cost = np.where(moving | forced, go, stay)
    if np.isinf(cost).any():
        # An item that may be nowhere at all: this bound says nothing about it.
        cost = np.where(np.isinf(cost), 0.0, cost)
    return float(cost.sum()), chosen
