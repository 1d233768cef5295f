"""A lowered problem as a linear integer model, one translation for CP-SAT, HiGHS and tests alike.

Columns are counts of interchangeable items in bins (a yes or no where an item is alone) and auxiliaries.
Interchangeable items (same bin today, same numbers in every term) share their columns, which removes the
symmetry between them. Every auxiliary knows how to compute itself from the columns before it, so an
assignment always becomes a complete solution of the model (`ExactModel.values`), and a hint is never partial.

The model is a relaxation by construction: rounding only ever widens it, so its optimum is a lower bound once
`Linear.error` is taken off. What it allows too much is caught by the terms' own `cost`.

The standard deviation is a second-order cone. It enters in disaggregated form, r_b >= z_b^2 / sigma and
sum r_b <= H sigma, each small cone cut by tangents r_b >= 2 a z_b - a^2 sigma (valid for every a), which
`ExactModel.cut` adds where a solution needs them (Vielma, Dunning, Huchette, Lubin: Extended formulations in
mixed integer conic quadratic programming, 2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from drs.terms import (
    NOWHERE,
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
from drs.terms.base import Bools, Floats, Ints, Level
from drs.terms.limits import usage

Columns = NDArray[np.int64]
Define = Callable[[Floats], float]

FINE = 2.0**30
"""Steps into which the mean use of a bin is cut when demands are no decimal numbers."""
GRID = 4096
"""Tangents touch at multiples of 1 / GRID of the standard deviation."""
TANGENTS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""First tangents of the small cones, in multiples of the standard deviation, on both sides."""


@dataclass(frozen=True)
class Linear:
    """const + coefs . columns, at least the true cost less `error` at every solution."""

    cols: Columns
    coefs: Floats
    const: float = 0.0
    error: float = 0.0

    @classmethod
    def of(
        cls, cols: Sequence[int], coefs: Sequence[float], const: float = 0.0, error: float = 0.0
    ) -> Linear:
        return cls(np.asarray(cols, dtype=np.int64), np.asarray(coefs, dtype=np.float64), const, error)

    def __add__(self, other: Linear) -> Linear:
        return Linear(
            np.concatenate([self.cols, other.cols]),
            np.concatenate([self.coefs, other.coefs]),
            self.const + other.const,
            self.error + other.error,
        )

    def times(self, factor: float) -> Linear:
        return Linear(self.cols, self.coefs * factor, self.const * factor, self.error * abs(factor))

    def plus(self, const: float) -> Linear:
        return Linear(self.cols, self.coefs, self.const + const, self.error)

    def merged(self) -> Linear:
        """The same with every column once."""
        cols, inverse = np.unique(self.cols, return_inverse=True)
        coefs = np.bincount(inverse, weights=self.coefs, minlength=len(cols))
        return Linear(cols.astype(np.int64), coefs.astype(np.float64), self.const, self.error)

    def value(self, values: Floats) -> float:
        return float(self.const + self.coefs @ values[self.cols]) if len(self.cols) else self.const


ZERO = Linear(np.empty(0, dtype=np.int64), np.empty(0))


@dataclass(frozen=True)
class Row:
    """low <= coefs . columns <= high. `unit`: coefs x steps are whole multiples of it (0: not known)."""

    cols: Columns
    coefs: Floats
    low: float
    high: float
    unit: float = 0.0


@dataclass
class LinearModel:
    """Columns with bounds and a step (an integer column has step 1), and rows."""

    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)
    integer: list[bool] = field(default_factory=list)
    rounding: list[float] = field(default_factory=list)
    """How far `define` may be above the least value that the rows allow."""
    define: list[Define | None] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def integer_column(self, low: float, high: float, define: Define | None = None) -> int:
        return self._column(low, high, 1.0, True, define)

    def real_column(self, low: float, high: float, step: float, define: Define, exact: bool = False) -> int:
        """A continuous column; CP-SAT sees multiples of `step`, and `define` is rounded up to one.

        `exact`: every value is a multiple anyway, so nothing is rounded.
        """
        col = self._column(low, high, step, False, define)
        self.rounding[col] = 0.0 if exact else 4 * step
        return col

    def _column(self, low: float, high: float, step: float, integer: bool, define: Define | None) -> int:
        self.lower.append(low)
        self.upper.append(high)
        self.step.append(step)
        self.integer.append(integer)
        self.rounding.append(0.0)
        self.define.append(define)
        return len(self.lower) - 1

    def row(self, expr: Linear, low: float, high: float, unit: float = 0.0) -> None:
        """low <= expr <= high, the constant of `expr` taken to the bounds."""
        self.rows.append(Row(expr.cols, expr.coefs, low - expr.const, high - expr.const, unit))

    def span(self, expr: Linear) -> tuple[float, float]:
        """The least and largest value of an expression by the columns' bounds."""
        if not len(expr.cols):
            return expr.const, expr.const
        low = np.array([self.lower[c] for c in expr.cols])
        high = np.array([self.upper[c] for c in expr.cols])
        a, b = expr.coefs * low, expr.coefs * high
        return expr.const + float(np.minimum(a, b).sum()), expr.const + float(np.maximum(a, b).sum())


def round_up(value: float, step: float) -> float:
    """The next multiple of a step, forgiving rounding noise below."""
    return math.ceil(value / step - 1e-6) * step


def decimal_unit(values: Floats) -> float:
    """The largest 1, 0.1, ... 1e-6 (times a common divisor) of which all values are whole multiples, or 0."""
    values = np.abs(values[(values != 0) & np.isfinite(values)])
    if not len(values):
        return 1.0
    if values.max() > 1e15:
        return 0.0
    for power in range(7):
        scaled = values * 10.0**power
        whole = np.rint(scaled)
        if whole.max() < 2.0**50 and bool((np.abs(scaled - whole) <= 1e-12 * np.maximum(whole, 1.0)).all()):
            return float(np.gcd.reduce(whole.astype(np.int64)) / 10.0**power)
    return 0.0


def common_unit(coefs: Floats) -> float:
    """A unit of which all coefficients are whole multiples, also where they are fractions of powers of two."""
    unit = decimal_unit(coefs)
    size = np.abs(coefs[coefs != 0])
    if unit or not len(size):
        return unit
    base = 2.0 ** math.floor(math.log2(float(size.min())))
    return decimal_unit(coefs / base) * base


def dyadic(value: float) -> float:
    """The largest power of two that is no more than a value."""
    return float(2.0 ** math.floor(math.log2(value)))


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


class ExactModel:
    """The model of one problem: `walls` are rows, `levels` are expressions to minimise or to bound."""

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
        for wall in lowered.walls:
            add_wall(wall.term, self)
        self._levels: dict[int, Linear] = {}

    def level(self, k: int) -> Linear:
        """The cost of a level as an expression (built once)."""
        if k not in self._levels:
            total = ZERO
            for entry in self.lowered.levels[k].terms:
                if entry.weight:
                    total = total + cost_of(entry.term, self).times(entry.weight)
            self._levels[k] = total.merged()
        return self._levels[k]

    def limit_level(self, k: int, ceiling: float) -> None:
        """Keep a level at or below a ceiling from now on."""
        expr = self.level(k)
        slop = sum(
            abs(c) * self.linear.rounding[j]
            for j, c in zip(expr.cols.tolist(), expr.coefs.tolist(), strict=True)
        )
        slop += expr.error + 1e-9 * max(1.0, abs(ceiling))
        self.linear.row(expr, -math.inf, ceiling + slop)

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


@dataclass(frozen=True)
class Seen:
    """What a term sees of an item: `values`, each of length n_items, and whether it is in each of `members`."""

    values: Sequence[NDArray[np.generic]] = ()
    members: Sequence[Ints] = ()


@singledispatch
def sees(term: Term) -> Seen:
    """What tells one item from another in a term. Raises TypeError for a term that is not known."""
    raise TypeError(f"no linear form of the term {type(term).__name__}")


@sees.register
def _(term: Allowed) -> Seen:
    return Seen([term.class_idx] if term.stay is None else [term.class_idx, term.stay])


@sees.register(Capacity)
@sees.register(OverTarget)
@sees.register(Deviation)
def _(term: Capacity | OverTarget | Deviation) -> Seen:
    return Seen([term.demand])


@sees.register
def _(term: FreeBalance) -> Seen:
    return Seen([term.demand_a, term.demand_b])


@sees.register(AtMost)
@sees.register(AtLeast)
@sees.register(Within)
@sees.register(Together)
@sees.register(BinsUsed)
def _(term: AtMost | AtLeast | Within | Together | BinsUsed) -> Seen:
    return Seen(members=[term.items])


@sees.register
def _(term: Near) -> Seen:
    return Seen(members=[term.items, term.needs])


@sees.register(MoveLimit)
@sees.register(Unplaced)
def _(term: MoveLimit | Unplaced) -> Seen:
    return Seen([term.weight])


@sees.register
def _(term: MoveCost) -> Seen:
    return Seen([term.per_item] if term.scale is None else [term.per_item, term.scale])


@sees.register
def _(term: GroupMoves) -> Seen:
    return Seen([term.group])


@sees.register
def _(term: Penalty) -> Seen:
    return Seen([term.class_idx])


def interchangeable(lowered: Lowered) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Groups of items that every term sees alike: i8[n_items] group of each, i8[n_groups] its first item."""
    features: list[NDArray[np.generic]] = [lowered.start]
    random = np.random.default_rng(0)
    member = np.zeros(lowered.n_items, dtype=np.uint64)

    terms: list[Term] = [wall.term for wall in lowered.walls]
    terms += [entry.term for level in lowered.levels for entry in level.terms]
    for term in terms:
        seen = sees(term)
        features += [each for each in seen.values if each is not lowered.start]
        for items in seen.members:
            member[np.unique(items)] += random.integers(1, 2**63, dtype=np.uint64)
    features.append(member)
    if not lowered.n_items:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    code = np.zeros(lowered.n_items, dtype=np.int64)
    for feature in features:
        _, inverse = np.unique(feature, return_inverse=True)
        _, code = np.unique(code * (int(inverse.max()) + 1) + inverse, return_inverse=True)
    _, first, group = np.unique(code, return_index=True, return_inverse=True)
    return group.astype(np.int64), first.astype(np.int64)


def candidates(lowered: Lowered, items: NDArray[np.int64]) -> Bools:
    """Bins that the walls leave open to each item alone, bool[n, n_bins]."""
    allowed = np.ones((len(items), lowered.n_bins), dtype=np.bool_)
    home = lowered.start[items]
    for wall in lowered.walls:
        term = wall.term
        if isinstance(term, Allowed):
            mask = term.mask[term.class_idx[items]]
            if term.stay is not None:
                stay = term.stay[items]
                mask = mask.copy()
                mask[stay >= 0, stay[stay >= 0]] = True
            allowed &= mask
        elif isinstance(term, Capacity):
            limit = np.where(
                np.isinf(term.limit), term.limit, term.limit + 1e-6 * np.maximum(1.0, term.limit)
            )
            if (term.demand >= 0).all():
                fits = term.demand[items][:, None] <= limit[None, :]
                fits[home >= 0, home[home >= 0]] = True
                allowed &= fits
    return allowed


# -- limits ----------------------------------------------------------------------------------------------


@singledispatch
def add_wall(term: Term, model: ExactModel) -> None:
    """Keep a limit in the model."""
    expr = cost_of(term, model)
    model.linear.row(expr, -math.inf, 1e-9 + expr.error)


@add_wall.register
def _(term: Allowed, model: ExactModel) -> None:
    return None  # already in the choice of columns


@add_wall.register
def _(term: Capacity, model: ExactModel) -> None:
    cols, error, unit = model.use(term.demand, len(term.limit), _when(term))
    today = np.rint(term.demand / unit) * unit
    used = usage(model.lowered.start, today, len(term.limit))
    for b, (col, limit) in enumerate(zip(cols, term.limit, strict=True)):
        if not math.isfinite(limit):
            continue
        slip = error + 1e-9 * max(1.0, abs(limit))
        high = math.floor((limit + slip) / unit) * unit
        model.linear.upper[col] = min(model.linear.upper[col], max(high, float(used[b])))


@add_wall.register
def _(term: AtMost, model: ExactModel) -> None:
    for d, limit in enumerate(term.limit):
        expr = model.count(term.items, np.flatnonzero(term.domain == d))
        if len(expr.cols) and limit < len(term.items):
            model.linear.row(expr, -math.inf, math.floor(limit + 1e-6), 1.0)


@add_wall.register
def _(term: MoveLimit, model: ExactModel) -> None:
    unit = decimal_unit(term.weight)
    limit = term.limit + 1e-9 * max(1.0, abs(term.limit))
    model.linear.row(model.moved(term.weight), -math.inf, limit, unit)


def _when(term: Capacity) -> str:
    return "at_once" if term.when == "at_once" else "after"


@singledispatch
def cost_of(term: Term, model: ExactModel) -> Linear:
    """The cost of a term as an expression to minimise."""
    raise TypeError(f"no linear form of the term {type(term).__name__}")


@cost_of.register
def _(term: Allowed, model: ExactModel) -> Linear:
    bad = ~term.mask[term.class_idx[model.first]]
    if term.stay is not None:
        stay = term.stay[model.first]
        bad[stay >= 0, stay[stay >= 0]] = False
    cols = model.column[:, :-1][bad]
    cols = cols[cols >= 0]
    return Linear(cols, np.ones(len(cols)))


@cost_of.register
def _(term: Capacity, model: ExactModel) -> Linear:
    return _over(model, term.demand, term.limit, np.ones(len(term.limit)), _when(term))


def _over(model: ExactModel, demand: Floats, limit: Floats, weight: Floats, when: str = "after") -> Linear:
    cols, error, unit = model.use(demand, len(limit), when)
    step, slip = fine_step(unit, limit)
    total = ZERO
    for col, edge, w in zip(cols, limit, weight, strict=True):
        if w and math.isfinite(edge):
            over = model.positive(Linear.of([col], [1.0], -float(edge)), step, step, slip)
            total = total + over.times(float(w))
    return Linear(total.cols, total.coefs, total.const, float(weight.sum()) * (error + slip))


def fine_step(unit: float, constants: Floats) -> tuple[float, float]:
    """A step for the excess over constants of what comes in `unit`s, and by how much it rounds up."""
    step = decimal_unit(np.append(constants, unit))
    if step >= unit / 2.0**20:
        return step, 0.0
    finite = np.abs(constants[np.isfinite(constants)])
    size = float(finite.mean()) if len(finite) else 0.0
    step = unit
    while step > size / FINE and step > unit / 2.0**24:
        step /= 2
    return step, step


@cost_of.register
def _(term: AtMost, model: ExactModel) -> Linear:
    total = ZERO
    step = decimal_unit(np.append(term.limit, 1.0)) or 1e-6
    for d, limit in enumerate(term.limit):
        expr = model.count(term.items, np.flatnonzero(term.domain == d))
        if limit < len(term.items):
            total = total + model.positive(expr.plus(-float(limit)), step, step if step > 1e-6 else 0.0)
    return Linear(total.cols, total.coefs, total.const, 2e-6 * len(term.limit) if step == 1e-6 else 0.0)


@cost_of.register
def _(term: AtLeast, model: ExactModel) -> Linear:
    total = ZERO
    for d in range(term.n_domains):
        total = total + model.present(model.count(term.items, np.flatnonzero(term.domain == d)))
    return model.positive(total.times(-1.0).plus(float(term.at_least)), 1.0, 1.0)


@cost_of.register
def _(term: Within, model: ExactModel) -> Linear:
    total = ZERO
    for d in range(term.n_domains):
        count = model.count(term.items, np.flatnonzero(term.domain == d))
        total = total + model.occupied(count, len(term.items))
    return model.positive(total.plus(-float(term.at_most)), 1.0, 1.0)


@cost_of.register
def _(term: Together, model: ExactModel) -> Linear:
    n = len(term.items)
    parts = [model.count(term.items, np.flatnonzero(term.domain == d)) for d in range(term.n_domains)]
    parts = [part for part in parts if len(part.cols)]
    if not parts:
        return ZERO
    total = sum(parts[1:], parts[0])

    def main(d: int) -> Define:
        def value(v: Floats) -> float:
            sizes = [part.value(v) for part in parts]
            return float(int(np.argmax(sizes)) == d)

        return value

    choose = [model.linear.integer_column(0, 1, main(d)) for d in range(len(parts))]
    model.linear.row(Linear(np.array(choose), np.ones(len(choose))), 1.0, 1.0, 1.0)
    whole = [part.value for part in parts]
    largest = model.linear.integer_column(0, n, lambda v: max(f(v) for f in whole))
    for part, yes in zip(parts, choose, strict=True):
        # largest <= part + n (1 - yes)
        expr = Linear.of([largest, yes], [1.0, float(n)], -float(n)) + part.times(-1.0)
        model.linear.row(expr, -math.inf, 0.0, 1.0)
    out = total + Linear.of([largest], [-1.0], -term.allowance)
    step = decimal_unit(np.array([term.allowance, 1.0])) or 1e-6
    return model.positive(out, step, step if step > 1e-6 else 0.0)


@cost_of.register
def _(term: Near, model: ExactModel) -> Linear:
    total = ZERO
    n = float(len(term.items))
    for d in range(term.n_domains):
        bins = np.flatnonzero(term.domain == d)
        have = model.count(term.items, bins)
        if not len(have.cols):
            continue
        yes = model.present(model.count(term.needs, bins))
        total = total + model.positive(have + yes.times(-n), 1.0, 1.0)
    step = decimal_unit(np.array([term.allowance, 1.0])) or 1e-6
    return model.positive(total.plus(-term.allowance), step, step if step > 1e-6 else 0.0)


@cost_of.register
def _(term: MoveLimit, model: ExactModel) -> Linear:
    weights = np.append(term.weight, term.limit)
    unit = decimal_unit(weights)
    step = unit or dyadic(max(float(np.abs(weights).max()), 1.0) / FINE)
    over = model.positive(model.moved(term.weight).plus(-term.limit), step, unit)
    return Linear(over.cols, over.coefs, over.const, 0.0 if unit else 2 * step)


# -- costs -----------------------------------------------------------------------------------------------


@cost_of.register
def _(term: OverTarget, model: ExactModel) -> Linear:
    return _over(model, term.demand, term.target, term.weight)


@cost_of.register
def _(term: Deviation, model: ExactModel) -> Linear:
    if not len(term.bins):
        return ZERO
    if term.measure == "std":
        raw = model.add_cone(term)
    else:
        raw = _spread(term, model)
    if term.target <= 0:
        return raw.plus(-term.target)
    step = model.linear.step[int(raw.cols[0])]
    over = model.positive(raw.plus(-term.target), step)
    return Linear(over.cols, over.coefs, over.const, raw.error + 2 * step)


def _spread(term: Deviation, model: ExactModel) -> Linear:
    """`mad`, `max` and `range` as one column."""
    uses, error, _ = model.use(term.demand, len(term.capacity))
    uses, capacity, n = uses[term.bins], term.capacity[term.bins], len(term.bins)
    linear = model.linear
    highest = max(linear.upper[u] / c for u, c in zip(uses, capacity, strict=True))
    step = dyadic(max(highest, 1e-12) / FINE)
    slip = error / float(capacity.min())

    def up(value: float) -> float:
        return math.ceil(value / step - 1e-9) * step

    def column(high: float, define: Callable[[Floats], float]) -> int:
        return linear.real_column(0.0, up(high) + 8 * step, step, lambda v: up(define(v)) + step)

    x = [Linear.of([int(u)], [1.0 / c]) for u, c in zip(uses, capacity, strict=True)]
    if term.measure == "mad":
        mean = Linear(uses, 1.0 / (n * capacity))
        value = column(2 * highest, lambda v: float(np.abs(v[uses] / capacity - mean.value(v)).mean()))
        value_expr = Linear.of([value], [1.0])
        # sum of the positive parts is half of the sum of absolute deviations
        over = []
        for expr in x:
            rise = (expr + mean.times(-1.0)).merged()
            col = linear.real_column(
                0.0, up(highest) + 8 * step, step, (lambda e: lambda v: up(max(0.0, e.value(v))))(rise)
            )
            linear.row(Linear.of([col], [1.0]) + rise.times(-1.0), -step, math.inf)
            over.append(col)
        half = Linear(np.array(over, dtype=np.int64), np.full(n, 2.0 / n))
        linear.row(value_expr + half.times(-1.0), -4 * step, math.inf)
        return Linear(value_expr.cols, value_expr.coefs, 0.0, 2 * slip + 10 * step)
    top = column(highest, lambda v: float((v[uses] / capacity).max()))
    for expr in x:
        linear.row(Linear.of([top], [1.0]) + expr.times(-1.0), -step, math.inf)
    if term.measure == "max":
        return Linear.of([top], [1.0], error=slip + 4 * step)
    low = linear.real_column(
        0.0, highest + step, step, lambda v: math.floor(float((v[uses] / capacity).min()) / step) * step
    )
    for expr in x:
        linear.row(expr + Linear.of([low], [-1.0]), -step, math.inf)
    width = column(highest, lambda v: float(np.ptp(v[uses] / capacity)) + 2 * step)
    linear.row(Linear.of([width, top, low], [1.0, -1.0, 1.0]), -4 * step, math.inf)
    return Linear.of([width], [1.0], error=2 * slip + 12 * step)


@cost_of.register
def _(term: FreeBalance, model: ExactModel) -> Linear:
    n = len(term.limit_a)
    use_a, error_a, unit_a = model.use(term.demand_a, n)
    use_b, error_b, unit_b = model.use(term.demand_b, n)
    consts = term.ratio * term.limit_a - term.limit_b
    shared = common_unit(np.array([unit_a * term.ratio, unit_b]))
    step, rounding = fine_step(shared or unit_b, consts)
    total = ZERO
    slip = 0.0
    for b in range(n):
        w = float(term.weight[b])
        if not w:
            continue
        expr = Linear.of([int(use_a[b]), int(use_b[b])], [-float(term.ratio), 1.0], float(consts[b]))
        total = total + model.positive(expr, step, step if shared else 0.0, rounding).times(w)
        slip += w * (abs(term.ratio) * error_a + error_b + rounding + (0.0 if shared else step))
    return Linear(total.cols, total.coefs, total.const, slip)


@cost_of.register
def _(term: MoveCost, model: ExactModel) -> Linear:
    n_bins = model.lowered.n_bins
    home = np.flatnonzero(model.start >= 0)
    price = np.broadcast_to(term.per_item[model.first[home]][:, None], (len(home), n_bins)).copy()
    if term.pair is not None and term.bin_class is not None:
        pair = term.pair[term.bin_class[model.start[home]]][:, term.bin_class]
        price += pair if term.scale is None else pair * term.scale[model.first[home]][:, None]
    price[np.arange(len(home)), model.start[home]] = 0.0
    cols = model.column[home, :n_bins]
    keep = (cols >= 0) & (price != 0)
    return Linear(cols[keep], price[keep])


@cost_of.register
def _(term: GroupMoves, model: ExactModel) -> Linear:
    parts = []
    for g in range(term.n_groups):
        parts.append(model.moved((term.group == g).astype(np.float64)))
    parts = [part for part in parts if len(part.cols)]
    if not parts:
        return ZERO
    most = model.linear.integer_column(
        0, float(np.bincount(term.group[term.group >= 0]).max()), lambda v: max(p.value(v) for p in parts)
    )
    for part in parts:
        model.linear.row(Linear.of([most], [1.0]) + part.times(-1.0), 0.0, math.inf, 1.0)
    return Linear.of([most], [1.0])


@cost_of.register
def _(term: Penalty, model: ExactModel) -> Linear:
    price = term.penalty[term.class_idx[model.first]]
    cols = model.column[:, :-1]
    keep = (cols >= 0) & (price != 0)
    return Linear(cols[keep], price[keep])


@cost_of.register
def _(term: BinsUsed, model: ExactModel) -> Linear:
    counts = np.zeros(model.lowered.n_items, dtype=np.bool_)
    counts[term.items] = True
    groups = np.flatnonzero(counts[model.first])
    total = ZERO
    for b, price in enumerate(term.price):
        mine = groups[model.column[groups, b] >= 0]
        if not len(mine) or not price:
            continue
        cols = model.column[mine, b]
        some = Linear(cols, np.ones(len(cols)))
        used = model.linear.integer_column(0, 1, (lambda e: lambda v: float(e.value(v) > 0.5))(some))
        for g, col in zip(mine, cols, strict=True):
            model.linear.row(Linear.of([used, int(col)], [float(model.size[g]), -1.0]), 0.0, math.inf, 1.0)
        total = total + Linear.of([used], [float(price)])
    return total


@cost_of.register
def _(term: Unplaced, model: ExactModel) -> Linear:
    cols = model.column[:, -1]
    keep = (cols >= 0) & (term.weight[model.first] != 0)
    return Linear(cols[keep], term.weight[model.first][keep])


def level_has(level: Level, kind: type[Term]) -> bool:
    """Whether a level holds a term of some class."""
    return any(isinstance(entry.term, kind) for entry in level.terms)
