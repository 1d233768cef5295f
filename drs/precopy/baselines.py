"""Published and naive models of the same migrations, to be compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drs.units import BYTES_PER_MIB, MIBPS_PER_MBPS

MAX_ROUNDS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """What a simple model says; arrays of the arguments' common shape, NaN where it says nothing."""

    total_s: NDArray[np.float64]
    transferred_mib: NDArray[np.float64]
    downtime_ms: NDArray[np.float64]
    converged: NDArray[np.bool_]


def geometric(
    memory_mib: ArrayLike,
    bandwidth_mbps: ArrayLike,
    dirty_rate_mibps: ArrayLike,
    *,
    downtime_limit_ms: ArrayLike = 300.0,
    resume_ms: ArrayLike = 0.0,
) -> Baseline:
    """Constant dirty rate: each round is D / R times the one before.

    ``V_mig = V (1 - q^(n+1)) / (1 - q)``, ``T_down = V q^n / R + T_resume``, with q = D / R and n the rounds
    until ``V q^n`` fits the downtime limit. The base form of Liu et al. (HPDC 2011), after Clark et al. (NSDI
    2005). Diverges for q >= 1.
    """
    memory, rate, dirty, limit, resume = (
        np.asarray(array, dtype=float)
        for array in np.broadcast_arrays(
            memory_mib,
            np.asarray(bandwidth_mbps, dtype=float) * MIBPS_PER_MBPS,
            dirty_rate_mibps,
            np.asarray(downtime_limit_ms, dtype=float) / 1e3,
            np.asarray(resume_ms, dtype=float) / 1e3,
        )
    )
    q = dirty / rate
    goal = limit * rate
    with np.errstate(divide="ignore", invalid="ignore"):
        n = np.ceil(np.log(goal / memory) / np.log(q))
        n = np.where((memory <= goal) | (q <= 0), 1.0, np.clip(n, 1.0, MAX_ROUNDS))
        sent = memory * (1 - q ** (n + 1)) / (1 - q)
    converged = (q < 1.0) & (memory * q**n <= goal * (1 + 1e-9))
    last = memory * q**n
    sent = np.where(converged, sent, np.inf)
    return Baseline(
        sent / rate + resume,
        sent,
        np.where(converged, last / rate + resume, np.nan) * 1e3,
        converged,
    )


def btrplace(
    memory_used_mib: ArrayLike,
    bandwidth_mbps: ArrayLike,
    hot_mib: ArrayLike,
    hot_s: ArrayLike,
    cold_mibps: ArrayLike,
) -> Baseline:
    """Kherbache et al.: a hot set that is dirtied at once, and a constant cold rate beside it.

    ``d0 = u / b``; where ``d0 > h``: ``T = d0 + (H + (d0 - h) c) / (b - c) + (H/b) (H/h) / (b - H/h)``, else
    ``T = d0 + (H/h) d0 / (b - H/h)``; b is the link in Mbit/s divided by 9, in MB/s
    ("real is less than theoretical"). From
    btrplace/scheduler, `CNetwork.java` (mVM, UCC 2015). Says nothing of the black-out.
    """
    used, hot, window, cold = (
        np.asarray(array, dtype=float) for array in (memory_used_mib, hot_mib, hot_s, cold_mibps)
    )
    b = np.asarray(bandwidth_mbps, dtype=float) / 9.0 * 1e6 / BYTES_PER_MIB
    first = used / b
    pace = hot / window
    with np.errstate(divide="ignore", invalid="ignore"):
        long = first + (hot + (first - window) * cold) / (b - cold) + (hot / b) * pace / (b - pace)
        short = first + pace * first / (b - pace)
    total = np.where(first > window, long, short)
    converged = (pace < b) & (cold < b)
    total = np.where(converged, total, np.inf)
    return Baseline(total, total * b, np.full(total.shape, np.nan), converged)


def memory_over_bandwidth(memory_mib: ArrayLike, bandwidth_mbps: ArrayLike) -> Baseline:
    """One pass, nothing dirtied. Says nothing of the black-out, and always converges."""
    memory, rate = np.broadcast_arrays(
        np.asarray(memory_mib, dtype=float), np.asarray(bandwidth_mbps, dtype=float) * MIBPS_PER_MBPS
    )
    return Baseline(memory / rate, memory.copy(), np.full(memory.shape, np.nan), np.ones(memory.shape, bool))


def dirty_vector(
    memory_mib: float,
    bandwidth_mbps: float,
    window_s: ArrayLike,
    dirtied_mib: ArrayLike,
    *,
    downtime_limit_ms: float = 300.0,
) -> Baseline:
    """Rounds over a measured dirty vector: what was dirtied in windows of some lengths, linear between them.

    The predictor that was proposed to QEMU in 2023 (`calc-dirty-rate` vectors, a page at a time; qemu-devel),
    written anew from its description: one migration, complete passes, no page that a round kept.
    """
    window = np.concatenate([[0.0], np.asarray(window_s, dtype=float)])
    dirtied = np.concatenate([[0.0], np.asarray(dirtied_mib, dtype=float)])
    rate = bandwidth_mbps * MIBPS_PER_MBPS
    goal = downtime_limit_ms / 1e3 * rate
    sent, pending = 0.0, memory_mib
    for _ in range(MAX_ROUNDS):
        if pending <= goal:
            total = np.asarray((sent + pending) / rate)
            return Baseline(total, total * rate, np.asarray(pending / rate * 1e3), np.asarray(True))
        sent += pending
        pending = float(np.interp(pending / rate, window, dirtied))
    endless = np.asarray(np.inf)
    return Baseline(endless, endless, np.asarray(np.nan), np.asarray(False))
