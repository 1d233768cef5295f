"""Clusters on which something cannot be had: the answer says what the plan reaches, and never runs for ever."""

from __future__ import annotations

import dataclasses
import json
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import drs
from drs.io import from_frames
from drs.model import Snapshot
from drs.modes import Options
from drs.planning import Plan, make_plan
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.report.document import to_document
from drs.result import Result
from drs.stop import Stop


def cluster(
    hosts: list[dict[str, Any]], vms: list[dict[str, Any]], **tables: list[dict[str, Any]]
) -> Snapshot:
    """A cluster of what differs from two roomy hosts and VMs of 4 GiB."""
    host = {"cpu_mhz": 20_000, "memory_mib": 65_536}
    vm = {"memory_mib": 4096, "cpu_demand_mhz": 1000}
    rows = {"hosts": [{**host, **row} for row in hosts], "vms": [{**vm, **row} for row in vms], **tables}
    return from_frames({name: pd.DataFrame(table) for name, table in rows.items()})


def advised(snapshot: Snapshot, **asked: Any) -> Result:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", drs.io.InputWarning)
        return drs.advise(snapshot, rules=asked.pop("rules", ()), iterations=400, seed=1, **asked)


@pytest.mark.parametrize("profile", ["vmware", "qemu", "xen"])
def test_a_machine_that_is_off_moves_in_no_time(profile: str) -> None:
    snapshot = cluster(
        [{"host": "a", "state": "maintenance"}, {"host": "b"}],
        [{"vm": "off", "host": "a", "power": "off", "cpu_demand_mhz": 0}, {"vm": "on", "host": "b", "power": "on"}],
    )  # fmt: skip
    result = advised(snapshot, policy=Policy(profile=profile))
    assert result.plan is not None and [move.vm for move in result.plan.moves] == ["off"]
    assert not result.violations_after


def test_no_goal_counts_a_migration_without_end() -> None:
    snapshot = cluster(
        [{"host": "a"}, {"host": "b"}],
        [
            {"vm": f"v{i}", "host": "a", "dirty_rate_mibps": 3000 if i < 3 else 1, "cpu_demand_mhz": 5000}
            for i in range(5)
        ],
    )
    with np.errstate(all="raise"):
        result = advised(snapshot, policy=Policy(profile="qemu"))
    assert result.plan is not None and result.plan.moves and not result.plan.stranded
    assert {move.vm for move in result.plan.moves} <= {"v3", "v4"}
    assert all(np.isfinite([goal.before, goal.after]).all() for goal in result.goals)
    assert {each.vm: each.reason for each in result.immovable}["v0"].startswith("migration never ends")


def far(mbps: float, ms: float) -> Snapshot:
    """Two sites: all VMs are in one of them."""
    return cluster(
        [{"host": f"{site}{i}", "site": site} for site in ("north", "south") for i in (1, 2)],
        [{"vm": f"v{i}", "host": f"north{i % 2 + 1}", "cpu_demand_mhz": 4000} for i in range(8)],
        links=[{"a": "north", "b": "south", "bandwidth_mbps": mbps, "latency_ms": ms}],
    )


@pytest.mark.parametrize(("mbps", "ms", "crosses"), [(1000, 5, True), (200, 5, False), (1000, 90, False)])
def test_the_search_knows_which_paths_the_profile_refuses(mbps: float, ms: float, crosses: bool) -> None:
    snapshot = far(mbps, ms)
    result = advised(snapshot)
    assert result.plan is not None and not result.plan.stranded
    assert any(move.to_host.startswith("south") for move in result.plan.moves) == crosses
    allowed = Problem(snapshot, ()).allowed_hosts(0)
    assert allowed.tolist() == [True, True, crosses, crosses]
    answers = drs.explain.why(Problem(snapshot, ()), "v0")
    told = {answer.host: [each.rule for each in answer.obstacles] for answer in answers}
    assert ("migration-path" in told["south1"]) == (not crosses)


def test_the_result_is_what_the_plan_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stays stranded: status, goals, rules, metrics and the snapshot after are the plan's."""
    snapshot = cluster(
        [{"host": "a"}, {"host": "b"}, {"host": "c"}],
        [{"vm": f"v{i}", "host": "a", "cpu_demand_mhz": 2500 + i} for i in range(12)],
    )

    def half(snapshot: Snapshot, target: Any, *given: Any, **more: Any) -> Plan:
        """A planner that reaches but the first move."""
        plan = make_plan(snapshot, target, *given, **more)
        host = snapshot.vms.host_idx.copy()
        for move in plan.moves[:1]:
            host[snapshot.vms.position[move.vm]] = snapshot.hosts.position[move.to_host]
        placement = dataclasses.replace(plan.placement, host_idx=host)
        rest = plan.moves[1:]
        stranded = [drs.planning.Stranded(m.vm, m.from_host, m.to_host, "no way", ()) for m in rest]
        return dataclasses.replace(plan, moves=plan.moves[:1], placement=placement, stranded=tuple(stranded))

    monkeypatch.setattr(drs.planning, "make_plan", half)
    result = advised(snapshot)
    assert result.plan is not None and result.plan.stranded and len(result.plan.moves) == 1
    assert (result.placement.host_idx == result.plan.placement.host_idx).all()
    assert result.status == "feasible"
    problem = result.problem
    assert result.violations_after == tuple(problem.check(result.plan.placement)) != ()
    own = result.goals[-len(problem.goals) :]
    for goal, score in zip(problem.goals, own, strict=True):
        assert score.after == pytest.approx(
            goal.measure(problem.snapshot, result.plan.placement, problem.prices)
        )
        assert score.bound <= score.after
    assert (result.snapshot_after.vms.host_idx == result.plan.placement.host_idx).all()


def crowded() -> tuple[Snapshot, Any]:
    """Three full hosts whose VMs are to change places, and no room anywhere to let one of them go first."""
    snapshot = cluster(
        [{"host": h, "memory_mib": 20_000} for h in "abc"],
        [{"vm": f"{h}{i}", "host": h, "memory_mib": 4900} for h in "abc" for i in range(4)],
    )
    problem = Problem(snapshot, ())
    host = snapshot.vms.host_idx.copy()
    host[[0, 4, 8]] = [1, 2, 0]
    return snapshot, (problem, dataclasses.replace(problem.today, host_idx=host))


def test_an_interrupt_ends_the_search_for_an_order() -> None:
    snapshot, (problem, target) = crowded()
    stop = Stop().begin()
    stop.interrupt()
    plan = make_plan(snapshot, target, problem.lowered.during, run=drs.stop.Run(stop))
    assert not plan.moves and {move.vm for move in plan.stranded} == {"a0", "b0", "c0"}


def test_upgrade_evc_proves_nothing_of_what_it_leaves_alone() -> None:
    snapshot = cluster(
        [{"host": h, "evc_max": "intel-broadwell"} for h in "ab"],
        [{"vm": f"v{i}", "host": "a"} for i in range(2)],
    )
    apart = drs.rules.KeepApart("v*", policy="hard", name="apart")
    result = advised(snapshot, mode="upgrade-evc", options=Options(), rules=[apart])
    assert result.status == "feasible" and result.violations_after
    assert result.report is not None and any("apart" in line for line in result.report.sentences())
    assert advised(snapshot, mode="upgrade-evc", options=Options()).status == "optimal"


@pytest.mark.parametrize("mode", ["balance", "place"])
@pytest.mark.parametrize("n_hosts", [1, 3])
def test_a_vm_that_fits_nowhere_stays_nowhere(mode: str, n_hosts: int) -> None:
    snapshot = cluster(
        [{"host": f"h{i}"} for i in range(n_hosts)] + [{"host": "big", "memory_mib": 200_000, "state": "maintenance"}],
        [{"vm": f"v{i}", "host": "h0"} for i in range(2)] + [{"vm": "large", "host": "", "memory_mib": 100_000}],
    )  # fmt: skip
    result = advised(snapshot, mode=mode)
    assert result.placement.host_idx[2] == -1
    assert json.dumps(to_document(result), allow_nan=False)


def test_one_host_to_evacuate_is_no_list_of_letters() -> None:
    snapshot = cluster([{"host": "esx"}, {"host": "b"}], [{"vm": "v", "host": "esx"}])
    result = advised(snapshot, evacuate="esx")
    assert result.plan is not None and [move.vm for move in result.plan.moves] == ["v"]
