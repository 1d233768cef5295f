"""Maintenance: hosts empty, or the answer says which rules stand in the way."""

from __future__ import annotations

import pandas as pd
import pytest
from tiny import cluster

import drs
from drs import modes
from drs.errors import InputError, UnknownNameError
from drs.io.raw import InputWarning
from drs.rules import KeepApart, Pinned

THREE = ["a", "b", "c"]


def advise(snapshot, **more):
    return drs.advise(snapshot, solver="cpsat", time_s=20, **more)


def test_a_host_empties_and_the_rest_is_balanced() -> None:
    vms = {f"vm-{i}": ("a", 1000, 1024) for i in range(6)}
    result = advise(cluster(THREE, vms), evacuate=["a"])
    assert result.mode == "evacuate"
    assert result.status in ("optimal", "feasible")
    where = [move.to_host for move in result.plan.moves]
    assert sorted(where) == ["b"] * 3 + ["c"] * 3
    assert result.report.emptied == ("a",)
    assert {move.reason_code for move in result.plan.moves} == {"hostMaint"}
    assert all(reason.priority == 1 for reason in result.reasons)


def test_several_hosts_by_pattern() -> None:
    snapshot = cluster(["a-1", "a-2", "b"], {"x": ("a-1", 10, 64), "y": ("a-2", 10, 64)})
    result = advise(snapshot, evacuate=["a-*"])
    assert set(result.report.emptied) == {"a-1", "a-2"}


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")  # the contradiction is told beforehand
def test_a_vm_that_cannot_leave_is_named_with_the_rules_and_the_others_move() -> None:
    snapshot = cluster(THREE, {"stuck": ("a", 10, 64), "free": ("a", 10, 64)})
    result = advise(snapshot, evacuate=["a"], rules=[Pinned(["stuck"], name="tape drive")])
    assert result.status == "infeasible"
    (conflict,) = result.conflicts
    assert set(conflict.rules) == {"evacuation", "tape drive"}
    assert conflict.vms == ("stuck",)
    assert conflict.minimal
    assert [move.vm for move in result.plan.moves] == ["free"]
    assert result.report.left == (("stuck", "a"),)
    with pytest.raises(drs.DrsError, match="tape drive"):
        result.raise_for_status()


def test_no_room_is_proven_by_the_solver_with_the_cheapest_relaxation() -> None:
    vms = {"big": ("a", 100, 8000), "b1": ("b", 100, 8000), "c1": ("c", 100, 8000)}
    result = advise(cluster(THREE, vms), evacuate=["a"])
    assert result.status == "infeasible"
    (conflict,) = result.conflicts
    assert "evacuation" in conflict.rules
    assert "memory capacity" in conflict.rules
    assert {cure.rule for cure in conflict.relaxations} == set(conflict.rules)
    memory = next(cure for cure in conflict.relaxations if cure.rule == "memory capacity")
    assert memory.unit == "MiB"
    assert memory.amount == pytest.approx(16_000 - 10_240, rel=0.01)


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")  # the contradiction is told beforehand
def test_a_group_to_keep_apart_needs_as_many_hosts() -> None:
    vms = {"r-1": ("a", 10, 64), "r-2": ("b", 10, 64), "r-3": ("c", 10, 64)}
    rule = KeepApart("r-*", name="replicas", policy="hard")
    result = advise(cluster(THREE, vms), evacuate=["a"], rules=[rule])
    assert result.status == "infeasible"
    assert "replicas" in result.conflicts[0].rules


def test_what_is_in_maintenance_already_is_no_part_of_the_request() -> None:
    hosts = {"a": {}, "b": {"state": "maintenance"}, "c": {}}
    snapshot = cluster(hosts, {"x": ("a", 10, 64), "y": ("b", 10, 64)})
    result = advise(snapshot, evacuate=["a"], rules=[Pinned(["y"], name="old")])
    assert result.status in ("optimal", "feasible")
    assert result.report.emptied == ("a",)


def test_a_deadline_says_who_makes_it() -> None:
    vms = {f"vm-{i}": ("a", 10, 4096) for i in range(2)}
    options = modes.Options(evacuate=("a",), deadline_s=1.0)
    result = advise(cluster(THREE, vms), options=options)
    assert result.report.in_time == ()
    assert set(result.report.too_late) == {"vm-0", "vm-1"}
    options = modes.Options(evacuate=("a",), deadline_s=10_000.0)
    result = advise(cluster(THREE, vms), options=options)
    assert set(result.report.in_time) == {"vm-0", "vm-1"}


def test_a_site_is_left_across_clusters() -> None:
    hosts = {"a": {"site": "east", "cluster": "one"}, "b": {"site": "west", "cluster": "two"}}
    links = pd.DataFrame([{"a": "a", "b": "b", "bandwidth_mbps": 1000, "latency_ms": 5}])
    snapshot = cluster(hosts, {"x": ("a", 10, 64)}, links=links)
    result = advise(snapshot, options=modes.Options(site="east"))
    assert result.report.emptied == ("a",)
    assert [move.to_host for move in result.plan.moves] == ["b"]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        ({"evacuate": ["hst"]}, "unknown host 'hst'.*did you mean host"),
        ({"evacuate": ["host", "two"]}, "all 2 usable hosts"),
        ({"mode": "evacuate"}, "no host"),
        ({"mode": "evacute"}, "did you mean evacuate"),
        ({"mode": "place", "evacuate": ["host"]}, "^evacuate: an option that mode place does not know"),
        ({"mode": "consolidate", "evacuate": ["host"]}, "only with evacuate or recover"),
        ({"options": modes.Options(site="nort")}, "unknown site 'nort'"),
        ({"options": modes.Options(evacuate=("host",), deadline_s=-1)}, "deadline_s"),
        ({"mode": "balance", "options": modes.Options(cluster=("x",))}, "unknown cluster .x."),
    ],
)
def test_bad_requests_are_refused_before_solving(ask, said) -> None:
    snapshot = cluster({"host": {"site": "north"}, "two": {"site": "north"}}, {"x": ("host", 10, 64)})
    with pytest.raises((InputError, UnknownNameError), match=said):
        advise(snapshot, **ask)


def test_a_lost_host_cannot_be_evacuated() -> None:
    snapshot = cluster({"a": {"state": "disconnected"}, "b": {}}, {"x": ("a", 10, 64)})
    with pytest.raises(InputError, match="mode recover"):
        advise(snapshot, evacuate=["a"])


def test_a_site_without_a_link_is_refused_with_the_reason() -> None:
    hosts = {"a": {"site": "east", "cluster": "one"}, "b": {"site": "west", "cluster": "two"}}
    with pytest.warns(InputWarning, match="no link joins east and west"):
        result = advise(cluster(hosts, {"x": ("a", 10, 64)}), options=modes.Options(site="east"))
    assert result.status == "infeasible"
    assert result.conflicts
