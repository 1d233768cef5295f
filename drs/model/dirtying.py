"""How fast each VM writes to its memory, and what is assumed where nobody measured it."""

from __future__ import annotations

import numpy as np

from drs.model.snapshot import Floats, VmTable

RATE_PER_MEMORY_RATIO = 0.01
RATE_CAP_MIBPS = 20.0
WORKING_SET_RATIO = 0.1
"""Placeholders without a source: between the published idle guests (some MiB/s over 5 to 65 MiB) and the
published busy ones (60 to 130 MiB/s over 0.4 to 1.7 GiB)."""


def dirtying(vms: VmTable) -> tuple[Floats, Floats]:
    """Dirty rate in MiB/s and working set in MiB of each VM, f8[n_vms] each, never NaN.

    A measured rate without a working set gets one that holds at least two seconds of it, but no more than
    the memory that is active; a working set never exceeds the memory, and a rate never its working set.
    """
    memory, rate, working_set = vms.memory_mib, vms.dirty_rate_mibps, vms.working_set_mib
    rate = np.where(np.isnan(rate), np.minimum(RATE_CAP_MIBPS, RATE_PER_MEMORY_RATIO * memory), rate)
    assumed = np.maximum(WORKING_SET_RATIO * memory, 2.0 * rate)
    active = np.where(vms.memory_active_mib > 0, vms.memory_active_mib, np.inf)
    assumed = np.minimum(assumed, np.maximum(active, rate))
    working_set = np.minimum(np.where(np.isnan(working_set), assumed, working_set), memory)
    return np.minimum(rate, 0.95 * working_set), working_set
