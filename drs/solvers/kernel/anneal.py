"""Annealing over all moves; at temperature 0 it is a descent."""

from __future__ import annotations

import numpy as np

from drs.solvers.kernel.acceptance import draw_threshold
from drs.solvers.kernel.delta import counts_fit, fits, keep_best, price, shift_delta, swap_fits
from drs.solvers.kernel.jit import inline, jit
from drs.solvers.kernel.moves import EJECT, SHIFT, SWAP, WALL, try_bloc, try_eject, try_shift, try_swap
from drs.solvers.kernel.state import below, somewhere, uniform


@inline
def companion(h, i):  # type: ignore[no-untyped-def]
    """Bin of a random item that shares a group with item i, -1 if it has none."""
    g = h.sig[i]
    begin = h.sig_ptr[g]
    counter = h.sig_counter[begin + below(h, h.sig_ptr[g + 1] - begin)]
    if h.n_near > 0 and h.sig_near_ptr[g] < h.sig_near_ptr[g + 1]:
        begin = h.sig_near_ptr[g]
        k = begin + below(h, h.sig_near_ptr[g + 1] - begin)
        counter = h.near_need[h.sig_near[k]] if h.sig_near_part[k] & 1 else h.near_have[h.sig_near[k]]
    begin = h.member_ptr[counter]
    size = h.member_ptr[counter + 1] - begin
    if size == 0:
        return np.int64(-1)
    return np.int64(h.assign[h.member[begin + below(h, size)]])


@inline
def stuck(h, i):  # type: ignore[no-untyped-def]
    """Whether there is no bin for item i but today's."""
    return h.n_reach > 0 and h.reach_ptr[i + 1] - h.reach_ptr[i] < 2


@jit
def find_hot(h, out, worth):  # type: ignore[no-untyped-def]
    """By how much the energy would fall without each item, into `worth` f8[n_items]."""
    for i in range(h.n_items):
        worth[i] = 0.0
        if h.assign[i] >= 0:
            shift_delta(h, i, np.int64(-1), out)
            for level in range(h.n_levels):
                out[level] -= h.nowhere[i * h.n_levels + level]
            worth[i] = -price(h, out)


@jit
def place_waiting(h, out, order, tries):  # type: ignore[no-untyped-def]
    """Give every item in `order` that is nowhere the cheapest bin it fits in; returns how many found one."""
    placed = 0
    for k in range(len(order)):
        i = np.int64(order[k])
        if h.assign[i] >= 0:
            continue
        best = np.int64(-1)
        value = np.inf
        for b in range(h.n_bins):
            if fits(h, i, b) and counts_fit(h, i, np.int64(-1), b):
                shift_delta(h, i, b, out)
                if out[h.n_levels] <= WALL:
                    v = price(h, out)
                    if v < value:
                        value = v
                        best = b
        done = best >= 0 and value < 0.0 and try_shift(h, out, i, best, 0.0)
        if not done and best < 0 and h.n_bins > 0:
            for _ in range(tries):
                done = try_eject(h, out, i, below(h, h.n_bins), 0.0, 16, 6)
                if done:
                    break
        placed += 1 if done else 0
    keep_best(h)
    return placed


@jit
def force_hot(h, out, n, most, longest):  # type: ignore[no-untyped-def]
    """Force one of the `most` dearest items into a bin, `n` times, pushing up to `longest` others out of it.

    Where those that leave make no room (transient resources), a big item's way is soon full of small ones, and
    no short move gets it out again. Kept is only what lowers the energy; returns how often it did.
    """
    made = 0
    most = min(most, np.int64(h.n_hot[0]))
    for _ in range(n if most > 0 else 0):
        i = np.int64(h.hot[below(h, most)])
        if h.assign[i] < 0 or stuck(h, i):
            continue
        b = somewhere(h, i)
        if b != h.assign[i] and try_eject(h, out, i, b, 0.0, 8, longest):
            keep_best(h)
            made += 1
    return made


@jit
def send_home(h, out, order, ties):  # type: ignore[no-untyped-def]
    """Send items in `order` home where that raises neither the energy nor, beyond its ceiling, any cost."""
    made = 0
    for k in range(len(order)):
        i = np.int64(order[k])
        a = np.int64(h.assign[i])
        home = np.int64(h.start[i])
        if a < 0 or home < 0 or a == home or not fits(h, i, home):
            continue
        if try_shift(h, out, i, home, ties):
            keep_best(h)
            made += 1
    return made


@jit
def anneal(h, out, n, hot, cold, share, tries):  # type: ignore[no-untyped-def]
    """Propose `n` moves while the temperature goes from `hot` to `cold`; returns how many were made.

    `share`: f8[4], cumulative shares of shifts, swaps, ejections and blocs; `tries`: how many bins are
    looked at for one item before it is given up.
    """
    made = 0
    n_items = h.n_items
    n_bins = h.n_bins
    window = max(2, n_items // 20)
    for k in range(n):
        temperature = hot + (cold - hot) * (k / n)
        r = uniform(h)
        if h.n_hot[0] > 0 and below(h, 4) == 0:
            i = np.int64(h.hot[below(h, h.n_hot[0])])
        else:
            i = below(h, n_items)
        a = np.int64(h.assign[i])
        if a < 0 or stuck(h, i):
            continue
        if r < share[0]:
            h.tally[SHIFT * 3] += 1
            b = np.int64(-1)
            home = np.int64(h.start[i])
            way = below(h, 8)
            if way == 0 and home != a and home >= 0:
                if fits(h, i, home):
                    b = home
            elif way == 1 and h.sig_ptr[h.sig[i]] < h.sig_ptr[h.sig[i] + 1]:
                c = companion(h, i)
                if c >= 0 and c != a and fits(h, i, c):
                    b = c
            else:
                for _ in range(tries):
                    c = somewhere(h, i)
                    if c != a and fits(h, i, c):
                        b = c
                        break
            if b < 0 or not try_shift(h, out, i, b, draw_threshold(h, temperature)):
                continue
        elif r < share[1]:
            h.tally[SWAP * 3] += 1
            j = np.int64(-1)
            alike = below(h, 2) == 0  # trade with one of about the same size
            for _ in range(tries):
                other = below(h, n_items)
                if alike:
                    at = h.rank[i] - window + below(h, 2 * window + 1)
                    other = np.int64(h.by_size[min(max(at, 0), n_items - 1)])
                b = np.int64(h.assign[other])
                if b >= 0 and b != a and swap_fits(h, i, other):
                    j = other
                    break
            if j < 0 or not try_swap(h, out, i, j, draw_threshold(h, temperature)):
                continue
        elif r < share[2]:
            h.tally[EJECT * 3] += 1
            b = somewhere(h, i)
            if b == a or not try_eject(h, out, i, b, draw_threshold(h, temperature), 8, 4):
                continue
        else:
            if h.n_bloc == 0 or not try_bloc(
                h, out, below(h, h.n_bloc), below(h, n_bins), draw_threshold(h, temperature)
            ):
                continue
        made += 1
        keep_best(h)
    return made
