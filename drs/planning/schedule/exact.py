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

from drs.planning.schedule.shares import Shares
from drs.planning.schedule.tasks import Rows, Tasks

Floats = NDArray[np.float64]

TICKS_PER_S = 100
"""Durations are rounded up to 10 ms."""


@dataclass(frozen=True, eq=False)
class Solved:
    """Starts found (None: none), the bound proved for the planned durations, and whether they agree."""

    start_s: Floats | None
    bound_s: float
    optimal: bool


def solve_exact(
    tasks: Tasks,
    shares: Shares,
    hint_s: Floats,
    *,
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
    horizon = int((hint + length).max())
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
        model.add(end[i] <= span)
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
    # else it leaves the process with the system's own way of a Ctrl-C, which ends it without a word
    solver.parameters.catch_sigint_signal = False
    solver.parameters.random_seed = seed
    solver.parameters.max_deterministic_time = work
    if time_s is not None:
        solver.parameters.max_time_in_seconds = max(0.01, time_s)
    status = _solve(solver, model, interrupted)
    bound = max(least_s, solver.best_objective_bound / TICKS_PER_S)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Solved(None, least_s, False)
    found = np.array([solver.value(start[i]) for i in range(n)], dtype=float) / TICKS_PER_S
    return Solved(found, bound, status == cp_model.OPTIMAL)


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
    from drs.planning.schedule.serial import Serial, by_time

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
