"""Which moves are taken: simulated annealing with a temperature found from the moves themselves.

The start temperature decides more than anything else (on instance a1_4 of the ROADEF/EURO challenge a factor
of 300 in temperature makes 11 % of the result). It is scaled from the spread of the changes that sampled
moves make, never from the cost, and falls geometrically over the budget.
"""

from __future__ import annotations

import numpy as np

from drs.solvers.kernel.delta import counts_fit, fits, price, shift_delta
from drs.solvers.kernel.jit import inline, jit
from drs.solvers.kernel.state import below, uniform


@inline
def draw_threshold(h, temperature):  # type: ignore[no-untyped-def]
    """By how much a move may raise the energy: the Metropolis rule, drawn before the move is priced."""
    if temperature <= 0.0:
        return 0.0
    return -temperature * np.log(uniform(h))


@jit
def sample_rises(h, out, n, rises):  # type: ignore[no-untyped-def]
    """Rises of energy (above 0) of random possible shifts, into `rises`; returns how many were found."""
    found = 0
    for _ in range(n):
        i = below(h, h.n_items)
        b = below(h, h.n_bins)
        a = np.int64(h.assign[i])
        if a < 0 or a == b or not fits(h, i, b) or not counts_fit(h, i, a, b):
            continue
        shift_delta(h, i, b, out)
        if out[h.n_levels] > 1e-9:
            continue
        change = price(h, out)
        if change > 0.0:
            rises[found] = change
            found += 1
            if found == len(rises):
                break
    return found
