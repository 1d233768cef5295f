"""Several migrations on one link, and migrations whose bandwidth changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drs.precopy import Transfer, estimate, share_link
from drs.precopy.sharing import fair_shares

IDLE = {"profile": "cloud-hypervisor", "link_ratio": 1.0}


def test_alone_on_the_link_is_the_estimate() -> None:
    ask = {"memory_mib": 4096.0, "bandwidth_mbps": 1000, "dirty_rate_mibps": 40, "working_set_mib": 500}
    alone = share_link(2000.0, 0.0, **ask, profile="qemu")
    price = estimate(**ask, profile="qemu")
    assert float(alone.elapsed_s) == pytest.approx(price.total_s)


def test_two_equal_migrations_take_twice_as_long() -> None:
    one = share_link(1000.0, [0.0], memory_mib=[4096], bandwidth_mbps=1000, **IDLE)
    two = share_link(1000.0, [0.0, 0.0], memory_mib=[4096, 4096], bandwidth_mbps=1000, **IDLE)
    np.testing.assert_allclose(two.elapsed_s, 2 * one.elapsed_s[0], rtol=0.01)


def test_one_after_the_other_do_not_meet() -> None:
    apart = share_link(1000.0, [0.0, 500.0], memory_mib=[4096, 4096], bandwidth_mbps=1000, **IDLE)
    alone = estimate(memory_mib=4096, bandwidth_mbps=1000, **IDLE)
    np.testing.assert_allclose(apart.elapsed_s, alone.total_s, rtol=1e-6)


def test_a_late_start_shares_only_the_overlap() -> None:
    """A: x alone, then halves; both need 40 s of the whole link and B starts at 20 s."""
    mib = 40 * 1000 * 125_000 / 4104 * 4096 / 2**20
    shared = share_link(1000.0, [0.0, 20.0], memory_mib=[mib, mib], bandwidth_mbps=1000, **IDLE)
    np.testing.assert_allclose(shared.elapsed_s, [60.0, 60.0], atol=0.2)


def test_a_queue_runs_one_at_a_time_first_come_first_served() -> None:
    one = float(estimate(memory_mib=4096, bandwidth_mbps=1000, **IDLE).total_s)
    ask = {"memory_mib": np.full(3, 4096.0), "bandwidth_mbps": 1000, **IDLE}
    queue = share_link(1000.0, [0.0, 0.0, 10.0], at_once=1, **ask)
    np.testing.assert_allclose(queue.elapsed_s, [one, 2 * one, 3 * one - 10.0], rtol=1e-6)
    late = share_link(1000.0, [5.0, 500.0, 0.0], at_once=1, **ask)
    np.testing.assert_allclose(late.elapsed_s, [2 * one - 5.0, one, one], rtol=1e-6)


def test_a_queue_with_enough_slots_is_no_queue() -> None:
    ask = {"memory_mib": np.array([4096.0, 2048.0, 1024.0]), "bandwidth_mbps": 1000, **IDLE}
    wide, free = (share_link(1000.0, [0.0, 3.0, 5.0], at_once=n, **ask) for n in (3, None))
    np.testing.assert_array_equal(wide.elapsed_s, free.elapsed_s)
    two = share_link(1000.0, [0.0, 3.0, 5.0], at_once=2, **ask)
    assert two.elapsed_s[2] > free.elapsed_s[2] and two.elapsed_s[1] < free.elapsed_s[1]


def test_streams_are_weights() -> None:
    shared = share_link(
        1000.0, [0.0, 0.0], memory_mib=[8192, 8192], bandwidth_mbps=1000, streams=np.array([3, 1]), **IDLE
    )
    assert shared.elapsed_s[0] == pytest.approx(shared.elapsed_s[1] * 4 / 6, rel=0.01)


def test_sharing_can_keep_both_from_converging() -> None:
    ask = {"bandwidth_mbps": 1000, "dirty_rate_mibps": 90, "working_set_mib": 3000, "profile": "qemu"}
    assert estimate(memory_mib=8192, **ask).converged
    both = share_link(1000.0, [0.0, 0.0], memory_mib=[8192, 8192], **ask)
    assert not both.converged.any()


@given(
    st.floats(1, 1e4),
    st.lists(st.tuples(st.floats(1, 1e4), st.floats(1, 8), st.booleans()), min_size=1, max_size=6),
)
def test_fair_shares_are_max_min(link: float, flows: list[tuple[float, float, bool]]) -> None:
    most, weight, active = (np.array(column) for column in zip(*flows, strict=True))
    rate = fair_shares(link, most, weight, active)
    assert (rate[~active] == 0).all() and (rate <= most * (1 + 1e-9)).all()
    assert rate.sum() <= link * (1 + 1e-9)
    if active.any():
        assert rate.sum() == pytest.approx(min(link, most[active].sum()))
        held = active & (rate < most * (1 - 1e-9))
        if held.any():
            level = (rate / weight)[held]
            np.testing.assert_allclose(level, level[0], rtol=1e-9)
            assert ((rate / weight)[active] <= level[0] * (1 + 1e-9)).all()


def test_a_transfer_does_not_change() -> None:
    start = Transfer.start(memory_mib=[1024, 2048], bandwidth_mbps=1000)
    later = start.advance(seconds=5.0)
    assert (start.elapsed_s == 0).all() and (later.elapsed_s == 5).all()
    assert (later.advance(seconds=0.0).transferred_mib == later.transferred_mib).all()


def test_without_bandwidth_nothing_moves() -> None:
    stalled = Transfer.start(memory_mib=1024, bandwidth_mbps=1000, profile="qemu").advance(0.0, 100.0)
    assert float(stalled.elapsed_s) == 100.0 and float(stalled.transferred_mib) == 0.0 and not stalled.done
    moved = stalled.advance()
    alone = estimate(memory_mib=1024, bandwidth_mbps=1000, profile="qemu")
    assert float(moved.elapsed_s) == pytest.approx(100.0 + alone.total_s)


def test_half_the_bandwidth_for_half_the_bytes() -> None:
    start = Transfer.start(memory_mib=4096, bandwidth_mbps=1000, **IDLE)
    full = float(start.advance().elapsed_s)
    mixed = start.advance(500, full).advance()
    assert float(mixed.elapsed_s) == pytest.approx(1.5 * full, rel=0.01)


def test_events_are_where_the_link_is_taken_and_left() -> None:
    start = Transfer.start(memory_mib=4096, bandwidth_mbps=1000, dirty_rate_mibps=10, working_set_mib=100)
    seen = [bool(start.on_link)]
    now, times = start, []
    while not now.done:
        step = float(now.next_event_s())
        times.append(step)
        now = now.advance(seconds=step)
        seen.append(bool(now.on_link))
    assert seen == [False, True, False, False]
    resume_s = 0.2 + (4 * 0.007 + 0.5) / 1e3  # more of it for memory and vCPUs
    assert times[0] == pytest.approx(2.0) and times[2] == pytest.approx(resume_s + 1.0)
    assert np.isinf(now.next_event_s())


def test_a_migration_that_gets_its_bandwidth_back_converges() -> None:
    start = Transfer.start(
        memory_mib=4096, bandwidth_mbps=1000, dirty_rate_mibps=60, working_set_mib=2000, profile="qemu"
    )
    starved = start.advance(300, 600.0)
    assert not starved.done and not starved.converged
    assert starved.advance(1000).converged


def test_whoever_shares_a_link_shares_its_luck() -> None:
    """The interval of a group holds its point value, and is that of one migration where it is alone."""
    ask = {"bandwidth_mbps": 1000, "dirty_rate_mibps": 40, "working_set_mib": 500, "profile": "qemu"}
    one = estimate(memory_mib=4096, **ask)
    alone = share_link(2000.0, 0.0, memory_mib=4096, **ask)
    assert float(alone.elapsed_low_s) == pytest.approx(one.total_low_s)
    assert float(alone.elapsed_high_s) == pytest.approx(one.total_high_s)
    assert alone.makespan_low_s == pytest.approx(one.total_low_s)
    calm = {**ask, "dirty_rate_mibps": 10}
    group = share_link(1000.0, [0.0, 3.0, 3.0], memory_mib=[4096, 2048, 1024], **calm)
    assert (group.elapsed_low_s <= group.elapsed_s).all() and (group.elapsed_s <= group.elapsed_high_s).all()
    assert (group.downtime_low_ms <= group.downtime_ms).all()
    assert (group.downtime_ms <= group.downtime_high_ms).all()
    assert group.makespan_s == pytest.approx(float((group.start_s + group.elapsed_s).max()))
    assert group.makespan_low_s < group.makespan_s < group.makespan_high_s
    crowded = share_link(1000.0, [0.0, 3.0, 3.0], memory_mib=[4096, 2048, 1024], **calm, host_load_ratio=8.0)
    assert crowded.makespan_s == group.makespan_s  # the interval alone says that the host is starved
    assert crowded.makespan_high_s > 1.2 * group.makespan_high_s
