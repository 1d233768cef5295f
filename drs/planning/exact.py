"""The schedule as a constraint program (CP-SAT): intervals with room on both hosts, links and cost units.

A leg is an interval of fixed length at its planned share. It occupies its old host until it ends and the new
one from its start, which makes each row of room a cumulative constraint with intervals of open length.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drs.planning.shares import Shares
from drs.planning.tasks import Rows, Tasks

Floats = NDArray[np.float64]

WHOLE_AT_MOST = 300
"""Legs up to which CP-SAT is asked about the whole schedule even far from the bound."""

NEAR_AT_MOST = 1000
"""The same within a quarter of the bound."""

MOST_IN_WINDOW = 250
"""Legs of one window at most."""

TICKS_PER_S = 100
"""Durations are rounded up to 10 ms."""


@dataclass(frozen=True, eq=False)
class Solved:
    """Starts found (None: none), the bound proved for the planned durations, and whether they agree."""

    start_s: Floats | None
    bound_s: float
    optimal: bool
    work: float = 0.0
    """Deterministic time that was spent."""


def improve(
    tasks: Tasks,
    shares: Shares,
    start_s: Floats,
    least_s: float,
    *,
    seed: int = 0,
    time_s: float | None = None,
    stop: Any = None,
    work: float | None = None,
) -> Solved | None:
    """A shorter schedule than the one given, within a budget of deterministic work.

    The whole at once where that has a chance; then window by window: the legs that start within a window are
    set anew, so that all that comes later moves forward by as much as possible.
    """
    n = len(tasks)
    if n < 2:
        return None
    wall = (lambda: None) if time_s is None else (lambda: 0.6 * stop.remaining_s)
    interrupted = (lambda: stop.interrupted) if stop is not None else (lambda: False)
    best, bound = start_s, least_s
    makespan = float((best + shares.total_s).max())
    if n <= WHOLE_AT_MOST or (n <= NEAR_AT_MOST and makespan <= 1.25 * least_s):
        first = solve_exact(
            tasks,
            shares,
            start_s,
            least_s=least_s,
            work=work or (3.0 if n <= WHOLE_AT_MOST else 2.0),
            time_s=wall(),
            seed=seed,
            interrupted=interrupted,
        )
        bound = first.bound_s
        if first.start_s is not None and float((first.start_s + shares.total_s).max()) < makespan:
            best = first.start_s
        if first.optimal:
            return Solved(best, bound, True)
    best = compress(
        tasks, shares, best, bound, seed=seed, budget=(2.0 if n <= 1000 else 0.4) if work is None else work,
        time_left=wall, interrupted=interrupted,
    )  # fmt: skip
    return Solved(best, bound, False)


def compress(
    tasks: Tasks,
    shares: Shares,
    start_s: Floats,
    least_s: float,
    *,
    seed: int,
    budget: float,
    time_left: Any,
    interrupted: Any,
) -> Floats:
    """A schedule made shorter window by window, until the budget of deterministic work is spent.

    A window are legs that follow each other in the order of starts. Those before stay; those after keep their
    distances and come sooner by what the window gains: each leg of the window ends sooner than it did, or than
    the window's end, by at least as much, so that whoever comes later finds the room and the slots it had.
    """
    from drs.planning.serial import Serial, by_time

    n = len(tasks)
    serial = Serial(tasks, shares)
    best = start_s.copy()
    total = shares.total_s
    span = float((best + total).max())
    rng = np.random.default_rng(seed)
    # Shorter windows than this have no legs that begin and end within.
    length = max(3.0 * float(total.max()), span / 8)
    spent, gains, at = 0.0, 0, 0.0
    while spent < budget and span > least_s * 1.01 and not interrupted():
        left = time_left()
        if left is not None and left < 0.2:
            break
        order = np.lexsort((np.arange(n), best))
        if at >= span:
            if length > span:
                break
            # A sweep that gained something is made again with windows as long, else with longer ones.
            if not gains:
                length *= 1.5
            gains, at = 0, float(rng.random()) * length / 2
        chosen = order[(best[order] >= at) & (best[order] < at + length)][:MOST_IN_WINDOW]
        at = max(at + 0.1 * length, float(best[chosen[len(chosen) // 2]])) if len(chosen) else at + length
        if len(chosen) < 2:
            continue
        gained, used = _window(
            tasks,
            shares,
            best,
            chosen,
            order,
            at_most=budget / 5,
            time_s=left,
            seed=seed,
            interrupted=interrupted,
        )
        spent += max(used, 0.01)
        if gained is None:
            continue
        again = serial.starts(by_time(gained))
        if float((again + total).max()) < span - 1e-6:
            best, span = again, float((again + total).max())
            gains += 1
    return best


def _window(
    tasks: Tasks,
    shares: Shares,
    start_s: Floats,
    chosen: NDArray[np.int64],
    order: NDArray[np.int64],
    *,
    at_most: float,
    time_s: float | None,
    seed: int,
    interrupted: Callable[[], bool],
) -> tuple[Floats | None, float]:
    """The schedule with one window set anew and all later legs moved forward; None where nothing is gained."""
    total, line = shares.total_s, shares.line_s
    end = start_s + total
    first = float(start_s[chosen].min())
    place = np.empty(len(tasks), dtype=np.int64)
    place[order] = np.arange(len(tasks))
    earlier = order[: place[chosen[0]]]
    later = order[place[chosen[-1]] + 1 :]
    if len(later):
        close = float(start_s[later[0]])
        running = earlier[end[earlier] > first + 1e-9]
        due = np.maximum(np.concatenate([end[running], end[chosen]]), close) - first
    else:
        running = earlier[end[earlier] > first + 1e-9]
        due = np.full(
            len(running) + len(chosen),
            max(float(end[chosen].max()), float(end[running].max(initial=0.0))) - first,
        )
    ended = earlier[end[earlier] <= first + 1e-9]
    free = tasks.free.copy()
    for rows, who, sign in ((tasks.take, earlier, -1.0), (tasks.give, ended, 1.0)):
        for i in who.tolist():
            a, b = rows.start[i], rows.start[i + 1]
            np.add.at(free, rows.row[a:b], sign * rows.amount[a:b])
    free = np.maximum(free, 0.0)
    who = np.concatenate([running, chosen])
    n_running = len(running)
    new = {int(i): k for k, i in enumerate(who)}
    rest_s = np.concatenate([end[running] - first, total[chosen]])
    rest_line_s = np.concatenate([np.maximum(0.0, start_s[running] + line[running] - first), line[chosen]])
    part = replace(
        tasks,
        legs=tuple(tasks.legs[i] for i in who),
        free=free,
        take=_some(tasks.take, who, skip=n_running),
        give=_some(tasks.give, who),
        run=_some(tasks.run, who),
        before=_predecessors(tasks.before, who, new),
        hours=_later(_some(tasks.hours, who, skip=n_running), first),
        priority=tasks.priority[who],
    )
    sub = replace(
        shares,
        share=shares.share[who],
        total_s=rest_s,
        line_s=rest_line_s,
        line=_some(shares.line, who),
    )
    hint = np.concatenate([np.zeros(n_running), start_s[chosen] - first])
    tail = float(due.max()) - due
    solved = solve_exact(
        part,
        sub,
        hint,
        work=at_most,
        time_s=time_s,
        seed=seed,
        tail_s=tail,
        n_fixed=n_running,
        interrupted=interrupted,
    )
    if solved.start_s is None:
        return None, solved.work
    found = solved.start_s[n_running:]
    ends = np.concatenate([rest_s[:n_running], found + total[chosen]])
    gain = float((due - ends).min())
    if gain < 0.03:
        return None, solved.work
    again = start_s.copy()
    again[chosen] = found + first
    again[later] -= gain
    return again, solved.work


def _some(rows: Rows, who: NDArray[np.int64], skip: int = 0) -> Rows:
    """The rows of some tasks; the first `skip` of them have none."""
    parts = [np.arange(0)] * skip + [np.arange(rows.start[i], rows.start[i + 1]) for i in who[skip:]]
    start = np.zeros(len(who) + 1, dtype=np.int32)
    np.cumsum([len(part) for part in parts], out=start[1:])
    at = np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)
    return Rows(start, rows.row[at], rows.amount[at])


def _predecessors(before: Rows, who: NDArray[np.int64], new: dict[int, int]) -> Rows:
    from drs.planning.tasks import rows_of

    return rows_of([
        [(new[j], 1.0) for j in before.row[before.start[i] : before.start[i + 1]].tolist() if j in new]
        for i in who.tolist()
    ])  # fmt: skip


def _later(hours: Rows, first: float) -> Rows:
    return Rows(hours.start, hours.row, np.maximum(hours.amount - first, 0.0))


def solve_exact(
    tasks: Tasks,
    shares: Shares,
    hint_s: Floats,
    *,
    tail_s: Floats | None = None,
    n_fixed: int = 0,
    least_s: float = 0.0,
    work: float = 2.0,
    time_s: float | None = None,
    seed: int = 0,
    workers: int = 1,
    interrupted: Callable[[], bool] | None = None,
) -> Solved:
    """Starts of the legs, from a schedule that is feasible.

    Parameters
    ----------
    hint_s : starts of a feasible schedule, f8[n]; the answer is never longer.
    tail_s : what follows each leg: the largest end + tail is minimised (default 0: the makespan).
    n_fixed : so many of the first tasks run already; they start at 0.
    least_s : a lower bound that is known.
    work : CP-SAT's deterministic time; the same on any machine. time_s : wall-clock limit, None for none.
    """
    from ortools.sat.python import cp_model

    n = len(tasks)
    length = np.ceil(shares.total_s * TICKS_PER_S - 1e-6).astype(np.int64)
    line_length = np.maximum(0, np.ceil(shares.line_s * TICKS_PER_S - 1e-6).astype(np.int64))
    hint = _on_ticks(tasks, shares, hint_s, length, line_length)
    if hint is None:
        return Solved(None, least_s, False)
    tail = np.zeros(n, dtype=np.int64)
    if tail_s is not None:
        tail = np.floor(tail_s * TICKS_PER_S + 1e-6).astype(np.int64)
    horizon = int((hint + length + tail).max())
    model = cp_model.CpModel()
    start = []
    for i in range(n):
        spans = range(int(tasks.hours.start[i]), int(tasks.hours.start[i + 1]), 2)
        latest = horizon - int(length[i])
        if len(spans):
            start.append(
                model.new_int_var_from_domain(_outside(cp_model, tasks, i, int(length[i]), latest), f"s{i}")
            )
        else:
            start.append(model.new_int_var(0, latest, f"s{i}"))
    end = [start[i] + int(length[i]) for i in range(n)]
    whole = [model.new_fixed_size_interval_var(start[i], int(length[i]), f"i{i}") for i in range(n)]
    line = {
        i: model.new_fixed_size_interval_var(start[i], int(line_length[i]), f"l{i}")
        for i in range(n)
        if shares.line.start[i] < shares.line.start[i + 1] and line_length[i] > 0
    }
    span = model.new_int_var(math.ceil(least_s * TICKS_PER_S - 1e-6), horizon, "makespan")
    for i in range(n):
        model.add(end[i] + int(tail[i]) <= span)
        if i < n_fixed:
            model.add(start[i] == 0)
        for k in range(tasks.before.start[i], tasks.before.start[i + 1]):
            model.add(start[i] >= end[int(tasks.before.row[k])])
    _cumulatives(model, tasks.run, tasks.slots, dict(enumerate(whole)), n)
    _cumulatives(model, shares.line, shares.line_mbps, line, n)
    _rooms(model, tasks, start, end, horizon, n)
    model.minimize(span)
    for i in range(n):
        model.add_hint(start[i], int(hint[i]))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = workers
    solver.parameters.random_seed = seed
    solver.parameters.max_deterministic_time = work
    if time_s is not None:
        solver.parameters.max_time_in_seconds = max(0.01, time_s)
    status = _solve(solver, model, interrupted)
    bound = max(least_s, solver.best_objective_bound / TICKS_PER_S)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Solved(None, least_s, False)
    found = np.array([solver.value(start[i]) for i in range(n)], dtype=float) / TICKS_PER_S
    return Solved(
        found, bound, status == cp_model.OPTIMAL, work=float(solver.response_proto.deterministic_time)
    )


def _solve(solver: Any, model: Any, interrupted: Callable[[], bool] | None) -> Any:
    """Solve, and stop within a tenth of a second of an interrupt."""
    if interrupted is None:
        return solver.solve(model)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            if interrupted():
                solver.stop_search()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        return solver.solve(model)
    finally:
        over.set()
        watcher.join()


def _on_ticks(
    tasks: Tasks, shares: Shares, start_s: Floats, length: NDArray[np.int64], line_length: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """A feasible schedule with rounded durations in the same order."""
    from drs.planning.serial import Serial, by_time

    rounded = replace(shares, total_s=length / TICKS_PER_S, line_s=line_length / TICKS_PER_S)
    again = Serial(tasks, rounded).starts(by_time(start_s))
    return None if np.isnan(again).any() else np.asarray(np.rint(again * TICKS_PER_S), dtype=np.int64)


def _outside(cp_model: Any, tasks: Tasks, i: int, length: int, latest: int) -> Any:
    """Starts for which leg i does not touch its forbidden hours."""
    spans, at = [], 0
    for k in range(int(tasks.hours.start[i]), int(tasks.hours.start[i + 1]), 2):
        first = math.floor(tasks.hours.amount[k] * TICKS_PER_S) - length
        if first >= at:
            spans.append([at, min(first, latest)])
        at = max(at, math.ceil(tasks.hours.amount[k + 1] * TICKS_PER_S))
    if at <= latest:
        spans.append([at, latest])
    return cp_model.Domain.from_intervals(spans)


def scaled(amounts: Floats, capacity: float) -> tuple[NDArray[np.int64], int]:
    """Amounts and a capacity as integers: exact up to three decimals, else demand up, capacity down."""
    both = np.append(amounts, capacity)
    for factor in (1.0, 10.0, 100.0, 1000.0):
        if np.abs(both * factor - np.rint(both * factor)).max() < 1e-6 and both.max() * factor < 2**40:
            whole = np.rint(both * factor).astype(np.int64)
            return whole[:-1], int(whole[-1])
    factor = 1e6 / max(float(both.max()), 1e-12)
    return np.ceil(amounts * factor - 1e-3).astype(np.int64), math.floor(capacity * factor + 1e-3)


def _cumulatives(model: Any, rows: Rows, capacity: Floats, intervals: dict[int, Any], n: int) -> None:
    for row, who, amount in _grouped(rows, n):
        kept = [k for k, i in enumerate(who) if i in intervals]
        if len(kept) < 2:
            continue
        demand, limit = scaled(amount[kept], float(capacity[row]))
        chosen = [intervals[who[k]] for k in kept]
        lowest = np.sort(demand)[:2]
        if lowest.sum() > limit:
            model.add_no_overlap(chosen)
        elif demand.sum() > limit:
            model.add_cumulative(chosen, demand.tolist(), limit)


def _rooms(model: Any, tasks: Tasks, start: Sequence[Any], end: Sequence[Any], horizon: int, n: int) -> None:
    leavers = {row: (who, amount) for row, who, amount in _grouped(tasks.give, n)}
    for row, coming, need in _grouped(tasks.take, n):
        gone, left = leavers.get(row, ([], np.zeros(0)))
        demand, limit = scaled(np.concatenate([need, left]), float(tasks.free[row]))
        limit += int(demand[len(coming) :].sum())
        if demand.sum() <= limit:
            continue
        intervals = []
        for i in coming:
            size = model.new_int_var(0, horizon, "")
            intervals.append(model.new_interval_var(start[i], size, horizon, ""))
        for j in gone:
            size = model.new_int_var(0, horizon, "")
            model.add(size == end[j])
            intervals.append(model.new_interval_var(0, size, end[j], ""))
        model.add_cumulative(intervals, demand.tolist(), limit)


def _grouped(rows: Rows, n: int) -> list[tuple[int, list[int], Floats]]:
    owner = np.repeat(np.arange(n), np.diff(rows.start))
    order = np.argsort(rows.row, kind="stable")
    row = rows.row[order]
    if not len(row):
        return []
    cuts = [0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), len(row)]
    return [(int(row[a]), owner[order[a:b]].tolist(), rows.amount[order[a:b]]) for a, b in pairwise(cuts)]
