"""Figures of the goals on clusters small enough to add up by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from strategies import prices_of

from drs import io
from drs.goals import (
    Balance,
    BalanceOverTime,
    Consolidate,
    FreeBalance,
    Licences,
    MoveDistance,
    Moves,
    OverTarget,
    Sum,
)
from drs.goals.balance import priority, threshold
from drs.model import LoadHistory, Placement, Snapshot
from drs.model.demand import demand_at, demand_now, part_of_time


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    hosts = pd.DataFrame({
        "host": ["a", "b"], "cpu_mhz": 10000, "memory_mib": 16384, "power_idle_w": [100, None],
        "site": ["north", "south"], "cpu_cores": [8, 16],
    })  # fmt: skip
    vms = pd.DataFrame({
        "vm": ["x", "y", "z"], "host": ["a", "a", "b"], "memory_mib": [4096, 4096, 8192],
        "cpu_demand_mhz": [2000, 4000, 1000], "memory_active_mib": [1024, None, 2048],
        "memory_consumed_mib": [2048, 4096, None], "power": ["on", "on", "on"],
    })  # fmt: skip
    loads = pd.DataFrame({
        "vm": ["x", "x", "y"], "time": ["2026-01-01T02:00:00Z", "2026-01-01T14:00:00Z", "2026-01-01T14:00:00Z"],
        "cpu_mhz": [1000, 3000, 5000],
    })  # fmt: skip
    return io.from_frames({"hosts": hosts, "vms": vms, "loads": loads})


def value(goal, snapshot: Snapshot, host_idx: list[int] | None = None) -> float:  # type: ignore[no-untyped-def]
    there = Placement.of(snapshot)
    if host_idx is not None:
        there = Placement(np.array(host_idx), there.datastore_idx)
    return float(goal.measure(snapshot, there, prices_of(snapshot)))


def test_balance_is_the_standard_deviation_of_the_loads(snapshot: Snapshot) -> None:
    assert value(Balance(resources=("cpu",), target=0.0), snapshot) == pytest.approx(0.25)
    assert value(Balance(resources=("cpu",), target=0.2), snapshot) == pytest.approx(0.05)
    assert value(Balance(resources=("cpu",), target=0.0, measure_by="range"), snapshot) == pytest.approx(0.5)
    assert value(Balance(target=0.0), snapshot) == pytest.approx(0.25), "memory is even"


def test_threshold_and_priority_are_two_sides_of_one_formula() -> None:
    assert threshold(3, 8) == pytest.approx(0.0707, abs=1e-4)
    assert threshold(1, 8) == np.inf
    assert threshold(5, 8) == 0.0
    for n_hosts in (2, 4, 8, 16, 32):
        for level in (2, 3, 4):
            assert priority(threshold(level, n_hosts) * 1.0001, n_hosts) <= level
            assert priority(threshold(level, n_hosts) * 0.9999, n_hosts) > level


def test_active_memory_is_taxed_for_what_is_idle(snapshot: Snapshot) -> None:
    assert demand_now(snapshot, "memory", "active").tolist() == [1280.0, 4096.0, 2048.0 + 0.25 * 6144]
    assert demand_now(snapshot, "memory", "consumed").tolist() == [2048.0, 4096.0, 8192.0]


def test_percentile_of_the_history_where_there_is_one(snapshot: Snapshot) -> None:
    assert demand_at(snapshot, "cpu", 100.0, "configured").tolist() == [3000.0, 5000.0, 1000.0]
    assert demand_at(snapshot, "cpu", 50.0, "configured").tolist() == [2000.0, 5000.0, 1000.0]


def test_memory_over_time_is_the_memory_that_is_meant(snapshot: Snapshot) -> None:
    moment = np.array(["2026-01-01T02"], "datetime64[s]")
    active = np.array([[512.0, np.nan, 9000.0]], np.float32)
    known = dataclasses.replace(snapshot, loads=LoadHistory(moment, active, active))
    assert demand_at(known, "memory", 50.0, "configured").tolist() == [4096.0, 4096.0, 8192.0]
    assert demand_at(known, "memory", 50.0, "consumed").tolist() == [2048.0, 4096.0, 8192.0]
    # x: 512 and a quarter of the other 1536 consumed; y: no sample, as today; z: no more than it is given
    assert demand_at(known, "memory", 50.0, "active").tolist() == [896.0, 4096.0, 8192.0]


def test_balance_over_time_is_the_mean_over_the_day(snapshot: Snapshot) -> None:
    goal = BalanceOverTime(resources=("cpu",), target=0.0, n_buckets=2)
    night, day = (1000 + 4000 - 1000) / 20000, (3000 + 5000 - 1000) / 20000
    assert value(goal, snapshot) == pytest.approx((night + day) / 2)


def test_one_part_of_time_is_the_mean_and_means_add_up(snapshot: Snapshot) -> None:
    # x: mean of 1000 and 3000; y: its one sample; z: no history, so its demand now
    goal = BalanceOverTime(resources=("cpu",), target=0.0, n_buckets=1)
    assert value(goal, snapshot) == pytest.approx((2000 + 5000 - 1000) / 20000)
    assert value(Balance(resources=("cpu",), target=0.0), snapshot) != value(goal, snapshot)


def test_parts_of_the_history_are_stretches_of_it_and_not_hours_of_the_day(snapshot: Snapshot) -> None:
    week = LoadHistory(
        np.array(["2026-01-01T02", "2026-01-01T14", "2026-01-02T02", "2026-01-02T14"], "datetime64[s]"),
        np.zeros((4, 3), np.float32),
        np.zeros((4, 3), np.float32),
    )
    long = dataclasses.replace(snapshot, loads=week)
    assert part_of_time(long, 2, "day").tolist() == [0, 1, 0, 1]
    assert part_of_time(long, 2, "history").tolist() == [0, 0, 1, 1]
    assert part_of_time(long, 4, "history").tolist() == [0, 1, 2, 3]


def test_power_not_known_is_the_mean_of_the_known(snapshot: Snapshot) -> None:
    assert value(Consolidate(), snapshot) == 200.0
    assert value(Consolidate(), snapshot, [1, 1, 1]) == 100.0
    assert value(Consolidate(by="hosts"), snapshot) == 2.0


def test_load_above_a_level(snapshot: Snapshot) -> None:
    assert value(OverTarget(ratio=0.5), snapshot) == pytest.approx(0.1)
    assert value(OverTarget(target=(5000.0, 0.0)), snapshot) == pytest.approx(2000.0)


def test_free_room_needs_its_partner(snapshot: Snapshot) -> None:
    # a: free cpu 4000, free memory 8192; b: free cpu 9000, free memory 8192
    assert value(FreeBalance(ratio=1.0), snapshot) == pytest.approx(9000 - 8192)


def test_moves_and_distances(snapshot: Snapshot) -> None:
    assert value(Moves(by="count"), snapshot, [1, 0, 0]) == 2.0
    assert value(Moves(prices=(5.0, 1.0, 1.0)), snapshot, [1, 0, 1]) == 5.0
    assert value(MoveDistance(), snapshot, [1, 0, 0]) == 2.0
    assert value(MoveDistance(pair=((0, 3), (7, 0))), snapshot, [1, 0, 0]) == 10.0


def test_licences_by_host_and_core(snapshot: Snapshot) -> None:
    assert value(Licences(vms=["x", "y"]), snapshot) == 1.0
    assert value(Licences(vms=["x", "z"], per="core"), snapshot) == 24.0


def test_sum_reads_tables_as_in_a_policy(snapshot: Snapshot) -> None:
    goal = Sum(parts=[{"type": "consolidate", "by": "hosts"}, Moves(by="count")], weights=(10.0, 1.0))
    assert value(goal, snapshot, [1, 1, 1]) == 12.0


def test_unit_of_moves_follows_its_price() -> None:
    assert [Moves().unit, Moves(by="gib").unit, Moves(by="count").unit] == ["s", "GiB", "moves"]
