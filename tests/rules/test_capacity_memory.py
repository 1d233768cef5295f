"""Which memory counts: one choice of the policy for capacity, goals, trigger and tables; over-commitment of today."""

from __future__ import annotations

import dataclasses
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import drs
from drs.automatic.trigger import observe
from drs.errors import InputError
from drs.explain.imbalance import imbalances
from drs.goals import Balance, Moves
from drs.model import Snapshot
from drs.model.load import metrics
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.report.document import to_document
from drs.report.html import render_report
from drs.report.text import print_result
from drs.rules import HostCapacity


def cluster(consumed: float | None = 6000.0, **vms: Any) -> Snapshot:
    """Two hosts of 32,000 MiB; five VMs of 8,000 MiB on a (125 %), one on b."""
    table = {
        "vm": [f"vm-{i}" for i in range(6)],
        "host": list("aaaaab"),
        "memory_mib": 8000.0,
        "cpu_demand_mhz": 100.0,
        "memory_active_mib": 800.0,
        **vms,
    }
    if consumed is not None:
        table["memory_consumed_mib"] = consumed
    hosts = pd.DataFrame({"host": ["a", "b"], "cpu_mhz": 10_000.0, "memory_mib": 32_000.0})
    return drs.read({"hosts": hosts, "vms": pd.DataFrame(table)})


def broken(snapshot: Snapshot, memory: str = "configured", *rules: HostCapacity) -> list[str]:
    problem = Problem(snapshot, rules, Policy(memory=memory))
    return [each.rule for each in problem.check(problem.today)]


def test_an_overcommitted_cluster_is_not_broken_and_may_get_no_worse() -> None:
    snapshot = cluster()
    assert broken(snapshot) == []
    rule = HostCapacity("memory", tolerates_overcommit=True)
    assert rule.limit(snapshot).tolist() == [40_000.0, 40_000.0]
    # What was never measured, or does not fit, is no evidence: then the host is too full.
    assert broken(cluster(None)) == ["memory capacity"]
    assert broken(cluster(7000.0)) == ["memory capacity"]
    assert broken(snapshot, "configured", HostCapacity("memory")) == ["memory capacity"]
    problem = Problem(snapshot)
    worse = problem.placement(np.zeros(6, dtype=np.int32))  # all six on a: 150 %
    assert [each.rule for each in problem.check(worse)] == ["memory capacity"]


@pytest.mark.parametrize(
    ("memory", "on_a"), [("configured", 40_000), ("consumed", 30_000), ("active", 10_500)]
)
def test_one_choice_for_capacity_goals_trigger_and_tables(memory: str, on_a: float) -> None:
    snapshot = cluster()
    problem = Problem(snapshot, (), Policy(memory=memory))
    counted = problem.snapshot
    assert counted.demand("memory")[:5].sum() == on_a  # active: 800 and a quarter of the idle 5,200
    assert HostCapacity("memory").demand(counted)[:5].sum() == on_a
    assert metrics(counted, problem.today)["memory"]["max"] == pytest.approx(on_a / 32_000)
    assert Balance().load_demand(counted, "memory")[:5].sum() == on_a
    assert observe(counted).host_load_ratio == pytest.approx(on_a / 32_000)
    told = {each.counted for each in imbalances(problem, problem.today.host_idx) if each.resource == "memory"}
    assert told == {"memory" if memory == "configured" else f"{memory} memory"}
    # A goal and a rule may still say another one themselves.
    assert Balance(memory="consumed").load_demand(counted, "memory")[:5].sum() == 30_000
    assert HostCapacity("memory", counts="configured").demand(counted)[:5].sum() == 40_000
    assert counted.digest == snapshot.digest


def test_every_face_names_the_memory_and_a_second_run_is_empty() -> None:
    policy = Policy(goals=(Balance(target=0.0), Moves()), memory="consumed")
    result = drs.advise(cluster(), policy=policy, iterations=500)
    assert len(result.moved_vms) == 2
    assert any("consumed memory" in reason.text for reason in result.reasons)
    assert to_document(result)["snapshot"]["memory_counts"] == "consumed"
    assert "Memory (consumed)" in render_report(result)
    console = Console(width=160, record=True, file=StringIO())
    print_result(console, result, None)
    assert "memory (consumed)" in console.export_text()
    again = drs.advise(result.snapshot_after, policy=policy, iterations=500)
    assert not again.moved_vms


def test_the_policy_file_says_it() -> None:
    from drs.io.policy_toml import policy_of
    from drs.io.raw import Faults

    faults = Faults()
    policy = policy_of({"memory": "active"}, "policy.toml", faults)
    assert policy == dataclasses.replace(Policy(), memory="active")
    policy_of({"memory": "granted"}, "policy.toml", faults)
    with pytest.raises(InputError, match="memory"):
        faults.raise_if_any()
