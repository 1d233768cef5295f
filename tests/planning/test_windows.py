"""Windows, forbidden hours and deadlines are walls; VMs and hosts are named as people name them."""

from __future__ import annotations

from datetime import datetime, time

import numpy as np
import pytest
from planning_clusters import cluster, hosts, memory

from drs.errors import InputError, UnknownNameError
from drs.planning import make_plan
from drs.planning.windows import daily, opening
from drs.words import days_of_week, hours_of_day

GIB8 = 8192


def lan(n: int = 6):
    """VMs of several sizes on one host, to go to another."""
    sizes = [GIB8 * (1 + k % 3) for k in range(n)]
    return cluster([64 * GIB8] * 2, [0] * n, sizes)


def test_names_are_keys():
    snapshot = lan()
    to = hosts(snapshot, [1] * 6)
    by_name = make_plan(
        snapshot, to, memory(snapshot), priorities={"vm-004": 1.0}, forbidden={"vm-000": [(0.0, 60.0)]},
        deadline_s={"esx-00": 3600.0},
    )  # fmt: skip
    by_position = make_plan(
        snapshot, to, memory(snapshot), priorities={4: 1.0}, forbidden={0: [(0.0, 60.0)]}, deadline_s={0: 3600.0}
    )  # fmt: skip
    assert by_name.moves == by_position.moves
    assert by_name.moves[0].vm == "vm-004"
    assert next(move.start_s for move in by_name.moves if move.vm == "vm-000") >= 60.0


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("priorities", {"vm-04": 1.0}),
        ("forbidden", {"vm-04": [(0.0, 1.0)]}),
        ("forbidden_hosts", {"esx-0": [(0.0, 1.0)]}),
        ("deadline_s", {"esx-0": 60.0}),
    ],
)
def test_an_unknown_name_is_an_error_with_the_near_miss(argument, value):
    snapshot = lan()
    with pytest.raises(UnknownNameError, match=f"{argument}.*did you mean") as caught:
        make_plan(snapshot, hosts(snapshot, [1] * 6), memory(snapshot), **{argument: value})
    assert len(caught.value.faults) == 1
    with pytest.raises(InputError, match="position 99"):
        make_plan(
            snapshot, hosts(snapshot, [1] * 6), memory(snapshot),
            **{argument: {99: next(iter(value.values()))}},
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_nothing_runs_when_it_may_not(seed):
    rng = np.random.default_rng(seed)
    n = 24
    snapshot = cluster(
        [64 * GIB8] * 4, rng.integers(0, 2, n), rng.choice([4096, GIB8, 2 * GIB8, 4 * GIB8], n)
    )
    to = hosts(snapshot, rng.integers(2, 4, n))
    whole = make_plan(snapshot, to, memory(snapshot))
    long = whole.makespan_s
    frozen = {int(vm): [(0.2 * long, 0.5 * long), (0.8 * long, 1.4 * long)] for vm in rng.permutation(n)[:16]}
    of_hosts = {2: [(0.0, 0.1 * long)]}
    window = 1.7 * long
    plan = make_plan(
        snapshot, to, memory(snapshot), forbidden=frozen, forbidden_hosts=of_hosts, window=window, run=None
    )
    assert len(plan.moves) + len(plan.stranded) == n
    assert plan.moves
    for move in plan.moves:
        vm = snapshot.vms.position[move.vm]
        spans = [*frozen.get(vm, []), *(of_hosts[2] if move.to_host == "esx-02" else [])]
        assert all(move.start_s >= end - 1e-3 or move.end_s <= begin + 1e-3 for begin, end in spans)
        assert move.end_s <= window + 1e-3
    assert all(entry.no_time and "does not fit" in entry.reason for entry in plan.stranded)


def test_a_vm_whose_hours_are_never_long_enough_stays_and_the_others_go():
    snapshot = lan()
    never = [(float(t), t + 2.5) for t in range(0, 4000, 3)]
    plan = make_plan(snapshot, hosts(snapshot, [1] * 6), memory(snapshot), forbidden={"vm-002": never},
                     window=3000.0)  # fmt: skip
    assert {move.vm for move in plan.moves} == {f"vm-00{k}" for k in (0, 1, 3, 4, 5)}
    assert [entry.vm for entry in plan.stranded] == ["vm-002"] and plan.stranded[0].no_time


def test_as_many_as_can_make_a_deadline_go_first():
    snapshot = lan(9)
    to = hosts(snapshot, [1] * 9)
    whole = make_plan(snapshot, to, memory(snapshot))
    deadline_s = whole.makespan_s / 2
    plan = make_plan(snapshot, to, memory(snapshot), deadline_s=deadline_s)
    in_window = make_plan(snapshot, to, memory(snapshot), window=deadline_s)
    made_it = sum(move.end_s <= deadline_s for move in plan.moves)
    assert len(plan.moves) == 9 and made_it == len(in_window.moves)
    assert made_it > sum(move.end_s <= deadline_s for move in whole.moves)


def test_hours_and_days_are_read_as_people_write_them():
    assert hours_of_day("22:00 - 06:30") == (time(22), time(6, 30))
    assert hours_of_day("00:00-24:00") == (time(0), time(0))
    assert days_of_week("fri-mon") == (0, 4, 5, 6)
    for wrong in ("22-6", "22:00", "25:00-26:00", "8:0-9:00"):
        with pytest.raises(ValueError):
            hours_of_day(wrong)
    with pytest.raises(ValueError):
        days_of_week("monday")


def test_only_on_some_days_and_the_next_opening():
    friday = datetime(2026, 12, 4, 7)
    monday_s = 3 * 86_400.0
    assert daily(friday, time(8), time(18), 4, days_of_week("mon-fri")) == [
        (3600.0, 39_600.0),
        (monday_s + 3600.0, monday_s + 39_600.0),
    ]
    assert opening(datetime(2026, 12, 4, 17), time(22), time(6)) == (5 * 3600.0, 8 * 3600.0)
    assert opening(datetime(2026, 12, 4, 23), time(22), time(6)) == (0.0, 7 * 3600.0)
    assert opening(datetime(2026, 12, 4, 3), time(22), time(6)) == (0.0, 3 * 3600.0)
