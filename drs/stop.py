"""When a search ends: a time limit, an iteration budget, an interrupt, whichever comes first.

A `Stop` is one budget. Its `fraction` drives cooling schedules, so a search under an iteration budget alone
never reads the clock and the same seed gives the same plan. A `Run` is what goes down from a verb to every
search below it: the budget, the seed and who is told of progress. The verb begins the budget once, when it is
called; everything below only divides it, so that one interrupt ends every round.
"""

from __future__ import annotations

import dataclasses
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

DEFAULT_TIME_S = 30.0
"""The time limit of a verb that is given no budget at all."""


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
        self._begun = self._began = time.monotonic()
        self._going = False
        self._whole: Stop | None = None

    def begin(self) -> Stop:
        """Start the clock, unless it runs already; returns itself."""
        if not self._going:
            self._going = True
            self._begun = self._began = time.monotonic()
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
        """Seconds since `begin` that count against the limit."""
        return time.monotonic() - self._began

    @property
    def wall_s(self) -> float:
        """Seconds since `begin`, with those that did not count."""
        return time.monotonic() - self._begun

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
        """A budget of its own for a stage, or for what comes after this search, ended by the same interrupt."""
        child = Stop(time_s, iterations)
        child._event, child._whole, child._going = self._event, self, True
        return child

    def part(self, share: float) -> Stop:
        """A budget for one stage: `share` of what is left, ended by the same interrupt."""
        return self.followed_by(
            None if self.time_s is None else self.remaining_s * share,
            None if self.iterations is None else int(self.iterations * share),
        )

    def again(self, most_s: float) -> Stop:
        """A budget for one more round after this search: `most_s` at most, and as many steps again.

        A search under an iteration budget alone stays without a clock.
        """
        if self.time_s is None:
            return self.followed_by(most_s if self.iterations is None else None, self.iterations)
        return self.followed_by(min(most_s, self.time_s), self.iterations)


@dataclass(frozen=True, slots=True)
class Run:
    """What every search is handed: its budget, the seed of all that is random, and who is told of progress."""

    stop: Stop = dataclasses.field(default_factory=Stop)
    seed: int = 0
    on_progress: OnProgress | None = None
    bounds: bool = True
    """Whether Lagrangian bounds are wanted; without them a plan is quicker and says nothing of what it leaves."""

    @classmethod
    def begin(
        cls,
        time_s: float | None,
        iterations: int | None,
        seed: int,
        stop: Stop | None = None,
        on_progress: OnProgress | None = None,
        default_s: float = DEFAULT_TIME_S,
    ) -> Run:
        """What a verb does first: the clock starts now.

        Parameters
        ----------
        time_s : seconds, None for no limit besides `iterations`, inf for none at all.
        iterations : steps. With both limits, whichever comes first ends the search; with neither there are
            `default_s` seconds.
        stop : a budget of the caller's, which stands in place of both limits. A part of another budget has
            begun already.
        """
        if stop is None:
            if time_s is None and iterations is None:
                time_s = default_s
            stop = Stop(None if time_s == math.inf else time_s, iterations)
        return cls(stop.begin(), seed, on_progress)

    def within(self, stop: Stop) -> Run:
        """The same run on a budget that was divided from its own."""
        return dataclasses.replace(self, stop=stop)

    def part(self, share: float) -> Run:
        """See `Stop.part`."""
        return self.within(self.stop.part(share))

    def followed_by(self, time_s: float | None, iterations: int | None = None) -> Run:
        """See `Stop.followed_by`."""
        return self.within(self.stop.followed_by(time_s, iterations))

    def tell(self, progress: Progress) -> None:
        """Report to whoever listens."""
        if self.on_progress is not None:
            self.on_progress(progress)
