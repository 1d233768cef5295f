"""One look for all figures, with their colours. Backgrounds are clear, so that they suit light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go

FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
GRID = "rgba(128,140,160,0.22)"
INK = "#64748b"

BEFORE = "#94a3b8"
AFTER = "#2563eb"
CAPACITY = "#dc2626"
MEAN = "#64748b"
DARK = "#be123c"
"""The moment in which a VM stands still."""
GOOD = "#059669"
WARN = "#d97706"

KIND_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "vmotion": "#2563eb",
        "storage": "#e08a00",
        "cross_vcenter": "#a855f7",
        "long_distance": "#0d9488",
        "cold": "#78716c",
    }
)


def finish(figure: go.Figure, title: str, *, height: int = 360, legend: bool = True) -> go.Figure:
    """Gives a figure its title, margins, legend and grid; returns it."""
    figure.update_layout(
        title={"text": title, "font": {"size": 15}, "x": 0, "xanchor": "left", "y": 0.98, "yanchor": "top"},
        font={"family": FONT, "size": 12, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 8, "t": 64, "b": 8},
        height=height,
        showlegend=legend,
        legend={
            "orientation": "h",
            "y": 1.0,
            "yanchor": "bottom",
            "x": 1.0,
            "xanchor": "right",
            "font": {"size": 11},
        },
        hoverlabel={"font": {"family": FONT, "size": 12}, "align": "left"},
    )
    figure.update_xaxes(gridcolor=GRID, zerolinecolor=GRID, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor=GRID, automargin=True)
    return figure


def empty_figure(words: str, height: int = 180) -> go.Figure:
    """A figure that says why it is empty."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_annotation(
        text=words, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"size": 14, "color": INK}
    )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return finish(figure, "", height=height, legend=False)


def plain(name: str) -> str:
    """A name as text for plotly, which reads a little HTML in titles, ticks and hovers."""
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
