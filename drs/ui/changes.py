"""A plan's moves with a decision for each: keep, reject, pin; and what the decisions cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import streamlit as st

from drs import words
from drs.frame import DataFrame
from drs.frame import frame as as_frame
from drs.report.summary import that_matter
from drs.report.tables import told
from drs.result import Curve, Result
from drs.rules import NotRunOn, Pinned, Rule, RunOn
from drs.ui import desk
from drs.ui.parts import md
from drs.ui.state import AdviseAsk
from drs.ui.store import KeptPlan
from drs.ui.work import rules_and_policy

DECISIONS: Mapping[str, tuple[str, str]] = {
    "keep": ("✓ Keep", "The VM goes to this host in the next plan too."),
    "reject": ("✗ Reject", "The VM does not go to this host; another one is fine."),
    "pin": ("Pin", "The VM stays where it is."),
}
"""What can be said of a move, its mark and what it means."""
MANY_MOVES = 200
"""A plan with more moves shows those that matter most first."""
SHARES = (0.5, 0.8, 0.9)


def decision_key(plan: KeptPlan, decision: str) -> str:
    """The key of the choice of moves."""
    return f"plan.{decision}.{plan.id}"


def rules_of(result: Result, chosen: Mapping[str, Sequence[str]]) -> tuple[Rule, ...]:
    """The rules that the decisions are: `chosen` holds the VMs by decision."""
    assert result.plan is not None
    last = {move.vm: move.to_host for move in result.plan.moves}
    found: list[Rule] = []
    for vm in chosen.get("keep", ()):
        found.append(RunOn([vm], [last[vm]], name=f"keep the move of {vm}", policy="hard"))
    for vm in chosen.get("reject", ()):
        found.append(NotRunOn([vm], [last[vm]], name=f"reject the move of {vm}", policy="hard"))
    for vm in chosen.get("pin", ()):
        found.append(Pinned([vm], name=f"pin {vm}", policy="hard"))
    return tuple(found)


def moves_table(result: Result, vms: Sequence[str], chosen: Mapping[str, Sequence[str]]) -> DataFrame:
    """The moves as numbers that sort as numbers, priority first."""
    assert result.plan is not None
    mark = {vm: DECISIONS[decision][0] for decision, names in chosen.items() for vm in names}
    rows = told([move for move in result.plan.moves if move.vm in set(vms)], result.reasons)
    rows.sort(key=lambda row: (row.reason.priority if row.reason else math.inf, row.move.step))

    def finite(value: float, digits: int) -> float | None:
        return round(value, digits) if math.isfinite(value) else None

    return as_frame(
        {
            "Priority": [row.reason.priority if row.reason else None for row in rows],
            "Change": [mark.get(row.move.vm, "") for row in rows],
            "VM": [row.move.vm for row in rows],
            "From": [row.move.from_host or "not placed" for row in rows],
            "To": [row.move.to_host for row in rows],
            "Why": [row.move.reason for row in rows],
            "Downtime, ms": [finite(row.move.downtime_ms, 0) for row in rows],
            "at least, ms": [finite(row.move.downtime_low_ms, 0) for row in rows],
            "at most, ms": [finite(row.move.downtime_high_ms, 0) for row in rows],
            "Starts, s": [finite(row.move.start_s, 1) for row in rows],
            "Lasts, s": [finite(row.move.total_s, 1) for row in rows],
            "Data, GiB": [finite(row.move.transferred_mib / 1024, 2) for row in rows],
            "Step": [row.move.step for row in rows],
            "Wave": [row.move.wave for row in rows],
            "Kind": [words.KIND_TITLES[row.move.kind] for row in rows],
            "If it stays": [row.reason.without if row.reason else "" for row in rows],
        }
    )


def editor(plan: KeptPlan, result: Result) -> None:
    """The moves, the decisions on them, and the button that solves again with these."""
    assert result.plan is not None
    moves = list(result.plan.moves)
    if len(moves) > MANY_MOVES:
        every = st.toggle(f"Show all {len(moves):,} moves", key=f"plan.every.{plan.id}")
        if not every:
            moves = that_matter(result, MANY_MOVES)
            st.caption(
                f"The {MANY_MOVES} that matter most: what was asked, then repairs, then the largest gains."
            )
    shown = list(dict.fromkeys(move.vm for move in moves))
    chosen = {name: list(st.session_state.get(decision_key(plan, name), ())) for name in DECISIONS}
    table = moves_table(result, shown, chosen)
    picked = st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="advise.moves",
        on_select="rerun",
        selection_mode="multi-row",
        height=min(620, 40 + 35 * len(table)),
        column_config={
            "Priority": st.column_config.NumberColumn(
                width=60, help="As DRS counts: 1 must be, 5 is merely nice."
            ),
            "Change": st.column_config.TextColumn(width=80),
            "Why": st.column_config.TextColumn(width=280),
        },
    )
    vms = [str(table["VM"].iloc[row]) for row in picked["selection"]["rows"] if row < len(table)]
    columns = st.columns([1, 1, 1, 1, 2])
    for column, (name, (label, said)) in zip(columns, DECISIONS.items(), strict=False):
        column.button(
            label, key=f"plan.set.{name}", help=f"{said} Choose moves in the table first.", width="stretch",
            disabled=not vms, on_click=_decide, args=(plan, name, vms),
        )  # fmt: skip
    columns[3].button(
        "Undecided",
        key="plan.set.none",
        width="stretch",
        disabled=not vms,
        on_click=_decide,
        args=(plan, "", vms),
    )
    # A rule speaks of VMs that exist and of hosts: not of new VMs, and not of disks.
    stays = {move.vm for move in moves if move.from_host == move.to_host}
    existing = {vm for vm in shown if vm not in stays and (result.asked is None or _exists(plan, vm, result))}
    with st.expander("My changes", icon=":material/rule:", expanded=any(chosen.values())):
        for column, (name, (label, said)) in zip(st.columns(3), DECISIONS.items(), strict=True):
            options = [vm for vm in [*shown, *chosen[name]] if vm in existing]
            column.multiselect(
                label,
                list(dict.fromkeys(options)),
                key=decision_key(plan, name),
                help=said,
                placeholder="No move",
            )
        chosen = {name: list(st.session_state.get(decision_key(plan, name), ())) for name in DECISIONS}
        twice = {
            vm for names in chosen.values() for vm in names if sum(vm in each for each in chosen.values()) > 1
        }
        if twice:
            st.error(f"Decide once for each VM: {md(words.some(sorted(twice)))}.", icon=":material/error:")
        solve_again(plan, result, chosen, allowed=any(chosen.values()) and not twice)


def _exists(plan: KeptPlan, vm: str, result: Result) -> bool:
    assert result.asked is not None
    return plan.mode != "place" or int(result.problem.today.host_idx[result.snapshot.vms.position[vm]]) >= 0


def _decide(plan: KeptPlan, decision: str, vms: Sequence[str]) -> None:
    """Note a decision on some moves, in place of the ones before."""
    for name in DECISIONS:
        key = decision_key(plan, name)
        left = [vm for vm in st.session_state.get(key, ()) if vm not in vms]
        st.session_state[key] = [*left, *vms] if name == decision else left


def solve_again(
    plan: KeptPlan, result: Result, chosen: Mapping[str, Sequence[str]], *, allowed: bool
) -> None:
    """The same question with the decisions as rules; the answer is a new plan."""
    if not st.button(
        "Solve again with my changes",
        key="plan.again",
        type="primary",
        icon=":material/replay:",
        disabled=not allowed or bool(desk.running()),
        help="The answer is a new plan; this one is kept.",
    ):
        return
    from drs import io

    rules, _ = rules_and_policy(plan.request)
    more = rules_of(result, chosen)
    parts = [
        f"{words.count(len(vms), 'move')} {what}"
        for what, vms in zip(("kept", "rejected", "pinned"), chosen.values(), strict=True)
        if vms
    ]
    request = {**plan.request, "rules_toml": io.write_rules((*rules, *more)), "changes": dict(chosen)}
    question = f"{plan.question.partition('; changed: ')[0]}; changed: {', '.join(parts)}"
    time_s = float(plan.request.get("time_s") or AdviseAsk().time_s)
    desk.begin_request(plan.key, request, question, time_s, plan.id)
    st.rerun()


def price_of_changes(plan: KeptPlan) -> None:
    """What the decisions cost: this plan's figures beside those of the plan that it was made from."""
    parent = desk.store().plan(plan.desk, plan.parent) if plan.parent else None
    if (
        parent is None
        or not plan.request.get("changes")
        or plan.request.get("changes") == parent.request.get("changes")
    ):
        return
    rows = price_rows(parent, plan)
    st.markdown(f"##### Price of the veto, against {md(parent.name)}")
    st.dataframe(
        as_frame(
            {
                "Figure": [row[0] for row in rows],
                f"Before ({parent.name})": [row[1] for row in rows],
                "With my changes": [row[2] for row in rows],
                "Loses": [row[3] for row in rows],
            }
        ),
        hide_index=True, width="stretch", key="plan.price",
    )  # fmt: skip
    if parent.status != "optimal" or plan.status != "optimal":
        st.caption(
            "Not both plans are proven to be the best, so a part of the difference may be the search's."
        )


def price_rows(parent: KeptPlan, plan: KeptPlan) -> list[tuple[str, str, str, str]]:
    """Figure, before, after, and what is lost, in words."""
    rows = []
    old, new = parent.figures["goals"], plan.figures["goals"]
    for name in new:
        if name not in old:
            continue
        for title, field in (("", "after"), (", bound", "bound")):
            was, now = old[name][field], new[name][field]
            if was is None or now is None:
                continue
            lost = now - was
            said = (
                words.number(lost)
                if lost > 1e-9
                else f"gains {words.number(-lost)}"
                if lost < -1e-9
                else "nothing"
            )
            rows.append((f"{words.goal_title(name)}{title}", words.number(was), words.number(now), said))
    for title, field, show in (
        ("Moves", "n_moves", lambda n: f"{n:,.0f}"),
        ("Duration", "makespan_s", words.seconds),
        ("Longest downtime", "max_downtime_ms", words.milliseconds),
        ("Rules broken", "n_broken", lambda n: f"{n:,.0f}"),
    ):
        a, b = float(parent.figures.get(field) or 0), float(plan.figures.get(field) or 0)
        said = show(b - a) if b > a else f"gains {show(a - b)}" if b < a else "nothing"
        rows.append((title, show(a), show(b), said))
    return rows


def first_moves(result: Result) -> None:
    """The first n moves give p % of the gain, for each goal that the plan improves."""
    curve = result.curve
    improved = curve.shares(0) if curve is not None else {}
    if curve is None or not improved:
        st.caption("What the first moves bring cannot be told: no goal gains by moves alone.")
        return
    for goal in improved:
        gains = shares_of(curve, goal)
        parts = [f"the first {first_of(gains, share):,} give {words.percent(share, 0)}" for share in SHARES]
        st.markdown(
            f"- {md(words.goal_title(goal))}: of what {words.count(len(curve), 'move')} gain, {', '.join(parts)}"
        )
    st.caption("In the order in which they are worth making: repairs first, then by gain for price.")
    table: dict[str, Sequence[object]] = {"moves": list(range(len(curve) + 1))}
    table |= {words.goal_title(goal): shares_of(curve, goal) for goal in improved}
    st.line_chart(as_frame(table), x="moves", y=[name for name in table if name != "moves"], height=220)


def shares_of(curve: Curve, goal: str) -> list[float]:
    """What share of a goal's gain stands after each move, from 0 moves to all."""
    scores = curve.goals[goal]
    return [(scores[0] - each) / (scores[0] - scores[-1]) for each in scores]


def first_of(gains: Sequence[float], share: float) -> int:
    """After how many moves a share is reached for good: a goal may lose in between."""
    return max((n for n, gain in enumerate(gains) if gain < share - 1e-9), default=-1) + 1


__all__ = [
    "DECISIONS",
    "decision_key",
    "editor",
    "first_moves",
    "first_of",
    "moves_table",
    "price_of_changes",
    "price_rows",
    "rules_of",
    "shares_of",
]
