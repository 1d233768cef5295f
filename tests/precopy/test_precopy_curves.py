"""Data for pictures: they agree with the estimate."""

from __future__ import annotations

import numpy as np
import pytest

from drs.precopy import (
    KINDS,
    Transfer,
    estimate,
    least_bandwidth_mbps,
    most_dirty_mibps,
    rounds,
    side_by_side,
    sweep,
)

VM = {"memory_mib": 8192, "bandwidth_mbps": 2000, "dirty_rate_mibps": 60, "working_set_mib": 700}


@pytest.mark.parametrize("name", ["vmware", "qemu", "xen", "cloud-hypervisor"])
def test_rounds_add_up_to_the_estimate(name: str) -> None:
    table, price = rounds(**VM, profile=name), estimate(**VM, profile=name)
    assert [r.number for r in table] == list(range(1, price.rounds + 1))
    assert [r.stopped for r in table] == [False] * (price.rounds - 1) + [True]
    # The rounds are those of one run; a price divides the same time by where the stop is expected.
    run = Transfer.start(**VM, profile=name).advance()
    assert table[-1].duration_s == pytest.approx(float(run.downtime_ms) / 1e3)
    assert sum(r.duration_s for r in table) == pytest.approx(price.precopy_s + price.downtime_ms / 1e3)
    pages = sum(r.sent_mib for r in table)
    assert price.transferred_mib == pytest.approx(pages * 4104 / 4096, abs=1.5)


def test_no_rounds_without_memory_or_where_it_may_not_go() -> None:
    assert rounds(**VM, kind="cold") == ()
    assert rounds(**VM, rtt_ms=200, window_mib=1000) == ()


def test_an_endless_migration_has_no_last_round() -> None:
    hopeless = VM | {"dirty_rate_mibps": 650, "bandwidth_mbps": 300}
    table = rounds(**hopeless, profile="qemu", limit=5)
    assert 2 <= len(table) <= 5 and not any(r.stopped for r in table)


def test_a_sweep_is_many_estimates() -> None:
    grid = [500.0, 1000.0, 4000.0]
    curve = sweep("bandwidth_mbps", grid, **VM)
    for i, value in enumerate(grid):
        assert curve.downtime_ms[i] == estimate(**VM | {"bandwidth_mbps": value}).downtime_ms
    assert sweep("dirty_rate_mibps", [1, 100], **VM).transferred_mib[0] < curve.transferred_mib[0]


def test_all_kinds_stand_side_by_side() -> None:
    prices = side_by_side(**VM, disk_gib=50)
    assert list(prices) == list(KINDS)
    assert prices["cross_vcenter"].total_s > prices["vmotion"].total_s > 0
    assert "storage" not in side_by_side(**VM)


def test_limits_where_there_are_none() -> None:
    idle = {"memory_mib": 4096, "profile": "qemu"}
    assert most_dirty_mibps(**idle, bandwidth_mbps=1000, working_set_mib=10) == np.inf
    assert least_bandwidth_mbps(**idle, dirty_rate_mibps=0) == 0.0
    assert least_bandwidth_mbps(**VM | {"profile": "qemu"}) < 2000


def test_limits_of_arrays() -> None:
    edge = least_bandwidth_mbps(
        memory_mib=16384, dirty_rate_mibps=[50, 100, 200], working_set_mib=4000, profile="qemu"
    )
    assert edge.shape == (3,) and (np.diff(edge) > 0).all()
