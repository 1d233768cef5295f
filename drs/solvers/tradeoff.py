"""The walk along a trade-off: solutions that no other beats in both of the last two levels.

Method
------
The levels before the last two (what must be repaired) are settled first, with the last one (what moving
costs) as the tie-break: the cheap end. From there the last level but one (the value) is minimised: the dear
end. Between the ends little is left to search, since neighbours on the frontier differ by few moves:

- from the dear end back, moves are undone one by one, always the one that loses the least value for its
  price (greedily, with lazy re-evaluation); every step on that way is a solution;
- then, limit by limit of the moves' price, a short annealing starts from the best solution known within the
  limit. It minimises value + slope x price, the slope being that of the frontier there; beyond the limit the
  price is steep, and a solution beyond it is passed through but never kept. Limits are dense where the
  frontier bends. Two workers take neighbouring limits, and what they find serves all.

This is the epsilon-constraint method (Haimes, Lasdon and Wismer, 1971) with the slope of a weighted sum inside.
Every solution kept is checked by the terms' own law.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from drs.solvers import auto, localsearch
from drs.solvers.bounds import lower_bounds
from drs.solvers.levels import ceilings, close, lex_less, misplaced
from drs.stop import Progress, Run, Stop
from drs.terms.base import Floats, Ints, Lowered, Wall
from drs.terms.fused import fuse
from drs.terms.limits import MoveLimit

if TYPE_CHECKING:
    from drs.solvers.kernel.search import Search

REPAIR_SHARE, BEST_SHARE, WALK_SHARE = 0.12, 0.38, 0.35
"""Of the budget: for the cheap end where something is broken, for the dear end, for what is between."""
HOT, COOLING = (2.0, 0.3), 1e-3
"""Temperature of a short annealing, over the median rise of energy by a sampled move: first, for each sweep
over the limits, and last over first."""
STEEP = 5.0
"""Price beyond the limit over the frontier's slope."""
CHUNK, CHUNK_S = 1000, 0.02
SAME = 1e-9
BOUND_STEPS = 150


@dataclass(frozen=True)
class Tradeoff:
    """One solution on the way: its price and value (the scores of the last two levels)."""

    price: float
    value: float
    assign: Ints = field(repr=False)
    bound: float = 0.0
    """No solution of this price or less has a lower value."""


@dataclass(frozen=True)
class Walk:
    """What was found, by ascending price and descending value.

    scores : f8[n_levels] of the cheap end; those before the last two are the ceilings of all solutions.
    floor : no solution at any price has a lower value.
    """

    points: tuple[Tradeoff, ...]
    scores: Floats
    floor: float
    iterations: int


class _Archive:
    """Solutions that no other beats."""

    def __init__(self, lowered: Lowered, limits: Floats) -> None:
        self.lowered, self.limits = lowered, limits
        self.points: list[Tradeoff] = []

    def add(self, assign: Ints) -> bool:
        """Keep a solution if it is one and nothing beats it."""
        low = self.lowered
        scores = low.scores(assign)
        head = scores[:-2]
        if (head > self.limits + np.array([close(float(c)) for c in self.limits])).any():
            return False
        value, price = float(scores[-2]), float(scores[-1])
        if any(self._covers(p, price, value) for p in self.points):
            return False
        if misplaced(low, assign) or low.broken_walls(assign):
            return False
        new = Tradeoff(price, value, np.array(assign))
        self.points = sorted(
            [*(p for p in self.points if not self._covers(new, p.price, p.value)), new],
            key=lambda p: p.price,
        )
        return True

    @staticmethod
    def _covers(a: Tradeoff, price: float, value: float) -> bool:
        return a.price <= price + SAME * max(1.0, price) and a.value <= value + SAME * max(1.0, value)

    def within(self, limit: float) -> Tradeoff:
        """The best value for this price or less (the cheapest of all where none is as cheap)."""
        return next((p for p in reversed(self.points) if p.price <= limit * (1 + SAME)), self.points[0])

    def slope(self, price: float) -> float:
        """Value that one unit of price gains around here, 0 or more."""
        width = 0.05 * (self.points[-1].price - self.points[0].price)
        low = self.within(max(price - width, self.points[0].price))
        high = self.within(min(price + width, self.points[-1].price))
        return (low.value - high.value) / (high.price - low.price) if high.price > low.price else 0.0


class _Walker:
    """One thread's search along the frontier."""

    def __init__(self, search: Search, limits: Floats, stop: Stop, timed: bool) -> None:
        self.search, self.stop, self.timed = search, stop, timed
        self.ceiling = np.append(limits + [0.5 * close(float(c)) for c in limits], [np.inf, np.inf])
        self.rate = 1e5

    def improve(
        self, start: Ints, limit: float, slope: float, heat: float, steps: int, time_s: float
    ) -> Ints:
        """The best solution near `start` whose price is at most `limit`."""
        search, n = self.search, len(self.ceiling)
        weight, steep, ceiling = np.zeros(n), np.zeros(n), self.ceiling.copy()
        weight[-2], weight[-1] = 1.0, slope
        ceiling[-1] = limit * (1 + SAME)
        search.load(start)
        search.aim(weight, ceiling, steep)
        rises = search.rises(200)
        hot = heat * float(np.median(rises)) if len(rises) else 0.0
        steep[-1] = STEEP * slope
        steep[: n - 2] = 1e3 * max(hot, 1e-12)
        search.steepen(steep)
        began, done = time.monotonic(), 0
        while not self.stop.interrupted:
            gone = (time.monotonic() - began) / max(time_s, 1e-9) if self.timed else done / max(1, steps)
            if gone >= 1.0:
                break
            size = max(100, int(self.rate * min(CHUNK_S, time_s))) if self.timed else min(CHUNK, steps - done)
            chunk_began = time.monotonic()
            temperature = hot * COOLING**gone
            search.anneal(size // 2, temperature, temperature, localsearch.SHARE, 8)
            mended = max(1, (size - size // 2) // localsearch.MEND)
            search.neighbourhoods(mended, temperature, 1.0, 128, 0.01)
            search.refresh()
            done += size
            self.rate = size / max(1e-6, time.monotonic() - chunk_began)
        if search.state.energy[1] < 1e299:
            search.return_to_best()
            search.send_home(np.flatnonzero(search.assign != search.fused.start))
            search.return_to_best()
        return np.array(search.assign) if search.state.energy[1] < 1e299 else np.array(start)


def walk(
    lowered: Lowered,
    run: Run,
    *,
    n_limits: int = 30,
    workers: int = 2,
) -> Walk:
    """Solutions from the cheapest that settles the levels before the last two to the one of the best value.

    Parameters
    ----------
    lowered : at least two levels, the last one a price of moves.
    run : time or steps over all stages; an interrupt leaves what was found.
    n_limits : limits of the price that are searched between the ends.

    Notes
    -----
    Under an iteration budget alone the clock is never read: the same seed gives the same solutions.
    """
    stop, said = run.stop, _said(run)
    start = np.array(lowered.start, dtype=np.int32)
    head, price = lowered.levels[:-2], lowered.levels[-1]
    iterations, spent = 0, 0.0
    today = lowered.scores(start)
    first = start
    if (today[:-2] > 0).any() and not stop.interrupted:
        spent = REPAIR_SHARE
        repair = replace(lowered, levels=(*head, price))
        answer = localsearch.solve(repair, start, run.within(_share(stop, spent, 0.0)), workers=workers)
        first, iterations = answer.assign, answer.iterations
    scores, floor = lowered.scores(first), 0.0
    limits = ceilings(lowered, scores)[:-2]
    archive = _Archive(lowered, limits)
    archive.add(first)
    if len(archive.points) and not stop.interrupted and lowered.n_items and lowered.n_bins:
        best = replace(lowered, levels=lowered.levels[:-1])
        answer = auto.solve(best, first, run.within(_share(stop, BEST_SHARE, spent)))
        iterations += answer.iterations
        archive.add(answer.assign)
        if not lex_less(answer.scores[:-1], scores[:-2]):  # else it holds under lower ceilings than ours
            floor = float(answer.bounds[-1])
        spent += BEST_SHARE
        iterations += _between(lowered, archive, answer.assign, _share(stop, WALK_SHARE, spent), run.seed, said,
                               n_limits, workers)  # fmt: skip
    return Walk(tuple(archive.points), scores, floor, iterations)


def _share(stop: Stop, share: float, spent: float) -> Stop:
    """A stage's part of the whole budget, when `spent` of it was meant for the stages before."""
    return stop.followed_by(
        None if stop.time_s is None else stop.remaining_s * min(1.0, share / max(1e-9, 1.0 - spent)),
        None if stop.iterations is None else int(stop.iterations * share),
    )


def _said(run: Run) -> Callable[[str, float, float], None]:
    def say(stage: str, fraction: float, score: float) -> None:
        if run.on_progress is not None:  # else the clock is not read
            run.on_progress(Progress(stage, run.stop.elapsed_s, fraction, score))

    return say


def _between(
    lowered: Lowered,
    archive: _Archive,
    dear: Ints,
    stop: Stop,
    seed: int,
    say: Callable[[str, float, float], None],
    n_limits: int,
    workers: int,
) -> int:
    """Fill the archive between its ends; returns the steps taken."""
    from drs.solvers.kernel.search import Search

    if len(archive.points) < 2 or stop.interrupted:
        return 0
    fused = fuse(lowered)
    timed = stop.time_s is not None or stop.iterations is None
    walkers = [
        _Walker(Search(fused, dear, seed * 1000 + 500 + k), archive.limits, stop, timed)
        for k in range(workers)
    ]
    say("balance against moves", 0.6, archive.points[-1].value)
    for assign in _undone(walkers[0].search, dear, archive.limits, 4 * n_limits, 0.0, stop):
        archive.add(assign)
    n_tasks = len(HOT) * n_limits
    steps = 0 if stop.iterations is None else stop.iterations // n_tasks
    time_s = stop.remaining_s * workers / n_tasks if stop.time_s is not None else math.inf
    if not timed and steps < CHUNK // 10:
        return 0
    if stop.time_s is None and stop.iterations is None:
        time_s = 1.0
    with ThreadPoolExecutor(workers) as pool:
        for sweep, heat in enumerate(HOT):
            grid = _grid(archive, n_limits)
            grid = grid if sweep % 2 else grid[::-1]
            for at in range(0, n_limits, workers):
                if stop.remaining_s <= 0:
                    return steps * (sweep * n_limits + at)
                tasks = [
                    pool.submit(w.improve, archive.within(limit).assign, limit, archive.slope(limit), heat,
                                steps, time_s)
                    for w, limit in zip(walkers, grid[at : at + workers], strict=False)
                ]  # fmt: skip
                for task in tasks:
                    archive.add(task.result())
                gone = (sweep * n_limits + at) / n_tasks
                say("balance against moves", 0.6 + 0.35 * gone, archive.points[-1].value)
            marks = [archive.points[i] for i in spread(archive.points, n_limits)]
            for lower, upper in itertools.pairwise(marks):
                if stop.remaining_s <= 0:
                    break
                for assign in _undone(
                    walkers[0].search, upper.assign, archive.limits, n_limits, lower.price, stop
                ):
                    archive.add(assign)
    return steps * n_tasks


def _grid(archive: _Archive, n: int) -> list[float]:
    """Limits of the price, dense where the frontier bends: equal steps along it, both axes scaled to 1."""
    at = spread(archive.points, n)
    prices = [archive.points[i].price for i in at]
    while len(prices) < n:
        prices = sorted(prices)
        widest = int(np.argmax(np.diff(prices))) if len(prices) > 1 else 0
        prices.append((prices[widest] + prices[min(widest + 1, len(prices) - 1)]) / 2)
    return sorted(prices)


def spread(points: list[Tradeoff] | tuple[Tradeoff, ...], n: int) -> list[int]:
    """Positions of at most `n` points, both ends among them, at even steps along the frontier.

    Length is measured with price and value scaled to 1 between the ends.
    """
    if len(points) <= n:
        return list(range(len(points)))
    price, value = np.array([p.price for p in points]), np.array([p.value for p in points])
    x = (price - price[0]) / max(price[-1] - price[0], 1e-300)
    y = (value - value[-1]) / max(value[0] - value[-1], 1e-300)
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    chosen = [0]
    for k in range(1, n):
        wanted = length[-1] * k / (n - 1)
        near = int(np.argmin(np.abs(length - wanted)))
        chosen.append(min(max(near, chosen[-1] + 1), len(points) - (n - k)))
    chosen[-1] = len(points) - 1
    return chosen


def _undone(search: Search, dear: Ints, limits: Floats, n_kept: int, until: float, stop: Stop) -> list[Ints]:
    """Solutions on the way back from `dear`: always the move undone that loses the least value for its price.

    Kept are at most about `n_kept`, at even steps of the price down to `until`.
    """
    n = len(limits) + 2
    home = search.fused.start
    search.load(dear)
    search.aim(np.zeros(n), np.full(n, np.inf), np.zeros(n))
    ceiling = np.append(limits + [0.5 * close(float(c)) for c in limits], [np.inf, np.inf])
    first_price = float(search.cost[n - 1])

    def loss(item: int) -> float:
        """Value lost per price saved; inf where the move cannot be undone now."""
        if not search.allowed(item, int(home[item])):
            return math.inf
        change = search.delta(item, int(home[item]))
        if change[-1] > SAME or (search.cost[:-1] + change[:-1] > ceiling).any():
            return math.inf
        return float(change[n - 2] / max(-change[n - 1], 1e-12))

    def ranked() -> list[tuple[float, int]]:
        moved = np.flatnonzero((search.assign != home) & (home >= 0))
        found = [(loss(int(item)), int(item)) for item in moved]
        heap = [pair for pair in found if math.isfinite(pair[0])]
        heapq.heapify(heap)
        return heap

    kept: list[Ints] = []
    heap = ranked()
    since, refresh = 0, max(8, len(heap) // 16)
    mark = first_price
    while heap and float(search.cost[n - 1]) > until and stop.remaining_s > 0:
        _, item = heapq.heappop(heap)
        now = loss(item)
        if not math.isfinite(now):
            if not heap and since:
                heap, since = ranked(), 0
            continue
        if heap and now > heap[0][0] + 1e-15:
            heapq.heappush(heap, (now, item))
            continue
        search.move(item, int(home[item]))
        since += 1
        if since >= refresh or not heap:
            search.refresh()
            heap, since = ranked(), 0
        if mark - float(search.cost[n - 1]) >= (first_price - until) / n_kept or not heap:
            mark = float(search.cost[n - 1])
            kept.append(np.array(search.assign))
    return kept


def bounded(
    lowered: Lowered, found: Walk, points: list[Tradeoff], weight: Floats, stop: Stop
) -> list[Tradeoff]:
    """The points with a lower bound of their value: a limit on the moves' weight as a wall, the dual for it.

    Parameters
    ----------
    weight : f8[n_items], price of each item's move, 0 or more.
    """
    k = len(lowered.levels) - 2
    problem = replace(lowered, levels=lowered.levels[:-1])
    bounds = np.full(len(points), found.floor)
    for count, i in enumerate(range(len(points) - 1, -1, -1)):
        if stop.remaining_s <= 0:
            break
        point = points[i]
        limit = MoveLimit(weight, point.price * (1 + SAME))
        scores = np.append(found.scores[:k], point.value)
        known = np.append(found.scores[:k], found.floor)  # the bounds of what is settled are not asked for
        part = stop.part(1.0 / (len(points) - count))
        within = replace(problem, walls=(*lowered.walls, Wall(limit, "limit of the price")))
        found_bounds = lower_bounds(
            within, scores, part, max_steps=BOUND_STEPS, known=known, assign=point.assign
        )
        bounds[i] = max(found.floor, float(found_bounds[k]))
    bounds = np.maximum.accumulate(bounds[::-1])[::-1]  # a bound for a price holds for every lower one
    return [replace(p, bound=float(min(b, p.value))) for p, b in zip(points, bounds, strict=True)]
