"""The price of a move is the whole price: its path and the disks that follow; limits on a migration are walls."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import drs
from drs.goals import Balance, Moves
from drs.io import from_frames
from drs.model import Placement, Snapshot
from drs.planning import make_plan
from drs.problem import Limits, Policy, Problem

GOALS = (Balance(target=0.05, worth_ratio=0.0), Moves(per_move_s=0.0))


def two_arrays(**hosts: object) -> Snapshot:
    """A busy host and an idle one, each with a datastore of its own; one VM has a disk far larger than the others'."""
    return from_frames(
        {
            "hosts": pd.DataFrame(
                {"host": ["left", "right"], "cpu_mhz": 40_000.0, "memory_mib": 256 * 1024.0, **hosts}
            ),
            "vms": pd.DataFrame(
                {
                    "vm": ["files", "web0", "web1", "web2"],
                    "host": "left",
                    "memory_mib": [8192.0, 12_288.0, 12_288.0, 12_288.0],
                    "cpu_demand_mhz": 8000.0,
                }
            ),
            "disks": pd.DataFrame(
                {"vm": ["files", "web0", "web1", "web2"], "disk": "d0", "datastore": "a",
                 "size_gib": [2000.0, 20.0, 20.0, 20.0]}
            ),
            "datastores": pd.DataFrame({"datastore": ["a", "b"], "capacity_gib": 8000.0}),
            "mounts": pd.DataFrame({"host": ["left", "right"], "datastore": ["a", "b"]}),
        }
    )  # fmt: skip


def priced(problem: Problem, vms: list[str], host: str) -> tuple[float, float]:
    """Seconds by the goal, and by planning for each migration alone on its path, summed."""
    snapshot = problem.snapshot
    there = snapshot.vms.host_idx.copy()
    alone = 0.0
    for vm in vms:
        at = snapshot.vms.position[vm]
        there[at] = snapshot.hosts.position[host]
        single = snapshot.vms.host_idx.copy()
        single[at] = there[at]
        alone += make_plan(snapshot, problem.placement(single)).moves[0].total_s
    goal = problem.goals[-1].measure(snapshot, Placement(there, snapshot.disks.datastore_idx), problem.prices)
    return goal, alone


def test_the_goal_counts_what_planning_charges():
    problem = Problem(two_arrays(), policy=Policy(goals=GOALS, storage_moves=True))
    for vms in (["web0"], ["files"], ["web1", "files"]):
        goal, alone = priced(problem, vms, "right")
        assert goal == pytest.approx(alone, rel=1e-6)
    # The law and the terms of the solver say the same.
    there = np.array([1, 1, 0, 0], dtype=np.int32)
    placement = Placement(there, problem.snapshot.disks.datastore_idx)
    measured = problem.goals[-1].measure(problem.snapshot, placement, problem.prices)
    assert problem.lowered.scores(there)[-1] == pytest.approx(measured)


@pytest.mark.parametrize("by", ["seconds", "gib"])
def test_vms_with_small_disks_move_rather_than_one_with_a_large_one(by):
    goals = (GOALS[0], Moves(by=by))
    result = drs.advise(two_arrays(), policy=Policy(goals=goals, storage_moves=True), iterations=3000)
    assert len(result.moved_vms) == 2 and "files" not in result.moved_vms
    assert result.plan is not None and {move.to_datastores for move in result.plan.moves} == {("b",)}


def test_a_longer_migration_than_allowed_is_never_planned():
    limits = Limits(max_migration_s=300.0)
    snapshot = two_arrays()
    result = drs.advise(
        snapshot, policy=Policy(goals=GOALS, limits=limits, storage_moves=True), iterations=2000
    )
    assert result.plan is not None and result.plan.moves
    assert all(move.total_s <= 300.0 for move in result.plan.moves)
    assert any(each.vm == "files" and "max_migration_s" in each.reason for each in result.immovable)
    problem = result.problem
    crossed = problem.lowered.broken_walls(np.array([1, 0, 0, 0], dtype=np.int32))
    assert [wall.origin for wall in crossed] == ["max_migration_s"]
    told = [violation.sentence for violation in problem.check(Placement(np.array([1, 0, 0, 0], dtype=np.int32),
            np.array([1, 0, 0, 0], dtype=np.int32)))]  # fmt: skip
    assert any("files on right: its migration takes" in sentence and "5 min" in sentence for sentence in told)


def test_a_path_that_is_too_slow_or_too_long_is_a_wall():
    """vMotion needs 250 Mbit/s and at most 150 ms there and back; two of three ways are worse."""
    snapshot = from_frames(
        {
            "hosts": pd.DataFrame(
                {"host": ["a", "b", "slow", "far"], "site": ["A", "A", "S", "F"], "cpu_mhz": 40_000.0,
                 "memory_mib": 64 * 1024.0}
            ),
            "vms": pd.DataFrame(
                {"vm": [f"v{k}" for k in range(6)], "host": "a", "memory_mib": 4096.0, "cpu_demand_mhz": 5000.0}
            ),
            "links": pd.DataFrame(
                {"a": ["A", "A"], "b": ["S", "F"], "bandwidth_mbps": [100.0, 10_000.0], "latency_ms": [1.0, 200.0]}
            ),
        }
    )  # fmt: skip
    result = drs.advise(snapshot, policy=Policy(goals=GOALS, migration_scope="any"), iterations=2000)
    assert result.plan is not None and {move.to_host for move in result.plan.moves} == {"b"}
    assert not result.plan.stranded
    walls = {
        wall.origin for wall in result.problem.lowered.broken_walls(np.array([2, 3, 0, 0, 0, 0], np.int32))
    }
    assert walls == {"migration-path"}


def test_a_slower_path_is_dearer():
    """Of two idle hosts the one behind the faster network card takes the VM."""
    snapshot = from_frames(
        {
            "hosts": pd.DataFrame(
                {"host": ["busy", "one-gigabit", "ten-gigabit"], "cpu_mhz": 40_000.0, "memory_mib": 64 * 1024.0,
                 "vmotion_mbps": [10_000.0, 1000.0, 10_000.0]}
            ),
            "vms": pd.DataFrame(
                {"vm": ["v0", "v1"], "host": "busy", "memory_mib": 8192.0, "cpu_demand_mhz": 10_000.0}
            ),
        }
    )  # fmt: skip
    prices = Problem(snapshot).prices
    assert prices.total_s(0, 1) > 5 * prices.total_s(0, 2)
    goals = (Balance(target=0.15, worth_ratio=0.0), Moves())
    result = drs.advise(snapshot, policy=Policy(goals=goals), iterations=2000)
    assert result.plan is not None and [move.to_host for move in result.plan.moves] == ["ten-gigabit"]
