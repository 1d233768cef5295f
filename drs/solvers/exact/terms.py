"""The linear form of each term: a row where it is a limit, an expression to minimise where it is a cost.

A term without one raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch

import numpy as np

from drs.solvers.exact.linear_model import (
    FINE,
    ZERO,
    Define,
    Linear,
    common_unit,
    decimal_unit,
    dyadic,
)
from drs.solvers.exact.model import Placements
from drs.terms import (
    Allowed,
    AtLeast,
    AtMost,
    BinsUsed,
    Capacity,
    Deviation,
    FreeBalance,
    GroupMoves,
    MoveCost,
    MoveLimit,
    Near,
    OverTarget,
    Penalty,
    Slots,
    Term,
    Together,
    Unplaced,
    Within,
)
from drs.terms.base import Floats, Level
from drs.terms.costs import SLOT_ROUNDING
from drs.terms.limits import usage

# -- limits ----------------------------------------------------------------------------------------------


@singledispatch
def add_wall(term: Term, model: Placements) -> None:
    """Keep a limit in the model."""
    expr = cost_of(term, model)
    model.linear.row(expr, -math.inf, 1e-9 + expr.error)


@add_wall.register
def _(term: Allowed, model: Placements) -> None:
    return None  # already in the choice of columns


@add_wall.register
def _(term: Capacity, model: Placements) -> None:
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
def _(term: AtMost, model: Placements) -> None:
    for d, limit in enumerate(term.limit):
        expr = model.count(term.items, np.flatnonzero(term.domain == d))
        if len(expr.cols) and limit < len(term.items):
            model.linear.row(expr, -math.inf, math.floor(limit + 1e-6), 1.0)


@add_wall.register
def _(term: MoveLimit, model: Placements) -> None:
    unit = decimal_unit(term.weight)
    limit = term.limit + 1e-9 * max(1.0, abs(term.limit))
    model.linear.row(model.moved(term.weight), -math.inf, limit, unit)


def _when(term: Capacity) -> str:
    return "at_once" if term.when == "at_once" else "after"


@singledispatch
def cost_of(term: Term, model: Placements) -> Linear:
    """The cost of a term as an expression to minimise."""
    raise TypeError(f"no linear form of the term {type(term).__name__}")


@cost_of.register
def _(term: Allowed, model: Placements) -> Linear:
    bad = ~term.mask[term.class_idx[model.first]]
    if term.stay is not None:
        stay = term.stay[model.first]
        bad[stay >= 0, stay[stay >= 0]] = False
    cols = model.column[:, :-1][bad]
    cols = cols[cols >= 0]
    return Linear(cols, np.ones(len(cols)))


@cost_of.register
def _(term: Capacity, model: Placements) -> Linear:
    return _over(model, term.demand, term.limit, np.ones(len(term.limit)), _when(term))


def _over(model: Placements, demand: Floats, limit: Floats, weight: Floats, when: str = "after") -> Linear:
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
def _(term: AtMost, model: Placements) -> Linear:
    total = ZERO
    step = decimal_unit(np.append(term.limit, 1.0)) or 1e-6
    for d, limit in enumerate(term.limit):
        expr = model.count(term.items, np.flatnonzero(term.domain == d))
        if limit < len(term.items):
            total = total + model.positive(expr.plus(-float(limit)), step, step if step > 1e-6 else 0.0)
    return Linear(total.cols, total.coefs, total.const, 2e-6 * len(term.limit) if step == 1e-6 else 0.0)


@cost_of.register
def _(term: AtLeast, model: Placements) -> Linear:
    total = ZERO
    for d in range(term.n_domains):
        total = total + model.present(model.count(term.items, np.flatnonzero(term.domain == d)))
    return model.positive(total.times(-1.0).plus(float(term.at_least)), 1.0, 1.0)


@cost_of.register
def _(term: Within, model: Placements) -> Linear:
    total = ZERO
    for d in range(term.n_domains):
        count = model.count(term.items, np.flatnonzero(term.domain == d))
        total = total + model.occupied(count, len(term.items))
    return model.positive(total.plus(-float(term.at_most)), 1.0, 1.0)


@cost_of.register
def _(term: Together, model: Placements) -> Linear:
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
def _(term: Near, model: Placements) -> Linear:
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
def _(term: MoveLimit, model: Placements) -> Linear:
    weights = np.append(term.weight, term.limit)
    unit = decimal_unit(weights)
    step = unit or dyadic(max(float(np.abs(weights).max()), 1.0) / FINE)
    over = model.positive(model.moved(term.weight).plus(-term.limit), step, unit)
    return Linear(over.cols, over.coefs, over.const, 0.0 if unit else 2 * step)


# -- costs -----------------------------------------------------------------------------------------------


@cost_of.register
def _(term: OverTarget, model: Placements) -> Linear:
    return _over(model, term.demand, term.target, term.weight)


@cost_of.register
def _(term: Deviation, model: Placements) -> Linear:
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


def _spread(term: Deviation, model: Placements) -> Linear:
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
def _(term: FreeBalance, model: Placements) -> Linear:
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
def _(term: Slots, model: Placements) -> Linear:
    n = len(term.most)
    parts = [model.use(demand, n) for demand in term.demands]
    cols, coefs = [], []
    for b in np.flatnonzero(term.most > 0).tolist():
        uses = [int(use[b]) for use, _, _ in parts]
        limits = term.limits[:, b] + [
            error + SLOT_ROUNDING * size for (_, error, _), size in zip(parts, term.sizes, strict=True)
        ]

        def free(v: Floats, uses: list[int] = uses, limits: Floats = limits, b: int = b) -> float:
            fits = np.floor((limits - v[uses]) / term.sizes)
            return float(min(max(0.0, fits.min()), term.most[b]))

        col = model.linear.integer_column(0, float(term.most[b]), free)
        cols.append(col)
        for use, limit, size in zip(uses, limits.tolist(), term.sizes.tolist(), strict=True):
            if not math.isfinite(limit):
                continue
            # A bin that is over the limit has no free slot: the row must leave it alone.
            over = max(0.0, model.linear.span(Linear.of([use], [1.0]))[1] - limit)
            expr = Linear.of([use, col], [1.0, size])
            if over > 0.0:
                some = model.linear.integer_column(0, 1, _is_any(col))
                model.linear.row(Linear.of([col, some], [1.0, -float(term.most[b])]), -math.inf, 0.0, 1.0)
                expr, limit = expr + Linear.of([some], [over]), limit + over
            model.linear.row(expr, -math.inf, limit)
        coefs.append(-1.0)
    return Linear(np.array(cols, dtype=np.int64), np.array(coefs), float(term.most.sum()))


def _is_any(col: int) -> Define:
    """1 where a column of whole numbers is not 0."""
    return lambda v: float(v[col] > 0.5)


@cost_of.register
def _(term: MoveCost, model: Placements) -> Linear:
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
def _(term: GroupMoves, model: Placements) -> Linear:
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
def _(term: Penalty, model: Placements) -> Linear:
    price = term.penalty[term.class_idx[model.first]]
    cols = model.column[:, :-1]
    keep = (cols >= 0) & (price != 0)
    return Linear(cols[keep], price[keep])


@cost_of.register
def _(term: BinsUsed, model: Placements) -> Linear:
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
def _(term: Unplaced, model: Placements) -> Linear:
    cols = model.column[:, -1]
    keep = (cols >= 0) & (term.weight[model.first] != 0)
    return Linear(cols[keep], term.weight[model.first][keep])


def level_has(level: Level, kind: type[Term]) -> bool:
    """Whether a level holds a term of some class."""
    return any(isinstance(entry.term, kind) for entry in level.terms)
