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
    """A planned share of the path for each leg, what it costs at that share, and the links that it fills.

    Set-up and aftermath use no link, so a leg holds its links for `line_s`: from its start to as long before
    it leaves the link as the next leg needs to be set up.
    """

    share: Floats
    total_s: Floats
    line_s: Floats
    lead_s: float
    """The set-up of every leg."""
    line_mbps: Floats
    line: Rows


def with_links(tasks: Tasks, share: Floats, total_s: Floats) -> Shares:
    """The links with the planned shares, links that never fill left out."""
    rate = tasks.path_mbps * share
    owner = np.repeat(np.arange(len(tasks)), np.diff(tasks.link.start))
    amount = np.minimum(rate[owner], tasks.link_mbps[tasks.link.row])
    load = np.bincount(tasks.link.row, weights=amount, minlength=len(tasks.link_mbps))
    binding = load > tasks.link_mbps * (1 + 1e-9)
    keep = binding[tasks.link.row]
    row = (np.cumsum(binding) - 1)[tasks.link.row[keep]]
    start = np.searchsorted(owner[keep], np.arange(len(tasks) + 1)).astype(np.int32)
    lead_s = float(tasks.setup_s.min(initial=np.inf)) if len(tasks) else 0.0
    return Shares(
        share,
        total_s,
        np.maximum(0.0, total_s - tasks.setup_s - tasks.after_s),
        lead_s,
        tasks.link_mbps[binding],
        Rows(start, row.astype(np.int32), amount[keep]),
    )


def run_list(
    tasks: Tasks,
    shares: Shares,
    order: NDArray[np.int64],
    before: Rows | None = None,
    *,
    careful: bool = False,
    witness: NDArray[np.int64] | None = None,
) -> Floats:
    """Start of each task, f8[n]; NaN for those that never could start (the list ran into a deadlock).

    With `before` (edges of `order.tokens`) each leg waits for those whose room it was handed, not for room
    that happens to be free: no deadlock can arise. A `careful` list looks ahead before it gives room away;
    `witness`, by default the tasks' own order, must be safe one at a time.
    """
    if not careful or not len(tasks.free):
        known = np.zeros(0, dtype=np.int64)
    else:
        known = np.arange(len(tasks), dtype=np.int64) if witness is None else witness.astype(np.int64)
    take, ahead = (tasks.take, tasks.before) if before is None else (none_of(tasks), before)
    return np.asarray(
        _kernel()(
            np.asarray(order, dtype=np.int64),
            shares.total_s,
            tasks.free,
            *take,
            *tasks.give,
            tasks.slots,
            *tasks.run,
            shares.line_mbps,
            *shares.line,
            shares.line_s,
            ahead.start,
            ahead.row,
            tasks.hours.start,
            tasks.hours.amount,
            tasks.pause_s,
            known,
        )
    )


def none_of(tasks: Tasks) -> Rows:
    """No rows at all."""
    return Rows(np.zeros(len(tasks) + 1, dtype=np.int32), tasks.take.row[:0], tasks.take.amount[:0])


@cache
def _kernel() -> Any:
    """The compiled list scheduler; numba is imported when it is first needed."""
    from drs.planning.kernels import list_schedule

    return list_schedule
