"""Goals check themselves: a name that is not there, a length, a percentile is told before anything is solved."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

import drs
from drs.errors import InputError
from drs.goals import (
    GOALS,
    Balance,
    BalanceOverTime,
    Consolidate,
    FreeBalance,
    Goal,
    GroupMoves,
    Happiness,
    Licences,
    MoveDistance,
    OverTarget,
    PreferHosts,
    Sum,
)
from drs.io import from_frames
from drs.model import Snapshot
from drs.problem import Problem
from drs.problem.policy import Policy


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    hosts = {"host": ["esx-1", "esx-2"], "cpu_mhz": [1e4, 1e4], "memory_mib": [65536, 65536]}
    vms = {"vm": ["web", "db"], "host": ["esx-1"] * 2, "memory_mib": [4096] * 2, "cpu_demand_mhz": [1] * 2}
    return from_frames({"hosts": pd.DataFrame(hosts), "vms": pd.DataFrame(vms)})


BAD: list[tuple[Goal, str, str, str]] = [
    (Balance(resources=("cpu", "memroy")), "resources", "unknown resource 'memroy'", "memory?"),
    (Balance(percentile=0.9), "percentile", "0.9", "90 for the 90th percentile"),
    (Balance(percentile=101), "percentile", "101", "from 0 to 100"),
    (Balance(target=-1.0), "target", "-1.0", '"threshold"'),
    (Balance(slack_ratio=-0.5), "slack_ratio", "-0.5", "0 or more"),
    (Balance(worth_ratio=float("inf")), "worth_ratio", "inf", "a number"),
    (BalanceOverTime(n_buckets=0), "n_buckets", "0", "1 or more"),
    (BalanceOverTime(percentile=0.95), "percentile", "0.95", "95 for the 95th"),
    (Consolidate(hosts=["esx-l"]), "hosts", "unknown host 'esx-l'", "did you mean esx-"),
    (Consolidate(hosts="srv-*"), "hosts", "the pattern 'srv-*' names no host", "at least one host"),
    (FreeBalance(first="gpu"), "first", "unknown resource 'gpu'", "cpu?"),
    (FreeBalance(second="disk"), "second", "unknown resource 'disk'", "one of cpu, memory"),
    (GroupMoves(groups=("web", ("db", "wed"))), "groups", "unknown VM 'wed'", "web?"),
    (Happiness(resources=("cpus",)), "resources", "unknown resource 'cpus'", "cpu?"),
    (Licences(vms="oracle-*"), "vms", "the pattern 'oracle-*' names no VM", "at least one VM"),
    (MoveDistance(across=("site", "rack")), "prices", "1 entries", "2, one for each border"),
    (MoveDistance(pair=((0.0,),)), "pair", "1 entries", "2, one for each host"),
    (OverTarget(resource="mem"), "resource", "unknown resource 'mem'", "memory?"),
    (OverTarget(target=(1.0,)), "target", "1 entries", "2, one for each host"),
    (PreferHosts(vms="dbb"), "vms", "unknown VM 'dbb'", "db?"),
    (PreferHosts(hosts=()), "hosts", "an empty list", "at least one host"),
    (PreferHosts(penalty=-1.0), "penalty", "-1.0", "0 or more"),
    (Sum(parts=(Balance(),), weights=(1.0, 2.0)), "weights", "2 entries", "1, one for each"),
    (Sum(parts=(Balance(), PreferHosts(hosts="esx-9"))), "parts, 2 (prefer-hosts), field hosts", "unknown host", ""),
]  # fmt: skip


@pytest.mark.parametrize(("goal", "field", "given", "told"), BAD)
def test_a_fault_with_its_cure(snapshot: Snapshot, goal: Goal, field: str, given: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        Problem(snapshot, (), Policy(goals=(Balance(), goal)))
    (fault, *more) = caught.value.faults
    assert fault.where.startswith("[[goal]] 2 (") and f"field {field}" in fault.where
    assert given in fault.given and told in f"{fault.expected} {fault.hint}"
    assert len(more) <= 1


def test_rules_and_goals_are_told_together(snapshot: Snapshot) -> None:
    rules = [drs.rules.KeepApart(["web", "dbb"])]
    with pytest.raises(InputError) as caught:
        Problem(snapshot, rules, Policy(goals=(PreferHosts(vms="x"), Balance(percentile=0.5))))
    assert [fault.where.split(",")[0] for fault in caught.value.faults] == [
        "rule 'keep-apart'", "[[goal]] 1 (prefer-hosts)", "[[goal]] 2 (balance)",
    ]  # fmt: skip


def test_the_default_of_every_goal_has_no_fault(snapshot: Snapshot) -> None:
    for goal in GOALS.values():
        needed = {"flavours": "1000mhz/1g"} if goal.type == "slots" else {}
        assert list(goal(**needed).faults(snapshot)) == []


def test_every_field_that_names_something_is_checked(snapshot: Snapshot) -> None:
    """A field of a new goal that names VMs, hosts or resources is caught here until it is checked."""
    for kind, goal in GOALS.items():
        for field in dataclasses.fields(goal):
            if field.name in ("vms", "hosts", "resources", "resource", "first", "second", "groups"):
                value = (
                    "nothing-so-called"
                    if field.name in ("resource", "first", "second")
                    else ("nothing-so-called",)
                )
                wrong = goal(**{field.name: value})
                assert any(field.name in fault.where for fault in wrong.faults(snapshot)), (kind, field.name)


def test_a_part_of_an_unknown_type() -> None:
    with pytest.raises(InputError, match=r"unknown goal 'balanse'.*did you mean balance"):
        Sum(parts=[{"type": "balanse"}])


@pytest.mark.parametrize("goal", [Balance(percentile=95), BalanceOverTime(), Sum(parts=(BalanceOverTime(),))])
def test_no_history_is_said(snapshot: Snapshot, goal: Goal) -> None:
    result = drs.advise(snapshot, rules=(), policy=Policy(goals=(goal,)), iterations=50)
    assert any("no load history" in warning for warning in result.warnings)
    quiet = drs.advise(snapshot, rules=(), iterations=50)
    assert not any("history" in warning for warning in quiet.warnings)
