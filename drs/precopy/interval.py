"""Uncertainty: what bandwidth and dirty rate being uncertain does to a price, and the model's own spread."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Z = 1.2816
"""Standard deviations on each side of an 80 % interval."""


def scales(
    bandwidth_sigma: float, dirty_sigma: float, *, bursts: bool = False
) -> tuple[Floats, Floats, Floats]:
    """Factors on bandwidth and dirty rate, and shifts of the cycle of bursts: the median run, then the others.

    Two independent inputs (log-normal, with these spreads) move at once, so each moves by Z / sqrt(2) of its
    own spread: an easy run and a hard one. Where a guest writes in bursts nobody knows in which part of its
    cycle the migration will start, so both are repeated from other quarters of the cycle.
    """
    b, d = exp(Z / sqrt(2.0) * bandwidth_sigma), exp(Z / sqrt(2.0) * dirty_sigma)
    runs = [(1.0, 1.0, 0.0)]
    for shift in (0.0, 0.25, 0.5, 0.75) if bursts else (0.0,):
        runs += [(b, 1.0 / d, shift), (1.0 / b, d, shift)]
    bandwidth, dirty, shifts = np.array(runs).T.copy()
    return bandwidth, dirty, shifts


def bands(runs: Floats, sigma: float, spread: float = 0.0) -> tuple[Floats, Floats]:
    """The least and the most of the runs (shape (r, n)), widened by the model's own spread.

    `sigma` is log-normal, `spread` the half width of what is uncertain whatever the size, in the unit of
    `runs`.
    """
    widen = exp(Z * sigma)
    return np.maximum(runs.min(axis=0) / widen - spread, 0.0), runs.max(axis=0) * widen + spread
