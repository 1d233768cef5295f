"""Placing by counts: against brute force, with groups, with demands that are rounded."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from drs.problem import Problem
from drs.problem.policy import Limits, Policy
from drs.rules import KeepApart, Pinned, Rule
from drs.solvers import auto, naming, room, room_columns
from drs.solvers.exact.highs import Worker
from drs.stop import Run, Stop
from drs.terms import Capacity, Level, MoveCost, MoveLimit, Slots, Wall, Weighted
from drs.terms.base import Ints, Lowered
from drs.testing.problems import is_sound, optimum
from drs.testing.scenarios import ask

SIZES = (1000.0, 2000.0, 3000.0)


def lowered_of(seed: int, rules: tuple[Rule, ...] = (), most_moves: int = 2) -> Lowered:
    """Three small hosts, four VMs of three sizes on them and three that wait."""
    rng = np.random.default_rng(seed)
    hosts = {f"h{k}": {"cpu_mhz": 6000, "memory_mib": 40960} for k in range(3)}
    vms = {}
    room_of = dict.fromkeys(hosts, 6000.0)
    for k in range(4):
        size = float(rng.choice(SIZES))
        fit = [host for host, left in room_of.items() if left >= size]
        if not fit:
            continue
        host = str(rng.choice(fit))
        room_of[host] -= size
        vms[f"v{k}"] = {"host": host, "cpu_demand_mhz": size, "memory_mib": 1024}
    for k in range(3):
        vms[f"new{k}"] = {"cpu_demand_mhz": float(rng.choice((3000.0, 4000.0))), "memory_mib": 1024}
    snapshot = ask({"hosts": hosts, "vms": vms, "clusters": {"cluster-1": {}}})[0]
    return Problem(snapshot, rules, Policy(limits=Limits(max_moves=most_moves))).lowered


def most_placed(lowered: Lowered) -> int:
    """By trying every assignment that moves few enough and crosses no wall."""
    at_home = lowered.start >= 0
    most = 0
    limit = next(w.term.limit for w in lowered.walls if w.origin == "max_moves")
    for assign in itertools.product(range(-1, lowered.n_bins), repeat=lowered.n_items):
        where = np.array(assign, dtype=np.int32)
        if (where[at_home] < 0).any() or np.count_nonzero(where[at_home] != lowered.start[at_home]) > limit:
            continue
        placed = int(np.count_nonzero(where[~at_home] >= 0))
        if placed > most and not lowered.broken_walls(where):
            most = placed
    return most


def asked(lowered: Lowered, time_s: float = 20.0) -> tuple[int, int, Ints]:
    """(placed, at most, assignment) as the counts say."""
    answer = room.solve(lowered, lowered.start, Run(Stop(time_s)))
    which = next(k for k, level in enumerate(lowered.levels) if level.role == "placed")
    waiting = int(np.count_nonzero(lowered.start < 0))
    assert not lowered.broken_walls(answer.assign)
    return (
        waiting - round(float(answer.scores[which])),
        waiting - round(float(answer.bounds[which])),
        answer.assign,
    )


@pytest.mark.parametrize("seed", range(6))
def test_as_many_as_brute_force_and_proven(seed: int) -> None:
    lowered = lowered_of(seed, most_moves=1 + seed % 2)
    best = most_placed(lowered)
    placed, most, _ = asked(lowered)
    assert placed == most == best


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_kept_and_the_bound_holds(seed: int) -> None:
    lowered = lowered_of(seed, (KeepApart(("new*", "v0", "v1")),))
    best = most_placed(lowered)
    placed, most, _ = asked(lowered)
    assert placed <= best <= most


def test_new_vms_that_keep_apart_have_a_host_each() -> None:
    lowered = lowered_of(1, (KeepApart("new*"),))
    placed, most, assign = asked(lowered)
    hosts = assign[lowered.start < 0]
    hosts = hosts[hosts >= 0]
    assert len(set(hosts.tolist())) == len(hosts) == placed <= most


def test_a_pinned_vm_makes_no_room() -> None:
    free, held = lowered_of(0), lowered_of(0, (Pinned("v*"),))
    assert asked(held)[0] == asked(held)[1] == most_placed(held) <= most_placed(free)


@pytest.mark.parametrize("seed", range(3))
def test_demands_that_are_rounded_still_plan_and_bound(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every VM a size of its own: kinds are rounded until they are few, the plan up and the bound down."""
    lowered = lowered_of(seed)
    wall = next(w.term for w in lowered.walls if w.origin == "cpu capacity")
    wall.demand.flags.writeable = True
    wall.demand[:] *= 1.0 - 0.02 * np.random.default_rng(seed).random(lowered.n_items)
    best = most_placed(lowered)
    monkeypatch.setattr(room, "MOST_COLUMNS", 30)
    placed, most, _ = asked(lowered)
    assert placed <= best <= most


def test_few_moves_are_made_and_the_cheap_ones() -> None:
    hosts = {name: {"cpu_mhz": 6000, "memory_mib": 40960} for name in ("h0", "h1")}
    vms = {
        "light": {"host": "h0", "cpu_demand_mhz": 2000, "memory_mib": 1024},
        "heavy": {"host": "h0", "cpu_demand_mhz": 2000, "memory_mib": 1024, "memory_active_mib": 1000},
        "new": {"cpu_demand_mhz": 4000, "memory_mib": 1024},
        "other": {"host": "h1", "cpu_demand_mhz": 3000, "memory_mib": 1024},
    }
    snapshot = ask({"hosts": hosts, "vms": vms, "clusters": {"cluster-1": {}}})[0]
    lowered = Problem(snapshot, (), Policy()).lowered
    placed, most, assign = asked(lowered)
    assert placed == most == 1
    assert np.count_nonzero(assign[:2] != lowered.start[:2]) + (assign[3] != lowered.start[3]) == 1


def test_auto_counts_where_vms_wait_and_the_problem_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "EXACT_COLUMNS", 0)
    lowered = lowered_of(0)
    answer = auto.solve_part(lowered, lowered.start, Run(Stop(20.0)), 1, again=False)
    which = next(k for k, level in enumerate(lowered.levels) if level.role == "placed")
    assert "room" in str(answer.stats["engines"])
    assert answer.scores[which] == answer.bounds[which] == 3 - most_placed(lowered)


def slotted(seed: int, over: bool = False) -> Lowered:
    """Six items in three bins, two moves at most; `over` lets bins be used beyond what slots of 4 are counted from."""
    rng = np.random.default_rng([seed, 3])
    n, m = 6, 3
    start = rng.integers(0, m, n).astype(np.int32)
    demand, other = (rng.choice([1.0, 2.0, 3.0], n) for _ in range(2))
    limit = np.array([10.0, 9.0, 8.0])
    slots = Slots(
        np.array([demand, other]), np.array([limit, limit]), np.array([4.0, 3.0]), np.array([2.0, 2.0, 2.0])
    )
    walls = [
        Wall(Capacity(name, need, limit + (4.0 if over else 0.0)).relaxed(start), name)
        for name, need in (("cpu", demand), ("memory", other))
    ]
    levels = (Level("slots", (Weighted(slots, 2.0),)), Level("moves", (Weighted(MoveCost(np.ones(n))),)))
    return Lowered(n, m, start, (*walls, Wall(MoveLimit(np.ones(n), 2.0), "max_moves")), levels)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("over", [False, True])
def test_slots_are_freed_as_trying_says(seed: int, over: bool) -> None:
    lowered = slotted(seed, over)
    best = float(optimum(lowered)[0])
    if lowered.scores(lowered.start)[0] == 0.0:
        assert not room.applies(lowered, lowered.scores(lowered.start))
        return
    answer = room.solve(lowered, lowered.start, Run(Stop(20.0)))
    is_sound(lowered, answer, lowered.start)
    assert answer.bounds[0] <= best + 1e-9
    assert answer.scores[0] >= best - 1e-9
    walls = [wall.term for wall in lowered.walls if isinstance(wall.term, Capacity)]
    if not any((wall.limit > [10.0, 9.0, 8.0]).any() for wall in walls):
        assert answer.scores[0] == answer.bounds[0] == best


def test_slots_of_several_sizes_share_the_moves() -> None:
    lowered = slotted(1)
    term = lowered.levels[0].terms[0].term
    assert isinstance(term, Slots)
    small = replace(term, sizes=np.array([2.0, 2.0]), most=np.full(3, 4.0))
    both = replace(
        lowered, levels=(Level("slots", (Weighted(term, 3.0), Weighted(small, 1.0))), *lowered.levels[1:])
    )
    answer = room.solve(both, both.start, Run(Stop(20.0)))
    best = float(optimum(both)[0])
    assert answer.bounds[0] - 1e-6 <= best == answer.scores[0]


def test_changes_know_the_one_that_takes_one_more() -> None:
    change, more = room_columns.changes(3, np.array([1, 0, 2]))
    assert not change[0].any()
    assert len(np.unique(change, axis=0)) == len(change)
    assert (np.count_nonzero(change, axis=1) <= 2).all()
    for number in range(1, len(change)):
        kinds = np.flatnonzero(change[number])
        for place, k in enumerate(kinds.tolist()):
            wanted = change[number] + np.eye(3, dtype=np.int64)[k]
            if more[number, place] >= 0:
                assert (change[more[number, place]] == wanted).all()
            else:
                assert not (change == wanted).all(axis=1).any()


@pytest.mark.parametrize("seed", range(6))
def test_whole_changes_of_bins_are_answers_by_themselves(seed: int) -> None:
    """Chosen columns give up as many as they take, and named they are a plan that keeps every wall."""
    lowered = lowered_of(seed, most_moves=2)
    first = next(k for k, level in enumerate(lowered.levels) if level.role == "placed")
    plan = room._Counts(lowered, first, plan=True)
    columns = room_columns.Columns(plan.room())
    worker = Worker()
    try:
        outcome = worker.solve(columns.task(0.2, 10.0, None, 0), Stop(20.0))
    finally:
        worker.close()
    assert outcome.values is not None
    net, placed = columns.chosen(outcome.values)
    assert (net.sum(axis=1) == 0).all()
    assign = plan.named(net, placed)
    assert not lowered.broken_walls(assign)
    assert np.count_nonzero(assign[lowered.start < 0] >= 0) == placed.sum() <= most_placed(lowered)


def test_what_cannot_be_named_goes_back() -> None:
    """A wall that an assignment crosses is mended by items that go home, those that wait first."""
    lowered = lowered_of(2)
    assign = lowered.start.copy()
    assign[:] = 0
    home = naming.mended(lowered, assign)
    assert not lowered.broken_walls(home)
    moved = (lowered.start >= 0) & (home != lowered.start)
    assert np.count_nonzero(moved) <= 2
