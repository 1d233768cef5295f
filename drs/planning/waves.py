"""Steps, dependency edges and waves of a schedule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drs.planning import order as ordering
from drs.planning.schedule.fluid import Timed
from drs.planning.schedule.tasks import Tasks

Floats = NDArray[np.float64]


def by_start(timed: Timed) -> list[int]:
    """The legs by start time, those that start together in their safe order."""
    order: list[int] = np.lexsort((np.arange(len(timed.start_s)), timed.start_s)).tolist()
    return order


def edges_of(tasks: Tasks, timed: Timed, free: Floats) -> list[tuple[int, ...]]:
    """Who must have ended before each leg: who made its room, and the limits' own order."""
    order = by_start(timed)
    edges = ordering.tokens(
        order, free, tasks.take_raw, tasks.give_raw, timed.end_s.tolist(), timed.start_s.tolist()
    )
    own = tasks.before
    return [
        tuple(sorted({*edges[i], *own.row[own.start[i] : own.start[i + 1]].tolist()}))
        for i in range(len(tasks))
    ]


def waves_of(tasks: Tasks, timed: Timed, edges: Sequence[Sequence[int]]) -> list[int]:
    """The wave of each leg, from 1: after all that it waits for; a wave as a whole is within the limits.

    With a pause between waves they are what starts together.
    """
    n = len(tasks)
    wave = [1] * n
    if tasks.pause_s > 0:
        starts = sorted(set(np.round(timed.start_s, 6).tolist()))
        return [1 + starts.index(round(float(s), 6)) for s in timed.start_s]
    used: list[Floats] = []
    for i in by_start(timed):
        first = 1 + max((wave[j] for j in edges[i]), default=0)
        a, b = tasks.run.start[i], tasks.run.start[i + 1]
        rows, amounts = tasks.run.row[a:b], tasks.run.amount[a:b]
        # The first that has room; a wave of its own takes any leg.
        fits = (
            k
            for k in range(first, len(used) + 1)
            if not len(rows) or (used[k - 1][rows] + amounts <= tasks.slots[rows] + 1e-9).all()
        )
        first = next(fits, max(first, len(used) + 1))
        while len(used) < first:
            used.append(np.zeros(len(tasks.slots)))
        used[first - 1][rows] += amounts
        wave[i] = first
    return wave
