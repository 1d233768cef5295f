"""The report: self-contained, escaped, complete."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from drs import datasets
from drs.model import Placement, Snapshot
from drs.plotting.data import busiest_moment
from drs.report.html import fate_of_violations, headline, render_report
from drs.result import Conflict, GoalScore, Reason, Relaxation, Result
from drs.rules import Violation

VOID = {"meta", "input", "br", "img", "link", "hr"}


class Page(HTMLParser):
    """Collects the tags, and fails on one that is closed out of turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(self.text)


def test_flows_of_the_busiest_moment_are_shown_and_all_others_are_there(result: Result) -> None:
    plan = result.plan
    assert plan is not None
    page = Page(render_report(result))
    flows = [
        attrs for tag, attrs in page.tags if tag == "g" and (attrs.get("class") or "").startswith("flow ")
    ]
    between = [move for move in plan.moves if move.from_host and move.from_host != move.to_host]
    assert len(flows) == len(between) > 0
    (moment,) = [float(attrs["value"] or "") for tag, attrs in page.tags if attrs.get("id") == "moment"]
    most = max(sum(m.start_s <= t < m.end_s for m in plan.moves) for t in (m.start_s for m in plan.moves))
    shown = [attrs for attrs in flows if not (attrs["class"] or "").endswith(" off")]
    assert len(shown) == sum(m.start_s <= moment + 0.01 < m.end_s for m in between)
    assert sum(m.start_s <= moment + 0.01 < m.end_s for m in plan.moves) == most
    wires = [attrs for tag, attrs in page.tags if (attrs.get("class") or "").startswith("wire")]
    assert any("use-" in (attrs["class"] or "") and "use-0" not in (attrs["class"] or "") for attrs in wires)


def test_report_holds_everything(result: Result) -> None:
    page = Page(render_report(result))
    assert result.plan is not None
    for move in result.plan.moves:
        assert move.vm in page.words
        assert move.reason in page.words
    for words in (
        "Moves",
        "Timeline",
        "Goals",
        "VMs that cannot move",
        "gpu-1",
        "waiting for each other",
        "Please note",
    ):
        assert words in page.words
    assert sum(tag == "svg" for tag, _ in page.tags) == len(result.snapshot.resources) + 3
    assert sum(tag == "tr" for tag, _ in page.tags) > len(result.plan.moves)


def test_report_loads_nothing(result: Result) -> None:
    html = render_report(result)
    page = Page(html)
    assert not [
        tag for tag, attrs in page.tags if tag in ("link", "img", "iframe", "object") or "src" in attrs
    ]
    assert "url(" not in html and "@import" not in html
    addresses = set(re.findall(r"https?://[^\s\"']+", html))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    policy = next(
        attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None and "default-src 'none'" in policy


def test_the_policy_allows_the_report_s_own_script_only(result: Result) -> None:
    html = render_report(result)
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in html


def test_names_that_are_html_do_not_inject(hostile: Result) -> None:
    html = render_report(hostile)
    page = Page(html)
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert "&lt;script&gt;alert" in html


def test_hostile_words_in_every_field_do_not_inject(result: Result) -> None:
    bad = '"><script>alert(1)</script>{{ 7919 * 7919 }}'
    assert result.plan is not None
    moves = tuple(
        dataclasses.replace(m, vm=bad, from_host=bad, to_host=bad, reason=bad, from_datastores=(bad,))
        for m in result.plan.moves
    )
    odd = dataclasses.replace(
        result,
        plan=dataclasses.replace(result.plan, moves=moves, broken_during=(bad,)),
        goals=(GoalScore(bad, bad, 1.0, 0.0, 0.0),),
        violations_before=(Violation(bad, (bad,), (bad,), 1.0, bad, bad),),
        warnings=(bad,),
        solver=bad,
        mode=bad,
    )
    page = Page(render_report(odd))
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert "62710561" not in page.words


def test_charts_are_well_formed_and_described(hostile: Result) -> None:
    for chart in re.findall(r"<svg.*?</svg>", render_report(hostile), re.DOTALL):
        root = ElementTree.fromstring(chart)
        assert root.attrib["role"] == "img" and root.attrib["aria-label"]


def test_report_is_accessible(result: Result) -> None:
    page = Page(render_report(result))
    tags = page.tags
    assert next(attrs["lang"] for tag, attrs in tags if tag == "html") == "en"
    assert all("scope" in attrs for tag, attrs in tags if tag == "th")
    ids = {attrs["id"] for _, attrs in tags if "id" in attrs}
    assert {attrs["aria-labelledby"] for _, attrs in tags if "aria-labelledby" in attrs} <= ids
    assert [tag for tag, _ in tags].count("h1") == 1


def test_report_without_a_plan(cluster: Snapshot, make: Callable[..., Result]) -> None:
    page = Page(render_report(make(cluster, with_plan=False)))
    assert "the moves have not been planned" in page.words


@pytest.mark.parametrize(("n_hosts", "n_vms"), [(3, 0), (1, 5)])
def test_report_of_a_degenerate_cluster(n_hosts: int, n_vms: int, make: Callable[..., Result]) -> None:
    page = Page(render_report(make(datasets.make_cluster(n_hosts, n_vms, 1))))
    assert "No moves." in page.words


def test_report_of_a_cluster_without_hosts(nothing: Snapshot, make: Callable[..., Result]) -> None:
    page = Page(render_report(make(nothing)))
    assert "This snapshot has no hosts." in page.words


def test_report_of_an_infeasible_result(result: Result) -> None:
    stuck = dataclasses.replace(
        result, status="infeasible", plan=None, placement=Placement.of(result.snapshot), interrupted=True
    )
    page = Page(render_report(stuck))
    assert "Infeasible" in page.words and "No placement satisfies the hard rules." in page.words
    assert "Stopped early" in page.words


def test_report_of_rules_that_cannot_hold_together(result: Result) -> None:
    conflict = Conflict(
        ("a", "b"), ("v",), True, "a <b> cannot hold", (Relaxation("b", 1.0, "VM", "let b be broken"),)
    )
    reason = Reason(
        result.moved_vms[0], "hostMaint", "must empty", 1, {}, "without it the host does not empty"
    )
    page = Page(render_report(dataclasses.replace(result, conflicts=(conflict,), reasons=(reason,))))
    assert "a <b> cannot hold" in page.words and "let b be broken" in page.words
    assert "without it the host does not empty" in page.words


def test_report_is_deterministic(result: Result) -> None:
    assert render_report(result) == render_report(result)


def test_a_large_report_stays_small(make: Callable[..., Result]) -> None:
    big = make(datasets.make_cluster(200, 3000, 1), 2000)
    assert len(render_report(big)) < 4_000_000


def test_violations_are_told_apart(result: Result) -> None:
    fate = fate_of_violations(result)
    assert [v.rule for v in fate.repaired] == ["capacity"]
    assert [v.rule for v in fate.remaining] == ["web-ha"]
    fresh = Violation("licence", ("db-1",), ("esx-9",), 1.0, "VM", "db-1 on esx-9")
    worse = dataclasses.replace(result, violations_after=(*result.violations_after, fresh))
    assert fate_of_violations(worse).new == (fresh,)


def test_headline_says_what_happens(result: Result, cluster: Snapshot, make: Callable[..., Result]) -> None:
    assert headline(result).startswith("12 moves, done in")
    assert "1 broken rule repaired" in headline(result)
    nothing = dataclasses.replace(make(datasets.make_cluster(1, 3, 1)))
    assert headline(dataclasses.replace(nothing, status="optimal")).startswith("Nothing to do")
    assert headline(nothing).startswith("Nothing is moved; the search ended before it was proven")
    assert "without an answer" in headline(dataclasses.replace(result, status="no_solution"))


def test_the_busiest_moment_is_the_first_at_which_most_moves_run(result: Result) -> None:
    plan = result.plan
    assert plan is not None and len(plan.moves) > 1
    first = plan.moves[0]
    spans = [(0.0, 4.0), (4.0, 9.0), (3.0, 6.0), (5.0, 5.0), (5.0, 8.0), (7.0, float("inf")), (6.0, 9.0)]
    moves = tuple(
        dataclasses.replace(first, step=i + 1, start_s=a, total_s=b - a) for i, (a, b) in enumerate(spans)
    )
    assert busiest_moment(dataclasses.replace(plan, moves=moves)) == 7.0
    assert busiest_moment(dataclasses.replace(plan, moves=moves[:4])) == 3.0
    assert busiest_moment(dataclasses.replace(plan, moves=())) == 0.0
