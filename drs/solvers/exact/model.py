"""A lowered problem as a linear integer model, one translation for CP-SAT, HiGHS and tests alike.

Columns are counts of interchangeable items in bins (a yes or no where an item is alone) and auxiliaries.
Interchangeable items (same bin today, same numbers in every term) share their columns, which removes the
symmetry between them. Every auxiliary knows how to compute itself from the columns before it, so an
assignment always becomes a complete solution of the model (`Placements.values`), and a hint is never partial.

The model is a relaxation by construction: rounding only ever widens it, so its optimum is a lower bound once
`Linear.error` is taken off. What it allows too much is caught by the terms' own `cost`.

The standard deviation is a second-order cone. It enters in disaggregated form, r_b >= z_b^2 / sigma and
sum r_b <= H sigma, each small cone cut by tangents r_b >= 2 a z_b - a^2 sigma (valid for every a), which
`Placements.cut` adds where a solution needs them (Vielma, Dunning, Huchette, Lubin: Extended formulations in
mixed integer conic quadratic programming, 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from drs.solvers.exact.linear_model import (
    FINE,
    ZERO,
    Columns,
    Define,
    Linear,
    LinearModel,
    decimal_unit,
    dyadic,
    round_up,
)
from drs.solvers.exact.symmetry import candidates, interchangeable
from drs.terms import (
    NOWHERE,
    Deviation,
    Lowered,
)
from drs.terms.base import Floats, Ints

GRID = 4096
"""Tangents touch at multiples of 1 / GRID of the standard deviation."""
TANGENTS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""First tangents of the small cones, in multiples of the standard deviation, on both sides."""


@dataclass
class _Cone:
    """The pieces of one standard deviation that tangents need."""

    term: Deviation
    live: Columns
    """Positions in `term.bins` of the bins whose use may change."""
    uses: Columns
    capacity: Floats
    mean: int
    """Column of the mean, or -2 where it is `mean_value` whatever happens."""
    mean_value: float
    rest: float
    """Root of the squared deviations of all other bins."""
    done: dict[int, set[int]]
    sigma: int = -1
    parts: Columns = field(default_factory=lambda: np.empty(0, dtype=np.int64))


class TooLargeError(Exception):
    """More columns than an exact model can use."""


class Placements:
    """The columns that say how many items of each group are in each bin, and what terms build upon them."""

    def __init__(self, lowered: Lowered, max_columns: int = 400_000) -> None:
        self.lowered = lowered
        self.linear = LinearModel()
        self._uses: dict[tuple[bytes, str], tuple[Columns, float, float]] = {}
        self._cones: list[_Cone] = []
        self.group, self.first = interchangeable(lowered)
        self.size = np.bincount(self.group, minlength=len(self.first))
        self.start = lowered.start[self.first]
        allowed = candidates(lowered, self.first)
        if int(allowed.sum()) > max_columns:
            raise TooLargeError
        n_groups = len(self.first)
        self.column = np.full((n_groups, lowered.n_bins + 1), -1, dtype=np.int64)
        for g in range(n_groups):
            bins = np.flatnonzero(allowed[g])
            nowhere = self.start[g] < 0
            size = int(self.size[g])
            for b in bins:
                self.column[g, b] = self.linear.integer_column(0, size)
            if nowhere:
                self.column[g, lowered.n_bins] = self.linear.integer_column(0, size)
            mine = self.column[g][self.column[g] >= 0]
            if len(mine) == 1:
                self.linear.lower[mine[0]] = size
            self.linear.row(Linear(mine, np.ones(len(mine))), size, size, 1.0)
        self.n_placement = len(self.linear.lower)

    def values(self, assign: Ints) -> Floats:
        """The complete solution of the model that an assignment stands for."""
        model = self.linear
        values = np.zeros(len(model.lower))
        bins = np.where(assign < 0, self.lowered.n_bins, assign)
        np.add.at(values, self.column[self.group, bins], 1.0)
        for j in range(self.n_placement, len(values)):
            define = model.define[j]
            if define is not None:
                values[j] = define(values)
        return values

    def fits(self, assign: Ints) -> bool:
        """Whether an assignment uses only columns that exist."""
        bins = np.where(assign < 0, self.lowered.n_bins, assign)
        return bool((self.column[self.group, bins] >= 0).all())

    def assignment(self, values: Sequence[float] | Floats) -> Ints:
        """The assignment that placement columns stand for; items of a group that stay come first."""
        counts = np.rint(np.asarray(values[: self.n_placement])).astype(np.int64)
        assign = np.full(self.lowered.n_items, NOWHERE, dtype=np.int32)
        order = np.argsort(self.group, kind="stable")
        begin = np.concatenate([[0], np.cumsum(self.size)])
        for g in range(len(self.first)):
            cols = self.column[g]
            bins = np.flatnonzero(cols >= 0)
            where = np.repeat(bins, counts[cols[bins]])
            where = np.where(where == self.lowered.n_bins, NOWHERE, where).astype(np.int32)
            assign[order[begin[g] : begin[g] + len(where)]] = where
        return assign

    # -- building blocks of the translations ------------------------------------------------------------

    def placed(self, weight: Floats, bins: Ints | Columns, skip_start: bool = False) -> Linear:
        """Sum of weight x count over the bins given; with `skip_start` only of items that moved there."""
        cols = self.column[:, bins]
        keep = cols >= 0
        if skip_start:
            keep &= np.asarray(bins)[None, :] != self.start[:, None]
        keep &= (weight[self.first] != 0)[:, None]
        coefs = np.broadcast_to(weight[self.first][:, None], cols.shape)
        return Linear(cols[keep], coefs[keep].astype(np.float64))

    def moved(self, weight: Floats) -> Linear:
        """Sum of the weights of the items that left their bin."""
        home = np.flatnonzero((self.start >= 0) & (weight[self.first] != 0))
        w = weight[self.first[home]]
        return Linear(self.column[home, self.start[home]], -w, float((w * self.size[home]).sum()))

    def use(self, demand: Floats, n_bins: int, when: str = "after") -> tuple[Columns, float, float]:
        """Columns of the use of every bin, how far they may be off, and their step."""
        key = (demand.tobytes(), when)
        if key in self._uses:
            return self._uses[key]
        unit, error = decimal_unit(demand), 0.0
        if unit and np.abs(demand).sum() / unit > 2.0**46:
            unit = 0.0
        if not unit:
            unit = dyadic(float(np.abs(demand).sum()) / max(1, n_bins) / FINE)
            error = float(np.abs(np.rint(demand / unit) * unit - demand).sum())
        rounded = np.rint(demand / unit) * unit
        cols = []
        for b in range(n_bins):
            expr = self.placed(rounded, np.array([b]), skip_start=when == "at_once")
            if when == "at_once":
                expr = expr.plus(float(rounded[self.lowered.start == b].sum()))
            low, high = self.linear.span(expr)
            col = self.linear.real_column(low, high, unit, expr.value, exact=True)
            self.linear.row(expr + Linear.of([col], [-1.0]), 0.0, 0.0, unit)
            cols.append(col)
        self._uses[key] = np.array(cols, dtype=np.int64), error, unit
        return self._uses[key]

    def count(self, items: Ints, bins: Ints | Columns) -> Linear:
        """How many of some items are in some bins."""
        member = np.zeros(self.lowered.n_items)
        member[items] = 1.0
        return self.placed(member, bins)

    def positive(self, expr: Linear, step: float, unit: float = 0.0, rounding: float = 0.0) -> Linear:
        """max(0, expr) to be minimised, as a new column (or nothing where it cannot be positive).

        `unit`: of which every part of `expr` is a multiple, its constant by no more than `rounding`.
        """
        low, high = self.linear.span(expr)
        if high <= 0:
            return ZERO
        if low >= 0:
            return expr
        col = self.linear.real_column(
            0.0,
            round_up(high, step) + step,
            step,
            lambda v: round_up(max(0.0, expr.value(v)), step),
            exact=unit > 0 and rounding == 0,
        )
        self.linear.row(Linear.of([col], [1.0]) + expr.times(-1.0), 0.0, math.inf, unit)
        return Linear.of([col], [1.0])

    def present(self, expr: Linear) -> Linear:
        """A yes or no that can be yes only where a count is at least 1."""
        if not len(expr.cols):
            return ZERO
        col = self.linear.integer_column(0, 1, lambda v: float(expr.value(v) > 0.5))
        self.linear.row(expr + Linear.of([col], [-1.0]), 0.0, math.inf, 1.0)
        return Linear.of([col], [1.0])

    def occupied(self, expr: Linear, most: int) -> Linear:
        """A yes or no that must be yes where a count of `most` at most is at least 1."""
        if not len(expr.cols):
            return ZERO
        col = self.linear.integer_column(0, 1, lambda v: float(expr.value(v) > 0.5))
        self.linear.row(Linear.of([col], [float(most)]) + expr.times(-1.0), 0.0, math.inf, 1.0)
        return Linear.of([col], [1.0])

    def add_cone(self, term: Deviation) -> Linear:
        """The standard deviation of the load as a column, with its first tangents."""
        uses, error, _ = self.use(term.demand, len(term.capacity))
        uses = uses[term.bins]
        capacity = term.capacity[term.bins]
        highest = max(self.linear.upper[u] / c for u, c in zip(uses, capacity, strict=True))
        step = dyadic(max(highest, 1e-12) / FINE)
        n = len(term.bins)
        mean, mean_value = -1, 0.0
        total = Linear(uses, 1.0 / (n * capacity))
        if np.ptp(capacity) == 0:
            inside = np.zeros(self.lowered.n_bins + 1, dtype=np.bool_)
            inside[term.bins] = True
            home = (self.column >= 0) & inside
            away = (self.column >= 0) & ~inside
            relevant = term.demand[self.first] != 0
            if not bool((home.any(axis=1) & away.any(axis=1) & relevant).any()):
                mine = home.any(axis=1)
                mean_value = float((term.demand[self.first] * self.size)[mine].sum() / capacity[0] / n)
                mean = -2
        if mean == -1:
            mean = self.linear.real_column(
                0.0, highest + step, step, lambda v: round_up(total.value(v), step)
            )

        # bins whose use is known count as one part, at the root of their squares
        known = np.array([self.linear.lower[u] == self.linear.upper[u] for u in uses])
        live = np.flatnonzero(~known) if mean == -2 else np.arange(n)
        rest = 0.0
        if len(live) < n:
            still = np.array([self.linear.lower[u] for u in uses[known]]) / capacity[known]
            rest = float(np.linalg.norm(still - mean_value))
        uses, capacity = uses[live], capacity[live]
        m = len(live) + (rest > 0)
        cone = _Cone(term, live, uses, capacity, mean, mean_value, rest, {b: set() for b in range(m)})

        def deviations(v: Floats) -> Floats:
            z = v[uses] / capacity - (v[mean] if mean >= 0 else mean_value)
            return np.append(z, rest) if rest > 0 else np.asarray(z)

        def sigma_value(v: Floats) -> float:
            return (math.ceil(math.sqrt(float((deviations(v) ** 2).sum() / n)) / step) + 3) * step

        cone.sigma = self.linear.real_column(0.0, highest + 8 * step, step, sigma_value)

        def part_value(b: int) -> Define:
            def value(v: Floats) -> float:
                z, sigma = float(deviations(v)[b]), float(v[cone.sigma])
                a = np.fromiter(cone.done[b], dtype=np.float64) / GRID
                best = float((2 * a * z - a * a * sigma).max(initial=0.0))
                return math.ceil(best / step) * step

            return value

        cone.parts = np.array(
            [self.linear.real_column(0.0, n * highest + 8 * n * step, step, part_value(b)) for b in range(m)],
            dtype=np.int64,
        )
        self.linear.row(
            Linear(cone.parts, np.ones(m)) + Linear.of([cone.sigma], [-float(n)]), -math.inf, n * 8 * step
        )
        self._cones.append(cone)
        for a in TANGENTS:
            for b in range(m):
                self._tangent(cone, b, round(GRID * a))
                if b < len(live):
                    self._tangent(cone, b, -round(GRID * a))
        slip = 16 * step + (error / float(term.capacity[term.bins].min()) if error else 0.0)
        return Linear.of([cone.sigma], [1.0], error=slip)

    def _tangent(self, cone: _Cone, b: int, p: int) -> bool:
        if p == 0 or p in cone.done[b]:
            return False
        cone.done[b].add(p)
        a = p / GRID
        cols, coefs, low = [int(cone.parts[b]), cone.sigma], [1.0, a * a], 0.0
        if b == len(cone.live):
            low = 2 * a * cone.rest
        else:
            cols.append(int(cone.uses[b]))
            coefs.append(-2 * a / float(cone.capacity[b]))
            if cone.mean >= 0:
                cols.append(cone.mean)
                coefs.append(2 * a)
            else:
                low = -2 * a * cone.mean_value
        slop = self.linear.step[cone.sigma]
        self.linear.row(Linear.of(cols, coefs), low - slop, math.inf)
        return True

    def cut(self, assign: Ints) -> int:
        """Add the tangents that make every standard deviation exact at an assignment; how many were new."""
        new = 0
        for cone in self._cones:
            x = cone.term.loads(assign)
            deviation = float(x.std())
            if deviation <= 0:
                continue
            z = (x - x.mean())[cone.live]
            if cone.rest > 0:
                z = np.append(z, cone.rest)
            for b, ratio in enumerate(z / deviation):
                p = round(GRID * float(ratio))
                new += sum(self._tangent(cone, b, q) for q in (p - 1024, p - 256, p, p + 256, p + 1024))
        return new
