"""Lower bounds: no schedule of these legs is shorter, however their bandwidth is shared.

A leg takes no less than alone on its whole path, and sends no less. It has a head: what must have happened before it
starts, since its room must have been made (`forced` says by whom), and a tail: what must still happen after its end,
which is its head with time running backwards. So the makespan is at least

- the head, the time and the tail of each leg,
- for each directed link (NICs included) and any of the legs that cross it: their smallest head, the time to carry all
  that they send, and their smallest tail (the preemptive one-machine problem: J. Carlier, European Journal of
  Operational Research 11, 1982),
- the same for each host, network, datastore and user limit, with cost-unit seconds over its capacity,
- for each row of room: the moment when enough can have left for all that arrive, and the shortest of these.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drs.planning.schedule.forced import Bools, forced
from drs.planning.schedule.tasks import Rows, Tasks, amounts_by_row, backwards
from drs.units import MIBPS_PER_MBPS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bound:
    """A lower bound of the makespan, and what it comes from."""

    makespan_s: float
    why: str
    parts_s: dict[str, float]
    """The best bound of each family: leg, link, slots, room."""


def makespan_bound(tasks: Tasks, total_s: Floats, transferred_mib: Floats) -> Bound:
    """The best of the bounds, given what each leg costs alone on its path."""
    if not len(tasks):
        return Bound(0.0, "nothing to do", {})
    before = forced(tasks)
    head = earliest_starts(tasks, total_s, before)
    # Backwards there are no forbidden hours: what they forbid is not seen there.
    tail = earliest_starts(backwards(tasks), total_s, before.T)
    parts = {
        "leg": float((head + total_s + tail).max()),
        "link": _links(tasks, head, tail, transferred_mib),
        "slots": _loads(tasks.run, tasks.slots, head, total_s, tail, tasks.hours),
        "room": max(
            _rooms(tasks, head, total_s, tail),
            _rooms(backwards(tasks), tail, total_s, head),
        ),
    }
    why = max(parts, key=lambda name: parts[name])
    return Bound(parts[why], why, parts)


def earliest_starts(tasks: Tasks, total_s: Floats, before: Bools) -> Floats:
    """When each leg can start at the earliest: enough must have left, predecessors must have ended.

    before : bool[n, n] of `forced`, or empty.
    """
    n = len(tasks)
    head = np.zeros(n)
    hours, own = tasks.hours, tasks.before
    ahead: list[NDArray[Any]] = [own.row[own.start[i] : own.start[i + 1]] for i in range(n)]
    if len(before):
        ahead = [np.flatnonzero(before[:, i]) for i in range(n)]
    waiting = list(_waiting(tasks, before))
    for _ in range(n + 1):
        old = head.copy()
        ends = head + total_s
        for i, need, gone, left in waiting:
            order = np.argsort(ends[gone], kind="stable")
            k = int(np.searchsorted(np.cumsum(left[order]), need))
            if k < len(gone):
                head[i] = max(head[i], ends[gone[order[k]]])
        for i in range(n):
            if len(ahead[i]):
                head[i] = max(head[i], float((head[ahead[i]] + total_s[ahead[i]]).max()))
            for k in range(hours.start[i], hours.start[i + 1], 2):
                if head[i] < hours.amount[k + 1] and head[i] + total_s[i] > hours.amount[k] + 1e-9:
                    head[i] = hours.amount[k + 1]
        if (head <= old + 1e-9).all():
            break
    return head


def _waiting(tasks: Tasks, before: Bools) -> Iterator[tuple[int, float, NDArray[np.int64], Floats]]:
    """Legs that lack room today: what is missing, who leaves before them and how much."""
    arrivals, departures = amounts_by_row(tasks.take), amounts_by_row(tasks.give)
    for row, (who, need) in arrivals.items():
        gone, left = departures.get(row, (np.zeros(0, dtype=np.int64), np.zeros(0)))
        for i, amount in zip(who.tolist(), need.tolist(), strict=True):
            leaving, first = np.ones(len(gone), dtype=np.bool_), amount
            if len(before):
                leaving = ~before[i, gone]
                first += float(need[before[who, i]].sum())
            missing = first - float(tasks.free[row])
            if missing > 1e-6 * (1.0 + first):
                yield i, missing - 1e-6 * (1.0 + first), gone[leaving], left[leaving]


def _links(tasks: Tasks, head: Floats, tail: Floats, transferred_mib: Floats) -> float:
    rows = Rows(tasks.link.start, tasks.link.row, np.ones(len(tasks.link.row)))
    return _loads(
        rows,
        tasks.link_mbps * MIBPS_PER_MBPS,
        head + tasks.setup_s,
        transferred_mib,
        tasks.after_s + tail,
        tasks.hours,
    )


def _loads(
    rows: Rows, capacity: Floats, head: Floats, work: Floats, tail: Floats, hours: Rows | None = None
) -> float:
    """Over rows and sets of their legs: least head + work / capacity + least tail; in `hours` nothing works."""
    best = 0.0
    for row, (who, amount) in amounts_by_row(rows).items():
        busy = amount * work[who] / max(float(capacity[row]), 1e-12)
        closed = [] if hours is None else _closed_to_all(hours, who)
        if closed:
            open_s = one_machine(_open_until(closed, head[who]), busy, np.zeros(len(who)))
            best = max(best, _when_open_for(closed, open_s) + float(tail[who].min()))
        if float(head[who].max() + busy.sum() + tail[who].max()) > best:
            best = max(best, one_machine(head[who], busy, tail[who]))
    return best


def _closed_to_all(hours: Rows, who: NDArray[np.int64]) -> list[tuple[float, float]]:
    """The spans in which none of some legs may run."""
    common: list[tuple[float, float]] | None = None
    for i in who.tolist():
        times = hours.amount[hours.start[i] : hours.start[i + 1]].tolist()
        mine = list(zip(times[::2], times[1::2], strict=True))
        if common is None:
            common = mine
        elif mine != common:
            common = [(max(a, c), min(b, d)) for a, b in common for c, d in mine if max(a, c) < min(b, d)]
        if not common:
            return []
    return common or []


def _open_until(closed: list[tuple[float, float]], time: Floats) -> Floats:
    """How much of the time until some moments is not closed."""
    lost = np.zeros(len(time))
    for begin, end in closed:
        lost += np.clip(time, begin, end) - begin
    return time - lost


def _when_open_for(closed: list[tuple[float, float]], open_s: float) -> float:
    """The first moment until which so much time is not closed."""
    time = open_s
    for begin, end in closed:
        if time > begin + 1e-9:
            time += end - begin
    return time


def one_machine(head: Floats, busy: Floats, tail: Floats) -> float:
    """The largest of least head + sum of times + least tail over all sets of jobs.

    That is the length of Jackson's preemptive schedule: at every moment the job with the longest tail runs.
    """
    order = np.argsort(head, kind="stable").tolist()
    begin, left, after = head.tolist(), busy.tolist(), tail.tolist()
    waiting: list[tuple[float, int]] = []
    time, best, k = 0.0, 0.0, 0
    while k < len(order) or waiting:
        if not waiting:
            time = max(time, begin[order[k]])
        while k < len(order) and begin[order[k]] <= time + 1e-12:
            heapq.heappush(waiting, (-after[order[k]], order[k]))
            k += 1
        _, job = waiting[0]
        until = time + left[job]
        if k < len(order) and begin[order[k]] < until:
            left[job] -= begin[order[k]] - time
            time = begin[order[k]]
            continue
        heapq.heappop(waiting)
        time = until
        best = max(best, time + after[job])
    return best


def _rooms(tasks: Tasks, head: Floats, total_s: Floats, tail: Floats) -> float:
    """All that arrive need enough to have left; the last of them still takes its time."""
    best = 0.0
    departures = amounts_by_row(tasks.give)
    ends = head + total_s
    for row, (who, need) in amounts_by_row(tasks.take).items():
        if row not in departures:
            continue
        gone, left = departures[row]
        order = np.argsort(ends[gone], kind="stable")
        room = float(tasks.free[row]) + np.cumsum(left[order])
        # The arrivals that take longest need their room last at the earliest.
        rest = total_s[who] + tail[who]
        by_time = np.argsort(-rest, kind="stable")
        needed = np.cumsum(need[by_time])
        k = np.searchsorted(room, needed - 1e-6 * (1.0 + needed))
        lacking = (needed > tasks.free[row] + 1e-6 * (1.0 + needed)) & (k < len(gone))
        if lacking.any():
            last = ends[gone[order[k[lacking]]]] + rest[by_time[lacking]]
            best = max(best, float(last.max()))
    return best
