"""What the pictures of a migration need: its rounds, its curves, its kinds side by side, its limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drs.errors import Fault, InputError
from drs.precopy.ask import Ask
from drs.precopy.kinds import KINDS
from drs.precopy.phases import RUNNING
from drs.precopy.pricing import Estimate, estimate
from drs.precopy.transfer import PAGES_PER_MIB, Transfer
from drs.units import BYTES_PER_S_PER_MBPS


@dataclass(frozen=True, slots=True)
class Round:
    """One pass over memory."""

    number: int
    start_s: float
    duration_s: float
    sent_mib: float
    left_mib: float
    """Not yet sent when the bitmap was read again."""
    dirtied_mib: float
    """Dirtied while this round was sent."""
    throttle_ratio: float
    stopped: bool
    """Whether the guest was stopped: the last pass."""


def rounds(*, limit: int = 64, **ask: Unpack[Ask]) -> tuple[Round, ...]:
    """The rounds of one migration, in order, the pass while stopped at the end.

    Parameters
    ----------
    limit : int
        At most so many rounds before the stop (a migration that never converges has no last one).
    **ask
        As `drs.precopy.estimate`, scalars only.

    Returns
    -------
    tuple of Round
        Empty for a kind that moves no memory, and where a precondition fails.

    Raises
    ------
    InputError
        As `estimate`, and for arrays.
    """
    start = Transfer.start(**ask)
    if start.shape != ():
        raise InputError(Fault("rounds", f"an array of shape {start.shape}", "one migration, scalars only"))
    if start.verdict[0] != RUNNING:
        return ()
    end = replace(start, _states=start._states.copy(), _dirty=start._dirty.copy())
    log = end._run(start._rate(None), np.array([np.inf]), pause=False, log_rounds=limit)
    table = [
        Round(
            number=i + 1,
            start_s=float(row[0]),
            duration_s=float(row[1]),
            sent_mib=float(row[2]) / PAGES_PER_MIB,
            left_mib=float(row[3]) / PAGES_PER_MIB,
            dirtied_mib=float(row[4]) / PAGES_PER_MIB,
            throttle_ratio=float(row[5]),
            stopped=False,
        )
        for i, row in enumerate(log[log[:, 1] > 0])
    ]
    state, job = end._states[0], end._jobs[0]
    dark_s = float(state["blackout_s"])
    if table and dark_s > 0.0:
        last = table[-1]
        byte_time = dark_s - float(job["resume_s"])
        sent = byte_time * float(start.bandwidth_mbps[0]) * BYTES_PER_S_PER_MBPS - float(job["device_bytes"])
        table.append(
            Round(
                number=int(state["round"]),
                start_s=last.start_s + last.duration_s,
                duration_s=dark_s,
                sent_mib=max(sent, 0.0) / float(job["resend_bytes"]) / PAGES_PER_MIB,
                left_mib=0.0,
                dirtied_mib=0.0,
                throttle_ratio=last.throttle_ratio,
                stopped=True,
            )
        )
    return tuple(table)


Axis = Literal[
    "bandwidth_mbps", "dirty_rate_mibps", "working_set_mib", "memory_mib", "rtt_ms", "downtime_limit_ms"
]


def sweep(over: Axis, values: ArrayLike, **ask: Unpack[Ask]) -> Estimate:
    """One migration priced along one argument: `sweep("bandwidth_mbps", grid, memory_mib=…)`.

    Returns
    -------
    Estimate
        With fields of the shape of `values`; draw `downtime_ms` (and its band) against `values`.
    """
    table: dict[str, Any] = {**ask, over: np.asarray(values, dtype=float)}
    return estimate(**table)


def side_by_side(**ask: Unpack[Ask]) -> dict[str, Estimate]:
    """The same machine and path priced in each of the kinds that apply (Storage vMotion needs a disk)."""
    table: dict[str, Any] = {key: value for key, value in ask.items() if key != "kind"}
    has_disk = bool(np.all(np.asarray(table.get("disk_gib", 0.0), dtype=float) > 0.0))
    return {name: estimate(**table, kind=name) for name in KINDS if has_disk or name != "storage"}


def least_bandwidth_mbps(**ask: Unpack[Ask]) -> float | NDArray[np.float64]:
    """The nominal bandwidth above which a migration converges (inf: none up to 10 Tbit/s does).

    Found by bisection to 0.1 %; `bandwidth_mbps` of the arguments is not used. Preconditions are not looked
    at.
    """
    return _threshold("bandwidth_mbps", 1.0, 1e7, rising=True, ask=ask)


def most_dirty_mibps(**ask: Unpack[Ask]) -> float | NDArray[np.float64]:
    """The one-second dirty rate up to which a migration converges (inf: at any rate).

    Found by bisection to 0.1 %; `dirty_rate_mibps` of the arguments is not used.
    """
    return _threshold("dirty_rate_mibps", 1e-3, 1e7, rising=False, ask=ask)


def _threshold(name: str, low: float, high: float, *, rising: bool, ask: Ask) -> float | NDArray[np.float64]:
    """Where `converged` changes along one argument, on a logarithmic scale."""
    table: dict[str, Any] = {"bandwidth_mbps": high, **ask}

    def holds(values: NDArray[np.float64]) -> NDArray[np.bool_]:
        start = Transfer.start(**{**table, name: values})
        return replace(start, verdict=np.full_like(start.verdict, RUNNING)).advance().converged

    shape = Transfer.start(**{**table, name: high}).shape
    bottom, top = np.full(shape, np.log(low)), np.full(shape, np.log(high))
    at_bottom, at_top = holds(np.exp(bottom)), holds(np.minimum(np.exp(top), high))
    while float(np.max(top - bottom, initial=0.0)) > 1e-3:
        middle = (bottom + top) / 2
        below = holds(np.exp(middle)) != rising
        bottom, top = np.where(below, middle, bottom), np.where(below, top, middle)
    found = np.exp(top if rising else bottom)
    if rising:
        found = np.where(at_top, np.where(at_bottom, 0.0, found), np.inf)
    else:
        found = np.where(at_top, np.inf, np.where(at_bottom, found, 0.0))
    return float(found) if shape == () else found


__all__ = ["Axis", "Round", "least_bandwidth_mbps", "most_dirty_mibps", "rounds", "side_by_side", "sweep"]
