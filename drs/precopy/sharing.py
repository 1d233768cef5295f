"""Several migrations on one link."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drs.precopy.ask import Ask
from drs.precopy.inputs import Checker
from drs.precopy.transfer import Transfer


def share_link(
    link_mbps: float, start_s: ArrayLike, *, at_once: int | None = None, **ask: Unpack[Ask]
) -> Transfer:
    """Several migrations on one link, each with a max-min fair share while it uses the link.

    An event-driven fluid simulation: shares are computed anew whenever a migration begins or ends to use the
    link. Weights are the streams of each migration.

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
    Transfer
        At the end; `elapsed_s` counts from `start_s`, waiting included.

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
    shape = transfer.shape
    try:
        start = np.broadcast_to(starts, shape)
    except ValueError:
        check.fault("start_s", f"shape {starts.shape}", f"the shape of the migrations, {shape}")
        check.done()
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
