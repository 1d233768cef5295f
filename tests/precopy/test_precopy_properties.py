"""Laws that hold for every migration."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drs.precopy import Estimate, Transfer, estimate, least_bandwidth_mbps, most_dirty_mibps, profiles, rounds

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


@settings(max_examples=60, deadline=None)
@given(machines, st.floats(1.05, 4))
def test_more_bandwidth_is_never_slower(ask: dict[str, object], factor: float) -> None:
    """For complete passes; a bitmap that is read again makes bytes a saw-tooth."""
    slow = estimate(**ask | {"profile": "cloud-hypervisor"})
    fast = estimate(**ask | {"profile": "cloud-hypervisor", "bandwidth_mbps": ask["bandwidth_mbps"] * factor})
    assert fast.total_s <= slow.total_s * (1 + 1e-9)
    assert fast.converged or not slow.converged


@settings(max_examples=60, deadline=None)
@given(machines, st.floats(1.05, 4))
def test_more_memory_is_never_faster(ask: dict[str, object], factor: float) -> None:
    small = estimate(**ask | {"dirty_rate_mibps": 0})
    large = estimate(**ask | {"dirty_rate_mibps": 0, "memory_mib": ask["memory_mib"] * factor})
    assert large.total_s >= small.total_s
    assert large.transferred_mib >= small.transferred_mib * (1 - 1e-9)


@settings(max_examples=60, deadline=None)
@given(machines, st.floats(1.0, 4))
def test_a_longer_limit_converges_where_a_shorter_does(ask: dict[str, object], factor: float) -> None:
    ask = ask | {"profile": "cloud-hypervisor"}
    short = estimate(**ask, downtime_limit_ms=100)
    long = estimate(**ask, downtime_limit_ms=100 * factor)
    assert long.converged or not short.converged
    assert long.rounds <= short.rounds


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
        assert float(now.downtime_ms) == pytest.approx(price.downtime_ms, rel=1e-6, abs=1e-6)


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
