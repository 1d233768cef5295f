"""Time runs forward: whatever is asked, no clock is negative and none outlives its time limit."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from drs.precopy import KINDS, Transfer, Verdict, estimate, profiles

MAYBE_NOTHING = st.one_of(st.just(0.0), st.floats(1e-9, 1e9))
odd = st.fixed_dictionaries(
    {
        "memory_mib": st.floats(1e-3, 2.0**27),
        "bandwidth_mbps": st.floats(1e-3, 1e7),
        "zero_ratio": st.floats(0, 1),
        "rtt_ms": st.floats(0, 60_000),
        "loss_ratio": st.one_of(st.just(0.0), st.floats(0, 1)),
        "mtu_bytes": st.floats(576, 65_536),
        "congestion_control": st.sampled_from(["reno", "cubic", "bbr"]),
        "streams": st.floats(1, 1024),
        "window_mib": st.floats(1e-6, 1e6),
        "host_load_ratio": st.floats(0, 1000),
        "compression_ratio": st.floats(1e-3, 1),
        "resend_ratio": st.floats(1e-3, 1),
        "downtime_limit_ms": st.floats(1e-6, 3.6e6),
        "timeout_s": st.one_of(st.just(math.inf), st.floats(1e-6, 1e6)),
        "disk_gib": st.floats(1e-3, 1e6),
        "disk_write_mibps": MAYBE_NOTHING,
        "datastore_mibps": st.one_of(st.just(math.inf), st.floats(1e-3, 1e6)),
        "throttle": st.booleans(),
        "kind": st.sampled_from(sorted(KINDS)),
        "profile": st.sampled_from(sorted(profiles())),
    }
)
writers = st.one_of(
    st.fixed_dictionaries({"dirty_rate_mibps": st.floats(0, 2.0**24)}),
    st.floats(0, 2.0**10).flatmap(
        lambda one: st.fixed_dictionaries(
            {"dirtied_1s_mib": st.just(one), "dirtied_10s_mib": st.floats(one, max(one, 9.9 * one))}
        )
    ),
)
post_copy = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"post_copy_after": st.floats(0, 10)}),
    st.fixed_dictionaries({"post_copy_after_s": st.floats(0, 1e4)}),
)


def asked(ask: dict[str, object], writes: dict[str, object], post: dict[str, object]) -> dict[str, object]:
    """Both samples fit a memory that holds them; post-copy only where there is one."""
    if "dirtied_10s_mib" in writes:
        ask = ask | {"memory_mib": ask["memory_mib"] + writes["dirtied_10s_mib"]}
    return ask | writes | (post if profiles()[str(ask["profile"])].post_copy else {})


@settings(max_examples=400, deadline=None)
@given(odd, writers, post_copy)
def test_no_price_is_negative(
    ask: dict[str, object], writes: dict[str, object], post: dict[str, object]
) -> None:
    price = estimate(**asked(ask, writes, post))
    if not price.possible:
        return
    for name in ("total_s", "downtime_ms", "blackout_ms", "precopy_s", "transferred_mib", "rounds", "lost_s"):
        assert getattr(price, name) >= 0, name
    assert price.total_low_s <= price.total_s <= price.total_high_s
    assert 0 <= price.downtime_low_ms <= price.downtime_ms <= price.downtime_high_ms
    assert 0 <= price.slowdown_ratio <= 1
    limit = float(str(ask["timeout_s"]))
    if price.verdict is Verdict.CANCELLED:
        assert price.total_s <= limit * (1 + 1e-9)
        assert price.precopy_s <= limit * (1 + 1e-9)


@settings(max_examples=200, deadline=None)
@given(odd, writers, post_copy, st.lists(st.floats(0, 1e5), min_size=2, max_size=6), st.floats(0, 1))
def test_no_clock_runs_backwards(
    ask: dict[str, object],
    writes: dict[str, object],
    post: dict[str, object],
    steps: list[float],
    part: float,
) -> None:
    now = Transfer.start(**asked(ask, writes, post))
    for step in [*steps, math.inf]:
        after = now.advance(float(now.bandwidth_mbps[0]) * part, step)
        for name in ("elapsed_s", "transferred_mib", "downtime_ms", "rounds"):
            before, then = np.asarray(getattr(now, name)), np.asarray(getattr(after, name))
            assert (then >= before * (1 - 1e-12)).all(), (name, before, then)
        assert not math.isfinite(step) or float(after.elapsed_s) <= float(now.elapsed_s) + step * (1 + 1e-9)
        now = after
    assert now.done.all()


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.sampled_from(sorted(profiles())), st.floats(0.1, 500))
def test_the_time_limit_holds_in_every_phase(kind: str, name: str, limit: float) -> None:
    """A migration that is given up is given up then, wherever it is: setup, disks, rounds or stop."""
    price = estimate(
        memory_mib=8192, bandwidth_mbps=1000, dirty_rate_mibps=4000, disk_gib=40, disk_write_mibps=5,
        timeout_s=limit, kind=kind, profile=name,
    )  # fmt: skip
    if price.verdict is Verdict.CANCELLED:
        assert 0 <= price.precopy_s <= price.total_s <= limit * (1 + 1e-9)
    else:
        assert price.total_s <= limit + price.downtime_ms / 1e3 + profiles()[name].settle_s + 1e-6 or (
            profiles()[name].timeout_forces
        )
