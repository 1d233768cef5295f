"""A serial schedule: task by task in an order that is safe one at a time, each as early as it can be.

What was placed before keeps its time, its room included, so no deadlock can arise; and the starts of any
schedule, in their order, are such an order, so that every schedule can be found (serial schedule generation:
R. Kolisch, European Journal of Operational Research 90, 1996).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drs.planning.schedule.shares import Shares
from drs.planning.schedule.tasks import Tasks, users_of

Floats = NDArray[np.float64]
Order = NDArray[np.int64]


TRIES = 10
"""How often another safe order of the rest is sought, so that a task may go before what the witness asks."""


class Serial:
    """Serial schedules of one set of tasks, forwards and backwards in time."""

    def __init__(self, tasks: Tasks, shares: Shares) -> None:
        from drs.planning.schedule import kernels

        self._kernels = kernels
        self.tasks, self.shares = tasks, shares
        self.total_s = shares.total_s
        self._users = (
            users_of(tasks.give, len(tasks.free)),
            users_of(tasks.run, len(tasks.slots)),
            users_of(shares.line, len(shares.line_mbps)),
        )

    def starts(self, order: Order) -> Floats:
        """Start of each task, f8[n]; NaN from the first on that has no room where the order is not safe."""
        tasks, shares = self.tasks, self.shares
        return np.asarray(
            self._kernels.serial_schedule(
                order, self.total_s, tasks.free, tasks.take, tasks.give, tasks.slots, tasks.run,
                shares.line_mbps, shares.line, shares.line_s, tasks.before, tasks.hours,
            )
        )  # fmt: skip

    def makespan(self, start: Floats) -> float:
        """The end of the last task."""
        return float((start + self.total_s).max(initial=0.0))

    def safe_order(self, wish: Order, witness: Order) -> Order:
        """The order wished for as far as a witness, an order that is safe one at a time, allows."""
        rank = np.empty(len(wish), dtype=np.int64)
        rank[wish] = np.arange(len(wish))
        tasks = self.tasks
        return np.asarray(
            self._kernels.safe_order(rank, witness, TRIES, tasks.free, tasks.take, tasks.give, tasks.before)
        )

    def critical_path(self, start: Floats, dice: Floats) -> Order:
        """A chain of tasks that keep each other waiting, the last first."""
        tasks, shares = self.tasks, self.shares
        givers, runners, liners = self._users
        path = self._kernels.critical_path(
            start, self.total_s, tasks.take, givers, tasks.run, runners, shares.line, liners, shares.line_s,
            tasks.before, dice,
        )  # fmt: skip
        return np.asarray(path)


def by_time(start: Floats) -> Order:
    """The tasks by their starts."""
    return np.lexsort((np.arange(len(start)), start))
