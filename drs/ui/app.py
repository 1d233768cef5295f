"""The app's frame: pages, the choice of the cluster, deep links.

Run with `drs ui`, or `streamlit run app.py`. A link may name the dataset and the page:
`/?dataset=small&page=advise`, or `/advise?dataset=small`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from drs.errors import DrsError
from drs.ui.clusters import choices, given, opened, words_of
from drs.ui.state import KEY, UPLOADED, open_cluster, state, update

PAGES = Path(__file__).with_name("views")
# A file, since streamlit's own icons for the browser's tab come from the network.
ICON = Path(__file__).with_name("icon.png")


def pages() -> dict[str, Any]:
    """The pages by the name that a link uses."""
    return {
        "overview": st.Page(
            PAGES / "overview.py", title="Overview", icon=":material/dashboard:", default=True
        ),
        "advise": st.Page(PAGES / "advise.py", title="Advise", icon=":material/tips_and_updates:"),
        "frontier": st.Page(PAGES / "frontier.py", title="Frontier", icon=":material/show_chart:"),
        "schedule": st.Page(
            PAGES / "schedule.py", title="Schedule and network", icon=":material/calendar_view_day:"
        ),
        "calculator": st.Page(
            PAGES / "calculator.py", title="Migration calculator", icon=":material/calculate:"
        ),
    }


def _first_run() -> str | None:
    """Open what the link, or `drs ui`, or the first dataset says; returns the page that the link names."""
    wanted = st.query_params.get("dataset")
    known = choices()
    source = wanted if wanted in known else given() or (known[0] if known else "")
    if source:
        _open(source)
        if wanted and wanted not in known:
            update(faults=(f"There is no dataset {wanted!r}. This one is shown in its place.",))
    else:
        update()
    return st.query_params.get("page")


def _open(source: str) -> None:
    try:
        open_cluster(source, opened(source))
    except DrsError as error:
        open_cluster(source, None, words_of(error))


def _short(source: str) -> str:
    return Path(source).name if "/" in source or "\\" in source else source


def _sidebar() -> None:
    now = state()
    options = [*choices(), *([UPLOADED] if now.uploaded else [])]
    with st.sidebar:
        if not options:
            st.info("No dataset is bundled. Upload a cluster on the overview page.")
            return
        key = "sidebar.source"
        if st.session_state.get(key) not in options or st.session_state.get("sidebar.shown") != now.source:
            st.session_state[key] = now.source if now.source in options else options[0]
            st.session_state["sidebar.shown"] = now.source
        chosen = st.selectbox("Cluster", options, key=key, format_func=_short)
        if chosen != now.source:
            if chosen == UPLOADED:
                open_cluster(UPLOADED, now.uploaded)
            else:
                _open(chosen)
            st.session_state["sidebar.shown"] = chosen
        cluster = state().cluster
        if cluster is not None:
            snapshot = cluster.snapshot
            st.caption(f"{snapshot.n_hosts:,} hosts, {snapshot.n_vms:,} VMs · `{snapshot.digest}`")


def main() -> None:
    """Draw the app."""
    st.set_page_config("drs", page_icon=str(ICON), layout="wide")
    known = pages()
    target = _first_run() if KEY not in st.session_state else None
    page = st.navigation(list(known.values()))
    if target in known and known[target] != page:
        st.switch_page(known[target])
    _sidebar()
    source = state().source
    if source in choices() and source != given() and st.query_params.get("dataset") != source:
        st.query_params["dataset"] = source
    page.run()


if __name__ == "__main__":
    main()
