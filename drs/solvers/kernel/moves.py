"""The moves: shift one item, swap two, force a big one in and push others out, carry a bloc.

Each returns True when the move was made. A move is made when it crosses no wall and raises the energy by no
more than a threshold that was drawn beforehand, so that hopeless moves are dropped as soon as the cheap part
of their price is known.
"""

from __future__ import annotations

import numpy as np

from drs.solvers.kernel.delta import (
    bin_swap_delta,
    counts_fit,
    deviation_delta,
    fits,
    group_delta,
    price,
    settle,
    shift_delta,
    touch,
)
from drs.solvers.kernel.jit import inline, jit
from drs.solvers.kernel.state import add_bin_cost, below, put, put_columns, put_groups

SHIFT, SWAP, EJECT, BLOC = 0, 1, 2, 3
"""Kinds of moves, rows of `State.tally`."""

WALL = 1e-9
"""The walls' cost is a whole number of items or weights of moves; less than this is rounding."""


@jit
def try_shift(h, out, i, b, threshold):  # type: ignore[no-untyped-def]
    """Shift item i to bin b, which it fits."""
    a = np.int64(h.assign[i])
    if not counts_fit(h, i, a, b):
        return False
    h.tally[SHIFT * 3 + 1] += 1
    shift_delta(h, i, b, out)
    if out[h.n_levels] > WALL:
        return False
    change = price(h, out)
    if change > threshold:
        return False
    put(h, i, b)
    settle(h, out)
    h.energy[0] += change
    touch(h, i)
    h.tally[SHIFT * 3 + 2] += 1
    return True


@jit
def try_swap(h, out, i, j, threshold):  # type: ignore[no-untyped-def]
    """Trade the places of items i and j, which are in different bins and fit in each other's."""
    a = np.int64(h.assign[i])
    b = np.int64(h.assign[j])
    h.tally[SWAP * 3 + 1] += 1
    for level in range(h.n_levels + 1):
        out[level] = 0.0
    bin_swap_delta(h, j, i, a, out)
    bin_swap_delta(h, i, j, b, out)
    add_bin_cost(h, i, a, -1.0, out)
    add_bin_cost(h, i, b, 1.0, out)
    add_bin_cost(h, j, b, -1.0, out)
    add_bin_cost(h, j, a, 1.0, out)
    if h.n_dev > 0:
        deviation_delta(h, i, j, a, b, out)
    if price(h, out) - h.soft[0] > threshold:
        return False
    # The groups of i and j may meet, so price one after the other with j out of the way.
    group_delta(h, j, b, -1, out)
    put_groups(h, j, b, -1)
    ok = counts_fit(h, i, a, b)
    if ok:
        group_delta(h, i, a, b, out)
        put_groups(h, i, a, b)
        ok = counts_fit(h, j, -1, a)
        if ok:
            group_delta(h, j, -1, a, out)
            change = price(h, out)
            if out[h.n_levels] <= WALL and change <= threshold:
                put_groups(h, j, -1, a)
                put_columns(h, j, b, -1)
                put_columns(h, i, a, b)
                put_columns(h, j, -1, a)
                settle(h, out)
                h.energy[0] += change
                touch(h, i)
                touch(h, j)
                h.tally[SWAP * 3 + 2] += 1
                return True
        put_groups(h, i, b, a)
    put_groups(h, j, -1, b)
    return False


@jit
def step(h, out, i, b):  # type: ignore[no-untyped-def]
    """Move item i to bin b unasked, as a part of a longer move."""
    shift_delta(h, i, b, out)
    h.energy[0] += price(h, out)
    put(h, i, b)
    settle(h, out)


@inline
def overfull(h, b):  # type: ignore[no-untyped-def]
    """Whether a limit on bin b is broken."""
    for w in range(h.n_walls):
        if h.room[b * h.n_walls + w] < 0.0:
            return True
    return False


@jit
def try_eject(h, out, i, b, threshold, tries, longest):  # type: ignore[no-untyped-def]
    """Force item i into bin b and push others out to where they cost least, until the limits hold.

    The winner of the ROADEF/EURO challenge 2012 calls it big process rearrangement.
    """
    a = np.int64(h.assign[i])
    if h.allow[h.cls[i] * h.n_bins + b] == 0 and b != h.start[i]:
        return False
    if not counts_fit(h, i, a, b) or h.n_in[b] >= h.most - 8:
        return False
    h.tally[EJECT * 3 + 1] += 1
    before = h.energy[0]
    wall = h.cost[h.n_levels]
    n_done = 0
    step(h, out, i, b)
    h.chain[0] = i
    h.chain[1] = a
    n_done = 1
    ok = True
    while overfull(h, b):
        if n_done > longest:
            ok = False
            break
        # Of a few items of the bin take the one whose best new place costs least.
        best_item = -1
        best_bin = -1
        best_price = np.inf
        for _ in range(4):
            j = np.int64(h.members[b * h.most + below(h, h.n_in[b])])
            if j == i:
                continue
            helps = False
            for w in range(h.n_walls):
                if h.room[b * h.n_walls + w] < 0.0 and h.need[j * h.n_walls + w] > 0.0:
                    helps = helps or not (h.wall_at_once[w] and h.start[j] == b)
            if not helps:
                continue
            for t in range(tries):
                c = below(h, h.n_bins)
                if t == 0 and h.start[j] >= 0:
                    c = np.int64(h.start[j])
                elif t == 1:
                    c = a
                if c < 0 or c == b or not fits(h, j, c) or not counts_fit(h, j, b, c):
                    continue
                shift_delta(h, j, c, out)
                change = price(h, out)
                if change < best_price:
                    best_price = change
                    best_item = j
                    best_bin = c
        if best_item < 0:
            ok = False
            break
        step(h, out, best_item, best_bin)
        h.chain[2 * n_done] = best_item
        h.chain[2 * n_done + 1] = b
        n_done += 1
    ok = ok and h.energy[0] - before <= threshold and h.cost[h.n_levels] <= wall + WALL
    if ok:
        for k in range(n_done):
            touch(h, np.int64(h.chain[2 * k]))
        h.tally[EJECT * 3 + 2] += 1
        return True
    for k in range(n_done - 1, -1, -1):
        step(h, out, np.int64(h.chain[2 * k]), np.int64(h.chain[2 * k + 1]))
    h.energy[0] = before
    return False


@jit
def try_bloc(h, out, bloc, b, threshold):  # type: ignore[no-untyped-def]
    """Carry all items of a bloc to bin b, or, where they do not fit there, to bins of a near number."""
    begin = h.bloc_ptr[bloc]
    end = h.bloc_ptr[bloc + 1]
    if end - begin > 64:
        return False
    h.tally[BLOC * 3 + 1] += 1
    before = h.energy[0]
    wall = h.cost[h.n_levels]
    n_done = 0
    ok = True
    for k in range(begin, end):
        i = np.int64(h.bloc[k])
        h.chain[2 * n_done] = i
        h.chain[2 * n_done + 1] = h.assign[i]
        n_done += 1
        if h.assign[i] >= 0:
            step(h, out, i, -1)
    for k in range(begin, end):
        i = np.int64(h.bloc[k])
        found = False
        for t in range(6):
            c = b
            if t > 0:
                c = below(h, h.n_bins)
                if t < 4:  # a bin of the same domain, in the map of the bloc's first counter
                    row = h.counter_map[h.sig_counter[h.sig_ptr[h.sig[i]]]] * h.n_bins
                    for _ in range(8):
                        if h.domains[row + c] == h.domains[row + b]:
                            break
                        c = below(h, h.n_bins)
            if fits(h, i, c) and counts_fit(h, i, -1, c):
                step(h, out, i, c)
                found = True
                break
        if not found:
            ok = False
            break
    ok = ok and h.energy[0] - before <= threshold and h.cost[h.n_levels] <= wall + WALL
    if ok:
        for k in range(n_done):
            touch(h, np.int64(h.chain[2 * k]))
        h.tally[BLOC * 3 + 2] += 1
        return True
    for k in range(n_done):
        i = np.int64(h.chain[2 * k])
        if h.assign[i] >= 0:
            step(h, out, i, -1)
    for k in range(n_done):
        i = np.int64(h.chain[2 * k])
        if h.chain[2 * k + 1] >= 0:
            step(h, out, i, np.int64(h.chain[2 * k + 1]))
    h.energy[0] = before
    return False
