"""Maintenance windows: what fits, best first, and what remains; and spans of hours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from drs.planning.pricing import Leg

Floats = NDArray[np.float64]


def daily(start: datetime, first: time, last: time, days: int = 7) -> list[tuple[float, float]]:
    """Hours that come every day as spans of seconds from `start`: `daily(now, time(8), time(18))`.

    Hours that pass midnight (`first` after `last`) belong to the day on which they begin.
    """
    spans = []
    for day in range(-1, days):
        date = start.date() + timedelta(days=day)
        begin = datetime.combine(date, first, start.tzinfo)
        end = datetime.combine(date, last, start.tzinfo)
        if end <= begin:
            end += timedelta(days=1)
        if (end - start).total_seconds() > 0:
            spans.append((max(0.0, (begin - start).total_seconds()), (end - start).total_seconds()))
    return spans


def closures(legs: Sequence[Leg], edges: Sequence[Sequence[int]]) -> list[frozenset[int]]:
    """For each leg those done with it: what makes its room, and the other leg of a parked VM."""
    of_vm: dict[int, list[int]] = {}
    for i, leg in enumerate(legs):
        of_vm.setdefault(leg.vm, []).append(i)
    closed = []
    for i in range(len(legs)):
        seen: set[int] = set()
        todo = [i]
        while todo:
            j = todo.pop()
            if j in seen:
                continue
            seen.add(j)
            todo.extend(edges[j])
            todo.extend(of_vm[legs[j].vm])
        closed.append(frozenset(seen))
    return closed


def what_fits(
    legs: Sequence[Leg],
    edges: Sequence[Sequence[int]],
    total_s: Floats,
    priority: Floats,
    window_s: float,
    makespan_of: Callable[[list[int]], float],
) -> list[int]:
    """The legs to do within a window, best first: by priority, then by the least time for a VM and its needs.

    Parameters
    ----------
    edges : what makes each leg's room.
    makespan_of : the length of a schedule of some of the legs, in their safe order.
    """
    closed = closures(legs, edges)
    cost = np.array([sum(float(total_s[j]) for j in group) / len(group) for group in closed])
    rank = sorted(range(len(legs)), key=lambda i: (-priority[i], cost[i], i))

    def union(k: int) -> list[int]:
        return sorted(set[int]().union(*(closed[i] for i in rank[:k])))

    low, high = 0, len(rank)
    while low < high:
        middle = (low + high + 1) // 2
        if makespan_of(union(middle)) <= window_s:
            low = middle
        else:
            high = middle - 1
    chosen = set(union(low))
    tries = 0
    for i in rank[low:]:
        if closed[i] <= chosen or tries >= 24:
            continue
        tries += 1
        more = sorted(chosen | closed[i])
        if makespan_of(more) <= window_s:
            chosen = set(more)
    return sorted(chosen)
