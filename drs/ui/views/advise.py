"""Advise: ask for moves, watch the search, read the plan and take it along."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import streamlit as st

from drs import plotting, solvers, words
from drs.model import Snapshot, cpu
from drs.options import ALSO, MODES, MOST_NEW, Option, Options, asked_by
from drs.plotting.data import replayed_link_use
from drs.report import document, tables
from drs.report.html import fate_of_violations, headline, render_report
from drs.report.summary import problems
from drs.result import Result
from drs.ui.clusters import Cluster, words_of
from drs.ui.job import Job
from drs.ui.parts import chart, heading, md, needs_cluster, rests_on, show_faults, tiles, violations_table
from drs.ui.state import GOALS, AdviseAsk, filled, state, update, widget_keys

POLL_S = 0.5


def form(cluster: Cluster) -> AdviseAsk:
    """The controls; returns what they ask."""
    ask = state().advise
    left, middle, right = st.columns([2.2, 2, 1.3])
    with left:
        mode = st.selectbox(
            "What is wanted",
            list(MODES),
            key=filled("advise.mode", ask.mode),
            format_func=lambda mode: f"{mode}: {MODES[mode]}",
        )
    with middle:
        goals = st.selectbox(
            "Goal",
            list(GOALS),
            key=filled("advise.goals", ask.goals),
            format_func=lambda g: _goal_words(g, cluster),
            disabled=mode == "consolidate",
        )
    with right:
        time_s = st.number_input(
            "Time for the search, s", 1, 3600, key=filled("advise.time_s", ask.time_s), step=5
        )
    ask = dataclasses.replace(ask, asked=_asked(cluster, str(mode)))
    with st.expander("Limits and solver", icon=":material/tune:"):
        one, two, three, four, five = st.columns(5)
        max_moves = one.number_input(
            "Moves, at most",
            0,
            None,
            key=filled("advise.max_moves", ask.max_moves),
            placeholder="no limit",
            step=1,
        )
        max_downtime_ms = two.number_input(
            "Downtime of a VM, ms",
            1.0,
            None,
            key=filled("advise.max_downtime_ms", ask.max_downtime_ms),
            placeholder="no limit",
            step=100.0,
            format="%.0f",
        )
        max_migration_s = three.number_input(
            "Duration of a move, s",
            1.0,
            None,
            key=filled("advise.max_migration_s", ask.max_migration_s),
            placeholder="no limit",
            step=30.0,
            format="%.0f",
        )
        known = tuple(getattr(solvers, "names", lambda: ("auto",))())
        options = ["auto", *[name for name in known if name != "auto"]]
        solver = four.selectbox("Solver", options, key=filled("advise.solver", ask.solver))
        seed = five.number_input("Seed", 0, None, key=filled("advise.seed", ask.seed), step=1)
    return dataclasses.replace(
        ask,
        mode=str(mode),
        goals=str(goals),
        time_s=int(time_s or 1),
        max_moves=max_moves,
        max_downtime_ms=max_downtime_ms,
        max_migration_s=max_migration_s,
        solver=str(solver),
        seed=int(seed or 0),
    )


def _asked(cluster: Cluster, mode: str) -> Options:
    """The controls of a mode's options; returns all options with what they say."""
    asked = state().advise.asked
    shown = [
        option
        for option in asked_by(mode)
        if option.kind != "file" and (option.kind != "site" or len(_choices(cluster.snapshot, "site")) > 1)
    ]
    if not shown:
        return asked
    columns = st.columns([3.0 if option.repeatable else 1.5 for option in shown])
    said = {
        option.name: _control(column, option, cluster.snapshot, getattr(asked, option.name))
        for column, option in zip(columns, shown, strict=True)
    }
    return dataclasses.replace(asked, **said)


def _choices(snapshot: Snapshot, kind: str) -> list[str]:
    """What an option of this kind can name."""
    if kind == "site":
        return sorted(set(snapshot.hosts.site.tolist()) - {""})
    if kind == "baseline":
        return list(cpu.BASELINES)
    if kind == "also":
        return list(ALSO)
    table = {"host": "hosts", "datastore": "datastores", "cluster": "clusters", "new": "vms", "vm": "vms"}[
        kind
    ]
    return list(getattr(snapshot, table).name.tolist())


def _control(column: Any, option: Option, snapshot: Snapshot, value: Any) -> Any:
    """One option's control; returns its value."""
    keys = widget_keys(option)
    if option.kind == "duration_s":
        hours = column.number_input(
            f"{option.title}, h", 0.1, None, key=filled(keys[0], None if value is None else value / 3600.0),
            placeholder="none", step=1.0, format="%.1f", help=option.help,
        )  # fmt: skip
        return None if hours is None else 3600.0 * hours
    if option.kind == "count":
        return column.number_input(
            option.title, int(option.least), None, key=filled(keys[0], value), step=1, help=option.help
        )
    if option.kind == "move":
        text = column.text_area(
            option.title, key=filled(keys[0], "\n".join(value)), placeholder="one VM=TARGET in a line",
            help=option.help,
        )  # fmt: skip
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    if option.kind == "flavour":
        text = column.text_input(
            option.title,
            key=filled(keys[0], ", ".join(value)),
            placeholder="16c/32g, 32c/64g=2",
            help=option.help,
        )
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if option.kind in ("hours", "moment", "stage"):
        return column.text_input(
            option.title, key=filled(keys[0], value), placeholder=option.metavar, help=option.help
        )
    names = _choices(snapshot, option.kind)
    if option.kind == "new":
        like, _, count = value[0].rpartition("=") if value else ("", "", "1")
        left, right = column.columns([3, 1])
        like = _one(left, option, keys[0], names, like)
        count = right.number_input("How many", 1, MOST_NEW, key=filled(keys[1], int(count)))
        return (f"{like}={int(count or 1)}",) if like else ()
    if option.repeatable:
        return tuple(
            column.multiselect(
                option.title, names, key=filled(keys[0], list(value)), placeholder=option.unset
            )
        )
    return _one(column, option, keys[0], names, value)


def _one(column: Any, option: Option, key: str, names: list[str], value: str) -> str:
    """A choice of one name, or none."""
    chosen = column.selectbox(
        option.title, ["", *names], key=filled(key, value), format_func=lambda name: name or option.unset
    )
    return str(chosen or "")


def _goal_words(goal: str, cluster: Cluster) -> str:
    if goal != "policy":
        return GOALS[goal]
    names = ", then ".join(one.type.replace("-", " ") for one in cluster.policy.goals)
    return f"{GOALS[goal]} ({names})" if names else GOALS[goal]


def watch() -> None:
    """The search under way, with its Stop button; ends in a full run of the page."""

    @st.fragment(run_every=POLL_S)
    def look() -> None:
        job = state().job
        if job is None:
            return
        if job.done:
            finish(job)
            st.rerun()
        progress = job.progress
        if progress is None:
            st.progress(0.0, text="Posing the problem …")
        else:
            gone, limit = words.seconds(round(progress.elapsed_s)), words.seconds(job.stop.time_s or math.inf)
            said = f"{md(progress.stage)}: {gone} of {limit}"
            said += f", score {words.number(progress.score)}"
            if progress.bound > float("-inf"):
                said += f", bound {words.number(progress.bound)}, gap {words.percent(progress.gap_ratio, 1)}"
            st.progress(min(1.0, max(0.0, progress.fraction)), text=said)
        if job.stop.interrupted:
            st.caption("Stopping with the best plan so far …")
        elif st.button("Stop with the best plan so far", key="advise.stop", icon=":material/stop_circle:"):
            job.stop.interrupt()

    look()


def finish(job: Job) -> None:
    """Takes over what a search found."""
    trouble = tuple(words_of(job.error)) if job.error is not None else ()
    plan = job.result.plan if job.result is not None else None
    uses = (
        ()
        if job.result is None or plan is None
        else replayed_link_use(plan, job.result.problem.policy.cost_profile)
    )
    update(job=None, result=job.result, uses=uses, trouble=trouble)


def answer(result: Result) -> None:
    """What the search found."""
    plan = result.plan
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
    moves, loads, time, goals, rules = st.tabs(
        ["Moves", "Hosts before and after", "Timeline", "Goals", "Rules"]
    )
    with moves:
        _moves(result)
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


def _moves(result: Result) -> None:
    plan = result.plan
    if plan is None:
        st.caption("The moves have not been planned.")
        return
    if plan.moves:
        st.dataframe(
            tables.frame(tables.MOVES, tables.told(plan.moves, result.reasons)),
            hide_index=True,
            width="stretch",
            key="advise.moves",
            height=min(620, 40 + 35 * len(plan.moves)),
            column_config={
                "Step": st.column_config.NumberColumn(width=52),
                "Wave": st.column_config.NumberColumn(width=52),
                "Why": st.column_config.TextColumn(width=330),
            },
        )
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


def page() -> None:
    """Draw the page."""
    heading(
        "Advise",
        "Moves that repair broken rules and even out the load, each with its reason, price and time.",
    )
    cluster = needs_cluster()
    ask = form(cluster)
    update(advise=ask)
    running = state().job is not None
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
        disabled=running or missing,
    ):
        job = Job(ask.search(cluster), float(ask.time_s))
        update(job=job, result=None, trouble=())
        st.rerun()
    now = state()
    if now.job is not None:
        watch()
        return
    if now.trouble:
        show_faults("This cannot be answered", now.trouble)
    if now.result is not None:
        answer(now.result)


if __name__ == "__main__":
    page()
