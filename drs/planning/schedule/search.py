"""The search for a short schedule: local search, CP-SAT, and the fluid simulation as the judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drs.planning import order as ordering
from drs.planning.pricing import Priced, Pricer
from drs.planning.schedule.bounds import Bound, makespan_bound
from drs.planning.schedule.fluid import Flows, Timed, run_fluid
from drs.planning.schedule.local_search import LocalSearch
from drs.planning.schedule.serial import by_time
from drs.planning.schedule.shares import Shares, with_links
from drs.planning.schedule.tasks import Rows, Tasks, owners, rows_of
from drs.stop import Progress, Run

Floats = NDArray[np.float64]

GOOD_ENOUGH = 1.01
"""A schedule this close to the bound (a factor) is not searched further."""

LEG_ROUNDS = 2_000_000
"""Rounds of the local search times legs, so that its work does not depend on the size."""

ROUNDS = 100, 8000
"""At least and at most."""

SEARCH_SHARE = 0.5
"""Of the time, for the local search; the rest is CP-SAT's."""

EXACT_AT_MOST = 300
"""Legs up to which CP-SAT is asked. Beyond, it improved nothing that the local search had found."""

FIRST_COME = "first come, first served"

EXACT_WORK = 3.0
"""CP-SAT's deterministic time."""

HOURS_SHARE = 0.25
"""Of the rounds, where hours are forbidden: they decide more than the order does, and a round takes longer."""


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
    run: Run,
) -> Found:
    """A short schedule of the tasks, whose own order must be safe one at a time.

    Each leg is planned with its whole path first: fewer at once and faster is shorter than many, since a
    slow pre-copy sends more (Kherbache, Madelaine, Hermenier, UCC 2015). Half the path, and no limit on
    links, are tried as well; the fluid simulation says which is shortest. A schedule in which fewer legs run when
    they may not, or end after they should, is better than a shorter one.
    """
    n, stop, seed = len(tasks), run.stop, run.seed
    bound = makespan_bound(tasks, priced.total_s, priced.transferred_mib)
    if not n:
        return Found(
            run_fluid(tasks, with_links(tasks, np.ones(0), np.zeros(0)), flows, np.arange(0)), bound, "list"
        )
    whole = with_links(tasks, np.ones(n), priced.total_s)
    urgent = tasks.priority
    if np.isfinite(tasks.due_s).any():
        urgent = urgent - np.where(np.isfinite(tasks.due_s), tasks.due_s, 1e12) * 1e-9
    local = LocalSearch(tasks, whole, urgent)
    start = _begin(tasks, local, whole)
    found = Found(best_fluid(tasks, whole, flows, start, bound.makespan_s), bound, "list")
    if not np.ptp(urgent) > 0 and found.timed.makespan_s > bound.makespan_s * GOOD_ENOUGH:
        served = first_come(tasks, priced, flows)
        if _worth(tasks, served) < _worth(tasks, found.timed):
            found = Found(served, bound, FIRST_COME)
    _tell(run, "list", found)
    if method == "list" or tasks.pause_s > 0 or stop.remaining_s <= 0:
        return found
    least_s = bound.makespan_s * GOOD_ENOUGH
    rounds = _rounds(n)
    if len(tasks.hours.row):
        rounds = int(rounds * HOURS_SHARE)
    shorter = local.shorten(start, least_s, rounds, stop.part(SEARCH_SHARE), seed)
    _keep(tasks, whole, flows, shorter, found, "local search")
    _tell(run, "local search", found)
    exact = method == "cpsat" or (n <= EXACT_AT_MOST and not np.ptp(urgent) > 0 and not len(tasks.hours.row))
    if exact and local.makespan(shorter) > least_s and stop.remaining_s > 0:
        _exact(tasks, whole, flows, shorter, found, run)
        _tell(run, "cpsat", found)
    if n <= 1000 and found.timed.makespan_s > bound.makespan_s * 1.02:
        for share, name in ((0.5, "half paths"), (0.0, "no limit on links")):
            if stop.remaining_s <= 0:
                break
            _other_share(tasks, pricer, flows, found, urgent, share, name, run)
    _tell(run, "done", found)
    return found


def _worth(tasks: Tasks, timed: Timed) -> tuple[int, int, float]:
    """What makes one schedule better than another, less is better: legs at forbidden times, late ones, the length."""
    return (*tasks.late(timed.start_s, timed.end_s), timed.makespan_s)


def _rounds(n: int) -> int:
    """Rounds of the local search."""
    least, most = ROUNDS
    return max(least, min(most, LEG_ROUNDS // n))


def schedule_all(tasks: Tasks, priced: Priced, flows: Flows) -> Timed:
    """One schedule of tasks by each compiled kernel, for the sake of the kernels."""
    shares = with_links(tasks, np.ones(len(tasks)), priced.total_s)
    local = LocalSearch(tasks, shares, tasks.priority)
    start = _begin(tasks, local, shares)
    local.forwards.critical_path(start, np.zeros(len(tasks)))
    return run_fluid(tasks, shares, flows, by_time(start))


def _tell(run: Run, stage: str, found: Found) -> None:
    if run.on_progress is not None:  # else the clock is not read
        stop, makespan = run.stop, found.timed.makespan_s
        run.tell(Progress(f"schedule: {stage}", stop.elapsed_s, stop.fraction(0), makespan,
                          found.bound.makespan_s))  # fmt: skip


def _begin(tasks: Tasks, local: LocalSearch, shares: Shares) -> Floats:
    """The best planned starts of several orders."""
    tail = _tails(tasks, shares.total_s)
    return local.begin([-(tail + shares.total_s), -(_line_load(shares, len(tasks)) + tail), -shares.total_s])


def first_come(tasks: Tasks, priced: Priced, flows: Flows) -> Timed:
    """Whatever the limits let run runs, in the tasks' own order: what a hypervisor does with a list of moves."""
    order = np.arange(len(tasks))
    shares = with_links(tasks, np.zeros(len(tasks)), priced.total_s)
    freely = run_fluid(tasks, shares, flows, order)
    in_turn = run_fluid(tasks, shares, flows, order, before=_in_turn(tasks))
    return min(freely, in_turn, key=lambda timed: timed.makespan_s)


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
    owner = owners(shares.line)
    work = shares.line.amount * shares.line_s[owner]
    summed = np.bincount(shares.line.row, weights=work, minlength=len(shares.line_mbps))
    per_line = summed / np.maximum(shares.line_mbps, 1e-9)
    load = np.zeros(n)
    np.maximum.at(load, owner, per_line[shares.line.row])
    return load


def _tails(tasks: Tasks, total_s: Floats) -> Floats:
    """How long what waits for each leg's room takes at least after its end, f8[n]."""
    n = len(tasks)
    tail = np.zeros(n)
    edges = ordering.tokens(range(n), tasks.free, amounts_of(tasks.take), amounts_of(tasks.give))
    own = tasks.before
    for i in reversed(range(n)):
        for j in {*edges[i], *own.row[own.start[i] : own.start[i + 1]].tolist()}:
            tail[j] = max(tail[j], tail[i] + total_s[i])
    return tail


def best_fluid(tasks: Tasks, shares: Shares, flows: Flows, start: Floats, bound_s: float) -> Timed:
    """The planned schedule with true rates: as planned, and started as early as its order allows."""
    n = len(tasks)
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
        if best is None or _worth(tasks, timed) < _worth(tasks, best):
            best = timed
        if best.makespan_s <= bound_s * GOOD_ENOUGH and not any(tasks.late(best.start_s, best.end_s)):
            break
    assert best is not None
    return best


def _keep(tasks: Tasks, shares: Shares, flows: Flows, start: Floats, found: Found, method: str) -> None:
    """Keeps a planned schedule if it is shorter under true rates."""
    timed = best_fluid(tasks, shares, flows, start, found.bound.makespan_s)
    if _worth(tasks, timed) < _worth(tasks, found.timed):
        found.timed, found.method = timed, method


def _exact(tasks: Tasks, shares: Shares, flows: Flows, start: Floats, found: Found, run: Run) -> None:
    """CP-SAT with the best schedule as its hint; keeps what is shorter."""
    from drs.planning.schedule.exact import solve_exact

    solved = solve_exact(
        tasks,
        shares,
        start,
        least_s=found.bound.makespan_s,
        work=EXACT_WORK,
        time_s=None if run.stop.time_s is None else 0.8 * run.stop.remaining_s,
        seed=run.seed,
        interrupted=lambda: run.stop.interrupted,
    )
    found.planned_bound_s = solved.bound_s
    if solved.start_s is not None:
        _keep(tasks, shares, flows, solved.start_s, found, "cpsat")
    found.optimal = solved.optimal and found.method != FIRST_COME


def _other_share(
    tasks: Tasks, pricer: Pricer, flows: Flows, found: Found, urgent: Floats, share: float, name: str,
    run: Run,
) -> None:  # fmt: skip
    n = len(tasks)
    price = pricer.price(tasks.legs, share or 1.0)
    if not np.isfinite(price.total_s).all():
        return
    shares = with_links(tasks, np.full(n, share), price.total_s)
    local = LocalSearch(tasks, shares, urgent)
    start = _begin(tasks, local, shares)
    rounds = _rounds(n) // 10
    start = local.shorten(start, found.bound.makespan_s, rounds, run.stop.part(0.3), run.seed)
    timed = best_fluid(tasks, shares, flows, start, found.bound.makespan_s)
    late, was = tasks.late(timed.start_s, timed.end_s), tasks.late(found.timed.start_s, found.timed.end_s)
    if (*late, timed.makespan_s) < (*was, found.timed.makespan_s * 0.99):
        found.timed, found.method = timed, name
        found.optimal = False
