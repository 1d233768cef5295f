"""What a VM is taken to use: now, at a percentile of its history, or in each part of the day or history."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from drs.model.snapshot import Floats, Ints, MemoryCounts, Snapshot

Memory = MemoryCounts
PartsOf = Literal["day", "history"]


def demand_now(snapshot: Snapshot, resource: str, memory: Memory | None = None) -> Floats:
    """Demand of each VM, f8[n_vms], with the memory that is meant; 0 when it is powered off.

    memory : the snapshot's own choice (`Snapshot.memory_counts`) where not given. `active` memory counts with a
    quarter of the idle consumed memory, as DRS taxes it.
    """
    return snapshot.counting(memory or snapshot.memory_counts).demand(resource)


def history(snapshot: Snapshot, resource: str, memory: Memory | None) -> NDArray[np.floating] | None:
    """Demand of the VMs over time, (n_times, n_vms), NaN where not known; None where there is none.

    Only CPU and active memory have a history; configured and consumed memory are taken to stay.
    """
    if snapshot.loads is None or not len(snapshot.loads):
        return None
    if resource == "cpu":
        return snapshot.loads.cpu_mhz
    if resource == "memory" and (memory or snapshot.memory_counts) == "active":
        return snapshot.taxed_mib(snapshot.loads.memory_active_mib)
    return None


def _known(samples: NDArray[np.floating], fallback: Floats, percentile: float | None) -> Floats:
    """The percentile (None: the mean) of the samples of each VM, the fallback where it has none."""
    found = fallback.copy()
    some = ~np.isnan(samples).all(axis=0)
    if some.any():
        known = samples[:, some].astype(np.float64)
        found[some] = (
            np.nanmean(known, axis=0) if percentile is None else np.nanpercentile(known, percentile, axis=0)
        )
    return found


def demand_at(snapshot: Snapshot, resource: str, percentile: float, memory: Memory | None) -> Floats:
    """The percentile of each VM's history, f8[n_vms]; its demand now where it has none."""
    now, samples = demand_now(snapshot, resource, memory), history(snapshot, resource, memory)
    if samples is None:
        return now
    return np.where(snapshot.vms.on, _known(samples, now, percentile), 0.0)


def part_of_time(snapshot: Snapshot, n_buckets: int, parts_of: PartsOf) -> Ints:
    """Which of `n_buckets` equal parts of the (UTC) day or of the history each sample is in, i4[n_times]."""
    if snapshot.loads is None or not len(snapshot.loads):
        return np.zeros(0, dtype=np.int32)
    second = snapshot.loads.time.astype("datetime64[s]").astype(np.int64)
    if parts_of == "day":
        return np.asarray(second % 86400 * n_buckets // 86400, dtype=np.int32)
    since, span = second - second[0], second[-1] - second[0] + 1
    return np.asarray(since * n_buckets // span, dtype=np.int32)


def demand_by_time(
    snapshot: Snapshot,
    resource: str,
    n_buckets: int,
    percentile: float | None,
    memory: Memory | None,
    parts_of: PartsOf = "day",
) -> list[Floats]:
    """Demand of each VM in each part that has samples, f8[n_vms] each; without a history the demand now.

    percentile : of the samples of a part, None for their mean.
    """
    now, samples = demand_now(snapshot, resource, memory), history(snapshot, resource, memory)
    if samples is None:
        return [now]
    part = part_of_time(snapshot, n_buckets, parts_of)
    return [
        np.where(snapshot.vms.on, _known(samples[part == k], now, percentile), 0.0) for k in np.unique(part)
    ]
