"""Shorter schedules by iterated local search over serial schedules and their mirror images.

A round shakes the order of the best schedule so far: tasks of a critical path come sooner, or a span of time is
shuffled, or everything a little. The result is justified: set as late as it can be, and so on alternately,
which shortens it more often than not (P. Tormos, A. Lova, Annals of Operations Research 102, 2001). Rounds go on from
either image, so that both ends of the schedule are improved. A longer schedule is taken with a probability that falls
(simulated annealing: S. Kirkpatrick, C. D. Gelatt, M. P. Vecchi, Science 220, 1983).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drs.planning.schedule.serial import Serial, by_time
from drs.planning.schedule.shares import Shares
from drs.planning.schedule.tasks import Tasks, backwards
from drs.stop import Stop

Floats = NDArray[np.float64]
Order = NDArray[np.int64]

TEMPERATURE = 0.03
"""Of the annealing at its start, in makespans."""

CYCLE = 1500
"""Rounds in which the temperature falls; then the best schedule is shaken thoroughly and it starts again."""


@dataclass(eq=False)
class _Image:
    """A schedule, forwards or as its mirror image."""

    serial: Serial
    start: Floats
    makespan: float


class LocalSearch:
    """Serial schedules of some tasks, justified and shaken.

    Parameters
    ----------
    urgent : f8[n], whoever has more is placed first; where they differ, or some hours are forbidden, time has
        a direction and nothing is justified.
    """

    def __init__(self, tasks: Tasks, shares: Shares, urgent: Floats) -> None:
        self.n = len(tasks)
        self.urgent = urgent
        self.forwards = Serial(tasks, shares)
        directed = len(tasks.hours.row) or np.ptp(urgent) > 0
        self.backwards = None if directed else Serial(backwards(tasks), shares)

    def begin(self, keys: list[Floats]) -> Floats:
        """The shortest of the schedules in the tasks' own order and by each key (lowest first), justified."""
        witness = np.arange(self.n)
        orders = [self._order(self.forwards, key, witness) for key in (witness.astype(float), *keys)]
        images = [self._justified(self._image(self.forwards, order), 6) for order in orders]
        return self._unmirrored(min(images, key=lambda image: image.makespan))

    def makespan(self, start: Floats) -> float:
        """The end of the last task of a schedule."""
        return self.forwards.makespan(start)

    def shorten(self, start: Floats, least_s: float, rounds: int, stop: Stop, seed: int) -> Floats:
        """A schedule no longer than the one given, until it is `least_s` long or the budget is spent."""
        rng = np.random.default_rng(seed)
        now = best = _Image(self.forwards, start, self.forwards.makespan(start))
        n_cycles = max(1, round(rounds / CYCLE))
        cycle = 0
        for k in range(rounds):
            part = max(k / rounds, stop.fraction(0))
            if best.makespan <= least_s or part >= 1.0:
                break
            if int(part * n_cycles) > cycle:
                cycle = int(part * n_cycles)
                now = self._by_key(best, best.start + rng.normal(0.0, 0.3 * best.makespan, self.n), 6)
            heat = TEMPERATURE * now.makespan * (1.0 - part * n_cycles % 1.0)
            found = self._by_key(now, self._shaken(now, rng), 2)
            longer = found.makespan - now.makespan
            if longer <= 1e-9 or rng.random() < math.exp(-longer / heat):
                now = found
            if found.makespan < best.makespan - 1e-6:
                best = found
        return self._unmirrored(best)

    def _by_key(self, image: _Image, key: Floats, times: int) -> _Image:
        """The tasks by key, as far as the order of a schedule allows, justified."""
        order = self._order(image.serial, key, by_time(image.start))
        return self._justified(self._image(image.serial, order), times)

    def _order(self, serial: Serial, key: Floats, witness: Order) -> Order:
        return serial.safe_order(np.lexsort((np.arange(self.n), key, -self.urgent)), witness)

    def _image(self, serial: Serial, order: Order) -> _Image:
        start = serial.starts(order)
        return _Image(serial, start, serial.makespan(start))

    def _mirrored(self, image: _Image) -> _Image:
        assert self.backwards is not None
        other = self.backwards if image.serial is self.forwards else self.forwards
        return self._image(other, by_time(-(image.start + image.serial.total_s)))

    def _justified(self, image: _Image, times: int) -> _Image:
        for _ in range(times if self.backwards is not None else 0):
            other = self._mirrored(image)
            if other.makespan > image.makespan + 1e-9:
                break
            image = other
        return image

    def _unmirrored(self, image: _Image) -> Floats:
        """Forwards; a mirror image is turned over and pulled together, which makes it no longer."""
        if image.serial is self.forwards:
            return image.start
        return self._mirrored(image).start

    def _shaken(self, image: _Image, rng: np.random.Generator) -> Floats:
        key, makespan, n = image.start.copy(), image.makespan, self.n
        mode = rng.random()
        if mode < 0.25:
            path = image.serial.critical_path(image.start, rng.random(n))
            some = path[rng.random(len(path)) < rng.choice([0.3, 1.0])]
            key[some] -= rng.random() * rng.choice([0.05, 0.2, 0.5]) * makespan
            key += rng.normal(0.0, rng.choice([0.0, 0.005, 0.02]) * makespan, n)
        elif mode < 0.85:
            last, width = rng.random() * makespan, rng.choice([0.02, 0.05, 0.1, 0.3]) * makespan
            some = np.flatnonzero((key >= last - width) & (key <= last))
            key[some] = last - width * rng.random(len(some))
        else:
            key += rng.normal(0.0, rng.choice([0.01, 0.03, 0.1, 0.3]) * makespan, n)
        return key
