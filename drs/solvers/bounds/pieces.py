"""The pieces of the dual: a term as a maximum over prices, projections, and the best choice at given prices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drs.terms import (
    Deviation,
)
from drs.terms.base import Floats

Longs = NDArray[np.int64]


class Block:
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


class Hinge(Block):
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


class Spread(Block):
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


def round_up(bound: float, unit: float) -> float:
    """The least attainable cost that is no less than a bound."""
    if unit <= 0 or bound <= 0:
        return max(0.0, bound)
    slack = 1e-6 * max(1.0, min(1.0, bound / unit))
    return max(bound, math.ceil(bound / unit - slack) * unit) if bound / unit < 2.0**40 else bound
