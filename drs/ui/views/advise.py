"""Plan: the question, the answer with every move open to a change, and what another answer would cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from drs import plotting, words
from drs.frame import frame as as_frame
from drs.report import document, tables
from drs.report.html import fate_of_violations, headline, render_report
from drs.report.summary import problems
from drs.result import Result
from drs.ui import desk
from drs.ui.ask import form
from drs.ui.changes import editor, first_moves, price_of_changes
from drs.ui.clusters import Cluster
from drs.ui.parts import chart, heading, md, needs_cluster, rests_on, show_faults, tiles, violations_table
from drs.ui.state import AdviseAsk, state, update
from drs.ui.store import KeptJob, KeptPlan
from drs.ui.work import ROLLING

POLL_S = 0.5
AGAIN = 3
"""A search that goes on gets so many times its time."""


def watch() -> None:
    """The search that this page waits for, with its Stop button; ends in a full run of the page."""

    @st.fragment(run_every=POLL_S)
    def look() -> None:
        job = desk.store().job(state().job) if state().job else None
        if job is None:
            return
        if not job.running:
            st.rerun()
        st.progress(min(1.0, max(0.0, job.fraction)), text=_progress(job))
        if job.stop:
            st.caption("Stopping with the best plan so far …")
        elif st.button("Stop with the best plan so far", key="advise.stop", icon=":material/stop_circle:"):
            desk.store().stop_job(state().desk, job.id)
        st.caption(
            "It goes on if you leave this page, reload it, or lose the network: the tasks at the left show it."
        )

    look()


def _progress(job: KeptJob) -> str:
    if not job.stage:
        return "Starting …"
    said = f"{md(job.stage)}: {words.seconds(round(job.elapsed_s))} of {words.seconds(job.time_s)}"
    if job.score is not None:
        said += f", score {words.number(job.score)}"
        if job.bound is not None:
            gap = (job.score - job.bound) / abs(job.score) if job.score > job.bound else 0.0
            said += f", bound {words.number(job.bound)}, gap {words.percent(gap, 1)}"
    return said


def go_on(plan: KeptPlan, result: Result) -> None:
    """Says that a search was stopped or ran out of time, and offers to go on."""
    if result.status in ("optimal", "infeasible") and not result.interrupted:
        return
    why = (
        "was stopped"
        if result.interrupted
        else "ended with its time, before it was proven that nothing better exists"
    )
    left, right = st.columns([4, 1.3], vertical_alignment="center")
    left.info(f"The search {why}: a better plan may exist.", icon=":material/hourglass_bottom:")
    time_s = float(plan.request.get("time_s") or 10.0)
    if right.button(
        f"Go on for {words.seconds(AGAIN * time_s)}",
        key="advise.go_on",
        icon=":material/fast_forward:",
        disabled=bool(desk.running()),
        help="A new plan for the same question. This one is kept.",
    ):
        request = {**plan.request, "time_s": AGAIN * time_s}
        desk.begin_request(plan.key, request, plan.question, AGAIN * time_s, plan.id)
        st.rerun()


def about(plan: KeptPlan) -> None:
    """Name, history and end of a plan."""
    with st.popover(plan.name, icon=":material/bookmark:"):
        name = st.text_input("Name", plan.name, key=f"plan.name.{plan.id}", max_chars=80)
        if name and name != plan.name:
            desk.store().rename_plan(plan.desk, plan.id, name)
            st.rerun()
        st.caption(
            f"Made {plan.made_at.replace('T', ' ')[:16]} UTC, solver {plan.request.get('solver', 'auto')}"
        )
        for each in desk.store().history(plan.desk, plan.id)[:-1]:
            if st.button(
                f"Made from {md(each.name)}: {md(each.question)}",
                key=f"plan.back.{each.id}",
                icon=":material/history:",
            ):
                update(plan=each.id)
                st.rerun()
        if st.button("Delete this plan", key="plan.delete", icon=":material/delete:"):
            desk.store().forget_plan(plan.desk, plan.id)
            update(plan="")
            st.rerun()


def answer(kept: KeptPlan, result: Result) -> None:
    """What the search found."""
    plan = result.plan
    go_on(kept, result)
    price_of_changes(kept)
    rests_on(result.snapshot)
    if result.status in ("infeasible", "no_solution"):
        show_faults(
            headline(result), [v.sentence for v in result.violations_after] or ["no reason was given"]
        )
    elif plan is not None and not plan.moves and not result.violations_after:
        st.success(headline(result), icon=":material/check_circle:")
    else:
        st.markdown(f"#### {md(headline(result))}")
    if result.warnings:
        with st.expander(words.count(len(result.warnings), "note"), icon=":material/warning:", expanded=True):
            for warning in result.warnings[:50]:
                st.markdown(f"- {md(warning)}")
    if result.conflicts:
        _conflicts(result)
    if result.report is not None:
        for sentence in result.report.sentences()[:100]:
            st.markdown(f"- {md(sentence)}")
    before, after = result.metrics_before, result.metrics_after
    rows: list[tuple[str, str, str | None]] = [
        (
            "Moves",
            f"{len(plan.moves):,}" if plan else "–",
            words.STATUS_WORDS.get(result.status, result.status),
        ),
        (
            "Duration",
            words.seconds(plan.makespan_s) if plan else "–",
            words.seconds_range(plan.makespan_low_s, plan.makespan_high_s)
            if plan and plan.makespan_high_s
            else "of the whole plan",
        ),
        ("Max downtime", words.milliseconds(plan.max_downtime_ms) if plan else "–", "of any one VM"),
        ("Data sent", words.mebibytes(plan.total_transferred_mib) if plan else "–", "on the wire"),
    ]
    for resource in ("cpu", "memory"):
        rows.append(
            (
                f"{words.resource_title(resource, result.snapshot.memory_counts)} σ",
                words.percent(after[resource]["std"], 1),
                f"was {words.percent(before[resource]['std'], 1)}",
            )
        )
    before_n, after_n = (
        len(problems(result, each)) for each in (result.violations_before, result.violations_after)
    )
    rows.append(("Rules broken", f"{after_n}", f"was {before_n}"))
    tiles(rows)
    downloads(result)
    moves, more, loads, time, goals, rules = st.tabs(
        ["Moves", "Why not more", "Hosts before and after", "Timeline", "Goals", "Rules"]
    )
    with moves:
        _moves(kept, result)
    with more:
        _more(result)
    with loads:
        for resource in result.snapshot.resources:
            if result.snapshot.capacity(resource).any():
                chart(
                    plotting.host_load(
                        result.snapshot, result.problem.today, result.placement, resource=resource
                    ),
                    f"advise.load.{resource}",
                )
    with time:
        if plan is not None:
            chart(plotting.timeline(plan), "advise.timeline")
    with goals:
        chart(plotting.goal_scores(result.goals), "advise.goals.chart")
        _goals(result)
    with rules:
        _rules(result)


def _conflicts(result: Result) -> None:
    """Which rules cannot hold together, and what would help."""
    st.markdown("##### Rules that cannot hold together")
    for conflict in result.conflicts:
        st.markdown(f"- {md(conflict.sentence)}")
        for relaxation in conflict.relaxations:
            st.markdown(f"    - would help: {md(relaxation.sentence)}")


def _more(result: Result) -> None:
    """What the first moves bring, and why the plan does no more."""
    if result.plan is not None and len(result.plan.moves) > 1:
        first_moves(result)
    if result.not_more is not None:
        st.markdown("##### Why not more")
        for sentence in result.not_more.sentences():
            st.markdown(f"- {md(sentence)}")
    if result.findings:
        st.markdown("##### What it makes worse than today")
        for finding in result.findings[:50]:
            st.markdown(f"- {md(str(finding))}")
    if result.stage is not None:
        st.markdown("##### This stage")
        for sentence in result.stage.sentences():
            st.markdown(f"- {md(sentence)}")
    if result.timing is not None:
        st.markdown("##### Time")
        for sentence in result.timing.sentences():
            st.markdown(f"- {md(sentence)}")


def _starts(result: Result) -> None:
    """VMs that have no host today and get one: restarts and placements, as rows."""
    today, after, snapshot = result.problem.today.host_idx, result.placement.host_idx, result.snapshot
    starts = [int(vm) for vm in ((today < 0) & (after >= 0)).nonzero()[0]]
    waiting = [int(vm) for vm in ((today < 0) & (after < 0)).nonzero()[0]]
    if not starts and not waiting:
        return
    ranks = result.problem.policy.restart
    order = ranks.rank(snapshot)
    rows = sorted([*starts, *waiting], key=lambda vm: (int(order[vm]), str(snapshot.vms.name[vm])))
    st.markdown(f"##### Starts ({len(starts)}{f'; {len(waiting)} have no host' if waiting else ''})")
    st.dataframe(
        as_frame(
            {
                "VM": [str(snapshot.vms.name[vm]) for vm in rows],
                "Starts on": [str(snapshot.hosts.name[after[vm]]) if after[vm] >= 0 else "nowhere" for vm in rows],
                "Restart priority": [ranks.NAMES[int(order[vm])] for vm in rows],
                "Memory, GiB": [round(float(snapshot.vms.memory_mib[vm]) / 1024, 1) for vm in rows],
            }
        ),
        hide_index=True, width="stretch", key="advise.starts",
    )  # fmt: skip


def _moves(kept: KeptPlan, result: Result) -> None:
    plan = result.plan
    _starts(result)
    if plan is None:
        st.caption("The moves have not been planned.")
        return
    if plan.moves:
        editor(kept, result)
    else:
        st.caption("No moves.")
    if plan.stranded:
        st.markdown("##### Moves that no safe order reaches")
        st.dataframe(
            tables.frame(tables.STRANDED, plan.stranded),
            hide_index=True,
            width="stretch",
            key="advise.stranded",
        )
    if result.immovable:
        with st.expander(words.count(len(result.immovable), "VM") + " cannot move"):
            st.dataframe(
                tables.frame(tables.IMMOVABLE, result.immovable),
                hide_index=True,
                width="stretch",
                key="advise.immovable",
            )


def _goals(result: Result) -> None:
    st.dataframe(
        tables.frame(tables.GOALS, result.goals),
        hide_index=True,
        width="stretch",
        key="advise.goals.table",
    )
    st.caption(
        f"Solver {result.solver}, seed {result.seed}, {words.seconds(result.elapsed_s)}. No placement can be "
        "better than the bound, given the goals above it."
    )


def _rules(result: Result) -> None:
    fate = fate_of_violations(result)
    for title, items, key in (
        ("Broken by the plan", fate.new, "new"),
        ("Still broken", fate.remaining, "remaining"),
        ("Repaired", fate.repaired, "repaired"),
    ):
        if items:
            st.markdown(f"##### {title} ({len(items)})")
            violations_table(items, f"advise.rules.{key}")
    if not (fate.new or fate.remaining or fate.repaired):
        st.caption("No rule is broken, before or after.")
    if result.plan is not None and result.plan.broken_during:
        st.markdown("##### On the way")
        for sentence in result.plan.broken_during[:50]:
            st.markdown(f"- {md(sentence)}")


def downloads(result: Result) -> None:
    """The plan as files."""
    json_file, csv_file, html_file, _ = st.columns([1, 1, 1, 3])
    json_file.download_button(
        "plan.json",
        lambda: plan_json(result),
        "plan.json",
        "application/json",
        key="advise.json",
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
    )
    csv_file.download_button(
        "moves.csv",
        lambda: moves_csv(result),
        "moves.csv",
        "text/csv",
        key="advise.csv",
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
        disabled=result.plan is None,
    )
    html_file.download_button(
        "report.html",
        lambda: render_report(result).encode(),
        "report.html",
        "text/html",
        key="advise.html",
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
    )


def plan_json(result: Result) -> bytes:
    """The document of `drs advise --json`."""
    return json.dumps(document.to_document(result), indent=2, ensure_ascii=False, allow_nan=False).encode()


def moves_csv(result: Result) -> bytes:
    """The moves as `drs advise --out` writes them."""
    return b"" if result.plan is None else document.moves_csv(result).encode()


def campaign(plan: KeptPlan) -> None:
    """A rolling campaign: its sentences, and a row for each step."""
    said: Mapping[str, Any] = desk.campaign_of(plan)
    if said["blocked"]:
        show_faults(
            "Not every host can be emptied",
            [f"{b['host']}: {'; '.join(b['reasons'])}" for b in said["blocked"]],
        )
    rows = said["steps"]
    tiles(
        [
            ("Steps", f"{len(rows)}", f"of {said['cluster']}"),
            ("Duration", words.seconds(said["total_s"] or 0.0), "with maintenance"),
            ("Moves", f"{said['n_moves']:,}", f"{said['n_moved_again']:,} of VMs that move again"),
        ]
    )
    st.dataframe(
        as_frame(
            {
                "Step": list(range(1, len(rows) + 1)),
                "Hosts": [", ".join(step["hosts"]) for step in rows],
                "Starts, min": [round(step["start_s"] / 60, 1) for step in rows],
                "Back, min": [round(step["end_s"] / 60, 1) for step in rows],
                "Moves": [len(step["advice"]["moves"]) for step in rows],
                "Shut down": [", ".join(step["shut_down"]) for step in rows],
            }
        ),
        hide_index=True, width="stretch", key="advise.steps",
    )  # fmt: skip
    for sentence in said["sentences"]:
        st.markdown(f"- {md(sentence)}")
    text = json.dumps(said, indent=2, ensure_ascii=False).encode()
    st.download_button(
        "rolling.json", text, "rolling.json", "application/json", key="advise.rolling", on_click="ignore"
    )


def _begin(cluster: Cluster, ask: AdviseAsk) -> None:
    desk.begin(cluster, ask)
    st.rerun()


def _question(cluster: Cluster, ask_open: bool) -> None:
    """The form, and the button that begins a search."""
    with st.expander("Ask for a plan", icon=":material/edit:", expanded=ask_open):
        ask = form(cluster)
        update(advise=ask)
        missing = (
            ask.mode == "evacuate"
            and not (ask.asked.evacuate or ask.asked.site)
            and not (cluster.snapshot.hosts.state == "maintenance").any()
        )
        if missing:
            st.caption("Choose at least one host to empty.")
        if st.button(
            "Find moves",
            type="primary",
            key="advise.run",
            icon=":material/play_arrow:",
            disabled=bool(desk.running()) or missing,
        ):
            _begin(cluster, ask)


def page() -> None:
    """Draw the page."""
    kept = desk.plan_in_hand()
    waits = desk.store().job(state().job) if state().job else None
    title = waits.question if waits is not None else kept.question if kept is not None else "Ask for a plan"
    heading(
        md(title),
        "" if kept is not None or waits is not None
        else "Moves that repair broken rules and even out the load, each with its reason, price and time.",
    )  # fmt: skip
    cluster = needs_cluster()
    now = state()
    _question(cluster, kept is None and waits is None)
    if waits is not None:
        watch()
        return
    if now.trouble:
        show_faults("This cannot be answered", now.trouble)
        return
    if kept is None:
        return
    about(kept)
    if kept.mode == ROLLING:
        campaign(kept)
        return
    result = desk.result_of(kept)
    if result is not None:
        if (
            result.snapshot.digest != cluster.snapshot.digest
            and result.asked is not None
            and (result.asked.today.structure != cluster.snapshot.structure)
        ):
            st.warning("The cluster has changed since this plan was made.", icon=":material/sync_problem:")
        answer(kept, result)


if __name__ == "__main__":
    page()
