"""Compiled loops of the fluid simulation. Imported only when a plan is made, because numba is slow to import."""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from drs.compiled import compiled
from drs.planning.schedule import kernels
from drs.planning.schedule.kernels import TINY, allowed_from, lacks_room, pop, push, wake_all
from drs.precopy import kernel
from drs.precopy.phases import COPY, DISK, DONE, POST_COPY, STOP

advance = kernel.advance


class Supply(NamedTuple):
    """What there is, f8 each: rows of room, slots, lines (Mbit/s of planned shares) and links (payload bytes/s)."""

    room: Any
    slots: Any
    lines: Any
    links: Any


class Needs(NamedTuple):
    """What the tasks take of it; `Rows` by task where no other shape is given."""

    take: Any
    """Room, from a start on."""
    give: Any
    """Room, from an end on."""
    run: Any
    """Slots, for life."""
    line: Any
    """Lines, until `line_s` after the start or `lead_s` before the end."""
    line_s: Any
    """f8[n]"""
    lead_s: float
    link: Any
    """Links, while there is something to send."""
    users: Any
    """The tasks on each link."""
    cap: Any
    """f8[n], bytes/s of payload: what the path gives one task alone."""


class When(NamedTuple):
    """When a task may start."""

    before: Any
    """Tasks that must have ended, `Rows` by task."""
    hours: Any
    """Spans in which it may not run, `Rows` by task."""
    not_before: Any
    """f8[n], s"""
    guess_s: Any
    """f8[n]: how long it takes at its planned share, to keep clear of the spans."""
    pause_s: float
    """Between one wave and the next; 0: there are no waves."""


class Guests(NamedTuple):
    """What a migration is made of, by task; read only. The names are those of `drs.precopy.kernel.advance`."""

    jobs: Any
    pages: Any
    rates: Any
    cyclic: Any
    rule: Any
    log: Any


class Course(NamedTuple):
    """How far migrations are: `STATE` and the dirty pages of each class; written."""

    states: Any
    dirty: Any


@compiled
def lacks(
    i: int, done: Any, room: Any, slots: Any, lines: Any, take: Any, run: Any, line: Any, before: Any
) -> int:
    """What task i waits for, -1 for nothing: a task, then a row of room, of slots or of lines, numbered in turn."""
    what = lacks_room(i, done, room, take, before)
    if what >= 0:
        return int(what)
    first = len(done) + len(room)
    for k in range(run.start[i], run.start[i + 1]):
        if run.amount[k] > slots[run.row[k]] + TINY * (1.0 + run.amount[k]):
            return first + int(run.row[k])
    first += len(slots)
    for k in range(line.start[i], line.start[i + 1]):
        if line.amount[k] > lines[line.row[k]] + TINY * (1.0 + line.amount[k]):
            return first + int(line.row[k])
    return -1


@compiled
def fill(
    n_flows: int,
    flows: Any,
    cap: Any,
    rate: Any,
    link: Any,
    room: Any,
    n_on: Any,
    touched: Any,
    n_touched: int,
) -> None:
    """Max-min fair rates of some flows by progressive filling.

    The level of all open flows rises together; a flow stops at its own cap, and all flows of a link stop when
    the link is full (D. Bertsekas, R. Gallager, "Data Networks", 1992, section 6.5.2).

    Parameters
    ----------
    flows : the first `n_flows` are those to fill; reordered
    cap, rate : of every flow; the rates are written
    room, n_on : of every link: capacity left and open flows; overwritten
    touched : the first `n_touched` are the links that may fill
    """
    left = n_flows
    while left > 0:
        level = np.inf
        for t in range(n_touched):
            at = touched[t]
            if n_on[at] > 0:
                level = min(level, room[at] / n_on[at])
        lowest = np.inf
        for f in range(left):
            lowest = min(lowest, cap[flows[f]])
        by_cap = lowest <= level
        level = max(level, 0.0)
        kept = 0
        stopped = 0
        for f in range(left):
            i = flows[f]
            stop = by_cap and cap[i] <= level
            if not by_cap:
                for k in range(link.start[i], link.start[i + 1]):
                    at = link.row[k]
                    if n_on[at] > 0 and room[at] / n_on[at] <= level * (1.0 + 1e-12):
                        stop = True
                        break
            if stop:
                rate[i] = min(cap[i], level)
                stopped += 1
                # Kept at the end, so that the links are charged after the pass.
                flows[f] = -1 - i
        for f in range(left):
            if flows[f] < 0:
                i = -1 - flows[f]
                for k in range(link.start[i], link.start[i + 1]):
                    at = link.row[k]
                    if n_on[at] > 0:
                        room[at] = max(0.0, room[at] - rate[i])
                        n_on[at] -= 1
            else:
                flows[kept] = flows[f]
                kept += 1
        left = kept
        if stopped == 0:
            for f in range(left):
                rate[flows[f]] = min(cap[flows[f]], level)
            left = 0


@compiled(kept=False)
def carry(
    i: int, bandwidth: float, seconds: float, pause: bool, course: Course, at: int, guests: Guests
) -> None:
    """Carry migration i forward; how far it is stands in row `at` of `course`."""
    advance(
        guests.jobs[i : i + 1],
        course.states[at : at + 1],
        course.dirty[at : at + 1],
        guests.pages[i : i + 1],
        guests.rates[i : i + 1],
        guests.cyclic[i : i + 1],
        np.full(1, bandwidth),
        np.full(1, seconds),
        guests.rule,
        guests.log,
        pause,
    )


@cache
def fluid_kernel() -> Any:
    """The compiled fluid scheduler, bound to the pre-copy kernel as its source is now.

    Numba's cache does not see a change of a function that is called from another file, so a checksum of those
    files is a cell of the closure and thereby part of the cache's key.
    """
    stamp = zlib.crc32(b"".join(Path(str(file)).read_bytes() for file in (kernel.__file__, kernels.__file__)))

    @compiled
    def fluid(
        order: Any, supply: Supply, needs: Needs, when: When, guests: Guests, course: Course, spare: Course
    ) -> Any:
        free, slot_capacity, line_capacity, link_capacity = supply
        take, give, run, line, line_s, lead, link, flows_on, cap = needs
        before, hours, not_before, guess, pause = when
        states = course.states
        n = len(cap)
        start = np.full(n, np.nan)
        end = np.full(n, np.nan)
        done = np.zeros(n, dtype=np.bool_)
        room = free.copy()
        slots = slot_capacity.copy()
        rank = np.empty(n, dtype=np.int64)
        for o in range(n):
            rank[order[o]] = o
        # Who waits for what: a list for each task and each row of room, slots and lines.
        room_at = n
        slot_at = room_at + len(free)
        line_at = slot_at + len(slot_capacity)
        queue = np.full(line_at + len(line_capacity), -1)
        following = np.full(n, -1)
        ready = np.empty(n, dtype=np.int64)
        n_ready = 0
        asleep = np.empty(n, dtype=np.int64)
        wake_at = not_before.copy()
        n_asleep = 0
        for i in range(n):
            n_asleep = push(asleep, n_asleep, wake_at, i)
        n_waiting = n
        running = np.empty(n, dtype=np.int64)
        n_running = 0
        rate = np.zeros(n)
        since = np.zeros(n)
        event = np.full(n, np.inf)
        on = np.zeros(n, dtype=np.bool_)
        n_links = len(link_capacity)
        asked = np.zeros(n_links)
        link_room = np.zeros(n_links)
        n_on = np.zeros(n_links, dtype=np.int64)
        touched = np.empty(n_links, dtype=np.int64)
        is_touched = np.zeros(n_links, dtype=np.bool_)
        affected = np.empty(n, dtype=np.int64)
        is_affected = np.zeros(n, dtype=np.bool_)
        flows = np.empty(n, dtype=np.int64)
        old_rate = np.zeros(n)
        changed = np.empty(n, dtype=np.int64)
        steps = 0 * stamp
        time = 0.0
        gone = np.empty(n, dtype=np.int64)
        n_gone = 0
        lines = line_capacity.copy()
        holds = np.zeros(n, dtype=np.bool_)
        while n_waiting > 0 or n_running > 0:
            steps += 1
            n_changed = 0
            while n_asleep > 0 and wake_at[asleep[0]] <= time + 1e-9:
                n_ready = push(ready, n_ready, rank, pop(asleep, n_asleep, wake_at))
                n_asleep -= 1
            may_begin = pause <= 0.0 or n_running == 0
            while may_begin and n_ready > 0:
                i = pop(ready, n_ready, rank)
                n_ready -= 1
                later = allowed_from(i, time, guess[i], hours)
                if later > time:
                    wake_at[i] = later
                    n_asleep = push(asleep, n_asleep, wake_at, i)
                    continue
                what = lacks(i, done, room, slots, lines, take, run, line, before)
                if what >= 0:
                    following[i] = queue[what]
                    queue[what] = i
                    continue
                n_waiting -= 1
                holds[i] = True
                for k in range(line.start[i], line.start[i + 1]):
                    lines[line.row[k]] -= line.amount[k]
                start[i] = time
                since[i] = time
                rate[i] = 0.0
                running[n_running] = i
                n_running += 1
                for k in range(take.start[i], take.start[i + 1]):
                    room[take.row[k]] -= take.amount[k]
                for k in range(run.start[i], run.start[i + 1]):
                    slots[run.row[k]] -= run.amount[k]
            wake = wake_at[asleep[0]] if n_asleep > 0 else np.inf
            if n_running == 0:
                if np.isinf(wake):
                    break
                time = wake
                continue
            for g in range(n_gone):
                changed[n_changed] = gone[g]
                n_changed += 1
            n_gone = 0
            # Those that have just started, and whoever began or ended to use a link.
            for r in range(n_running):
                i = running[r]
                phase = states[i].phase
                now_on = phase in (DISK, COPY, STOP, POST_COPY)
                if now_on != on[i]:
                    on[i] = now_on
                    changed[n_changed] = i
                    n_changed += 1
                    for k in range(link.start[i], link.start[i + 1]):
                        asked[link.row[k]] += cap[i] if now_on else -cap[i]
                elif event[i] == np.inf:
                    changed[n_changed] = i
                    n_changed += 1
            # The flows that share a link that may fill with one of those, directly or through others.
            n_affected = 0
            n_touched = 0
            for c in range(n_changed):
                i = changed[c]
                if not is_affected[i]:
                    is_affected[i] = True
                    affected[n_affected] = i
                    n_affected += 1
            at = 0
            while at < n_affected:
                i = affected[at]
                at += 1
                slack = 0.0 if on[i] else cap[i]
                for k in range(link.start[i], link.start[i + 1]):
                    on_link = link.row[k]
                    if is_touched[on_link] or asked[on_link] + slack <= link_capacity[on_link] * (
                        1.0 + 1e-12
                    ):
                        continue
                    is_touched[on_link] = True
                    touched[n_touched] = on_link
                    n_touched += 1
                    for q in range(flows_on.start[on_link], flows_on.start[on_link + 1]):
                        j = flows_on.task[q]
                        if on[j] and not is_affected[j]:
                            is_affected[j] = True
                            affected[n_affected] = j
                            n_affected += 1
            for t in range(n_touched):
                link_room[touched[t]] = link_capacity[touched[t]]
                n_on[touched[t]] = 0
            n_flows = 0
            for a in range(n_affected):
                i = affected[a]
                old_rate[i] = rate[i]
                if on[i]:
                    flows[n_flows] = i
                    n_flows += 1
                    for k in range(link.start[i], link.start[i + 1]):
                        if is_touched[link.row[k]]:
                            n_on[link.row[k]] += 1
                else:
                    rate[i] = cap[i]
            fill(n_flows, flows, cap, rate, link, link_room, n_on, touched, n_touched)
            for t in range(n_touched):
                is_touched[touched[t]] = False
                n_on[touched[t]] = 0
            for a in range(n_affected):
                i = affected[a]
                is_affected[i] = False
                if done[i] or (rate[i] == old_rate[i] and event[i] != np.inf):
                    continue
                if time > since[i]:
                    carry(i, old_rate[i], time - since[i], False, course, i, guests)
                    since[i] = time
                spare.states[0] = states[i]
                spare.dirty[0] = course.dirty[i]
                carry(i, rate[i], np.inf, True, spare, 0, guests)
                event[i] = time + (spare.states[0].clock_s - states[i].clock_s)
                if event[i] == np.inf:
                    event[i] = 1e300
            soonest = wake if pause <= 0.0 else np.inf
            for r in range(n_running):
                i = running[r]
                soonest = min(soonest, event[i])
                if holds[i] and on[i]:
                    soonest = min(soonest, event[i] - lead)
                elif holds[i]:
                    soonest = min(soonest, start[i] + line_s[i])
            if soonest >= 1e299:
                break
            time = max(time, soonest)
            kept = 0
            for r in range(n_running):
                i = running[r]
                # Short ones leave their lines before their set-up ends, and those who follow start then.
                if holds[i] and (event[i] - lead if on[i] else start[i] + line_s[i]) <= time + 1e-9:
                    holds[i] = False
                    for k in range(line.start[i], line.start[i + 1]):
                        lines[line.row[k]] += line.amount[k]
                        n_ready = wake_all(queue, following, line_at + line.row[k], ready, n_ready, rank)
                if event[i] <= time + 1e-9:
                    carry(i, rate[i], np.inf, True, course, i, guests)
                    since[i] = time
                    event[i] = np.inf
                    if states[i].phase == DONE:
                        if holds[i]:
                            holds[i] = False
                            for k in range(line.start[i], line.start[i + 1]):
                                lines[line.row[k]] += line.amount[k]
                                n_ready = wake_all(
                                    queue, following, line_at + line.row[k], ready, n_ready, rank
                                )
                        end[i] = time
                        done[i] = True
                        if on[i]:
                            on[i] = False
                            gone[n_gone] = i
                            n_gone += 1
                            for k in range(link.start[i], link.start[i + 1]):
                                asked[link.row[k]] -= cap[i]
                        n_ready = wake_all(queue, following, i, ready, n_ready, rank)
                        for k in range(give.start[i], give.start[i + 1]):
                            room[give.row[k]] += give.amount[k]
                            n_ready = wake_all(queue, following, room_at + give.row[k], ready, n_ready, rank)
                        for k in range(run.start[i], run.start[i + 1]):
                            slots[run.row[k]] += run.amount[k]
                            n_ready = wake_all(queue, following, slot_at + run.row[k], ready, n_ready, rank)
                        continue
                running[kept] = i
                kept += 1
            n_running = kept
            if pause > 0.0 and n_running == 0:
                time += pause
        return start, end, steps

    return fluid
