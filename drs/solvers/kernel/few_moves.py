"""Annealing where moves are what is paid for: every proposal knows that few are wanted.

A placement that is nearly right differs from today's in few items, and a random move only adds one more. These
proposals start from the items that have moved: one goes home; it goes home and another takes its place, be it
from the same home bin or from anywhere; two of them exchange their bins; one is sent elsewhere. Only now and then
does a new item leave a fuller bin for an emptier one. The caller lets the price of what is beyond the ceilings
rise and fall, so that the search stays at the edge of what they allow.
"""

from __future__ import annotations

import numpy as np

from drs.solvers.kernel.acceptance import draw_threshold
from drs.solvers.kernel.delta import counts_fit, fits, keep_best, swap_fits
from drs.solvers.kernel.jit import inline, jit
from drs.solvers.kernel.moves import WALL, step, try_shift, try_swap
from drs.solvers.kernel.state import below, somewhere, uniform

HOME, REPLACED, EXCHANGED, ELSEWHERE = 0.2, 0.7, 0.8, 0.9
"""Cumulative shares of the proposals; the rest are items that leave their home."""
LOOKED_AT = 4
"""So many bins are looked at for one that is emptier."""


@inline
def note(h, moved, place, i):  # type: ignore[no-untyped-def]
    """Keep the list of moved items, `moved`: i4[n_items + 1] (its length first), `place`: i4[n_items], -1 for none."""
    away = h.assign[i] != h.start[i] and h.start[i] >= 0 and h.assign[i] >= 0
    n = moved[0]
    if away and place[i] < 0:
        moved[0] = n + 1
        moved[n + 1] = i
        place[i] = n + 1
    elif not away and place[i] >= 0:
        last = moved[n]
        moved[place[i]] = last
        place[last] = place[i]
        place[i] = -1
        moved[0] = n - 1


@jit
def list_moved(h, moved, place):  # type: ignore[no-untyped-def]
    """Make the list of moved items anew."""
    moved[0] = 0
    for i in range(h.n_items):
        place[i] = -1
        note(h, moved, place, i)


@jit
def replace_by(h, out, i, j, threshold):  # type: ignore[no-untyped-def]
    """Item i goes home, and item j, from a third bin, takes its place."""
    a = np.int64(h.assign[i])
    home = np.int64(h.start[i])
    if not counts_fit(h, i, a, home):
        return False
    before = h.energy[0]
    wall = h.cost[h.n_levels]
    step(h, out, i, home)
    if (
        fits(h, j, a)
        and h.cost[h.n_levels] <= wall + WALL
        and try_shift(h, out, j, a, threshold - (h.energy[0] - before))
    ):
        return True
    step(h, out, i, a)
    h.energy[0] = before
    return False


@jit
def emptier(h, i, a):  # type: ignore[no-untyped-def]
    """A bin for item i that is emptier than its bin a in some respect, -1 when none of a few is."""
    begin = h.dev_ptr[a]
    n = h.dev_ptr[a + 1] - begin
    best = np.int64(-1)
    if n == 0:
        b = somewhere(h, i)
        return b if b != a and fits(h, i, b) else best
    d = np.int64(h.dev_of[begin + below(h, n)])
    col = np.int64(h.dev_col[d])
    least = h.load[a * h.n_columns + col] * h.dev_inverse[d * h.n_bins + a]
    for _ in range(LOOKED_AT):
        b = somewhere(h, i)
        inverse = h.dev_inverse[d * h.n_bins + b]
        if b == a or inverse <= 0.0:
            continue
        x = h.load[b * h.n_columns + col] * inverse
        if x < least and fits(h, i, b):
            least = x
            best = b
    return best


@jit
def anneal_moves(h, out, n, temperature, moved, place):  # type: ignore[no-untyped-def]
    """Propose `n` moves at one temperature; returns how many were made."""
    made = 0
    list_moved(h, moved, place)
    for _ in range(n):
        threshold = draw_threshold(h, temperature)
        r = uniform(h)
        done = False
        i = np.int64(-1)
        j = np.int64(-1)
        if r < ELSEWHERE and moved[0] > 0:
            i = np.int64(moved[1 + below(h, moved[0])])
            a = np.int64(h.assign[i])
            home = np.int64(h.start[i])
            if r < HOME:
                done = fits(h, i, home) and try_shift(h, out, i, home, threshold)
            elif r < REPLACED:
                if below(h, 2) == 0:  # one that is at home there goes instead
                    if h.n_in[home] > 0:
                        j = np.int64(h.members[home * h.most + below(h, h.n_in[home])])
                        done = swap_fits(h, i, j) and try_swap(h, out, i, j, threshold)
                else:
                    j = below(h, h.n_items)
                    b = np.int64(h.assign[j])
                    if b >= 0 and b != a and b != home and h.start[j] == b and fits(h, i, home):
                        done = replace_by(h, out, i, j, threshold)
            elif r < EXCHANGED:
                j = np.int64(moved[1 + below(h, moved[0])])
                if h.assign[j] != a:
                    done = swap_fits(h, i, j) and try_swap(h, out, i, j, threshold)
            else:
                b = somewhere(h, i)
                done = b != a and fits(h, i, b) and try_shift(h, out, i, b, threshold)
        else:
            i = below(h, h.n_items)
            a = np.int64(h.assign[i])
            if a >= 0 and place[i] < 0:
                b = emptier(h, i, a)
                done = b >= 0 and try_shift(h, out, i, b, threshold)
        if done:
            note(h, moved, place, i)
            if j >= 0:
                note(h, moved, place, j)
            made += 1
            keep_best(h)
    return made
