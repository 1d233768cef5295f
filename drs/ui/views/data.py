"""About this data: where it comes from, what was said when it was read, what is kept, and how to delete it."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from drs import words
from drs.frame import frame as as_frame
from drs.model.provenance import MEANING
from drs.ui import desk
from drs.ui.clusters import Cluster, age_of
from drs.ui.parts import heading, md, needs_cluster, rests_on
from drs.ui.state import STORED, open_cluster, state, update


def provenance(cluster: Cluster) -> None:
    """What the answers rest on."""
    snapshot = cluster.snapshot
    said = snapshot.rests_on
    rests_on(snapshot)
    source = state().source
    where = "kept in this app" if source.startswith(STORED) else source
    rows = {
        "Data": snapshot.name or cluster.label,
        "Opened from": where,
        "Written by": snapshot.source or "not said",
        "Taken": f"{snapshot.taken_at or 'not said'} ({age_of(cluster, datetime.now(UTC))})",
        "CPU demand": MEANING.get(said.cpu_demand or "", "nobody said where it comes from"),
        "Memory demand": MEANING.get(said.memory_demand or "", "nobody said where it comes from"),
        "Load history": "none" if snapshot.loads is None else words.count(len(snapshot.loads), "sample"),
        "Holds": f"{snapshot.n_hosts:,} hosts, {snapshot.n_vms:,} VMs, {len(snapshot.datastores):,} datastores, "
        f"{len(snapshot.links):,} links, {len(cluster.rules):,} rules",
        "Digest": snapshot.digest,
    }
    st.dataframe(
        as_frame({"What": list(rows), "": list(rows.values())}),
        hide_index=True,
        width="stretch",
        key="data.about",
    )


def warnings(cluster: Cluster) -> None:
    """All that was said when it was read."""
    st.markdown(f"##### What was said when it was read ({len(cluster.warnings)})")
    if not cluster.warnings:
        st.caption("Nothing: every table was read as it is.")
        return
    table = as_frame({"Note": list(cluster.warnings)})
    st.dataframe(table, hide_index=True, width="stretch", key="data.warnings")


def faults() -> None:
    """All faults of the last input, as a table to take along."""
    found = state().faults
    if not found:
        return
    st.markdown(f"##### Faults of the last input ({len(found)})")
    table = as_frame({"Fault": list(found)})
    st.dataframe(table, hide_index=True, width="stretch", key="data.faults")
    st.download_button(
        "faults.csv",
        table.to_csv(index=False).encode(),
        "faults.csv",
        "text/csv",
        key="data.download",
        on_click="ignore",
    )


def store() -> None:
    """What is kept, and where; each thing can be deleted."""
    st.markdown("##### Kept in this app")
    st.caption(
        f"In {md(str(desk.store().folder))}. It is yours alone: another browser sees it only where somebody gives it "
        "the link of this page."
    )
    snapshots = desk.store().snapshots(state().desk)
    if not snapshots:
        st.caption("Nothing yet.")
    for each in snapshots:
        plans = [plan for plan in desk.store().plans(state().desk) if plan.key == each.key]
        left, right = st.columns([5, 1], vertical_alignment="center")
        left.markdown(
            f"{md(each.label)}, kept {each.added_at[:16].replace('T', ' ')} UTC: {each.n_hosts:,} hosts, "
            f"{each.n_vms:,} VMs, {words.count(len(plans), 'plan')}"
        )
        if right.button(
            "Delete", key=f"data.delete.{each.key}", icon=":material/delete:", width="stretch",
            help="Deletes it with its plans.",
        ):  # fmt: skip
            desk.store().forget_snapshot(state().desk, each.key)
            if state().source == STORED + each.key:
                open_cluster("", None, ("The snapshot that was open has been deleted.",))
            elif state().plan in {plan.id for plan in plans}:
                update(plan="")
            st.rerun()


def page() -> None:
    """Draw the page."""
    heading("About this data", "Where it comes from, how old it is, and what was said when it was read.")
    if state().cluster is not None:
        cluster = needs_cluster()
        provenance(cluster)
        faults()
        warnings(cluster)
    else:
        faults()
    store()


if __name__ == "__main__":
    page()
