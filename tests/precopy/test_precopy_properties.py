"""Laws that hold for every migration."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drs.precopy import (
    DirtyModel,
    Estimate,
    Transfer,
    estimate,
    least_bandwidth_mbps,
    most_dirty_mibps,
    profiles,
    rounds,
)

PROFILES = sorted(profiles())
machines = st.fixed_dictionaries(
    {
        "memory_mib": st.floats(64, 1e6),
        "bandwidth_mbps": st.floats(300, 1e5),
        "dirty_rate_mibps": st.floats(0, 3000),
        "working_set_mib": st.floats(0, 64),
        "zero_ratio": st.floats(0, 1),
        "profile": st.sampled_from(PROFILES),
    }
)
fields = [field.name for field in dataclasses.fields(Estimate) if field.name != "profile"]


@settings(max_examples=150, deadline=None)
@given(machines)
def test_an_estimate_is_in_order(ask: dict[str, object]) -> None:
    price = estimate(**ask)
    assert price.total_low_s <= price.total_s <= price.total_high_s
    assert 0 <= price.downtime_low_ms <= price.downtime_ms <= price.downtime_high_ms
    assert price.downtime_ms <= price.blackout_ms
    if price.converged:
        assert price.precopy_s + price.downtime_ms / 1e3 <= price.total_s * (1 + 1e-9)
    assert 0 <= price.slowdown_ratio < 1
    assert bool(price.advice) == (not price.converged or price.borderline)


@settings(max_examples=100, deadline=None)
@given(machines)
def test_pages_are_neither_lost_nor_invented(ask: dict[str, object]) -> None:
    """Each round sends what was left and what was dirtied before it, and the stop sends the rest."""
    table = rounds(**ask, limit=4000)
    for before, after in itertools.pairwise(table):
        pending = before.left_mib + before.dirtied_mib
        assert after.sent_mib + after.left_mib == pytest.approx(pending, rel=1e-6, abs=1e-6)
        assert before.start_s + before.duration_s == pytest.approx(after.start_s)


# Classic Xen also stops at a multiple of the memory sent, so there a busier guest may end sooner.
LAWFUL = sorted(set(PROFILES) - {"xen-classic"})
writers = st.fixed_dictionaries(
    {
        "memory_mib": st.floats(512, 65536),
        "bandwidth_mbps": st.floats(300, 20000),
        "dirty_rate_mibps": st.floats(1, 1500),
        "working_set_mib": st.floats(1, 512),
        "zero_ratio": st.sampled_from([0.0, 0.4]),
        "rtt_ms": st.sampled_from([0.0, 2.0, 30.0]),
        "window_mib": st.sampled_from([4.0, 64.0]),
        "profile": st.sampled_from(LAWFUL),
    }
)


def in_order(less: Estimate, more: Estimate, field: str) -> None:
    """`more` is the harder of two migrations."""
    if less.possible and more.possible:
        assert getattr(more, field) >= getattr(less, field) * (1 - 1e-9), (less, more)


@settings(max_examples=150, deadline=None)
@given(writers, st.floats(1.0, 4))
def test_more_bandwidth_is_never_slower(ask: dict[str, object], factor: float) -> None:
    slow = estimate(**ask)
    fast = estimate(**ask | {"bandwidth_mbps": ask["bandwidth_mbps"] * factor})
    in_order(fast, slow, "total_s")
    assert fast.converged or not slow.converged


@settings(max_examples=150, deadline=None)
@given(writers, st.floats(1.0, 4))
def test_a_busier_guest_is_never_faster(ask: dict[str, object], factor: float) -> None:
    calm = estimate(**ask)
    busy = estimate(**ask | {"dirty_rate_mibps": ask["dirty_rate_mibps"] * factor})
    in_order(calm, busy, "total_s")
    in_order(calm, busy, "transferred_mib")
    assert calm.converged or not busy.converged


@settings(max_examples=150, deadline=None)
@given(
    writers, st.lists(st.sampled_from([30, 100, 300, 500, 1000, 2000]), min_size=2, max_size=2, unique=True)
)
def test_a_looser_downtime_limit_never_costs_more(ask: dict[str, object], limits: list[int]) -> None:
    tight, loose = (estimate(**ask, downtime_limit_ms=limit) for limit in sorted(limits))
    in_order(loose, tight, "transferred_mib")
    in_order(loose, tight, "total_s")
    assert loose.rounds <= tight.rounds or not tight.converged
    assert loose.converged or not tight.converged


@settings(max_examples=150, deadline=None)
@given(writers, st.floats(0, 0.01), st.floats(0, 0.01))
def test_more_loss_is_never_faster(ask: dict[str, object], loss: float, more: float) -> None:
    clean = estimate(**ask, loss_ratio=loss)
    lossy = estimate(**ask, loss_ratio=loss + more)
    assert lossy.bandwidth_mbps <= clean.bandwidth_mbps
    in_order(clean, lossy, "total_s")


@settings(max_examples=100, deadline=None)
@given(writers, st.integers(1, 16), st.integers(1, 16))
def test_more_streams_are_never_slower(ask: dict[str, object], streams: int, more: int) -> None:
    ask = ask | {"zero_ratio": 0.0}
    few, many = estimate(**ask, streams=streams), estimate(**ask, streams=streams + more)
    assert many.bandwidth_mbps >= few.bandwidth_mbps
    in_order(many, few, "total_s")


@settings(max_examples=100, deadline=None)
@given(writers, st.floats(0.05, 1.0))
def test_deltas_never_cost_more(ask: dict[str, object], ratio: float) -> None:
    """XBZRLE sends less of a page that was sent before."""
    in_order(estimate(**ask, resend_ratio=ratio), estimate(**ask), "total_s")
    in_order(estimate(**ask, resend_ratio=ratio), estimate(**ask), "transferred_mib")


@settings(max_examples=100, deadline=None)
@given(writers, st.integers(0, 3), st.sampled_from(["qemu", "proxmox"]))
def test_post_copy_always_ends_and_is_dark_for_fixed_work(
    ask: dict[str, object], rounds_before: int, name: str
) -> None:
    ask = ask | {"profile": name}
    price = estimate(**ask, post_copy_after=rounds_before)
    assert price.converged and price.rounds <= rounds_before + 1
    which = profiles()[name]
    if rounds_before == 0:
        memory, zero = ask["memory_mib"] + which.extra_memory_mib, ask["zero_ratio"]
        once = memory * ((1 - zero) * 4104 + zero * which.zero_page_bytes) / 4096 + which.device_mib
        assert price.transferred_mib == pytest.approx(once)
        device_ms = which.device_mib * 2**20 / (price.bandwidth_mbps * 125_000) * 1e3
        assert price.downtime_ms == pytest.approx(
            which.resume_ms + which.rtt_factor * ask["rtt_ms"] + device_ms
        )
    least = (price.transferred_mib - 1) * 2**20 / (price.bandwidth_mbps * 125_000)
    assert least * 0.999 <= price.total_s <= least + ask["memory_mib"] * 256 * which.zero_scan_s + 3


@settings(max_examples=100, deadline=None)
@given(writers, st.floats(1, 60), st.floats(1, 60), st.floats(0, 1), st.floats(0, 120))
def test_bursts_cost_no_more_than_writing_all_the_time(
    ask: dict[str, object], busy: float, quiet: float, ratio: float, offset: float
) -> None:
    """And the interval grows, because nobody knows in which part of its cycle the guest is met."""
    curve = DirtyModel.two_numbers(ask.pop("dirty_rate_mibps"), ask.pop("working_set_mib"))
    steady = estimate(**ask, dirty=curve)
    swinging = estimate(**ask, dirty=curve.bursts(busy, quiet, ratio, offset))
    in_order(swinging, steady, "total_s")
    if swinging.possible and steady.converged:
        assert swinging.total_low_s <= swinging.total_s <= swinging.total_high_s
        assert swinging.total_low_s <= steady.total_low_s * (1 + 1e-9)


def test_the_phase_of_bursts_widens_the_interval() -> None:
    """A burst of 20 s in 80 s, and a migration of some 18 s: it meets all of it, or none."""
    ask = {"memory_mib": 16384, "bandwidth_mbps": 10_000, "profile": "qemu"}
    curve = DirtyModel.two_numbers(400.0, 6000.0)
    steady, swinging = (estimate(**ask, dirty=dirty) for dirty in (curve, curve.bursts(20.0, 60.0)))
    quiet = estimate(**ask, dirty=curve.bursts(20.0, 60.0, offset_s=30.0))
    assert quiet.total_s < 0.9 * swinging.total_s
    assert swinging.total_low_s < quiet.total_s < swinging.total_high_s
    width = steady.total_high_s / steady.total_low_s
    assert swinging.total_high_s / swinging.total_low_s > 1.1 * width
    assert quiet.total_low_s == pytest.approx(swinging.total_low_s)


@settings(max_examples=100, deadline=None)
@given(writers, st.floats(1.0, 2.0))
def test_auto_converge_never_loses_a_migration(ask: dict[str, object], factor: float) -> None:
    """Throttling the guest ends what the guest at full speed keeps open."""
    ask = ask | {"profile": "qemu", "dirty_rate_mibps": ask["dirty_rate_mibps"] * factor}
    free, slowed = estimate(**ask), estimate(**ask, throttle=True)
    assert slowed.converged or not free.converged
    assert slowed.total_s <= free.total_s * (1 + 1e-9)
    assert slowed.slowdown_ratio <= 0.99


@settings(max_examples=100, deadline=None)
@given(writers)
def test_slowing_an_esxi_guest_does_not_change_the_verdict(ask: dict[str, object]) -> None:
    """`converged` means: without slowing."""
    ask = ask | {"profile": "vmware"}
    price, free = estimate(**ask), estimate(**ask, throttle=False)
    if not price.borderline:
        assert price.converged == free.converged
    assert not price.total_s > free.total_s * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(machines, st.floats(1.05, 4))
def test_more_memory_is_never_faster(ask: dict[str, object], factor: float) -> None:
    small = estimate(**ask | {"dirty_rate_mibps": 0})
    large = estimate(**ask | {"dirty_rate_mibps": 0, "memory_mib": ask["memory_mib"] * factor})
    assert large.total_s >= small.total_s
    assert large.transferred_mib >= small.transferred_mib * (1 - 1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(machines, min_size=2, max_size=6), st.sampled_from(PROFILES))
def test_arrays_hold_what_scalars_say(asks: list[dict[str, object]], name: str) -> None:
    columns = {key: np.array([ask[key] for ask in asks]) for key in asks[0] if key != "profile"}
    together = estimate(**columns, profile=name)
    for i, ask in enumerate(asks):
        alone = estimate(**ask | {"profile": name})
        for field in fields:
            one = getattr(alone, field)
            assert isinstance(one, bool | int | float), field
            np.testing.assert_array_equal(getattr(together, field)[i], one, err_msg=field)
        assert together.advice[i] == alone.advice


def test_arguments_broadcast() -> None:
    price = estimate(memory_mib=np.array([[1024.0], [2048.0]]), bandwidth_mbps=[1000, 2000, 4000])
    assert price.total_s.shape == price.converged.shape == price.advice.shape == (2, 3)
    assert (np.diff(price.total_s, axis=1) < 0).all() and (np.diff(price.total_s, axis=0) > 0).all()


def test_no_migrations_is_no_error() -> None:
    price = estimate(memory_mib=np.array([]), bandwidth_mbps=1000)
    assert price.total_s.shape == (0,)
    assert price.converged.dtype == bool


def test_blocks_do_not_show() -> None:
    memory = np.linspace(100, 1000, 70_000)
    price = estimate(memory_mib=memory, bandwidth_mbps=1000)
    assert (np.diff(price.transferred_mib) > 0).all()
    assert price.total_s[-1] == estimate(memory_mib=1000.0, bandwidth_mbps=1000).total_s


@settings(max_examples=60, deadline=None)
@given(machines, st.floats(0.05, 7), st.booleans())
def test_a_transfer_in_steps_is_the_estimate(ask: dict[str, object], step: float, throttle: bool) -> None:
    ask = ask | {"throttle": throttle}
    price = estimate(**ask)
    if not math.isfinite(price.total_s) or price.total_s / step > 3000:
        step = math.inf
    now = Transfer.start(**ask)
    while not now.done:
        now = now.advance(seconds=step)
    assert float(now.elapsed_s) == pytest.approx(price.total_s, rel=1e-6)
    assert float(now.transferred_mib) == pytest.approx(price.transferred_mib, rel=1e-6)
    assert bool(now.converged) == price.converged
    if price.converged or price.slowdown_ratio > 0:
        assert int(now.rounds) == price.rounds
        # This is one run; the point value of an estimate is the expectation over many that differ a little.
        low, high = price.downtime_low_ms * (1 - 1e-6) - 1e-6, price.downtime_high_ms * (1 + 1e-6) + 1e-6
        assert low <= float(now.downtime_ms) <= high


@settings(max_examples=20, deadline=None)
@given(st.floats(10, 400), st.sampled_from(["qemu", "cloud-hypervisor"]))
def test_the_convergence_limits_are_where_the_verdict_changes(rate: float, name: str) -> None:
    ask = {"memory_mib": 16384, "working_set_mib": 4000, "profile": name}
    edge = least_bandwidth_mbps(**ask, dirty_rate_mibps=rate)
    for factor, ends in ((1.01, True), (0.99, False)):
        assert estimate(**ask, dirty_rate_mibps=rate, bandwidth_mbps=edge * factor).converged is ends
    edge = most_dirty_mibps(**ask, bandwidth_mbps=1000)
    for factor, ends in ((0.99, True), (1.01, False)):
        assert estimate(**ask, dirty_rate_mibps=edge * factor, bandwidth_mbps=1000).converged is ends


def test_near_the_limit_the_estimate_says_that_it_cannot_tell() -> None:
    ask = {"memory_mib": 16384, "working_set_mib": 4000, "profile": "qemu", "dirty_rate_mibps": 100}
    edge = least_bandwidth_mbps(**ask)
    near, clear = estimate(**ask, bandwidth_mbps=edge * 1.02), estimate(**ask, bandwidth_mbps=edge * 2)
    assert near.converged and near.borderline and near.total_high_s == math.inf
    assert "may not converge" in near.advice
    assert clear.converged and not clear.borderline and math.isfinite(clear.total_high_s)
