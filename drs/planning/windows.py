"""When migrations may run: a window, forbidden hours, deadlines of hosts; and what fits, the best first."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from drs.errors import Fault, InputError, UnknownNameError
from drs.model import Snapshot
from drs.planning.pricing import Leg

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

Hours = Sequence[tuple[float, float]]
"""Spans of time in seconds from the start of the plan."""

IN_TIME_S = 1e-6
"""An end that is later than its limit by no more is in time."""

SINGLE_TRIES = 200
"""Migrations that are tried one by one after the first that has no time."""

V = TypeVar("V")


def daily(
    start: datetime, first: time, last: time, days: int = 7, weekdays: Sequence[int] = range(7)
) -> list[tuple[float, float]]:
    """Hours that come every day as spans of seconds from `start`: `daily(now, time(8), time(18))`.

    Hours that pass midnight (`first` after `last`) belong to the day on which they begin. Equal hours are the
    whole day.

    weekdays : only on these days of the week, 0 is Monday.
    """
    spans = []
    for day in range(-1, days):
        date = start.date() + timedelta(days=day)
        if date.weekday() not in weekdays:
            continue
        begin = datetime.combine(date, first, start.tzinfo)
        end = datetime.combine(date, last, start.tzinfo)
        if end <= begin:
            end += timedelta(days=1)
        if (end - start).total_seconds() > 0:
            spans.append((max(0.0, (begin - start).total_seconds()), (end - start).total_seconds()))
    return spans


def opening(start: datetime, first: time, last: time) -> tuple[float, float]:
    """The next time that these hours of the day are open: seconds from `start` until then, and their length from then.

    Within them it is now, for what is left of them.
    """
    begin_s, end_s = daily(start, first, last, days=3)[0]
    return begin_s, end_s - begin_s


@dataclass(frozen=True)
class Times:
    """When the migrations of a plan may run; positions of VMs and hosts are the keys.

    within_s : all end by then, inf for no matter when.
    by_vm : spans in which a VM may not migrate. by_host : spans in which nothing may leave or reach a host.
    due_s : by host, when all that leaves it must have left: what makes it goes first, the rest follows.
    """

    within_s: float = math.inf
    by_vm: Mapping[int, Hours] = field(default_factory=dict)
    by_host: Mapping[int, Hours] = field(default_factory=dict)
    due_s: Mapping[int, float] = field(default_factory=dict)

    @property
    def unlimited(self) -> bool:
        """Whether everything may run at any time, deadlines apart."""
        return math.isinf(self.within_s) and not self.by_vm and not self.by_host

    def forbidden(self, leg: Leg) -> list[tuple[float, float]]:
        """The spans in which a leg may not run, sorted, those that touch joined."""
        spans = sorted(
            (float(begin), float(end))
            for hours in (self.by_vm.get(leg.vm, ()), self.by_host.get(leg.src, ()), self.by_host.get(leg.dst, ()))
            for begin, end in hours
        )  # fmt: skip
        joined: list[tuple[float, float]] = []
        for begin, end in spans:
            if joined and begin <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(end, joined[-1][1])
            else:
                joined.append((begin, end))
        return joined

    def starts_at(self, leg: Leg, total_s: float) -> float:
        """When a leg that takes so long can start at the earliest, inf for never."""
        start = 0.0
        for begin, end in self.forbidden(leg):
            if start < end and start + total_s > begin + IN_TIME_S:
                start = end
        return start if start + total_s <= self.within_s + IN_TIME_S else math.inf

    def allows(self, leg: Leg, start_s: float, end_s: float) -> bool:
        """Whether a leg may run at that time."""
        return end_s <= self.within_s + IN_TIME_S and not any(
            start_s < end - IN_TIME_S and end_s > begin + IN_TIME_S for begin, end in self.forbidden(leg)
        )


def by_position(
    given: Mapping[int, V] | Mapping[str, V] | None, names: NDArray[np.str_], position: Mapping[str, int], where: str,
    what: str,
) -> dict[int, V]:  # fmt: skip
    """A mapping by names or positions as one by positions.

    Raises
    ------
    UnknownNameError : for each name that is not there.
    InputError : for a position that is not there.
    """
    found: dict[int, V] = {}
    unknown: list[Fault] = []
    outside: list[Fault] = []
    for key, value in (given or {}).items():
        if isinstance(key, str):
            if key in position:
                found[position[key]] = value
            else:
                unknown += UnknownNameError.of(where, key, position, what).faults
        elif 0 <= key < len(names):
            found[int(key)] = value
        else:
            expected = f"the name of a {what}, or its position from 0 to {len(names) - 1}"
            outside.append(Fault(where, f"no {what} at position {key}", expected))
    if outside:
        raise InputError([*unknown, *outside])
    if unknown:
        raise UnknownNameError(unknown)
    return found


def times_of(
    snapshot: Snapshot,
    *,
    window: float | None = None,
    forbidden: Mapping[int, Hours] | Mapping[str, Hours] | None = None,
    forbidden_hosts: Mapping[int, Hours] | Mapping[str, Hours] | None = None,
    deadline_s: float | Mapping[int, float] | Mapping[str, float] | None = None,
) -> Times:
    """The times that names or positions speak of; see `make_plan`."""
    hosts, vms = snapshot.hosts, snapshot.vms
    due: Mapping[int, float] = {}
    if isinstance(deadline_s, Mapping):
        due = by_position(deadline_s, hosts.name, hosts.position, "deadline_s", "host")
    elif deadline_s is not None:
        due = dict.fromkeys(range(len(hosts)), float(deadline_s))
    return Times(
        math.inf if window is None else float(window),
        by_position(forbidden, vms.name, vms.position, "forbidden", "VM"),
        by_position(forbidden_hosts, hosts.name, hosts.position, "forbidden_hosts", "host"),
        due,
    )


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


class Worth(Protocol):
    """What a state on the way is worth to those who ask for the plan."""

    def scores(self, host_idx: Ints) -> Floats:
        """The goals in their order, the less the better."""
        ...

    def holds(self, host_idx: Ints) -> bool:
        """Whether a plan may end there."""
        ...


def what_fits(
    legs: Sequence[Leg],
    edges: Sequence[Sequence[int]],
    total_s: Floats,
    priority: Floats,
    possible: Sequence[bool],
    in_time: Callable[[list[int]], bool],
    worth: tuple[Worth, Ints] | None = None,
) -> list[int]:
    """The legs that there is time for, the more important first.

    Among equals in `priority`, those that gain most for their time, or, without `worth`, as many as can be.

    Parameters
    ----------
    edges : what makes each leg's room.
    possible : whether there is time for a leg by itself.
    in_time : whether a schedule of some of the legs, in their safe order, ends in time.
    worth : what states are worth, and the hosts of today, i4[n_vms].
    """
    closed = closures(legs, edges)
    cost = np.array([sum(float(total_s[j]) for j in group) / len(group) for group in closed])
    hopeful = [i for i in range(len(legs)) if all(possible[j] for j in closed[i])]
    rank = sorted(hopeful, key=lambda i: (-priority[i], cost[i], i))
    if worth is not None:
        rank = _by_gain(legs, closed, rank, total_s, priority, *worth)

    def union(k: int) -> list[int]:
        return sorted(set[int]().union(*(closed[i] for i in rank[:k])))

    def may_end(chosen: set[int]) -> bool:
        return worth is None or worth[0].holds(_after(legs, chosen, worth[1]))

    low, high = 0, len(rank)
    while low < high:
        middle = (low + high + 1) // 2
        if in_time(union(middle)):
            low = middle
        else:
            high = middle - 1
    while low and not may_end(set(union(low))):
        low -= 1
    chosen = set(union(low))
    tries = 0
    for i in rank[low:]:
        if closed[i] <= chosen or tries >= SINGLE_TRIES:
            continue
        tries += 1
        more = chosen | closed[i]
        if may_end(more) and in_time(sorted(more)):
            chosen = more
    return sorted(chosen)


def _after(legs: Sequence[Leg], chosen: set[int], today: Ints) -> Ints:
    """The hosts after some legs in their order, i4[n_vms]."""
    host = today.copy()
    for i in sorted(chosen):
        host[legs[i].vm] = legs[i].dst
    return host


def _by_gain(
    legs: Sequence[Leg], closed: Sequence[frozenset[int]], rank: Sequence[int], total_s: Floats, priority: Floats,
    worth: Worth, today: Ints,
) -> list[int]:  # fmt: skip
    """The legs by what they gain for their time, each after those before it: a greedy order.

    A gain is asked for again when its turn comes, since it changes with what went before (lazy greedy: M. Minoux,
    Optimization Techniques, 1978). What gains nothing any more is left out.
    """
    host = today.copy()
    now = worth.scores(host)
    done: set[int] = set()

    def key(i: int) -> tuple[tuple[float, ...], Floats, Ints]:
        fresh = closed[i] - done
        there = _after(legs, set(fresh), host)
        then = worth.scores(there)
        gain = now - then
        scale = 1e-9 * (1.0 + np.abs(now))
        gain = np.where(np.abs(gain) <= scale, 0.0, gain) / max(1e-9, sum(float(total_s[j]) for j in fresh))
        return (-float(priority[i]), *(-gain).tolist()), then, there

    # The number of the round in which a gain was found stands beside it.
    heap = [(key(i)[0], k, i, 0) for k, i in enumerate(rank)]
    heapq.heapify(heap)
    order: list[int] = []
    since = 0
    while heap:
        known, k, i, round_ = heapq.heappop(heap)
        if closed[i] <= done:
            continue
        if round_ < len(order) and since < len(rank):
            since += 1
            heapq.heappush(heap, (key(i)[0], k, i, len(order)))
            continue
        known, then, there = key(i)
        if next((loss for loss in known[1:] if loss), 0.0) >= 0.0:
            continue
        order.append(i)
        done |= closed[i]
        host, now, since = there, then, 0
    return order
