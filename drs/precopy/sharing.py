"""Several migrations on one link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drs.precopy.ask import Ask
from drs.precopy.inputs import Checker
from drs.precopy.interval import bands, runs_of
from drs.precopy.transfer import Transfer

LOOK_SHARE = 0.4
"""As for one migration alone: half of an 80 % interval of a uniform number (see `drs.precopy.pricing`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """Migrations that shared a link, at their end. Arrays have the shape of the migrations.

    Attributes
    ----------
    start_s : when each was asked for
    elapsed_s, elapsed_low_s, elapsed_high_s : from there to its end, waiting included, with an 80 % interval;
        inf: it never ends
    downtime_ms, downtime_low_ms, downtime_high_ms : the black-out, likewise
    transferred_mib : what it put on the wire
    rounds : passes over memory
    converged : whether it reached its own stop rule
    makespan_s, makespan_low_s, makespan_high_s : from 0 to the end of the last one
    """

    start_s: NDArray[np.float64]
    elapsed_s: NDArray[np.float64]
    elapsed_low_s: NDArray[np.float64]
    elapsed_high_s: NDArray[np.float64]
    downtime_ms: NDArray[np.float64]
    downtime_low_ms: NDArray[np.float64]
    downtime_high_ms: NDArray[np.float64]
    transferred_mib: NDArray[np.float64]
    rounds: NDArray[np.int64]
    converged: NDArray[np.bool_]
    makespan_s: float
    makespan_low_s: float
    makespan_high_s: float

    def __repr__(self) -> str:
        low, high = self.makespan_low_s, self.makespan_high_s
        return (
            f"<Shared: {self.elapsed_s.size} migrations in {self.makespan_s:.4g} s ({low:.4g} to {high:.4g})>"
        )


def share_link(
    link_mbps: float, start_s: ArrayLike, *, at_once: int | None = None, **ask: Unpack[Ask]
) -> Shared:
    """Several migrations on one link, each with a max-min fair share while it uses the link.

    An event-driven fluid simulation: shares are computed anew whenever a migration begins or ends to use the
    link. Weights are the streams of each migration. The interval comes as that of `estimate` does, from runs in which
    link, paths and dirty rates are better and worse than expected for all at once: whoever shares a link shares its
    luck.

    Parameters
    ----------
    link_mbps : float
        Payload rate of the link; `bandwidth_mbps` stays each migration's own most.
    start_s : float array
        When each migration is asked for.
    at_once : int, optional
        How many the host runs at a time; the others wait, first come, first served. Default: all. OpenStack
        Nova runs one (`max_concurrent_live_migrations`) unless told otherwise.

    Returns
    -------
    Shared

    Raises
    ------
    InputError
        As `estimate`, and for a link that carries nothing.
    """
    check = Checker()
    link = float(check.number("link_mbps", link_mbps, low=0.0, above=True))
    slots = int(
        check.number("at_once", np.inf if at_once is None else at_once, low=1.0, infinite=True).clip(
            max=2**31
        )
    )
    starts = check.number("start_s", start_s, low=0.0)
    check.done()
    transfer = Transfer.start(**ask)
    try:
        start = np.broadcast_to(starts, transfer.shape)
    except ValueError:
        check.fault("start_s", f"shape {starts.shape}", f"the shape of the migrations, {transfer.shape}")
        check.done()
    profile = transfer.profile
    ends = []
    for luck, dirty_scale in zip(*runs_of(profile.dirty_error_ratio)[:2], strict=True):
        # The link is as good or bad as the paths on it are on average.
        scale = (
            float(np.exp(np.log(transfer.luck_scale(luck)).mean())) if transfer.luck_scale(luck).size else 1.0
        )
        ends.append(_run(link * scale, start, slots, transfer.varied(luck, dirty_scale)))
    end, shape = ends[0], transfer.shape
    elapsed = np.array([run.elapsed_s.reshape(-1) for run in ends])
    dark = np.array([run.downtime_ms.reshape(-1) for run in ends])
    elapsed_low, elapsed_high = bands(elapsed, profile.total_error_ratio)
    dark_low, dark_high = bands(dark, transfer.downtime_error, LOOK_SHARE * profile.quantum_ms)
    last = (start.reshape(-1) + elapsed).max(axis=-1, initial=0.0)
    low, high = bands(last[:, None], profile.total_error_ratio)
    return Shared(
        start.copy(),
        end.elapsed_s,
        elapsed_low.reshape(shape),
        elapsed_high.reshape(shape),
        end.downtime_ms,
        dark_low.reshape(shape),
        dark_high.reshape(shape),
        end.transferred_mib,
        end.rounds,
        end.converged,
        float(last[0]),
        float(low[0]),
        float(high[0]),
    )


def _run(link: float, start: NDArray[np.float64], slots: int, transfer: Transfer) -> Transfer:
    """All of them carried to their end; `elapsed_s` counts from `start`, waiting included."""
    shape = transfer.shape
    weight = transfer.streams.reshape(shape)
    own = transfer.bandwidth_mbps.reshape(shape)
    turn = np.argsort(start, axis=None, kind="stable").argsort().reshape(shape)
    waited = np.zeros(shape)
    now = 0.0
    while not transfer.done.all():
        asked = (start <= now) & ~transfer.done
        # Whoever came first and is not done holds a slot, so nobody who has begun loses one.
        begun = asked & (turn <= np.sort(turn[asked])[:slots].max(initial=-1))
        flowing = begun & transfer.on_link
        rate = np.where(flowing, fair_shares(link, own, weight, flowing), np.where(begun, own, 0.0))
        event = np.where(begun, transfer.next_event_s(rate), np.where(asked, np.inf, start - now))
        step = float(event[~transfer.done].min())
        transfer = transfer.advance(rate, np.where(begun, step, 0.0))
        waited += np.where(asked & ~begun, step, 0.0)
        if np.isinf(step):
            break
        now += step
    return transfer.later(waited)


def fair_shares(
    link: float, most: NDArray[np.float64], weight: NDArray[np.float64], active: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Max-min fair rates of the active flows on one link (progressive filling)."""
    rate = np.zeros(most.shape)
    open_ = active.copy()
    left = link
    while open_.any():
        level = left / weight[open_].sum()
        full = open_ & (most <= level * weight)
        if not full.any():
            rate[open_] = level * weight[open_]
            break
        rate[full] = most[full]
        left -= float(most[full].sum())
        open_ &= ~full
    return rate
