"""Annealing over all moves; at temperature 0 it is a descent."""

from __future__ import annotations

import numpy as np

from drs.solvers.kernel.acceptance import draw_threshold
from drs.solvers.kernel.delta import fits, keep_best, swap_fits
from drs.solvers.kernel.jit import jit
from drs.solvers.kernel.moves import EJECT, SHIFT, SWAP, try_bloc, try_eject, try_shift, try_swap
from drs.solvers.kernel.state import below, uniform


@jit
def anneal(h, out, n, hot, cold, share, tries):  # type: ignore[no-untyped-def]
    """Propose `n` moves while the temperature goes from `hot` to `cold`; returns how many were made.

    `share`: f8[4], cumulative shares of shifts, swaps, ejections and blocs; `tries`: how many bins are
    looked at for one item before it is given up.
    """
    made = 0
    n_items = h.n_items
    n_bins = h.n_bins
    for k in range(n):
        temperature = hot + (cold - hot) * (k / n)
        r = uniform(h)
        i = below(h, n_items)
        a = np.int64(h.assign[i])
        if a < 0:
            continue
        if r < share[0]:
            h.tally[SHIFT * 3] += 1
            b = np.int64(-1)
            home = np.int64(h.start[i])
            if home != a and home >= 0 and below(h, 8) == 0:
                if fits(h, i, home):
                    b = home
            else:
                for _ in range(tries):
                    c = below(h, n_bins)
                    if c != a and fits(h, i, c):
                        b = c
                        break
            if b < 0 or not try_shift(h, out, i, b, draw_threshold(h, temperature)):
                continue
        elif r < share[1]:
            h.tally[SWAP * 3] += 1
            j = np.int64(-1)
            for _ in range(tries):
                other = below(h, n_items)
                b = np.int64(h.assign[other])
                if b >= 0 and b != a and swap_fits(h, i, other):
                    j = other
                    break
            if j < 0 or not try_swap(h, out, i, j, draw_threshold(h, temperature)):
                continue
        elif r < share[2]:
            h.tally[EJECT * 3] += 1
            b = below(h, n_bins)
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
