"""Safe order, parking, cycles, concurrency, timing: on clusters small enough to see the answer."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from planning_clusters import cluster, hosts, memory, tasks_of

from drs.errors import NoSafeOrderError
from drs.model import Placement
from drs.planning import Concurrency, make_plan, prefix_states, price_moves, replay
from drs.problem.prices import disks_follow
from drs.stop import Run, Stop
from drs.terms import AtLeast, AtMost, During, Near, Together

GIB8 = 8192.0


def names(moves):
    return [(move.vm, move.from_host, move.to_host) for move in moves]


def test_nothing_to_do():
    snapshot = cluster([GIB8], [0], [1024])
    plan = make_plan(snapshot, hosts(snapshot, [0]), memory(snapshot))
    assert plan.moves == () and plan.makespan_s == 0.0 and plan.stranded == ()


def test_one_move_lasts_what_the_model_says():
    snapshot = cluster([GIB8, GIB8], [0], [4096])
    plan = make_plan(snapshot, hosts(snapshot, [1]), memory(snapshot))
    (alone,) = price_moves(snapshot, [0], [1])
    (move,) = plan.moves
    assert move.total_s == pytest.approx(alone.total_s)
    assert move.downtime_ms == pytest.approx(alone.downtime_ms)
    assert move.transferred_mib == pytest.approx(alone.transferred_mib)
    assert plan.makespan_s == pytest.approx(plan.makespan_bound_s)


def test_a_swap_of_full_hosts_goes_through_the_spare_host():
    snapshot = cluster([GIB8] * 3, [0, 1], [GIB8, GIB8])
    plan = make_plan(snapshot, hosts(snapshot, [1, 0]), memory(snapshot))
    assert not plan.stranded
    assert [move.parking for move in plan.moves] == [True, False, False]
    assert plan.placement.host_idx.tolist() == [1, 0]
    assert "makes room" in plan.moves[0].reason


def test_the_cheaper_vm_is_parked():
    snapshot = cluster([GIB8, GIB8, GIB8], [0, 1, 1], [GIB8, 2048, 6144])
    plan = make_plan(snapshot, hosts(snapshot, [1, 0, 0]), memory(snapshot))
    assert not plan.stranded
    parked = {move.vm for move in plan.moves if move.parking}
    # Parking vm-000 (8 GiB) takes one detour, the others two of 2 and 6 GiB.
    assert parked in ({"vm-000"}, {"vm-001", "vm-002"})
    assert replay(plan, memory(snapshot)).differences == ()


def test_a_pinned_vm_is_not_parked_but_its_partner_is():
    snapshot = cluster([GIB8] * 3, [0, 1], [GIB8, GIB8])

    def allowed(vm: int):
        mask = np.ones(3, dtype=bool)
        if vm == 0:
            mask[2] = False
        return mask

    plan = make_plan(snapshot, hosts(snapshot, [1, 0]), memory(snapshot), allowed=allowed)
    assert not plan.stranded
    assert [move.vm for move in plan.moves if move.parking] == ["vm-001"]


def test_two_pinned_vms_that_swap_are_named_and_the_rest_goes_on():
    snapshot = cluster([GIB8] * 3, [0, 1, 2], [GIB8, GIB8, 1024])
    plan = make_plan(
        snapshot, hosts(snapshot, [1, 0, 2]), memory(snapshot),
        allowed=lambda vm: np.array([True, True, False]),
    )  # fmt: skip
    assert {entry.vm for entry in plan.stranded} == {"vm-000", "vm-001"}
    assert set(plan.stranded[0].cycle) == {"vm-000", "vm-001"}
    assert "wait for each other" in plan.stranded[0].reason


def test_a_cycle_of_three_without_room_is_stranded_and_a_fourth_goes():
    snapshot = cluster([GIB8] * 3 + [4096, 4096], [0, 1, 2, 3], [GIB8, GIB8, GIB8, 4096])
    plan = make_plan(snapshot, hosts(snapshot, [1, 2, 0, 4]), memory(snapshot))
    assert names(plan.moves) == [("vm-003", "esx-03", "esx-04")]
    assert {entry.vm for entry in plan.stranded} == {"vm-000", "vm-001", "vm-002"}
    assert all(len(entry.cycle) == 3 for entry in plan.stranded)
    assert plan.stranded[0].cycle[0] == plan.stranded[0].vm


def test_a_cycle_of_three_with_a_spare_host_needs_one_parking():
    snapshot = cluster([GIB8] * 4, [0, 1, 2], [GIB8] * 3)
    plan = make_plan(snapshot, hosts(snapshot, [1, 2, 0]), memory(snapshot))
    assert sum(move.parking for move in plan.moves) == 1 and len(plan.moves) == 4
    assert replay(plan, memory(snapshot)).differences == ()


def test_strict_raises_with_the_cycle():
    snapshot = cluster([GIB8] * 2, [0, 1], [GIB8, GIB8])
    with pytest.raises(NoSafeOrderError) as caught:
        make_plan(snapshot, hosts(snapshot, [1, 0]), memory(snapshot), strict=True)
    assert set(caught.value.cycle) == {"vm-000", "vm-001"}


def test_a_greedy_order_that_runs_into_a_corner_is_found_anew():
    # vm-001 (3) must not take the room that vm-000 (4) needs first: vm-002 leaves only when vm-000 has left.
    snapshot = cluster([7, 4, 3], [1, 2, 0], [4, 3, 3], rate=0.0)
    plan = make_plan(snapshot, hosts(snapshot, [0, 0, 1]), memory(snapshot))
    assert not plan.stranded and not any(move.parking for move in plan.moves)


def test_a_target_that_cannot_hold_strands_the_move_with_figures():
    snapshot = cluster([GIB8, GIB8], [0, 1], [6000, 6000])
    plan = make_plan(snapshot, hosts(snapshot, [1, 1]), memory(snapshot))
    (entry,) = plan.stranded
    assert "memory capacity" in entry.reason and "3,808" in entry.reason


def test_a_limit_that_is_broken_today_gets_no_worse():
    snapshot = cluster([GIB8, 4 * GIB8], [0, 0], [6000, 6000])
    plan = make_plan(snapshot, hosts(snapshot, [1, 1]), memory(snapshot))
    assert len(plan.moves) == 2 and replay(plan, memory(snapshot)).safe


def test_keep_apart_holds_in_flight():
    snapshot = cluster([GIB8] * 3, [0, 1], [1024, 1024])
    apart = During(AtMost(np.array([0, 1], np.int32), np.arange(3, dtype=np.int32), np.ones(3)), "apart")
    plan = make_plan(snapshot, hosts(snapshot, [1, 2]), [apart])
    second = next(move for move in plan.moves if move.vm == "vm-000")
    first = next(move for move in plan.moves if move.vm == "vm-001")
    assert second.start_s >= first.end_s - 1e-6 and second.after_steps == (first.step,)
    swap = make_plan(snapshot, hosts(snapshot, [1, 0]), [apart])
    assert sum(move.parking for move in swap.moves) == 1 and replay(swap, [apart]).differences == ()


def test_at_least_holds_in_flight():
    snapshot = cluster([GIB8] * 4, [0, 1], [1024, 1024])
    spread = During(AtLeast(np.array([0, 1], np.int32), np.array([0, 1, 0, 1], np.int32), 2, 2), "two racks")
    plan = make_plan(snapshot, hosts(snapshot, [2, 3]), [spread])
    assert len(plan.moves) == 2 and replay(plan, [spread]).differences == ()
    crossing = make_plan(snapshot, hosts(snapshot, [1, 0]), [spread])
    assert {entry.vm for entry in crossing.stranded} == {"vm-000", "vm-001"}


def test_together_and_near():
    snapshot = cluster([GIB8] * 4, [0, 1, 2], [1024, 1024, 1024])
    pair = During(Together(np.array([0, 1], np.int32), np.arange(4, dtype=np.int32), 4), "pair")
    plan = make_plan(snapshot, hosts(snapshot, [3, 3, 2]), [pair])
    assert len(plan.moves) == 2 and replay(plan, [pair]).safe
    near = During(
        Near(np.array([0], np.int32), np.array([1, 2], np.int32), np.array([0, 0, 1, 1], np.int32), 2), "near"
    )
    plan = make_plan(snapshot, hosts(snapshot, [2, 1, 2]), [near])
    assert len(plan.moves) == 1 and replay(plan, [near]).safe
    plan = make_plan(snapshot, hosts(snapshot, [0, 2, 0]), [near])
    first = next(move for move in plan.moves if move.vm == "vm-002")
    later = next(move for move in plan.moves if move.vm == "vm-001")
    assert later.start_s >= first.end_s - 1e-6


def test_kinds_and_their_cost_units():
    snapshot = cluster(
        [GIB8] * 2, [0, 0, 0, 0], [1024] * 4, disks=[(i, 0, 10.0) for i in range(4)], stores=[500.0, 500.0],
        power=["on", "on", "on", "off"],
    )  # fmt: skip
    target = Placement(np.array([1, 0, 1, 1], np.int32), np.array([0, 1, 1, 0], np.int32))
    plan = make_plan(snapshot, target)
    kind = {move.vm: move.kind for move in plan.moves}
    assert kind == {"vm-000": "vmotion", "vm-001": "storage", "vm-002": "vmotion", "vm-003": "cold"}
    moved = {move.vm: (move.from_datastores, move.to_datastores) for move in plan.moves}
    assert moved["vm-002"] == (("ds-0",), ("ds-1",))
    assert replay(plan).differences == ()
    storage = make_plan(snapshot, Placement(snapshot.vms.host_idx, np.ones(4, np.int32)))
    live = [move for move in storage.moves if move.kind == "storage"]
    # A Storage vMotion costs 4 of a host's 8 units: two at a time.
    for move in live:
        beside = [o for o in live if o.start_s < move.end_s - 1e-6 and o.end_s > move.start_s + 1e-6]
        assert sum(o.start_s <= move.start_s + 1e-9 for o in beside) <= 2


def test_datastore_space_counts_on_both_sides():
    snapshot = cluster([GIB8], [0, 0], [1024, 1024], disks=[(0, 0, 10.0), (1, 1, 10.0)], stores=[0.0, 10.0])
    plan = make_plan(snapshot, Placement(snapshot.vms.host_idx, np.array([1, 0], np.int32)))
    assert [move.vm for move in plan.moves] == ["vm-000", "vm-001"]
    assert plan.moves[1].after_steps == (1,)


def test_disks_that_swap_full_datastores_go_through_a_third():
    snapshot = cluster(
        [GIB8], [0, 0], [1024, 1024], disks=[(0, 0, 10.0), (1, 1, 10.0)], stores=[0.0, 0.0, 10.0]
    )
    target = Placement(snapshot.vms.host_idx, np.array([1, 0], np.int32))
    plan = make_plan(snapshot, target)
    assert not plan.stranded and [move.parking for move in plan.moves] == [True, False, False]
    assert plan.moves[0].to_datastores == ("ds-2",) and plan.moves[2].from_datastores == ("ds-2",)
    assert "ds-2" in plan.moves[0].reason and plan.placement.datastore_idx.tolist() == [1, 0]
    assert replay(plan).differences == ()
    full = cluster([GIB8], [0, 0], [1024, 1024], disks=[(0, 0, 10.0), (1, 1, 10.0)], stores=[0.0, 0.0, 5.0])
    assert len(make_plan(full, target).stranded) == 2


def with_stores(snapshot, **columns):
    return replace(snapshot, datastores=replace(snapshot.datastores, **columns))


def test_no_disk_is_parked_on_a_replica():
    disks = [(0, 0, 10.0), (1, 1, 10.0)]
    snapshot = cluster([GIB8], [0, 0], [1024, 1024], disks=disks, stores=[0.0, 0.0, 10.0])
    target = Placement(snapshot.vms.host_idx, np.array([1, 0], np.int32))
    copy = with_stores(snapshot, replica_of_idx=np.array([-1, -1, 0], np.int32))
    plan = make_plan(copy, target)
    assert len(plan.stranded) == 2 and not any("ds-2" in move.to_datastores for move in plan.moves)


@pytest.mark.parametrize(
    "columns",
    [
        {"state": np.array(["connected", "disconnected", "connected"])},
        {"state": np.array(["connected", "maintenance", "connected"])},
        {"replica_of_idx": np.array([-1, 0, -1], np.int32)},
    ],
)
def test_disks_follow_their_vm_to_a_usable_datastore(columns):
    snapshot = cluster([GIB8] * 2, [0], [1024], disks=[(0, 0, 10.0)], stores=[0.0, 90.0, 20.0])
    mounts = np.array([[True, True, True], [False, True, True]])
    there = disks_follow(with_stores(replace(snapshot, mounts=mounts), **columns), np.array([1], np.int32))
    assert there.tolist() == [2]


@pytest.mark.parametrize("limit", ["per_host", "total", "per_cluster", "per_link"])
def test_user_limits(limit):
    links = [(f"esx-{i:02d}", "tor", 10_000.0, 0.0) for i in range(4)]
    snapshot = cluster([8 * GIB8] * 4, [0] * 6 + [1] * 6, [512] * 12, links=links)
    concurrency = Concurrency(**{limit: 1})
    plan = make_plan(snapshot, hosts(snapshot, [2] * 6 + [3] * 6), memory(snapshot), concurrency=concurrency)
    assert replay(plan, memory(snapshot), concurrency=concurrency).differences == ()
    at_once = max(
        sum(o.start_s <= move.start_s + 1e-9 < o.end_s - 1e-6 for o in plan.moves) for move in plan.moves
    )
    assert at_once <= (2 if limit in ("per_host", "per_link") else 1)


def test_a_limit_of_zero_strands():
    snapshot = cluster([GIB8] * 2, [0], [512])
    plan = make_plan(snapshot, hosts(snapshot, [1]), concurrency=Concurrency(total=0))
    assert "total" in plan.stranded[0].reason


def test_pauses_between_waves():
    snapshot = cluster([8 * GIB8] * 2, [0] * 12, [512] * 12)
    concurrency = Concurrency(pause_s=30.0)
    plan = make_plan(snapshot, hosts(snapshot, [1] * 12), memory(snapshot), concurrency=concurrency)
    waves = sorted({move.wave for move in plan.moves})
    assert waves == list(range(1, len(waves) + 1)) and len(waves) > 1
    for wave in waves[1:]:
        ended = max(move.end_s for move in plan.moves if move.wave == wave - 1)
        begun = min(move.start_s for move in plan.moves if move.wave == wave)
        assert begun >= ended + 30.0 - 1e-6


def test_waves_respect_dependencies_and_host_units():
    snapshot = cluster([64 * GIB8] * 3, [0] * 30, [512] * 30)
    plan = make_plan(snapshot, hosts(snapshot, [1] * 15 + [2] * 15), memory(snapshot))
    by_step = {move.step: move for move in plan.moves}
    assert [move.step for move in plan.moves] == list(range(1, 31))
    assert all(a.start_s <= b.start_s for a, b in itertools.pairwise(plan.moves))
    for move in plan.moves:
        assert all(by_step[step].wave < move.wave for step in move.after_steps)
    for wave in {move.wave for move in plan.moves}:
        assert sum(move.wave == wave for move in plan.moves) <= 8


def test_windows_do_the_urgent_first_and_say_what_remains():
    snapshot = cluster([64 * GIB8] * 2, [0] * 10, [GIB8] * 10)
    urgent = {9: 5.0}
    whole = make_plan(snapshot, hosts(snapshot, [1] * 10), memory(snapshot))
    plan = make_plan(
        snapshot, hosts(snapshot, [1] * 10), memory(snapshot), window=whole.makespan_s / 2, priorities=urgent
    )
    assert 0 < len(plan.moves) < 10 and plan.makespan_s <= whole.makespan_s / 2
    assert "vm-009" in {move.vm for move in plan.moves}
    assert len(plan.moves) + len(plan.stranded) == 10
    assert "window" in plan.stranded[0].reason


def test_a_window_never_leaves_a_vm_parked():
    snapshot = cluster([GIB8] * 3, [0, 1], [GIB8, GIB8])
    whole = make_plan(snapshot, hosts(snapshot, [1, 0]), memory(snapshot))
    plan = make_plan(snapshot, hosts(snapshot, [1, 0]), memory(snapshot), window=whole.makespan_s * 0.9)
    assert plan.moves == () and {entry.vm for entry in plan.stranded} == {"vm-000", "vm-001"}


def test_forbidden_hours_and_deadlines():
    snapshot = cluster([64 * GIB8] * 3, [0, 0, 1], [4096] * 3)
    plan = make_plan(
        snapshot,
        hosts(snapshot, [2, 2, 2]),
        memory(snapshot),
        forbidden={0: [(0.0, 100.0)], 1: [(3.0, 50.0)]},
    )
    start = {move.vm: move.start_s for move in plan.moves}
    end = {move.vm: move.end_s for move in plan.moves}
    assert start["vm-000"] >= 100.0 and (end["vm-001"] <= 3.0 or start["vm-001"] >= 50.0)
    assert not plan.warnings
    late = make_plan(snapshot, hosts(snapshot, [2, 2, 2]), memory(snapshot), deadline_s={0: 1.0})
    assert any("esx-00" in warning and "deadline" in warning for warning in late.warnings)
    first = make_plan(
        cluster([64 * GIB8] * 3, [0] * 3 + [1] * 3, [GIB8] * 6),
        hosts(snapshot, [2] * 6),
        deadline_s={1: 30.0},
    )
    assert {move.vm for move in first.moves[:3]} == {"vm-003", "vm-004", "vm-005"}


def test_priorities_go_first():
    snapshot = cluster([64 * GIB8] * 2, [0] * 6, [GIB8] * 6)
    plan = make_plan(snapshot, hosts(snapshot, [1] * 6), memory(snapshot), priorities={4: 1.0, 2: 2.0})
    assert [move.vm for move in plan.moves[:2]] == ["vm-002", "vm-004"]


def test_determinism_and_interrupt():
    rng = np.random.default_rng(3)
    vm_host = rng.integers(0, 6, 40)
    snapshot = cluster([40_000] * 6, vm_host, rng.choice([1024, 2048, 4096], 40))
    to = rng.integers(0, 6, 40)
    one, two = (make_plan(snapshot, hosts(snapshot, to), memory(snapshot), run=Run(seed=5)) for _ in range(2))
    assert one.moves == two.moves
    stop = Stop()
    stop.interrupt()
    cut = make_plan(snapshot, hosts(snapshot, to), memory(snapshot), run=Run(stop))
    assert len(cut.moves) == len(one.moves) and replay(cut, memory(snapshot)).safe


def test_prefix_states_and_their_warning():
    snapshot = cluster([2 * GIB8] * 4, [0, 0, 1, 1, 2, 2, 3, 3], [4096] * 8)
    plan = make_plan(snapshot, hosts(snapshot, [1, 1, 0, 0, 2, 2, 3, 3]), memory(snapshot))
    states = list(prefix_states(plan))
    assert [state.step for state in states] == [0, 1, 2, 3, 4]
    assert states[-1].placement.host_idx.tolist() == plan.placement.host_idx.tolist()
    assert states[0].spread["memory"] == 0.0 and states[1].spread["memory"] > 0.0
    assert any("memory" in warning and "after step" in warning for warning in plan.warnings)


def test_price_moves_says_why_not():
    links = [("esx-00", "a", 10_000.0, 0.1), ("esx-01", "b", 10_000.0, 0.1), ("esx-02", "b", 100.0, 0.1),
             ("a", "b", 10_000.0, 90.0), ("esx-03", "c", 10_000.0, 0.1)]  # fmt: skip
    snapshot = cluster(
        [GIB8] * 4, [0, 1, 0], [1024] * 3, links=links, disks=[(0, 0, 5.0)], stores=[50.0, 50.0]
    )
    far, slow, none, store, same = price_moves(
        snapshot, [0, 1, 0, 0, 2], [1, 2, 3, -1, -1], [None, None, None, 1, 1]
    )
    assert "150 ms" in far.reason and np.isnan(far.total_s)
    assert "250 Mbit/s" in slow.reason
    assert "no route" in none.reason
    assert store.kind == "storage" and store.total_s > 0 and store.to_datastores == ("ds-1",)
    assert same.reason == "it has no disk to move"


def test_kinds_by_place():
    links = [("esx-00", "a", 10_000.0, 0.1), ("esx-01", "b", 10_000.0, 0.1), ("esx-02", "a", 10_000.0, 0.1),
             ("a", "b", 10_000.0, 20.0)]  # fmt: skip
    snapshot = cluster([GIB8] * 3, [0, 0], [1024] * 2, links=links, vcenter=["x", "x", "y"])
    far, other = price_moves(snapshot, [0, 1], [1, 2])
    assert (far.kind, other.kind) == ("long_distance", "cross_vcenter")
    (cold,) = price_moves(cluster([GIB8] * 2, [0], [1024], power=["off"]), [0], [1], kind="vmotion")
    assert "powered off" in cold.reason


def test_fewer_and_faster_beats_all_at_once():
    snapshot = cluster([64 * GIB8] * 2, [0] * 8, [16_384] * 8, rate=300.0)
    plan = make_plan(snapshot, hosts(snapshot, [1] * 8), memory(snapshot))
    assert plan.makespan_s <= plan.makespan_bound_s * 1.02


def exhaustive(snapshot, target):
    """The shortest of all serial schedules, each leg alone on its path: the optimum, since it is one of them."""
    from drs.planning.schedule.serial import Serial
    from drs.planning.schedule.shares import with_links

    tasks, priced = tasks_of(snapshot, target)
    shares = with_links(tasks, np.ones(len(tasks)), priced.total_s)
    best = np.inf
    for order in itertools.permutations(range(len(tasks))):
        start = Serial(tasks, shares).starts(np.array(order))
        if not np.isnan(start).any():
            best = min(best, float((start + priced.total_s).max()))
    return best


@pytest.mark.parametrize("seed", range(8))
def test_small_cases_against_all_orders(seed):
    rng = np.random.default_rng(seed)
    vm_host = rng.integers(0, 3, 6)
    sizes = rng.choice([1024, 2048, 4096, 8192], 6)
    to = rng.integers(0, 3, 6)
    held = [max(sizes[vm_host == h].sum(), sizes[to == h].sum()) + 4096 for h in range(3)]
    snapshot = cluster(held, vm_host, sizes)
    plan = make_plan(snapshot, hosts(snapshot, to), memory(snapshot))
    assert plan.makespan_s <= exhaustive(snapshot, hosts(snapshot, to)) + 0.1
    assert plan.makespan_s >= plan.makespan_bound_s - 1e-6
