"""What a path carries: link, window and round trip, loss, parallel streams, the sender's CPU, encryption."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drs.errors import Fault, InputError, did_you_mean
from drs.precopy.phases import BBR, CONGESTION_CONTROLS
from drs.precopy.profiles import Profile
from drs.units import BYTES_PER_MIB, BYTES_PER_S_PER_MBPS

HEADER_BYTES = 40.0
"""IPv4 and TCP headers of a segment: what the MTU holds beside the payload (RFC 791, RFC 9293)."""

LEAST_RTT_S = 1e-5
"""No two hosts are nearer."""

BBR_TOLERATES = 0.2
"""Loss ratio above which BBR slows down too (Cardwell et al., ACM Queue 2016, figure 8)."""


class PathRate(NamedTuple):
    """What a path carries, arrays of the arguments' common shape."""

    mbps: NDArray[np.float64]
    """Payload rate."""
    error_ratio: NDArray[np.float64]
    """Spread of the rate from one run to the next (1 sigma, log) where loss bounds it; else 0."""


def congestion_codes(given: Any, profile: Profile) -> NDArray[np.int64]:
    """Names of congestion controls (one, or an array of them; None: the profile's) as numbers.

    Raises
    ------
    InputError
        For a name that is not one of `CONGESTION_CONTROLS`.
    """
    names = np.asarray(profile.congestion_control if given is None else given, dtype=object)
    names = np.where(names == "", profile.congestion_control, names)
    unknown = [str(name) for name in np.unique(names.astype(str)) if name not in CONGESTION_CONTROLS]
    if unknown:
        known = ", ".join(CONGESTION_CONTROLS)
        raise InputError(
            [
                Fault(
                    "congestion_control",
                    repr(name),
                    f"one of {known}",
                    did_you_mean(name, CONGESTION_CONTROLS),
                )
                for name in unknown
            ]
        )
    codes = np.empty(names.shape, dtype=np.int64)
    for name, code in CONGESTION_CONTROLS.items():
        codes[names == name] = code
    return codes


def effective_mbps(
    bandwidth_mbps: ArrayLike,
    profile: Profile,
    *,
    rtt_ms: ArrayLike = 0.0,
    loss_ratio: ArrayLike = 0.0,
    mtu_bytes: ArrayLike | None = None,
    congestion_control: str | ArrayLike | None = None,
    streams: ArrayLike | None = None,
    window_mib: ArrayLike | None = None,
    link_ratio: ArrayLike | None = None,
    sender_mbps: ArrayLike | None = None,
    encrypted: ArrayLike = False,
    size_mib: ArrayLike = np.inf,
) -> NDArray[np.float64]:
    """Payload rate of a path in Mbit/s; arguments broadcast.

    The least of: the link times its payload share; n^0.75 windows per round trip, the window being 0.62 of the
    socket buffer; n times what TCP carries at this loss ratio, round trip and MTU; n times what one stream's
    CPU can send; what encryption can take; `sender_mbps`.

    n streams do not add up where the window binds (2, 4 and 8 streams carried 1.6, 2.8 and 4.8 times one), and
    do where one core binds: 13.6, 31.5, 60.7 and 96.5 Gbit/s for 1, 2, 4 and 8 (Cloud Hypervisor, PR 7669).

    The window formula is textbook; its share was measured for this model over round trips of 1 to 150 ms
    (median error 6 %). `drs.precopy.congestion` has the sources of what loss does.

    Parameters
    ----------
    bandwidth_mbps, rtt_ms, loss_ratio : float or array
    mtu_bytes : float or array, optional
        Largest IP packet of the path (default: the profile's 1500); a segment holds 40 bytes less.
    congestion_control : {"reno", "cubic", "bbr"} or an array of them, optional
        Of the sender; default: the platform's.
    streams : float or array, optional
        Default: the profile's, or as many as fill the link where the platform chooses them by the NIC.
    window_mib : float or array, optional
        Socket buffer of a stream.
    size_mib : float or array
        How much is to be sent: a transfer that meets few losses runs faster than a steady one (inf).

    Raises
    ------
    InputError
        For a congestion control that is not known.
    """
    return path_rate(
        np.asarray(bandwidth_mbps, dtype=float),
        profile,
        rtt_ms=np.asarray(rtt_ms, dtype=float),
        loss_ratio=np.asarray(loss_ratio, dtype=float),
        mtu_bytes=np.asarray(profile.mtu_bytes if mtu_bytes is None else mtu_bytes, dtype=float),
        control=congestion_codes(congestion_control, profile),
        streams=np.asarray(np.nan if streams is None else streams, dtype=float),
        window_mib=np.asarray(profile.window_mib if window_mib is None else window_mib, dtype=float),
        link_ratio=np.asarray(profile.link_ratio if link_ratio is None else link_ratio, dtype=float),
        sender_mbps=np.asarray(np.inf if sender_mbps is None else sender_mbps, dtype=float),
        encrypted=np.asarray(encrypted, dtype=bool),
        size_mib=np.asarray(size_mib, dtype=float),
    ).mbps


def streams_of(streams: NDArray[np.float64], link_mbps: NDArray[np.float64], profile: Profile) -> Any:
    """Streams of each migration: as given, or (NaN) as the platform chooses.

    Where it chooses by the NIC (vSphere from 7.0 U2), as many as fill it: one for each 15 Gbit/s, so 2, 3 and 7
    on 25, 40 and 100 GbE (core.vmware.com, "Faster vMotion Makes Balancing Workloads Invisible").
    """
    if profile.fill_mbps > 0.0:
        own = np.maximum(np.ceil(link_mbps / profile.fill_mbps - 1e-9), float(profile.streams))
    else:
        own = np.full(np.shape(link_mbps), float(profile.streams))
    return np.where(np.isnan(streams), own, streams)


def path_rate(
    link: Any,
    profile: Profile,
    *,
    rtt_ms: Any,
    loss_ratio: Any,
    mtu_bytes: Any,
    control: Any,
    streams: Any,
    window_mib: Any,
    link_ratio: Any,
    sender_mbps: Any,
    encrypted: Any,
    size_mib: Any,
) -> PathRate:
    """`effective_mbps` of arrays that were checked, with the spread of the rate."""
    n = streams_of(streams, link, profile)
    rtt_s = rtt_ms / 1e3
    with np.errstate(divide="ignore", over="ignore"):
        windows = profile.window_ratio * window_mib * BYTES_PER_MIB / rtt_s / BYTES_PER_S_PER_MBPS
        rate = np.minimum(link * link_ratio, n**profile.stream_exponent * windows)
    rate = np.minimum(rate, n * profile.stream_mbps)
    error = np.zeros(np.shape(rate))
    if np.any((loss_ratio > 0.0) & (rtt_s > 0.0)):
        rate, error = _with_loss(rate, n, windows, rtt_s, loss_ratio, mtu_bytes, control, size_mib, profile)
    rate = np.minimum(rate, sender_mbps)
    rate = np.where(encrypted, np.minimum(rate, profile.encrypt_mbps), rate)
    return PathRate(np.asarray(rate, dtype=float), np.asarray(error, dtype=float))


def _with_loss(
    rate: Any,
    n: Any,
    windows: Any,
    rtt_s: Any,
    loss: Any,
    mtu: Any,
    control: Any,
    size_mib: Any,
    profile: Profile,
) -> tuple[Any, Any]:
    """The rates where packets are lost, and their spread; `rate` where none are."""
    from drs.precopy.congestion import DRAWS, sampled_rates

    wide = np.broadcast_arrays(rate, n, windows, rtt_s, loss, mtu, control, size_mib)
    shape = wide[0].shape
    rate, n, windows, rtt_s, loss, mtu, control, size_mib = (a.flatten() for a in wide)
    error = np.zeros(rate.shape)
    lossy = (loss > 0.0) & (rtt_s > 0.0)
    gentle = lossy & (control == BBR) & (loss < BBR_TOLERATES)
    rate[gentle] *= 1.0 - loss[gentle]
    at = np.flatnonzero(lossy & ~gentle)
    if len(at):
        of_one, spread = np.empty(len(at)), np.empty(len(at))
        sampled_rates(
            control[at],
            loss[at],
            np.maximum(rtt_s[at], LEAST_RTT_S),
            np.maximum(mtu[at] - HEADER_BYTES, 1.0),
            np.minimum(rate[at] / n[at], windows[at]) * BYTES_PER_S_PER_MBPS,
            size_mib[at] / n[at] * BYTES_PER_MIB,
            DRAWS,
            of_one,
            spread,
        )
        rate[at] = np.minimum(rate[at], n[at] * of_one / BYTES_PER_S_PER_MBPS)
        error[at] = np.hypot(spread / np.sqrt(n[at]), profile.loss_error_ratio)
    return rate.reshape(shape), error.reshape(shape)


__all__ = ["PathRate", "congestion_codes", "effective_mbps", "path_rate", "streams_of"]
