"""Scenarios: a cluster in YAML and what is expected of the advice. A bug report becomes such a file.

::

    about: one sentence
    hosts: {"esx-[1-3]": {cpu_mhz: 20000, memory_mib: 65536}}     # name or name-[1-3]: columns of hosts.csv
    vms: {"web-[1-4]": {host: esx-1, cpu_demand_mhz: 1000, memory_mib: 4096}}
    clusters, datastores: the same; disks, mounts, portgroups, nics, links, loads: lists of rows
    defaults: {hosts: {...}, vms: {...}}                          # columns of every row
    rules: [{type: keep-apart, vms: "web-*"}]                     # as in rules.toml
    policy: {migration_scope: any}                                # as in policy.toml
    mode, evacuate, max_moves, solver                             # as of drs.advise
    expect: see `Expect`
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import drs
from drs.explain.contradictions import conflicts
from drs.io import InputWarning
from drs.result import Result
from drs.terms import Capacity
from drs.terms.limits import usage
from drs.testing import NAMED, ROWS, ask

FOLDER = Path(__file__).parent / "scenarios"
OPTIONS = ("mode", "evacuate", "max_moves", "solver")
KEYS = {"about", "defaults", "rules", "policy", "expect", *NAMED, *ROWS, *OPTIONS}
TIME_S = float(os.environ.get("DRS_SCENARIO_TIME_S", "5"))
SOLVER = os.environ.get("DRS_SCENARIO_SOLVER", "auto")


@dataclasses.dataclass(frozen=True)
class Expect:
    """What is expected; nothing is asked about fields that are not given.

    status : a status, or `solved` (optimal or feasible).
    moves : how many, exactly or {at_most, at_least}; moved: VMs that move, stays: that do not.
    host, not_on : VM to host (or hosts) afterwards. apart, together: lists of VMs.
    placed : VMs that have a host afterwards; unplaced: that have none.
    violations_before, violations : labels of the rules that are broken today and afterwards.
    reasons : VM to words in the reason of its move; warnings, stranded: words in any warning.
    immovable : VMs that are listed as immovable; VM to words in why.
    empty : hosts without VMs afterwards.
    metric : {resource: {name: {at_most, at_least}}} afterwards.
    goals : goal to {at_most, at_least} afterwards.
    kinds : VM to kind of its migration. max_load: largest load afterwards per resource.
    stable : whether a second run on the result gives an empty plan (default: yes).
    conflict : labels of a contradiction that `drs.explain.contradictions` finds.
    error : class and words: {type: InputError, says: [..]}.
    """

    status: str | None = None
    moves: Any = None
    moved: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    host: Any = None
    not_on: Any = None
    apart: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    placed: tuple[str, ...] = ()
    unplaced: tuple[str, ...] = ()
    violations_before: Any = None
    violations: Any = None
    reasons: Any = None
    warnings: tuple[str, ...] = ()
    immovable: Any = None
    empty: tuple[str, ...] = ()
    metric: Any = None
    goals: Any = None
    kinds: Any = None
    stable: bool = True
    conflict: Any = None
    error: Any = None


def within(value: float, wanted: Any) -> bool:
    if not isinstance(wanted, dict):
        return bool(value == wanted)
    assert set(wanted) <= {"at_most", "at_least"}, wanted
    return bool(wanted.get("at_least", -np.inf) - 1e-9 <= value <= wanted.get("at_most", np.inf) + 1e-9)


def advice(scenario: dict[str, Any], snapshot: drs.Snapshot, rules: Any, policy: Any) -> Result:
    options = {"solver": SOLVER} | {key: scenario[key] for key in OPTIONS if key in scenario}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # of contradictions, which `expect: conflict` compares
        return drs.advise(snapshot, rules=rules, policy=policy, time_s=TIME_S, seed=1, **options)


def check(scenario: dict[str, Any]) -> None:
    """Run one scenario and compare."""
    assert set(scenario) <= KEYS, f"unknown keys {sorted(set(scenario) - KEYS)}"
    expect = Expect(**scenario["expect"])
    if expect.error is not None:
        with pytest.raises(getattr(drs.errors, expect.error["type"])) as caught:
            advice(scenario, *ask(scenario))
        for words in expect.error["says"]:
            assert words in str(caught.value), f"{words!r} is not in {caught.value}"
        if expect.conflict is None:
            return
    snapshot, rules, policy = ask(scenario)
    if expect.conflict is not None:
        posed = drs.modes.pose(
            scenario.get("mode", "balance"), snapshot, rules, policy, scenario.get("evacuate", ())
        )
        cores = [sorted(conflict.rules) for conflict in conflicts(posed.rules_in_force, posed.snapshot)]
        assert sorted(expect.conflict) in cores, cores
        if expect.error is not None:
            return
    result = advice(scenario, snapshot, rules, policy)
    _compare(result, expect)
    _nothing_got_worse(result)
    _plan_leads_there(result)
    if expect.stable and result.status in ("optimal", "feasible"):
        again = advice(scenario, result.snapshot_after, rules, policy)
        assert not again.plan.moves, f"a second run moves {[move.vm for move in again.plan.moves]}"


def _compare(result: Result, expect: Expect) -> None:
    snapshot, plan = result.snapshot, result.plan
    assert plan is not None
    after = result.placement.host_idx.tolist()
    names = [str(snapshot.hosts.name[host]) if host >= 0 else None for host in after]
    host_of = dict(zip(snapshot.vms.name.tolist(), names, strict=True))
    told = {move.vm: move for move in plan.moves}
    if expect.status == "solved":
        assert result.status in ("optimal", "feasible"), result.status
    elif expect.status is not None:
        assert result.status == expect.status
    if expect.moves is not None:
        assert within(len(plan.moves), expect.moves), [(m.vm, m.from_host, m.to_host) for m in plan.moves]
    for vm in expect.moved:
        assert vm in told, f"{vm} does not move"
    for vm in expect.stays:
        assert vm not in told, f"{vm} moves"
    for vm, wanted in (expect.host or {}).items():
        assert host_of[vm] in ([wanted] if isinstance(wanted, str) else wanted), f"{vm} is on {host_of[vm]}"
    for vm, unwanted in (expect.not_on or {}).items():
        assert host_of[vm] not in ([unwanted] if isinstance(unwanted, str) else unwanted)
    for group in _groups(expect.apart):
        assert len({host_of[vm] for vm in group}) == len(group), host_of
    for group in _groups(expect.together):
        assert len({host_of[vm] for vm in group}) == 1, host_of
    assert all(host_of[vm] is not None for vm in expect.placed), host_of
    assert all(host_of[vm] is None for vm in expect.unplaced), host_of
    for wanted, found in (
        (expect.violations_before, result.violations_before),
        (expect.violations, result.violations_after),
    ):
        if wanted is not None:
            assert sorted({violation.rule for violation in found}) == sorted(wanted), found
    _compare_words(result, expect)
    for host in expect.empty:
        assert host not in host_of.values(), host_of
    for vm, kind in (expect.kinds or {}).items():
        assert told[vm].kind == kind
    _compare_figures(result, expect)


def _compare_words(result: Result, expect: Expect) -> None:
    assert result.plan is not None
    told = {move.vm: move for move in result.plan.moves}
    for vm, words in (expect.reasons or {}).items():
        assert words in told[vm].reason, told[vm].reason
    for words in expect.warnings:
        assert any(words in warning for warning in result.warnings), result.warnings
    fixed = {entry.vm: entry.reason for entry in result.immovable}
    for vm in expect.immovable or ():
        assert vm in fixed, fixed
        if isinstance(expect.immovable, dict):
            assert expect.immovable[vm] in fixed[vm], fixed[vm]


def _compare_figures(result: Result, expect: Expect) -> None:
    for resource, figures in (expect.metric or {}).items():
        for name, wanted in figures.items():
            assert within(result.metrics_after[resource][name], wanted), result.metrics_after
    for goal, wanted in (expect.goals or {}).items():
        score = next(score for score in result.goals if score.name == goal)
        assert within(score.after, wanted), score


def _groups(value: Any) -> Iterator[list[str]]:
    if value and isinstance(value[0], str):
        yield list(value)
    else:
        yield from (list(group) for group in value)


def _nothing_got_worse(result: Result) -> None:
    """No rule but a soft one is broken more than today, and what the solver says is what is."""
    soft = {rule.label for rule in result.problem.rules_in_force if rule.policy == "soft"}
    amounts: dict[str, float] = {}
    for sign, found in ((-1, result.violations_before), (1, result.violations_after)):
        for violation in found:
            amounts[violation.rule] = amounts.get(violation.rule, 0.0) + sign * violation.amount
    placed = not (result.snapshot.vms.host_idx < 0).any()
    if placed:
        assert not {rule for rule, change in amounts.items() if change > 1e-6 and rule not in soft}


def _plan_leads_there(result: Result) -> None:
    """Carried out step by step, the plan breaks no `during` limit that held and ends at the placement."""
    plan, snapshot = result.plan, result.snapshot
    assert plan is not None
    start = snapshot.vms.host_idx
    at = start.copy()
    walls = [limit.term.relaxed(start) for limit in result.problem.lowered.during]
    for move in sorted(plan.moves, key=lambda move: move.step):
        vm, target = snapshot.vms.position[move.vm], snapshot.hosts.position[move.to_host]
        if at[vm] >= 0:
            assert snapshot.hosts.name[at[vm]] == move.from_host
        for wall in walls:
            if isinstance(wall, Capacity):
                use = usage(at, wall.demand, snapshot.n_hosts)
                assert use[target] + wall.demand[vm] <= wall.limit[target] + 1e-6, (move, wall.resource)
        at[vm] = target
        assert all(wall.cost(at, start) < 1e-6 for wall in walls), move
    assert at.tolist() == plan.placement.host_idx.tolist()
    for vm in {move.vm for move in plan.moves}:
        ways = [move.parking for move in plan.moves if move.vm == vm]
        assert ways.count(False) <= 1, f"{vm} moves twice without being parked"


SCENARIOS = sorted(FOLDER.rglob("*.yaml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: str(path.relative_to(FOLDER).with_suffix("")))
def test_scenario(path: Path) -> None:
    check(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_there_are_enough_scenarios() -> None:
    assert len(SCENARIOS) >= 45
    abouts = [yaml.safe_load(path.read_text(encoding="utf-8"))["about"] for path in SCENARIOS]
    assert len(set(abouts)) == len(abouts)
