"""How long a plan may take: an interval from better and worse links, and from guests that write less and more."""

from __future__ import annotations

import math

import numpy as np
import pytest
from planning_clusters import cluster

from drs.model import Placement, Snapshot
from drs.planning import Plan, make_plan
from drs.precopy import estimate
from drs.words import seconds_range


def all_to_the_other(snapshot: Snapshot) -> Plan:
    """Every VM of the first host goes to the second."""
    return make_plan(
        snapshot, Placement(np.ones(snapshot.n_vms, dtype=np.int32), snapshot.disks.datastore_idx)
    )


def test_a_lone_move_has_the_interval_of_its_price() -> None:
    plan = all_to_the_other(cluster([65536, 65536], [0], [8192]))
    (move,) = plan.moves
    ask = {"memory_mib": 8192, "bandwidth_mbps": 10_000, "dirty_rate_mibps": 10}
    price = estimate(**ask)
    assert move.total_low_s / move.total_s == pytest.approx(price.total_low_s / price.total_s, rel=0.02)
    assert move.total_high_s / move.total_s == pytest.approx(price.total_high_s / price.total_s, rel=0.02)
    assert plan.makespan_low_s == pytest.approx(move.total_low_s)
    assert plan.makespan_high_s == pytest.approx(move.total_high_s)


def test_a_plan_lies_in_its_interval_and_a_chain_has_one_luck() -> None:
    plan = all_to_the_other(cluster([65536, 65536], [0] * 6, [4096] * 6, mbps=1000.0))
    assert plan.makespan_low_s < plan.makespan_s < plan.makespan_high_s
    assert all(move.total_low_s < move.total_s < move.total_high_s for move in plan.moves)
    # Six in a row are as uncertain as each of them is, not less: they share the link.
    each = plan.moves[0].total_high_s / plan.moves[0].total_s
    assert plan.makespan_high_s / plan.makespan_s == pytest.approx(each, rel=0.05)


def test_a_migration_that_may_never_end_says_so() -> None:
    ask = {"memory_mib": 8192, "bandwidth_mbps": 1000, "profile": "qemu"}
    rates = np.arange(90.0, 130.0)
    price = estimate(dirty_rate_mibps=rates, **ask)
    doubtful = rates[np.isfinite(price.total_s) & np.isinf(price.total_high_s)]
    snapshot = cluster([65536, 65536], [0], [8192], mbps=1000.0, rate=[doubtful[0]])
    plan = make_plan(snapshot, Placement(np.ones(1, np.int32), snapshot.disks.datastore_idx), profile="qemu")
    assert math.isfinite(plan.makespan_s) and math.isinf(plan.makespan_high_s)
    assert "maybe without an end" in seconds_range(plan.makespan_low_s, plan.makespan_high_s)


def test_a_plan_without_moves_takes_no_time() -> None:
    snapshot = cluster([65536, 65536], [0], [8192])
    plan = make_plan(snapshot, Placement(snapshot.vms.host_idx, snapshot.disks.datastore_idx))
    assert (plan.makespan_low_s, plan.makespan_s, plan.makespan_high_s) == (0.0, 0.0, 0.0)
