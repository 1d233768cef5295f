"""Frontier: what every step of balance costs, and the moves of the plan that is chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import streamlit as st

from drs import api, pareto, plotting, words
from drs.model import Placement
from drs.options import Options
from drs.pareto import Frontier
from drs.report.tables import MOVES, frame, told
from drs.result import Asked, Result
from drs.stop import OnProgress, Stop
from drs.ui import desk
from drs.ui.clusters import Cluster, words_of
from drs.ui.job import Job
from drs.ui.parts import chart, heading, md, needs_cluster, page_file, show_faults, tiles
from drs.ui.state import filled, state, update
from drs.ui.work import keep as work_keep
from drs.ui.work import request_of

KEY = "drs.frontier"
POLL_S = 0.5
PLAN_S = 10.0


@dataclass(frozen=True, eq=False)
class FrontierState:
    """What this page remembers of one cluster."""

    digest: str
    n_points: int = 15
    time_s: int = 20
    job: Job | None = None
    found: Frontier | None = None
    trouble: tuple[str, ...] = ()


def remembered(cluster: Cluster) -> FrontierState:
    """What was found for this cluster; the search for another one is stopped."""
    digest = cluster.snapshot.digest
    now: FrontierState | None = st.session_state.get(KEY)
    if now is None or now.digest != digest:
        if now is not None and now.job is not None:
            now.job.stop.interrupt()
        st.session_state.pop("frontier.choice", None)
        now = FrontierState(digest)
        st.session_state[KEY] = now
    return now


def remember(now: FrontierState, **changes: Any) -> FrontierState:
    """Replace fields of what is remembered."""
    new = replace(now, **changes)
    st.session_state[KEY] = new
    return new


def begin(cluster: Cluster, now: FrontierState) -> Job:
    """The search in the background."""

    def run(stop: Stop, on_progress: OnProgress) -> Frontier:
        return pareto.frontier(
            cluster.snapshot,
            n_points=now.n_points,
            rules=cluster.rules,
            policy=cluster.policy,
            stop=stop,
            on_progress=on_progress,
        )

    return Job(cast(Any, run), float(now.time_s))


def watch(cluster: Cluster) -> None:
    """The search under way, with its Stop button; ends in a full run of the page."""

    @st.fragment(run_every=POLL_S)
    def look() -> None:
        now = remembered(cluster)
        job = now.job
        if job is None:
            return
        if job.done:
            trouble = tuple(words_of(job.error)) if job.error is not None else ()
            remember(now, job=None, found=cast("Frontier | None", job.result), trouble=trouble)
            st.session_state.pop("frontier.choice", None)
            st.rerun()
        progress = job.progress
        limit_s = job.stop.time_s or 1.0
        gone = min(1.0, job.stop.elapsed_s / limit_s)
        stage = "Posing the problem …" if progress is None else md(progress.stage)
        st.progress(
            gone, text=f"{stage}: {words.seconds(round(job.stop.elapsed_s))} of {words.seconds(limit_s)}"
        )
        if job.stop.interrupted:
            st.caption("Stopping with the points so far …")
        elif st.button("Stop with the points so far", key="frontier.stop", icon=":material/stop_circle:"):
            job.stop.interrupt()

    look()


def label(found: Frontier, index: int) -> str:
    """A point in words."""
    point = found.points[index]
    said = f"{words.count(point.n_moves, 'move')}, {words.number(point.cost)} {found.cost_unit}"
    said += f", imbalance {words.number(point.score)}"
    return said + (" (knee)" if point.is_knee else "")


def answer(found: Frontier) -> None:
    """The frontier, its table, and the moves of the chosen point."""
    if not found.points:
        show_faults("There is no plan", ["The hard rules could not be satisfied in this time."])
        return
    default = found.knee if found.knee is not None else len(found.points) - 1
    positions = list(range(len(found.points)))
    chosen = st.select_slider(
        "Plan",
        positions,
        key=filled("frontier.choice", default),
        format_func=lambda index: label(found, index),
    )
    index = int(chosen)
    point = found.points[index]
    chart(
        plotting.frontier(
            [p.cost for p in found.points],
            [p.score for p in found.points],
            [p.bound for p in found.points],
            knee=found.knee,
            labels=[words.count(p.n_moves, "move") for p in found.points],
            cost_title=f"migration cost, {found.cost_unit}",
            value_title="imbalance",
            chosen=index,
        ),
        "frontier.chart",
    )
    first, last = found.points[0], found.points[-1]
    gain = (first.score - point.score) / max(first.score - last.score, 1e-12)
    tiles(
        [
            ("Moves", f"{point.n_moves:,}", f"of {last.n_moves:,} for the best balance"),
            ("Migration cost", f"{words.number(point.cost)} {found.cost_unit}", None),
            ("Imbalance", words.number(point.score), f"first plan {words.number(first.score)}"),
            ("Gain", words.percent(gain if len(found.points) > 1 else 1.0, 0), "of what moves can gain"),
            ("Gap", words.percent(point.gap_ratio, 1), f"bound {words.number(point.bound)}"),
        ]
    )
    table, moves = st.tabs(["All plans", "Moves of this plan"])
    with table:
        st.dataframe(
            {
                "": ["knee" if p.is_knee else "" for p in found.points],
                "moves": [p.n_moves for p in found.points],
                f"migration cost, {found.cost_unit}": [words.number(p.cost) for p in found.points],
                "imbalance": [words.number(p.score) for p in found.points],
                "bound": [words.number(p.bound) for p in found.points],
                "gap": [words.percent(p.gap_ratio, 1) for p in found.points],
            },
            hide_index=True,
            width="stretch",
            key="frontier.table",
        )
        st.caption(
            "No plan is better in both cost and imbalance than one of these that is known; no plan of a row's "
            f"cost or less can be below its bound. Found in {words.seconds(found.elapsed_s)}."
        )
    with moves:
        _moves(found, index)


def _moves(found: Frontier, index: int) -> None:
    snapshot, point = found.problem.snapshot, found.points[index]
    moved = found.problem.today.moved(point.placement).nonzero()[0].tolist()
    if not moved:
        st.caption("No moves.")
        return
    was, goes = snapshot.vms.host_idx, point.placement.host_idx
    names = snapshot.hosts.name
    st.dataframe(
        {
            "VM": [snapshot.vms.name[vm] for vm in moved],
            "from": [names[was[vm]] if was[vm] >= 0 else "not placed" for vm in moved],
            "to": [names[goes[vm]] if goes[vm] >= 0 else "nowhere" for vm in moved],
            "memory, GiB": [round(float(snapshot.vms.memory_mib[vm]) / 1024, 1) for vm in moved],
            "lasts about": [words.seconds(float(found.problem.prices.move_s[vm])) for vm in moved],
        },
        hide_index=True,
        width="stretch",
        key="frontier.moves",
    )
    if st.button("Order and time these moves", key="frontier.plan", icon=":material/schedule:"):
        with st.spinner("Ordering the moves …"):
            result = found.result(index)
            result = replace(result, plan=api.plan(result, time_s=PLAN_S))
            keep(result, point.n_moves, len(found.points))
    shown = desk.result_in_hand()
    if shown is not None and shown.plan is not None and same(shown.placement, point.placement):
        st.dataframe(
            frame(MOVES, told(shown.plan.moves, ())), hide_index=True, width="stretch", key="frontier.ordered"
        )
        st.page_link(page_file("schedule"), label="See the schedule", icon=":material/calendar_view_day:")


def same(one: Placement, other: Placement) -> bool:
    """Whether two placements are the same."""
    return np.array_equal(one.host_idx, other.host_idx)


def keep(result: Result, n_moves: int, n_points: int) -> None:
    """Keep an ordered point as a new plan, and take it in hand; the plan in hand before stays on the desk."""
    cluster = needs_cluster()
    policy = result.problem.policy
    asked = Asked(
        cluster.snapshot, cluster.rules, policy, "balance", Options(), result.solver, result.seed, PLAN_S
    )
    request = {
        **request_of("balance", Options(), cluster.rules, policy, "auto", result.seed),
        "time_s": PLAN_S,
        "source": state().source,
    }
    question = (
        f"Point of the frontier with {words.count(n_moves, 'move')}, of {words.count(n_points, 'plan')}"
    )
    result = replace(result, asked=asked)
    plan = work_keep(
        desk.store(), state().desk, desk.key_of(cluster), result, question, request, state().plan
    )
    update(plan=plan, trouble=())


def page() -> None:
    """Draw the page."""
    heading(
        "Frontier",
        "Plans from doing nothing (or the cheapest repair) to the best balance: none is better in both "
        "migration cost and imbalance. The knee is where a further gain becomes dear.",
    )
    cluster = needs_cluster()
    now = remembered(cluster)
    left, right, _ = st.columns([1, 1, 2])
    n_points = left.slider("Plans, at most", 10, 30, key=filled("frontier.n_points", now.n_points))
    time_s = right.number_input(
        "Time for the search, s", 1, 3600, key=filled("frontier.time_s", now.time_s), step=5
    )
    now = remember(now, n_points=int(n_points), time_s=int(time_s or 1))
    running = now.job is not None
    if st.button(
        "Find the frontier",
        type="primary",
        key="frontier.run",
        icon=":material/play_arrow:",
        disabled=running,
    ):
        remember(now, job=begin(cluster, now), found=None, trouble=())
        st.rerun()
    if now.job is not None:
        watch(cluster)
        return
    if now.trouble:
        show_faults("This cannot be answered", now.trouble)
    if now.found is not None:
        answer(now.found)


if __name__ == "__main__":
    page()
