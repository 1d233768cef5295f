"""The report's charts as static SVG: small, printable, and coloured by the page's own style sheet.

Every text that comes from outside is escaped here; the template takes the result as it is.
"""

from __future__ import annotations

import math
from html import escape

import numpy as np
from markupsafe import Markup

from drs.model.network import Network
from drs.planning import Move, Plan
from drs.plotting.data import HostLoads, LinkUse, band, directions, lanes, running, waves
from drs.plotting.layout import layout, shown_hosts
from drs.words import (
    KIND_TITLES,
    amount,
    count,
    mebibytes,
    megabits,
    milliseconds,
    percent,
    resource_title,
    seconds,
    shortened,
)


def _text(x: float, y: float, words: str, css: str = "", anchor: str = "start") -> str:
    style = f' class="{css}"' if css else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(words)}</text>'


def _rect(x: float, y: float, width: float, height: float, css: str, title: str = "") -> str:
    tip = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" '
        f'class="{css}">{tip}</rect>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def _frame(width: float, height: float, label: str, parts: list[str]) -> Markup:
    body = "".join(parts)
    return Markup(  # every part is escaped above
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}" '
        f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    )


def host_load_svg(loads: HostLoads, *, most: int = 64) -> Markup:
    """A row a host: load today above, after the plan below; capacity and mean as lines.

    Parameters
    ----------
    loads : of one resource.
    most : beyond so many hosts, those with the most load or the most change are drawn.
    """
    shown = loads.most_telling(most)
    tight = len(shown) > 24
    row = 17.0 if tight else 24.0
    left, right, width, top = 122.0, 58.0, 520.0, 26.0
    plot = width - left - right
    before, after = np.nan_to_num(loads.before_ratio), np.nan_to_num(loads.after_ratio)
    peak = max([1.0, *(before[i] for i in shown), *(after[i] for i in shown)])
    scale = plot / (peak * 1.04)
    height = top + row * len(shown) + 24.0
    bottom = height - 22.0
    parts: list[str] = []
    ticks = [tick / 4 for tick in range(int(peak * 4) + 1)] if peak <= 2 else list(range(math.ceil(peak)))
    for tick in ticks:
        x = left + tick * scale
        parts.append(_line(x, top, x, bottom, "grid"))
        parts.append(_text(x, height - 7, percent(tick), "tick", "middle"))
    bar = row * (0.34 if tight else 0.36)
    for i, host in enumerate(shown):
        y = top + i * row + row * 0.12
        name, size = str(loads.host[host]), loads.capacity[host]
        parts.append(_text(left - 8, y + row * 0.5, shortened(name, 17), "name", "end"))
        for css, demand, ratio, dy in (
            ("before", loads.before[host], before[host], 0.0),
            ("after", loads.after[host], after[host], bar + 1),
        ):
            words = "today" if css == "before" else "after the plan"
            tip = (
                f"{name} {words}: {percent(ratio, 1)}, {amount(loads.resource, demand)} "
                f"of {amount(loads.resource, size)}"
            )
            parts.append(_rect(left, y + dy, ratio * scale, bar, css, tip))
        change = after[host] - before[host]
        words = "" if abs(change) < 0.0005 else f"{'+' if change > 0 else '−'}{abs(100 * change):.0f}"
        parts.append(_text(width - 6, y + row * 0.52, f"{100 * after[host]:.0f} %", "figure", "end"))
        if not tight and words:
            parts.append(_text(width - 6, y + row * 0.52 + 9, words, "change", "end"))
    mean = left + loads.mean_ratio * scale
    full = left + scale
    parts.append(_line(mean, top - 4, mean, bottom, "mean"))
    parts.append(_line(full, top - 4, full, bottom, "capacity"))
    parts.append(_text(full, top - 8, "capacity", "capacity-label", "end" if peak <= 1.01 else "middle"))
    near = abs(mean - full) < 90
    parts.append(
        _text(
            mean - (24 if near else 0),
            top - 8,
            f"mean {percent(loads.mean_ratio)}",
            "tick",
            "end" if near else "middle",
        )
    )
    label = f"{resource_title(loads.resource)} load of each host, today and after the plan"
    return _frame(width, height, label, parts)


def timeline_svg(plan: Plan, *, most: int = 48) -> Markup:
    """The plan as lanes of hosts and links; bars coloured by kind, downtime as a dark mark, waves as bands.

    Parameters
    ----------
    plan : with its times.
    most : beyond so many hosts, the busiest are drawn.
    """
    table = lanes(plan, most=most)
    left, width, top = 150.0, 1080.0, 26.0
    end = max([plan.makespan_s, *(m.end_s for m in plan.moves if math.isfinite(m.end_s)), 1e-9])
    scale = (width - left - 12) / end
    size = [max(17.0, min(9.0 * n, 64.0)) for n in table.n_tracks]
    below = [kind == "link" and (i == 0 or table.kind[i - 1] == "host") for i, kind in enumerate(table.kind)]
    y = top
    lane_y = []
    for i, tall in enumerate(size):
        y += 14.0 if below[i] and i else 0.0
        lane_y.append(y)
        y += tall + 3.0
    bottom = y + 2.0
    height = bottom + 22.0
    parts: list[str] = []
    span = waves(plan)
    for i, wave in enumerate(span.wave[:60]):
        stop = span.end_s[i] if i + 1 == len(span.wave) else max(span.start_s[i + 1], span.start_s[i])
        x = left + span.start_s[i] * scale
        if math.isfinite(stop):
            parts.append(
                _rect(
                    x,
                    top - 14,
                    (stop - span.start_s[i]) * scale,
                    bottom - top + 14,
                    "wave" if i % 2 == 0 else "nowave",
                )
            )
        if len(span.wave) <= 20:
            parts.append(
                _text(x + 4, top - 4, f"wave {wave}" if len(span.wave) <= 8 or i == 0 else str(wave), "tick")
            )
    for tick in _ticks(end):
        x = left + tick * scale
        parts.append(_line(x, top, x, bottom, "grid"))
        parts.append(_text(x, height - 6, seconds(tick), "tick", "middle" if tick else "start"))
    for i, name in enumerate(table.name):
        parts.append(_line(left, lane_y[i] + size[i] + 1.5, width - 12, lane_y[i] + size[i] + 1.5, "lane"))
        css = "name" if table.kind[i] == "host" else "link-name"
        parts.append(
            _text(left - 8, lane_y[i] + size[i] / 2 + 4, shortened(name or "not placed", 22), css, "end")
        )
    for item in table.bars:
        move = item.move
        step = size[item.lane] / table.n_tracks[item.lane]
        duration = move.total_s if math.isfinite(move.total_s) else end - move.start_s
        x, tall = left + move.start_s * scale, step * 0.86
        bar_y = lane_y[item.lane] + item.track * step + step * 0.07
        css = f"kind-{move.kind}" + ("" if item.role == "from" else " soft")
        parts.append(_rect(x, bar_y, max(duration * scale, 1.5), tall, css, _tip(move)))
        if item.role == "from" and move.downtime_ms > 0:
            at = x + min(move.precopy_s or duration, duration) * scale
            wide = max(move.downtime_ms / 1000 * scale, 2.0)
            parts.append(
                _rect(
                    min(at, x + duration * scale - wide),
                    bar_y,
                    wide,
                    tall,
                    "dark",
                    f"{move.vm} stands still for {milliseconds(move.downtime_ms)}",
                )
            )
    return _frame(width, height, "Timeline of the moves", parts)


def _tip(move: Move) -> str:
    return (
        f"step {move.step}: {move.vm}, {KIND_TITLES[move.kind]}, "
        f"{move.from_host or 'not placed'} to {move.to_host}, "
        f"{seconds(move.start_s)} to {seconds(move.end_s)}, {mebibytes(move.transferred_mib)}, "
        f"downtime {milliseconds(move.downtime_ms)}"
    )


def link_use_svg(uses: tuple[LinkUse, ...], end_s: float, *, most: int = 6) -> Markup:
    """A small area chart for each of the fullest links: use over time against capacity.

    Parameters
    ----------
    uses : fullest first.
    end_s : where the time axis ends.
    most : how many links.
    """
    left, width, row = 210.0, 1080.0, 44.0
    scale = (width - left - 70) / max(end_s, 1e-9)
    shown = uses[:most]
    height = row * len(shown) + 24.0
    bottom = row * len(shown)
    parts: list[str] = []
    for tick in _ticks(max(end_s, 1e-9)):
        x = left + tick * scale
        parts.append(_line(x, 0, x, bottom, "grid"))
        parts.append(_text(x, height - 6, seconds(tick), "tick", "middle" if tick else "start"))
    for i, use in enumerate(shown):
        base, tall = i * row + row - 6, row - 14
        ceiling = use.capacity_mbps if 0 < use.capacity_mbps < math.inf else max(use.peak_mbps, 1.0)
        most_shown = max(ceiling, use.peak_mbps)
        points = [f"M{left:.1f},{base:.1f}"]
        level = 0.0
        for time, rate in zip(use.time_s.tolist(), use.rate_mbps.tolist(), strict=True):
            x = left + time * scale
            points.append(f"L{x:.1f},{base - level * tall:.1f}")
            level = rate / most_shown
            points.append(f"L{x:.1f},{base - level * tall:.1f}")
        points.append("Z")
        parts.append(f'<path d="{"".join(points)}" class="area"><title>{escape(use.name)}</title></path>')
        top = base - ceiling / most_shown * tall
        parts.append(_line(left, top, width - 70, top, "capacity"))
        parts.append(_line(left, base, width - 70, base, "lane"))
        parts.append(_text(left - 8, base - tall / 2 + 1, shortened(use.name, 32), "name", "end"))
        parts.append(_text(left - 8, base - tall / 2 + 13, megabits(use.capacity_mbps), "tick", "end"))
        parts.append(_text(width - 6, base - tall / 2 + 5, f"peak {percent(use.peak_ratio)}", "tick", "end"))
    return _frame(width, height, "Use of the fullest links over time", parts)


def flows_svg(plan: Plan, uses: tuple[LinkUse, ...], at_s: float, *, most: int = 120) -> Markup:
    """The network with the migrations of one moment, until the page's script asks for another.

    Links carry in `data-bands` when their use comes to which of the `BANDS`, flows in `data-start` and `data-end` when
    they run, in seconds.

    Parameters
    ----------
    plan : with its times.
    uses : of the links, as `replayed_link_use` finds it.
    at_s : the moment.
    most : beyond so many hosts, only those that take part in the plan are drawn.
    """
    snapshot = plan.snapshot
    graph = Network.of(snapshot).graph
    place = layout(graph, snapshot, shown_hosts(snapshot, plan, most))
    across, up = (np.array([place[node][axis] for node in place]) for axis in (0, 1))
    width, step = 1080.0, 58.0
    scale = min(90.0, (width - 120.0) / max(float(np.ptp(across)), 1e-9))
    left = (width - scale * float(np.ptp(across))) / 2
    top = 44.0
    at = {
        node: (left + scale * (x - float(across.min())), top + step * (float(up.max()) - y))
        for node, (x, y) in place.items()
    }
    height = top + step * float(np.ptp(up)) + 60.0
    few = sum(graph.nodes[node]["kind"] == "host" for node in at) <= 24
    by_name = {use.name: use for use in uses}
    parts = [
        _link(a, b, at, [by_name[name] for name in directions(a, b, data["link"]) if name in by_name], at_s)
        for a, b, data in graph.edges(data=True)
        if a in at and b in at
    ]
    for node, (x, y) in at.items():
        host = graph.nodes[node]["kind"] == "host"
        parts.append(_rect(x - 6, y - 6, 12, 12, "host" if host else "switch", node))
        if few or not host:
            words = shortened(node, 12 if host else 20)
            parts.append(_text(x, y + (20 if host else -12), words, "tick", "middle"))
    shown = {move.step for move in running(plan, at_s)}
    for move in plan.moves:
        if move.from_host in at and move.to_host in at and move.from_host != move.to_host:
            (x0, y0), (x1, y1) = at[move.from_host], at[move.to_host]
            sag = max(y0, y1) + 16 + 0.12 * abs(x1 - x0)
            css = f"flow flow-{move.kind}" + ("" if move.step in shown else " off")
            parts.append(
                f'<g class="{css}" data-start="{move.start_s:.2f}" data-end="{min(move.end_s, 1e9):.2f}">'
                f"<title>{escape(_tip(move))}</title>"
                f'<path d="M{x0:.1f},{y0:.1f} Q{(x0 + x1) / 2:.1f},{sag:.1f} {x1:.1f},{y1:.1f}"/>'
                f'<circle cx="{x1:.1f}" cy="{y1:.1f}" r="4"/></g>'
            )
    label = f"The network at {seconds(at_s)}: {count(len(shown), 'migration')} under way"
    return _frame(width, height, label, parts)


def _link(a: str, b: str, at: dict[str, tuple[float, float]], uses: list[LinkUse], at_s: float) -> str:
    times = sorted({float(t) for use in uses for t in use.time_s})
    bands: list[tuple[float, int]] = [(0.0, 0)]
    for t in times:
        level = band(max((use.ratio_at(t) for use in uses), default=0.0))
        if level != bands[-1][1]:
            bands.append((t, level))
    now = [level for t, level in bands if t <= at_s][-1]
    text = " ".join(f"{t:g}:{level}" for t, level in bands)
    (x0, y0), (x1, y1) = at[a], at[b]
    return (
        f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" class="wire use-{now}" data-bands="{text}">'
        f"<title>{escape(a)} – {escape(b)}</title></line>"
    )


def _ticks(end: float) -> list[float]:
    """Round steps of time, five to ten of them."""
    rough = end / 8
    steps = [m * 10.0**p for p in range(-3, 1) for m in (1, 2, 5)]
    steps += [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400]
    step = next((s for s in steps if s >= rough), 86400.0 * max(1, math.ceil(rough / 86400)))
    return [i * step for i in range(int(end / step) + 1)]


__all__ = ["flows_svg", "host_load_svg", "link_use_svg", "timeline_svg"]
