"""Migrations in progress: carried forward step by step while their bandwidth changes.

A scheduler starts a `Transfer`, gives each migration its share of the links for the next stretch of time, and
carries it forward; `estimate` does the same in one stretch. `drs.precopy.share_link` is a small scheduler.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drs.precopy.ask import Ask, Checked, read
from drs.precopy.inputs import Checker
from drs.precopy.interval import STEP
from drs.precopy.kinds import preconditions
from drs.precopy.path import path_rate, streams_of
from drs.precopy.phases import CONVERGED, COPY, DISK, DONE, POST_COPY, RUNNING, STOP, THROTTLES
from drs.precopy.profiles import Profile
from drs.units import BYTES_PER_MIB, BYTES_PER_S_PER_MBPS, MIB_PER_GIB

PAGE_BYTES = 4096.0
PAGES_PER_MIB = 256.0

JITTER_RTT_MS = 100.0
"""QEMU measures its rate over at least 100 ms (BUFFER_DELAY, migration.c); a window is sent once a round trip, so
where that takes as long, one measurement may see twice what the next one does."""


@dataclass(frozen=True, slots=True, eq=False)
class Transfer:
    """An array of migrations, each somewhere between its start and its end. Immutable.

    Attributes
    ----------
    shape : tuple of int
        Shape of the array; () for a single migration.
    bandwidth_mbps : float array, shape (n,)
        The payload rate of each migration's own path, its most.
    streams : float array, shape (n,)
        TCP streams of each migration.
    verdict : int array, shape (n,)
        Before the start: RUNNING, or why it may not go.
    """

    shape: tuple[int, ...]
    profile: Profile
    bandwidth_mbps: NDArray[np.float64]
    streams: NDArray[np.float64]
    verdict: NDArray[np.int64]
    _error: NDArray[np.float64]
    _jobs: NDArray[Any]
    _states: NDArray[Any]
    _dirty: NDArray[np.float64]
    _pages: NDArray[np.float64]
    _rates: NDArray[np.float64]
    _cyclic: NDArray[np.bool_]
    _rule: Any

    @classmethod
    def start(cls, **ask: Unpack[Ask]) -> Transfer:
        """Migrations at their start; the arguments are those of `drs.precopy.estimate`.

        Raises
        ------
        InputError
            With every fault of the arguments.
        """
        checked = read(ask)
        return lower(checked)

    def advance(self, bandwidth_mbps: ArrayLike | None = None, seconds: ArrayLike = np.inf) -> Transfer:
        """Each migration `seconds` later, having had `bandwidth_mbps` (payload; default: all of its path).

        Parameters
        ----------
        bandwidth_mbps, seconds : scalar or array of the shape of this transfer

        Raises
        ------
        InputError
            For a negative bandwidth or time.
        """
        rate = self._rate(bandwidth_mbps)
        check = Checker()
        step = check.number("seconds", seconds, low=0.0, infinite=True)
        check.done()
        after = replace(self, _states=self._states.copy(), _dirty=self._dirty.copy())
        after._run(rate, _flat(step, self.shape), pause=False)
        return after

    def later(self, seconds: ArrayLike) -> Transfer:
        """The same migrations, each having waited so long before: only `elapsed_s` grows."""
        after = replace(self, _states=self._states.copy())
        after._states["clock_s"] += _flat(np.asarray(seconds, dtype=float), self.shape)
        return after

    def varied(self, luck: float, dirty_scale: float) -> Transfer:
        """The same migrations on a path that is better (luck 1), worse (-1) or as expected (0), and with dirty rates
        times `dirty_scale`: one of the runs that make an interval (`drs.precopy.interval.runs_of`)."""
        scale = self.luck_scale(luck)
        jobs = self._jobs.copy()
        # Whatever keeps a sender below the link keeps it below its own limit too.
        jobs["rate_limit"] *= np.minimum(scale, 1.0)
        return replace(
            self, bandwidth_mbps=self.bandwidth_mbps * scale, _jobs=jobs, _rates=self._rates * dirty_scale
        )

    def luck_scale(self, luck: float) -> NDArray[np.float64]:
        """By how much the path of each migration is better or worse than expected, f8[n]."""
        faster, slower = self._error[0], -self._error[1]
        scale: NDArray[np.float64] = (
            np.exp(STEP * (faster if luck > 0 else slower)) if luck else np.ones(len(faster))
        )
        return scale

    @property
    def downtime_error(self) -> NDArray[np.float64]:
        """The spread of each black-out (1 sigma, log), shape (n,)."""
        error: NDArray[np.float64] = self._error[2]
        return error

    def next_event_s(self, bandwidth_mbps: ArrayLike | None = None) -> NDArray[np.float64]:
        """Seconds until each migration begins or ends to use its link, or ends (inf: done, or never)."""
        ahead = replace(self, _states=self._states.copy(), _dirty=self._dirty.copy())
        ahead._run(self._rate(bandwidth_mbps), np.full(len(self._jobs), np.inf), pause=True)
        with np.errstate(invalid="ignore"):
            gap = ahead._states["clock_s"] - self._states["clock_s"]
        gap[self._states["phase"] == DONE] = np.inf
        return np.asarray(gap.reshape(self.shape))

    @property
    def on_link(self) -> NDArray[np.bool_]:
        """Whether each migration is using its link now."""
        return np.isin(self._states["phase"], (DISK, COPY, STOP, POST_COPY)).reshape(self.shape)

    @property
    def done(self) -> NDArray[np.bool_]:
        """Whether each migration has ended (or can never end)."""
        ended = (self._states["phase"] == DONE) | np.isinf(self._states["clock_s"])
        return np.asarray((ended | (self.verdict != RUNNING)).reshape(self.shape))

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether each migration has reached its own stop rule."""
        return np.asarray((self._states["verdict"] == CONVERGED).reshape(self.shape))

    @property
    def elapsed_s(self) -> NDArray[np.float64]:
        """Seconds since the start of each migration."""
        return np.asarray(self._states["clock_s"].reshape(self.shape).copy())

    @property
    def transferred_mib(self) -> NDArray[np.float64]:
        """MiB that each migration has put on the wire."""
        return np.asarray(self._states["sent"].reshape(self.shape) / BYTES_PER_MIB)

    @property
    def downtime_ms(self) -> NDArray[np.float64]:
        """Black-out of each migration so far, in ms: of this run, where `estimate` says what is expected of many."""
        return np.asarray(self._states["blackout_s"].reshape(self.shape) * 1e3)

    @property
    def rounds(self) -> NDArray[np.int64]:
        """Passes begun by each migration, the one while stopped included."""
        return np.asarray(self._states["round"].reshape(self.shape).copy())

    def _rate(self, bandwidth_mbps: ArrayLike | None) -> NDArray[np.float64]:
        if bandwidth_mbps is None:
            return self.bandwidth_mbps * BYTES_PER_S_PER_MBPS
        check = Checker()
        rate = check.number("bandwidth_mbps", bandwidth_mbps, low=0.0)
        check.done()
        share: NDArray[np.float64] = np.minimum(_flat(rate, self.shape), self.bandwidth_mbps)
        return share * BYTES_PER_S_PER_MBPS

    def _run(
        self, rate: NDArray[np.float64], seconds: NDArray[np.float64], *, pause: bool, log_rounds: int = 0
    ) -> NDArray[np.float64]:
        """Carry the states forward in place; returns the log of the last migration's rounds."""
        from drs.precopy.kernel import ROUND_COLUMNS, advance

        log = np.zeros((log_rounds, len(ROUND_COLUMNS)))
        advance(
            self._jobs,
            self._states,
            self._dirty,
            self._pages,
            self._rates,
            self._cyclic,
            rate,
            seconds,
            self._rule,
            log,
            pause,
        )
        return log


def lower(checked: Checked) -> Transfer:
    """Checked arguments as the rows that the kernel carries forward."""
    from drs.precopy.kernel import STATE, Rule

    which, kind, n = checked.profile, checked.kind, checked.n
    number = checked.numbers
    size = np.zeros(())
    if kind.memory:
        size = number["memory_mib"] * (1.0 - number["zero_ratio"]) * number["compression_ratio"]
    if kind.disk:
        size = size + np.minimum(number["disk_gib"], number["disk_used_gib"]) * MIB_PER_GIB
    carried = path_rate(
        number["bandwidth_mbps"],
        which,
        rtt_ms=number["rtt_ms"],
        loss_ratio=number["loss_ratio"],
        mtu_bytes=number["mtu_bytes"],
        control=number["congestion_control"],
        streams=number["streams"],
        window_mib=number["window_mib"],
        link_ratio=number["link_ratio"],
        sender_mbps=number["sender_mbps"],
        encrypted=number["encrypted"],
        size_mib=np.maximum(size, 1.0),
    )
    crowd = np.maximum(number["host_load_ratio"] - 1.0, 0.0)
    path = np.broadcast_to(carried.mbps, (n,)).copy()
    known = np.hypot(which.bandwidth_error_ratio, carried.error_ratio)
    error = np.empty((3, n))
    error[0], error[1] = known, known + which.load_error_ratio * crowd
    error[2] = which.downtime_error_ratio + which.load_downtime_ratio * crowd
    verdict = preconditions(kind, which, number["bandwidth_mbps"], number["rtt_ms"])

    jobs = _jobs(checked, known)
    states = np.zeros(n, dtype=STATE)
    states["rest"] = which.setup_s
    dirty = checked.dirty
    pages_of_class = dirty.size_mib * PAGES_PER_MIB
    rule = Rule(
        reread=which.reread,
        quantum_s=which.quantum_ms / 1e3,
        quantum_pages=which.quantum_pages,
        scattered_zero_pages=which.scattered_zero_mib * PAGES_PER_MIB,
        luck_ratio=which.luck_ratio,
        stop_pages=which.stop_pages,
        max_rounds=which.max_rounds,
        max_sent_ratio=which.max_sent_ratio,
        timeout_forces=which.timeout_forces,
        throttle_kind=THROTTLES[checked.throttle],
        throttle_trigger=which.throttle_trigger_ratio,
        throttle_initial=which.throttle_initial_ratio,
        throttle_increment=which.throttle_increment_ratio,
        throttle_max=which.throttle_max_ratio,
    )
    return Transfer(
        checked.shape,
        which,
        path,
        np.broadcast_to(streams_of(number["streams"], number["bandwidth_mbps"], which), (n,)),
        np.broadcast_to(verdict, (n,)),
        error,
        jobs,
        states,
        np.broadcast_to(pages_of_class, (n, pages_of_class.shape[-1])).copy(),
        pages_of_class,
        dirty.writes_per_page_s * which.dirty_ratio,
        dirty.cyclic,
        rule,
    )


def _jobs(checked: Checked, known: NDArray[np.float64]) -> NDArray[Any]:
    """What each row has to carry; `known` is the relative error of its path, f8[n]."""
    from drs.precopy.kernel import JOB

    which, kind, number = checked.profile, checked.kind, checked.numbers
    jobs = np.zeros(checked.n, dtype=JOB)
    if kind.memory:
        pages = (number["memory_mib"] + which.extra_memory_mib) * PAGES_PER_MIB
        zero_pages = pages * number["zero_ratio"]
        jobs["pages"] = pages - zero_pages
        jobs["zero_pages"] = zero_pages
        jobs["zero_bytes"] = zero_pages * which.zero_page_bytes
        jobs["scan_s"] = zero_pages * which.zero_scan_s
        jobs["device_bytes"] = (which.device_mib + number["vgpu_mib"]) * BYTES_PER_MIB
        jobs["buffer_bytes"] = which.buffer_ratio * number["window_mib"] * BYTES_PER_MIB
        jobs["resume_s"] = (
            which.resume_ms
            + which.resume_per_gib_ms * number["memory_mib"] / MIB_PER_GIB
            + which.resume_per_vcpu_ms * number["vcpus"]
            + which.rtt_factor * number["rtt_ms"]
        ) / 1e3
        jobs["unseen_s"] = which.rtt_unseen_factor * number["rtt_ms"] / 1e3
    elif kind.running:
        jobs["resume_s"] = which.storage_resume_ms / 1e3
    jobs["page_bytes"] = PAGE_BYTES * number["compression_ratio"] + which.page_header_bytes
    jobs["resend_bytes"] = (
        PAGE_BYTES * number["compression_ratio"] * number["resend_ratio"] + which.page_header_bytes
    )
    jobs["rate_limit"] = number["rate_limit_mbps"] * BYTES_PER_S_PER_MBPS
    jobs["switch_s"] = number["downtime_limit_ms"] / 1e3
    jobs["jitter_ratio"] = which.jitter_ratio * np.minimum(number["rtt_ms"] / JITTER_RTT_MS, 1.0)
    jobs["setup_s"] = which.setup_s
    jobs["settle_s"] = which.settle_s
    jobs["timeout_s"] = number["timeout_s"]
    jobs["post_copy_after"] = number["post_copy_after"]
    jobs["post_copy_s"] = number["post_copy_after_s"]
    jobs["spread"] = np.hypot(known, which.dirty_error_ratio)
    if kind.disk:
        jobs["disk_bytes"] = (
            np.minimum(number["disk_gib"], number["disk_used_gib"]) * MIB_PER_GIB * BYTES_PER_MIB
        )
        jobs["disk_write"] = number["disk_write_mibps"] * BYTES_PER_MIB if kind.running else 0.0
        jobs["disk_rate"] = number["datastore_mibps"] * BYTES_PER_MIB
    dirty = checked.dirty
    jobs["busy_s"] = dirty.busy_s
    jobs["quiet_s"] = dirty.quiet_s
    jobs["quiet_ratio"] = dirty.quiet_ratio
    jobs["phase_offset_s"] = dirty.offset_s
    return jobs


def _flat(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    return np.broadcast_to(array, shape).flatten()
