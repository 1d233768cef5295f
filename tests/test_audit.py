"""The audit: what is planted is found, and nothing is said where nothing becomes worse."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

import drs
from drs.audit import audit, audit_moves
from drs.goals import Balance, Moves
from drs.model import Placement, Snapshot
from drs.pareto import frontier
from drs.planning import make_plan
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.result import Finding
from drs.rules import KeepApart, NotRunOn


def cluster(
    n_hosts: int = 3, vms: str = "aabc", hosts: dict[str, Any] | None = None, more: dict[str, Any] | None = None,
    clusters: dict[str, Any] | None = None, stores: dict[str, Any] | None = None,
) -> Snapshot:  # fmt: skip
    """One VM for each letter, on host a, b, c, ...; each with a disk of 100 GiB on d0, where there are stores."""
    names = [f"esx-{chr(97 + i)}" for i in range(n_hosts)]
    tables = {
        "hosts": pd.DataFrame(
            {"host": names, "cluster": "one", "cpu_mhz": 10_000.0, "memory_mib": 65_536.0, **(hosts or {})}
        ),
        "clusters": pd.DataFrame({"cluster": ["one"], **(clusters or {})}),
        "vms": pd.DataFrame(
            {
                "vm": [f"vm-{i}" for i in range(len(vms))],
                "host": [f"esx-{letter}" for letter in vms],
                "memory_mib": 16_384.0,
                "cpu_demand_mhz": 1000.0,
                **(more or {}),
            }
        ),
    }
    if stores:
        count = len(next(iter(stores.values())))
        seen = [(host, f"d{i}") for host in names for i in range(count)]
        tables["datastores"] = pd.DataFrame({"datastore": [f"d{i}" for i in range(count)], **stores})
        tables["mounts"] = pd.DataFrame(seen, columns=["host", "datastore"])
        tables["disks"] = pd.DataFrame(
            {
                "vm": tables["vms"]["vm"],
                "disk": "disk0",
                "datastore": "d0",
                "size_gib": 100.0,
                "used_gib": 100.0,
            }
        )
    return drs.read(tables)


def at(snapshot: Snapshot, where: str, stores: list[int] | None = None) -> Placement:
    return Placement(
        np.array([ord(letter) - 97 for letter in where]),
        snapshot.disks.datastore_idx if stores is None else np.array(stores),
    )


def kinds(findings: tuple[Finding, ...]) -> list[str]:
    return [each.kind for each in findings]


def test_nothing_is_said_where_nothing_becomes_worse() -> None:
    full = cluster(vms="aaaaaabc")  # esx-a is above its memory today
    problem = Problem(full)
    assert audit(problem, problem.today) == ()
    assert audit(problem, at(full, "aaaaaacb")) == ()
    assert audit(problem, at(full, "aaaabcbc")) == ()


def test_an_overfull_host_is_found_with_what_it_held_today() -> None:
    snapshot = cluster(vms="aabbbc")
    (found,) = audit(Problem(snapshot), at(snapshot, "bbbbbc"))
    assert (found.kind, found.about, found.when) == ("capacity", "esx-b", None)
    assert (found.before, found.after, found.unit) == (3 * 16_384, 5 * 16_384, "MiB")


@pytest.mark.parametrize(("free", "to", "said"), [(150.0, [0, 0, 0, 1], 0), (50.0, [0, 0, 0, 1], 1),
                                                  (-10.0, [0, 0, 1, 1], 1), (-10.0, [0, 0, 0, 0], 0)])  # fmt: skip
def test_an_overfull_datastore_is_found_one_that_was_over_when_it_gets_worse(
    free: float, to: list[int], said: int
) -> None:
    snapshot = cluster(stores={"capacity_gib": [2000.0, 500.0], "free_gib": [1000.0, max(free, 0.0)]})
    if free < 0:
        stores = dataclasses.replace(snapshot.datastores, free_gib=np.array([1000.0, free]))
        snapshot = dataclasses.replace(snapshot, datastores=stores)
    found = audit(Problem(snapshot), at(snapshot, "aacb", to))
    assert kinds(found) == ["space"] * said
    if said:
        assert found[0].about == "d1" and found[0].unit == "GiB"
        assert found[0].after - found[0].before == 100.0 * sum(to)


def test_a_rule_that_is_broken_at_the_end_is_told_once() -> None:
    snapshot = cluster(vms="aabc")
    rules = [KeepApart(["vm-2", "vm-3"], name="web apart")]
    (found,) = audit(Problem(snapshot, rules), at(snapshot, "aabb"))
    assert (found.kind, found.about, found.before) == ("rule", "web apart", 0.0)
    assert found.after == 1.0


def test_a_rule_that_is_broken_only_on_the_way_is_told_with_its_step() -> None:
    snapshot = cluster(vms="aabc", n_hosts=3)
    rules = [KeepApart(["vm-2", "vm-3"], name="web apart", when="after")]
    problem = Problem(snapshot, rules)
    # vm-2 comes to vm-3's host, which leaves it only afterwards.
    moves = drs.estimate(snapshot, [{"vm": "vm-2", "to_host": "esx-c"}, {"vm": "vm-3", "to_host": "esx-b"}])
    (found,) = audit(problem, at(snapshot, "aacb"), moves=list(moves))
    assert (found.kind, found.about, found.when) == ("rule", "web apart", 1)
    assert "after step 1" in str(found)
    assert audit(problem, at(snapshot, "aacb"), moves=list(moves)[::-1])[0].when == 2  # the other one first


def test_a_lost_reserve_in_maintenance_is_found() -> None:
    # Four VMs of a quarter host each on three hosts: one failure is survived by three, and by two hosts no more.
    snapshot = cluster(vms="aaabbcc", clusters={"ha_failover_hosts": [1]})
    assert drs.advise(snapshot, time_s=1, policy=Policy(goals=(Moves(),))).findings == ()
    result = drs.advise(snapshot, mode="evacuate", evacuate=["esx-c"], time_s=2)
    assert result.plan is not None and len(result.plan.moves) == 2
    (found,) = [each for each in result.findings if each.kind == "failures"]
    assert (found.about, found.before, found.after) == ("one", 1.0, 0.0)
    assert "1 wanted" in found.sentence


def test_a_reserve_that_is_kept_is_not_told() -> None:
    snapshot = cluster(vms="abc", n_hosts=4, clusters={"ha_failover_hosts": [1]})
    result = drs.advise(snapshot, mode="evacuate", evacuate=["esx-c"], time_s=2)
    assert "failures" not in kinds(result.findings)


def test_reservations_of_the_hosts_that_are_left_are_found() -> None:
    snapshot = cluster(
        n_hosts=2, vms="abb", more={"memory_mib": 32_000.0, "memory_reservation_mib": 30_000.0}
    )
    snapshot = dataclasses.replace(
        snapshot, hosts=dataclasses.replace(snapshot.hosts, memory_reserved_mib=np.full(2, 0.0))
    )
    found = audit(Problem(snapshot), at(snapshot, "bbb"), host_states={"esx-a": "maintenance"})
    assert sorted(each.about for each in found if each.kind == "reservation") == ["esx-b", "one"]
    both = audit(Problem(snapshot), at(snapshot, "aab"))
    assert "reservation" not in kinds(both)


def test_an_evc_island_is_found() -> None:
    """A VM of the old cluster, alone on the only host of the other cluster that offers what it carries."""
    tables = {
        "hosts": pd.DataFrame(
            {
                "host": ["old-1", "old-2", "new-1", "new-2"],
                "cluster": ["old", "old", "mixed", "mixed"],
                "cpu_mhz": 10_000.0,
                "memory_mib": 65_536.0,
                "cpu_vendor": "intel",
                "evc_max": ["intel-broadwell", "intel-broadwell", "intel-skylake", "intel-sandybridge"],
            }
        ),
        "clusters": pd.DataFrame({"cluster": ["old", "mixed"]}),
        "vms": pd.DataFrame(
            {"vm": ["x", "y"], "host": ["old-1", "old-2"], "memory_mib": 1024.0, "cpu_demand_mhz": 100.0}
        ),
    }
    snapshot = drs.read(tables)
    problem = Problem(snapshot, (), Policy(migration_scope="any"))
    (found,) = audit(problem, Placement(np.array([2, 1]), snapshot.disks.datastore_idx))
    assert (found.kind, found.about, found.after) == ("evc", "mixed", 1.0) and " x" in found.sentence
    assert audit(problem, Placement(np.array([1, 0]), snapshot.disks.datastore_idx)) == ()


def test_vms_that_no_other_host_can_take_any_more_are_found() -> None:
    snapshot = cluster(n_hosts=2, vms="aab")
    found = audit(Problem(snapshot), at(snapshot, "bbb"), host_states={"esx-a": "maintenance"})
    assert kinds(found) == ["immovable"]
    assert found[0].after == 3.0


def test_moves_by_hand_are_told_one_by_one() -> None:
    snapshot = cluster(
        n_hosts=3, vms="aabbbbc", hosts={"state": ["connected", "connected", "maintenance"]},
        stores={"capacity_gib": [2000.0, 100.0], "free_gib": [900.0, 50.0]},
    )  # fmt: skip
    asked = [
        {"vm": "vm-0", "to_host": "esx-b"},  # memory: the fifth of 16 GiB on 64
        {"vm": "vm-1", "to_host": "esx-c"},  # in maintenance
        {"vm": "vm-2", "to_datastore": "d1"},  # 100 GiB where 50 are free
        {"vm": "vm-3", "to_host": "esx-a"},  # fine
    ]
    told = {(each.when, each.kind, each.about) for each in drs.estimate(snapshot, asked).findings}
    assert told == {(1, "capacity", "esx-b"), (2, "rule", "host-state"), (3, "space", "d1")}
    apart = Problem(snapshot, [KeepApart(["vm-3", "vm-0"], name="apart")])
    moves = drs.estimate(snapshot, asked[3:])
    assert [(each.when, each.about) for each in audit_moves(apart, list(moves))] == [(1, "apart")]


def test_every_mode_passes_its_end_on_and_rows_of_what_if_say_it() -> None:
    from drs import whatif
    from drs.report.document import to_document
    from drs.report.html import render_report
    from drs.whatif.scenarios import Scenario

    snapshot = cluster(n_hosts=2, vms="aab")
    result = drs.advise(snapshot, mode="evacuate", evacuate=["esx-a"], time_s=2)
    assert kinds(result.findings) == ["immovable"]
    (told,) = to_document(result)["audit"]
    assert told["kind"] == "immovable" and told["when"] is None
    assert "Worse than today" in render_report(result)
    table = whatif.run(snapshot, [Scenario(name="empty", evacuate=["esx-a"], time_s=1)])
    assert table["n_findings"].tolist() == [1] and "no other connected host" in table["audit"][0]


def test_a_plan_of_the_library_is_audited_without_a_word() -> None:
    policy = Policy(goals=(Balance(target=0.0), Moves()))
    problem = Problem(cluster(vms="aaaabbc"), (), policy)
    result = drs.solve(problem, time_s=2)
    plan = make_plan(problem.snapshot, result.placement, problem.lowered.during)
    assert len(plan.moves) >= 1
    assert audit(problem, plan.placement, moves=plan.moves) == ()


def test_a_vm_that_starts_is_in_the_state_that_is_audited() -> None:
    snapshot = cluster(vms="aab", stores={"capacity_gib": [250.0]})
    vms = dataclasses.replace(snapshot.vms, host_idx=np.array([0, 0, -1], dtype=np.int32))
    waiting = dataclasses.replace(snapshot, vms=vms)
    problem = Problem(waiting)
    told = audit(problem, at(waiting, "aab"))
    assert [(each.kind, each.about, each.before, each.after) for each in told] == [
        ("space", "d0", 200.0, 300.0)
    ]
    result = drs.advise(waiting, mode="place", iterations=200)
    if (result.placement.host_idx >= 0).all():
        assert [each.about for each in result.findings if each.kind == "space"] == ["d0"]


def test_what_solve_and_the_frontier_propose_is_audited() -> None:
    """The hard rule brings both VMs to one host, and the answers say what that makes worse."""
    snapshot = cluster(2, "ab")
    wishes = [
        KeepApart(["vm-0", "vm-1"], name="apart", policy="soft"),
        NotRunOn(["vm-0"], ["esx-a"], name="leave"),
    ]
    problem = Problem(snapshot, wishes, Policy(goals=(Balance(), Moves())))
    result = drs.solve(problem, iterations=500)
    assert result.findings == audit(problem, result.placement)
    assert result.findings
    points = frontier(problem, iterations=2000, n_points=3)
    for k, point in enumerate(points.points):
        assert point.findings == audit(points.problem, point.placement) == points.result(k).findings
    assert points.to_frame()["n_worse_than_today"].tolist() == [len(p.findings) for p in points.points]
