"""Charts of one migration: its rounds, its downtime against bandwidth and dirty rate, the five kinds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from drs import precopy
from drs.model.snapshot import Bools, Floats
from drs.plotting.style import AFTER, CAPACITY, DARK, INK, KIND_COLOURS, WARN, empty_figure, finish
from drs.words import KIND_TITLES, mebibytes, megabits, milliseconds, seconds

if TYPE_CHECKING:
    import plotly.graph_objects as go

Axis = Literal["bandwidth_mbps", "dirty_rate_mibps"]
AXES: dict[str, str] = {"bandwidth_mbps": "bandwidth, Mbit/s", "dirty_rate_mibps": "dirty rate, MiB/s"}


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Prices of one migration along an axis.

    limit : where it begins, or ceases, to converge; NaN where it does not turn on this stretch.
    """

    axis: Axis
    x: Floats
    total_s: Floats
    downtime_ms: Floats
    downtime_low_ms: Floats
    downtime_high_ms: Floats
    converged: Bools
    here: float
    limit: float


def curve(ask: precopy.Ask, axis: Axis, *, n: int = 96) -> Curve:
    """Prices along bandwidth or dirty rate, from a tenth to ten times of what was asked.

    Parameters
    ----------
    ask : the arguments of `drs.precopy.estimate`, all scalars.
    axis : which of them varies.
    n : how many points.
    """
    here = float(np.asarray(ask.get(axis) or 0.0))
    rest: Any = {key: value for key, value in ask.items() if key != axis}
    if axis == "bandwidth_mbps":
        limit = float(precopy.least_bandwidth_mbps(**rest))
        low = min(here / 10, limit / 2) if 0 < limit < math.inf else here / 10
        high = max(here * 10, limit * 2) if limit < math.inf else here * 10
        x = np.geomspace(min(max(low, 10.0), 1e5), min(max(high, 1000.0), 1e6), n)
    else:
        limit = float(precopy.most_dirty_mibps(**rest))
        near = 1.3 * limit if 1.3 * limit <= 20 * max(here, 100.0) else 0.0
        x = np.linspace(0.0, max(2 * here, near, 100.0), n)
    price = precopy.sweep(axis, x, **rest)
    converged = np.asarray(price.converged, dtype=bool)
    inside = x[0] < limit < x[-1]
    return Curve(
        axis,
        x,
        np.asarray(price.total_s),
        np.asarray(price.downtime_ms),
        np.asarray(price.downtime_low_ms),
        np.asarray(price.downtime_high_ms),
        converged,
        here,
        limit if inside else math.nan,
    )


def downtime_curve(table: Curve) -> go.Figure:
    """Downtime along bandwidth or dirty rate, with its 80 % interval and the convergence limit.

    Parameters
    ----------
    table : from `curve`.
    """
    import plotly.graph_objects as go

    known = np.isfinite(table.downtime_ms)
    if not known.any():
        return empty_figure("No price anywhere on this axis")
    figure = go.Figure()
    x = table.x[known]
    low, high = table.downtime_low_ms[known], table.downtime_high_ms[known]
    figure.add_scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        mode="lines",
        fill="toself",
        fillcolor="rgba(37,99,235,0.14)",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )
    for good, colour, dash, label in (
        (True, AFTER, "solid", "downtime"),
        (False, WARN, "dash", "downtime, not converging"),
    ):
        part = table.converged[known] == good
        if not part.any():
            continue
        # Reach to the neighbour, so that the two parts of the line meet.
        wide = part | np.r_[part[1:], False] if not good else part
        figure.add_scatter(
            x=x,
            y=np.where(wide, table.downtime_ms[known], np.nan),
            mode="lines",
            name=label,
            line={"color": colour, "width": 2.4, "dash": dash},
            customdata=[seconds(float(v)) for v in table.total_s[known]],
            hovertemplate="%{x:,.0f}: %{y:,.0f} ms, in all %{customdata}<extra></extra>",
        )
    if math.isfinite(table.limit):
        words = megabits(table.limit) if table.axis == "bandwidth_mbps" else f"{table.limit:,.0f} MiB/s"
        low_side = table.axis == "bandwidth_mbps"
        along = (
            math.log(table.limit / x[0]) / math.log(x[-1] / x[0])
            if low_side
            else table.limit / max(float(x[-1]), 1e-9)
        )
        figure.add_vline(x=table.limit, line={"color": CAPACITY, "width": 1.6, "dash": "dash"})
        figure.add_vrect(
            x0=float(x[0]) if low_side else table.limit,
            x1=table.limit if low_side else float(x[-1]),
            fillcolor="rgba(220,38,38,0.07)",
            line_width=0,
            layer="below",
        )
        figure.add_annotation(
            x=math.log10(table.limit) if low_side else table.limit,
            y=1.0,
            yref="paper",
            yanchor="top",
            xanchor="left" if along < 0.55 else "right",
            xshift=4 if along < 0.55 else -4,
            showarrow=False,
            text=f"converges {'above' if low_side else 'below'} {words}",
            font={"color": CAPACITY, "size": 11},
        )
    if table.here > 0 or table.axis == "dirty_rate_mibps":
        at = float(np.interp(table.here, x, table.downtime_ms[known]))
        figure.add_scatter(
            x=[table.here],
            y=[at],
            mode="markers",
            name="this VM",
            marker={"size": 11, "color": DARK, "line": {"width": 1.5, "color": "white"}},
            hovertemplate=f"this VM: {milliseconds(at)}<extra></extra>",
        )
    figure.update_xaxes(title=AXES[table.axis])
    if table.axis == "bandwidth_mbps":
        _decades(figure, float(x[0]), float(x[-1]))
    else:
        figure.update_xaxes(range=[0, float(x[-1])])
    figure.update_yaxes(title="downtime, ms", type="log")
    low_ms, high_ms = max(float(low.min()), 0.1), float(high.max())
    ticks = _one_two_five(low_ms, high_ms)
    figure.update_yaxes(
        tickvals=ticks,
        ticktext=[f"{tick:,g}" for tick in ticks],
        range=[math.log10(low_ms) - 0.05, math.log10(high_ms) + 0.15],
    )
    word = "bandwidth" if table.axis == "bandwidth_mbps" else "dirty rate"
    figure = finish(figure, f"Downtime against {word}", height=380)
    figure.update_layout(
        margin={"t": 44}, legend={"y": -0.22, "yanchor": "top", "x": 0.5, "xanchor": "center"}
    )
    return figure


def _one_two_five(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between two numbers; powers of ten alone where that is plenty."""
    factors = (1, 2, 5) if high / low < 1000 else (1,)
    return [m * 10.0**p for p in range(-2, 9) for m in factors if low <= m * 10.0**p <= high]


def _decades(figure: go.Figure, low: float, high: float) -> None:
    """A logarithmic x axis with few, round ticks."""
    ticks = _one_two_five(low, high)
    figure.update_xaxes(
        type="log",
        tickvals=ticks,
        ticktext=[f"{t / 1000:g}k" if t >= 1000 else f"{t:g}" for t in ticks],
        tickangle=0,
        range=[math.log10(low), math.log10(high)],
    )


def rounds(table: Sequence[precopy.Round]) -> go.Figure:
    """The rounds of pre-copy as bars: what each one sends, how long it takes, what is dirtied meanwhile.

    Parameters
    ----------
    table : from `drs.precopy.rounds`; the pass while the guest stands still is coloured apart.
    """
    import plotly.graph_objects as go

    sent_mib = [item.sent_mib for item in table]
    live = [item for item in table if not item.stopped]
    if not len(sent_mib):
        return empty_figure("No memory to copy")
    names = ["stop" if item.stopped else str(item.number) for item in table]
    figure = go.Figure()
    figure.add_bar(
        x=names,
        y=sent_mib,
        name="sent",
        text=[mebibytes(v) for v in sent_mib],
        textposition="outside",
        cliponaxis=False,
        customdata=[
            seconds(item.duration_s) if not item.stopped else milliseconds(1000 * item.duration_s)
            for item in table
        ],
        marker={"color": [DARK if item.stopped else AFTER for item in table], "line": {"width": 0}},
        hovertemplate="round %{x}: %{text} in %{customdata}<extra></extra>",
    )
    figure.add_scatter(
        x=[str(item.number) for item in live],
        y=[item.dirtied_mib if item.dirtied_mib > 0 else None for item in live],
        mode="lines+markers",
        name="dirtied meanwhile",
        line={"color": WARN, "width": 2},
        marker={"size": 7},
        hovertemplate="during round %{x}: %{y:,.1f} MiB dirtied<extra></extra>",
    )
    if len(names) > 16:
        figure.update_traces(textposition="none", selector={"type": "bar"})
    positive = [v for v in sent_mib if v > 0]
    if positive and max(positive) / min(positive) > 50:
        low, high = math.floor(math.log10(min(positive))), math.log10(max(positive))
        figure.update_yaxes(type="log", dtick=1, range=[low, high + 0.12 * (high - low)])
    figure.update_xaxes(title="round", type="category", categoryorder="array", categoryarray=names)
    figure.update_yaxes(title="MiB")
    return finish(figure, "Rounds of pre-copy", height=380)


def five_kinds(prices: Mapping[str, precopy.Estimate]) -> go.Figure:
    """The kinds of migration side by side: time, downtime and data.

    Parameters
    ----------
    prices : scalar estimates by kind; a kind that may not be used shows as such.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    if not prices:
        return empty_figure("No kinds")
    panels: tuple[tuple[str, Any, Any], ...] = (
        ("Total time", lambda p: float(p.total_s), seconds),
        ("Downtime", lambda p: float(p.downtime_ms), milliseconds),
        ("Data sent", lambda p: float(p.transferred_mib), mebibytes),
    )
    kinds = list(prices)[::-1]
    figure = make_subplots(
        rows=1,
        cols=3,
        shared_yaxes=True,
        subplot_titles=[title for title, _, _ in panels],
        horizontal_spacing=0.03,
    )
    for column, (title, measure, words) in enumerate(panels, start=1):
        values = [measure(prices[kind]) for kind in kinds]
        finite = [value for value in values if math.isfinite(value)]
        shown = [value if math.isfinite(value) else 0.0 for value in values]
        text = [
            "not possible" if math.isnan(value) else words(value) if value or title != "Downtime" else "none"
            for value in values
        ]
        if title == "Downtime":
            text = ["powered off" if kind == "cold" else word for kind, word in zip(kinds, text, strict=True)]
        figure.add_trace(
            go.Bar(
                orientation="h",
                x=shown,
                y=[KIND_TITLES[kind] for kind in kinds],
                text=text,
                showlegend=False,
                textposition="outside",
                cliponaxis=False,
                marker={"color": [KIND_COLOURS[kind] for kind in kinds], "line": {"width": 0}},
                hovertemplate="%{y}: %{text}<extra>" + title + "</extra>",
            ),
            row=1,
            col=column,
        )
        figure.update_xaxes(
            range=[0, (max(finite, default=0.0) or 1.0) * 1.45],
            showticklabels=False,
            showgrid=False,
            row=1,
            col=column,
        )
    figure.update_yaxes(showgrid=False)
    figure = finish(figure, "The five kinds side by side", height=270, legend=False)
    figure.update_layout(margin={"t": 70})
    figure.update_annotations(font={"size": 12, "color": INK})
    return figure


__all__ = ["Curve", "curve", "downtime_curve", "five_kinds", "rounds"]
