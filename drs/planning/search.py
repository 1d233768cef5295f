"""The search for a short schedule: lists in several orders, CP-SAT, and the fluid simulation as the judge."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drs.planning import order as ordering
from drs.planning.bounds import Bound, earliest_starts, makespan_bound
from drs.planning.fluid import Flows, Timed, run_fluid
from drs.planning.list_schedule import Shares, run_list, with_links
from drs.planning.pricing import Priced, Pricer
from drs.planning.tasks import Rows, Tasks, rows_of
from drs.stop import OnProgress, Progress, Stop

Floats = NDArray[np.float64]
Order = NDArray[np.int64]

GOOD_ENOUGH = 1.01
"""A schedule this close to the bound (a factor) is not searched further."""

NEAR_ENOUGH = 1.08
"""The same for more than 1,000 legs, where CP-SAT takes longest."""

EXACT_AT_MOST = 2500
"""Legs that CP-SAT is asked about at once."""


@dataclass(eq=False)
class Found:
    """The schedule chosen."""

    timed: Timed
    bound: Bound
    method: str
    planned_bound_s: float = 0.0
    """What CP-SAT proved for legs that each have their whole path; 0 where it was not asked."""
    optimal: bool = False
    """Whether CP-SAT proved the schedule optimal for legs that each have their whole path."""
    stats: dict[str, float | int | str] = field(default_factory=dict)


def search(
    tasks: Tasks,
    pricer: Pricer,
    priced: Priced,
    flows: Flows,
    *,
    method: str,
    seed: int,
    stop: Stop,
    due_s: Floats | None = None,
    on_progress: OnProgress | None = None,
) -> Found:
    """A short schedule of the tasks, whose own order must be safe one at a time.

    Each leg is planned with its whole path first: fewer at once and faster is shorter than many, since a
    slow pre-copy sends more (Kherbache, Madelaine, Hermenier, UCC 2015). Half the path, and no limit on
    links, are tried as well; the fluid simulation says which is shortest.
    """
    n = len(tasks)
    bound = makespan_bound(tasks, priced.total_s, priced.transferred_mib)
    whole = with_links(tasks, np.ones(n), priced.total_s)
    urgent = tasks.priority
    if due_s is not None:
        urgent = urgent - np.where(np.isfinite(due_s), due_s, 1e12) * 1e-9
    ordered = bool(tasks.pause_s > 0 or np.ptp(urgent) > 0) if n else True
    start, planned = _lists(tasks, whole, urgent, bound.makespan_s, seed, stop)
    found = Found(_best_fluid(tasks, whole, flows, start, bound.makespan_s), bound, "list")
    _tell(on_progress, stop, "list", found)
    enough = GOOD_ENOUGH if n <= 1000 or method == "cpsat" else NEAR_ENOUGH
    wanted = method == "cpsat" or (method == "auto" and not ordered)
    if wanted and n <= EXACT_AT_MOST and planned > bound.makespan_s * enough and not stop.interrupted:
        _exact(tasks, whole, flows, start, found, seed, stop)
        _tell(on_progress, stop, "cpsat", found)
    if n <= 1000 and found.timed.makespan_s > bound.makespan_s * 1.02 and not stop.interrupted:
        for share, name in ((0.5, "half paths"), (0.0, "no limit on links")):
            if stop.remaining_s <= 0:
                break
            _other_share(tasks, pricer, flows, found, urgent, share, name, seed, stop)
    _tell(on_progress, stop, "done", found)
    return found


def _tell(on_progress: OnProgress | None, stop: Stop, stage: str, found: Found) -> None:
    if on_progress is not None:
        makespan = found.timed.makespan_s
        on_progress(Progress(f"schedule: {stage}", stop.elapsed_s, stop.fraction(0), makespan,
                             found.bound.makespan_s))  # fmt: skip


def _lists(
    tasks: Tasks, shares: Shares, urgent: Floats, bound_s: float, seed: int, stop: Stop
) -> tuple[Floats, float]:
    """The best planned starts of several lists, and their makespan.

    Every list is justified: set as late as it can be, and then as early again, which shortens it more often
    than not (P. Tormos, A. Lova, Annals of Operations Research 102, 2001).
    """
    n = len(tasks)
    if not n:
        return np.zeros(0), 0.0
    total = shares.total_s
    load = _line_load(shares, n)
    tail = _tails(tasks, total)
    keys = [-(tail + total), -(load + tail), np.arange(n, dtype=float), -total]
    if n > 1000:
        keys = keys[:2]
    back = None if tasks.pause_s > 0 or len(tasks.hours.row) or np.ptp(urgent) > 0 else _reversed(tasks)
    rounds = int(np.clip(4_000 // n, 0, 60))
    rng = np.random.default_rng(seed)
    best: tuple[float, Floats] | None = None
    for k in range(len(keys) + rounds):
        if best is not None and stop.reached(k):
            break
        if k < len(keys):
            key = keys[k]
        elif best is None:
            break
        else:
            if best[0] <= bound_s * GOOD_ENOUGH:
                break
            # Near the best so far: starts shaken by up to some part of the makespan.
            key = best[1] + rng.normal(0.0, rng.choice([0.02, 0.05, 0.15]) * best[0], n)
            if k % 4 == 0:
                key = key - rng.random() * (tail + total)
        order = np.lexsort((np.arange(n), key, -urgent))
        start = run_list(tasks, shares, order, careful=True)
        if np.isnan(start).any():
            continue
        makespan = float((start + total).max())
        for _ in range(4 if n <= 1000 else 1):
            if back is None or makespan <= bound_s * GOOD_ENOUGH:
                break
            again = _justified(tasks, back, shares, start)
            if again is None or float((again + total).max()) >= makespan - 1e-6:
                break
            start, makespan = again, float((again + total).max())
        if best is None or makespan < best[0] - 1e-9:
            best = (makespan, start)
    if best is None:
        start = run_list(tasks, shares, np.arange(n), _in_turn(tasks))
        return start, float((start + total).max())
    return best[1], best[0]


def _reversed(tasks: Tasks) -> Tasks:
    """The same legs with time running backwards: from the target to today, giving what they took."""
    n = len(tasks)
    free = tasks.free.copy()
    np.subtract.at(free, tasks.take.row, tasks.take.amount)
    np.add.at(free, tasks.give.row, tasks.give.amount)
    after: list[list[tuple[int, float]]] = [[] for _ in range(n)]
    for i in range(n):
        for j in tasks.before.row[tasks.before.start[i] : tasks.before.start[i + 1]].tolist():
            after[j].append((i, 1.0))
    return dataclasses.replace(
        tasks, free=np.maximum(free, 0.0), take=tasks.give, give=tasks.take, before=rows_of(after)
    )


def _justified(tasks: Tasks, back: Tasks, shares: Shares, start: Floats) -> Floats | None:
    """The schedule pushed to its end and then to its beginning; None where that ran into a deadlock."""
    n = len(tasks)
    mirror = run_list(back, shares, np.lexsort((np.arange(n), -(start + shares.total_s))), careful=True,
                      witness=np.arange(n)[::-1])  # fmt: skip
    if np.isnan(mirror).any():
        return None
    late = float((mirror + shares.total_s).max()) - (mirror + shares.total_s)
    again = run_list(tasks, shares, np.lexsort((np.arange(n), late)), careful=True)
    return None if np.isnan(again).any() else again


def _in_turn(tasks: Tasks) -> Rows:
    """Everything after those that make its room in the tasks' own order: never a deadlock."""
    take, give = amounts_of(tasks.take), amounts_of(tasks.give)
    edges = ordering.tokens(range(len(tasks)), tasks.free, take, give)
    return merged(tasks, edges)


def merged(tasks: Tasks, edges: Sequence[Sequence[int]]) -> Rows:
    """Edges of room beside the tasks' own predecessors."""
    own = tasks.before
    return rows_of([
        [(j, 1.0) for j in sorted({*edges[i], *own.row[own.start[i] : own.start[i + 1]].tolist()})]
        for i in range(len(tasks))
    ])  # fmt: skip


def amounts_of(rows: Rows) -> list[tuple[tuple[int, float], ...]]:
    """CSR as one tuple of (row, amount) for each task."""
    return [
        tuple(zip(rows.row[a:b].tolist(), rows.amount[a:b].tolist(), strict=True))
        for a, b in zip(rows.start[:-1].tolist(), rows.start[1:].tolist(), strict=True)
    ]


def _line_load(shares: Shares, n: int) -> Floats:
    """Work on the busiest link of each leg, in seconds."""
    owner = np.repeat(np.arange(n), np.diff(shares.line.start))
    work = shares.line.amount * shares.line_s[owner]
    summed = np.bincount(shares.line.row, weights=work, minlength=len(shares.line_mbps))
    per_line = summed / np.maximum(shares.line_mbps, 1e-9)
    load = np.zeros(n)
    np.maximum.at(load, owner, per_line[shares.line.row])
    return load


def _tails(tasks: Tasks, total_s: Floats) -> Floats:
    """How long what waits for each leg's room takes at least after its end, f8[n]."""
    n = len(tasks)
    head = earliest_starts(tasks, total_s)
    tail = np.zeros(n)
    edges = ordering.tokens(range(n), tasks.free, amounts_of(tasks.take), amounts_of(tasks.give))
    own = tasks.before
    for i in sorted(range(n), key=lambda i: (-head[i], -i)):
        for j in {*edges[i], *own.row[own.start[i] : own.start[i + 1]].tolist()}:
            tail[j] = max(tail[j], tail[i] + total_s[i])
    return tail


def _best_fluid(tasks: Tasks, shares: Shares, flows: Flows, start: Floats, bound_s: float) -> Timed:
    """The planned schedule with true rates: as planned, and started as early as its order allows."""
    n = len(tasks)
    if not n:
        return run_fluid(tasks, shares, flows, np.zeros(0, dtype=np.int64))
    end = start + shares.total_s
    order = np.lexsort((np.arange(n), start))
    edges = ordering.tokens(
        order.tolist(),
        tasks.free,
        amounts_of(tasks.take),
        amounts_of(tasks.give),
        end.tolist(),
        start.tolist(),
    )
    before = merged(tasks, edges)
    best: Timed | None = None
    for held in (False, True):
        timed = run_fluid(
            tasks,
            shares,
            flows,
            order,
            before=before,
            not_before=np.maximum(0.0, start - 0.02) if held else None,
        )
        if best is None or timed.makespan_s < best.makespan_s - 1e-9:
            best = timed
        if best.makespan_s <= bound_s * GOOD_ENOUGH:
            break
    assert best is not None
    return best


def _exact(
    tasks: Tasks, shares: Shares, flows: Flows, start: Floats, found: Found, seed: int, stop: Stop
) -> None:
    """CP-SAT on the whole, and on neighbourhoods where that is too much; keeps what is shorter."""
    from drs.planning.exact import improve

    budget_s = None if stop.time_s is None else stop.remaining_s
    solved = improve(tasks, shares, start, found.bound.makespan_s, seed=seed, time_s=budget_s, stop=stop)
    if solved is None:
        return
    found.planned_bound_s, found.optimal = solved.bound_s, solved.optimal
    if solved.start_s is not None:
        timed = _best_fluid(tasks, shares, flows, solved.start_s, found.bound.makespan_s)
        if timed.makespan_s < found.timed.makespan_s - 1e-9:
            found.timed, found.method = timed, "cpsat"


def _other_share(
    tasks: Tasks, pricer: Pricer, flows: Flows, found: Found, urgent: Floats, share: float, name: str,
    seed: int, stop: Stop,
) -> None:  # fmt: skip
    n = len(tasks)
    price = pricer.price(tasks.legs, share or 1.0)
    if not np.isfinite(price.total_s).all():
        return
    shares = with_links(tasks, np.full(n, share), price.total_s)
    short = Stop(None if stop.time_s is None else stop.remaining_s, iterations=8)
    start, _ = _lists(tasks, shares, urgent, found.bound.makespan_s, seed, short)
    timed = _best_fluid(tasks, shares, flows, start, found.bound.makespan_s)
    if timed.makespan_s < found.timed.makespan_s * 0.99:
        found.timed, found.method = timed, f"list, {name}"
        found.optimal = False
