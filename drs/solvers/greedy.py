"""The published DRS algorithm: hill climbing on the cluster's imbalance, one best move at a time.

Gulati, Holler, Ji, Shanmuganathan, Waldspurger, Zhu: VMware Distributed Resource Management: Design,
Implementation, and Lessons Learned (VMware Technical Journal 1, 2012): mandatory moves first (rules, hosts
over capacity), then repeatedly the move, of all of a VM to a compatible host, that lowers the standard
deviation of the hosts' normalised load most, as long as it passes *minimum goodness* and *cost-benefit*,
until the target or the limit on moves is reached.

Here each level of the problem is climbed in turn without worsening the levels before it. Plain numpy: what a
move does to every term is one array over items x bins; the term's own law has the last word on each move.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from drs.solvers import levels as order
from drs.solvers.base import Answer
from drs.solvers.bounds import lower_bounds
from drs.stop import Progress, Run
from drs.terms import (
    Allowed,
    AtMost,
    BinsUsed,
    Capacity,
    Deviation,
    FreeBalance,
    GroupMoves,
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
from drs.terms.limits import counts, usage

Index = NDArray[np.intp]

MIN_GOODNESS_RATIO = 0.002
"""A balancing move that lowers its level by less than this share of the level is not taken."""
MAX_PAIRS = 3_000_000
"""So many item x bin pairs are looked at in one step; beyond, items of the most loaded bins come first."""
BOUND_STEPS = 30
"""Steps of the bound at the end."""
TRIES = 200
"""Candidates whose estimate the law denies before a step gives up."""


class _State:
    """An assignment with the sums that deltas need, kept up to date."""

    def __init__(self, lowered: Lowered, assign: Ints) -> None:
        self.lowered = lowered
        self.start = lowered.start
        self.assign = assign.copy()
        self._use: dict[int, Floats] = {}
        self._rows: dict[int, tuple[Index, Floats]] = {}

    def use(self, demand: Floats) -> Floats:
        key = id(demand)
        if key not in self._use:
            self._use[key] = usage(self.assign, demand, self.lowered.n_bins)
        return self._use[key]

    def move(self, item: int, bin_: int) -> None:
        self.assign[item] = bin_
        self._use.clear()
        self._rows = {key: value for key, value in self._rows.items() if item not in value[0]}


def _place(delta: Floats, home: Ints, before: Floats) -> Floats:
    """Add what leaving does, and make staying 0."""
    delta = delta + before[:, None]
    rows = np.flatnonzero(home >= 0)
    delta[rows, home[rows]] = 0.0
    return delta


def _at_home(values: Floats, home: Ints) -> Floats:
    """Row-wise value at today's bin, 0 for none."""
    rows = np.flatnonzero(home >= 0)
    out = np.zeros(len(home))
    out[rows] = values[rows, home[rows]] if values.ndim == 2 else values[home[rows]]
    return out


@singledispatch
def delta(term: Term, state: _State, items: Index) -> Floats:
    """How a term's cost changes when an item goes to a bin, f8[len(items), n_bins] (0 for staying)."""
    return _by_law(term, state, items)


def _members(term: Term) -> Index | None:
    found = [np.asarray(getattr(term, name)) for name in ("items", "needs") if hasattr(term, name)]
    return np.unique(np.concatenate(found)).astype(np.intp) if found else None


def _by_law(term: Term, state: _State, items: Index) -> Floats:
    """The deltas of a term of few items, by its own cost; kept until one of them moves."""
    out = np.zeros((len(items), state.lowered.n_bins))
    members = _members(term)
    if members is None:
        members = np.arange(state.lowered.n_items, dtype=np.intp)
    if id(term) not in state._rows:
        rows = np.zeros((len(members), state.lowered.n_bins))
        now = term.cost(state.assign, state.start)
        domain = getattr(term, "domain", np.arange(state.lowered.n_bins))
        _, first, inverse = np.unique(domain, return_index=True, return_inverse=True)
        trial = state.assign.copy()
        for k, item in enumerate(members):
            home = trial[item]
            for d, b in enumerate(first):
                trial[item] = b
                rows[k, inverse == d] = term.cost(trial, state.start) - now
            trial[item] = home
        state._rows[id(term)] = members, rows
    members, rows = state._rows[id(term)]
    where = np.full(state.lowered.n_items, -1)
    where[members] = np.arange(len(members))
    at = where[items]
    out[at >= 0] = rows[at[at >= 0]]
    return out


def _excess(
    state: _State,
    items: Index,
    use: Floats,
    demand: Floats,
    limit: Floats,
    weight: Floats,
    once: bool = False,
) -> Floats:
    d = demand[items]
    home = state.assign[items]
    now = weight * np.maximum(0.0, use - limit)
    arrive = weight * np.maximum(0.0, use[None, :] + d[:, None] - limit) - now
    safe = np.maximum(home, 0)
    leave = weight[safe] * np.maximum(0.0, use[safe] - d - limit[safe]) - now[safe]
    leave[home < 0] = 0.0
    if once:
        origin = state.start[items]
        leave[home == origin] = 0.0
        rows = np.flatnonzero(origin >= 0)
        arrive[rows, origin[rows]] = 0.0
    return _place(arrive, home, leave)


@delta.register
def _(term: Capacity, state: _State, items: Index) -> Floats:
    once = term.when == "at_once"
    use = term.use(state.assign, state.start) if once else state.use(term.demand)
    return _excess(state, items, use, term.demand, term.limit, np.ones(len(term.limit)), once)


@delta.register
def _(term: OverTarget, state: _State, items: Index) -> Floats:
    return _excess(state, items, state.use(term.demand), term.demand, term.target, term.weight)


@delta.register
def _(term: FreeBalance, state: _State, items: Index) -> Floats:
    use_a, use_b = state.use(term.demand_a), state.use(term.demand_b)

    def cost(a: Floats, b: Floats, at: Ints | slice) -> Floats:
        free = term.ratio * (term.limit_a[at] - a) - (term.limit_b[at] - b)
        return np.asarray(term.weight[at] * np.maximum(0.0, free))

    now = cost(use_a, use_b, slice(None))
    da, db = term.demand_a[items], term.demand_b[items]
    home = state.assign[items]
    arrive = cost(use_a[None, :] + da[:, None], use_b[None, :] + db[:, None], slice(None)) - now
    safe = np.maximum(home, 0)
    leave = cost(use_a[safe] - da, use_b[safe] - db, safe) - now[safe]
    leave[home < 0] = 0.0
    return _place(arrive, home, leave)


@delta.register
def _(term: Slots, state: _State, items: Index) -> Floats:
    uses = [state.use(demand) for demand in term.demands]

    def free(extra: Floats, at: Ints | slice) -> Floats:
        """Free slots of the bins `at` with so much more of each resource, f8[n_resources, ...]."""
        fits = term.most[at]
        for use, limit, size, more in zip(uses, term.limits, term.sizes, extra, strict=True):
            fits = np.minimum(fits, np.floor((limit[at] - use[at] - more) / size + SLOT_ROUNDING))
        return np.asarray(np.maximum(0.0, fits))

    d = np.array([demand[items] for demand in term.demands]).reshape(len(term.sizes), len(items))
    now = free(np.zeros(len(term.sizes)), slice(None))
    home = state.assign[items]
    arrive = now[None, :] - free(d[:, :, None], slice(None))
    safe = np.maximum(home, 0)
    leave = now[safe] - free(-d, safe)
    leave[home < 0] = 0.0
    return _place(arrive, home, leave)


@delta.register
def _(term: Deviation, state: _State, items: Index) -> Floats:
    n_bins, n = state.lowered.n_bins, len(term.bins)
    inverse = np.zeros(n_bins)
    inverse[term.bins] = 1.0 / term.capacity[term.bins]
    x = state.use(term.demand) * inverse
    home = state.assign[items]
    safe = np.maximum(home, 0)
    up = term.demand[items][:, None] * inverse[None, :]
    down = np.where(home >= 0, term.demand[items] * inverse[safe], 0.0)
    now = term.cost(state.assign, state.start)
    inside = x[term.bins]
    if term.measure in ("std", "mad"):
        mean = float(inside.mean())
        z = np.where(inverse > 0, x - mean, 0.0)
        if term.measure == "std":
            square = float((z * z).sum())
            s1 = up - down[:, None]
            s2 = square + up * (2 * z[None, :] + up) + (down * (down - 2 * z[safe]))[:, None]
            value = np.sqrt(np.maximum(0.0, s2 / n - (s1 / n) ** 2))
        else:  # as if the mean stayed; the law corrects
            total = float(np.abs(z).sum())
            value = (np.abs(z[None, :] + up) - np.abs(z)[None, :]) + total
            value = (value + (np.abs(z[safe] - down) - np.abs(z[safe]))[:, None]) / n
    else:
        value = _extreme(x, inverse > 0, home, safe, up, down, highest=True)
        if term.measure == "range":
            value = value - _extreme(x, inverse > 0, home, safe, up, down, highest=False)
    return _place(np.maximum(0.0, value - term.target) - now, home, np.zeros(len(items)))


def _extreme(
    x: Floats, inside: NDArray[np.bool_], home: Ints, safe: Ints, up: Floats, down: Floats, highest: bool
) -> Floats:
    """Largest (or smallest) load after each move, from the three most extreme bins."""
    sign = 1.0 if highest else -1.0
    y = np.where(inside, sign * x, -np.inf)
    top = np.argsort(-y, kind="stable")[:3]
    bins = np.arange(len(x))
    rest = np.full(up.shape, -np.inf)
    for b in top[::-1]:
        other = (bins[None, :] != b) & (home != b)[:, None]
        rest = np.where(other, y[b], rest)
    arrive = np.where(inside[None, :], y[None, :] + sign * up, -np.inf)
    leave = np.where((home >= 0) & inside[safe], y[safe] - sign * down, -np.inf)
    return np.asarray(sign * np.maximum(np.maximum(rest, arrive), leave[:, None]))


def static(term: Term, lowered: Lowered, items: Index) -> Floats | None:
    """Cost of an item in a bin whatever the others do, f8[len(items), n_bins], or None."""
    match term:
        case Allowed():
            bad = ~term.mask[term.class_idx[items]]
            if term.stay is not None:
                rows = np.flatnonzero(term.stay[items] >= 0)
                bad[rows, term.stay[items][rows]] = False
            return bad.astype(np.float64)
        case Penalty():
            return np.asarray(term.penalty[term.class_idx[items]])
        case MoveCost():
            start = lowered.start[items]
            price = np.broadcast_to(term.per_item[items][:, None], (len(items), lowered.n_bins)).copy()
            if term.pair is not None and term.bin_class is not None:
                pair = term.pair[term.bin_class[np.maximum(start, 0)]][:, term.bin_class]
                price += pair if term.scale is None else pair * term.scale[items][:, None]
            price[start < 0] = 0.0
            rows = np.flatnonzero(start >= 0)
            price[rows, start[rows]] = 0.0
            return price
        case Unplaced():
            return np.zeros((len(items), lowered.n_bins))
    return None


@delta.register(Allowed)
@delta.register(Penalty)
@delta.register(MoveCost)
@delta.register(Unplaced)
def _fixed(term: Term, state: _State, items: Index) -> Floats:
    price = static(term, state.lowered, items)
    assert price is not None
    home = state.assign[items]
    before = _at_home(price, home)
    if isinstance(term, Unplaced):
        before = np.where(home < 0, term.weight[items], before)
    return _place(price, home, -before)


def _leaving(state: _State, items: Index) -> NDArray[np.int64]:
    """Change in "has left its bin of today" when an item goes to a bin."""
    start, home = state.start[items], state.assign[items]
    after = (np.arange(state.lowered.n_bins)[None, :] != start[:, None]) & (start >= 0)[:, None]
    now = (home != start) & (start >= 0)
    return np.asarray(after.astype(np.int64) - now[:, None].astype(np.int64))


@delta.register
def _(term: MoveLimit, state: _State, items: Index) -> Floats:
    moved = (state.assign != state.start) & (state.start >= 0)
    total = float(term.weight[moved].sum())
    after = total + _leaving(state, items) * term.weight[items][:, None]
    return np.asarray(np.maximum(0.0, after - term.limit) - max(0.0, total - term.limit))


@delta.register
def _(term: GroupMoves, state: _State, items: Index) -> Floats:
    group = term.group[items]
    moved = term.group[(state.assign != state.start) & (state.start >= 0) & (term.group >= 0)]
    n = np.bincount(moved, minlength=term.n_groups).astype(np.float64)
    top = np.sort(n)[::-1]
    first = float(top[0]) if len(top) else 0.0
    second = float(top[1]) if len(top) > 1 else 0.0
    mine = n[np.maximum(group, 0)]
    others = np.where((mine == first) & ((n == first).sum() == 1), second, first)
    after = np.maximum(others[:, None], mine[:, None] + _leaving(state, items))
    out = after - first
    out[group < 0] = 0.0
    return np.asarray(out)


@delta.register
def _(term: AtMost, state: _State, items: Index) -> Floats:
    out = np.zeros((len(items), state.lowered.n_bins))
    member = np.zeros(state.lowered.n_items, dtype=np.bool_)
    member[term.items] = True
    rows = np.flatnonzero(member[items])
    if not len(rows):
        return out
    n = counts(state.assign, term.items, term.domain, len(term.limit)).astype(np.float64)
    now = np.maximum(0.0, n - term.limit)
    arrive = np.append(np.maximum(0.0, n + 1 - term.limit) - now, 0.0)[term.domain]
    leave = np.append(np.maximum(0.0, n - 1 - term.limit) - now, 0.0)
    home = state.assign[items[rows]]
    at = np.where(home >= 0, term.domain[np.maximum(home, 0)], -1)
    change = arrive[None, :] + leave[at][:, None]
    change[(at[:, None] == term.domain[None, :])] = 0.0
    out[rows] = change
    return out


@delta.register
def _(term: BinsUsed, state: _State, items: Index) -> Floats:
    member = np.zeros(state.lowered.n_items, dtype=np.bool_)
    member[term.items] = True
    bins = state.assign[term.items]
    n = np.bincount(bins[bins >= 0], minlength=len(term.price))
    home = state.assign[items]
    arrive = np.where(n == 0, term.price, 0.0)
    leave = -_at_home(np.where(n == 1, term.price, 0.0), home)
    out = _place(np.broadcast_to(arrive, (len(items), len(arrive))).copy(), home, leave)
    out[~member[items]] = 0.0
    return out


def level_delta(lowered: Lowered, k: int, state: _State, items: Index) -> Floats:
    """Change of a level's cost, f8[len(items), n_bins]."""
    total = np.zeros((len(items), lowered.n_bins))
    for entry in lowered.levels[k].terms:
        if entry.weight:
            total += entry.weight * delta(entry.term, state, items)
    return total


def open_pairs(lowered: Lowered, state: _State, items: Index) -> NDArray[np.bool_]:
    """Moves that cross no wall, bool[len(items), n_bins]."""
    fine = np.ones((len(items), lowered.n_bins), dtype=np.bool_)
    for wall in lowered.walls:
        fine &= delta(wall.term, state, items) <= 1e-9
    return fine


def candidates(lowered: Lowered, k: int, state: _State) -> Index:
    """The items looked at in one step: all, or those of the most loaded bins and the misplaced ones."""
    most = max(1, MAX_PAIRS // max(1, lowered.n_bins))
    if lowered.n_items <= most:
        return np.arange(lowered.n_items, dtype=np.intp)
    load = np.zeros(lowered.n_bins)
    urgent = state.assign < 0
    for entry in lowered.levels[k].terms:
        term = entry.term
        if isinstance(term, Deviation):
            load[term.bins] += state.use(term.demand)[term.bins] / term.capacity[term.bins]
        elif isinstance(term, OverTarget):
            load += state.use(term.demand) / np.maximum(term.target, 1e-9)
        elif isinstance(term, Capacity):
            over = state.use(term.demand) > term.limit
            load += np.where(over, 1e3, 0.0)
        elif isinstance(term, Allowed):
            price = ~term.mask[term.class_idx, np.maximum(state.assign, 0)]
            urgent |= price & (state.assign >= 0)
        elif (members := _members(term)) is not None and term.cost(state.assign, state.start) > 0:
            urgent[members] = True
    rank = np.where(state.assign >= 0, -load[np.maximum(state.assign, 0)], 0.0)
    rank[urgent] = -np.inf
    return np.sort(np.argsort(rank, kind="stable")[:most]).astype(np.intp)


def solve(lowered: Lowered, start: Ints, run: Run) -> Answer:
    """Climb level after level; see `drs.solvers.base.Solver`. One iteration is one move."""
    stop = run.stop
    state = _State(lowered, np.asarray(start, dtype=np.int32))
    today = lowered.scores(lowered.start)
    scores = lowered.scores(state.assign)
    limits = np.full(len(lowered.levels), np.inf)
    n_moves = 0
    for k, level in enumerate(lowered.levels):
        before, before_scores = state.assign.copy(), scores.copy()
        balancing = any(isinstance(entry.term, Deviation) for entry in level.terms)
        while scores[k] > order.close(float(scores[k])) and not stop.reached(n_moves):
            least = max(order.close(float(scores[k])), MIN_GOODNESS_RATIO * scores[k] if balancing else 0.0)
            step = _step(lowered, k, state, scores, limits, least)
            if step is None:
                break
            item, bin_, scores = step
            state.move(item, bin_)
            n_moves += 1
            if run.on_progress is not None:
                run.on_progress(
                    Progress(level.name, stop.elapsed_s, stop.fraction(n_moves), float(scores[k]), 0.0)
                )
        gained = before_scores[k] - scores[k]
        if not level.must_vanish and level.worth_ratio > 0 and gained < level.worth_ratio * today[k]:
            state, scores = _State(lowered, before), before_scores
        limits[k] = order.ceiling(level, float(scores[k]), float(today[k]))
    # a few steps of the Lagrangian: an answer without a bound says nothing of what it leaves
    bounds = np.zeros(len(scores))
    if run.bounds:
        bounds = lower_bounds(lowered, scores, stop.part(0.3), max_steps=BOUND_STEPS, assign=state.assign)
    return Answer(
        status=order.status(lowered, scores, bounds),
        assign=state.assign,
        scores=scores,
        bounds=bounds,
        solver="greedy",
        elapsed_s=stop.elapsed_s,
        iterations=n_moves,
        interrupted=stop.interrupted,
    )


def _step(
    lowered: Lowered, k: int, state: _State, scores: Floats, limits: Floats, least: float
) -> tuple[int, int, Floats] | None:
    """The best move for level k that keeps the walls and the earlier levels; None when there is none."""
    items = candidates(lowered, k, state)
    gain = level_delta(lowered, k, state, items)
    fine = (gain < -least) & open_pairs(lowered, state, items)
    for j in range(k):
        if fine.any():
            room = limits[j] - scores[j] + order.close(float(limits[j]))
            fine &= level_delta(lowered, j, state, items) <= room
    rows, bins = np.nonzero(fine)
    if not len(rows):
        return None
    value = gain[rows, bins]
    after = np.zeros(len(rows))
    if k + 1 < len(lowered.levels):
        best = np.argsort(value, kind="stable")[: max(1000, len(value) // 10)]
        rows, bins, value = rows[best], bins[best], value[best]
        unique, inverse = np.unique(rows, return_inverse=True)
        after = level_delta(lowered, k + 1, state, items[unique])[inverse, bins]
    ranked = np.lexsort((after, np.round(value / least) if least > 0 else value))
    trial = state.assign.copy()
    for c in ranked[:TRIES]:
        item, bin_ = int(items[rows[c]]), int(bins[c])
        home = trial[item]
        trial[item] = bin_
        new = lowered.scores(trial)
        if (
            new[k] < scores[k] - least * 0.5
            and order.within(new, limits, k)
            and not lowered.broken_walls(trial)
        ):
            return item, bin_, new
        trial[item] = home
    return None
