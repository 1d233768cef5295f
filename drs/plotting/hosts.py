"""Charts of the hosts' load: each host before and after, the distribution, the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from drs.model import Placement, Snapshot
from drs.plotting.data import history_ratio, host_loads
from drs.plotting.style import AFTER, BEFORE, CAPACITY, MEAN, empty_figure, finish, plain
from drs.words import amount, percent, resource_title

if TYPE_CHECKING:
    import plotly.graph_objects as go


def host_load(
    snapshot: Snapshot,
    before: Placement | None = None,
    after: Placement | None = None,
    *,
    resource: str = "cpu",
    most: int = 100,
) -> go.Figure:
    """Load over capacity of each host, with the capacity line and the mean.

    Parameters
    ----------
    snapshot : the cluster.
    before : a placement; today's where not given.
    after : a second placement beside it, such as `result.placement`; none for a single bar a host.
    resource : one of `snapshot.resources`.
    most : beyond so many hosts, those with the most load or the most change are shown.
    """
    import plotly.graph_objects as go

    loads = host_loads(snapshot, before, after, resource)
    shown = np.array(loads.most_telling(most), dtype=np.int64)
    if not len(shown):
        return empty_figure("No hosts")
    names = [plain(name) for name in loads.host[shown].tolist()]
    figure = go.Figure()
    series: list[tuple[str, str, Any, Any]] = [("Today", BEFORE, loads.before, loads.before_ratio)]
    if after is None:
        series = [("Load", AFTER, loads.before, loads.before_ratio)]
    else:
        series.append(("After the plan", AFTER, loads.after, loads.after_ratio))
    for label, colour, demand, ratio in series:
        figure.add_bar(
            x=names,
            y=ratio[shown],
            name=label,
            marker={
                "color": colour if after is not None else [_colour(snapshot, i, ratio[i]) for i in shown],
                "line": {"width": 0},
            },
            customdata=[
                [amount(resource, demand[i]), amount(resource, loads.capacity[i]), _state(snapshot, i)]
                for i in shown
            ],
            hovertemplate="<b>%{x}</b>%{customdata[2]}<br>%{y:.1%}: %{customdata[0]} of %{customdata[1]}"
            f"<extra>{label}</extra>",
        )
    figure.add_hline(
        y=1.0,
        line={"color": CAPACITY, "width": 1.5},
        annotation={"text": "capacity", "font": {"color": CAPACITY}},
        annotation_position="top right",
    )
    figure.add_hline(y=loads.mean_ratio, line={"color": MEAN, "width": 1.2, "dash": "dot"})
    left_out = len(loads.host) - len(shown)
    title = f"{resource_title(resource)} load of each host, mean {percent(loads.mean_ratio)} (dotted)"
    if left_out:
        title += f"; {left_out} hosts with less load or change are not shown"
    top = float(np.nanmax([1.0, *loads.before_ratio[shown], *loads.after_ratio[shown]]))
    figure.update_yaxes(tickformat=".0%", range=[0, top * 1.12], title=None)
    figure.update_xaxes(type="category", tickangle=-45 if len(names) > 14 else 0)
    figure.update_layout(barmode="group", bargap=0.25, bargroupgap=0.08)
    return finish(figure, title, height=360, legend=after is not None)


def _colour(snapshot: Snapshot, host: int, ratio: float) -> str:
    """Over capacity, out of service, or fine."""
    if str(snapshot.hosts.state[host]) != "connected":
        return BEFORE
    return CAPACITY if ratio > 1.0 else AFTER


def _state(snapshot: Snapshot, host: int) -> str:
    state = str(snapshot.hosts.state[host])
    return "" if state == "connected" else f" ({state})"


def load_distribution(
    snapshot: Snapshot,
    before: Placement | None = None,
    after: Placement | None = None,
    *,
    resource: str = "cpu",
) -> go.Figure:
    """How many hosts stand at which load: flat and wide is unbalanced, narrow and tall is balanced.

    Parameters
    ----------
    snapshot, before, after, resource : as for `host_load`.
    """
    import plotly.graph_objects as go

    loads = host_loads(snapshot, before, after, resource)
    if not loads.usable.any():
        return empty_figure("No connected hosts")
    first, second = loads.before_ratio[loads.usable], loads.after_ratio[loads.usable]
    top = max(1.0, float(first.max()), float(second.max()))
    edges = np.linspace(0.0, np.ceil(top * 20) / 20, int(np.ceil(top * 20)) + 1)
    figure = go.Figure()
    series = [("Today", BEFORE, first)]
    if after is None:
        series = [("Load", AFTER, first)]
    else:
        series.append(("After the plan", AFTER, second))
    for label, colour, ratio in series:
        counts, _ = np.histogram(np.minimum(ratio, edges[-1]), bins=edges)
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=0.046,
            name=f"{label} (σ {ratio.std():.3f})",
            marker={"color": colour, "line": {"width": 0}},
            opacity=0.75,
            customdata=np.column_stack([edges[:-1], edges[1:]]),
            hovertemplate="%{customdata[0]:.0%} to %{customdata[1]:.0%}: %{y} hosts<extra>"
            + label
            + "</extra>",
        )
    figure.add_vline(x=1.0, line={"color": CAPACITY, "width": 1.5})
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(tickformat=".0%", title=f"{resource_title(resource)} load over capacity")
    highest = max(float(np.max(trace.y)) for trace in figure.data)
    figure.update_yaxes(title="hosts", rangemode="tozero", dtick=1 if highest <= 6 else None)
    return finish(figure, f"Distribution of {resource_title(resource)} load", height=320)


def load_balance(
    snapshot: Snapshot,
    before: Placement | None = None,
    after: Placement | None = None,
    *,
    x: str = "cpu",
    y: str = "memory",
) -> go.Figure:
    """One resource against another, a dot a host: hosts off the diagonal strand what they have left.

    Parameters
    ----------
    snapshot, before, after : as for `host_load`.
    x, y : two of `snapshot.resources`.
    """
    import plotly.graph_objects as go

    across, up = host_loads(snapshot, before, after, x), host_loads(snapshot, before, after, y)
    if not across.usable.any():
        return empty_figure("No connected hosts")
    names = [plain(name) + _state(snapshot, i) for i, name in enumerate(across.host.tolist())]
    figure = go.Figure()
    series = [("Today", BEFORE, across.before_ratio, up.before_ratio)]
    if after is None:
        series = [("Load", AFTER, across.before_ratio, up.before_ratio)]
    else:
        series.append(("After the plan", AFTER, across.after_ratio, up.after_ratio))
    for label, colour, one, other in series:
        figure.add_scatter(
            x=one,
            y=other,
            mode="markers",
            name=label,
            text=names,
            marker={"size": 10, "color": colour, "opacity": 0.85, "line": {"width": 1, "color": "white"}},
            hovertemplate="<b>%{text}</b><br>"
            + resource_title(x)
            + " %{x:.0%}, "
            + resource_title(y)
            + " %{y:.0%}<extra>"
            + label
            + "</extra>",
        )
    ratios = (across.before_ratio, across.after_ratio, up.before_ratio, up.after_ratio)
    top = 1.08 * max(1.0, *(float(np.nanmax(ratio)) for ratio in ratios if np.isfinite(ratio).any()))
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line={"color": MEAN, "width": 1, "dash": "dot"})
    figure.add_shape(type="line", x0=1, y0=0, x1=1, y1=1, line={"color": CAPACITY, "width": 1.5})
    figure.add_shape(type="line", x0=0, y0=1, x1=1, y1=1, line={"color": CAPACITY, "width": 1.5})
    figure.update_xaxes(tickformat=".0%", title=f"{resource_title(x)} load", range=[0, top])
    figure.update_yaxes(tickformat=".0%", title=f"{resource_title(y)} load", range=[0, top])
    title = f"{resource_title(x)} against {y.replace('_', ' ')} load, a dot a host"
    return finish(figure, title, height=320, legend=after is not None)


def load_history(
    snapshot: Snapshot, placement: Placement | None = None, *, resource: str = "cpu", most: int = 100
) -> go.Figure:
    """Load of each host over the load history, as a heat map: who is hot, and when.

    Parameters
    ----------
    snapshot : with `loads`.
    placement : where the VMs are taken to run; today's where not given.
    resource : `cpu` or `memory` (active).
    most : beyond so many hosts, those with the highest peaks are shown.
    """
    import plotly.graph_objects as go

    ratio = history_ratio(snapshot, placement, resource)
    if snapshot.loads is None or ratio.size == 0:
        return empty_figure("No load history in this snapshot")
    peak = np.nan_to_num(ratio).max(axis=1)
    shown = np.sort(np.argsort(-peak, kind="stable")[:most])
    names = [plain(name) for name in snapshot.hosts.name[shown].tolist()]
    figure = go.Figure(
        go.Heatmap(
            x=snapshot.loads.time.astype("datetime64[ms]").astype(object).tolist(),
            y=names,
            z=ratio[shown],
            zmin=0.0,
            zmax=max(1.0, float(np.nanmax(ratio))),
            colorscale=[
                [0.0, "#eff6ff"],
                [0.35, "#93c5fd"],
                [0.6, "#2563eb"],
                [0.8, "#f59e0b"],
                [1.0, "#b91c1c"],
            ],
            colorbar={"tickformat": ".0%", "thickness": 12, "title": None},
            hovertemplate="<b>%{y}</b><br>%{x|%a %d %b %H:%M}<br>%{z:.0%}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    figure.update_xaxes(showgrid=False)
    word = "CPU" if resource == "cpu" else "Active memory"
    return finish(figure, f"{word} load over time", height=max(260, min(900, 90 + 14 * len(names))))


__all__ = ["host_load", "load_balance", "load_distribution", "load_history"]
