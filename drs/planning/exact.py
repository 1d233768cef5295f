"""The schedule as a constraint program (CP-SAT): intervals with room on both hosts, links and cost units.

A leg is an interval of fixed length at its planned share. It occupies its old host until it ends and the new
one from its start, which makes each row of room a cumulative constraint with intervals of open length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drs.planning.list_schedule import Shares
from drs.planning.tasks import Rows, Tasks

Floats = NDArray[np.float64]

TICKS_PER_S = 100
"""Durations are rounded up to 10 ms."""


@dataclass(frozen=True, eq=False)
class Solved:
    """Starts found (None: none), the bound proved for the planned durations, and whether they agree."""

    start_s: Floats | None
    bound_s: float
    optimal: bool


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

    The whole at first; then, while it is neither proved nor near the bound, neighbourhoods around the legs
    that end last, the order of the others kept. None where there is nothing to gain.
    """
    n = len(tasks)
    if n < 2:
        return None
    work = work if work is not None else (1.5 if n <= 300 else 2.5 if n <= 1000 else 1.0)
    wall = (lambda: None) if time_s is None else (lambda: 0.8 * stop.remaining_s)
    interrupted = (lambda: stop.interrupted) if stop is not None else None
    first = solve_exact(tasks, shares, start_s, least_s=least_s, work=work, time_s=wall(), seed=seed,
                        interrupted=interrupted)  # fmt: skip
    if first.start_s is None or first.optimal:
        return first
    best, bound = first.start_s, first.bound_s
    rng = np.random.default_rng(seed)
    length = shares.total_s
    size = 60
    fails = 0
    rounds = 6 if n <= 300 else 2 if n <= 1000 else 0
    for _ in range(rounds):
        makespan = float((best + length).max())
        if makespan <= bound * 1.01 or fails >= 3 or (interrupted is not None and interrupted()):
            break
        if time_s is not None and (stop.remaining_s < 0.3):
            break
        free = _neighbourhood(tasks, shares, best, size, rng)
        again = solve_exact(tasks, shares, best, free_tasks=free, least_s=bound, work=work / 5, time_s=wall(),
                            seed=seed, interrupted=interrupted)  # fmt: skip
        if again.start_s is not None and float((again.start_s + length).max()) < makespan - 0.02:
            best, fails = again.start_s, 0
        else:
            fails += 1
            size = min(n, int(size * 1.5))
    return Solved(best, bound, False)


def _neighbourhood(
    tasks: Tasks, shares: Shares, start_s: Floats, size: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Legs on the way to the last end: from it backwards over whoever ended just when the next began."""
    n = len(tasks)
    end = start_s + shares.total_s
    free = np.zeros(n, dtype=np.bool_)
    todo = [int(end.argmax())]
    seen = set(todo)
    while todo and free.sum() < size:
        i = todo.pop(int(rng.integers(len(todo))) if rng.random() < 0.3 else 0)
        free[i] = True
        touching = np.flatnonzero((np.abs(end - start_s[i]) < 0.5) | (np.abs(start_s - start_s[i]) < 0.5)
                                  | (np.abs(start_s + shares.line_s - start_s[i]) < 0.5))  # fmt: skip
        for j in rng.permutation(touching)[:8].tolist():
            if j not in seen:
                seen.add(j)
                todo.append(j)
    if free.sum() < size:
        at = float(rng.random()) * float(end.max())
        near = np.argsort(np.abs(start_s + shares.total_s / 2 - at))
        free[near[: size - int(free.sum())]] = True
    return free


def solve_exact(
    tasks: Tasks,
    shares: Shares,
    hint_s: Floats,
    *,
    free_tasks: NDArray[np.bool_] | None = None,
    least_s: float = 0.0,
    work: float = 2.0,
    time_s: float | None = None,
    seed: int = 0,
    workers: int = 1,
    interrupted: Any = None,
) -> Solved:
    """Starts of the legs, from a schedule that is feasible.

    Parameters
    ----------
    hint_s : starts of a feasible schedule, f8[n]; the answer is never longer.
    free_tasks : those that may change their order with each other; pairs that are not both free keep the
        order that they have in the hint (a neighbourhood). None: all.
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
    if free_tasks is not None:
        _freeze(model, tasks, shares, start, hint, length, line_length, free_tasks)
    model.minimize(span)
    for i in range(n):
        model.add_hint(start[i], int(hint[i]))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = workers
    solver.parameters.random_seed = seed
    solver.parameters.max_deterministic_time = work
    if time_s is not None:
        solver.parameters.max_time_in_seconds = max(0.01, time_s)
    callback = None
    if interrupted is not None:

        class Watch(cp_model.CpSolverSolutionCallback):  # type: ignore[misc, unused-ignore]
            """Ends the search at its next solution after an interrupt."""

            def on_solution_callback(self) -> None:
                if interrupted():
                    self.stop_search()

        callback = Watch()
    status = solver.solve(model, callback) if callback is not None else solver.solve(model)
    bound = max(least_s, solver.best_objective_bound / TICKS_PER_S)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Solved(None, least_s, False)
    found = np.array([solver.value(start[i]) for i in range(n)], dtype=float) / TICKS_PER_S
    return Solved(found, bound, status == cp_model.OPTIMAL and free_tasks is None)


def _on_ticks(
    tasks: Tasks, shares: Shares, start_s: Floats, length: NDArray[np.int64], line_length: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """A feasible schedule with rounded durations in the same order."""
    from dataclasses import replace

    from drs.planning.list_schedule import run_list

    rounded = replace(shares, total_s=length / TICKS_PER_S, line_s=line_length / TICKS_PER_S)
    order = np.lexsort((np.arange(len(tasks)), start_s))
    again = run_list(tasks, rounded, order)
    if np.isnan(again).any():
        from drs.planning.order import tokens

        edges = tokens(order.tolist(), tasks.free, _amounts(tasks.take), _amounts(tasks.give),
                       (start_s + shares.total_s).tolist(), start_s.tolist())  # fmt: skip
        from drs.planning.tasks import rows_of

        own = tasks.before
        merged = rows_of([
            [(j, 1.0) for j in sorted({*edges[i], *own.row[own.start[i]:own.start[i + 1]].tolist()})]
            for i in range(len(tasks))
        ])  # fmt: skip
        again = run_list(tasks, rounded, order, merged)
        if np.isnan(again).any():
            return None
    return np.asarray(np.rint(again * TICKS_PER_S), dtype=np.int64)


def _amounts(rows: Rows) -> list[tuple[tuple[int, float], ...]]:
    return [
        tuple(zip(rows.row[a:b].tolist(), rows.amount[a:b].tolist(), strict=True))
        for a, b in zip(rows.start[:-1].tolist(), rows.start[1:].tolist(), strict=True)
    ]


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


def _freeze(
    model: Any,
    tasks: Tasks,
    shares: Shares,
    start: Sequence[Any],
    hint: NDArray[np.int64],
    length: NDArray[np.int64],
    line_length: NDArray[np.int64],
    free_tasks: NDArray[np.bool_],
) -> None:
    """Keep the order of neighbours on every row unless both are free."""
    n = len(tasks)
    done: set[tuple[int, int]] = set()
    ends = hint + length
    off = hint + line_length
    for rows, until, is_line in ((tasks.run, ends, False), (shares.line, off, True)):
        for _, who, _ in _grouped(rows, n):
            order = sorted(who, key=lambda i: (hint[i], i))
            for a, b in pairwise(order):
                if (free_tasks[a] and free_tasks[b]) or (a, b) in done:
                    continue
                if until[a] <= hint[b]:
                    done.add((a, b))
                    model.add(start[b] >= start[a] + int(line_length[a] if is_line else length[a]))
