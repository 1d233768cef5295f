"""Compare: two or three plans in one table and one figure, with the moves that only one of them makes."""

from __future__ import annotations

from typing import Any

import streamlit as st

from drs import explain, words
from drs.frame import frame as as_frame
from drs.plotting.data import host_loads
from drs.result import Result
from drs.ui import desk
from drs.ui.parts import heading, md, needs_cluster, page_file
from drs.ui.state import filled, state, update
from drs.ui.store import KeptPlan
from drs.ui.work import ROLLING

MOST = 3
COLOURS: list[Any] = ["#94a3b8", "#1d4ed8", "#d97706", "#0f766e"]
"""Today and the plans: they differ in lightness too."""
TOP = 20


def figures(plans: list[KeptPlan]) -> dict[str, list[Any]]:
    """A row for each figure, a column for today and each plan."""
    goals = list(dict.fromkeys(name for plan in plans for name in plan.figures["goals"]))
    rows: dict[str, list[Any]] = {"Figure": [], "Today": []}
    rows |= {_title(plan, plans): [] for plan in plans}

    def add(title: str, today: str, values: list[str]) -> None:
        rows["Figure"].append(title)
        rows["Today"].append(today)
        for plan, value in zip(plans, values, strict=True):
            rows[_title(plan, plans)].append(value)

    for name in goals:
        before = [plan.figures["goals"][name]["before"] for plan in plans if name in plan.figures["goals"]]
        told = {words.number(value) for value in before}
        add(
            f"{words.goal_title(name)} (goal)", told.pop() if len(told) == 1 else "not the same",
            [
                words.number(plan.figures["goals"][name]["after"]) if name in plan.figures["goals"] else "not asked"
                for plan in plans
            ],
        )  # fmt: skip
    add("Moves", "", [f"{plan.figures['n_moves']:,}" for plan in plans])
    add("Duration", "", [words.seconds(plan.figures["makespan_s"] or 0.0) for plan in plans])
    add(
        "Longest downtime", "", [words.milliseconds(plan.figures["max_downtime_ms"] or 0.0) for plan in plans]
    )
    add("Data sent", "", [words.mebibytes(plan.figures["transferred_mib"] or 0.0) for plan in plans])
    add("Rules broken", "", [f"{plan.figures['n_broken']:,}" for plan in plans])
    add("Search", "", [words.STATUS_WORDS.get(plan.status, plan.status) for plan in plans])
    return rows


def _title(plan: KeptPlan, plans: list[KeptPlan]) -> str:
    same = [each for each in plans if each.name == plan.name]
    return plan.name if len(same) == 1 else f"{plan.name} ({plan.made_at[11:16]})"


def moves(first: KeptPlan, second: KeptPlan, a: Result, b: Result) -> None:
    """What only one of two plans does."""
    if a.plan is None or b.plan is None:
        st.caption("One of them has no moves to compare.")
        return
    found = explain.diff(a.plan, b.plan)
    left, middle, right = st.columns(3)
    for column, title, rows in (
        (left, f"Only in {first.name}", found.only_a),
        (right, f"Only in {second.name}", found.only_b),
        (middle, "In both, otherwise", tuple((each.vm, "; ".join(each.what)) for each in found.changed)),
    ):
        column.markdown(f"**{md(title)}** ({len(rows)})")
        if rows:
            column.dataframe(
                as_frame({"VM": [vm for vm, _ in rows], "How": [how for _, how in rows]}),
                hide_index=True, width="stretch", key=f"compare.{title}.{first.id}.{second.id}",
            )  # fmt: skip
    st.caption(f"{words.count(found.n_same, 'move')} the same in both.")


def loads(plans: list[KeptPlan], results: list[Result]) -> None:
    """The hosts with the highest load, today and after each plan."""
    resource = st.segmented_control(
        "Resource", ["cpu", "memory"], key=filled("compare.resource", "cpu"), format_func=words.resource_title,
        label_visibility="collapsed",
    ) or "cpu"  # fmt: skip
    today = host_loads(results[0].snapshot, results[0].problem.today, resource=resource)
    after = [host_loads(r.snapshot, r.problem.today, r.placement, resource).after_ratio for r in results]
    if any(len(each) != len(today.host) for each in after):
        st.caption("They are plans for different hosts: their loads do not stand side by side.")
        return
    highest = sorted(
        range(len(today.host)), key=lambda i: -max([today.before_ratio[i], *(each[i] for each in after)])
    )
    shown = highest[:TOP]
    table: dict[str, Any] = {
        "Host": [str(today.host[i]) for i in shown],
        "Today, %": [100 * today.before_ratio[i] for i in shown],
    }
    for plan, each in zip(plans, after, strict=True):
        table[f"{_title(plan, plans)}, %"] = [100 * each[i] for i in shown]
    shown_as = [name for name in table if name != "Host"]
    st.bar_chart(
        as_frame(table), x="Host", y=shown_as, stack=False, height=340, color=COLOURS[: len(shown_as)]
    )
    if len(highest) > TOP:
        st.caption(f"The {TOP} hosts with the highest load of any of them, of {len(highest):,}.")


def page() -> None:
    """Draw the page."""
    heading("Compare", "Two or three plans for this cluster, and today.")
    needs_cluster()
    known = {plan.id: plan for plan in desk.plans_here() if plan.mode != ROLLING}
    if len(known) < 2:
        st.info(
            "There is nothing to compare yet: this needs two plans for the same data.", icon=":material/info:"
        )
        st.page_link(page_file("advise"), label="Ask for a plan", icon=":material/arrow_forward:")
        return
    hand = state().plan if state().plan in known else next(iter(known))
    start = list(dict.fromkeys([known[hand].parent, hand, *known]))
    default = [plan for plan in start if plan in known][:2]
    key = "compare.plans"
    st.session_state[key] = [plan for plan in st.session_state.get(key, default) if plan in known]
    chosen = st.multiselect(
        "Plans", list(known), key=key, max_selections=MOST,
        format_func=lambda plan: f"{known[plan].name}: {known[plan].question}",
    )  # fmt: skip
    plans = [known[plan] for plan in chosen]
    if len(plans) < 2:
        st.caption("Choose two or three.")
        return
    st.dataframe(as_frame(figures(plans)), hide_index=True, width="stretch", key="compare.figures")
    results = [result for plan in plans if (result := desk.result_of(plan)) is not None]
    if len(results) == len(plans):
        loads(plans, results)
        for number in range(1, len(plans)):
            st.markdown(f"##### {md(plans[0].name)} and {md(plans[number].name)}")
            moves(plans[0], plans[number], results[0], results[number])
    for column, plan in zip(st.columns(MOST), plans, strict=False):
        if column.button(
            f"Take {md(plan.name)} in hand",
            key=f"compare.take.{plan.id}",
            width="stretch",
            disabled=plan.id == state().plan,
        ):
            update(plan=plan.id)
            st.switch_page(page_file("advise"))


if __name__ == "__main__":
    page()
