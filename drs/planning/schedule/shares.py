"""Planned shares of the paths: each migration as long as it takes at its share, and the links that this fills.

A link is full when the shares planned on it add up to its capacity. `fluid` finds the bandwidth that really results.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drs.planning.schedule.tasks import Rows, Tasks, owners

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
    owner = owners(tasks.link)
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
