"""Compiled loops of the serial schedule. Imported only when a plan is made, because numba is slow to import.

Arguments named `take`, `give`, `run`, `line`, `before` and `hours` are `tasks.Rows`, those named `givers`,
`runners` and `liners` are `tasks.Users`: numba reads their fields as it reads arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from drs.compiled import compiled

TINY = 1e-7
SAME = 1e-6
"""Moments this close (s) are one."""


@compiled(inline="always")
def allowed_from(i: int, time: float, duration: float, hours: Any) -> float:
    """The earliest time from which task i may run for so long outside its forbidden hours."""
    for k in range(hours.start[i], hours.start[i + 1], 2):
        if time < hours.amount[k + 1] and time + duration > hours.amount[k] + 1e-9:
            time = hours.amount[k + 1]
    return time


@compiled
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


@compiled
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


@compiled
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


@compiled
def tally(count: Any, row: Any, first: int, times: int) -> None:
    """Count the entries of each row, so many times, one place behind `first` + row."""
    for k in range(len(row)):
        count[first + row[k] + 1] += times


@compiled(inline="always")
def lacks_room(i: int, done: Any, room: Any, take: Any, before: Any) -> int:
    """What task i waits for, -1 for nothing: a task that must end before, or a row of room, numbered after these."""
    for k in range(before.start[i], before.start[i + 1]):
        if not done[before.row[k]]:
            return int(before.row[k])
    for k in range(take.start[i], take.start[i + 1]):
        if room[take.row[k]] - take.amount[k] < -TINY * (1.0 + take.amount[k]):
            return len(done) + int(take.row[k])
    return -1


@compiled
def serial_schedule(
    order: Any,
    duration: Any,
    free: Any,
    take: Any,
    give: Any,
    slot_capacity: Any,
    run: Any,
    line_capacity: Any,
    line: Any,
    line_s: Any,
    before: Any,
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
    tally(count, take.row, 0, 1)
    tally(count, give.row, 0, 1)
    tally(count, run.row, n_room, 2)
    tally(count, line.row, n_room + n_slots, 2)
    count = np.cumsum(count)
    times = np.empty(count[n_rows])
    levels = np.empty(count[n_rows])
    used = np.zeros(n_rows, dtype=np.int64)
    start = np.full(n, np.nan)
    for o in range(n):
        i = order[o]
        time = 0.0
        for k in range(take.start[i], take.start[i + 1]):
            r = take.row[k]
            need = take.amount[k] - TINY * (1.0 + take.amount[k])
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
        for k in range(before.start[i], before.start[i + 1]):
            j = before.row[k]
            if np.isnan(start[j]):
                return start
            time = max(time, start[j] + duration[j])
        again = True
        while again:
            begun = time
            time = allowed_from(i, time, duration[i], hours)
            for k in range(line.start[i], line.start[i + 1]):
                r = n_room + n_slots + line.row[k]
                time = free_from(times, levels, count[r], used[r], line.amount[k], time, line_s[i])
            for k in range(run.start[i], run.start[i + 1]):
                r = n_room + run.row[k]
                time = free_from(times, levels, count[r], used[r], run.amount[k], time, duration[i])
            if time == np.inf:
                return start
            again = time > begun
        start[i] = time
        end = time + duration[i]
        for k in range(take.start[i], take.start[i + 1]):
            r = take.row[k]
            used[r] = add(times, levels, count[r], used[r], time, np.inf, -take.amount[k], free[r])
        for k in range(give.start[i], give.start[i + 1]):
            r = give.row[k]
            used[r] = add(times, levels, count[r], used[r], end, np.inf, give.amount[k], free[r])
        for k in range(run.start[i], run.start[i + 1]):
            r = n_room + run.row[k]
            used[r] = add(
                times, levels, count[r], used[r], time, end, -run.amount[k], slot_capacity[run.row[k]]
            )
        if line_s[i] > 0.0:
            for k in range(line.start[i], line.start[i + 1]):
                r = n_room + n_slots + line.row[k]
                used[r] = add(
                    times, levels, count[r], used[r], time, time + line_s[i], -line.amount[k],
                    line_capacity[line.row[k]],
                )  # fmt: skip
    return start


@compiled
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


@compiled
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


@compiled(inline="always")
def wake_all(queue: Any, following: Any, what: int, heap: Any, n_heap: int, rank: Any) -> int:
    """Those that wait for something are ready to be asked again; returns the size of the heap of these."""
    j = queue[what]
    queue[what] = -1
    while j >= 0:
        n_heap = push(heap, n_heap, rank, j)
        j = following[j]
    return n_heap


@compiled
def greedy_order(
    place: Any,
    room: Any,
    done: Any,
    take: Any,
    give: Any,
    before: Any,
    order: Any,
) -> int:
    """Whoever is not done goes by its place as soon as it has room; returns how many could, `order` says how.

    `room` and `done` are changed.
    """
    n, n_rows = len(place), len(room)
    queue = np.full(n + n_rows, -1)
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
        blocked = lacks_room(i, done, room, take, before)
        if blocked >= 0:
            following[i] = queue[blocked]
            queue[blocked] = i
            continue
        done[i] = True
        order[n_order] = i
        n_order += 1
        n_heap = wake_all(queue, following, i, heap, n_heap, place)
        for k in range(take.start[i], take.start[i + 1]):
            room[take.row[k]] -= take.amount[k]
        for k in range(give.start[i], give.start[i + 1]):
            r = give.row[k]
            room[r] += give.amount[k]
            n_heap = wake_all(queue, following, n + r, heap, n_heap, place)
    return n_order


@compiled
def list_users(
    order: Any,
    n_order: int,
    first: Any,
    last: Any,
    user: Any,
    amount: Any,
    take: Any,
    give: Any,
) -> None:
    """Who uses each row and how much, in an order; a give follows the take of the same task."""
    last[:] = first[:-1]
    for w in range(n_order):
        i = order[w]
        for k in range(take.start[i], take.start[i + 1]):
            r = take.row[k]
            user[last[r]] = i
            amount[last[r]] = -take.amount[k]
            last[r] += 1
        for k in range(give.start[i], give.start[i + 1]):
            r = give.row[k]
            user[last[r]] = i
            amount[last[r]] = give.amount[k]
            last[r] += 1


@compiled
def safe_order(
    rank: Any,
    witness: Any,
    tries: int,
    free: Any,
    take: Any,
    give: Any,
    before: Any,
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
    tally(first, take.row, 0, 1)
    tally(first, give.row, 0, 1)
    first = np.cumsum(first)
    last = np.empty(n_rows, dtype=np.int64)
    user = np.empty(first[n_rows], dtype=np.int64)
    amount = np.empty(first[n_rows])
    list_users(witness, n, first, last, user, amount, take, give)
    other = np.empty(n, dtype=np.int64)
    room = free.copy()
    done = np.zeros(n, dtype=np.bool_)
    # Those that wait: a list for each task and for each row.
    queue = np.full(n + n_rows, -1)
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
        blocked = lacks_room(i, done, room, take, before)
        unsafe = False
        if blocked < 0:
            for k in range(take.start[i], take.start[i + 1]):
                r = take.row[k]
                level = room[r] - take.amount[k]
                for q in range(first[r], last[r]):
                    j = user[q]
                    if place[j] >= place[i]:
                        break
                    if done[j]:
                        continue
                    level += amount[q]
                    if amount[q] < 0.0 and level < -TINY * (1.0 - amount[q]):
                        unsafe = True
                        blocked = n + r
                        break
                if unsafe:
                    break
        if unsafe and tries > 0:
            tries -= 1
            then = room.copy()
            gone = done.copy()
            gone[i] = True
            for k in range(take.start[i], take.start[i + 1]):
                then[take.row[k]] -= take.amount[k]
            for k in range(give.start[i], give.start[i + 1]):
                then[give.row[k]] += give.amount[k]
            found = greedy_order(place, then, gone, take, give, before, other)
            if found == n - n_order - 1:
                for w in range(found):
                    place[other[w]] = w
                list_users(other, found, first, last, user, amount, take, give)
                blocked = -1
        if blocked >= 0:
            following[i] = queue[blocked]
            queue[blocked] = i
            continue
        done[i] = True
        order[n_order] = i
        n_order += 1
        n_heap = wake_all(queue, following, i, heap, n_heap, rank)
        for k in range(take.start[i], take.start[i + 1]):
            r = take.row[k]
            room[r] -= take.amount[k]
            n_heap = wake_all(queue, following, n + r, heap, n_heap, rank)
        for k in range(give.start[i], give.start[i + 1]):
            r = give.row[k]
            room[r] += give.amount[k]
            n_heap = wake_all(queue, following, n + r, heap, n_heap, rank)
    # Whoever still waits for what the witness has changed meanwhile goes as it says.
    if n_order < n:
        found = greedy_order(place, room, done, take, give, before, other)
        for w in range(found):
            order[n_order + w] = other[w]
        n_order += found
    return order[:n_order]


@compiled(inline="always")
def drawn(
    j: int, at: float, time: float, seen: Any, chosen: int, n_found: int, n_path: int, dice: Any
) -> tuple[int, int]:
    """The task chosen and the number found so far, once j is known to let go at `at`: any of them alike likely."""
    if abs(at - time) < SAME and not seen[j]:
        n_found += 1
        if chosen < 0 or dice[(n_path + n_found) % len(dice)] * n_found < 1.0:
            chosen = j
    return chosen, n_found


@compiled
def critical_path(
    start: Any,
    duration: Any,
    take: Any,
    givers: Any,
    run: Any,
    runners: Any,
    line: Any,
    liners: Any,
    line_s: Any,
    before: Any,
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
        for k in range(take.start[i], take.start[i + 1]):
            for q in range(givers.start[take.row[k]], givers.start[take.row[k] + 1]):
                j = givers.task[q]
                chosen, n_found = drawn(j, end[j], time, seen, chosen, n_found, n_path, dice)
        for k in range(line.start[i], line.start[i + 1]):
            for q in range(liners.start[line.row[k]], liners.start[line.row[k] + 1]):
                j = liners.task[q]
                chosen, n_found = drawn(j, start[j] + line_s[j], time, seen, chosen, n_found, n_path, dice)
        for k in range(run.start[i], run.start[i + 1]):
            for q in range(runners.start[run.row[k]], runners.start[run.row[k] + 1]):
                j = runners.task[q]
                chosen, n_found = drawn(j, end[j], time, seen, chosen, n_found, n_path, dice)
        for k in range(before.start[i], before.start[i + 1]):
            j = before.row[k]
            chosen, n_found = drawn(j, end[j], time, seen, chosen, n_found, n_path, dice)
    return path[:n_path]
