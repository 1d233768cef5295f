"""Compiled loops of the serial schedule. Imported only when a plan is made, because numba is slow to import."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

TINY = 1e-7
SAME = 1e-6
"""Moments this close (s) are one."""


@njit(cache=True)
def allowed_from(i: int, time: float, duration: float, hours_start: Any, hours: Any) -> float:
    """The earliest time from which task i may run for so long outside its forbidden hours."""
    for k in range(hours_start[i], hours_start[i + 1], 2):
        if time < hours[k + 1] and time + duration > hours[k] + 1e-9:
            time = hours[k + 1]
    return time


@njit(cache=True)
def split(times: Any, levels: Any, first: int, n: int, time: float, base: float) -> int:
    """Make `time` a breakpoint of a step function; returns its place, negative - 1 where it was one."""
    at = n
    while at > 0 and times[first + at - 1] > time:
        at -= 1
    if at > 0 and times[first + at - 1] == time:
        return -at
    for k in range(n, at, -1):
        times[first + k] = times[first + k - 1]
        levels[first + k] = levels[first + k - 1]
    times[first + at] = time
    levels[first + at] = base if at == 0 else levels[first + at - 1]
    return at


@njit(cache=True)
def add(
    times: Any, levels: Any, first: int, n: int, since: float, until: float, amount: float, base: float
) -> int:
    """Add an amount to a step function between two moments; returns its number of breakpoints."""
    at = split(times, levels, first, n, since, base)
    if at < 0:
        at = -at - 1
    else:
        n += 1
    end = n
    if until < np.inf:
        end = split(times, levels, first, n, until, base)
        if end < 0:
            end = -end - 1
        else:
            n += 1
    for k in range(at, end):
        levels[first + k] += amount
    return n


@njit(cache=True)
def free_from(
    times: Any, levels: Any, first: int, n: int, amount: float, time: float, length: float
) -> float:
    """The earliest moment from which a step function has so much left for so long."""
    need = amount - TINY * (1.0 + amount)
    k = 0
    while k < n and times[first + k] <= time:
        k += 1
    k -= 1
    # Level k holds from times[k] on; what comes before the first breakpoint is not used by anyone.
    while k < n and (k < 0 or times[first + k] < time + length):
        if k >= 0 and levels[first + k] < need:
            if k + 1 >= n:
                return np.inf
            time = times[first + k + 1]
        k += 1
    return time


@njit(cache=True)
def serial_schedule(
    order: Any,
    duration: Any,
    free: Any,
    take_start: Any,
    take_row: Any,
    take_amount: Any,
    give_start: Any,
    give_row: Any,
    give_amount: Any,
    slot_capacity: Any,
    run_start: Any,
    run_row: Any,
    run_amount: Any,
    line_capacity: Any,
    line_start: Any,
    line_row: Any,
    line_amount: Any,
    line_s: Any,
    before_start: Any,
    before_row: Any,
    hours_start: Any,
    hours: Any,
) -> Any:
    """Start of every task: each in turn as early as what was placed before leaves room for it.

    NaN where the order is not safe one at a time.
    """
    n = len(duration)
    n_room, n_slots, n_lines = len(free), len(slot_capacity), len(line_capacity)
    n_rows = n_room + n_slots + n_lines
    # Breakpoints of every row's step function, each row with room for all that it will ever get.
    count = np.zeros(n_rows + 1, dtype=np.int64)
    for k in range(len(take_row)):
        count[take_row[k] + 1] += 1
    for k in range(len(give_row)):
        count[give_row[k] + 1] += 1
    for k in range(len(run_row)):
        count[n_room + run_row[k] + 1] += 2
    for k in range(len(line_row)):
        count[n_room + n_slots + line_row[k] + 1] += 2
    for r in range(n_rows):
        count[r + 1] += count[r]
    times = np.empty(count[n_rows])
    levels = np.empty(count[n_rows])
    used = np.zeros(n_rows, dtype=np.int64)
    start = np.full(n, np.nan)
    for o in range(n):
        i = order[o]
        time = 0.0
        for k in range(take_start[i], take_start[i + 1]):
            r = take_row[k]
            need = take_amount[k] - TINY * (1.0 + take_amount[k])
            first, at = count[r], used[r]
            # Room once taken is taken for good, so it must be there from some moment on.
            while at > 0 and levels[first + at - 1] >= need:
                at -= 1
            if at > 0:
                if at == used[r]:
                    return start
                time = max(time, times[first + at])
            elif free[r] < need:
                if used[r] == 0:
                    return start
                time = max(time, times[first])
        for k in range(before_start[i], before_start[i + 1]):
            j = before_row[k]
            if np.isnan(start[j]):
                return start
            time = max(time, start[j] + duration[j])
        again = True
        while again:
            begun = time
            time = allowed_from(i, time, duration[i], hours_start, hours)
            for k in range(line_start[i], line_start[i + 1]):
                r = n_room + n_slots + line_row[k]
                time = free_from(times, levels, count[r], used[r], line_amount[k], time, line_s[i])
            for k in range(run_start[i], run_start[i + 1]):
                r = n_room + run_row[k]
                time = free_from(times, levels, count[r], used[r], run_amount[k], time, duration[i])
            if time == np.inf:
                return start
            again = time > begun
        start[i] = time
        end = time + duration[i]
        for k in range(take_start[i], take_start[i + 1]):
            r = take_row[k]
            used[r] = add(times, levels, count[r], used[r], time, np.inf, -take_amount[k], free[r])
        for k in range(give_start[i], give_start[i + 1]):
            r = give_row[k]
            used[r] = add(times, levels, count[r], used[r], end, np.inf, give_amount[k], free[r])
        for k in range(run_start[i], run_start[i + 1]):
            r = n_room + run_row[k]
            used[r] = add(
                times, levels, count[r], used[r], time, end, -run_amount[k], slot_capacity[run_row[k]]
            )
        if line_s[i] > 0.0:
            for k in range(line_start[i], line_start[i + 1]):
                r = n_room + n_slots + line_row[k]
                used[r] = add(
                    times, levels, count[r], used[r], time, time + line_s[i], -line_amount[k],
                    line_capacity[line_row[k]],
                )  # fmt: skip
    return start


@njit(cache=True)
def push(heap: Any, n: int, key: Any, i: int) -> int:
    """Put i on a binary heap by its key; returns the heap's size."""
    at = n
    heap[at] = i
    while at > 0:
        up = (at - 1) // 2
        if key[heap[up]] <= key[heap[at]]:
            break
        heap[up], heap[at] = heap[at], heap[up]
        at = up
    return n + 1


@njit(cache=True)
def pop(heap: Any, n: int, key: Any) -> int:
    """Take the first from a binary heap of n; it stands at place n - 1 then."""
    first = heap[0]
    n -= 1
    heap[0] = heap[n]
    at = 0
    while True:
        least = at
        for down in (2 * at + 1, 2 * at + 2):
            if down < n and key[heap[down]] < key[heap[least]]:
                least = down
        if least == at:
            break
        heap[least], heap[at] = heap[at], heap[least]
        at = least
    heap[n] = first
    return first


@njit(cache=True)
def greedy_order(
    place: Any,
    room: Any,
    done: Any,
    take_start: Any,
    take_row: Any,
    take_amount: Any,
    give_start: Any,
    give_row: Any,
    give_amount: Any,
    before_start: Any,
    before_row: Any,
    order: Any,
) -> int:
    """Whoever is not done goes by its place as soon as it has room; returns how many could, `order` says how.

    `room` and `done` are changed.
    """
    n, n_rows = len(place), len(room)
    queue = np.full(n_rows + n, -1)
    following = np.full(n, -1)
    heap = np.empty(n, dtype=np.int64)
    n_heap = 0
    for i in range(n):
        if not done[i]:
            n_heap = push(heap, n_heap, place, i)
    n_order = 0
    while n_heap > 0:
        i = pop(heap, n_heap, place)
        n_heap -= 1
        blocked = -1
        for k in range(before_start[i], before_start[i + 1]):
            if not done[before_row[k]]:
                blocked = n_rows + before_row[k]
                break
        if blocked < 0:
            for k in range(take_start[i], take_start[i + 1]):
                if room[take_row[k]] - take_amount[k] < -TINY * (1.0 + take_amount[k]):
                    blocked = take_row[k]
                    break
        if blocked >= 0:
            following[i] = queue[blocked]
            queue[blocked] = i
            continue
        done[i] = True
        order[n_order] = i
        n_order += 1
        j = queue[n_rows + i]
        while j >= 0:
            n_heap = push(heap, n_heap, place, j)
            j = following[j]
        for k in range(take_start[i], take_start[i + 1]):
            room[take_row[k]] -= take_amount[k]
        for k in range(give_start[i], give_start[i + 1]):
            r = give_row[k]
            room[r] += give_amount[k]
            j = queue[r]
            queue[r] = -1
            while j >= 0:
                n_heap = push(heap, n_heap, place, j)
                j = following[j]
    return n_order


@njit(cache=True)
def list_users(
    order: Any,
    n_order: int,
    first: Any,
    last: Any,
    user: Any,
    amount: Any,
    take_start: Any,
    take_row: Any,
    take_amount: Any,
    give_start: Any,
    give_row: Any,
    give_amount: Any,
) -> None:
    """Who uses each row and how much, in an order; a give follows the take of the same task."""
    last[:] = first[:-1]
    for w in range(n_order):
        i = order[w]
        for k in range(take_start[i], take_start[i + 1]):
            r = take_row[k]
            user[last[r]] = i
            amount[last[r]] = -take_amount[k]
            last[r] += 1
        for k in range(give_start[i], give_start[i + 1]):
            r = give_row[k]
            user[last[r]] = i
            amount[last[r]] = give_amount[k]
            last[r] += 1


@njit(cache=True)
def safe_order(
    rank: Any,
    witness: Any,
    tries: int,
    free: Any,
    take_start: Any,
    take_row: Any,
    take_amount: Any,
    give_start: Any,
    give_row: Any,
    give_amount: Any,
    before_start: Any,
    before_row: Any,
) -> Any:
    """An order that is safe one at a time and follows `rank` (a permutation) as far as the witness allows.

    A task goes once it has room and the others could still go after it (E. W. Dijkstra's banker's algorithm,
    EWD 108): in the order of the witness, where only those that stand before it there and use its rows need to
    be asked; where that fails, so many times, in any order that is found, which becomes the witness.
    """
    n, n_rows = len(rank), len(free)
    place = np.empty(n, dtype=np.int64)
    for w in range(n):
        place[witness[w]] = w
    first = np.zeros(n_rows + 1, dtype=np.int64)
    for k in range(len(take_row)):
        first[take_row[k] + 1] += 1
    for k in range(len(give_row)):
        first[give_row[k] + 1] += 1
    for r in range(n_rows):
        first[r + 1] += first[r]
    last = np.empty(n_rows, dtype=np.int64)
    user = np.empty(first[n_rows], dtype=np.int64)
    amount = np.empty(first[n_rows])
    list_users(
        witness, n, first, last, user, amount, take_start, take_row, take_amount, give_start, give_row,
        give_amount,
    )  # fmt: skip
    other = np.empty(n, dtype=np.int64)
    room = free.copy()
    done = np.zeros(n, dtype=np.bool_)
    # Those that wait: a list for each row and for each task.
    queue = np.full(n_rows + n, -1)
    following = np.full(n, -1)
    heap = np.empty(n, dtype=np.int64)
    n_heap = 0
    for i in range(n):
        n_heap = push(heap, n_heap, rank, i)
    order = np.empty(n, dtype=np.int64)
    n_order = 0
    while n_heap > 0:
        i = pop(heap, n_heap, rank)
        n_heap -= 1
        blocked = -1
        unsafe = False
        for k in range(before_start[i], before_start[i + 1]):
            if not done[before_row[k]]:
                blocked = n_rows + before_row[k]
                break
        if blocked < 0:
            for k in range(take_start[i], take_start[i + 1]):
                if room[take_row[k]] - take_amount[k] < -TINY * (1.0 + take_amount[k]):
                    blocked = take_row[k]
                    break
        if blocked < 0:
            for k in range(take_start[i], take_start[i + 1]):
                r = take_row[k]
                level = room[r] - take_amount[k]
                for q in range(first[r], last[r]):
                    j = user[q]
                    if place[j] >= place[i]:
                        break
                    if done[j]:
                        continue
                    level += amount[q]
                    if amount[q] < 0.0 and level < -TINY * (1.0 - amount[q]):
                        unsafe = True
                        blocked = r
                        break
                if unsafe:
                    break
        if unsafe and tries > 0:
            tries -= 1
            then = room.copy()
            gone = done.copy()
            gone[i] = True
            for k in range(take_start[i], take_start[i + 1]):
                then[take_row[k]] -= take_amount[k]
            for k in range(give_start[i], give_start[i + 1]):
                then[give_row[k]] += give_amount[k]
            found = greedy_order(
                place, then, gone, take_start, take_row, take_amount, give_start, give_row, give_amount,
                before_start, before_row, other,
            )  # fmt: skip
            if found == n - n_order - 1:
                for w in range(found):
                    place[other[w]] = w
                list_users(
                    other, found, first, last, user, amount, take_start, take_row, take_amount, give_start,
                    give_row, give_amount,
                )  # fmt: skip
                blocked = -1
        if blocked >= 0:
            following[i] = queue[blocked]
            queue[blocked] = i
            continue
        done[i] = True
        order[n_order] = i
        n_order += 1
        j = queue[n_rows + i]
        while j >= 0:
            n_heap = push(heap, n_heap, rank, j)
            j = following[j]
        for k in range(take_start[i], take_start[i + 1]):
            r = take_row[k]
            room[r] -= take_amount[k]
            j = queue[r]
            queue[r] = -1
            while j >= 0:
                n_heap = push(heap, n_heap, rank, j)
                j = following[j]
        for k in range(give_start[i], give_start[i + 1]):
            r = give_row[k]
            room[r] += give_amount[k]
            j = queue[r]
            queue[r] = -1
            while j >= 0:
                n_heap = push(heap, n_heap, rank, j)
                j = following[j]
    # Whoever still waits for what the witness has changed meanwhile goes as it says.
    if n_order < n:
        found = greedy_order(
            place, room, done, take_start, take_row, take_amount, give_start, give_row, give_amount,
            before_start, before_row, other,
        )  # fmt: skip
        for w in range(found):
            order[n_order + w] = other[w]
        n_order += found
    return order[:n_order]


@njit(cache=True)
def critical_path(
    start: Any,
    duration: Any,
    take_start: Any,
    take_row: Any,
    giver_start: Any,
    giver: Any,
    run_start: Any,
    run_row: Any,
    runner_start: Any,
    runner: Any,
    line_start: Any,
    line_row: Any,
    liner_start: Any,
    liner: Any,
    line_s: Any,
    before_start: Any,
    before_row: Any,
    dice: Any,
) -> Any:
    """One chain of tasks that keep each other waiting, from one that ends last back to the start.

    Where several keep a task waiting, the dice say which: numbers in [0, 1), one for each step.
    """
    n = len(duration)
    end = start + duration
    last = end.max()
    path = np.empty(n, dtype=np.int64)
    seen = np.zeros(n, dtype=np.bool_)
    n_path = 0
    chosen = -1
    n_found = 0
    for i in range(n):
        if end[i] >= last - SAME:
            n_found += 1
            if dice[0] * n_found < 1.0 or chosen < 0:
                chosen = i
    while chosen >= 0:
        i = chosen
        path[n_path] = i
        n_path += 1
        seen[i] = True
        chosen = -1
        n_found = 0
        time = start[i]
        if time <= SAME:
            break
        for k in range(take_start[i], take_start[i + 1]):
            for q in range(giver_start[take_row[k]], giver_start[take_row[k] + 1]):
                j = giver[q]
                if abs(end[j] - time) < SAME and not seen[j]:
                    n_found += 1
                    if chosen < 0 or dice[(n_path + n_found) % n] * n_found < 1.0:
                        chosen = j
        for k in range(line_start[i], line_start[i + 1]):
            for q in range(liner_start[line_row[k]], liner_start[line_row[k] + 1]):
                j = liner[q]
                if abs(start[j] + line_s[j] - time) < SAME and not seen[j]:
                    n_found += 1
                    if chosen < 0 or dice[(n_path + n_found) % n] * n_found < 1.0:
                        chosen = j
        for k in range(run_start[i], run_start[i + 1]):
            for q in range(runner_start[run_row[k]], runner_start[run_row[k] + 1]):
                j = runner[q]
                if abs(end[j] - time) < SAME and not seen[j]:
                    n_found += 1
                    if chosen < 0 or dice[(n_path + n_found) % n] * n_found < 1.0:
                        chosen = j
        for k in range(before_start[i], before_start[i + 1]):
            j = before_row[k]
            if abs(end[j] - time) < SAME and not seen[j]:
                n_found += 1
                if chosen < 0 or dice[(n_path + n_found) % n] * n_found < 1.0:
                    chosen = j
    return path[:n_path]
