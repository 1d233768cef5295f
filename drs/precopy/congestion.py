"""How fast TCP goes on a path that loses packets, and how far two runs on it differ.

Loss is a matter of chance: a transfer that meets few losses runs far from any mean rate. So a path with loss is
priced by a small fixed sample of runs of its congestion window (`RUNS` of them, the same draws every time), each
carried through the bytes that are to be sent. The rate is their middle, the spread theirs.

- ``reno``: one segment more each round trip, half after a loss. Its mean is the Mathis rate
  ``(MSS / RTT) sqrt(1.5 / p)`` (Mathis et al., CCR 1997, eq. 3); a loss costs a time-out with probability
  ``3 / W`` (Padhye et al., SIGCOMM 1998, eq. 24), of at least 200 ms (Linux).
- ``cubic``: ``W(t) = C (t - K)^3 + W_max``, C = 0.4, 0.7 of the window after a loss, never below what Reno would
  have (RFC 9438, sections 4.2, 4.3 and 4.6). Its mean is ``1.054 (RTT^3 / p^3)^(1/4)`` segments (section 5.1).
- ``bbr``: a loss below 20 % is no signal; what is lost is sent again (Cardwell et al., ACM Queue 2016,
  figure 8).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from drs.compiled import compiled
from drs.precopy.phases import CUBIC

RUNS = 16
LOSSES = 64
"""Losses that each run is carried through; what is then left goes at the mean rate of the later half."""

_DRAWS = np.random.default_rng(19).exponential(size=(RUNS, LOSSES))
DRAWS = _DRAWS / _DRAWS.mean()

INITIAL_WINDOW = 10.0
"""Segments: RFC 6928."""

TIMEOUT_S = 0.2
"""The least retransmission time-out of Linux."""

CUBIC_C = 0.4
CUBIC_BETA = 0.7
CUBIC_ALPHA = 3.0 * (1.0 - CUBIC_BETA) / (1.0 + CUBIC_BETA)


@compiled
def _grow(window: float, most: float, gap: float, step: float) -> tuple[float, float]:
    """Round trips that `gap` segments take, and the window after them; `step` segments more each round trip."""
    growing = (most * most - window * window) / (2.0 * step)
    if gap <= growing:
        after = math.sqrt(window * window + 2.0 * step * gap)
        return (after - window) / step, after
    return (most - window) / step + (gap - growing) / most, most


@compiled
def _cubic(window: float, peak: float, most: float, gap: float, rtt: float) -> tuple[float, float]:
    """The same for CUBIC, which left `peak`: the time by bisection of the window's integral."""
    k = (max(peak - window, 0.0) / CUBIC_C) ** (1.0 / 3.0)
    slow, fast = gap / most, gap / window
    for _ in range(40):
        trips = 0.5 * (slow + fast)
        t = trips * rtt
        full = k + (max(most - peak, 0.0) / CUBIC_C) ** (1.0 / 3.0)
        inside = min(t, full)
        sent = (peak * inside + 0.25 * CUBIC_C * ((inside - k) ** 4 - k**4)) / rtt
        sent += max(t - full, 0.0) * most / rtt
        if sent < gap:
            slow = trips
        else:
            fast = trips
    t = 0.5 * (slow + fast) * rtt
    return t / rtt, min(max(CUBIC_C * (t - k) ** 3 + peak, window), most)


@compiled
def sampled_rates(
    control: Any, loss: Any, rtt_s: Any, segment: Any, most: Any, size: Any, draws: Any, rate: Any, sigma: Any
) -> None:
    """Bytes per second of one stream on each path, and their spread (1 sigma, log).

    Parameters
    ----------
    control : int array; RENO or CUBIC
    loss, rtt_s, segment, most, size : float arrays
        Loss ratio (0 to 1, above 0), round trip, bytes of a segment, the most that the path allows (bytes/s), and
        the bytes that the stream has to carry (inf: a steady rate).
    draws : float array, shape (runs, losses); exponential, mean 1
    rate, sigma : float arrays; written
    """
    runs, losses = draws.shape
    for i in range(loss.shape[0]):
        cap = max(most[i] * rtt_s[i] / segment[i], 1.0)
        timeout = max(TIMEOUT_S, 2.0 * rtt_s[i]) / rtt_s[i]
        taken = np.zeros(runs)
        left = np.full(runs, size[i] / segment[i])
        later_sent, later_trips = 0.0, 0.0
        for r in range(runs):
            window = min(INITIAL_WINDOW, cap)
            peak, slow_start = cap, True
            for k in range(losses):
                gap = min(draws[r, k] / loss[i], left[r])
                whole = gap < left[r]
                trips = 0.0
                sent = gap
                if slow_start:
                    grown = min(gap, cap - window)
                    trips = math.log2((window + grown) / window)
                    window += grown
                    gap -= grown
                    slow_start = False
                if control[i] == CUBIC:
                    reno, by_reno = _grow(window, cap, gap, CUBIC_ALPHA)
                    cubic, by_cubic = _cubic(window, max(peak, window), cap, gap, rtt_s[i])
                    trips += min(reno, cubic)
                    after = max(by_reno, by_cubic)
                    beta = CUBIC_BETA
                else:
                    more, after = _grow(window, cap, gap, 1.0)
                    trips += more
                    beta = 0.5
                left[r] -= sent
                if whole:
                    trips += timeout * min(1.0, 3.0 / after)
                    peak = after
                    window = max(after * beta, 1.0)
                taken[r] += trips
                if k >= losses // 2:
                    later_sent += sent
                    later_trips += trips
                if not whole:
                    break
        steady = min(later_sent / later_trips, cap) if later_trips > 0.0 else cap
        total, squares = 0.0, 0.0
        for r in range(runs):
            if math.isinf(size[i]):
                logarithm = math.log(steady)
            else:
                trips = taken[r] + left[r] / steady
                logarithm = math.log(size[i] / segment[i] / trips) if trips > 0.0 else math.log(cap)
            total += logarithm
            squares += logarithm * logarithm
        mean = total / runs
        rate[i] = min(math.exp(mean), cap) * segment[i] / rtt_s[i]
        sigma[i] = math.sqrt(max(squares / runs - mean * mean, 0.0))


__all__ = ["DRAWS", "sampled_rates"]
