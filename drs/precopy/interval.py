"""Uncertainty: what bandwidth and dirty rate being uncertain does to a price, and the model's own spread."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

Z = 1.2816
"""Standard deviations on each side of an 80 % interval."""


def scales(bandwidth_sigma: float, dirty_sigma: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factors on bandwidth and dirty rate of three runs: the median, an easy one, a hard one.

    Two independent inputs (log-normal, with these spreads) move at once, so each moves by Z / sqrt(2) of its
    own spread.
    """
    b, d = exp(Z / sqrt(2.0) * bandwidth_sigma), exp(Z / sqrt(2.0) * dirty_sigma)
    return np.array([1.0, b, 1.0 / b]), np.array([1.0, 1.0 / d, d])


def bands(runs: NDArray[np.float64], sigma: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The least and the most of the runs (shape (3, n)), widened by the model's own log-normal spread."""
    widen = exp(Z * sigma)
    return runs.min(axis=0) / widen, runs.max(axis=0) * widen
