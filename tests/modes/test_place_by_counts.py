"""Placing on large clusters goes by counts: with rules, EVC, datastores and a limit on moves it gets what exists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny import cluster

import drs
from drs import Snapshot
from drs.goals import Moves
from drs.problem import Problem
from drs.problem.policy import Limits, Policy
from drs.rules import KeepApart, KeepTogether, Pinned, Rule, RunOn
from drs.solvers import auto, room
from drs.stop import Run, Stop


@pytest.fixture(autouse=True)
def as_if_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count, however small the problem is."""
    monkeypatch.setattr(auto, "EXACT_COLUMNS", 0)


def place(snapshot: Snapshot, *rules: Rule, max_moves: int | None = None) -> Any:
    policy = Policy(goals=(Moves(by="count"),), limits=Limits(max_moves=max_moves))
    return drs.advise(snapshot, mode="place", rules=rules, policy=policy, time_s=4)


def placed(result: Any) -> tuple[int, int]:
    """(placed, at most)"""
    goal = next(goal for goal in result.goals if goal.name == "placed")
    return round(goal.before - goal.after), round(goal.before - goal.bound)


def test_who_makes_room_says_for_whom() -> None:
    """4 GHz are free on both hosts, and the new VM needs 6."""
    vms = {"x": ("a", 6000, 1024), "y": ("b", 4000, 1024), "z": ("b", 2000, 1024), "new": (None, 6000, 1024)}
    result = place(cluster(["a", "b"], vms))
    assert placed(result) == (1, 1)
    (move,) = result.plan.moves
    assert move.vm == "z" and move.reason == "makes room on b for new, which starts there"
    assert result.report.sentences()[0] == "new starts on b after the moves 1"


def test_more_vms_with_more_moves_and_never_more_than_the_limit() -> None:
    hosts = [f"h{k}" for k in range(4)]
    vms: dict[str, tuple[str | None, float, float]] = {}
    for k, host in enumerate(hosts):
        vms |= {f"large{k}": (host, 5000, 512), f"small{k}": (host, 2500, 512), f"new{k}": (None, 5000, 512)}
    for limit, most in ((0, 0), (1, 1), (2, 2), (4, 2)):  # two hosts are full with what the others gave
        result = place(cluster(hosts, vms), max_moves=limit)
        assert placed(result) == (most, most)
        assert len(result.plan.moves) == min(limit, 2)


def test_evc_and_rules_on_hosts_decide_where_room_is_made() -> None:
    """The new VM may start on b only, and y runs with a baseline that a is too old for: it goes to c."""
    hosts = {
        "a": {"evc_max": "intel-haswell", "cpu_vendor": "intel"},
        "b": {"evc_max": "intel-skylake", "cpu_vendor": "intel"},
        "c": {"evc_max": "intel-skylake", "cpu_vendor": "intel"},
    }
    evc = {"evc_mode": "intel-skylake"}
    vms = {"y": ("b", 5000, 1024), "new": (None, 8000, 1024)}
    snapshot = cluster(hosts, vms, vm_columns={"y": evc, "new": evc})
    result = place(snapshot, RunOn("new", hosts="b", policy="hard"))
    assert placed(result) == (1, 1)
    assert [(move.vm, move.to_host) for move in result.plan.moves] == [("y", "c")]
    held = place(snapshot, RunOn("new", hosts="b", policy="hard"), Pinned("y"))
    assert placed(held) == (0, 0) and held.status == "infeasible"


def test_a_vm_starts_where_its_datastore_is() -> None:
    vms = {"y": ("b", 5000, 1024), "new": (None, 8000, 1024)}
    snapshot = cluster(
        ["a", "b"], vms,
        datastores=pd.DataFrame([{"datastore": name, "capacity_gib": 100} for name in ("one", "two")]),
        disks=pd.DataFrame([
            {"vm": "y", "disk": "d", "datastore": "one", "size_gib": 5},
            {"vm": "new", "disk": "d", "datastore": "two", "size_gib": 5},
        ]),
        mounts=pd.DataFrame([
            {"host": "a", "datastore": "one"}, {"host": "b", "datastore": "one"}, {"host": "b", "datastore": "two"},
        ]),
    )  # fmt: skip
    result = place(snapshot)
    assert placed(result) == (1, 1)
    assert [(move.vm, move.to_host) for move in result.plan.moves] == [("y", "a")]


@pytest.mark.parametrize("seed", range(8))
def test_rules_on_groups_are_kept_and_the_bound_holds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts know no names: what they find keeps the rules, and the exact solver finds no more than they allow."""
    rng = np.random.default_rng(seed)
    vms: dict[str, tuple[str | None, float, float]] = {
        f"v{k}": (f"h{rng.integers(3)}", float(rng.choice((1500.0, 2500.0))), 512.0) for k in range(5)
    }
    vms |= {f"new{k}": (None, float(rng.choice((4000.0, 5500.0))), 512.0) for k in range(3)}
    rules: tuple[Rule, ...] = (
        (KeepApart(["v0", "v1", "new0"]), KeepTogether(["new1", "new2"])),
        (KeepApart("v*", at_most=2), KeepApart("new*")),
        (KeepTogether(["v0", "v1"]), KeepApart(["v2", "v3", "v4"])),
    )[seed % 3]
    problem = Problem(cluster(["h0", "h1", "h2"], vms), rules, Policy(limits=Limits(max_moves=2)))
    lowered = problem.lowered
    found = room.solve(lowered, lowered.start, Run(Stop(20.0)))
    assert not lowered.broken_walls(found.assign)
    monkeypatch.setattr(auto, "EXACT_COLUMNS", 6_000)
    exact = drs.solve(problem, time_s=20)
    level = next(k for k, level in enumerate(lowered.levels) if level.role == "placed")
    assert found.bounds[level] <= exact.goals[level].after <= found.scores[level]
