"""The app's frame: pages, source and its age, cluster, plan in hand, running searches, and the link to all of it.

Run with `drs ui`, or `streamlit run app.py`. A link reproduces the view: `desk` names whose plans these are, `dataset`
or `snapshot` the source, `cluster`, `plan` and `thing` what is looked at, and the path the page.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import streamlit as st

from drs import words
from drs.errors import DrsError
from drs.ui import desk
from drs.ui.clusters import age_of, choices, given, stamp_of, words_of
from drs.ui.items import KINDS
from drs.ui.parts import md
from drs.ui.state import KEY, STORED, open_cluster, state, update
from drs.ui.store import KeptJob, is_id, new_id

PAGES = Path(__file__).with_name("views")
# A file, since streamlit's own icons for the browser's tab come from the network.
ICON = Path(__file__).with_name("icon.png")
POLL_S = 0.7
ALL = "All clusters"


def pages() -> dict[str, Any]:
    """The pages by the name that a link uses."""
    made = {
        "overview": ("Cockpit", "dashboard"),
        "item": ("Host, VM, datastore", "dns"),
        "advise": ("Plan", "tips_and_updates"),
        "compare": ("Compare", "compare_arrows"),
        "frontier": ("Frontier", "show_chart"),
        "schedule": ("Schedule and network", "calendar_view_day"),
        "run": ("Run", "play_circle"),
        "calculator": ("Migration calculator", "calculate"),
        "data": ("About this data", "info"),
    }
    return {
        name: st.Page(
            PAGES / f"{name}.py", title=title, icon=f":material/{icon}:", default=name == "overview"
        )
        for name, (title, icon) in made.items()
    }


def _first_run() -> str | None:
    """Open what the link, or `drs ui`, or the first dataset says; returns the page that the link names."""
    link = st.query_params
    wanted_desk = link.get("desk", "")
    update(desk=wanted_desk if is_id(wanted_desk) else new_id())
    wanted, known = link.get("dataset"), choices()
    if link.get("snapshot"):
        source = STORED + link["snapshot"]
    else:
        source = wanted if wanted in known else given() or (known[0] if known else "")
    if source:
        _open(source)
        if wanted and wanted not in known:
            update(faults=(f"There is no dataset {wanted!r}. This one is shown in its place.",))
    cluster = state().cluster
    if cluster is not None and link.get("cluster") in cluster.snapshot.clusters.position:
        update(scope=link["cluster"])
    kind, _, name = link.get("thing", "").partition(":")
    if cluster is not None and kind in KINDS and name in KINDS[kind].names(cluster.snapshot):
        update(thing=(kind, name))
    _find_again(link.get("plan", ""))
    return link.get("page")


def _find_again(plan: str) -> None:
    """The plan that the link names, and the searches that were begun before the page was loaded again."""
    if is_id(plan):
        if desk.store().plan(state().desk, plan) is not None:
            update(plan=plan)
        else:
            update(faults=(*state().faults, "The plan of this link is not on this desk, or was deleted."))
    mine = [job for job in desk.jobs() if job.request.get("source") == state().source]
    if mine:
        update(job=mine[-1].id)


def _open(source: str) -> None:
    """Open a source; where it cannot be read, what was open stays open."""
    try:
        open_cluster(source, desk.open_source(source))
    except DrsError as error:
        if state().cluster is None:
            open_cluster(source, None, words_of(error))
        else:
            update(faults=(f"Not opened; still showing {_short(state().source)}.", *words_of(error)))


def _short(source: str) -> str:
    if source.startswith(STORED):
        key = source.removeprefix(STORED)
        kept = [each for each in desk.store().snapshots(state().desk) if each.key == key]
        return f"{kept[0].label} (kept {kept[0].added_at[:16].replace('T', ' ')})" if kept else key
    return Path(source).name if "/" in source or "\\" in source else source


def _reload() -> None:
    """Read the source again, as it is now; the plan in hand stays in hand."""
    now = state()
    try:
        cluster = desk.open_source(now.source)
    except DrsError as error:
        update(faults=("Not read again; still showing what was read before.", *words_of(error)))
        return
    update(cluster=cluster, faults=())


def _source() -> None:
    """Which data, how old it is, and whether its files have changed."""
    now = state()
    uploads = [STORED + each.key for each in desk.store().snapshots(now.desk) if each.source == "upload"]
    options = list(dict.fromkeys([*choices(), *uploads, *([now.source] if now.cluster else [])]))
    if not options:
        st.info("No dataset is bundled. Upload a cluster in the cockpit.")
        return
    key = "sidebar.source"
    if st.session_state.get(key) not in options or st.session_state.get("sidebar.shown") != now.source:
        st.session_state[key] = now.source if now.source in options else options[0]
        st.session_state["sidebar.shown"] = now.source
    labels = {source: _short(source) for source in options}
    chosen = st.selectbox("Data", options, key=key, format_func=lambda source: labels.get(source, source))
    if chosen != now.source:
        _open(chosen)
        st.session_state["sidebar.shown"] = chosen if state().source == chosen else ""
    cluster = state().cluster
    if cluster is None:
        return
    snapshot = cluster.snapshot
    st.caption(
        f"{md(age_of(cluster, datetime.now(UTC)))} · {words.count(snapshot.n_hosts, 'host')}, "
        f"{words.count(snapshot.n_vms, 'VM')}"
    )
    changed = bool(cluster.stamp) and stamp_of(state().source) != cluster.stamp
    if changed and not state().source.startswith(STORED):
        st.warning("Its files have changed since they were read.", icon=":material/sync_problem:")
    st.button("Reload", key="sidebar.reload", icon=":material/refresh:", width="stretch", on_click=_reload)
    names = [ALL, *snapshot.clusters.name.tolist()]
    if len(names) > 2:
        if st.session_state.get("sidebar.cluster") not in names:
            st.session_state["sidebar.cluster"] = state().scope or ALL
        picked = st.selectbox("Cluster", names, key="sidebar.cluster")
        update(scope="" if picked == ALL else picked)


def _plan_in_hand() -> None:
    """The plan in hand, and the others of this desk."""
    plans = desk.plans_here()
    if not plans:
        return
    by_id = {plan.id: plan for plan in plans}
    options = ["", *by_id]
    key = "sidebar.plan"
    shown = state().plan if state().plan in options else ""
    if st.session_state.get("sidebar.plan_shown") != shown or st.session_state.get(key) not in options:
        st.session_state[key], st.session_state["sidebar.plan_shown"] = shown, shown
    chosen = st.selectbox(
        "Plan in hand",
        options,
        key=key,
        format_func=lambda plan: f"{by_id[plan].name}: {by_id[plan].question}" if plan else "None",
    )
    if chosen != shown:
        update(plan=chosen, trouble=())
        st.session_state["sidebar.plan_shown"] = chosen


def _tray() -> None:
    """The searches that run, with bar and Stop, and those that ended while nobody looked."""
    if not desk.jobs():
        return
    any_runs = bool(desk.running())

    @st.fragment(run_every=POLL_S if any_runs else None)
    def look() -> None:
        found = desk.jobs()
        if any(job.id == state().job and not job.running for job in found) or any_runs != any(
            job.running for job in found
        ):
            st.rerun()
        for job in found:
            _task(job)

    st.markdown("**Tasks**")
    look()


def _task(job: KeptJob) -> None:
    if job.running:
        text = (
            f"{job.stage or 'Waiting'}: {words.seconds(round(job.elapsed_s))} of {words.seconds(job.time_s)}"
        )
        st.caption(md(job.question))
        st.progress(min(1.0, job.fraction), text=md(text))
        if job.stop:
            st.caption("Stopping with the best so far …")
        elif st.button("Stop", key=f"tray.stop.{job.id}", icon=":material/stop_circle:"):
            desk.store().stop_job(state().desk, job.id)
    elif st.button(
        f"{'Done' if job.plan else 'No answer'}: {md(job.question)}",
        key=f"tray.show.{job.id}",
        icon=":material/check_circle:" if job.plan else ":material/error:",
    ):
        desk.take(job)
        st.rerun()


def _link() -> None:
    """The address says what is shown, so that it can be opened again or given to somebody."""
    now = state()
    said = {
        "desk": now.desk,
        "dataset": now.source if now.source in choices() and now.source != given() else "",
        "snapshot": now.source.removeprefix(STORED) if now.source.startswith(STORED) else "",
        "cluster": now.scope,
        "plan": now.plan,
        "thing": ":".join(now.thing) if now.thing else "",
    }
    for name, value in said.items():
        if value and st.query_params.get(name) != value:
            st.query_params[name] = value
        elif not value and name in st.query_params:
            del st.query_params[name]


def main() -> None:
    """Draw the app."""
    st.set_page_config("drs", page_icon=str(ICON), layout="wide")
    known = pages()
    try:
        desk.store()
    except DrsError as error:
        st.error("\n".join(words_of(error)), icon=":material/error:")
        st.stop()
    target = _first_run() if KEY not in st.session_state else None
    page = st.navigation(list(known.values()))
    if target in known and known[target] != page:
        st.switch_page(known[target])
    waited = desk.store().job(state().job) if state().job else None
    if waited is not None and not waited.running:
        desk.take(waited)
    with st.sidebar:
        _source()
        _plan_in_hand()
        _tray()
    _link()
    page.run()


if __name__ == "__main__":
    main()
