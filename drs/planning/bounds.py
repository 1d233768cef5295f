"""Lower bounds: no schedule of these legs is shorter, however their bandwidth is shared.

A leg takes no less than alone on its whole path, and sends no less. So the makespan is at least

- the longest leg, begun when the room that it needs can first be there,
- for each directed link (NICs included): the time to carry all that crosses it, after the shortest set-up and
  before the shortest aftermath; also for those legs alone that cannot begin before some moment,
- for each host, network, datastore and user limit: its cost-unit seconds over its capacity,
- for each row of room: the moment when enough can have left for all that arrive, and the shortest of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from drs.planning.order import fits
from drs.planning.tasks import Rows, Tasks
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
    head = earliest_starts(tasks, total_s)
    parts = {
        "leg": float((head + total_s).max()),
        "link": _links(tasks, head, transferred_mib),
        "slots": _loads(tasks.run, tasks.slots, head, total_s, np.zeros_like(total_s), len(tasks)),
        "room": _rooms(tasks, head, total_s),
    }
    why = max(parts, key=lambda name: parts[name])
    return Bound(parts[why], why, parts)


def earliest_starts(tasks: Tasks, total_s: Floats) -> Floats:
    """When each leg can start at the earliest: enough must have left, predecessors must have ended."""
    n = len(tasks)
    head = np.zeros(n)
    hours, before = tasks.hours, tasks.before
    arrivals, leavers = _by_row(tasks.take, n), _by_row(tasks.give, n)
    for _ in range(n + 1):
        changed = False
        ends = head + total_s
        for row, coming in arrivals.items():
            free = float(tasks.free[row])
            waiting = [(i, a) for i, a in coming if not fits(a, free)]
            if not waiting:
                continue
            leaving = sorted((float(ends[j]), a) for j, a in leavers.get(row, ()))
            times = np.array([t for t, _ in leaving])
            room = free + np.cumsum([a for _, a in leaving])
            for i, amount in waiting:
                k = int(np.searchsorted(room, amount - 1e-7 * (1.0 + amount)))
                if k < len(times) and times[k] > head[i] + 1e-9:
                    head[i] = times[k]
                    changed = True
        for i in range(n):
            for k in range(before.start[i], before.start[i + 1]):
                if ends[before.row[k]] > head[i] + 1e-9:
                    head[i] = ends[before.row[k]]
                    changed = True
            for k in range(hours.start[i], hours.start[i + 1], 2):
                if head[i] < hours.amount[k + 1] and head[i] + total_s[i] > hours.amount[k] + 1e-9:
                    head[i] = hours.amount[k + 1]
                    changed = True
        if not changed:
            break
    return head


def _by_row(rows: Rows, n: int) -> dict[int, list[tuple[int, float]]]:
    found: dict[int, list[tuple[int, float]]] = {}
    owner = np.repeat(np.arange(n), np.diff(rows.start))
    for i, row, amount in zip(owner.tolist(), rows.row.tolist(), rows.amount.tolist(), strict=True):
        found.setdefault(row, []).append((i, amount))
    return found


def _links(tasks: Tasks, head: Floats, transferred_mib: Floats) -> float:
    rows = Rows(tasks.link.start, tasks.link.row, np.ones(len(tasks.link.row)))
    return _loads(
        rows,
        tasks.link_mbps * MIBPS_PER_MBPS,
        head + tasks.setup_s,
        transferred_mib,
        tasks.after_s,
        len(tasks),
    )


def _loads(rows: Rows, capacity: Floats, head: Floats, work: Floats, tail: Floats, n: int) -> float:
    """Over rows and over moments: first possible begin + work that begins no sooner / capacity + tail."""
    best = 0.0
    owner = np.repeat(np.arange(n), np.diff(rows.start))
    order = np.lexsort((-head[owner], rows.row))
    owner, row, amount = owner[order], rows.row[order], rows.amount[order]
    for first, last in _runs(row):
        who = owner[first:last]
        done = np.cumsum(amount[first:last] * work[who]) / max(float(capacity[row[first]]), 1e-12)
        least_tail = np.minimum.accumulate(tail[who])
        best = max(best, float((head[who] + done + least_tail).max()))
    return best


def _runs(row: NDArray[np.int32]) -> list[tuple[int, int]]:
    if not len(row):
        return []
    cuts = np.flatnonzero(np.diff(row)) + 1
    edges = [0, *cuts.tolist(), len(row)]
    return list(pairwise(edges))


def _rooms(tasks: Tasks, head: Floats, total_s: Floats) -> float:
    """All that arrive need enough to have left; the last of them still takes its time."""
    n, best = len(tasks), 0.0
    leavers = _by_row(tasks.give, n)
    ends = head + total_s
    for row, coming in _by_row(tasks.take, n).items():
        leaving = sorted((float(ends[j]), a) for j, a in leavers.get(row, ()))
        if not leaving:
            continue
        room = float(tasks.free[row]) + np.cumsum([a for _, a in leaving])
        # The arrivals that take longest need their room last at the earliest.
        by_time = sorted(coming, key=lambda entry: -total_s[entry[0]])
        need = 0.0
        for i, amount in by_time:
            need += amount
            k = int(np.searchsorted(room, need - 1e-7 * (1.0 + need)))
            if need > tasks.free[row] + 1e-7 * (1.0 + need) and k < len(leaving):
                best = max(best, leaving[k][0] + float(total_s[i]))
    return best
