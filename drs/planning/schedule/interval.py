"""How long a schedule may take: the same list on links that are better and worse, with guests that write less and more.

All migrations share one luck, as those that share a link do (`drs.precopy.share_link`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drs.planning.schedule.fluid import Flows, Timed, run_fluid
from drs.planning.schedule.shares import with_links
from drs.planning.schedule.tasks import Rows, Tasks
from drs.precopy.interval import bands, runs_of
from drs.precopy.profiles import Profile

Floats = NDArray[np.float64]

APART = 1e-6
"""A share of each link so small that the planner's own choice of how many run at once holds nobody back."""


@dataclass(frozen=True, eq=False)
class Interval:
    """80 % intervals: f8[n_legs] from start to end of each leg, and of the whole schedule; inf: it may never end."""

    low_s: Floats
    high_s: Floats
    makespan_low_s: float
    makespan_high_s: float


def interval_of(tasks: Tasks, flows: Flows, timed: Timed, before: Rows, profile: Profile) -> Interval:
    """How far `timed` may be off.

    Each leg starts when those before it have ended and the limits allow, as whoever carries a plan out does. What the
    better and the worse run take longer or shorter than the expected one is carried over to `timed`.

    Parameters
    ----------
    before : the legs that each waits for, room handed on included.
    """
    lasted = timed.end_s - timed.start_s
    if not len(tasks):
        return Interval(lasted, lasted, 0.0, 0.0)
    order = np.lexsort((np.arange(len(tasks)), timed.start_s))
    shares = with_links(tasks, np.full(len(tasks), APART), lasted)
    each, whole = [], []
    for luck, dirty_scale in zip(*runs_of(profile.dirty_error_ratio)[:2], strict=True):
        varied, links = flows.varied(luck, dirty_scale)
        run = run_fluid(
            dataclasses.replace(tasks, link_mbps=tasks.link_mbps * links),
            shares,
            varied,
            order,
            before=before,
        )
        each.append(np.where(np.isnan(run.end_s), np.inf, run.end_s - run.start_s))
        whole.append(run.makespan_s)
    low, high = bands(_beside(np.array(each), lasted), profile.total_error_ratio)
    start, end = bands(
        _beside(np.array(whole)[:, None], np.array([timed.makespan_s])), profile.total_error_ratio
    )
    return Interval(low, high, float(start[0]), float(end[0]))


def _beside(runs: Floats, known: Floats) -> Floats:
    """`known` times what each run (the first is the expected one) is of the first."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = runs / runs[0]
    return np.where(np.isfinite(runs[0]) & (runs[0] > 0), ratio, 1.0) * known
