"""A lower bound for every level at every size, by Lagrangian duality: no integer model, stop at any time.

Every use-based term is a maximum of linear functions of the bins' use, and so is a limit's price:

- standard deviation: std(x) = max of (w . x) / sqrt(H) over norm(w) <= 1, sum(w) = 0;
- mean absolute deviation, largest load, range: the same over a box, a simplex, two simplices;
- load over a target: max of l (use - target) over 0 <= l <= weight; free balance alike;
- a capacity that is a wall: l (use - limit) for any l >= 0; an earlier level's ceiling likewise.

Fix those weights and prices and the problem falls apart into items: each takes the allowed bin where its
demand at these prices, plus what moving and preferences cost, is cheapest. A limit on moves is kept exactly
by taking the best gains only. *Every* choice of weights is a valid bound; subgradient steps towards the
incumbent's score (Held, Wolfe, Crowder: Validation of subgradient optimization, Mathematical Programming 6,
1974; step by Polyak) improve it. Costs that come in whole steps (numbers of moves, of hosts) let the bound
be rounded up to the next attainable one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drs.solvers import levels as order
from drs.solvers.bounds.counting import analytic, lattice
from drs.solvers.bounds.leaving import price_of_leaving
from drs.solvers.bounds.pieces import Block, Hinge, Longs, Spread, cheapest, knapsack, round_up
from drs.stop import Stop
from drs.terms import (
    Allowed,
    BinsUsed,
    Capacity,
    Deviation,
    FreeBalance,
    Lowered,
    MoveCost,
    MoveLimit,
    OverTarget,
    Penalty,
    Slots,
    Term,
    Unplaced,
)
from drs.terms.base import Floats, Ints
from drs.terms.costs import SLOT_ROUNDING
from drs.terms.limits import usage

CHUNK = 4_000_000
"""Item x bin pairs priced at once."""
CLOSE = 0.5
"""Share of the score from which a bound by whole items is not sought to be raised by one of parts of items."""


@dataclass(frozen=True)
class _Class:
    """Items that the walls and the fixed costs treat alike."""

    items: Longs
    bins: Longs
    fixed: Floats
    """f8[n_groups, len(bins)]: fixed cost in each bin by group"""
    pair: Floats
    """f8[n_groups, len(bins)]: move cost per unit of scale"""


class Dual:
    """The Lagrangian of level `k` with the ceilings of earlier levels."""

    def __init__(self, lowered: Lowered, k: int, limits: Floats, extra: int = -1) -> None:
        self.lowered, self.k = lowered, k
        self.limits = limits
        self.groups = [*range(k + 1)]
        if extra >= 0 and extra not in self.groups:
            self.groups.append(extra)
        self.multiplier = np.zeros(len(lowered.levels))
        self.multiplier[k] = 1.0
        self.demands: list[Floats] = []
        self._keys: dict[bytes, int] = {}
        self.blocks: list[Block] = []
        self.at_once: list[tuple[Hinge, Floats]] = []
        self.weights: list[tuple[Floats, float]] = []
        self.fixed_terms: list[tuple[int, float, Term]] = []
        self.strict: list[Allowed] = []
        for wall in lowered.walls:
            self._wall(wall.term)
        for g in self.groups:
            for entry in lowered.levels[g].terms:
                if isinstance(entry.term, Allowed) and g < k and limits[g] < entry.weight * (1 - 1e-6):
                    self.strict.append(entry.term)  # no room for a single item elsewhere
                elif entry.weight > 0:
                    self._cost(entry.term, g, entry.weight)
        self.demand = np.stack(self.demands, axis=1) if self.demands else np.zeros((lowered.n_items, 0))
        self.rising = bool((self.demand >= 0).all())
        self.forced = np.zeros(lowered.n_items, dtype=np.bool_)
        for strict in self.strict:
            bad = ~strict.mask[strict.class_idx, np.maximum(lowered.start, 0)] & (lowered.start >= 0)
            if strict.stay is not None:
                bad &= lowered.start != strict.stay
            self.forced |= bad
        self.classes = self._classes()
        self.move_fixed = self._move_fixed()
        self.apart = False
        """Hold every term of an earlier level under its ceiling by itself: weaker, but smoother to climb."""

    def _resource(self, demand: Floats) -> int:
        key = demand.tobytes()
        if key not in self._keys:
            self._keys[key] = len(self.demands)
            self.demands.append(demand)
        return self._keys[key]

    def _wall(self, term: Term) -> None:
        n = self.lowered.n_bins
        if isinstance(term, Capacity):
            r = self._resource(term.demand)
            block = Hinge([r], np.ones((1, n)), term.limit, np.full(n, np.inf), -1, 1.0)
            self.blocks.append(block)
            if term.when == "at_once":
                self.at_once.append((block, term.demand))
        elif isinstance(term, MoveLimit):
            self.weights.append((term.weight, term.limit))

    def _cost(self, term: Term, g: int, weight: float) -> None:
        match term:
            case Capacity():
                r = self._resource(term.demand)
                n = len(term.limit)
                block = Hinge([r], np.ones((1, n)), term.limit, np.ones(n), g, weight)
                self.blocks.append(block)
                if term.when == "at_once":
                    self.at_once.append((block, term.demand))
            case OverTarget():
                r = self._resource(term.demand)
                n = len(term.target)
                self.blocks.append(Hinge([r], np.ones((1, n)), term.target, term.weight, g, weight))
            case FreeBalance():
                a, b = self._resource(term.demand_a), self._resource(term.demand_b)
                n = len(term.limit_a)
                edge = term.limit_b - term.ratio * term.limit_a
                coefs = np.stack([np.full(n, -term.ratio), np.ones(n)])
                self.blocks.append(Hinge([a, b], coefs, edge, term.weight, g, weight))
            case Slots():
                self._slots(term, g, weight)
            case Deviation():
                if len(term.bins):
                    self.blocks.append(Spread(term, self._resource(term.demand), g, weight))
            case BinsUsed():
                self._bins_used(term, g, weight)
            case Allowed() | Penalty() | MoveCost() | Unplaced():
                self.fixed_terms.append((g, weight, term))

    def _bins_used(self, term: BinsUsed, g: int, weight: float) -> None:
        """A bin costs at least its price times the share of any wall's limit that its items take."""
        member = np.zeros(self.lowered.n_items)
        member[term.items] = 1.0
        limits = [w.term for w in self.lowered.walls if isinstance(w.term, Capacity)]
        for other in limits[:1]:
            r = self._resource(other.demand * member)
            n = len(term.price)
            usable = np.isfinite(other.limit) & (other.limit > 0)
            per = np.where(usable, term.price / np.where(usable, other.limit, 1.0), 0.0)
            self.blocks.append(Hinge([r], np.ones((1, n)), np.zeros(n), per, g, weight))

    def _slots(self, term: Slots, g: int, weight: float) -> None:
        """A bin has lost at least what one resource is used above the room for all its slots, over the size.

        That holds up to the limit, so only in bins where a wall keeps the use below it.
        """
        if not len(term.sizes):
            return
        n, r = len(term.most), int(np.argmax(term.demands.sum(axis=1) / term.sizes))
        wall = np.full(n, np.inf)
        for other in self.lowered.walls:
            if isinstance(other.term, Capacity) and np.array_equal(other.term.demand, term.demands[r]):
                wall = np.minimum(wall, other.term.limit)
        size, limit = float(term.sizes[r]), term.limits[r]
        edge = limit - size * (term.most - SLOT_ROUNDING)
        edge = np.where((term.most > 0) & (wall <= limit * (1 + SLOT_ROUNDING)), edge, np.inf)
        block = Hinge(
            [self._resource(term.demands[r])], np.ones((1, n)), edge, np.full(n, 1.0 / size), g, weight
        )
        self.blocks.append(block)

    def _classes(self) -> list[_Class]:
        low = self.lowered
        n, n_levels = low.n_items, len(low.levels)
        key = np.zeros(n, dtype=np.int64)

        def refine(values: NDArray[np.generic]) -> None:
            nonlocal key
            _, inverse = np.unique(values, return_inverse=True)
            _, key = np.unique(key * (int(inverse.max(initial=0)) + 1) + inverse, return_inverse=True)

        walls = [w.term for w in low.walls if isinstance(w.term, Allowed)] + self.strict
        for term in walls:
            refine(term.class_idx)
        for _, _, other in self.fixed_terms:
            if isinstance(other, (Allowed, Penalty)):
                refine(other.class_idx)
            elif isinstance(other, MoveCost) and other.pair is not None and other.bin_class is not None:
                home = np.where(low.start >= 0, other.bin_class[np.maximum(low.start, 0)], -1)
                refine(home)
        found = []
        sorted_items = np.argsort(key, kind="stable")
        edges = np.flatnonzero(np.diff(key[sorted_items])) + 1
        for items in np.split(sorted_items, edges) if n else []:
            first = items[0]
            mask = np.ones(low.n_bins, dtype=np.bool_)
            for term in walls:
                mask &= term.mask[term.class_idx[first]]
            bins = np.flatnonzero(mask)
            fixed, pair = np.zeros((n_levels, len(bins))), np.zeros((n_levels, len(bins)))
            for g, weight, other in self.fixed_terms:
                if isinstance(other, Allowed):
                    fixed[g] += weight * ~other.mask[other.class_idx[first], bins]
                elif isinstance(other, Penalty):
                    fixed[g] += weight * other.penalty[other.class_idx[first], bins]
                elif isinstance(other, MoveCost) and other.pair is not None and low.start[first] >= 0:
                    assert other.bin_class is not None
                    row = other.pair[other.bin_class[low.start[first]], other.bin_class[bins]]
                    pair[g] += weight * row
            found.append(_Class(items.astype(np.int64), bins.astype(np.int64), fixed, pair))
        self.scale = np.ones(n)
        for _, _, other in self.fixed_terms:
            if isinstance(other, MoveCost) and other.pair is not None and other.scale is not None:
                self.scale = other.scale  # of the last one: several scales fall back to the least
        scales = [
            np.ones(n) if other.scale is None else other.scale
            for _, _, other in self.fixed_terms
            if isinstance(other, MoveCost) and other.pair is not None
        ]
        if scales:
            self.scale = np.min(scales, axis=0)
        return found

    def _move_fixed(self) -> Floats:
        """f8[n_levels, n_items]: cost of moving at all, by level."""
        out = np.zeros((len(self.lowered.levels), self.lowered.n_items))
        for g, weight, term in self.fixed_terms:
            if isinstance(term, MoveCost):
                out[g] += weight * term.per_item
        return out

    def _stay_fixed(self, g: int) -> Floats:
        """Fixed cost of every item where it is today, f8[n_items]."""
        low = self.lowered
        out = np.zeros(low.n_items)
        at = np.maximum(low.start, 0)
        for group, weight, term in self.fixed_terms:
            if group != g:
                continue
            if isinstance(term, Penalty):
                out += weight * term.penalty[term.class_idx, at]
            elif isinstance(term, Allowed):
                bad = ~term.mask[term.class_idx, at]
                if term.stay is not None:
                    bad &= low.start != term.stay
                out += weight * bad
        out[low.start < 0] = 0.0
        return out

    def start_at(self, assign: Ints) -> None:
        """Begin with the prices that an assignment suggests."""
        use = self._use(assign)
        for block in self.blocks:
            if isinstance(block, Spread) and block.group == self.k:
                block.aim(use)

    def _use(self, assign: Ints) -> Floats:
        n = self.lowered.n_bins
        return np.array([usage(assign, d, n) for d in self.demands]).reshape(len(self.demands), n)

    def multipliers(self) -> Floats:
        """The multiplier of each level's cost: 1 for the objective, what its blocks need for the others."""
        mu = self.multiplier.copy()
        if self.apart:
            return mu
        for block in self.blocks:
            if block.group >= 0 and block.group != self.k:
                mu[block.group] = max(mu[block.group], block.gauge())
        return mu

    def evaluate(self) -> tuple[float, Ints, Floats]:
        """The bound at the present prices, the assignment that attains it, and the level multipliers."""
        low = self.lowered
        n, start = low.n_items, low.start
        mu = self.multipliers()
        price = np.zeros((len(self.demands), low.n_bins))
        const = 0.0
        move = mu @ self.move_fixed
        for block in self.blocks:
            for r, row in zip(block.resources, block.prices(), strict=True):
                price[r] += row
            const += block.const()
        for block, demand in self.at_once:
            p = block.theta / block.scale
            move += np.where(start >= 0, p[np.maximum(start, 0)] * demand, 0.0)
        for g in self.groups:
            if g != self.k and mu[g] > 0:
                const -= mu[g] * self.limits[g]
        if self.apart:
            for block in self.blocks:
                if block.group >= 0 and block.group != self.k:
                    const -= block.gauge() * self.limits[block.group]
        at = np.maximum(start, 0)
        stay = np.einsum("ir,ri->i", self.demand, price[:, at]) if len(self.demands) else np.zeros(n)
        for g in self.groups:
            if mu[g] > 0:
                stay += mu[g] * self._stay_fixed(g)
        best = np.full(n, np.inf)
        where = np.full(n, -1, dtype=np.int32)
        for cls in self.classes:
            if not len(cls.bins):
                continue
            fixed, pair = mu @ cls.fixed, mu @ cls.pair
            p, bins = price[:, cls.bins], cls.bins
            if self.rising and not pair.any():
                keep = cheapest(p, fixed)
                p, bins, fixed = p[:, keep], bins[keep], fixed[keep]
                pair = pair[keep]
            rows = max(1, CHUNK // len(bins))
            for lo in range(0, len(cls.items), rows):
                part = cls.items[lo : lo + rows]
                cost = self.demand[part] @ p
                cost += fixed
                if pair.any():
                    cost += self.scale[part][:, None] * pair
                choice = cost.argmin(axis=1)
                best[part] = cost[np.arange(len(part)), choice]
                where[part] = bins[choice]
        assign = start.copy()
        new = start < 0
        total = const
        if new.any():
            nowhere = np.zeros(n)
            for g, weight, term in self.fixed_terms:
                if isinstance(term, Unplaced):
                    nowhere += mu[g] * weight * term.weight
            placed = new & (best < nowhere)
            assign[placed] = where[placed]
            total += float(np.minimum(best, nowhere)[new].sum())
        forced = self.forced & np.isfinite(best)
        total += float(stay[~new & ~forced].sum() + (best + move)[forced].sum())
        assign[forced] = where[forced]
        gain = np.where(new | forced, 0.0, stay - best - move)
        gain = np.where(where == start, 0.0, np.maximum(gain, 0.0))
        gain[~np.isfinite(gain)] = 0.0
        taken, value = self._take(gain, forced)
        assign[taken] = where[taken]
        return total - value, assign, mu

    def _take(self, gain: Floats, forced: NDArray[np.bool_]) -> tuple[Longs, float]:
        """The moves worth most under the limit on moves (its tightest), and an upper bound on their worth."""
        moves = np.flatnonzero(gain > 0)
        value = float(gain[moves].sum())
        best = moves
        for weight, limit in self.weights:
            room = max(0.0, limit - float(weight[forced].sum()))
            chosen, worth = knapsack(gain[moves], weight[moves], room)
            if worth < value:
                value, best = worth, moves[chosen]
        return best, value

    def improve(self, target: float, stop: Stop, iterations: int, done: float = math.inf) -> float:
        """Subgradient steps towards `target` (a known cost); the best bound found.

        Ends early at `done`.
        """
        best, best_state = -math.inf, self._state()
        factor, since = 1.0, 0
        momentum: list[Floats] = []
        tick = 0
        while tick < iterations and not stop.reached(0):
            tick += 1
            value, assign, mu = self.evaluate()
            if value > best + 1e-9 * max(1.0, abs(best) if math.isfinite(best) else 1.0):
                if value > best + 1e-3 * abs(target - best):
                    since = 0
                best, best_state = value, self._state()
            else:
                since += 1
            if best >= done:
                break
            if since >= 8:
                factor, since = factor * 0.6, 0
                self._restore(best_state)
                momentum = []
                if factor < 1e-3:
                    break
                value, assign, mu = self.evaluate()
            use = self._use(assign)
            gradients = [block.gradient(use) for block in self.blocks]
            self._at_once_gradient(gradients, assign)
            level_gradient = self._level_gradient(assign, mu, gradients)
            if momentum:
                gradients = [g + 0.6 * m for g, m in zip(gradients, momentum, strict=True)]
            momentum = gradients
            norm = sum(float(g @ g) for g in gradients) + float(level_gradient @ level_gradient)
            if norm <= 1e-30:
                break
            step = factor * max(target - value, 1e-9 * max(1.0, abs(target))) / norm
            for block, g in zip(self.blocks, gradients, strict=True):
                block.theta = block.theta + step * g
                block.project(1.0 if block.group == self.k else math.inf)
            self.multiplier = np.maximum(0.0, self.multiplier + step * level_gradient)
            self.multiplier[self.k] = 1.0
        self._restore(best_state)
        return best

    def _at_once_gradient(self, gradients: list[Floats], assign: Ints) -> None:
        start = self.lowered.start
        left = np.where((assign != start) & (start >= 0), start, -1).astype(np.int32)
        for block, demand in self.at_once:
            extra = usage(left, demand, self.lowered.n_bins) / block.scale
            gradients[self.blocks.index(block)] = gradients[self.blocks.index(block)] + extra

    def _level_gradient(self, assign: Ints, mu: Floats, gradients: list[Floats]) -> Floats:
        """Slack of the ceilings of earlier levels, charged to whatever sets the multiplier."""
        out = np.zeros(len(mu))
        for g in self.groups:
            if g == self.k:
                continue
            slack = self._fixed_cost(g, assign) - self.limits[g]
            scale = max(abs(self.limits[g]), 1e-3)
            gauges = {j: block.gauge() for j, block in enumerate(self.blocks) if block.group == g}
            if self.apart:
                for j, gauge in gauges.items():
                    theta = self.blocks[j].theta
                    if gauge > 0:
                        gradients[j] = gradients[j] - self.limits[g] * theta * (gauge / float(theta @ theta))
                    elif float(self.limits[g]) > 0:
                        gradients[j] = self._beyond(self.blocks[j], gradients[j], float(self.limits[g]))
            owners = [j for j, gauge in gauges.items() if mu[g] > 0 and gauge >= 0.8 * mu[g]]
            if self.apart or not owners:
                if any(group == g for group, _, _ in self.fixed_terms):
                    out[g] = slack / scale if slack > 0 or mu[g] > 0 else 0.0
                continue
            for j in owners:  # gauges that are nearly the largest share it, or they would take turns
                theta = self.blocks[j].theta
                gradients[j] = gradients[j] + slack / len(owners) * theta * (mu[g] / float(theta @ theta))
        return out

    def _beyond(self, block: Block, gradient: Floats, limit: float) -> Floats:
        """The gradient at prices 0, where a ceiling holds back all that costs less than it."""
        if isinstance(block, Hinge):
            worth = float((np.maximum(gradient, 0.0) * block.top)[np.isfinite(block.top)].sum())
        elif isinstance(block, Spread) and block.term.measure == "std":
            worth = block.weight * float(np.linalg.norm(gradient)) / math.sqrt(block.n)
        else:
            return gradient
        return gradient if worth > limit else np.zeros_like(gradient)

    def _fixed_cost(self, g: int, assign: Ints) -> float:
        total = 0.0
        for group, weight, term in self.fixed_terms:
            if group == g:
                total += weight * term.cost(assign, self.lowered.start)
        return total

    def _state(self) -> tuple[list[Floats], Floats]:
        return [block.theta.copy() for block in self.blocks], self.multiplier.copy()

    def _restore(self, state: tuple[list[Floats], Floats]) -> None:
        for block, theta in zip(self.blocks, state[0], strict=True):
            block.theta = theta.copy()
        self.multiplier = state[1].copy()


def level_bound(
    lowered: Lowered,
    k: int,
    limits: Floats,
    score: float,
    assign: Ints,
    stop: Stop,
    iterations: int = 300,
    done: float = math.inf,
    floor: float = 0.0,
) -> float:
    """A lower bound of level k's cost while the levels before it keep their ceilings `limits`.

    `floor` is one that is known already.
    """
    unit = lattice(lowered, lowered.levels[k])
    if score <= floor:
        return round_up(floor, unit)
    dual = Dual(lowered, k, limits)
    dual.start_at(assign)
    value = -math.inf
    if any(block.group >= 0 and block.group != k for block in dual.blocks):
        dual.apart = True
        value = dual.improve(score, stop.part(0.5), iterations // 2, min(done, score))
        dual.apart = False  # the same prices bound more together
    value = max(value, dual.improve(score, stop, iterations, min(done, score)))
    value -= 1e-9 * max(1.0, abs(value))
    best = max(floor, value, 0.0)
    return min(round_up(best, unit), max(score, best))


def lower_bounds(
    lowered: Lowered,
    scores: Floats,
    stop: Stop,
    *,
    max_steps: int = 300,
    known: Floats | None = None,
    assign: Ints | None = None,
) -> Floats:
    """A lower bound of every level, f8[n_levels], each for all plans that keep the ceilings before it.

    Parameters
    ----------
    scores : f8[n_levels], those of the best solution; they set the ceilings of earlier levels, and the
        length of the steps.
    stop : time to spend over all levels; with an iteration budget alone every level takes `max_steps`.
    known : f8[n_levels], bounds that are known already.
    assign : the best solution itself, whose load suggests the first prices.
    """
    n_levels = len(lowered.levels)
    best = np.zeros(n_levels) if known is None else np.maximum(known, 0.0)
    if lowered.n_items == 0 or lowered.n_bins == 0:
        return np.minimum(best, scores)
    today = lowered.scores(lowered.start)
    limits = order.ceilings(lowered, scores)
    still = [
        k
        for k, level in enumerate(lowered.levels)
        if not order.settled(level, float(scores[k]), float(best[k]), float(today[k]))
    ]
    if stop.interrupted:
        return np.minimum(best, scores)
    priced = []
    for (
        k
    ) in still:  # what takes no time first, so that none is without a bound because another one took it all
        best[k] = max(best[k], analytic(lowered, k, limits))
        leaving = price_of_leaving(lowered, k, limits)
        best[k] = max(best[k], leaving)
        if leaving < CLOSE * scores[k] and not order.settled(
            lowered.levels[k], float(scores[k]), float(best[k]), float(today[k])
        ):
            priced.append(k)
    hint = lowered.start if assign is None else assign
    for count, k in enumerate(priced):
        if stop.remaining_s <= 0:
            break
        part = stop.followed_by(None if stop.time_s is None else stop.remaining_s / (len(priced) - count))
        value = level_bound(lowered, k, limits, float(scores[k]), hint, part, max_steps, floor=float(best[k]))
        best[k] = max(best[k], value)
    units = np.array([lattice(lowered, level) for level in lowered.levels])
    best = np.array([round_up(float(value), float(unit)) for value, unit in zip(best, units, strict=True)])
    return np.minimum(best, scores)
