"""The list run with the bandwidth that results: max-min fair shares, recomputed at every start and end.

Event-driven fluid simulation: the pre-copy model carries every running migration from event to event at its
share of the links. This predicted the makespan of 33 measured concurrent migrations to 11 % with the nominal
link; equal shares for life and full speed each were off by 44 % and more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drs import precopy
from drs.planning.pricing import Leg, Pricer
from drs.planning.schedule.shares import Shares
from drs.planning.schedule.tasks import Rows, Tasks, users_of
from drs.units import BYTES_PER_MIB, BYTES_PER_S_PER_MBPS

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Flows:
    """Legs at their start, as the pre-copy kernel takes them."""

    jobs: NDArray[Any]
    states: NDArray[Any]
    dirty: Floats
    pages: Floats
    rates: Floats
    cyclic: NDArray[np.bool_]
    rule: Any
    cap: Floats
    """Payload rate of each path, bytes/s."""
    better: Floats
    """What `cap` is times where the path is better than expected (`drs.precopy.interval`)."""
    worse: Floats

    @property
    def beside_s(self) -> tuple[Floats, Floats]:
        """Time at the start and at the end of each leg in which it uses no link."""
        return self.jobs["setup_s"].copy(), self.jobs["settle_s"] + self.jobs["resume_s"]

    def varied(self, luck: float, dirty_scale: float) -> tuple[Flows, float]:
        """The legs on better (luck 1) or worse (-1) paths with guests that write so much more; the links' factor."""
        scale = self.better if luck > 0 else self.worse if luck < 0 else np.ones(len(self.cap))
        jobs = self.jobs.copy()
        jobs["rate_limit"] *= np.minimum(scale, 1.0)
        links = float(np.exp(np.log(scale).mean())) if len(scale) else 1.0
        return replace(self, jobs=jobs, cap=self.cap * scale, rates=self.rates * dirty_scale), links


@dataclass(frozen=True, eq=False)
class Timed:
    """When each leg starts and ends, and what it then costs; NaN start: it never could."""

    start_s: Floats
    end_s: Floats
    downtime_ms: Floats
    transferred_mib: Floats
    rounds: NDArray[np.int64]
    converged: NDArray[np.bool_]
    setup_s: Floats
    """Time beside the copying and the black-out."""

    @property
    def makespan_s(self) -> float:
        """The end of the last leg; inf where one never ends."""
        if not len(self.end_s):
            return 0.0
        return float(np.inf if np.isnan(self.end_s).any() else self.end_s.max())


def flows_of(pricer: Pricer, legs: Sequence[Leg]) -> Flows:
    """The legs at their start. Each must have a path and be allowed to take it."""
    _, groups, _ = pricer.asks(legs)
    n = len(legs)
    parts = [(at, precopy.Transfer.start(**ask)) for at, ask in groups]
    if not parts:
        from drs.precopy.kernel import JOB, STATE

        none = np.zeros((0, 1))
        no = np.zeros(0)
        return Flows(np.zeros(0, JOB), np.zeros(0, STATE), none, none, none, none > 0, None, no, no, no)
    first = parts[0][1]
    jobs, states = np.zeros(n, first._jobs.dtype), np.zeros(n, first._states.dtype)
    k = max(part._dirty.shape[-1] for _, part in parts)
    dirty, pages, rates = np.zeros((n, k)), np.zeros((n, k)), np.zeros((n, k))
    cyclic, cap = np.zeros((n, k), dtype=bool), np.zeros(n)
    better, worse = np.ones(n), np.ones(n)
    for at, part in parts:
        width = part._dirty.shape[-1]
        jobs[at], states[at] = part._jobs, part._states
        dirty[at, :width], pages[at, :width] = part._dirty, part._pages
        rates[at, :width], cyclic[at, :width] = part._rates, part._cyclic
        cap[at] = part.bandwidth_mbps * BYTES_PER_S_PER_MBPS
        better[at], worse[at] = part.luck_scale(1.0), part.luck_scale(-1.0)
    return Flows(jobs, states, dirty, pages, rates, cyclic, first._rule, cap, better, worse)


def run_fluid(
    tasks: Tasks,
    shares: Shares,
    flows: Flows,
    order: NDArray[np.int64],
    *,
    before: Rows | None = None,
    not_before: Floats | None = None,
) -> Timed:
    """The list in this order, with true rates.

    `shares` still decides how many run at once. With `before` the room that each leg was handed (edges of
    `order.tokens`) takes the place of the room that happens to be free, so that no deadlock can arise.
    """
    from drs.planning.schedule.fluid_kernel import Course, Guests, Needs, Supply, When, fluid_kernel

    n = len(tasks)
    if not n:
        none = np.zeros(0)
        return Timed(none, none, none, none, none.astype(np.int64), none > 0, none)
    states, dirty = flows.states.copy(), flows.dirty.copy()
    take, ahead = (tasks.take, tasks.before) if before is None else (_none_of(tasks), before)
    links = tasks.link_mbps * BYTES_PER_S_PER_MBPS
    start, end, _ = fluid_kernel()(
        np.asarray(order, dtype=np.int64),
        Supply(room=tasks.free, slots=tasks.slots, lines=shares.line_mbps, links=links),
        Needs(
            take=take,
            give=tasks.give,
            run=tasks.run,
            line=shares.line,
            line_s=shares.line_s,
            lead_s=shares.lead_s,
            link=tasks.link,
            users=users_of(tasks.link, len(tasks.link_mbps)),
            cap=flows.cap,
        ),
        When(
            before=ahead,
            hours=tasks.hours,
            not_before=np.zeros(n) if not_before is None else not_before,
            guess_s=shares.total_s,
            pause_s=tasks.pause_s,
        ),
        Guests(flows.jobs, flows.pages, flows.rates, flows.cyclic, flows.rule, log=np.zeros((0, 6))),
        Course(states, dirty),
        Course(states[:1].copy(), dirty[:1].copy()),
    )
    return Timed(
        start,
        end,
        states["blackout_s"] * 1e3,
        states["sent"] / BYTES_PER_MIB,
        states["round"].astype(np.int64),
        states["verdict"] == _CONVERGED,
        flows.jobs["setup_s"] + flows.jobs["settle_s"],
    )


def _none_of(tasks: Tasks) -> Rows:
    """No rows at all."""
    return Rows(np.zeros(len(tasks) + 1, dtype=np.int32), tasks.take.row[:0], tasks.take.amount[:0])


_CONVERGED = 1
