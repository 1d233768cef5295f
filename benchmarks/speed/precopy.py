"""A million migrations priced by the model and by a numpy loop of the geometric model, in one run.

Run by hand: ``python benchmarks/speed/precopy.py [N]``. Both sides price the same migrations on one core; the
ratio is what to look at, seconds depend on the machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from drs.precopy import estimate
from drs.precopy.baselines import geometric


def best(work: Callable[[], object], repeats: int = 3) -> float:
    """The shortest of some runs, in seconds of this process."""
    spans = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        spans.append(time.process_time() - begin)
    return min(spans)


def geometric_loop(memory: np.ndarray, rate: np.ndarray, dirty: np.ndarray, goal_s: float) -> np.ndarray:
    """The geometric model, round by round, over whole arrays."""
    pending, sent = memory.copy(), np.zeros_like(memory)
    for _ in range(30):
        open_ = pending > goal_s * rate
        if not open_.any():
            break
        sent += np.where(open_, pending, 0.0)
        pending = np.where(open_, pending * dirty / rate, pending)
    return (sent + pending) / rate


def main() -> int:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = np.random.default_rng(1)
    ask = {
        "memory_mib": rng.uniform(1e3, 1e5, n),
        "bandwidth_mbps": rng.uniform(1e3, 4e4, n),
        "dirty_rate_mibps": rng.uniform(0, 500, n),
        "working_set_mib": rng.uniform(600, 1000, n),
    }
    rate = ask["bandwidth_mbps"] * 0.1192
    estimate(**{name: values[:2] for name, values in ask.items()}, profile="qemu")  # compiles
    loop = best(lambda: geometric_loop(ask["memory_mib"], rate, ask["dirty_rate_mibps"], 0.3))
    closed = best(
        lambda: geometric(
            ask["memory_mib"], ask["bandwidth_mbps"], ask["dirty_rate_mibps"], downtime_limit_ms=300
        )
    )
    print(f"{n:,} migrations; seconds of one core (best of 3)")
    print(f"{'geometric, numpy loop':32}{loop:8.3f}")
    print(f"{'geometric, closed form':32}{closed:8.3f}")
    for name in ("vmware", "qemu", "xen-classic", "cloud-hypervisor"):
        span = best(lambda name=name: estimate(**ask, profile=name))
        times = f"{span / loop:5.1f} x the loop, with interval and verdict"
        print(f"{'drs.precopy, ' + name:32}{span:8.3f}   {times}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
