"""Run: the plan in hand by the clock, where it is safe to stop, and scripts that carry it out."""

from __future__ import annotations

from datetime import datetime, timedelta

import streamlit as st

from drs import plotting, words
from drs.errors import DrsError
from drs.execute.scripts import SCRIPTS, export
from drs.frame import frame as as_frame
from drs.io.plan_file import SavedPlan, read_plan
from drs.planning import Plan
from drs.planning.prefixes import prefix_states
from drs.result import Result
from drs.ui import desk
from drs.ui.clusters import words_of
from drs.ui.parts import chart, heading, md, needs_cluster, page_file, show_faults, tiles
from drs.ui.state import filled
from drs.ui.store import KeptPlan
from drs.ui.work import ROLLING

MOST_CHECKED = 400
"""In a longer plan so many points are looked at, evenly spread; it says so."""
MANY_MOVES = 2_000

TITLES = {
    "powercli": "PowerCLI",
    "govc": "govc",
    "ansible": "Ansible",
    "pyvmomi": "pyVmomi",
    "virsh": "virsh",
    "proxmox": "Proxmox VE",
    "csv": "Plain CSV",
}


@st.cache_resource(max_entries=4, show_spinner="Reading the plan …")
def _saved(folder: str) -> SavedPlan:
    return read_plan(folder)


@st.cache_resource(max_entries=8, show_spinner="Looking for points where it is safe to stop …")
def _stops(_result: Result, plan: str) -> list[tuple[int, float, int, bool]]:
    """Step, when it ends, broken rules then, and whether nothing is in flight that others wait for."""
    made = _result.plan
    assert made is not None
    return safe_stops(_result, made)


def safe_stops(result: Result, plan: Plan) -> list[tuple[int, float, int, bool]]:
    """The points where nothing moves and no more rules are broken than today: step, seconds, broken rules, parked."""
    today = len(result.violations_before)
    every = max(1, len(plan.moves) // MOST_CHECKED)
    found = []
    parked: set[str] = set()
    for number, state in enumerate(prefix_states(plan)):
        if number == 0:
            continue
        move = plan.moves[number - 1]
        (parked.add if move.parking else parked.discard)(move.vm)
        if number % every and number != len(plan.moves):
            continue
        done = plan.moves[:number]
        ends = max(each.end_s for each in done)
        rest = plan.moves[number:]
        if any(each.start_s < ends - 1e-9 for each in rest):
            continue
        broken = len(result.problem.check(state.placement))
        if broken <= today:
            found.append((move.step, ends, broken, bool(parked)))
    return found


def clock(plan: Plan) -> datetime:
    """When it starts."""
    left, right, _ = st.columns([1, 1, 3])
    day = left.date_input("Starts on", key=filled("run.day", datetime.now().date()))
    hour = right.time_input(
        "at", key=filled("run.time", datetime.now().replace(second=0, microsecond=0).time())
    )
    assert not isinstance(day, tuple)
    begins = datetime.combine(day, hour)
    end = begins + timedelta(seconds=plan.makespan_s)
    st.markdown(
        f"Starts **{begins:%a %d %b %H:%M}**, ends **{end:%a %d %b %H:%M:%S}** "
        f"({words.seconds(plan.makespan_s)}), in the time of this machine."
    )
    return begins


def timetable(plan: Plan, begins: datetime) -> None:
    """The moves by the clock; with the chain of the one that is chosen."""
    moves = sorted(plan.moves, key=lambda move: (move.start_s, move.step))
    if len(moves) > MANY_MOVES:
        st.caption(f"The first {MANY_MOVES:,} of {len(moves):,} moves; the scripts hold all.")
        moves = moves[:MANY_MOVES]

    def at(second: float) -> str:
        return f"{begins + timedelta(seconds=second):%d %b %H:%M:%S}"

    picked = st.dataframe(
        as_frame(
            {
                "Step": [move.step for move in moves],
                "Wave": [move.wave for move in moves],
                "Starts": [at(move.start_s) for move in moves],
                "Ends": [at(move.end_s) for move in moves],
                "VM": [move.vm for move in moves],
                "From": [move.from_host for move in moves],
                "To": [move.to_host for move in moves],
                "Waits for steps": [", ".join(map(str, move.after_steps)) for move in moves],
            }
        ),
        hide_index=True, width="stretch", key="run.moves", on_select="rerun", selection_mode="single-row",
        height=40 + 35 * min(12, len(moves)),
    )  # fmt: skip
    rows = picked["selection"]["rows"]
    if rows and rows[0] < len(moves):
        chain = chain_of(plan, moves[rows[0]].step)
        by_step = {move.step: move for move in plan.moves}
        st.markdown(
            "Its chain: "
            + " → ".join(f"{step} {md(by_step[step].vm)} ({at(by_step[step].start_s)})" for step in chain)
        )


def chain_of(plan: Plan, step: int) -> list[int]:
    """The steps that have to be done before a step, and itself, in order."""
    by_step = {move.step: move for move in plan.moves}
    found: set[int] = set()
    todo = [step]
    while todo:
        one = todo.pop()
        if one not in found and one in by_step:
            found.add(one)
            todo.extend(by_step[one].after_steps)
    return sorted(found, key=lambda each: (by_step[each].start_s, each))


def stops(kept: KeptPlan, result: Result, begins: datetime) -> None:
    """Where the plan can be ended early without leaving anything worse than today."""
    assert result.plan is not None
    found = _stops(result, kept.id)
    n = len(result.plan.moves)
    if n > MOST_CHECKED:
        st.caption(f"Of {n:,} points, {MOST_CHECKED} were looked at.")
    if not found:
        st.caption("Only before it begins: moves overlap to the end, or rules are broken on the way.")
        return
    st.markdown("Nothing is in flight at these points, and no more rules are broken than today.")
    st.dataframe(
        as_frame(
            {
                "After step": [step for step, *_ in found],
                "At": [f"{begins + timedelta(seconds=at):%d %b %H:%M:%S}" for _, at, _, _ in found],
                "Rules broken then": [broken for _, _, broken, _ in found],
                "A VM is parked": ["yes" if parked else "" for *_, parked in found],
            }
        ),
        hide_index=True, width="stretch", key="run.stops",
    )  # fmt: skip


def scripts(kept: KeptPlan) -> None:
    """The plan as a script of another tool, in order and within its limits."""
    try:
        saved = _saved(str(desk.store().plan_folder(kept.id)))
    except DrsError as error:
        show_faults("The plan cannot be read", words_of(error))
        return
    st.caption(
        "Each shows what it would do until you give it its switch, checks that every VM is where the plan expects it, "
        "keeps the order and the limits of the plan, and stops at the first fault."
    )
    left, right = st.columns([1, 3], vertical_alignment="bottom")
    kind = left.selectbox(
        "Script for", list(SCRIPTS), key="run.kind", format_func=lambda name: TITLES.get(name, name)
    )
    try:
        text = export(saved, str(kind))
    except DrsError as error:
        show_faults("There is no such script of this plan", words_of(error))
        return
    right.download_button(
        f"Download plan{SCRIPTS[str(kind)].suffix}", text.encode(), f"plan{SCRIPTS[str(kind)].suffix}", "text/plain",
        key="run.download", icon=":material/download:", on_click="ignore",
    )  # fmt: skip
    st.caption(f"It needs {SCRIPTS[str(kind)].needs}.")
    lines = text.splitlines()
    st.code("\n".join(lines[:60]) + ("\n…" if len(lines) > 60 else ""), language=None, height=320)


def links(kept: KeptPlan, plan: Plan) -> None:
    """The links that the plan uses, the fullest first."""
    uses = [use for use in desk.uses_in_hand() if use.peak_mbps > 0]
    if not uses:
        st.caption("No link carries anything that was replayed.")
        return
    uses.sort(key=lambda use: -use.peak_ratio)
    many = len(uses) > 12
    nics = st.toggle("Count the hosts' own NICs", key=filled("run.nics", False))
    chart(plotting.link_load(plan, nics=bool(nics), uses=desk.uses_in_hand()), f"run.links.{kept.id}")
    if many:
        st.caption(f"{len(uses)} links carry something; the fullest are drawn.")


def page() -> None:
    """Draw the page."""
    heading("Run", "The plan in hand by the clock, where it is safe to stop, and scripts that carry it out.")
    needs_cluster()
    kept = desk.plan_in_hand()
    result = desk.result_in_hand()
    if kept is None or kept.mode == ROLLING or result is None or result.plan is None or not result.plan.moves:
        st.info(
            "There is no plan in hand that has moves. The steps of a rolling campaign are in its rolling.json.",
            icon=":material/info:",
        )
        st.page_link(page_file("advise"), label="Find moves first", icon=":material/arrow_forward:")
        return
    plan = result.plan
    st.markdown(f"**{md(kept.name)}**: {md(kept.question)}")
    tiles(
        [
            ("Moves", f"{len(plan.moves):,}", words.count(len({m.wave for m in plan.moves}), "wave")),
            ("Duration", words.seconds(plan.makespan_s), None),
            ("Longest downtime", words.milliseconds(plan.max_downtime_ms), "of any one VM"),
            ("Data sent", words.mebibytes(plan.total_transferred_mib), "over the network"),
        ]
    )
    begins = clock(plan)
    by_clock, gantt, where, full, files = st.tabs(["Timetable", "Gantt", "Safe to stop", "Links", "Scripts"])
    with by_clock:
        timetable(plan, begins)
    with gantt:
        chart(plotting.timeline(plan, links=False), f"run.gantt.{kept.id}")
    with where:
        stops(kept, result, begins)
    with full:
        links(kept, plan)
    with files:
        scripts(kept)


if __name__ == "__main__":
    page()
