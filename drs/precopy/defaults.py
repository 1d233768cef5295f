"""What is assumed of a VM whose memory writes nobody measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

RATE_PER_MEMORY_RATIO = 0.01
RATE_CAP_MIBPS = 20.0
WORKING_SET_RATIO = 0.1
"""Placeholders without a source: between the published idle guests (some MiB/s over 5 to 65 MiB) and the
published busy ones (60 to 130 MiB/s over 0.4 to 1.7 GiB)."""


def defaults(
    memory_mib: ArrayLike, dirty_rate_mibps: ArrayLike, working_set_mib: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Dirty rate and working set with NaN replaced, each f8 of the common shape.

    A measured rate without a working set gets one that holds at least two seconds of it; a working set never
    exceeds the memory, and a rate never its working set.
    """
    memory, rate, working_set = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (memory_mib, dirty_rate_mibps, working_set_mib))
    )
    rate = np.where(np.isnan(rate), np.minimum(RATE_CAP_MIBPS, RATE_PER_MEMORY_RATIO * memory), rate)
    assumed = np.maximum(WORKING_SET_RATIO * memory, 2.0 * rate)
    working_set = np.minimum(np.where(np.isnan(working_set), assumed, working_set), memory)
    return np.minimum(rate, 0.95 * working_set), working_set
