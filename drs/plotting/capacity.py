"""Charts of a capacity planner's questions, of batches, and of policies over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drs.plotting.style import AFTER, BEFORE, CAPACITY, GOOD, WARN, empty_figure, finish, plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

Rows = Sequence[Mapping[str, Any]]
COLOURS = (AFTER, WARN, GOOD, CAPACITY, BEFORE, "#a855f7", "#0d9488")

SHOWN: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "how-many": (
        "cluster",
        ("least", "n_hosts", "rule_of_thumb"),
        "Hosts: the bound, the target found, and the usual rule",
    ),
    "when-full": ("cluster", ("months", "months_without_rebalancing"), "Months until full"),
    "weekend": ("hosts", ("plan_s", "service_s"), "Seconds of migration and of service, step by step"),
    "buy": ("cluster", ("amount",), "What restores N+k"),
    "leave": ("wave", ("hosts_source", "hosts_reinstalling", "hosts_target"), "Hosts in each wave"),
}
"""For each question: what stands on the axis, which columns are bars, and the title."""


def answer(question: str, rows: Rows) -> go.Figure:
    """The chart of an answer of `drs.capacity`.

    Parameters
    ----------
    question : one of `drs capacity`. rows : the answer's.
    """
    if not rows:
        return empty_figure("Nothing to show")
    if question == "survives":
        return over(rows, "month", "survives", "cluster", "Host failures survived, month by month")
    if question == "ratio":
        return over(
            [{**row, "figure": name, "value": row[name]} for name in ("memory_max_ratio", "cpu_max_ratio", "survives")
             for row in rows], "hosts_off", "value", "figure", "Hosts off against what it risks",
        )  # fmt: skip
    axis, columns, title = SHOWN[question]
    import plotly.graph_objects as go

    figure = go.Figure()
    for colour, column in zip(COLOURS, columns, strict=False):
        values = [row.get(column) for row in rows]
        shown = [value if value is not None and math.isfinite(value) else None for value in values]
        labels = [
            plain(" ".join(str(row[key]) for key in (axis, "resource", "purchase") if key in row))
            for row in rows
        ]
        figure.add_bar(x=labels, y=shown, name=column.replace("_", " "), marker={"color": colour})
    figure.update_layout(barmode="stack" if question in ("weekend", "leave") else "group")
    return finish(figure, title)


def over(rows: Rows, x: str, y: str, by: str, title: str) -> go.Figure:
    """A line for each value of `by`: a policy over time, a cluster over months."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for k, name in enumerate(dict.fromkeys(str(row[by]) for row in rows)):
        own = [row for row in rows if str(row[by]) == name]
        figure.add_scatter(x=[row[x] for row in own], y=[row[y] for row in own], name=plain(name),
                           mode="lines+markers" if len(own) < 40 else "lines",
                           line={"color": COLOURS[k % len(COLOURS)]})  # fmt: skip
    figure.update_xaxes(title=plain(x.replace("_", " ")))
    figure.update_yaxes(title=plain(y.replace("_", " ")))
    return finish(figure, title)


def growth_band(months: Sequence[float], low: Sequence[float], middle: Sequence[float], high: Sequence[float],
                capacity: float, title: str = "Growth") -> go.Figure:  # fmt: skip
    """Load in the months to come with its band, and the capacity that it meets."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter(
        x=list(months), y=list(high), mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip"
    )
    figure.add_scatter(x=list(months), y=list(low), mode="lines", line={"width": 0}, fill="tonexty", name="80 %",
                       fillcolor="rgba(37,99,235,0.18)")  # fmt: skip
    figure.add_scatter(x=list(months), y=list(middle), mode="lines", line={"color": AFTER}, name="median")
    figure.add_hline(y=capacity, line={"color": CAPACITY, "dash": "dot"})
    figure.update_xaxes(title="months")
    return finish(figure, title)


def tornado(rows: Rows, figure_column: str, title: str = "What matters") -> go.Figure:
    """How far each axis of a batch moves a figure: from the least to the most of its means, the longest bar on top.

    Parameters
    ----------
    rows : of a batch, with columns `at_NAME`. figure_column : such as `cpu_max_after`.
    """
    import plotly.graph_objects as go

    spans: list[tuple[float, str, float, float]] = []
    axes = dict.fromkeys(name for row in rows for name in row if name.startswith("at_"))
    for axis in axes:
        groups: dict[Any, list[float]] = {}
        for row in rows:
            at, value = row.get(axis), row.get(figure_column)
            if (
                at is None
                or value is None
                or not math.isfinite(value)
                or (isinstance(at, float) and math.isnan(at))
            ):
                continue
            groups.setdefault(at, []).append(float(value))
        means = [sum(values) / len(values) for values in groups.values()]
        if len(means) > 1:
            spans.append((max(means) - min(means), axis.removeprefix("at_"), min(means), max(means)))
    if not spans:
        return empty_figure("No axis has two values")
    spans.sort()
    figure = go.Figure(
        go.Bar(orientation="h", y=[plain(name) for _, name, _, _ in spans], x=[span for span, *_ in spans],
               base=[low for _, _, low, _ in spans], marker={"color": AFTER})
    )  # fmt: skip
    figure.update_xaxes(title=plain(figure_column.replace("_", " ")))
    return finish(figure, title, legend=False)


def distribution(values: Sequence[float], title: str, unit: str = "") -> go.Figure:
    """A histogram of a figure over the samples of a batch."""
    import plotly.graph_objects as go

    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return empty_figure("No values")
    figure = go.Figure(go.Histogram(x=known, nbinsx=40, marker={"color": AFTER}))
    figure.update_xaxes(title=plain(unit))
    return finish(figure, title, legend=False)


__all__ = ["answer", "distribution", "growth_band", "over", "tornado"]
