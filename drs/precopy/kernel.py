"""The migration itself, step by step, compiled with numba.

One migration is one row of `JOB` (what is known beforehand) and one row of `STATE` (how far it has come).
`advance` carries every row forward by its own time at its own bandwidth; pricing a migration is carrying it
forward without a time limit, so the two can never disagree.

Imported only when a price is asked for, because numba is slow to import.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from drs.compiled import compiled
from drs.precopy.phases import (
    AUTO_CONVERGE,
    CANCELLED,
    CONVERGED,
    COPY,
    DISK,
    DONE,
    FORCED,
    POST_COPY,
    RESUME,
    RUNNING,
    SDPS,
    SETTLE,
    SETUP,
    STOP,
    STUCK,
)

PAGE = 4096.0
"""Bytes in a guest page."""

FLAT = 1e-4
"""A round that leaves no less than 1 - FLAT of the round before it has reached its plateau."""

LUCK_ROUNDS = 10
"""Rounds a little above the goal until one is sure to fall below it by chance."""

MAX_ROUNDS = 2000
"""Beyond this many rounds a migration that still swings (a bursty guest) is taken to be stuck."""

INSTANT = 1e-9
"""Seconds below which a phase is over; rounding must not leave one open for ever."""

JOB = np.dtype(
    [
        ("pages", "f8"),  # non-zero pages
        ("zero_pages", "f8"),
        ("zero_bytes", "f8"),  # on the wire, for all zero pages
        ("scan_s", "f8"),  # time to find all zero pages
        ("page_bytes", "f8"),  # on the wire, first sending
        ("resend_bytes", "f8"),  # on the wire, every later sending
        ("rate_limit", "f8"),  # bytes/s, pre-copy only
        ("switch_s", "f8"),
        ("jitter_ratio", "f8"),  # how far above its mean the rate is at times taken to be
        ("device_bytes", "f8"),
        ("buffer_bytes", "f8"),  # sent ahead of the wire
        ("unseen_s", "f8"),  # of the black-out, beyond what is reported
        ("setup_s", "f8"),
        ("resume_s", "f8"),
        ("settle_s", "f8"),
        ("timeout_s", "f8"),
        ("disk_bytes", "f8"),
        ("disk_write", "f8"),  # bytes/s
        ("disk_rate", "f8"),  # bytes/s, what the datastores allow
        ("busy_s", "f8"),
        ("quiet_s", "f8"),
        ("quiet_ratio", "f8"),
        ("phase_offset_s", "f8"),
        ("post_copy_after", "f8"),  # rounds; 0: at once, inf: never
        ("post_copy_s", "f8"),  # seconds of pre-copy; inf: never
        ("spread", "f8"),  # of what a round leaves (1 sigma, log)
    ],
    align=True,
)

STATE = np.dtype(
    [
        ("phase", "i8"),
        ("verdict", "i8"),
        ("clock_s", "f8"),
        ("rest", "f8"),  # seconds or bytes left in a phase other than COPY
        ("round", "i8"),
        ("pending", "f8"),  # pages of this round not yet sent
        ("round_pages", "f8"),  # pages at its start
        ("round_s", "f8"),
        ("guest_s", "f8"),  # the same in the guest's own time (bursts, throttling)
        ("scan_s", "f8"),
        ("sent", "f8"),  # bytes
        ("copy_s", "f8"),  # time spent in rounds
        ("blackout_s", "f8"),
        (
            "surprise_s",
            "f8",
        ),  # expected black-out less that of this run, which ends at the one round or the next
        ("before", "f8"),  # pages pending when a round last began
        ("throttle", "f8"),
        ("slowed_s", "f8"),  # seconds of guest work lost to throttling
        ("chances", "i8"),  # rounds that left a little more than the goal
        ("strikes", "i8"),
        ("watch_s", "f8"),  # since the throttle was last considered
        ("watch_dirtied", "f8"),
        ("watch_sent", "f8"),
    ],
    align=True,
)

ROUND_COLUMNS = ("start_s", "duration_s", "sent_pages", "left_pages", "dirtied_pages", "throttle_ratio")


class Rule(NamedTuple):
    """The stop rule of one hypervisor, as numbers."""

    reread: bool
    quantum_s: float
    quantum_pages: float
    scattered_zero_pages: float
    luck_ratio: float
    stop_pages: float
    max_rounds: float
    max_sent_ratio: float
    timeout_forces: bool
    throttle_kind: int
    throttle_trigger: float
    throttle_initial: float
    throttle_increment: float
    throttle_max: float


@compiled
def _busy_time(start: float, step: float, busy: float, quiet: float, ratio: float) -> float:
    """Seconds of full-rate writing in `[start, start + step]` of a guest that writes in bursts."""
    if quiet <= 0.0 or math.isinf(step):
        return step
    period = busy + quiet
    total = 0.0
    for sign, t in ((1.0, start + step), (-1.0, start)):
        cycles = math.floor(t / period)
        rest = t - cycles * period
        total += sign * (cycles * (busy + ratio * quiet) + min(rest, busy) + ratio * max(rest - busy, 0.0))
    return total


@compiled
def _jitter(job: Any, state: Any) -> float:
    """How far above its mean the rate is taken to be at least once by now: the more looks, the further."""
    return float(job.jitter_ratio * min(state.round / LUCK_ROUNDS, 1.0))


@compiled
def _keep_pages(job: Any, state: Any, page_bytes: float, bandwidth: float, rule: Rule) -> float:
    """Pages still unsent when the bitmap is read again (0 where every round is a complete pass)."""
    if not rule.reread:
        return 0.0
    keep = (1.0 + _jitter(job, state)) * job.switch_s * bandwidth / PAGE
    if state.round == 1:  # zero pages are pending too, until they are found to be zero
        keep -= max(0.0, job.zero_pages - rule.scattered_zero_pages)
    # It looks at the first multiple of `quantum_pages` after `quantum_s`: half of that late on average.
    keep -= (0.5 * rule.quantum_s * bandwidth + job.buffer_bytes) / page_bytes + 0.25 * rule.quantum_pages
    return float(min(max(keep, 0.0), state.pending))


@compiled
def _next_round(job: Any, state: Any, dirty: Any, pages: Any, rates: Any, cyclic: Any, rule: Rule) -> float:
    """Read the bitmap: fold what was dirtied into what is pending. Returns the pages dirtied."""
    share = state.pending / state.round_pages if state.round_pages > 0.0 else 0.0
    fresh = 0.0
    for k in range(dirty.shape[0]):
        kept = dirty[k] * share
        x = rates[k] * state.guest_s
        # What is kept was written before: a cyclic writer comes to it last, a random one at any time.
        hit = min(pages[k] - kept, pages[k] * x) if cyclic[k] else -(pages[k] - kept) * math.expm1(-x)
        dirty[k] = kept + hit
        fresh += hit
    if rule.throttle_kind == SDPS and state.round > 1:
        allowed = max(0.0, rule.throttle_trigger * state.round_pages - state.pending)
        if fresh > allowed:
            cut = allowed / fresh
            for k in range(dirty.shape[0]):
                dirty[k] = dirty[k] * cut
            state.throttle = min(max(state.throttle, 1.0 - cut), rule.throttle_max)
            state.slowed_s += (1.0 - cut) * state.round_s
            fresh = allowed
    state.pending += fresh
    state.round_pages = state.pending
    return fresh


@compiled
def _needs_slowing(job: Any, bandwidth: float, pages: Any, rates: Any, cyclic: Any) -> bool:
    """Whether the guest at full speed would dirty its goal again in the time that sending the goal takes.

    What a round leaves only falls with the round's length, but by less and less, so that plateau is above the
    goal exactly then.
    """
    goal = job.switch_s * bandwidth / PAGE
    seconds = goal * job.resend_bytes / bandwidth
    hit = 0.0
    for k in range(pages.shape[0]):
        x = rates[k] * seconds
        hit += pages[k] * (min(1.0, x) if cyclic[k] else -math.expm1(-x))
    return bool(hit > goal)


@compiled
def _surprise_s(
    job: Any,
    state: Any,
    goal: float,
    bandwidth: float,
    dirty: Any,
    pages: Any,
    rates: Any,
    cyclic: Any,
    rule: Rule,
) -> float:
    """How much longer the stop is expected to take than in this run.

    What a round leaves is known to within `job.spread`, so near the goal the stop may as well come a round
    earlier, with just about the goal, or a round later. Without this the black-out would saw up and down along
    the bandwidth.
    """
    if job.spread <= 0.0 or state.pending <= 0.0 or goal <= 0.0:
        return 0.0
    kept = _keep_pages(job, state, job.resend_bytes, bandwidth, rule)
    seconds = (state.pending - kept) * job.resend_bytes / bandwidth
    share = kept / state.pending
    later = kept
    for k in range(dirty.shape[0]):
        x = rates[k] * seconds
        rest = pages[k] - dirty[k] * share
        later += min(rest, pages[k] * x) if cyclic[k] else -rest * math.expm1(-x)
    narrow = job.spread * math.sqrt(2.0)
    early = 0.5 * math.erfc(math.log(max(state.before / goal, 1.0)) / narrow)
    late = 0.5 * math.erfc(math.log(max(goal / state.pending, 1.0)) / narrow)
    expected = early * goal + (1.0 - early) * (late * min(later, goal) + (1.0 - late) * state.pending)
    return float((expected - state.pending) * job.resend_bytes / bandwidth)


@compiled
def _consider_throttle(state: Any, dirtied_bytes: float, sent_bytes: float, rule: Rule) -> None:
    """QEMU's auto-converge: too much dirtied twice, at syncs a second apart, raises the throttle."""
    state.watch_dirtied += dirtied_bytes
    state.watch_sent += sent_bytes
    state.watch_s += state.round_s
    if state.watch_s < 1.0:
        return
    if state.watch_dirtied > rule.throttle_trigger * state.watch_sent:
        state.strikes += 1
        if state.strikes >= 2:
            state.strikes = 0
            if state.throttle == 0.0:
                state.throttle = rule.throttle_initial
            else:
                state.throttle = min(state.throttle + rule.throttle_increment, rule.throttle_max)
    state.watch_s = 0.0
    state.watch_dirtied = 0.0
    state.watch_sent = 0.0


@compiled
def _enter_stop(job: Any, state: Any, verdict: int) -> None:
    state.phase = STOP
    state.verdict = verdict
    page_bytes = job.resend_bytes if state.round > 1 else job.page_bytes
    state.rest = state.pending * page_bytes + job.device_bytes
    state.pending = 0.0


@compiled
def _advance_one(
    job: Any,
    state: Any,
    dirty: Any,
    pages: Any,
    rates: Any,
    cyclic: Any,
    line: float,
    left: float,
    rule: Rule,
    log: Any,
    pause: bool,
) -> None:
    while state.phase != DONE:
        # Until the machine runs on the other side a migration can be given up.
        remaining = math.inf
        if (
            state.phase == SETUP
            or state.phase == DISK
            or (state.phase == STOP and state.verdict == CONVERGED)
        ):
            remaining = max(job.timeout_s - state.clock_s, 0.0)
        if state.phase == SETUP or state.phase == RESUME or state.phase == SETTLE:
            step = min(left, state.rest, remaining)
            state.rest -= step
            state.clock_s += step
            left -= step
            if state.phase == RESUME:
                state.blackout_s += step
            if state.rest > INSTANT:
                if step == remaining and step < left:
                    state.phase = DONE
                    state.verdict = CANCELLED
                return
            if state.phase == SETUP:
                state.phase = DISK
                state.rest = job.disk_bytes
                if pause:
                    return
            elif state.phase == RESUME and state.pending > 0.0:
                state.phase = POST_COPY
                state.rest = state.pending * (job.resend_bytes if state.round > 1 else job.page_bytes)
                if pause:
                    return
            elif state.phase == RESUME:
                state.phase = SETTLE
                state.rest = job.settle_s + state.scan_s
            else:
                state.phase = DONE

        elif state.phase == DISK or state.phase == STOP or state.phase == POST_COPY:
            rate = line
            extra = 0.0
            if state.phase == DISK:
                # A write to what was copied goes to both sides before the guest goes on, so writes that are
                # more than their half of the path slow the guest, and the pass always ends.
                rate = min(line, job.disk_rate)
                extra = min(0.5 * job.disk_write, 0.5 * rate)
                rate -= extra
            if state.rest > 0.0:
                need = state.rest / rate if rate > 0.0 else math.inf
                step = min(left, need, remaining)
                if math.isinf(step):
                    state.clock_s += step
                    if state.phase == DISK:
                        state.verdict = STUCK
                    if state.phase == STOP:
                        state.blackout_s += step
                    return
                done = need - step <= INSTANT
                if state.phase == DISK and job.disk_write > 0.0:
                    state.throttle = max(state.throttle, 1.0 - 2.0 * extra / job.disk_write)
                    state.slowed_s += (1.0 - 2.0 * extra / job.disk_write) * step
                state.sent += (rate + extra) * step
                state.rest = 0.0 if done else state.rest - rate * step
                state.clock_s += step
                left -= step
                if state.phase == STOP:
                    state.blackout_s += step
                if not done:
                    if step == remaining and step < left:
                        state.phase = DONE
                        state.verdict = CANCELLED
                    return
            if state.phase == DISK:
                if job.pages + job.zero_pages > 0.0:
                    state.phase = COPY
                    state.round = 1
                    state.pending = job.pages
                    state.round_pages = job.pages
                    state.before = math.inf
                    state.scan_s = job.scan_s
                    state.sent += job.zero_bytes
                    if job.post_copy_after < 1.0 or job.post_copy_s <= 0.0:
                        state.verdict = CONVERGED
                        state.phase = STOP
                        state.rest = job.device_bytes
                else:
                    state.phase = STOP
                    state.verdict = CONVERGED
                    state.rest = job.device_bytes
            elif state.phase == STOP:
                state.phase = RESUME
                state.rest = job.resume_s
                if pause:
                    return
            else:
                state.pending = 0.0
                state.phase = SETTLE
                state.rest = job.settle_s + state.scan_s  # zero pages that no round has scanned
                if pause:
                    return

        else:  # COPY
            bandwidth = min(line, job.rate_limit)
            page_bytes = job.page_bytes if state.round == 1 else job.resend_bytes
            remaining = max(job.timeout_s - state.clock_s, 0.0)
            until_post_copy = max(job.post_copy_s - state.copy_s, 0.0)
            todo = state.pending - _keep_pages(job, state, page_bytes, bandwidth, rule)
            need = state.scan_s
            if todo > 0.0:
                need += todo * page_bytes / bandwidth if bandwidth > 0.0 else math.inf
            step = min(left, need, remaining, until_post_copy)
            if math.isinf(step):
                state.verdict = STUCK
                state.clock_s += step
                return
            share = step / need if need - step > INSTANT else 1.0
            sent = todo * share
            state.pending -= sent
            state.sent += sent * page_bytes
            state.scan_s *= 1.0 - share
            state.round_s += step
            state.copy_s += step
            writing = _busy_time(
                state.clock_s + job.phase_offset_s, step, job.busy_s, job.quiet_s, job.quiet_ratio
            )
            if rule.throttle_kind == AUTO_CONVERGE:
                writing *= 1.0 - state.throttle
                state.slowed_s += state.throttle * step
            state.guest_s += writing
            state.clock_s += step
            left -= step
            if share < 1.0:
                if step == until_post_copy and step < min(left, remaining):
                    _next_round(job, state, dirty, pages, rates, cyclic, rule)
                    state.round_s = 0.0
                    state.guest_s = 0.0
                    state.round += 1
                    state.phase = STOP
                    state.verdict = CONVERGED
                    state.rest = job.device_bytes
                    if pause:
                        return
                    continue
                if step == remaining:
                    if rule.timeout_forces:
                        _next_round(job, state, dirty, pages, rates, cyclic, rule)
                        _enter_stop(job, state, FORCED)
                        continue
                    state.phase = DONE
                    state.verdict = CANCELLED
                return

            # The round is over: read the bitmap again and decide.
            before = state.round_pages
            kept = state.pending
            fresh = _next_round(job, state, dirty, pages, rates, cyclic, rule)
            if state.round - 1 < log.shape[0]:
                row = log[state.round - 1]
                row[0] = state.clock_s - state.round_s
                row[1] = state.round_s
                row[2] = before - kept
                row[3] = kept
                row[4] = fresh
                row[5] = state.throttle
            if rule.throttle_kind == AUTO_CONVERGE:
                _consider_throttle(state, fresh * PAGE, (before - kept) * page_bytes, rule)
            duration = state.round_s
            round_bytes = (before - kept) * page_bytes
            state.round_s = 0.0
            state.guest_s = 0.0
            finished = state.round
            # Rounds differ a little, and one below the goal is enough: each further one is another chance.
            goal = job.switch_s * bandwidth
            # The rate that made it look again still holds when the bitmap has been read.
            most_luck = rule.luck_ratio + job.jitter_ratio
            luck = _jitter(job, state) + rule.luck_ratio * min(state.chances / LUCK_ROUNDS, 1.0)
            near = state.pending * PAGE <= (1.0 + most_luck) * goal
            if near:
                state.chances += 1
            if state.pending * PAGE <= (1.0 + luck) * goal or state.pending < rule.stop_pages:
                forced = (
                    rule.throttle_kind == SDPS
                    and state.throttle > 0.0
                    and _needs_slowing(job, bandwidth, pages, rates, cyclic)
                )
                state.round += 1
                state.surprise_s = _surprise_s(
                    job, state, (1.0 + luck) * goal / PAGE, bandwidth, dirty, pages, rates, cyclic, rule
                )
                _enter_stop(job, state, FORCED if forced else CONVERGED)
            elif finished >= job.post_copy_after:
                state.round += 1
                state.phase = STOP
                state.verdict = CONVERGED
                state.rest = job.device_bytes
            elif (
                finished >= rule.max_rounds
                or state.sent > rule.max_sent_ratio * (job.pages + job.zero_pages) * PAGE
            ):
                state.round += 1
                _enter_stop(job, state, FORCED)
            else:
                state.round += 1
                state.before = state.pending
                plateau = finished > 1 and abs(state.pending - before) <= FLAT * before
                steady = job.quiet_s <= 0.0 and (
                    rule.throttle_kind == 0
                    or state.throttle >= rule.throttle_max
                    or rule.throttle_kind == SDPS
                )
                bounded = not math.isinf(min(rule.max_rounds, rule.max_sent_ratio, job.post_copy_after))
                if (plateau and steady and not bounded and not near) or finished >= MAX_ROUNDS:
                    # Every later round is like this one: spend the rest of the time in one step.
                    spend = min(left, max(job.timeout_s - state.clock_s, 0.0), until_post_copy - step)
                    if math.isinf(spend):
                        state.verdict = STUCK
                        state.clock_s = math.inf
                        state.sent = math.inf
                        return
                    n_more = math.floor(spend / duration) if duration > 0.0 else 0.0
                    state.round += int(n_more)
                    state.sent += n_more * round_bytes
                    state.clock_s += n_more * duration
                    state.copy_s += n_more * duration
                    left -= n_more * duration


@compiled
def advance(
    jobs: Any,
    states: Any,
    dirty: Any,
    pages: Any,
    rates: Any,
    cyclic: Any,
    bandwidth: Any,
    seconds: Any,
    rule: Rule,
    log: Any,
    pause: bool,
) -> None:
    """Carry every migration forward in place.

    Parameters
    ----------
    jobs, states : arrays of `JOB` and `STATE`, shape (n,)
    dirty : float array, shape (n, k); pages of each class in the current round
    pages, rates, cyclic : arrays, shape (n, k) or (1, k); the dirty classes
    bandwidth, seconds : float arrays, shape (n,); bytes/s and seconds (inf: to the end)
    rule : the stop rule
    log : float array, shape (rounds, 6); filled with `ROUND_COLUMNS` of the last row (shape (0, 6): none)
    pause : stop each migration where it begins or ends to use the link, even if seconds are left
    """
    one = pages.shape[0] == 1
    for i in range(jobs.shape[0]):
        k = 0 if one else i
        _advance_one(
            jobs[i],
            states[i],
            dirty[i],
            pages[k],
            rates[k],
            cyclic[k],
            bandwidth[i],
            seconds[i],
            rule,
            log,
            pause,
        )


OUTCOME = (
    "clock_s",
    "blackout_s",
    "sent",
    "copy_s",
    "round",
    "throttle",
    "verdict",
    "left_bytes",
    "slowed_s",
    "surprise_s",
)
"""Columns of what `price` writes, for each run."""


@compiled
def price(
    jobs: Any,
    pages: Any,
    rates: Any,
    cyclic: Any,
    bandwidth: Any,
    rule: Rule,
    dirty_scales: Any,
    cycle_shifts: Any,
    out: Any,
) -> None:
    """Carry every migration from its start to its end, r times.

    Parameters
    ----------
    jobs, pages, rates, cyclic, rule : as in `advance`
    bandwidth : float array, shape (r, n); bytes/s
    dirty_scales, cycle_shifts : float arrays, shape (r,)
        Factors on the dirty rates, and how much later in its cycle of bursts a guest is met (ratio of the cycle).
    out : float array, shape (r, 10, n); filled with `OUTCOME`
    """
    one = pages.shape[0] == 1
    blank = np.zeros(1, dtype=STATE)
    states = np.zeros(1, dtype=STATE)
    dirty = np.empty(pages.shape[1])
    scaled = np.empty(pages.shape[1])
    log = np.zeros((0, 6))
    state = states[0]
    mine = np.zeros(1, dtype=JOB)
    job = mine[0]
    for i in range(jobs.shape[0]):
        k = 0 if one else i
        mine[0] = jobs[i]
        for r in range(bandwidth.shape[0]):
            states[0] = blank[0]
            state.rest = job.setup_s
            job.phase_offset_s = jobs[i].phase_offset_s + cycle_shifts[r] * (job.busy_s + job.quiet_s)
            # Whatever keeps a sender below the link keeps it below its own limit too.
            job.rate_limit = jobs[i].rate_limit * min(1.0, bandwidth[r, i] / bandwidth[0, i])
            for c in range(dirty.shape[0]):
                dirty[c] = pages[k, c]
                scaled[c] = rates[k, c] * dirty_scales[r]
            _advance_one(
                job,
                state,
                dirty,
                pages[k],
                scaled,
                cyclic[k],
                bandwidth[r, i],
                math.inf,
                rule,
                log,
                False,
            )
            out[r, 0, i] = state.clock_s
            out[r, 1, i] = state.blackout_s
            out[r, 2, i] = state.sent
            out[r, 3, i] = state.copy_s
            out[r, 4, i] = state.round
            out[r, 5, i] = state.throttle
            out[r, 6, i] = state.verdict
            out[r, 7, i] = state.round_pages * job.resend_bytes
            out[r, 8, i] = state.slowed_s
            out[r, 9, i] = state.surprise_s


__all__ = ["JOB", "OUTCOME", "PAGE", "ROUND_COLUMNS", "RUNNING", "STATE", "Rule", "advance", "price"]
