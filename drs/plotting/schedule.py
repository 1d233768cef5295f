"""Charts of a plan in time: the timeline, the use of links, and the topology with the flows of a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from drs.model import Snapshot
from drs.model.network import Network
from drs.model.snapshot import Floats
from drs.planning import Move, Plan
from drs.plotting.data import Lanes, LinkUse, band, directions, lanes, replayed_link_use, running, waves
from drs.plotting.layout import layout, shown_hosts
from drs.plotting.style import (
    AFTER,
    BEFORE,
    CAPACITY,
    DARK,
    GRID,
    INK,
    KIND_COLOURS,
    empty_figure,
    finish,
    plain,
)
from drs.words import KIND_TITLES, count, mebibytes, megabits, milliseconds, percent, seconds, shortened

if TYPE_CHECKING:
    import plotly.graph_objects as go

SERIES = (
    "#2563eb",
    "#e08a00",
    "#0d9488",
    "#a855f7",
    "#db2777",
    "#65a30d",
    "#0891b2",
    "#b45309",
    "#6366f1",
    "#64748b",
)


def timeline(plan: Plan, *, most: int = 60, links: bool = True) -> go.Figure:
    """The plan as a Gantt chart: hosts and links as lanes, bars coloured by kind, downtime marked.

    A move shows on the host that it leaves (full colour), on the one that it reaches (light) and on the
    links between them. A red diamond marks the moment in which the VM stands still. Grey bands are waves.

    Parameters
    ----------
    plan : with its times.
    most : beyond so many hosts, the busiest are shown (links: a third of it).
    links : whether links have lanes.
    """
    import plotly.graph_objects as go

    if not plan.moves:
        return empty_figure("Nothing to move")
    table = lanes(plan, most=most, links=links)
    # A lane is as tall as its concurrent bars need, within reason.
    size = [min(1.0 + 0.35 * (n - 1), 3.0) for n in table.n_tracks]
    top = np.concatenate([[0.0], np.cumsum(size)])
    figure = go.Figure()
    _draw_bars(figure, plan, table, size, top)
    _draw_waves(figure, plan)
    middles = ((top[:-1] + top[1:]) / 2).tolist()
    n_host_lanes = sum(kind == "host" for kind in table.kind)
    if 0 < n_host_lanes < len(table.kind):
        figure.add_hline(y=float(top[n_host_lanes]), line={"color": INK, "width": 1})
    figure.update_yaxes(
        tickvals=middles,
        ticktext=[plain(shortened(name or "not placed", 28)) for name in table.name],
        range=[float(top[-1]), 0.0],
        showgrid=False,
        zeroline=False,
        tickfont={"size": 11},
    )
    figure.update_xaxes(title="seconds from the start of the plan", rangemode="tozero")
    figure.update_layout(barmode="overlay", bargap=0)
    title = f"{count(len(plan.moves), 'move')} in {seconds(plan.makespan_s)}"
    if table.n_hidden:
        title += f" ({table.n_hidden} quieter lanes not shown)"
    height = int(min(1600, max(260, 120 + 24 * float(top[-1]))))
    figure = finish(figure, title, height=height)
    figure.update_layout(margin={"t": 84}, legend={"y": 1.0 + 26 / height})
    return figure


def _words_of(move: Move) -> str:
    """What a bar says of its move."""
    return (
        f"<b>{plain(move.vm)}</b> · step {move.step}, wave {move.wave} · {KIND_TITLES[move.kind]}<br>"
        f"{plain(move.from_host or 'nowhere')} → {plain(move.to_host)}<br>"
        f"{seconds(move.start_s)} to {seconds(move.end_s)} ({seconds(move.total_s)})<br>"
        f"{mebibytes(move.transferred_mib)}, downtime {milliseconds(move.downtime_ms)}"
        + ("" if move.converged else "<br>may not converge")
        + ("<br>parking: moves on later" if move.parking else "")
    )


def _draw_bars(figure: go.Figure, plan: Plan, table: Lanes, size: list[float], top: Floats) -> None:
    """Bars of one kind are one trace; the moments of downtime are another, above them."""
    drawn: dict[tuple[str, str], dict[str, list[Any]]] = {}
    dark: dict[str, list[Any]] = {"x": [], "y": [], "text": []}
    for bar in table.bars:
        move = bar.move
        step = size[bar.lane] * 0.84 / table.n_tracks[bar.lane]
        y = float(top[bar.lane]) + 0.08 * size[bar.lane] + (bar.track + 0.5) * step
        strength = "from" if bar.role == "from" else "other"
        group = drawn.setdefault(
            (move.kind, strength), {"x": [], "base": [], "y": [], "width": [], "text": []}
        )
        duration = move.total_s if np.isfinite(move.total_s) else max(plan.makespan_s - move.start_s, 1.0)
        group["x"].append(duration)
        group["base"].append(move.start_s)
        group["y"].append(y)
        group["width"].append(step * 0.9)
        group["text"].append(_words_of(move))
        if bar.role == "from" and move.downtime_ms > 0:
            dark["x"].append(move.start_s + min(move.precopy_s or duration, duration))
            dark["y"].append(y)
            dark["text"].append(f"<b>{plain(move.vm)}</b> stands still for {milliseconds(move.downtime_ms)}")
    for kind in KIND_TITLES:
        for strength in ("from", "other"):
            part = drawn.get((kind, strength))
            if part is None:
                continue
            figure.add_bar(
                orientation="h",
                x=part["x"],
                base=part["base"],
                y=part["y"],
                width=part["width"],
                customdata=part["text"],
                hovertemplate="%{customdata}<extra></extra>",
                name=KIND_TITLES[kind],
                legendgroup=kind,
                showlegend=strength == "from",
                marker={
                    "color": KIND_COLOURS[kind],
                    "opacity": 1.0 if strength == "from" else 0.38,
                    "line": {"width": 1, "color": "rgba(255,255,255,0.75)"},
                },
            )
    if dark["x"]:
        figure.add_scatter(
            x=dark["x"],
            y=dark["y"],
            mode="markers",
            name="downtime",
            text=dark["text"],
            hovertemplate="%{text}<extra></extra>",
            marker={"symbol": "diamond", "size": 7, "color": DARK, "line": {"width": 1, "color": "white"}},
        )


def _draw_waves(figure: go.Figure, plan: Plan) -> None:
    """Grey bands, with numbers while there are few."""
    span = waves(plan)
    for i, wave in enumerate(span.wave[:40]):
        end = span.end_s[i] if i + 1 == len(span.wave) else max(span.start_s[i + 1], span.start_s[i])
        if i % 2 == 0 and np.isfinite(end):
            figure.add_vrect(
                x0=span.start_s[i], x1=end, fillcolor="rgba(128,140,160,0.10)", line_width=0, layer="below"
            )
        if len(span.wave) <= 24:
            figure.add_annotation(
                x=span.start_s[i],
                y=1.0,
                yref="paper",
                yanchor="bottom",
                xanchor="left",
                showarrow=False,
                text=f"wave {wave}" if i == 0 or len(span.wave) < 9 else str(wave),
                font={"size": 10, "color": INK},
            )


def link_load(
    plan: Plan, *, most: int = 8, nics: bool = True, uses: Sequence[LinkUse] | None = None
) -> go.Figure:
    """Use of the fullest links over time, as a share of what each can carry for migrations.

    Parameters
    ----------
    plan : with its times.
    most : how many links, fullest first.
    nics : whether the hosts' own vMotion NICs count as links.
    uses : from `drs.plotting.data.link_use` (evenly spread) or, the default, `replayed_link_use`.
    """
    import plotly.graph_objects as go

    uses = replayed_link_use(plan) if uses is None else uses
    uses = [use for use in uses if nics or not use.name.startswith("NICs of ")]
    if not uses:
        return empty_figure("No traffic")
    shown = uses[:most]
    end = max(plan.makespan_s, *(float(use.time_s[-1]) for use in shown))
    tallest = max(1.0, *(use.peak_ratio for use in shown))
    figure = go.Figure()
    for i, (use, colour) in enumerate(zip(shown, SERIES * (most // len(SERIES) + 1), strict=False)):
        ground = float(len(shown) - 1 - i)
        share = use.rate_mbps / use.capacity_mbps if 0 < use.capacity_mbps < np.inf else use.rate_mbps * 0.0
        figure.add_scatter(
            x=[0.0, end], y=[ground, ground], mode="lines", line={"color": GRID, "width": 1}, hoverinfo="skip"
        )
        figure.add_scatter(
            x=[0.0, *use.time_s.tolist(), end],
            y=[ground, *(ground + 0.8 * share / tallest).tolist(), ground],
            mode="lines",
            fill="tonexty",
            line={"shape": "hv", "color": colour, "width": 1.5},
            customdata=[
                [megabits(rate), percent(part)]
                for rate, part in zip(
                    [0.0, *use.rate_mbps.tolist(), 0.0], [0.0, *share.tolist(), 0.0], strict=True
                )
            ],
            hovertemplate="<b>"
            + plain(use.name)
            + "</b><br>from %{x:.0f} s: %{customdata[1]}, %{customdata[0]} of "
            + megabits(use.capacity_mbps)
            + "<extra></extra>",
        )
        figure.add_scatter(
            x=[0.0, end],
            y=[ground + 0.8 / tallest] * 2,
            mode="lines",
            hoverinfo="skip",
            line={"color": CAPACITY, "width": 1},
        )
    figure.update_yaxes(
        tickvals=[len(shown) - 1 - i + 0.4 / tallest for i in range(len(shown))],
        ticktext=[
            f"{plain(shortened(use.name, 32))}<br><span style='font-size:10px'>"
            f"{megabits(use.capacity_mbps)}, peak {percent(use.peak_ratio)}</span>"
            for use in shown
        ],
        showgrid=False,
        zeroline=False,
        range=[-0.1, len(shown)],
    )
    figure.update_xaxes(title="seconds from the start of the plan", range=[0, end])
    title = "Use of the fullest links" if len(uses) > most else "Use of the links"
    figure = finish(
        figure, f"{title} (red: what a link can carry)", height=110 + 58 * len(shown), legend=False
    )
    figure.update_layout(margin={"t": 44})
    return figure


def topology(
    snapshot: Snapshot,
    plan: Plan | None = None,
    at_s: float | None = None,
    *,
    most: int = 120,
    uses: Sequence[LinkUse] | None = None,
) -> go.Figure:
    """The network, with the migrations that run at one moment.

    Switches stand above the hosts that hang on them. Links are coloured by their use; arrows run from host
    to host, coloured by kind.

    Parameters
    ----------
    snapshot : whose network.
    plan, at_s : the flows of this moment; none for the bare network.
    most : beyond so many hosts, only those that take part in the plan and those of a fair sample are drawn.
    uses : as for `link_load`.
    """
    import plotly.graph_objects as go

    if snapshot.n_hosts == 0:
        return empty_figure("No hosts")
    moves = running(plan, at_s) if plan is not None and at_s is not None else ()
    graph = Network.of(snapshot).graph
    names = snapshot.hosts.name.tolist()
    keep = shown_hosts(snapshot, plan, most)
    position = layout(graph, snapshot, keep)
    use: dict[str, LinkUse] = {}
    if plan is not None and at_s is not None:
        found = replayed_link_use(plan) if uses is None else uses
        use = {item.name: item for item in found}
    figure = go.Figure()
    _draw_links(figure, graph, position, use, at_s)
    _draw_nodes(figure, graph, snapshot, position, moves)
    _draw_flows(figure, position, moves)
    hosts = [node for node in position if graph.nodes[node]["kind"] == "host"]
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    left_out = len(names) - len(hosts)
    title = (
        "Network"
        if at_s is None
        else f"Network at {seconds(at_s)}: {count(len(moves), 'migration')} under way"
    )
    if left_out:
        title += f" ({left_out} idle hosts not shown)"
    depth = max(y for _, y in position.values()) - min(y for _, y in position.values())
    return finish(figure, title, height=int(min(760, max(340, 200 + 90 * depth))))


def _draw_nodes(
    figure: go.Figure,
    graph: Any,
    snapshot: Snapshot,
    position: Mapping[str, tuple[float, float]],
    moves: Sequence[Move],
) -> None:
    """Hosts as squares, those that take part in another colour, and switches as diamonds."""
    labels: dict[str, str] = {}
    sending: dict[str, int] = {}
    for move in moves:
        sending[move.from_host] = sending.get(move.from_host, 0) + 1
        sending[move.to_host] = sending.get(move.to_host, 0) + 1
    for node in position:
        kind = graph.nodes[node]["kind"]
        labels[node] = plain(node) + (f"<br>{count(sending[node], 'migration')}" if node in sending else "")
        if kind == "host":
            state = str(snapshot.hosts.state[snapshot.hosts.position[node]])
            labels[node] += "" if state == "connected" else f"<br>{state}"
    hosts = [node for node in position if graph.nodes[node]["kind"] == "host"]
    switches = [node for node in position if graph.nodes[node]["kind"] != "host"]
    few = len(hosts) <= 24
    figure.add_scatter(
        x=[position[n][0] for n in hosts],
        y=[position[n][1] for n in hosts],
        mode="markers+text" if few else "markers",
        name="host",
        showlegend=False,
        text=[plain(shortened(n, 14)) for n in hosts],
        textposition="bottom center",
        textfont={"size": 10},
        customdata=[labels[n] for n in hosts],
        hovertemplate="%{customdata}<extra></extra>",
        marker={
            "symbol": "square",
            "size": 14 if few else 11,
            "color": [AFTER if n in sending else BEFORE for n in hosts],
            "line": {"width": 1, "color": "white"},
        },
    )
    figure.add_scatter(
        x=[position[n][0] for n in switches],
        y=[position[n][1] for n in switches],
        mode="markers+text",
        name="switch",
        showlegend=False,
        text=[plain(shortened(n, 18)) for n in switches],
        textposition="top center",
        textfont={"size": 11},
        customdata=[labels[n] for n in switches],
        hovertemplate="%{customdata}<extra>switch</extra>",
        marker={"symbol": "diamond", "size": 15, "color": "#475569", "line": {"width": 1, "color": "white"}},
    )


def _draw_flows(
    figure: go.Figure, position: Mapping[str, tuple[float, float]], moves: Sequence[Move]
) -> None:
    """Each migration as an arrow from host to host."""
    seen: set[str] = set()
    for move in moves:
        if move.from_host not in position or move.to_host not in position or move.from_host == move.to_host:
            continue
        (x0, y0), (x1, y1) = position[move.from_host], position[move.to_host]
        t = np.linspace(0.0, 1.0, 24)
        lift = 0.35 + 0.12 * abs(x1 - x0) ** 0.5
        x, y = x0 + (x1 - x0) * t, y0 + (y1 - y0) * t - lift * 4 * t * (1 - t)
        words = (
            f"<b>{plain(move.vm)}</b> {plain(move.from_host)} → {plain(move.to_host)}<br>"
            f"{KIND_TITLES[move.kind]}, {mebibytes(move.transferred_mib)}, until {seconds(move.end_s)}"
        )
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines+markers",
            name=KIND_TITLES[move.kind],
            legendgroup=move.kind,
            showlegend=move.kind not in seen,
            line={"color": KIND_COLOURS[move.kind], "width": 2},
            marker={
                "size": [0.0] * 23 + [10.0],
                "symbol": "arrow",
                "standoff": [0.0] * 23 + [9.0],
                "angleref": "previous",
                "color": KIND_COLOURS[move.kind],
            },
            text=[words] * 24,
            hovertemplate="%{text}<extra></extra>",
        )
        seen.add(move.kind)


def _draw_links(
    figure: go.Figure,
    graph: Any,
    position: dict[str, tuple[float, float]],
    use: dict[str, LinkUse],
    at_s: float | None,
) -> None:
    bands = (
        (GRID, 1.2, "idle"),
        ("#60a5fa", 2.5, "up to half"),
        ("#f59e0b", 3.5, "busy"),
        ("#dc2626", 4.5, "full"),
    )
    parts: list[dict[str, list[Any]]] = [{"x": [], "y": [], "mx": [], "my": [], "text": []} for _ in bands]
    for a, b, data in graph.edges(data=True):
        if a not in position or b not in position:
            continue
        uses = [use[name] for name in directions(a, b, data["link"]) if name in use]
        now = [(item.name, item.at(at_s), item.ratio_at(at_s)) for item in uses if at_s is not None]
        (x0, y0), (x1, y1) = position[a], position[b]
        part = parts[band(max((ratio for *_, ratio in now), default=0.0))]
        part["x"] += [x0, x1, None]
        part["y"] += [y0, y1, None]
        part["mx"].append((x0 + x1) / 2)
        part["my"].append((y0 + y1) / 2)
        words = [
            f"<b>{plain(a)} – {plain(b)}</b>",
            f"{megabits(data['bandwidth_mbps'])} free, {data['latency_ms']:g} ms",
        ]
        words += [
            f"{plain(name)}: {megabits(rate)} ({percent(ratio)})" for name, rate, ratio in now if rate > 0
        ]
        part["text"].append("<br>".join(words))
    for (colour, width, label), part in zip(bands, parts, strict=True):
        if part["x"]:
            figure.add_scatter(
                x=part["x"],
                y=part["y"],
                mode="lines",
                line={"color": colour, "width": width},
                hoverinfo="skip",
                name=f"link {label}",
                showlegend=label != "idle",
            )
            figure.add_scatter(
                x=part["mx"],
                y=part["my"],
                mode="markers",
                marker={"size": 9, "opacity": 0},
                text=part["text"],
                hovertemplate="%{text}<extra></extra>",
                showlegend=False,
            )


__all__ = ["link_load", "timeline", "topology"]
