"""Why a plan does no more, what it leaves as it is, and how a large one is told."""

from __future__ import annotations

import dataclasses
import io

import pytest
from modes.tiny import cluster
from rich.console import Console

import drs
from drs import modes
from drs.goals import Balance, Moves
from drs.problem.policy import Limits, Policy
from drs.report import summary, text
from drs.report.document import to_document
from drs.report.html import fate_of_violations, headline, render_report
from drs.rules import KeepApart, Pinned

ONE_SIDED = {"web": ("a", 1400, 640), "db": ("a", 1400, 640)}
"""Imbalance of cpu 0.14, of which migration threshold 3 tolerates 0.1414 with two hosts."""


def advise(snapshot: drs.Snapshot, **more: object) -> drs.Result:
    return drs.advise(snapshot, **{"iterations": 3000, "seed": 1, **more})


def printed(result: drs.Result, **more: object) -> str:
    said = io.StringIO()
    text.print_result(Console(file=said, width=400), result, None, **more)
    return said.getvalue()


def test_the_threshold_that_tolerates_an_imbalance_is_named_and_raising_it_gets_the_move() -> None:
    result = advise(cluster("ab", ONE_SIDED))
    assert not result.plan.moves
    more = result.not_more
    assert (more.spreads[0].resource, more.spreads[0].source) == ("cpu", "migration threshold 3")
    assert more.spreads[0].after == pytest.approx(0.14) and more.spreads[0].tolerated == pytest.approx(
        0.1414, abs=1e-4
    )
    assert more.best.gain == pytest.approx(0.14 + 0.0625, abs=0.01)
    assert more.best.move_s == pytest.approx(result.prices.move_s[0])
    assert "set migration_threshold of cluster-1 to 4" in more.best.change
    for face in (" ".join(more.sentences()), printed(result), render_report(result)):
        assert "migration threshold 3" in face
    assert to_document(result)["not_more"]["best"]["vm"] == more.best.vm
    host = {name: {} for name in "ab"}
    snapshot = cluster(host, ONE_SIDED)
    clusters = dataclasses.replace(
        snapshot.clusters, migration_threshold=snapshot.clusters.migration_threshold + 1
    )
    changed = advise(dataclasses.replace(snapshot, clusters=clusters))
    assert [move.vm for move in changed.plan.moves], "what was told to be changed brings the move"


def test_a_limit_on_moves_is_named() -> None:
    vms = {f"v{i}": ("a", 900, 500) for i in range(8)}
    policy = Policy(goals=(Balance(target=0.0), Moves()), limits=Limits(max_moves=1))
    result = advise(cluster("ab", vms), policy=policy)
    assert "max_moves = 1 allows no more moves" in result.not_more.sentences()
    assert "max_moves" in result.not_more.best.why
    assert "target 0 of the policy" in result.not_more.sentences()[0]


def test_who_is_stuck_on_the_hottest_host_is_told() -> None:
    rules = [Pinned("db", name="dongle")]
    result = advise(
        cluster("ab", ONE_SIDED), rules=rules, policy=Policy(goals=(Balance(target=0.5), Moves()))
    )
    (stuck,) = result.not_more.stuck
    assert (stuck.vm, stuck.host) == ("db", "a") and "dongle" in stuck.reason
    assert (result.not_more.n_stuck, result.not_more.n_there) == (1, 2)
    assert result.not_more.best.vm == "web", "the pinned one is not offered"


def test_beside_a_request_it_says_how_to_ask_for_more() -> None:
    result = advise(cluster("abc", {"x": ("a", 100, 100), "y": ("b", 5000, 100)}), evacuate=["a"])
    assert any("--also balance" in line for line in result.not_more.sentences())


def test_a_search_that_was_stopped_claims_nothing() -> None:
    result = advise(cluster("ab", ONE_SIDED))
    assert headline(result).startswith("Nothing to do")
    for status, interrupted in (("feasible", False), ("optimal", True)):
        stopped = dataclasses.replace(result, status=status, interrupted=interrupted)
        assert headline(stopped).startswith("Nothing is moved; the search ended before")
        assert "as good as" not in render_report(stopped)


def test_a_host_to_empty_is_one_problem_in_every_face() -> None:
    vms = {f"v{i}": ("a", 10, 10) for i in range(5)} | {"p": ("b", 10, 10), "q": ("b", 10, 10)}
    result = advise(cluster("abc", vms), rules=[KeepApart(["p", "q"], name="pair")], evacuate=["a"])
    fate = fate_of_violations(result)
    assert (len(fate.repaired), len(fate.remaining), len(fate.new)) == (1, 1, 0)
    assert "1 broken rule repaired, 1 remain." in printed(result)
    assert "1 broken rule repaired, 1 still broken" in headline(result)
    counted = to_document(result)["metrics"]
    assert (counted["before"]["violations"], counted["after"]["violations"]) == (2, 1)


def test_what_is_not_touched_names_the_command_that_mends_it() -> None:
    hosts = {f"{c}-{h}": {"cluster": f"c{c}"} for c in range(3) for h in range(3)}
    vms = {f"v{c}{k}": (f"{c}-0", 10, 10) for c in range(3) for k in range(2)}
    snapshot, rules = cluster(hosts, vms), [KeepApart("v2*", name="apart")]
    result = advise(snapshot, rules=rules, evacuate=["0-0"])
    said = summary.not_touched(result, "FOLDER")
    assert said == (
        "Not part of what was asked and left as today: 1 broken rule. To mend it: drs advise FOLDER --cluster c2"
    )
    assert said in printed(result, source="FOLDER") and to_document(result)["not_touched"]
    mended = advise(snapshot, rules=rules, options=modes.Options(cluster=("c2",)))
    assert not mended.violations_after and {move.vm[:2] for move in mended.plan.moves} == {"v2"}


def test_an_uneven_cluster_is_named() -> None:
    hosts = {f"{c}-{h}": {"cluster": f"c{c}"} for c in range(2) for h in range(3)}
    vms = {f"v{k}": ("1-0", 2500, 10) for k in range(3)} | {"x": ("0-0", 10, 10)}
    result = advise(cluster(hosts, vms), evacuate=["0-0"])
    assert "1 uneven cluster (c1)" in summary.not_touched(result)


def test_a_large_plan_is_told_by_what_matters() -> None:
    hosts = {f"{c}-{h}": {"cluster": f"c{c}"} for c in range(2) for h in range(4)}
    vms = {f"v{c}-{k}": (f"{c}-0", 250, 100) for c in range(2) for k in range(30)}
    policy = Policy(goals=(Balance(target=0.0), Moves()))
    rules = [KeepApart(["v1-28", "v1-29"], name="pair")]
    result = advise(cluster(hosts, vms), rules=rules, policy=policy)
    n = len(result.plan.moves)
    assert n > summary.MOST_MOVES
    shown = summary.that_matter(result)
    assert len(shown) == summary.MOST_MOVES
    repaired = {reason.vm for reason in result.reasons if reason.purpose == "repair"}
    assert repaired and repaired <= {move.vm for move in shown}, "repairs are among them"
    rows = summary.by_cluster(result)
    assert sum(row.n_moves for row in rows) == n and {row.cluster for row in rows} == {"c0", "c1"}
    told = printed(result)
    assert f"These are 20 of {n} moves, those that matter most; --out FOLDER writes all of them." in told
    assert to_document(result)["clusters"][0]["n_moves"] == rows[0].n_moves
