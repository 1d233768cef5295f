"""Many independent parts instead of one problem: each solved by itself, side by side, bounds added.

`drs.terms.split` cuts a lowered problem where nothing joins it, as a rule into clusters. Each part gets a share
of the budget by its size; what is left then goes to the parts that are not proven, by what they may still gain.
What a level allows (`slack_ratio`, `worth_ratio`) is decided in each part by itself: a cluster that gains nothing
does not keep another one from being repaired.

A limit on all moves joins the parts: they are solved without it first. If that takes too many moves, each
part's moves are put in order by what they gain, the limit is shared out along the best of them, each part is
solved again within its share, and where something is left of the limit, all parts together use it.
"""

from __future__ import annotations

import dataclasses
import heapq
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from drs.solvers import levels as order
from drs.solvers.base import Answer, Status
from drs.solvers.bounds import lower_bounds
from drs.solvers.mend import mended
from drs.stop import Progress, Run, Stop
from drs.terms import MoveLimit
from drs.terms.base import Floats, Ints, Lowered, Wall
from drs.terms.fused import fuse
from drs.terms.split import Part, move_limits, split

log = logging.getLogger(__name__)

LANES = 2
"""So many parts are solved side by side."""
FIRST_ROUND = 0.6
"""Share of the budget in which every part has its turn; the rest goes where something is still to be gained."""
FIRST_LIMITED, WITHIN_LIMIT = 0.4, 0.7
"""The same where all moves together are limited; and the share of what is left then for each part within its own
limit. The rest is for all parts together."""
LEAST_S = 0.3
"""A turn shorter than this finds nothing."""
MOST_ROUNDS = 8
"""Rounds after the first at most, under a budget of iterations."""

Engine = Callable[[Lowered, Ints, Run, int, bool], Answer]
"""Solves one part: problem, start, run, threads, and whether the start comes from an earlier turn of its own."""


@dataclass
class _Task:
    """One part, and the best that is known of it."""

    number: int
    part: Part
    lowered: Lowered
    assign: Ints
    scores: Floats
    bounds: Floats
    status: Status
    iterations: int = 0
    turns: int = 0
    failed: bool = False
    mended: Ints | None = None
    """What one pass repaired, before any search."""

    @classmethod
    def of(cls, number: int, part: Part, start: Ints) -> _Task:
        assign = part.of(start)
        scores = part.lowered.scores(assign)
        bounds = np.zeros(len(scores)) if part.free.any() else scores.copy()
        return cls(number, part, part.lowered, assign, scores, bounds,
                   order.status(part.lowered, scores, bounds))  # fmt: skip

    @property
    def size(self) -> float:
        return float(self.part.free.sum())

    @property
    def over(self) -> bool:
        return self.failed or order.finished(self.lowered, self.scores, self.bounds)

    def gap(self) -> float:
        """What may still be gained, as a share of the cost, at the first level that is not proven."""
        today = self.lowered.scores(self.lowered.start)
        for level, score, bound, t in zip(self.lowered.levels, self.scores, self.bounds, today, strict=True):
            if not order.settled(level, float(score), float(bound), float(t)):
                return float((score - bound) / max(score, 1e-12))
        return 0.0

    def take(self, found: Answer) -> None:
        """Keep an answer that is better; one that is as good may have better bounds."""
        if order.misplaced(self.lowered, found.assign) or self.lowered.broken_walls(found.assign):
            log.error("the answer for part %d crosses a wall; it is dropped", self.number)
        elif order.better(self.lowered, found.scores, self.scores):
            self.assign, self.scores, self.bounds = found.assign, found.scores, found.bounds
            self.status = found.status
        elif np.allclose(found.scores, self.scores, rtol=1e-9, atol=1e-12):
            self.bounds = np.minimum(np.maximum(self.bounds, found.bounds), self.scores)
            self.status = order.status(self.lowered, self.scores, self.bounds)

    def take_mended(self, assign: Ints) -> None:
        """Begin at a plan that repairs, where it is better."""
        scores = self.lowered.scores(assign)
        broken = order.misplaced(self.lowered, assign) or self.lowered.broken_walls(assign)
        if not broken and order.better(self.lowered, scores, self.scores):
            self.assign, self.scores, self.mended = assign, scores, assign
            self.status = order.status(self.lowered, scores, self.bounds)

    def limit(self, share: Floats, weights: Floats, assign: Ints) -> None:
        """Go on from `assign` with moves whose weights, f8[n_limits, n_items], sum to `share` at most."""
        walls = tuple(
            Wall(MoveLimit(weight, float(most)), "max_moves")
            for weight, most in zip(weights, share, strict=True)
        )
        self.lowered = replace(self.part.lowered, walls=(*self.part.lowered.walls, *walls))
        self.assign, self.scores = assign, self.lowered.scores(assign)
        self.bounds = np.zeros(len(self.scores)) if share.any() else self.scores.copy()
        self.status = order.status(self.lowered, self.scores, self.bounds)


class _Parts:
    """One call: the tasks, their budget, and who hears of the progress."""

    def __init__(self, parts: Sequence[Part], start: Ints, run: Run, engine: Engine) -> None:
        self.run, self.stop, self.engine = run, run.stop, engine
        self.lock = threading.Lock()
        self.tasks = [_Task.of(number, part, start) for number, part in enumerate(parts)]

    @property
    def iterations(self) -> int:
        return sum(task.iterations for task in self.tasks)

    def budget(self, share: float) -> Stop:
        """A share of the time and of the iterations that are left."""
        whole = self.stop
        left = None if whole.iterations is None else max(0, whole.iterations - self.iterations)
        return whole.followed_by(
            None if whole.time_s is None else share * whole.remaining_s,
            None if left is None else int(share * left),
        )

    def report(self, task: _Task, n_done: int, n: int) -> None:
        if self.run.on_progress is not None:  # else the clock is not read
            score = float(next((score for score in task.scores if score > 0), 0.0))
            fraction = self.stop.fraction(self.iterations)
            self.run.tell(
                Progress("parts", self.stop.elapsed_s, fraction, score, note=f"part {n_done} of {n}")
            )

    def round(self, tasks: Sequence[_Task], weights: Sequence[float], stop: Stop) -> None:
        """Give every task a turn within a budget, in proportion to its weight."""
        waiting = list(zip(tasks, weights, strict=True))
        left = whole = max(float(sum(weights)), 1e-12)
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
                    budget = stop.followed_by(
                        None if stop.time_s is None else share * stop.remaining_s,
                        None if stop.iterations is None else int(stop.iterations * weight / whole),
                    )
                    left -= weight
                if task.turns and stop.time_s is not None and (budget.time_s or 0.0) < LEAST_S:
                    return
                self.turn(task, budget, LANES // lanes)
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
        """Solve one part from the best that is known of it; one that fails loses only this."""
        seed = self.run.seed + 7919 * task.number + task.turns
        again = task.turns > 0
        task.turns += 1
        try:
            found = self.engine(
                task.lowered, task.assign, Run(stop, seed, bounds=self.run.bounds), threads, again
            )
        except Exception:
            log.exception("part %d failed and stays as it is; the other parts go on", task.number)
            task.failed = True
            return
        task.iterations += found.iterations
        task.take(found)

    def mend(self) -> None:
        """Begin at what one move each repairs."""
        for task in self.tasks:
            if not task.over and not self.stop.interrupted:
                task.take_mended(mended(task.lowered, task.assign))

    def rounds(self, first: float, share: float = 1.0) -> None:
        """Turns for all, then for those that are not proven, until a share of the budget is used."""
        whole = self.budget(share)
        begun = self.iterations
        tasks = [task for task in self.tasks if not task.over]
        self.round(tasks, [task.size for task in tasks], self.budget(share * first))
        for _ in range(MOST_ROUNDS if self.stop.time_s is None else 10**9):
            tasks = [task for task in self.tasks if not task.over]
            if not tasks or whole.reached(self.iterations - begun) or whole.remaining_s < LEAST_S:
                return
            rest = whole.followed_by(
                None if whole.time_s is None else whole.remaining_s,
                None if whole.iterations is None else whole.iterations - (self.iterations - begun),
            )
            weights = [task.size * max(task.gap(), 1e-3) for task in tasks]
            ranked = sorted(zip(weights, tasks, strict=True), key=lambda pair: (-pair[0], pair[1].number))
            if whole.time_s is not None:  # so many that a turn is long enough to find something
                least = max(LEAST_S, whole.remaining_s / 8)
                ranked = ranked[: max(1, int(LANES * whole.remaining_s / least))]
            before = self.iterations, whole.remaining_s
            self.round([task for _, task in ranked], [weight for weight, _ in ranked], rest)
            if self.iterations == before[0] and whole.remaining_s > before[1] - 0.05:
                return

    def assign(self, whole: Ints) -> Ints:
        """The parts' assignments as one of the whole."""
        out = np.array(whole, dtype=np.int32)
        for task in self.tasks:
            task.part.into(out, task.assign)
        return out

    def status(self) -> Status:
        """Of all parts together: proven where each of them is."""
        statuses = {task.status for task in self.tasks}
        for status in ("infeasible", "no_solution", "feasible"):
            if status in statuses:
                return status
        return "optimal"

    def bounds(self) -> Floats:
        return np.asarray(np.sum([task.bounds for task in self.tasks], axis=0))


def solve(
    lowered: Lowered,
    start: Ints,
    run: Run,
    engine: Engine,
    ready: Callable[[Run], None] | None = None,
) -> Answer:
    """Solve each independent part with `engine`; see `drs.solvers.base.Solver`.

    A problem in one part is handed to the engine as it is. `ready` loads and compiles what the engine needs
    before parts are solved side by side: several that wait for it at once would each stop the clock.
    """
    parts = split(lowered)
    limits = move_limits(lowered)
    n_open = sum(bool(part.free.any()) for part in parts)
    if n_open <= 1 and (limits or len(parts) == 1):
        return engine(lowered, start, run, LANES, False)
    call = _Parts(parts, start, run, engine)
    if ready is not None and not all(task.over for task in call.tasks):
        with run.stop.paused():
            ready(run)
    call.mend()
    call.rounds(FIRST_ROUND, FIRST_LIMITED if limits else 1.0)
    assign, status, bounds = call.assign(start), call.status(), call.bounds()
    iterations = call.iterations
    if any(limit.cost(assign, lowered.start) > 1e-6 for limit in limits):
        answer = _within_limit(lowered, call, limits, start)
        assign, status, iterations = answer.assign, answer.status, answer.iterations
        # The first level is bounded by that of the parts without the limit as well; the later ones are not,
        # since what is left of the levels before them may be more.
        bounds = np.maximum(answer.bounds, np.where(np.arange(len(bounds)) == 0, bounds, 0.0))
    elif limits and not run.stop.reached(iterations):
        call.rounds(FIRST_ROUND)
        kept = call.assign(start)
        if not any(limit.cost(kept, lowered.start) > 1e-6 for limit in limits):
            assign, status, bounds = kept, call.status(), call.bounds()
        iterations = call.iterations
    scores = lowered.scores(assign)
    return Answer(
        status, assign, scores, np.minimum(bounds, scores), "auto", run.stop.elapsed_s, iterations,
        run.stop.interrupted, {"parts": n_open},
    )  # fmt: skip


def _within_limit(lowered: Lowered, call: _Parts, limits: Sequence[MoveLimit], start: Ints) -> Answer:
    """Share out the limits along the most useful moves, solve each part again within its share, then all."""
    left = np.array([limit.limit for limit in limits])
    weights = np.array([limit.weight for limit in limits])
    target = _within(call, weights, left)
    taken = [np.flatnonzero(of != task.part.lowered.start).astype(np.int32)
             for task, of in zip(call.tasks, target, strict=True)]  # fmt: skip
    used = np.array([weights[:, task.part.items[items]].sum(axis=1)
                     for task, items in zip(call.tasks, taken, strict=True)])  # fmt: skip
    spare = (left - used.sum(axis=0)) / max(1, sum(len(items) > 0 for items in taken))
    for task, within, items, amount in zip(call.tasks, target, taken, used, strict=True):
        share = amount + (np.floor(spare) if len(items) else 0.0)
        task.limit(share, weights[:, task.part.items], within)
    call.rounds(FIRST_ROUND, WITHIN_LIMIT)
    # What makes a move worthwhile was decided in each part; the sum of all must not undo it.
    as_one = replace(lowered, levels=tuple(replace(level, worth_ratio=0.0) for level in lowered.levels))
    best = call.assign(start)
    if lowered.broken_walls(best) or order.better(as_one, lowered.scores(start), lowered.scores(best)):
        best = np.array(start, dtype=np.int32)
    scores = lowered.scores(best)
    bounds = np.zeros(len(scores))
    kept = Answer(order.status(as_one, scores, bounds), best, scores, bounds, "auto", 0.0, call.iterations)
    if call.stop.reached(call.iterations):
        return kept
    moved = (best != lowered.start) & (lowered.start >= 0)
    spare = left - weights[:, moved].sum(axis=1)
    if not ((weights > 0) & (weights <= spare[:, None] + 1e-9)).all(axis=0).any():
        if call.run.bounds:
            bounds = lower_bounds(as_one, scores, call.budget(1.0), assign=best)
        return replace(kept, status=order.status(as_one, scores, bounds), bounds=bounds)
    try:
        found = call.engine(as_one, best, call.run.within(call.budget(1.0)), LANES, True)
    except Exception:
        log.exception("the search in all parts together failed; the plan of the parts stands")
        return kept
    if as_one.broken_walls(found.assign) or order.better(as_one, scores, found.scores):
        return kept
    return replace(found, iterations=found.iterations + call.iterations)


def _within(call: _Parts, weights: Floats, left: Floats) -> list[Ints]:
    """Each part's assignment within the limits: the best moves of the plans found, or of what was mended."""
    found: list[tuple[Floats, list[Ints]]] = []
    for plans in ([task.assign for task in call.tasks], [task.mended for task in call.tasks]):
        taken = _best_first(call, plans, weights, left)
        within = [np.array(task.part.lowered.start) for task in call.tasks]
        for assign, plan, items in zip(within, plans, taken, strict=True):
            if plan is not None:
                assign[items] = plan[items]
        scores = np.sum(
            [task.part.lowered.scores(a) for task, a in zip(call.tasks, within, strict=True)], axis=0
        )
        found.append((scores, within))
    (one, first), (two, second) = found
    return second if order.lex_less(two, one) else first


def _best_first(call: _Parts, plans: Sequence[Ints | None], weights: Floats, left: Floats) -> list[Ints]:
    """Which items of each part move, so that the limits hold and the first levels gain the most."""
    queues = [
        [] if plan is None else _blocks(task.part.lowered, plan, weights[:, task.part.items])
        for task, plan in zip(call.tasks, plans, strict=True)
    ]
    heap = [(queue[0][0], number, 0) for number, queue in enumerate(queues) if queue]
    heapq.heapify(heap)
    taken: list[list[int]] = [[] for _ in call.tasks]
    left = left.copy()
    while heap:
        _, number, at = heapq.heappop(heap)
        _, items, weight = queues[number][at]
        if (weight <= left + 1e-9).all():
            left -= weight
            taken[number] += items
            if at + 1 < len(queues[number]):
                heapq.heappush(heap, (queues[number][at + 1][0], number, at + 1))
    return [np.array(items, dtype=np.int32) for items in taken]


_Block = tuple[tuple[float, ...], list[int], Floats]


def _blocks(lowered: Lowered, target: Ints, weights: Floats) -> list[_Block]:
    """The moves of a part's plan, the most useful first, in groups that each gain something by themselves.

    Each with its key (change of every level per unit of the first limit, negative is better), its items and
    their weights, f8[n_limits]. Moves that cannot be made one by one (two items that exchange their bins) are
    left out: the part is solved again within its share.
    """
    from drs.solvers.kernel.search import Search

    start = np.asarray(lowered.start)
    moved = [int(item) for item in np.flatnonzero((target != start) & (start >= 0))]
    if not moved:
        return []
    search = Search(fuse(lowered), start.copy())
    unit = np.array([order.close(float(t)) for t in lowered.scores(start)])

    def key(change: Floats) -> tuple[float, ...]:
        return tuple(np.round(change[: len(unit)] / unit).tolist())

    heap = [(key(search.delta(item, int(target[item]))), item) for item in moved]
    heapq.heapify(heap)
    blocks: list[_Block] = []
    held: list[tuple[tuple[float, ...], int]] = []
    items: list[int] = []
    total = np.zeros(len(unit))
    while heap:
        _, item = heapq.heappop(heap)
        change = search.delta(item, int(target[item]))
        now = key(change)
        if change[-1] > 1e-9 or not search.allowed(item, int(target[item])):
            held.append((now, item))  # until another one has made room
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
            blocks.append((tuple(value / per for value in key(total)), items, weight))
            items, total = [], np.zeros(len(unit))
    return blocks


def worthwhile(lowered: Lowered, answer: Answer) -> Answer:
    """The answer without the moves of those parts where nothing is repaired and no goal gains its worth.

    See `Level.worth_ratio`; each independent part is judged by itself.
    """
    if order.misplaced(lowered, answer.assign) or lowered.broken_walls(answer.assign):
        return answer  # no answer at all: whoever checks it has to see it as it is
    assign = np.array(answer.assign, dtype=np.int32)
    for part in split(lowered):
        if not (part.free.any() and _gains(part.lowered, part.of(assign))):
            part.into(assign, part.lowered.start)
    if (assign == answer.assign).all():
        return answer
    scores = lowered.scores(assign)
    # a later level's bound holds under the scores of the levels before it
    worse = scores > answer.scores + 1e-9
    held = np.cumsum(worse) == worse
    bounds = np.minimum(np.where(held, answer.bounds, 0.0), scores)
    return dataclasses.replace(answer, assign=assign, scores=scores, bounds=bounds)


def _gains(lowered: Lowered, assign: Ints) -> bool:
    """Whether the first level that changes for the better gains what makes moving worth it."""
    before, after = lowered.scores(lowered.start), lowered.scores(assign)
    for level, old, new in zip(lowered.levels, before, after, strict=True):
        gain = old - new
        if gain > 1e-6 * max(1.0, abs(old)):
            return bool(gain >= level.worth_ratio * old)
    return False
