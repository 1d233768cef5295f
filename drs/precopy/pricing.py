"""Prices of migrations: how long, how many bytes, how many rounds, how dark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drs.precopy.ask import Ask, Checked, read
from drs.precopy.dirty import DirtyModel
from drs.precopy.interval import STEP, bands, runs_of
from drs.precopy.phases import (
    CANCELLED,
    CONVERGED,
    FORCED,
    REFUSED_BANDWIDTH,
    REFUSED_RTT,
    RUNNING,
    STUCK,
    Verdict,
)
from drs.precopy.profiles import Profile
from drs.precopy.transfer import lower
from drs.units import BYTES_PER_MIB, BYTES_PER_S_PER_MBPS
from drs.words import percent, seconds

BLOCK = 1 << 15
"""Migrations priced at a time."""

LOOK_SHARE = 0.4
"""Half of an 80 % interval of a uniform number: when within its quantum the hypervisor looks is not known."""

TOO_CLOSE = (0.85, 1.15)
"""Dirty rate over bandwidth, both while the goal is sent, between which nobody can tell whether it converges: near 1
an error of 6 % in the bandwidth was a factor of 5 in time."""

Number = float | NDArray[np.float64]
"""A Python float for scalar arguments, else a float array of their common shape."""
Count = int | NDArray[np.int64]
Truth = bool | NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Estimate:
    """What migrations cost. Every field has the common shape of the arguments; scalars are Python's own.

    Attributes
    ----------
    total_s, total_low_s, total_high_s : float
        Start to end, with an 80 % interval. inf: it never ends.
    downtime_ms, downtime_low_ms, downtime_high_ms : float
        Black-out as the hypervisor reports it, with an 80 % interval. Where a migration does not converge,
        what switching over at the plateau would cost.
    blackout_ms : float
        What the guest's clients see: longer by the time in which the send buffer drains.
    precopy_s : float
        Time spent in rounds over memory, before the switch-over.
    transferred_mib : float
        Bytes on the wire.
    rounds : int
        Passes over memory, the last one (while stopped) included.
    converged : bool
        Whether the hypervisor's own rule ends pre-copy, without a limit and without slowing an ESXi guest.
    borderline : bool
        Whether the verdict would differ within the band of what is known of bandwidth and dirty rate.
    slowdown_ratio : float
        The most that the guest was slowed by auto-converge or by stun during page send.
    lost_s : float
        Seconds of its own work that the guest loses: black-out, throttling, and a share of its speed during
        pre-copy and shortly after (KVM measurements).
    bandwidth_mbps : float
        Effective payload rate of the path.
    verdict : Verdict
        The outcome, an array of its codes for arrays; `advice` puts it in words.

    Numbers are NaN where a precondition fails: `advice` has the reason.
    """

    total_s: Number
    total_low_s: Number
    total_high_s: Number
    downtime_ms: Number
    downtime_low_ms: Number
    downtime_high_ms: Number
    blackout_ms: Number
    precopy_s: Number
    transferred_mib: Number
    rounds: Count
    converged: Truth
    borderline: Truth
    slowdown_ratio: Number
    lost_s: Number
    bandwidth_mbps: Number
    verdict: Verdict | NDArray[np.int64]
    profile: Profile

    @property
    def possible(self) -> Truth:
        """Whether the preconditions of the kind hold."""
        ok = np.asarray(self.verdict) < REFUSED_RTT
        return bool(ok) if ok.ndim == 0 else ok

    @property
    def advice(self) -> str | NDArray[Any]:
        """Why a migration may not go or not converge, and what would help; "" where all is well.

        A string, or an object array of strings.
        """
        verdict = np.asarray(self.verdict)
        texts = np.full(verdict.shape, "", dtype=object)
        stands_s = np.asarray(self.downtime_ms) / 1e3
        long = np.isfinite(stands_s) & (stands_s > self.profile.stun_warning_s)
        worth = (verdict != CONVERGED) | np.asarray(self.borderline) | long
        for place in np.argwhere(worth):
            at = tuple(place)
            texts[at] = _advice(
                int(verdict[at]),
                float(np.asarray(self.bandwidth_mbps)[at]),
                float(np.asarray(self.downtime_ms)[at]),
                float(np.asarray(self.slowdown_ratio)[at]),
                bool(np.asarray(self.borderline)[at]),
                self.profile,
            )
        return str(texts[()]) if verdict.ndim == 0 else texts

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Constants of the profile without a source that this price may rest on."""
        return self.profile.placeholders

    def __repr__(self) -> str:
        if np.ndim(self.verdict):
            return self._summary()
        name = Verdict(int(self.verdict)).name.lower().replace("_", " ")
        words = [f"Estimate, {self.profile.name}: {name}"]
        if self.possible:
            path = f"path {self.bandwidth_mbps:.0f} Mbit/s"
            if np.isinf(self.total_s):
                words += ["never ends", f"switching over now: {self.downtime_ms:.3g} ms", path]
            else:
                dark = f"{self.downtime_low_ms:.3g} to {self.downtime_high_ms:.3g}"
                words += [
                    f"total {self.total_s:.4g} s ({self.total_low_s:.4g} to {self.total_high_s:.4g})",
                    f"downtime {self.downtime_ms:.3g} ms ({dark})",
                    f"sent {self.transferred_mib:.0f} MiB",
                    f"rounds {self.rounds}",
                    path,
                ]
        guessed = f"; without a source: {', '.join(self.placeholders)}" if self.placeholders else ""
        return ", ".join(words) + (f"; {self.advice}" if self.advice else "") + guessed

    def _summary(self) -> str:
        """What an array of prices looks like: how many of each outcome, and the middle of the numbers."""
        counts = np.bincount(np.ravel(self.verdict), minlength=len(Verdict))
        parts = [f"{n} {v.name.lower().replace('_', ' ')}" for v, n in zip(Verdict, counts, strict=True) if n]
        total, dark = np.asarray(self.total_s), np.asarray(self.downtime_ms)
        known = np.isfinite(total)
        if known.any():
            middle, most = np.median(total[known]), total[known].max()
            parts.append(f"total {middle:.4g} s (median), {most:.4g} s (most)")
            parts.append(f"downtime {np.median(dark[known]):.3g} ms (median)")
        return f"Estimate, {self.profile.name}, shape {np.shape(self.verdict)}: " + ", ".join(
            parts or ["none"]
        )


def _advice(
    verdict: int, bandwidth: float, downtime: float, slowdown: float, borderline: bool, profile: Profile
) -> str:
    words = _outcome_advice(verdict, bandwidth, downtime, slowdown, borderline, profile)
    if verdict < REFUSED_RTT and downtime > profile.stun_warning_s * 1e3:
        words = [
            *words,
            f"the VM stands still for some {seconds(downtime / 1e3)}, longer than the "
            f"{seconds(profile.stun_warning_s)} above which {profile.title} warns",
        ]
    return "; ".join(words)


def _outcome_advice(
    verdict: int, bandwidth: float, downtime: float, slowdown: float, borderline: bool, profile: Profile
) -> list[str]:
    if verdict == REFUSED_RTT:
        return [f"round trip above the {profile.max_rtt_ms:g} ms that {profile.title} allows"]
    if verdict == REFUSED_BANDWIDTH:
        return [
            f"the path is below the {profile.min_bandwidth_mbps:g} Mbit/s "
            f"that {profile.title} asks for each migration"
        ]
    if verdict == CONVERGED:
        return ["may not converge: dirty rate and bandwidth are too close to tell"] if borderline else []
    cures = ["more bandwidth", "a quieter hour"]
    if profile.post_copy:
        cures += ["auto-converge (throttle)", "post-copy"]
    cures.append(f"a downtime limit of about {downtime:.0f} ms")
    help_text = ", ".join(cures)
    if verdict == FORCED and slowdown > 0:
        return [
            f"converges only by slowing the guest by up to {percent(slowdown)}",
            "would help: more bandwidth, a quieter hour",
        ]
    if verdict == FORCED:
        return [
            f"does not converge: switched over by a limit, {downtime:.0f} ms dark",
            f"would help: {help_text}",
        ]
    if verdict == CANCELLED:
        return ["does not converge before the time limit", f"would help: {help_text}"]
    return ["does not converge: memory is dirtied as fast as it is sent", f"would help: {help_text}"]


def estimate(
    *,
    memory_mib: ArrayLike,
    bandwidth_mbps: ArrayLike,
    dirty_rate_mibps: ArrayLike | None = None,
    working_set_mib: ArrayLike | None = None,
    dirtied_1s_mib: ArrayLike | None = None,
    dirtied_10s_mib: ArrayLike | None = None,
    dirty: DirtyModel | None = None,
    zero_ratio: ArrayLike = 0.0,
    vgpu_mib: ArrayLike = 0.0,
    vcpus: ArrayLike = 1.0,
    rtt_ms: ArrayLike = 0.0,
    loss_ratio: ArrayLike = 0.0,
    mtu_bytes: ArrayLike | None = None,
    congestion_control: str | ArrayLike | None = None,
    streams: ArrayLike | None = None,
    window_mib: ArrayLike | None = None,
    link_ratio: ArrayLike | None = None,
    sender_mbps: ArrayLike | None = None,
    host_load_ratio: ArrayLike = 0.0,
    rate_limit_mbps: ArrayLike | None = None,
    encrypted: ArrayLike = False,
    compression_ratio: ArrayLike = 1.0,
    resend_ratio: ArrayLike = 1.0,
    downtime_limit_ms: ArrayLike | None = None,
    timeout_s: ArrayLike | None = None,
    throttle: bool | None = None,
    post_copy_after: ArrayLike | None = None,
    post_copy_after_s: ArrayLike | None = None,
    disk_gib: ArrayLike = 0.0,
    disk_used_gib: ArrayLike | None = None,
    disk_write_mibps: ArrayLike = 0.0,
    datastore_mibps: ArrayLike | None = None,
    profile: str | Path | Profile = "vmware",
    kind: str = "vmotion",
) -> Estimate:
    """Price one migration or an array of them.

    Parameters
    ----------
    memory_mib, bandwidth_mbps : float or array
        Memory of the VM, nominal rate of the path. All numeric arguments broadcast.
    dirty_rate_mibps, working_set_mib : float or array, optional
        Distinct memory dirtied in one second (default 0), and where that saturates (default: the memory).
    dirtied_1s_mib, dirtied_10s_mib : float or array, optional
        Distinct memory dirtied in windows of one and of ten seconds, instead of a dirty rate: half the error
        of a rate and a working set. A working set may be given beside them, as the most that is ever dirtied.
    dirty : DirtyModel, optional
        A finer dirty curve instead of the two numbers: classes, samples of D(t), bursts.
    zero_ratio : float or array
        Share of the memory that holds zero pages.
    vgpu_mib : float or array
        Frame buffers of its vGPUs: nobody knows which parts change, so they are copied while it stands still.
    vcpus : float or array
        The standstill grows with them where the profile says so.
    rtt_ms, loss_ratio, mtu_bytes, congestion_control, streams, window_mib, link_ratio, sender_mbps, encrypted
        The path, see `drs.precopy.effective_mbps`. ``link_ratio=1`` where `bandwidth_mbps` is a measured
        payload rate.
    host_load_ratio : float or array
        Runnable tasks per core of the sending host (its load average over its cores). Above 1 the sender waits
        for the CPU at times: the interval widens towards slower. The point value stays, because by how much
        differs from run to run (measured: 0.4 to 1.0 of the link at 7).
    rate_limit_mbps : float or array, optional
        The hypervisor's own limit during pre-copy (QEMU `max-bandwidth`); the stop phase ignores it.
    compression_ratio, resend_ratio : float or array
        Bytes after / bytes before, for every page, and further for pages sent again (XBZRLE).
    downtime_limit_ms : float or array, optional
        Goal of the switch-over; default: the profile's.
    timeout_s : float or array, optional
        When an unfinished migration is cancelled.
    throttle : bool, optional
        Whether the guest may be slowed down (auto-converge; ESXi: stun during page send); default: as the
        profile does.
    post_copy_after : float or array, optional
        Rounds after which post-copy takes over, 0: at once (profiles that have it).
    post_copy_after_s : float or array, optional
        The same by time: seconds of pre-copy over memory.
    disk_gib, disk_used_gib, disk_write_mibps, datastore_mibps : float or array
        Disks to move, how much of them is used (all), what the guest writes to them, and what the slower
        datastore can take (no limit).
    profile : str, path or Profile
        Name of a hypervisor profile, or a fitted one.
    kind : {"vmotion", "storage", "cross_vcenter", "long_distance", "cold"}

    Returns
    -------
    Estimate

    Raises
    ------
    InputError
        With every fault of the arguments, and the index of each bad element of an array.
    UnknownNameError
        For a profile that does not exist.

    Examples
    --------
    >>> price = estimate(memory_mib=16384, dirty_rate_mibps=80, working_set_mib=900, bandwidth_mbps=10000)
    >>> price.converged, round(price.total_s)
    (True, 18)
    """
    ask: Ask = dict(locals())  # type: ignore[assignment]
    return price(read(ask))


def price(checked: Checked) -> Estimate:
    """Price migrations whose arguments were checked, a block at a time so that each fits the cache."""
    n = checked.n
    blocks = [_price_block(checked.block(slice(i, i + BLOCK))) for i in range(0, n, BLOCK)] or [
        _price_block(checked.block(slice(0, 0)))
    ]

    def join(name: str) -> Any:
        values = np.concatenate([block[name] for block in blocks])
        if checked.shape == ():
            return Verdict(values[0]) if name == "verdict" else values[0].item()
        return values.reshape(checked.shape)

    return Estimate(**{name: join(name) for name in blocks[0]}, profile=checked.profile)


def _price_block(checked: Checked) -> dict[str, NDArray[Any]]:
    """The fields of an `Estimate` for one block, each of shape (n,)."""
    from drs.precopy.kernel import OUTCOME
    from drs.precopy.kernel import price as run

    start = lower(checked)
    profile, jobs = start.profile, start._jobs
    rate = start.bandwidth_mbps * BYTES_PER_S_PER_MBPS
    luck, dirty_scales, cycle_shifts = runs_of(
        profile.dirty_error_ratio, bursts=bool((jobs["quiet_s"] > 0).any())
    )
    faster, slower = np.exp(STEP * start._error[0]), np.exp(-STEP * start._error[1])
    rates = np.empty((len(luck), len(rate)))
    for run_rates, how in zip(rates, luck.tolist(), strict=True):
        run_rates[:] = rate if how == 0.0 else rate * (faster if how > 0.0 else slower)
    runs = np.empty((len(luck), len(OUTCOME), len(rate)))
    run(
        jobs,
        start._pages,
        start._rates,
        start._cyclic,
        rates,
        start._rule,
        dirty_scales,
        cycle_shifts,
        runs,
    )
    total, blackout, sent, copy, rounds, throttle, verdicts, left, slowed, surprise = runs.swapaxes(0, 1)
    # A run that never stopped has no black-out: say what switching over at its plateau would cost.
    never_dark = (verdicts == STUCK) | (verdicts == CANCELLED)
    forced = (left + jobs["device_bytes"]) / rate + jobs["resume_s"]
    downtime = np.where(never_dark, forced, blackout) * 1e3
    # What the stop is expected to take beyond this run, the rounds before it do not.
    shift = np.where(never_dark[0], 0.0, np.clip(surprise[0], -blackout[0], copy[0]))
    expected = downtime[0] + shift * 1e3
    total_low, total_high = bands(total, profile.total_error_ratio)
    dark_low, dark_high = bands(downtime, start._error[2], LOOK_SHARE * profile.quantum_ms)
    converged = verdicts == CONVERGED
    memory = jobs["pages"] + jobs["zero_pages"] > 0
    lost = blackout[0] + slowed[0] + profile.precopy_loss_ratio * copy[0] + profile.settle_loss_s
    # Of what is sent in the goal's time the guest dirties so much again; at 1 no round would ever shrink.
    goal_s = jobs["switch_s"][:, None]
    x = start._rates * goal_s
    again = start._pages * np.where(start._cyclic, np.minimum(x, 1.0), -np.expm1(-x))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = again.sum(axis=-1) * jobs["resend_bytes"] / (jobs["switch_s"] * rate)
    too_close = memory & (verdicts[0] <= STUCK) & (ratio > TOO_CLOSE[0]) & (ratio < TOO_CLOSE[1])
    refused = start.verdict != RUNNING
    verdict = np.where(refused, start.verdict, verdicts[0].astype(np.int64))
    numbers = {
        "total_s": total[0],
        "total_low_s": total_low,
        "total_high_s": total_high,
        "downtime_ms": expected,
        "downtime_low_ms": np.minimum(dark_low, expected),
        "downtime_high_ms": np.maximum(dark_high, expected),
        "blackout_ms": expected + (jobs["buffer_bytes"] / rate + jobs["unseen_s"]) * 1e3,
        "precopy_s": np.where(verdict == STUCK, np.inf, copy[0] - shift),
        "transferred_mib": sent[0] / BYTES_PER_MIB,
        "slowdown_ratio": throttle[0],
        "lost_s": np.where(memory, lost, blackout[0]),
    }
    if refused.any():
        numbers = {name: np.where(refused, np.nan, values) for name, values in numbers.items()}
    return {
        **numbers,
        "rounds": np.where(refused, 0, rounds[0]).astype(np.int64),
        "converged": verdict == CONVERGED,
        "borderline": ~refused & (too_close | (converged != converged[0]).any(axis=0)),
        "bandwidth_mbps": start.bandwidth_mbps,
        "verdict": verdict,
    }


__all__ = ["Estimate", "estimate", "price"]
