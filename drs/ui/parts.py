"""Pieces that several pages show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from drs.model import Snapshot
from drs.plotting.style import Figure
from drs.report.tables import VIOLATIONS, frame
from drs.rules import Violation
from drs.ui.clusters import Cluster
from drs.ui.state import state

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|$:<>~&])")


def md(text: str) -> str:
    """Words from outside as plain text within Markdown."""
    return _SPECIAL.sub(r"\\\1", text).replace("\n", " ")


STYLE = """<style>
[data-testid="stMainBlockContainer"]{padding:2.6rem 2.4rem 3rem;max-width:1500px}
[data-testid="stSidebarContent"] [data-testid="stSidebarHeader"]{height:1.5rem;min-height:0}
[data-testid="stMetricValue"]{font-size:1.25rem;font-variant-numeric:tabular-nums}
[data-testid="stMetricValue"] *{white-space:normal;overflow:visible;text-overflow:clip}
[data-testid="stMetricDelta"] *{font-size:.76rem;white-space:normal;overflow:visible;text-overflow:clip}
[data-testid="stMetricLabel"] *{font-size:.8rem}
h1{font-size:1.9rem!important;padding-bottom:.2rem!important}
</style>"""


def page_file(name: str) -> str:
    """The file of a page, as links within the app name it."""
    return str(Path(__file__).with_name("views") / f"{name}.py")


def heading(title: str, words_below: str = "") -> None:
    """A page's title."""
    st.html(STYLE)
    st.title(title, anchor=False)
    if words_below:
        st.caption(words_below)


def rests_on(snapshot: Snapshot) -> None:
    """What the answers rest on, loud where the demand was guessed."""
    said = snapshot.rests_on
    if said.is_weak:
        st.warning(md(said.sentence()), icon=":material/help:")
    elif said.sentence():
        st.caption(md(said.sentence()))


def needs_cluster() -> Cluster:
    """The open cluster; shows what is wrong and ends the page where there is none."""
    now = state()
    if now.faults:
        show_faults("This cluster cannot be read" if now.cluster is None else "Please note", now.faults)
    if now.cluster is None:
        if not now.faults:
            st.info("Choose a cluster in the sidebar, or upload one in the cockpit.")
        st.stop()
    assert now.cluster is not None
    return now.cluster


def show_faults(title: str, faults: Sequence[str]) -> None:
    """One message with all faults."""
    shown = "\n".join(f"- {md(fault)}" for fault in faults[:50])
    more = f"\n- … and {len(faults) - 50} more" if len(faults) > 50 else ""
    st.error(f"**{md(title)}**\n\n{shown}{more}", icon=":material/error:")


def chart(figure: Figure, key: str) -> None:
    """A figure as wide as its place."""
    st.plotly_chart(figure, width="stretch", key=key, config={"displaylogo": False, "displayModeBar": False})


def tiles(figures: Sequence[tuple[str, str, str | None]], border: bool = True) -> None:
    """Key figures side by side: label, value, and a word on the change ("-…" is drawn as a fall)."""
    for column, (label, value, change) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(
            label, value, change, delta_color="off" if change else "normal", border=border, delta_arrow="off"
        )


def violations_table(violations: Sequence[Violation], key: str) -> None:
    """Broken rules as a table."""
    st.dataframe(
        frame(VIOLATIONS, violations),
        hide_index=True,
        width="stretch",
        key=key,
        column_config={"What is broken": st.column_config.TextColumn(width="large")},
    )


__all__ = [
    "chart",
    "heading",
    "md",
    "needs_cluster",
    "page_file",
    "rests_on",
    "show_faults",
    "tiles",
    "violations_table",
]
