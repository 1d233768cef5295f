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
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drs.solvers import levels as order
from drs.solvers.bounds.whole_items import flattest, reach
from drs.solvers.exact.model import decimal_unit
from drs.stop import Stop
from drs.terms import (
    Allowed,
    AtLeast,
    AtMost,
    BinsUsed,
    Capacity,
    Deviation,
    FreeBalance,
    GroupMoves,
    Lowered,
    MoveCost,
    MoveLimit,
    Near,
    OverTarget,
    Penalty,
    Term,
    Together,
    Unplaced,
    Within,
)
from drs.terms.base import Floats, Ints, Level
from drs.terms.limits import usage

Longs = NDArray[np.int64]

CHUNK = 4_000_000
"""Item x bin pairs priced at once."""


class _Block:
    """A term as a maximum over prices `theta`, in cost per normalised load.

    `ratio` f8[R, n_bins] turns prices into cost per unit of demand: price[r] = ratio[r] * spread(theta).
    """

    def __init__(self, resources: Sequence[int], group: int, weight: float) -> None:
        self.resources, self.group, self.weight = list(resources), group, weight
        self.theta = np.zeros(0)

    def prices(self) -> list[Floats]:
        raise NotImplementedError

    def const(self) -> float:
        raise NotImplementedError

    def gradient(self, use: Floats) -> Floats:
        raise NotImplementedError

    def project(self, radius: float) -> None:
        """Into `radius` times the domain."""
        raise NotImplementedError

    def gauge(self) -> float:
        """The least multiple of the domain that holds theta."""
        raise NotImplementedError


class _Hinge(_Block):
    """Sum of weight_b x max(0, coefs_b . use_b - edge_b), or a wall where weight is inf."""

    def __init__(
        self,
        resources: Sequence[int],
        coefs: Floats,
        edge: Floats,
        weights: Floats,
        group: int,
        weight: float,
    ) -> None:
        super().__init__(resources, group, weight)
        usable = np.isfinite(edge) & (weights > 0)
        self.coefs = coefs
        self.scale = np.where(usable, np.maximum(np.abs(edge), 1e-9), 1.0)
        self.edge = np.where(usable, edge, 0.0) / self.scale
        self.top = np.where(usable, weights * weight * self.scale, 0.0)
        self.theta = np.zeros(len(edge))

    def prices(self) -> list[Floats]:
        return [coef * self.theta / self.scale for coef in self.coefs]

    def const(self) -> float:
        return -float(self.theta @ self.edge)

    def gradient(self, use: Floats) -> Floats:
        total = sum(coef * use[r] for coef, r in zip(self.coefs, self.resources, strict=True))
        return np.asarray(np.where(self.top > 0, total / self.scale - self.edge, 0.0))

    def project(self, radius: float) -> None:
        self.theta = np.clip(self.theta, 0.0, self.top * radius if math.isfinite(radius) else np.inf)
        self.theta[self.top <= 0] = 0.0

    def gauge(self) -> float:
        finite = np.isfinite(self.top) & (self.top > 0)
        return float((self.theta[finite] / self.top[finite]).max(initial=0.0))


class _Spread(_Block):
    """max(0, measure - target) of a `Deviation`."""

    def __init__(self, term: Deviation, resource: int, group: int, weight: float) -> None:
        super().__init__([resource], group, weight)
        self.term, self.n = term, len(term.bins)
        self.inverse = 1.0 / term.capacity[term.bins]
        self.theta = np.zeros(self.n * (2 if term.measure == "range" else 1))

    def _w(self) -> Floats:
        t = self.theta
        match self.term.measure:
            case "range":
                return np.asarray(t[: self.n] - t[self.n :])
            case "max":
                return t
        return np.asarray(t - t.mean())

    def _norm(self) -> float:
        """The share of the measure that theta stands for: its gauge in the domain of weight 1."""
        t = self.theta
        match self.term.measure:
            case "std":
                return float(np.linalg.norm(t - t.mean()) * math.sqrt(self.n))
            case "mad":
                return float(np.abs(t).max(initial=0.0) * self.n)
            case "max":
                return float(t.sum())
        return max(float(t[: self.n].sum()), float(t[self.n :].sum()))

    def prices(self) -> list[Floats]:
        price = np.zeros(len(self.term.capacity))
        price[self.term.bins] = self._w() * self.inverse
        return [price]

    def const(self) -> float:
        return -self._norm() * self.term.target

    def gradient(self, use: Floats) -> Floats:
        x = use[self.resources[0]][self.term.bins] * self.inverse
        match self.term.measure:
            case "range":
                return np.concatenate([x - x.mean(), x.mean() - x])
            case "max":
                full = self._norm() >= self.weight * (1 - 1e-9)
                return np.asarray(x - (x.mean() if full else self.term.target))
        up = x - x.mean()
        if self.term.target > 0:
            t = self.theta - self.theta.mean()
            norm = float(np.linalg.norm(t))
            if self.term.measure == "std":
                edge = self.term.target * math.sqrt(self.n)
                if norm > 0:
                    up = up - edge * t / norm
                elif float(np.linalg.norm(up)) <= edge:
                    up = np.zeros_like(up)
            elif self.theta.any():
                far = np.abs(self.theta) >= np.abs(self.theta).max() * (1 - 1e-12)
                up = up - np.where(far, np.sign(self.theta), 0.0) * self.term.target * self.n / far.sum()
        return np.asarray(up)

    def project(self, radius: float) -> None:
        limit = radius * self.weight
        t = self.theta
        match self.term.measure:
            case "std":
                t = t - t.mean()
                norm = float(np.linalg.norm(t)) * math.sqrt(self.n)
                self.theta = t * (limit / norm) if norm > limit else t
            case "mad":
                self.theta = np.clip(t, -limit / self.n, limit / self.n)
            case "max":
                self.theta = simplex(t, limit, exact=False)
            case "range":
                a, b = simplex(t[: self.n], limit, exact=False), simplex(t[self.n :], limit, exact=False)
                # equal sums, else the two do not cancel the mean
                low = min(a.sum(), b.sum())
                if low > 0:
                    a, b = a * (low / a.sum()), b * (low / b.sum())
                else:
                    a, b = a * 0.0, b * 0.0
                self.theta = np.concatenate([a, b])

    def gauge(self) -> float:
        return self._norm() / self.weight

    def aim(self, use: Floats) -> None:
        """The prices at which the measure of this use is attained."""
        x = use[self.resources[0]][self.term.bins] * self.inverse
        z = x - x.mean()
        match self.term.measure:
            case "std":
                norm = float(np.linalg.norm(z))
                self.theta = z / norm / math.sqrt(self.n) * self.weight if norm > 0 else z
            case "mad":
                self.theta = np.sign(z) / self.n * self.weight
            case "max":
                self.theta = np.where(x == x.max(), 1.0, 0.0)
                self.theta *= self.weight / self.theta.sum()
            case "range":
                top, low = (x == x.max()).astype(float), (x == x.min()).astype(float)
                self.theta = np.concatenate([top / top.sum(), low / low.sum()]) * self.weight


def simplex(t: Floats, total: float, exact: bool = True) -> Floats:
    """Nearest point with t >= 0 and sum(t) = total (at most `total` when not exact)."""
    t = np.asarray(t, dtype=np.float64)
    clipped = np.maximum(t, 0.0)
    if not exact and clipped.sum() <= total:
        return np.asarray(clipped)
    if not math.isfinite(total):
        return np.asarray(clipped)
    ordered = np.sort(t)[::-1]
    sums = np.cumsum(ordered) - total
    k = np.arange(1, len(t) + 1)
    positive = ordered - sums / k > 0
    last = int(np.flatnonzero(positive)[-1]) if positive.any() else 0
    return np.asarray(np.maximum(t - sums[last] / (last + 1), 0.0))


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
        self.blocks: list[_Block] = []
        self.at_once: list[tuple[_Hinge, Floats]] = []
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
            block = _Hinge([r], np.ones((1, n)), term.limit, np.full(n, np.inf), -1, 1.0)
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
                block = _Hinge([r], np.ones((1, n)), term.limit, np.ones(n), g, weight)
                self.blocks.append(block)
                if term.when == "at_once":
                    self.at_once.append((block, term.demand))
            case OverTarget():
                r = self._resource(term.demand)
                n = len(term.target)
                self.blocks.append(_Hinge([r], np.ones((1, n)), term.target, term.weight, g, weight))
            case FreeBalance():
                a, b = self._resource(term.demand_a), self._resource(term.demand_b)
                n = len(term.limit_a)
                edge = term.limit_b - term.ratio * term.limit_a
                coefs = np.stack([np.full(n, -term.ratio), np.ones(n)])
                self.blocks.append(_Hinge([a, b], coefs, edge, term.weight, g, weight))
            case Deviation():
                if len(term.bins):
                    self.blocks.append(_Spread(term, self._resource(term.demand), g, weight))
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
            self.blocks.append(_Hinge([r], np.ones((1, n)), np.zeros(n), per, g, weight))

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
            if isinstance(block, _Spread) and block.group == self.k:
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

    def _beyond(self, block: _Block, gradient: Floats, limit: float) -> Floats:
        """The gradient at prices 0, where a ceiling holds back all that costs less than it."""
        if isinstance(block, _Hinge):
            worth = float((np.maximum(gradient, 0.0) * block.top)[np.isfinite(block.top)].sum())
        elif isinstance(block, _Spread) and block.term.measure == "std":
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


def cheapest(price: Floats, fixed: Floats) -> Longs:
    """Bins that can be the cheapest of some item with demand >= 0, where that is quickly said.

    With two prices that differ a bin is out when another has both no dearer.
    """
    rows = [row for row in (*price, fixed) if np.ptp(row) > 0]
    n = price.shape[1]
    if len(rows) > 2:
        return np.arange(n)
    if not rows:
        return np.zeros(1, dtype=np.int64)
    if len(rows) == 1:
        return np.array([int(rows[0].argmin())])
    ranked = np.lexsort((rows[1], rows[0]))
    second = rows[1][ranked]
    before = np.concatenate([[np.inf], np.minimum.accumulate(second)[:-1]])
    return np.asarray(ranked[second < before], dtype=np.int64)


def knapsack(gain: Floats, weight: Floats, limit: float) -> tuple[Longs, float]:
    """Items of the most gain within a limit on weight, and an upper bound on the gain of any such choice."""
    if not len(gain):
        return np.empty(0, dtype=np.int64), 0.0
    free = weight <= 0
    if free.any():
        inner, worth = knapsack(gain[~free], weight[~free], limit)
        return np.concatenate([np.flatnonzero(free), np.flatnonzero(~free)[inner]]), worth + float(
            gain[free].sum()
        )
    ranked = np.argsort(-gain / weight, kind="stable")
    sums = np.cumsum(weight[ranked])
    room = limit + 1e-9 * max(1.0, abs(limit))
    n = int(np.searchsorted(sums, room, side="right"))
    worth = float(gain[ranked[:n]].sum())
    if n < len(ranked) and np.ptp(weight) > 0:
        rest = room - (sums[n - 1] if n else 0.0)
        worth += float(gain[ranked[n]] * max(0.0, rest) / weight[ranked[n]])
    return ranked[:n].astype(np.int64), worth


def analytic(lowered: Lowered, level: Level) -> float:
    """What needs no prices: pigeonholes and whole items per term, summed."""
    total = 0.0
    may_leave = lowered.start < 0
    where = reach(lowered) if any(isinstance(entry.term, Deviation) for entry in level.terms) else None
    for entry in level.terms:
        term = entry.term
        value = 0.0
        if isinstance(term, AtMost) and bool((term.domain >= 0).all()):
            here = np.unique(term.domain)
            sure = int((~may_leave[term.items]).sum())
            value = max(0.0, sure - float(term.limit[here].sum()))
        elif isinstance(term, AtLeast):
            reachable = len(np.unique(term.domain[term.domain >= 0]))
            value = max(0.0, term.at_least - min(reachable, len(term.items)))
        elif isinstance(term, BinsUsed):
            value = _fewest_bins(lowered, term)
        elif isinstance(term, Deviation) and where is not None:
            value = max(0.0, flattest(term, where) - term.target)
        total += entry.weight * value
    return total


def _fewest_bins(lowered: Lowered, term: BinsUsed) -> float:
    """Cheapest bins whose limits together hold the items that must be somewhere, per resource."""
    items = term.items[lowered.start[term.items] >= 0]
    best = 0.0
    usable = term.price > 0
    if len(items) and bool(usable.all()):
        best = float(term.price.min())
    for wall in lowered.walls:
        if not isinstance(wall.term, Capacity) or not np.isfinite(wall.term.limit).all():
            continue
        need = float(wall.term.demand[items].sum())
        limit, price = np.maximum(wall.term.limit, 0.0), term.price
        ratio = np.where(limit > 0, price / np.where(limit > 0, limit, 1.0), np.inf)
        cost = 0.0
        for b in np.argsort(ratio, kind="stable"):
            if need <= 0 or limit[b] <= 0:
                break
            part = min(1.0, need / limit[b])
            cost += part * float(price[b])
            need -= part * float(limit[b])
        best = max(best, cost)
    return best


def lattice(lowered: Lowered, level: Level) -> float:
    """The step in which a level's cost comes, 0 where it is continuous."""
    parts: list[Floats] = []
    for entry in level.terms:
        term, w = entry.term, entry.weight
        match term:
            case AtMost():
                values = np.append(term.limit, 1.0)
            case Allowed() | AtLeast() | Within() | GroupMoves():
                values = np.ones(1)
            case Together() | Near():
                values = np.array([1.0, term.allowance])
            case Unplaced():
                values = term.weight
            case BinsUsed():
                values = term.price
            case Penalty():
                values = term.penalty.ravel()
            case MoveLimit():
                values = np.append(term.weight, term.limit)
            case Capacity():
                values = np.append(term.demand, term.limit[np.isfinite(term.limit)])
            case MoveCost():
                if term.scale is not None and term.pair is not None:
                    if decimal_unit(term.scale) != decimal_unit(np.append(term.scale, 1.0)):
                        return 0.0
                    if not bool((term.scale == np.rint(term.scale)).all()):
                        return 0.0
                values = term.per_item if term.pair is None else np.append(term.per_item, term.pair.ravel())
            case _:
                return 0.0
        parts.append(w * np.asarray(values, dtype=np.float64))
    return decimal_unit(np.concatenate(parts)) if parts else 0.0


def round_up(bound: float, unit: float) -> float:
    """The least attainable cost that is no less than a bound."""
    if unit <= 0 or bound <= 0:
        return max(0.0, bound)
    slack = 1e-6 * max(1.0, min(1.0, bound / unit))
    return max(bound, math.ceil(bound / unit - slack) * unit) if bound / unit < 2.0**40 else bound


def level_bound(
    lowered: Lowered,
    k: int,
    limits: Floats,
    score: float,
    assign: Ints,
    stop: Stop,
    iterations: int = 300,
    done: float = math.inf,
) -> float:
    """A lower bound of level k's cost while the levels before it keep their ceilings `limits`."""
    floor = analytic(lowered, lowered.levels[k])
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
    hint = lowered.start if assign is None else assign
    for count, k in enumerate(still):
        if stop.remaining_s <= 0:
            break
        part = stop.followed_by(None if stop.time_s is None else stop.remaining_s / (len(still) - count))
        value = level_bound(lowered, k, limits, float(scores[k]), hint, part, max_steps)
        best[k] = max(best[k], value)
    return np.minimum(best, scores)
