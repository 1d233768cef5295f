"""A list schedule: at every moment, in the order of a list, whatever may start does.

Durations are fixed here: each migration has a planned share of its path, and a link is full when the shares
planned on it add up to its capacity. `fluid` runs the same list with the bandwidth that really results.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drs.planning.tasks import Rows, Tasks

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Shares:
    """A planned share of the path for each leg, what it costs at that share, and the rows that it fills."""

    share: Floats
    total_s: Floats
    slots: Floats
    run: Rows


def with_links(tasks: Tasks, share: Floats, total_s: Floats) -> Shares:
    """The running rows of the tasks with the planned shares of the links added, links that never fill left out."""
    rate = tasks.path_mbps * share
    n_links = len(tasks.link_mbps)
    owner = np.repeat(np.arange(len(tasks)), np.diff(tasks.link.start))
    amount = np.minimum(rate[owner], tasks.link_mbps[tasks.link.row])
    load = np.bincount(tasks.link.row, weights=amount, minlength=n_links)
    binding = load > tasks.link_mbps * (1 + 1e-9)
    new = np.cumsum(binding) - 1 + len(tasks.slots)
    keep = binding[tasks.link.row]
    owner_all = np.concatenate([np.repeat(np.arange(len(tasks)), np.diff(tasks.run.start)), owner[keep]])
    row = np.concatenate([tasks.run.row, new[tasks.link.row[keep]]])
    amounts = np.concatenate([tasks.run.amount, amount[keep]])
    order = np.argsort(owner_all, kind="stable")
    start = np.searchsorted(owner_all[order], np.arange(len(tasks) + 1)).astype(np.int32)
    return Shares(
        share,
        total_s,
        np.concatenate([tasks.slots, tasks.link_mbps[binding]]),
        Rows(start, row[order].astype(np.int32), amounts[order]),
    )


def run_list(tasks: Tasks, shares: Shares, order: NDArray[np.int64]) -> Floats:
    """Start of each task, f8[n]; NaN for those that never could start (the list ran into a deadlock)."""
    return np.asarray(
        _kernel()(
            np.asarray(order, dtype=np.int64), shares.total_s, tasks.free, *tasks.take, *tasks.give,
            shares.slots, shares.run.start, shares.run.row, shares.run.amount,
            tasks.before.start, tasks.before.row, tasks.hours.start, tasks.hours.amount, tasks.pause_s,
        )  # fmt: skip
    )


@cache
def _kernel() -> Any:
    """The compiled list scheduler; numba is imported when it is first needed."""
    from drs.planning.kernels import list_schedule

    return list_schedule
