"""Every figure: it is drawn, it holds the data that it should, and hostile names stay text."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from drs import datasets, plotting, precopy
from drs.model import Placement, Snapshot
from drs.model.load import metrics
from drs.planning import Plan, make_plan
from drs.plotting.data import history_ratio, host_loads, lanes, link_use, replayed_link_use, running, waves
from drs.result import GoalScore, Result

ASK: dict[str, Any] = {
    "memory_mib": 16384.0,
    "dirty_rate_mibps": 80.0,
    "working_set_mib": 900.0,
    "bandwidth_mbps": 10_000.0,
}


def all_figures(result: Result) -> list[go.Figure]:
    """Every figure that is drawn of a result."""
    snapshot, plan = result.snapshot, result.plan
    figures = [
        plotting.goal_scores(result.goals),
        plotting.topology(snapshot),
        plotting.load_history(snapshot),
    ]
    for resource in snapshot.resources:
        figures += [
            plotting.host_load(snapshot, resource=resource),
            plotting.host_load(snapshot, None, result.placement, resource=resource),
            plotting.load_distribution(snapshot, None, result.placement, resource=resource),
        ]
    figures.append(plotting.load_balance(snapshot, None, result.placement))
    if plan is not None:
        figures += [plotting.timeline(plan), plotting.link_load(plan), plotting.topology(snapshot, plan, 5.0)]
    return figures


def test_every_figure_is_drawn(result: Result) -> None:
    for figure in all_figures(result):
        assert figure.data, figure.layout.title.text
        json.loads(figure.to_json())


def test_every_figure_of_an_empty_cluster_is_drawn(empty: Snapshot, make: Callable[..., Result]) -> None:
    for figure in all_figures(make(empty)):
        json.loads(figure.to_json())


def test_a_cluster_without_hosts_has_figures(nothing: Snapshot, make: Callable[..., Result]) -> None:
    for figure in all_figures(make(nothing)):
        json.loads(figure.to_json())


def test_names_that_are_html_stay_text(hostile: Result) -> None:
    for figure in all_figures(hostile):
        text = json.dumps(json.loads(figure.to_json()))
        assert "<script" not in text
        assert "<img" not in text


def test_host_loads_agree_with_metrics(result: Result) -> None:
    snapshot = result.snapshot
    table = metrics(snapshot, result.placement)
    for resource in snapshot.resources:
        loads = host_loads(snapshot, None, result.placement, resource)
        assert loads.mean_ratio == pytest.approx(table[resource]["mean"])
        assert np.nanmax(loads.after_ratio[loads.usable]) == pytest.approx(table[resource]["max"])


def test_host_load_shows_the_capacity_line_the_mean_and_both_placements(result: Result) -> None:
    figure = plotting.host_load(result.snapshot, None, result.placement)
    assert [trace.name for trace in figure.data] == ["Today", "After the plan"]
    lines = [shape.y0 for shape in figure.layout.shapes]
    assert 1.0 in lines
    mean = host_loads(result.snapshot, None, result.placement).mean_ratio
    assert any(math.isclose(y, mean) for y in lines)


def test_a_large_cluster_shows_its_most_telling_hosts(make: Callable[..., Result]) -> None:
    result = make(datasets.make_cluster(150, 400, 2), 40)
    figure = plotting.host_load(result.snapshot, None, result.placement, most=30)
    assert len(figure.data[0].x) == 30
    assert "120 hosts" in figure.layout.title.text
    loads = host_loads(result.snapshot, None, result.placement)
    assert int(np.nanargmax(loads.before_ratio)) in loads.most_telling(30)


def test_history_matches_a_sum_by_hand(cluster: Snapshot) -> None:
    assert cluster.loads is not None
    ratio = history_ratio(cluster)
    host = int(cluster.vms.host_idx[0])
    mine = cluster.vms.host_idx == host
    by_hand = cluster.loads.cpu_mhz[3, mine].astype(float).sum() / cluster.capacity("cpu")[host]
    assert ratio[host, 3] == pytest.approx(by_hand, rel=1e-6)
    assert plotting.load_history(cluster).data[0].z.shape == ratio.shape


def test_bars_on_one_track_never_overlap(result: Result) -> None:
    plan = result.plan
    assert plan is not None
    table = lanes(plan)
    ends: dict[tuple[int, int], float] = {}
    for bar in sorted(table.bars, key=lambda b: b.move.start_s):
        key = (bar.lane, bar.track)
        assert bar.move.start_s >= ends.get(key, 0.0) - 1e-6
        assert bar.track < table.n_tracks[bar.lane]
        ends[key] = bar.move.end_s
    assert {bar.move.step for bar in table.bars} == {move.step for move in plan.moves}


def test_lanes_are_limited(result: Result) -> None:
    assert result.plan is not None
    table = lanes(result.plan, most=3)
    assert sum(kind == "host" for kind in table.kind) == 3
    assert table.n_hidden > 0


def test_link_use_keeps_the_bytes(result: Result) -> None:
    plan = result.plan
    assert plan is not None
    sent = [use for use in link_use(plan) if use.name.endswith("sending")]
    total_mib = sum(float((use.rate_mbps[:-1] * np.diff(use.time_s)).sum()) * 125_000 / 2**20 for use in sent)
    assert total_mib == pytest.approx(plan.total_transferred_mib, rel=1e-6)
    assert all(use.rate_mbps[-1] == 0.0 for use in sent)
    assert not [use for use in link_use(plan, nics=False) if use.name.startswith("NICs")]


def test_waves_and_running_moves(result: Result) -> None:
    plan = result.plan
    assert plan is not None
    span = waves(plan)
    assert span.wave == (1, 2, 3)
    now = running(plan, plan.moves[0].start_s + 0.01)
    assert plan.moves[0] in now


def test_a_plan_without_moves_says_so(result: Result) -> None:
    assert result.plan is not None
    idle = dataclasses.replace(result.plan, moves=())
    for figure in (plotting.timeline(idle), plotting.link_load(idle)):
        assert "No" in figure.layout.annotations[0].text


def test_timeline_marks_kinds_and_downtime(result: Result) -> None:
    assert result.plan is not None
    figure = plotting.timeline(result.plan)
    names = {trace.name for trace in figure.data}
    assert {"vMotion", "Storage vMotion", "Cold", "downtime"} <= names
    assert any("wave" in note.text for note in figure.layout.annotations)


def test_a_move_that_never_ends_is_drawn(result: Result) -> None:
    plan = result.plan
    assert plan is not None
    endless = dataclasses.replace(plan.moves[0], total_s=math.inf, precopy_s=math.inf, converged=False)
    odd = dataclasses.replace(plan, moves=(endless, *plan.moves[1:]))
    json.loads(plotting.timeline(odd).to_json())
    json.loads(plotting.link_load(odd).to_json())


def test_a_vm_that_had_no_host_is_drawn(result: Result) -> None:
    plan: Plan | None = result.plan
    assert plan is not None
    restart = dataclasses.replace(plan.moves[0], from_host="")
    figure = plotting.timeline(dataclasses.replace(plan, moves=(restart,)))
    assert "not placed" in figure.layout.yaxis.ticktext


def test_topology_draws_the_flows_of_the_moment(result: Result) -> None:
    plan = result.plan
    assert plan is not None
    at_s = plan.moves[0].start_s + 0.5
    figure = plotting.topology(result.snapshot, plan, at_s)
    flows = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert len(flows) == len(running(plan, at_s)) > 0


def test_topology_of_many_hosts_is_limited() -> None:
    figure = plotting.topology(datasets.make_cluster(200, 10, 1))
    assert "not shown" in figure.layout.title.text


def test_goal_scores_show_the_bound() -> None:
    goals = [GoalScore("balance", "spread", 0.3, 0.1, 0.08), GoalScore("moves", "s", 0.0, 9.0, -math.inf)]
    figure = plotting.goal_scores(goals)
    assert sum(trace.name == "bound" for trace in figure.data) == 1
    assert plotting.goal_scores([]).layout.annotations[0].text == "No goals"


def test_frontier_marks_the_knee() -> None:
    figure = plotting.frontier(
        [0, 10, 30], [0.4, 0.2, 0.1], [0.4, 0.15, math.nan], knee=1, chosen=2, labels=["<b>", "1", "2"]
    )
    assert {trace.name for trace in figure.data} == {"bound", "plans", "knee", "chosen"}
    assert "<b>" not in list(figure.data[1].customdata)
    assert plotting.frontier([], []).layout.annotations[0].text == "No plans"


def test_curves_mark_the_convergence_limit() -> None:
    table = plotting.curve(ASK, "bandwidth_mbps")
    assert table.limit == pytest.approx(
        precopy.least_bandwidth_mbps(**{**ASK, "bandwidth_mbps": 1e5}), rel=0.01
    )
    assert table.converged[-1] and not table.converged[0]
    figure = plotting.downtime_curve(table)
    assert any("converges above" in note.text for note in figure.layout.annotations)
    dirty = plotting.downtime_curve(plotting.curve(ASK, "dirty_rate_mibps"))
    assert any("converges below" in note.text for note in dirty.layout.annotations)


def test_curve_of_a_quiet_vm_has_no_limit() -> None:
    quiet = {**ASK, "dirty_rate_mibps": 0.0}
    assert math.isnan(plotting.curve(quiet, "bandwidth_mbps").limit)
    json.loads(plotting.downtime_curve(plotting.curve(quiet, "bandwidth_mbps")).to_json())


def test_rounds_show_the_stop_apart() -> None:
    figure = plotting.rounds(precopy.rounds(**ASK))
    assert figure.data[0].x[-1] == "stop"
    assert plotting.rounds([]).layout.annotations[0].text == "No memory to copy"


def test_five_kinds_show_what_is_not_possible() -> None:
    prices = precopy.side_by_side(**ASK, disk_gib=100.0, rtt_ms=200.0)
    figure = plotting.five_kinds(prices)
    assert len(figure.data) == 3
    assert "not possible" in figure.data[0].text
    assert "powered off" in figure.data[1].text
    assert plotting.five_kinds({}).layout.annotations[0].text == "No kinds"


def test_replayed_use_stays_within_capacity() -> None:
    snapshot = datasets.make_cluster(6, 40, 3, skew=0.6, topology="leaf-spine")
    host_idx = snapshot.vms.host_idx.copy()
    movable = np.flatnonzero(snapshot.vms.on)[:8]
    host_idx[movable] = (host_idx[movable] + 1) % 6
    plan = make_plan(snapshot, Placement(host_idx, snapshot.disks.datastore_idx), ())
    uses = replayed_link_use(plan)
    assert plan.moves and uses
    assert max(use.peak_ratio for use in uses) <= 1.0 + 1e-6
    assert all(use.rate_mbps[-1] == 0.0 for use in uses)
    json.loads(plotting.link_load(plan).to_json())


def test_a_plan_that_the_replay_does_not_confirm_is_spread_evenly(result: Result) -> None:
    assert result.plan is not None
    assert [u.name for u in replayed_link_use(result.plan)] == [u.name for u in link_use(result.plan)]
