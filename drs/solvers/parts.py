"""Many independent parts instead of one problem: each solved by itself, side by side, bounds added.

`drs.terms.split` cuts a lowered problem where nothing joins it, as a rule into clusters. Each part gets a share
of the budget by its size; what is left then goes to the parts that are not proven, by what they may still gain.
A limit on all moves joins the parts: they are solved without it first. If that takes too many moves, each
part's moves are put in order by what they gain, the limit is shared out along the best of them, and each part is
solved again within its share.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from drs.solvers import levels as order
from drs.solvers.base import Answer, Status
from drs.stop import OnProgress, Progress, Stop
from drs.terms import MoveLimit
from drs.terms.base import Floats, Ints, Lowered, Wall
from drs.terms.fused import fuse
from drs.terms.split import Part, move_limits, split

LANES = 2
"""So many parts are solved side by side."""
FIRST_ROUND = 0.6
"""Share of the budget in which every part has its turn; the rest goes where something is still to be gained."""
LEAST_S = 0.3
"""A turn shorter than this finds nothing."""

Engine = Callable[[Lowered, Ints, Stop, int, OnProgress | None, int], Answer]
"""Solves one part: problem, start, budget, seed, progress, threads."""


@dataclass
class _Task:
    """One part, and the best that is known of it."""

    number: int
    part: Part
    lowered: Lowered
    assign: Ints
    scores: Floats
    bounds: Floats
    status: Status = "feasible"
    iterations: int = 0
    turns: int = 0

    @property
    def size(self) -> float:
        return float(self.part.free.sum())

    @property
    def over(self) -> bool:
        return self.status in ("optimal", "infeasible")

    def gap(self) -> float:
        """What may still be gained, as a share of the cost, at the first level that is not proven."""
        today = self.lowered.scores(self.lowered.start)
        for level, score, bound, t in zip(self.lowered.levels, self.scores, self.bounds, today, strict=True):
            if not order.settled(level, float(score), float(bound), float(t)):
                return float((score - bound) / max(score, 1e-12))
        return 0.0


class _Parts:
    """One call: the tasks, their budget, and who hears of the progress."""

    def __init__(
        self,
        parts: Sequence[Part],
        start: Ints,
        stop: Stop,
        seed: int,
        on_progress: OnProgress | None,
        engine: Engine,
    ) -> None:
        self.stop, self.seed, self.on_progress, self.engine = stop, seed, on_progress, engine
        self.lock = threading.Lock()
        self.tasks = []
        for number, part in enumerate(parts):
            assign = part.of(start)
            scores = part.lowered.scores(assign)
            fixed = not part.free.any()
            bounds = scores.copy() if fixed else np.zeros(len(scores))
            status = order.status(part.lowered, scores, bounds) if fixed else "feasible"
            self.tasks.append(_Task(number, part, part.lowered, assign, scores, bounds, status))

    @property
    def iterations(self) -> int:
        return sum(task.iterations for task in self.tasks)

    def report(self, task: _Task, n_done: int, n: int) -> None:
        if self.on_progress is not None:
            score = float(next((score for score in task.scores if score > 0), 0.0))
            note = f"part {n_done} of {n}"
            with self.lock:
                fraction = self.stop.fraction(self.iterations)
                self.on_progress(Progress("parts", self.stop.elapsed_s, fraction, score, note=note))

    def round(self, tasks: Sequence[_Task], weights: Sequence[float], stop: Stop) -> None:
        """Give every task a turn within a budget, in proportion to its weight."""
        waiting = list(zip(tasks, weights, strict=True))
        left = float(sum(weights))
        done = 0
        lanes = max(1, min(LANES, len(waiting)))

        def turns() -> None:
            nonlocal left, done
            while True:
                with self.lock:
                    if not waiting or stop.interrupted:
                        return
                    task, weight = waiting.pop(0)
                    share = min(1.0, lanes * weight / max(left, 1e-12))
                    iterations = None
                    if stop.iterations is not None:
                        iterations = int(stop.iterations * weight / max(sum(weights), 1e-12))
                    left -= weight
                budget = stop.part(share)
                budget.iterations = iterations
                if budget.time_s is not None and budget.time_s < LEAST_S and task.turns:
                    return
                self.turn(task, budget.begin(), LANES // lanes)
                with self.lock:
                    done += 1
                self.report(task, done, len(tasks))

        if lanes == 1:
            turns()
            return
        with ThreadPoolExecutor(lanes) as pool:
            for future in [pool.submit(turns) for _ in range(lanes)]:
                future.result()

    def turn(self, task: _Task, stop: Stop, threads: int) -> None:
        """Solve one part from the best that is known of it."""
        seed = self.seed + 7919 * task.number + task.turns
        found = self.engine(task.lowered, task.assign, stop, seed, None, threads)
        task.turns += 1
        task.iterations += found.iterations
        if task.turns == 1 or order.better(task.lowered, found.scores, task.scores):
            task.assign, task.scores, task.bounds = found.assign, found.scores, found.bounds
            task.status = found.status
        elif np.allclose(found.scores, task.scores, rtol=1e-9, atol=1e-12):
            task.bounds = np.maximum(task.bounds, found.bounds)
            task.status = order.status(task.lowered, task.scores, np.minimum(task.bounds, task.scores))

    def run(self, first: float) -> None:
        """Turns for all, then for those that are not proven, until the budget is used."""
        tasks = [task for task in self.tasks if not task.over]
        self.round(tasks, [task.size for task in tasks], self.stop.part(first))
        if (
            self.stop.time_s is None
        ):  # a budget of iterations is shared out once, so that it is the same twice
            return
        while not self.stop.reached(self.iterations):
            tasks = [task for task in self.tasks if not task.over]
            gaps = [task.size * max(task.gap(), 1e-3) for task in tasks]
            ranked = sorted(zip(gaps, tasks, strict=True), key=lambda pair: -pair[0])
            least = max(LEAST_S, self.stop.remaining_s / 8)
            most = max(1, int(LANES * self.stop.remaining_s / least))
            chosen = ranked[:most]
            before = self.stop.remaining_s
            if not chosen or before < LEAST_S:
                return
            self.round([task for _, task in chosen], [gap for gap, _ in chosen], self.stop.part(1.0))
            if self.stop.remaining_s > before - 0.05:
                return

    def assign(self, whole: Ints) -> Ints:
        """The parts' assignments as one of the whole."""
        out = np.array(whole, dtype=np.int32)
        for task in self.tasks:
            task.part.into(out, task.assign)
        return out


def solve(
    lowered: Lowered,
    start: Ints,
    stop: Stop,
    seed: int,
    on_progress: OnProgress | None,
    engine: Engine,
) -> Answer:
    """Solve each independent part with `engine`; see `drs.solvers.base.Solver`.

    A problem in one part is handed to the engine as it is.
    """
    parts = split(lowered)
    limits = move_limits(lowered)
    open_ = [part for part in parts if part.free.any()]
    if len(open_) <= 1 and (limits or len(parts) == 1):
        return engine(lowered, start, stop, seed, on_progress, LANES)
    run = _Parts(parts, start, stop, seed, on_progress, engine)
    run.run(FIRST_ROUND if not limits else 0.4)
    unlimited = np.sum([task.bounds for task in run.tasks], axis=0)
    if limits and _too_many(lowered, run.assign(start), limits):
        _within_limit(lowered, run, limits)
    assign = run.assign(start)
    scores = lowered.scores(assign)
    bounds = np.minimum(unlimited, scores)
    statuses = {task.status for task in run.tasks}
    status: Status = order.status(lowered, scores, bounds)
    if "infeasible" in statuses:
        status = "infeasible"
    elif statuses == {"optimal"} and not limits:
        status = "optimal"
    return Answer(
        status, assign, scores, bounds, "auto", stop.elapsed_s, run.iterations, stop.interrupted,
        {"parts": len(open_)},
    )  # fmt: skip


def _too_many(lowered: Lowered, assign: Ints, limits: Sequence[MoveLimit]) -> bool:
    return any(limit.cost(assign, lowered.start) > 0 for limit in limits)


def _within_limit(lowered: Lowered, run: _Parts, limits: Sequence[MoveLimit]) -> None:
    """Share out the limits along the most useful moves, and solve each part again within its share."""
    left = np.array([limit.limit for limit in limits])
    taken = _best_first(run, limits, left)
    used = np.array([[limit.weight[task.part.items[items]].sum() for limit in limits]
                     for task, items in zip(run.tasks, taken, strict=True)])  # fmt: skip
    spare = (left - used.sum(axis=0)) / max(1, sum(len(items) > 0 for items in taken))
    for task, items, amount in zip(run.tasks, taken, used, strict=True):
        within = np.array(task.lowered.start)
        within[items] = task.assign[items]
        task.assign, task.scores = within, task.lowered.scores(within)
        task.status, task.turns = "feasible", 1
        share = amount + (np.floor(spare) if len(items) else 0.0)
        walls = tuple(
            Wall(MoveLimit(limit.weight[task.part.items], float(most)), "max_moves")
            for limit, most in zip(limits, share, strict=True)
        )
        task.lowered = replace(task.lowered, walls=(*task.lowered.walls, *walls))
        if not share.any():
            task.status = "optimal"  # nothing may move here: there is nothing to solve
    run.run(0.8)


def _best_first(run: _Parts, limits: Sequence[MoveLimit], left: Floats) -> list[Ints]:
    """Which items of each part move, so that the limits hold and the first levels gain the most."""
    queues = [_blocks(task, limits) for task in run.tasks]
    heap = [(queue[0][0], number, 0) for number, queue in enumerate(queues) if queue]
    heapq.heapify(heap)
    taken: list[list[int]] = [[] for _ in run.tasks]
    left = left.copy()
    while heap:
        _, number, at = heapq.heappop(heap)
        _, items, weight = queues[number][at]
        if (weight <= left + 1e-9).all():
            left -= weight
            taken[number] += items
            if at + 1 < len(queues[number]):
                heapq.heappush(heap, (queues[number][at + 1][0], number, at + 1))
    return [np.array(items, dtype=np.int64) for items in taken]


_Block = tuple[tuple[float, ...], list[int], Floats]


def _blocks(task: _Task, limits: Sequence[MoveLimit]) -> list[_Block]:
    """The moves of a part, the most useful first, in groups that each gain something by themselves.

    Each with its key (change of every level per unit of the first limit, negative is better) and its weights.
    """
    from drs.solvers.kernel.search import Search

    start, target = np.asarray(task.lowered.start), task.assign
    moved = [int(item) for item in np.flatnonzero((target != start) & (start >= 0))]
    if not moved:
        return []
    search = Search(fuse(task.lowered), start.copy())
    unit = np.array([order.close(float(t)) for t in task.lowered.scores(start)])

    def key(change: Floats) -> tuple[float, ...]:
        return tuple(np.round(change[: len(unit)] / unit).tolist())

    weights = np.array([limit.weight[task.part.items] for limit in limits])
    heap = [(key(search.delta(item, int(target[item]))), item) for item in moved]
    heapq.heapify(heap)
    blocks: list[_Block] = []
    held: list[tuple[tuple[float, ...], int]] = []
    items: list[int] = []
    total = np.zeros(len(unit))
    while heap or held:
        if (
            not heap
        ):  # the rest cannot go one by one: two that exchange their places; they are solved again later
            break
        _, item = heapq.heappop(heap)
        change = search.delta(item, int(target[item]))
        now = key(change)
        if change[-1] > 1e-9:
            held.append((now, item))
            continue
        if heap and now > heap[0][0]:
            heapq.heappush(heap, (now, item))
            continue
        search.move(item, int(target[item]))
        for waiting in held:
            heapq.heappush(heap, waiting)
        held.clear()
        items.append(item)
        total += change[: len(unit)]
        if key(total) < (0.0,) * len(unit):
            weight = weights[:, items].sum(axis=1)
            per = max(float(weight[0]), 1e-12)
            blocks.append((tuple(value / per for value in key(total)), list(items), weight))
            items, total = [], np.zeros(len(unit))
    return blocks
