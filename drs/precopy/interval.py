"""Uncertainty: what bandwidth and dirty rate being uncertain does to a price, and the model's own spread."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Z = 1.2816
"""Standard deviations on each side of an 80 % interval."""

STEP = Z / sqrt(2.0)


def runs_of(dirty_sigma: float, *, bursts: bool = False) -> tuple[Floats, Floats, Floats]:
    """The runs that make an interval: their luck with the bandwidth, factors on the dirty rate, shifts of a cycle.

    Two independent inputs (log-normal) move at once, so each moves by Z / sqrt(2) of its own spread: the median
    run (luck 0), an easy one (1) and a hard one (-1). Where a guest writes in bursts nobody knows in which part
    of its cycle the migration will start, so both are repeated from other quarters of the cycle.
    """
    d = exp(STEP * dirty_sigma)
    runs = [(0.0, 1.0, 0.0)]
    for shift in (0.0, 0.25, 0.5, 0.75) if bursts else (0.0,):
        runs += [(1.0, 1.0 / d, shift), (-1.0, d, shift)]
    luck, dirty, shifts = np.array(runs).T.copy()
    return luck, dirty, shifts


def bands(runs: Floats, sigma: float | Floats, spread: float = 0.0) -> tuple[Floats, Floats]:
    """The least and the most of the runs (shape (r, n)), widened by the model's own spread.

    `sigma` is log-normal, `spread` the half width of what is uncertain whatever the size, in the unit of
    `runs`.
    """
    widen = np.exp(Z * sigma)
    return np.maximum(runs.min(axis=0) / widen - spread, 0.0), runs.max(axis=0) * widen + spread
