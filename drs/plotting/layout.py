"""Where hosts and switches stand in a drawing of the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from drs.model import Snapshot
from drs.planning import Plan


def shown_hosts(snapshot: Snapshot, plan: Plan | None, most: int) -> set[str]:
    """All hosts, or, beyond so many, first those that take part in the plan."""
    names = snapshot.hosts.name.tolist()
    if len(names) <= most:
        return set(names)
    busy = {host for move in (plan.moves if plan else ()) for host in (move.from_host, move.to_host)}
    return set(sorted(names, key=lambda name: name not in busy)[:most])


def layout(graph: Any, snapshot: Snapshot, keep: set[str]) -> dict[str, tuple[float, float]]:
    """Where each node stands: hosts in rows below their first switch, switches above by distance to hosts."""
    hosts = [name for name in snapshot.hosts.name.tolist() if name in keep]
    switches = [node for node, data in graph.nodes(data=True) if data["kind"] != "host"]
    level: dict[str, int] = {}
    frontier = [node for node in switches if any(graph.nodes[n]["kind"] == "host" for n in graph[node])]
    for node in frontier:
        level[node] = 1
    while frontier:
        beyond = []
        for node in frontier:
            for other in graph[node]:
                if graph.nodes[other]["kind"] != "host" and other not in level:
                    level[other] = level[node] + 1
                    beyond.append(other)
        frontier = beyond
    home: dict[str, list[str]] = {}
    for host in hosts:
        above = [n for n in graph[host] if graph.nodes[n]["kind"] != "host"]
        home.setdefault(min(above) if above else "", []).append(host)
    position: dict[str, tuple[float, float]] = {}
    x = 0.0
    wide = 8 if len(hosts) > 24 else 12
    for switch in sorted(home):
        group = home[switch]
        columns = min(wide, len(group))
        for i, host in enumerate(group):
            position[host] = (x + i % columns, -0.75 * (i // columns))
        if switch:
            position[switch] = (x + (columns - 1) / 2, 1.2)
        x += columns + 1.0
    highest = max(level.values(), default=1)
    for rank in range(1, highest + 1):
        for node in sorted(n for n in switches if level.get(n, 1) == rank and n not in position):
            below = [position[n][0] for n in graph[node] if n in position and position[n][1] < 1.2 * rank]
            at = float(np.mean(below)) if below else x
            while any(abs(at - px) < 1.0 and abs(py - 1.2 * rank) < 0.1 for px, py in position.values()):
                at += 1.0
            position[node] = (at, 1.2 * rank)
    return position


__all__ = ["layout", "shown_hosts"]
