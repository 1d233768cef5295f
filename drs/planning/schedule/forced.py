"""What must come before what in every schedule: legs whose room only some others can give.

Where hosts are nearly full the moves hang together in long chains, and these bound the makespan rather than the
bandwidth. All that is said here holds for any schedule in which an arrival takes its room when it starts and a
departure gives it back when it ends.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drs.planning.schedule.tasks import Tasks, amounts_by_row

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

LEGS_AT_MOST = 6000
"""Beyond, the table of pairs is too large; only the legs' own predecessors are known then."""

ROW_AT_MOST = 300
"""Arrivals or departures of one row; longer ones bind no single pair."""

SWEEPS = 20


def forced(tasks: Tasks) -> Bools:
    """Which leg must have ended before which starts: bool[n, n], [j, i] for j before i, transitively closed.

    Suppose j has not ended when i starts. Then just before j ends, i and all that must precede i or j have
    arrived, and neither j nor any of its successors has left: if a row cannot hold that, j comes first. The
    same at the moment when i starts, when none of the successors of i has left either.
    """
    n = len(tasks)
    if n > LEGS_AT_MOST:
        return np.zeros((0, 0), dtype=np.bool_)
    before = np.zeros((n, n), dtype=np.bool_)
    own = tasks.before
    for i in range(n):
        for j in own.row[own.start[i] : own.start[i + 1]].tolist():
            _add(before, j, i)
    arrivals, departures = amounts_by_row(tasks.take), amounts_by_row(tasks.give)
    rows = [
        (float(tasks.free[row]), *arrivals[row], *departures[row])
        for row in sorted(arrivals)
        if row in departures and max(len(arrivals[row][0]), len(departures[row][0])) <= ROW_AT_MOST
    ]
    fresh = np.ones(n, dtype=np.bool_)
    for _ in range(SWEEPS):
        changed = np.zeros(n, dtype=np.bool_)
        for free, who, need, gone, left in rows:
            if fresh[who].any() or fresh[gone].any():
                _deduce(before, free, who, need, gone, left, changed)
        fresh = changed
        if not fresh.any():
            break
    return before


def _deduce(
    before: Bools, free: float, who: NDArray[np.int64], need: Floats, gone: NDArray[np.int64], left: Floats,
    changed: Bools,
) -> None:  # fmt: skip
    """One row: `who` arrive and need so much, `gone` depart and leave so much."""
    tiny = 1e-6 * (1.0 + free + float(need.sum()))
    total = free + float(left.sum())
    # By departure: it and those that come after it; by arrival: those that come before it, itself included.
    after_j = (before[np.ix_(gone, gone)] | np.eye(len(gone), dtype=np.bool_)).astype(float)
    before_i = before[np.ix_(who, who)].T | np.eye(len(who), dtype=np.bool_)
    before_j = before[np.ix_(who, gone)].T
    after_i = before[np.ix_(who, gone)]
    gives = total - after_j @ left
    taken_i = before_i @ need
    both = taken_i[None, :] + (before_j @ need)[:, None] - (before_j * need) @ before_i.T.astype(float)
    at_end = gives[:, None] - both
    shared = after_j @ (after_i * left[None, :]).T
    at_start = gives[:, None] - ((after_i @ left)[None, :] - shared) - taken_i[None, :]
    short = (at_end < -tiny) | (at_start < -tiny)
    short &= ~before[np.ix_(gone, who)]
    for j, i in zip(*np.nonzero(short), strict=True):
        a, b = int(gone[j]), int(who[i])
        if a != b and not before[a, b] and not before[b, a]:
            _add(before, a, b, changed)


def _add(before: Bools, j: int, i: int, changed: Bools | None = None) -> None:
    first = np.append(np.flatnonzero(before[:, j]), j)
    then = np.append(np.flatnonzero(before[i]), i)
    before[np.ix_(first, then)] = True
    if changed is not None:
        changed[first] = True
        changed[then] = True
