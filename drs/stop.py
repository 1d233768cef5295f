"""When a search ends: a time limit, an iteration budget, an interrupt, whichever comes first.

A `Stop` is handed to one search. Its `fraction` drives cooling schedules, so a search under an iteration
budget alone never reads the clock and the same seed gives the same plan.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """What a search reports while it runs: `score` and `bound` are those of the goal under way."""

    stage: str
    elapsed_s: float
    fraction: float
    score: float
    bound: float = -math.inf
    note: str = ""

    @property
    def gap_ratio(self) -> float:
        """(score - bound) / |score|; 0 when both agree, inf without a bound."""
        if self.score <= self.bound:
            return 0.0
        return math.inf if not math.isfinite(self.bound) else (self.score - self.bound) / abs(self.score)


OnProgress = Callable[[Progress], None]


class Stop:
    """A budget for one search.

    Parameters
    ----------
    time_s : wall-clock seconds, or None for no limit.
    iterations : steps of the search (each solver says what it counts), or None for no limit.

    With neither the search runs until it proves optimality or is interrupted. `interrupt()` may be called
    from another thread or a signal handler; the search then returns its best plan so far.
    """

    def __init__(self, time_s: float | None = None, iterations: int | None = None) -> None:
        if time_s is not None and not time_s >= 0:
            raise ValueError(f"time_s must be 0 or more, got {time_s}")
        if iterations is not None and iterations < 0:
            raise ValueError(f"iterations must be 0 or more, got {iterations}")
        self.time_s = time_s
        self.iterations = iterations
        self._event = threading.Event()
        self._began = time.monotonic()
        self._whole: Stop | None = None

    def begin(self) -> Stop:
        """Start the clock now; returns itself."""
        self._began = time.monotonic()
        return self

    def interrupt(self) -> None:
        """End the search at its next look at the budget."""
        self._event.set()

    @property
    def interrupted(self) -> bool:
        """Whether `interrupt` was called."""
        return self._event.is_set()

    @property
    def elapsed_s(self) -> float:
        """Seconds since `begin`."""
        return time.monotonic() - self._began

    @property
    def remaining_s(self) -> float:
        """Seconds left (inf without a time limit, 0 after an interrupt)."""
        if self.interrupted:
            return 0.0
        return math.inf if self.time_s is None else max(0.0, self.time_s - self.elapsed_s)

    def fraction(self, iterations: int) -> float:
        """How much of the budget is used, 0 to 1, after so many iterations."""
        used = 1.0 if self.interrupted else 0.0
        if self.iterations is not None:
            used = max(used, iterations / self.iterations if self.iterations else 1.0)
        if self.time_s is not None:
            used = max(used, self.elapsed_s / self.time_s if self.time_s else 1.0)
        return min(1.0, used)

    def reached(self, iterations: int) -> bool:
        """Whether the search must end now."""
        return self.fraction(iterations) >= 1.0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time that does not count, here and in the budget that this one is a part of: a kernel compiles."""
        began = time.monotonic()
        try:
            yield
        finally:
            lost_s = time.monotonic() - began
            stop: Stop | None = self
            while stop is not None:
                stop._began += lost_s
                stop = stop._whole

    def followed_by(self, time_s: float | None, iterations: int | None = None) -> Stop:
        """A budget of its own for what comes after this search, ended by the same interrupt."""
        child = Stop(time_s, iterations)
        child._event = self._event
        child._whole = self
        return child

    def part(self, share: float) -> Stop:
        """A budget for one stage: `share` of what is left, ended by the same interrupt."""
        child = Stop(
            None if self.time_s is None else self.remaining_s * share,
            None if self.iterations is None else int(self.iterations * share),
        )
        child._event = self._event
        child._whole = self
        return child
