"""A serial schedule: task by task in an order that is safe one at a time, each as early as it can be.

What was placed before keeps its time, its room included, so no deadlock can arise; and the starts of any
schedule, in their order, are such an order, so that every schedule can be found (serial schedule generation:
R. Kolisch, European Journal of Operational Research 90, 1996).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drs.planning.shares import Shares
from drs.planning.tasks import Rows, Tasks

Floats = NDArray[np.float64]
Order = NDArray[np.int64]


TRIES = 10
"""How often another safe order of the rest is sought, so that a task may go before what the witness asks."""


class Serial:
    """Serial schedules of one set of tasks, forwards and backwards in time."""

    def __init__(self, tasks: Tasks, shares: Shares) -> None:
        from drs.planning import kernels

        self._kernels = kernels
        self.tasks, self.shares = tasks, shares
        self.total_s = shares.total_s
        n = len(tasks)
        self._room = (tasks.free, *tasks.take, *tasks.give)
        self._rest = (
            tasks.slots, *tasks.run, shares.line_mbps, *shares.line, shares.line_s, tasks.before.start,
            tasks.before.row,
        )  # fmt: skip
        self._hours = (tasks.hours.start, tasks.hours.amount)
        self._who = tuple(
            _users(rows, n, n_rows)
            for rows, n_rows in (
                (tasks.give, len(tasks.free)),
                (tasks.run, len(tasks.slots)),
                (shares.line, len(shares.line_mbps)),
            )
        )

    def starts(self, order: Order) -> Floats:
        """Start of each task, f8[n]; NaN from the first on that has no room where the order is not safe."""
        return np.asarray(
            self._kernels.serial_schedule(order, self.total_s, *self._room, *self._rest, *self._hours)
        )

    def makespan(self, start: Floats) -> float:
        """The end of the last task."""
        return float((start + self.total_s).max(initial=0.0))

    def safe_order(self, wish: Order, witness: Order) -> Order:
        """The order wished for as far as a witness, an order that is safe one at a time, allows."""
        rank = np.empty(len(wish), dtype=np.int64)
        rank[wish] = np.arange(len(wish))
        before = self.tasks.before
        return np.asarray(
            self._kernels.safe_order(rank, witness, TRIES, *self._room, before.start, before.row)
        )

    def critical_path(self, start: Floats, dice: Floats) -> Order:
        """A chain of tasks that keep each other waiting, the last first."""
        tasks, shares = self.tasks, self.shares
        (g_start, g), (r_start, r), (l_start, line) = self._who
        path = self._kernels.critical_path(
            start, self.total_s, tasks.take.start, tasks.take.row, g_start, g, tasks.run.start, tasks.run.row,
            r_start, r, shares.line.start, shares.line.row, l_start, line, shares.line_s, tasks.before.start,
            tasks.before.row, dice,
        )  # fmt: skip
        return np.asarray(path)


def _users(rows: Rows, n: int, n_rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which tasks use each row, CSR."""
    owner = np.repeat(np.arange(n), np.diff(rows.start))
    by_row = np.argsort(rows.row, kind="stable")
    return np.searchsorted(rows.row[by_row], np.arange(n_rows + 1)), owner[by_row]


def by_time(start: Floats) -> Order:
    """The tasks by their starts."""
    return np.lexsort((np.arange(len(start)), start))
