"""Schedule and network: the plan in time, the use of links, the network with the flows of one moment."""

from __future__ import annotations

import streamlit as st

from drs import plotting, words
from drs.planning import Plan
from drs.report.tables import MOVES, frame, told
from drs.ui import desk
from drs.ui.parts import chart, heading, needs_cluster, page_file, tiles
from drs.ui.state import filled


def summary(plan: Plan) -> None:
    """Key figures of the schedule."""
    n_waves = len({move.wave for move in plan.moves})
    bound = (
        f"at least {words.seconds(plan.makespan_bound_s)}" if plan.makespan_bound_s else "of the whole plan"
    )
    tiles(
        [
            ("Moves", f"{len(plan.moves):,}", words.count(n_waves, "wave")),
            ("Duration", words.seconds(plan.makespan_s), bound),
            (
                "Time of all moves",
                words.seconds(sum(m.total_s for m in plan.moves)),
                "one after another",
            ),
            ("Longest downtime", words.milliseconds(plan.max_downtime_ms), "of any one VM"),
            ("Data sent", words.mebibytes(plan.total_transferred_mib), "over the network"),
        ]
    )


def moment(plan: Plan) -> None:
    """The network at a chosen moment."""
    end = max(1, int(plan.makespan_s))
    key = filled("schedule.at_s", 0)
    st.session_state[key] = min(st.session_state[key], end)
    at_s = st.slider("Moment, seconds from the start", 0, end, key=key)
    chart(plotting.topology(plan.snapshot, plan, float(at_s), uses=desk.uses_in_hand()), "schedule.topology")


def page() -> None:
    """Draw the page."""
    heading("Schedule and network", "When each VM moves, which links it loads, and what waits for what.")
    cluster = needs_cluster()
    result = desk.result_in_hand()
    plan = result.plan if result is not None else None
    if plan is None or not plan.moves:
        st.info(
            "There is no plan yet: this is the network as it is."
            if plan is None
            else "The plan has no moves: this is the network as it is.",
            icon=":material/info:",
        )
        st.page_link(page_file("advise"), label="Find moves first", icon=":material/arrow_forward:")
        chart(plotting.topology(cluster.snapshot), "schedule.network")
        return
    summary(plan)
    time, links, network, order = st.tabs(["Timeline", "Link use", "Network", "By dependency"])
    with time:
        with_links = st.toggle("Show links as lanes", key=filled("schedule.links", True))
        chart(plotting.timeline(plan, links=bool(with_links)), "schedule.timeline")
    with links:
        nics = st.toggle("Count the hosts' own NICs", key=filled("schedule.nics", True))
        chart(plotting.link_load(plan, nics=bool(nics), uses=desk.uses_in_hand()), "schedule.use")
        st.caption("Found by an independent replay of the plan, second by second.")
    with network:
        moment(plan)
    with order:
        waiting = {step for move in plan.moves for step in move.after_steps}
        table = frame(MOVES, told(plan.moves, ()))[["Step", "VM", "From", "To", "Start", "Lasts"]]
        table.insert(1, "After steps", [", ".join(map(str, move.after_steps)) for move in plan.moves])
        table.insert(2, "Waited for", [move.step in waiting for move in plan.moves])
        st.dataframe(
            table,
            hide_index=True,
            width="stretch",
            key="schedule.order",
        )
        st.caption("A move starts once the steps that it stands after are done.")


if __name__ == "__main__":
    page()
