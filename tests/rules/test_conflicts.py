"""Contradictions among hard rules are found before solving, with a minimal core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import any_rules, snapshots

from drs import io
from drs.errors import RuleConflictError
from drs.explain.contradictions import conflicts, raise_conflicts
from drs.model import Snapshot
from drs.problem import Problem
from drs.rules import (
    Confine,
    Dependency,
    KeepApart,
    KeepTogether,
    MaxVms,
    NeverWith,
    NotRunOn,
    Pinned,
    Quorum,
    Rule,
    RunOn,
    Spread,
)
from drs.terms import Term, Together


def cluster(n_hosts: int = 3, n_vms: int = 6, **columns: Sequence[object]) -> Snapshot:
    hosts = pd.DataFrame(
        {"host": [f"esx-{h}" for h in range(n_hosts)], "cpu_mhz": 10000, "memory_mib": 32768}
    )
    hosts["rack"] = [f"r{h % 2}" for h in range(n_hosts)]
    vms = pd.DataFrame(
        {"vm": [f"vm-{v}" for v in range(n_vms)], "host": [f"esx-{v % n_hosts}" for v in range(n_vms)]}
    )
    vms["memory_mib"], vms["cpu_demand_mhz"] = 8192, 1000
    for name, values in columns.items():
        (hosts if name in ("state", "evc_max") else vms)[name] = list(values)
    return io.from_frames({"hosts": hosts, "vms": vms})


def hard(kind: type[Rule], *args: object, name: str, **fields: object) -> Rule:
    return kind(*args, name=name, policy="hard", **fields)


def cores(rules: Sequence[Rule], snapshot: Snapshot) -> list[set[str]]:
    return [set(found.rules) for found in conflicts(Problem(snapshot, rules).rules_in_force, snapshot)]


FOUR = ["vm-0", "vm-1", "vm-2", "vm-3"]
CASES: dict[str, tuple[list[Rule], set[str]]] = {
    "no host left": (
        [hard(RunOn, "vm-0", "esx-1", name="on"), hard(NotRunOn, FOUR, "esx-1", name="off")],
        {"on", "off"},
    ),
    "two places at once": (
        [hard(RunOn, "vm-0", "esx-1", name="a"), hard(RunOn, "vm-0", "esx-2", name="b")],
        {"a", "b"},
    ),
    "pinned elsewhere": (
        [hard(RunOn, "vm-0", "esx-1", name="on"), hard(Pinned, "vm-0", name="pin")],
        {"on", "pin"},
    ),
    "pinned elsewhere, and the pin only not_worse": (
        [hard(RunOn, "vm-0", "esx-1", name="on"), Pinned("vm-0", name="pin")],
        {"on", "pin"},
    ),
    "more than hosts": ([hard(KeepApart, FOUR, name="apart")], {"apart"}),
    "more than allowed hosts": (
        [hard(KeepApart, ["vm-0", "vm-1"], name="apart"), hard(RunOn, FOUR, "esx-2", name="on")],
        {"apart", "on"},
    ),
    "three in two racks": (
        [hard(KeepApart, ["vm-0", "vm-1", "vm-2"], scope="rack", name="racks")],
        {"racks"},
    ),
    "matching, not counting": (
        [
            hard(KeepApart, ["vm-0", "vm-1", "vm-2"], name="apart"),
            hard(RunOn, ["vm-0", "vm-1"], "esx-0", name="both-on-0"),
        ],
        {"apart", "both-on-0"},
    ),
    "together and apart": (
        [hard(KeepTogether, ["vm-0", "vm-1"], name="t"), hard(KeepApart, ["vm-0", "vm-1"], name="a")],
        {"t", "a"},
    ),
    "together on a host and apart by rack": (
        [
            hard(KeepTogether, ["vm-0", "vm-1"], name="t"),
            hard(KeepApart, ["vm-0", "vm-1"], scope="rack", name="a"),
        ],
        {"t", "a"},
    ),
    "together through a third": (
        [
            hard(KeepTogether, ["vm-0", "vm-2"], name="t1"),
            hard(KeepTogether, ["vm-2", "vm-1"], name="t2"),
            hard(KeepTogether, ["vm-1", "vm-3"], name="t3"),
            hard(KeepApart, ["vm-0", "vm-1"], name="a"),
        ],
        {"t1", "t2", "a"},
    ),
    "together and never with": (
        [hard(KeepTogether, ["vm-0", "vm-1"], name="t"), hard(NeverWith, "vm-0", "vm-1", name="n")],
        {"t", "n"},
    ),
    "together where nobody may be": (
        [
            hard(KeepTogether, ["vm-0", "vm-1"], name="t"),
            hard(RunOn, "vm-0", "esx-0", name="on-0"),
            hard(RunOn, "vm-1", "esx-1", name="on-1"),
        ],
        {"t", "on-0", "on-1"},
    ),
    "a quorum that is bound elsewhere": (
        [
            hard(Quorum, ["vm-0", "vm-1", "vm-2"], ["esx-0", "esx-1"], at_least=2, name="q"),
            hard(RunOn, ["vm-0", "vm-1"], "esx-2", name="on"),
        ],
        {"q", "on"},
    ),
    "a quorum on one host that a VM has to leave": (
        [
            hard(Quorum, ["vm-0", "vm-1"], "esx-0", at_least=2, name="q0"),
            hard(NotRunOn, "vm-1", "esx-0", name="off"),
        ],
        {"q0", "off"},
    ),
    "never with, and both on one host": (
        [hard(NeverWith, "vm-0", "vm-1", name="n"), hard(RunOn, FOUR, "esx-1", name="on")],
        {"n", "on"},
    ),
    "more than max-vms takes": (
        [hard(MaxVms, at_most=1, vms=FOUR, name="m")],
        {"m"},
    ),
    "confined and kept apart": (
        [
            hard(Confine, ["vm-0", "vm-1"], at_most=1, name="c"),
            hard(KeepApart, ["vm-0", "vm-1"], name="a"),
        ],
        {"c", "a"},
    ),
    "needs in another rack": (
        [
            hard(Dependency, "vm-0", "vm-1", scope="rack", name="d"),
            hard(RunOn, "vm-0", "esx-0", name="here"),
            hard(RunOn, "vm-1", "esx-1", name="there"),
        ],
        {"d", "here", "there"},
    ),
    "spread where it cannot": (
        [
            hard(Spread, ["vm-0", "vm-1"], scope="rack", name="s"),
            hard(RunOn, FOUR, ["esx-0", "esx-2"], name="on"),
        ],
        {"s", "on"},
    ),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_found_with_a_minimal_core(case: str) -> None:
    rules, core = CASES[case]
    innocent = hard(KeepApart, ["vm-4", "vm-5"], name="innocent")
    assert cores([*rules, innocent], cluster()) == [core]


@pytest.mark.parametrize("case", sorted(CASES))
def test_without_any_rule_of_the_core_there_is_none(case: str) -> None:
    rules, core = CASES[case]
    for rule in rules:
        if rule.label in core:
            assert core not in cores([other for other in rules if other is not rule], cluster())


@pytest.mark.parametrize("case", sorted(CASES))
def test_soft_rules_contradict_nobody(case: str) -> None:
    rules, _ = CASES[case]
    soft = [type(rule)(**{**rule.__dict__, "policy": "soft"}) for rule in rules]
    assert cores(soft, cluster()) == []


def test_built_in_rules_are_facts() -> None:
    snapshot = cluster(state=["connected", "maintenance", "connected"])
    found = cores([hard(RunOn, "vm-0", "esx-1", name="on")], snapshot)
    assert found == [{"on", "host-state"}]
    vendors = cluster(evc_max=["intel-haswell", "amd-zen", "amd-zen"])
    assert cores([hard(RunOn, "vm-0", "esx-1", name="on")], vendors) == [{"on", "evc"}]


def test_group_larger_than_any_host() -> None:
    snapshot = cluster(memory_mib=[20000] * 6)
    (found,) = conflicts(Problem(snapshot, [hard(KeepTogether, FOUR, name="t")]).rules_in_force, snapshot)
    assert set(found.rules) == {"t", "memory capacity"}
    assert "80,000 MiB" in str(found) and "32,768" in str(found)


def test_the_sentence_of_a_quorum_names_vms_hosts_and_figures() -> None:
    rules, _ = CASES["a quorum that is bound elsewhere"]
    (found,) = conflicts(rules, cluster())
    assert "vm-0, vm-1 are bound to esx-2, where at most 1 of 3 VMs may be" in str(found)


def test_a_rule_of_somebody_else_is_contradicted_by_its_terms() -> None:
    @dataclass(frozen=True)
    class Buddies(Rule):
        """vm-0 and vm-1 in one rack."""

        type: ClassVar[str] = "buddies"

        def lower(self, snapshot: Snapshot) -> list[Term]:
            return [Together(np.array([0, 1], dtype=np.int32), np.array([0, 1, 0], dtype=np.int32), 2)]

    rules = [Buddies(policy="hard"), hard(KeepApart, FOUR[:3], scope="rack", at_most=1, name="a")]
    assert {"buddies", "a"} in [set(found.rules) for found in conflicts(rules, cluster())]


def test_a_capacity_that_is_exceeded_today_is_as_wide_as_today() -> None:
    snapshot = cluster(n_hosts=2, n_vms=2, memory_mib=[30000] * 2, host=["esx-0"] * 2)
    assert cores([hard(KeepTogether, ["vm-0", "vm-1"], name="t")], snapshot) == []


def test_a_quorum_larger_than_its_hosts() -> None:
    """Two of them are on the host today, which is over its limit: that much may stay, the third has no room."""
    snapshot = cluster(memory_mib=[20000] * 6)
    assert cores([hard(Quorum, FOUR, "esx-0", at_least=2, name="q")], snapshot) == []
    rules = [hard(Quorum, FOUR, "esx-0", at_least=3, name="q")]
    (found,) = conflicts(Problem(snapshot, rules).rules_in_force, snapshot)
    assert set(found.rules) == {"q", "memory capacity"}
    assert "at least 3 of" in str(found) and "60,000 MiB" in str(found) and "32,768" in str(found)


def test_raised_as_an_error() -> None:
    rules, core = CASES["together and apart"]
    with pytest.raises(RuleConflictError, match="cannot hold together") as caught:
        raise_conflicts(rules, cluster())
    assert set(caught.value.rules) == core
    raise_conflicts([], cluster())


@given(data=st.data())
def test_a_conflict_is_no_false_alarm(data: st.DataObject) -> None:
    """Where a contradiction is reported, brute force finds no placement either."""
    from itertools import product

    snapshot = data.draw(snapshots(max_hosts=3, max_vms=4, unplaced=False, tame=True))
    kinds = ["keep-apart", "keep-together", "run-on", "not-run-on", "pinned", "spread", "never-with"]
    kinds += ["quorum", "confine", "dependency", "max-vms", "latency"]
    drawn = data.draw(any_rules(snapshot, kinds, max_size=4))
    rules = [
        type(rule)(**{**rule.__dict__, "policy": "hard"})
        for rule in drawn
        if rule.items == "vms"
    ]  # fmt: skip
    problem = Problem(snapshot, rules)
    if not conflicts(problem.rules_in_force, snapshot):
        return
    lowered = problem.lowered
    must = [level for level in lowered.levels if level.must_vanish]
    for bins in product(range(snapshot.n_hosts), repeat=snapshot.n_vms):
        assign = np.array(bins, dtype=np.int32)
        if not lowered.broken_walls(assign):
            assert any(level.cost(assign, lowered.start) > 0 for level in must), (rules, bins)
