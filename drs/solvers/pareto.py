"""The trade between two levels, "imbalance against migration cost": non-dominated plans, each with a bound.

For little more than one run: a full run finds the best balance; moves are then taken back one by one, the
one that loses least balance per cost first, and from the other end moves are added, the one that gains most
per cost first (the two orders of a greedy knapsack). Every plan on the way enters an archive. For chosen
budgets the archive's plan is improved under a ceiling on cost (the epsilon-constraint method; Haimes, Lasdon,
Wismer: On a bicriterion formulation of the problems of integrated system identification and system
optimization, 1971). The bound at a budget is Lagrangian (`drs.solvers.bounds`): at any prices, no choice of
moves within the budget gains more than the fractional knapsack of their gains, for all budgets at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from drs.solvers import levels as order
from drs.solvers.auto import EXACT_COLUMNS, n_columns
from drs.solvers.auto import solve as solve_auto
from drs.solvers.bounds import Dual, knapsack
from drs.solvers.greedy import _State, level_delta, open_pairs
from drs.stop import OnProgress, Progress, Stop
from drs.terms import MoveCost
from drs.terms.base import Floats, Ints, Level, Lowered

MAX_PAIRS = 2_000_000
"""Items x bins up to which moves are added one by one."""


@dataclass(frozen=True)
class Point:
    """One plan of the frontier."""

    assign: Ints
    balance: float
    cost: float
    bound: float
    """No plan of at most this cost has less `balance`."""
    knee: bool = False


@dataclass
class _Archive:
    """Plans that no other plan beats in both respects, by rising cost."""

    points: list[tuple[float, float, Ints]]

    def offer(self, cost: float, balance: float, assign: Ints) -> None:
        for c, b, _ in self.points:
            if c <= cost + 1e-9 and b <= balance + 1e-12:
                return
        self.points = [p for p in self.points if not (cost <= p[0] + 1e-9 and balance <= p[1] + 1e-12)]
        self.points.append((cost, balance, assign.copy()))
        self.points.sort(key=lambda p: p[0])

    def within(self, cost: float) -> tuple[float, float, Ints]:
        """The best plan of at most that cost."""
        fit = [p for p in self.points if p[0] <= cost + 1e-9]
        return fit[-1] if fit else self.points[0]


def level_index(lowered: Lowered, level: int | str) -> int:
    """The position of a level that is named or numbered."""
    if isinstance(level, str):
        names = [each.name for each in lowered.levels]
        if level not in names:
            from drs.errors import UnknownNameError

            raise UnknownNameError.of("levels", level, names, "level")
        return names.index(level)
    return level


def frontier(
    lowered: Lowered,
    start: Ints,
    balance: int | str,
    cost: int | str,
    n_points: int = 15,
    stop: Stop | None = None,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> list[Point]:
    """Non-dominated plans from the least to the most cost, at most `n_points`, the knee marked.

    Parameters
    ----------
    start : i4[n_items], crosses no wall
    balance, cost : the two levels, by number or name; the levels before both keep what `start` and the best
        plan reach, levels between and after are ignored
    """
    stop = stop or Stop(10.0).begin()
    k, c = level_index(lowered, balance), level_index(lowered, cost)
    first = [j for j in range(min(k, c)) if lowered.levels[j].terms]
    early = [lowered.levels[j] for j in first]
    n = len(early)
    to_best = replace(lowered, levels=(*early, _plain(lowered.levels[k]), _plain(lowered.levels[c])))
    to_least = replace(lowered, levels=(*early, _plain(lowered.levels[c]), _plain(lowered.levels[k])))

    best = solve_auto(to_best, start, stop.part(0.55).begin(), seed, on_progress).assign
    least = np.asarray(start, dtype=np.int32)
    if order.lex_less(to_least.scores(best)[:n], to_least.scores(start)[:n]):
        # what is broken must be repaired by every plan: the cheapest way to do it is the first point
        least = solve_auto(to_least, start, stop.part(0.3).begin(), seed, on_progress).assign
    limits = order.ceilings(to_best, np.minimum(to_best.scores(best), to_best.scores(least)))
    limits[:n] = np.maximum(limits[:n], np.maximum(to_best.scores(best), to_best.scores(least))[:n])
    archive = _Archive([])
    for plan in (least, best):
        scores = to_best.scores(plan)
        archive.offer(float(scores[n + 1]), float(scores[n]), plan)
    _take_back(to_best, best, n, limits, archive, stop)
    if lowered.n_items * lowered.n_bins <= MAX_PAIRS:
        _add(to_best, least, n, limits, archive, stop)
    budgets = _budgets(archive, n_points)
    if n_columns(lowered) <= EXACT_COLUMNS:
        _polish(to_best, n, budgets, limits, archive, stop, seed)
    points = _thin(archive.points, n_points)
    bounds = _bounds(to_best, n, points, limits, stop)
    at = _knee(points)
    if on_progress is not None:
        on_progress(Progress("frontier", stop.elapsed_s, 1.0, points[-1][1], float(bounds[-1])))
    return [
        Point(assign, value, price, float(bound), j == at)
        for j, ((price, value, assign), bound) in enumerate(zip(points, bounds, strict=True))
    ]


def _plain(level: Level) -> Level:
    """The level minimised to the end."""
    return replace(level, slack=0.0, slack_ratio=0.0, worth_ratio=0.0)


def _fits(problem: Lowered, assign: Ints, n: int, limits: Floats) -> Floats | None:
    """Scores of a plan that crosses no wall and keeps the ceilings of the levels before."""
    if order.misplaced(problem, assign) or problem.broken_walls(assign):
        return None
    scores = problem.scores(assign)
    return scores if order.within(scores, limits, n) else None


def _take_back(problem: Lowered, best: Ints, n: int, limits: Floats, archive: _Archive, stop: Stop) -> None:
    """Undo moves, least loss of balance per cost saved first."""
    state = _State(problem, best)
    now = problem.scores(best)
    while not stop.interrupted and stop.remaining_s > 0:
        moved = np.flatnonzero((state.assign != problem.start) & (problem.start >= 0))
        if not len(moved):
            return
        home = problem.start[moved]
        rows = np.arange(len(moved))
        loss = level_delta(problem, n, state, moved)[rows, home]
        saved = -level_delta(problem, n + 1, state, moved)[rows, home]
        fine = open_pairs(problem, state, moved)[rows, home] & (saved > 0)
        ranked = np.argsort(np.where(fine, loss / np.maximum(saved, 1e-12), np.inf), kind="stable")
        for r in ranked[: int(fine.sum())][:20]:
            trial = state.assign.copy()
            trial[moved[r]] = home[r]
            scores = _fits(problem, trial, n, limits)
            if scores is not None and scores[n + 1] < now[n + 1]:
                state.move(int(moved[r]), int(home[r]))
                now = scores
                archive.offer(float(now[n + 1]), float(now[n]), state.assign)
                break
        else:
            return


def _add(problem: Lowered, least: Ints, n: int, limits: Floats, archive: _Archive, stop: Stop) -> None:
    """Add moves, most balance per cost first."""
    state = _State(problem, least)
    now = problem.scores(least)
    items = np.arange(problem.n_items)
    for _ in range(200):
        if stop.interrupted or stop.remaining_s <= 0:
            return
        gain = -level_delta(problem, n, state, items)
        price = np.maximum(level_delta(problem, n + 1, state, items), 1e-12)
        fine = open_pairs(problem, state, items) & (gain > 1e-9 + 1e-4 * now[n])
        for j in range(n):
            room = limits[j] - now[j] + order.close(float(limits[j]))
            fine &= level_delta(problem, j, state, items) <= room
        rows, bins = np.nonzero(fine)
        if not len(rows):
            return
        worth = gain[rows, bins] / price[rows, bins]
        for r in np.argsort(-worth, kind="stable")[:20]:
            trial = state.assign.copy()
            trial[rows[r]] = bins[r]
            scores = _fits(problem, trial, n, limits)
            if scores is not None and scores[n] < now[n]:
                state.move(int(rows[r]), int(bins[r]))
                now = scores
                archive.offer(float(now[n + 1]), float(now[n]), state.assign)
                break
        else:
            return


def _budgets(archive: _Archive, n_points: int) -> Floats:
    """Costs at which the frontier is asked for, evenly from the least to the most."""
    low, high = archive.points[0][0], archive.points[-1][0]
    return np.linspace(low, high, max(2, n_points))[1:-1]


def _polish(
    problem: Lowered, n: int, budgets: Floats, limits: Floats, archive: _Archive, stop: Stop, seed: int
) -> None:
    """The best balance within each budget by the exact engine, for a share of the time each."""
    from drs.solvers import cpsat
    from drs.solvers.linear import Worker

    worker = Worker()
    try:
        for j, budget in enumerate(budgets):
            part = stop.part(0.7 / (len(budgets) - j))
            if stop.interrupted or (part.time_s is not None and part.time_s < 0.05):
                return
            part.time_s = 2.0 if part.time_s is None else min(2.0, part.time_s)
            price, _, assign = archive.within(float(budget))
            if price > budget + 1e-9:
                continue
            # balance first; cost and the earlier levels only keep their ceilings
            turn = [n, n + 1, *range(n)]
            asked = replace(problem, levels=tuple(replace(problem.levels[i], slack=0.0, slack_ratio=0.0,
                                                          must_vanish=False) for i in turn))  # fmt: skip
            ceiling = np.array([math.inf, float(budget), *limits[:n]])
            found = cpsat.solve(
                asked, assign, part.begin(), seed, engine="highs", limits=ceiling, n_levels=1, worker=worker
            ).assign
            scores = _fits(problem, found, n, limits)
            if scores is not None:
                archive.offer(float(scores[n + 1]), float(scores[n]), found)
    finally:
        worker.close()


def _thin(points: list[tuple[float, float, Ints]], n_points: int) -> list[tuple[float, float, Ints]]:
    """At most so many points: both ends, the knee, and those that keep the frontier's shape best."""
    kept = list(points)
    knee = _knee(kept)
    fixed = {0, len(kept) - 1, knee}
    marks = [(j in fixed, p) for j, p in enumerate(kept)]
    span_c = max(kept[-1][0] - kept[0][0], 1e-12)
    span_b = max(kept[0][1] - kept[-1][1], 1e-12)
    while len(marks) > max(2, n_points):
        best, at = math.inf, -1
        for j in range(1, len(marks) - 1):
            if marks[j][0]:
                continue
            (c0, b0, _), (c1, b1, _), (c2, b2, _) = marks[j - 1][1], marks[j][1], marks[j + 1][1]
            area = (c2 - c0) / span_c * (b0 - b1) / span_b + (c1 - c0) / span_c * (b1 - b2) / span_b
            if area < best:
                best, at = area, j
        if at < 0:
            break
        del marks[at]
    return [p for _, p in marks]


def _knee(points: list[tuple[float, float, Ints]]) -> int:
    """The point farthest below the line between both ends, in units of the ends' differences."""
    cost = np.array([p[0] for p in points])
    value = np.array([p[1] for p in points])
    x = (cost - cost[0]) / max(cost[-1] - cost[0], 1e-12)
    y = (value - value[-1]) / max(value[0] - value[-1], 1e-12)
    return int(np.argmin(x + y))


def _bounds(
    problem: Lowered, n: int, points: list[tuple[float, float, Ints]], limits: Floats, stop: Stop
) -> Floats:
    """For every point, a lower bound of the balance of all plans that cost no more."""
    budgets = np.array([p[0] for p in points])
    best = np.zeros(len(points))
    dual = Dual(problem, n, limits)
    weight = least_move_cost(problem, n + 1)
    dual.weights.append((weight, 0.0))
    for j in range(len(points) - 1, -1, -1):
        if stop.interrupted:
            break
        dual.weights[-1] = (weight, float(budgets[j]))
        dual.start_at(points[j][2])
        share = stop.part(0.5 / (j + 1))
        share.time_s = None if stop.time_s is None else max(0.05, share.remaining_s)
        share.iterations = None
        value = dual.improve(points[j][1], share.begin(), 80, points[j][1])
        best[j] = max(best[j], value)
        dual.evaluate()
        gain, base = dual.last_gain, dual.last_base
        moves = np.flatnonzero(gain > 0)
        for i, budget in enumerate(budgets):  # the same prices bound every budget
            _, worth = knapsack(gain[moves], weight[moves], float(budget))
            best[i] = max(best[i], base - worth)
    best = np.maximum.accumulate(best[::-1])[::-1]  # what holds at more cost holds at less
    return np.asarray(np.minimum(np.maximum(0.0, best - 1e-9), np.array([p[1] for p in points])))


def least_move_cost(problem: Lowered, k: int) -> Floats:
    """The least that moving each item adds to level k, f8[n_items]."""
    out = np.zeros(problem.n_items)
    start = problem.start
    for entry in problem.levels[k].terms:
        term = entry.term
        if not isinstance(term, MoveCost):
            continue
        price = term.per_item.astype(np.float64).copy()
        if term.pair is not None and term.bin_class is not None:
            there = np.unique(term.bin_class)
            cheapest = term.pair[:, there].min(axis=1)
            pair = cheapest[term.bin_class[np.maximum(start, 0)]]
            price += pair if term.scale is None else pair * term.scale
        out += entry.weight * price
    out[start < 0] = 0.0
    return np.asarray(out, dtype=np.float64)
