"""The network between hosts: path, bottleneck, round-trip time, loss, and which links a migration loads.

The topology is that of `snapshot.links`; its nodes are hosts and any other names (switches, routers).

- A host that no link names is plugged into one non-blocking switch of its site. That switch bears the
  site's name, so a link between two site names joins the sites; without one there is no route between them.
- Hosts do not forward: a path runs through switches only.
- Of several paths the one with the fewest hops is taken, then the lowest latency, then the widest, then the
  one whose links come first in the table.
- A link is full duplex: each direction has `bandwidth_mbps - shared_mbps`. A link with nothing left is cut.
- A host's vMotion NICs (`vmotion_mbps`) bound what it sends and, separately, what it receives; its CPU
  (`sender_mbps`) bounds what it sends as well.
- From a host to itself nothing is sent: infinite bandwidth, no time, no link.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from drs.errors import UnknownNameError
from drs.model.snapshot import Bools, Floats, Ints, Names, Snapshot

if TYPE_CHECKING:
    import networkx

_Rank = tuple[int, float, float]
"""Hops, latency in ms (rounded so that the order of adding does not decide), minus the bandwidth."""


@dataclass(frozen=True, slots=True)
class Path:
    """The way from one host to another."""

    nodes: tuple[str, ...]
    """Hosts at the ends, switches between them; empty without a route."""
    links: tuple[int, ...]
    """Positions in `snapshot.links`, in order of travel."""
    bandwidth_mbps: float
    """The narrowest of both hosts' NICs and the links, less other traffic; 0 without a route."""
    rtt_ms: float
    """Twice the sum of the latencies; NaN without a route."""
    loss_ratio: float
    """Of packets lost anywhere on the way; NaN without a route."""
    bottleneck: str
    """What is narrowest, in words; "" without a route or from a host to itself."""
    reason: str = ""
    """Why there is no route; "" when there is one."""

    @property
    def reachable(self) -> bool:
        """Whether there is a route."""
        return not self.reason


class PathArrays(NamedTuple):
    """Paths of many pairs of hosts, each of shape (n_pairs,)."""

    bandwidth_mbps: Floats
    """0 without a route, inf from a host to itself."""
    rtt_ms: Floats
    """NaN without a route."""
    loss_ratio: Floats
    """NaN without a route."""


class Incidence(NamedTuple):
    """The directed links that each pair of hosts loads, as CSR: `link_idx[start[i]:start[i + 1]]`."""

    start: Ints
    """i4[n_pairs + 1]."""
    link_idx: Ints
    """i4[n_entries], positions in `Network.capacity_mbps`; none without a route or from a host to itself."""


class _Uplink(NamedTuple):
    """One way out of a host; `link` is its directed position upwards, -1 for an implied switch."""

    switch: int
    latency_ms: float
    bandwidth_mbps: float
    loss_ratio: float
    link: int


class _Tree(NamedTuple):
    """Best paths from one switch to all: rank of each switch, and the directed link that leads to it."""

    rank: list[_Rank | None]
    via: list[int]
    before: list[int]


class _Route(NamedTuple):
    """How a class of hosts reaches another: which uplink out, the core links, which uplink in."""

    out: int
    core: tuple[int, ...]
    into: int
    direct: int
    bandwidth_mbps: float
    rtt_ms: float
    loss_ratio: float


def implied_switch(site: str, hosts: Collection[str]) -> str:
    """Name of the switch that hosts of a site hang on where no link speaks of them; never that of a host."""
    node = site or "switch"
    return f"switch of {node}" if node in hosts else node


class Network:
    """The topology of a snapshot. Make one with `Network.of`; it remembers the paths that it has found.

    Directed links are numbered: `2 k` is link `k` from its end `a` to `b`, `2 k + 1` the way back; then one
    for what each host sends through its NICs, then one for what each receives.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        hosts, links = snapshot.hosts, snapshot.links
        self.n_hosts = len(hosts)
        self.n_links = len(links)
        self.hosts: tuple[str, ...] = tuple(hosts.name.tolist())
        self._sites: list[str] = hosts.site.tolist()
        free = np.maximum(links.bandwidth_mbps - links.shared_mbps, 0.0)
        nic = np.where(np.isnan(hosts.vmotion_mbps), np.inf, hosts.vmotion_mbps)
        sends = np.minimum(nic, hosts.sender_mbps)
        capacity = np.concatenate([np.repeat(free, 2), sends, nic]).astype(np.float64)
        capacity.flags.writeable = False
        self.capacity_mbps: Floats = capacity
        """What each directed link can carry for migrations, f8[2 n_links + 2 n_hosts]."""
        self._sends, self._nic = sends, nic
        self._mtu = np.nan_to_num(links.mtu_bytes, nan=np.inf)
        self._control: list[str] = links.congestion_control.tolist()
        self._latency: list[float] = links.latency_ms.tolist()
        self._loss: list[float] = links.loss_ratio.tolist()
        self._ends: list[tuple[str, str]] = list(zip(links.a.tolist(), links.b.tolist(), strict=True))
        self._build()
        self._trees: dict[int, _Tree] = {}
        self._routes: dict[tuple[int, int], _Route | None] = {}

    @classmethod
    def of(cls, snapshot: Snapshot) -> Network:
        """The network of a snapshot."""
        return cls(snapshot)

    def _build(self) -> None:
        position = {name: i for i, name in enumerate(self.hosts)}
        self._position = position
        linked = {end for pair in self._ends for end in pair}
        self._switch_of_site: dict[str, str] = {}
        for name, site in zip(self.hosts, self._sites, strict=True):
            if name not in linked and site not in self._switch_of_site:
                self._switch_of_site[site] = implied_switch(site, position)
        names = {end: None for pair in self._ends for end in pair if end not in position}
        names.update(dict.fromkeys(self._switch_of_site.values()))
        self._switches = list(names)
        switch = {name: i for i, name in enumerate(self._switches)}
        ahead: list[list[tuple[int, int]]] = [[] for _ in self._switches]
        uplinks: list[list[_Uplink]] = [[] for _ in self.hosts]
        self._direct: dict[tuple[int, int], int] = {}
        self._cut: list[int] = []
        plugged = (self._nic > 0.0).tolist()
        for k, (a, b) in enumerate(self._ends):
            bandwidth = float(self.capacity_mbps[2 * k])
            if bandwidth <= 0.0:
                self._cut.append(k)
                continue
            for tail, head, link in ((a, b, 2 * k), (b, a, 2 * k + 1)):
                if tail in position and head in position:
                    pair = (position[tail], position[head])
                    if not plugged[pair[0]] or not plugged[pair[1]]:
                        continue
                    other = self._direct.get(pair, link)
                    self._direct[pair] = min(link, other, key=self._link_rank)
                elif tail in position:
                    if plugged[position[tail]]:
                        way = _Uplink(switch[head], self._latency[k], bandwidth, self._loss[k], link)
                        uplinks[position[tail]].append(way)
                elif head not in position:
                    ahead[switch[tail]].append((switch[head], link))
        for i, (name, site) in enumerate(zip(self.hosts, self._sites, strict=True)):
            if name not in linked and plugged[i]:
                uplinks[i].append(_Uplink(switch[self._switch_of_site[site]], 0.0, np.inf, 0.0, -1))
        self._ahead = ahead
        self._uplinks = [sorted(ways) for ways in uplinks]
        # Hosts whose ways out differ in nothing but the cable share their routes.
        with_direct = {host for pair in self._direct for host in pair}
        classes: dict[tuple[object, ...], int] = {}
        self._class = np.zeros(self.n_hosts, dtype=np.int64)
        self._member: list[int] = []
        for i, ways in enumerate(self._uplinks):
            key = (i if i in with_direct else -1, *(way[:4] for way in ways))
            if key not in classes:
                classes[key] = len(classes)
                self._member.append(i)
            self._class[i] = classes[key]

    @property
    def host_class(self) -> Ints:
        """i4[n_hosts]: hosts of one class reach every other host alike, their own cables and NICs apart."""
        return self._class.astype(np.int32)

    @cached_property
    def graph(self) -> networkx.MultiGraph:
        """The topology as a networkx graph.

        Nodes have `kind` (`host` or `switch`), hosts their `site`; edges have `link` (position in
        `snapshot.links`, -1 for the cable to an implied switch), `bandwidth_mbps` (less other traffic),
        `latency_ms` and `loss_ratio`. A change of the graph changes no path.
        """
        import networkx

        graph = networkx.MultiGraph()
        for name, site in zip(self.hosts, self._sites, strict=True):
            graph.add_node(name, kind="host", site=site)
        for name in self._switches:
            graph.add_node(name, kind="switch")
        for k, (a, b) in enumerate(self._ends):
            graph.add_edge(
                a,
                b,
                link=k,
                bandwidth_mbps=float(self.capacity_mbps[2 * k]),
                latency_ms=self._latency[k],
                loss_ratio=self._loss[k],
            )
        for i, ways in enumerate(self._uplinks):
            for way in ways:
                if way.link < 0:
                    graph.add_edge(
                        self.hosts[i],
                        self._switches[way.switch],
                        link=-1,
                        bandwidth_mbps=float(self._nic[i]),
                        latency_ms=0.0,
                        loss_ratio=0.0,
                    )
        return graph

    def path(self, a: int | str, b: int | str) -> Path:
        """The way from host `a` to host `b`, by name or position.

        Raises
        ------
        UnknownNameError
            When there is no host of that name.
        """
        src, dst = self._host(a), self._host(b)
        if src == dst:
            return Path((self.hosts[src],), (), np.inf, 0.0, 0.0, "")
        route = self._route(src, dst)
        if route is None:
            return Path((), (), 0.0, np.nan, np.nan, "", self._why_not(src, dst))
        links = [link for link in self._links_of(route, src, dst) if link < 2 * self.n_links]
        nodes = [self.hosts[src]]
        if route.direct < 0:
            nodes.append(self._switches[self._uplinks[src][route.out].switch])
            nodes.extend(self._head(link) for link in route.core)
        nodes.append(self.hosts[dst])
        loaded = self._links_of(route, src, dst)
        narrowest = min(loaded, key=lambda link: float(self.capacity_mbps[link]))
        return Path(
            tuple(nodes),
            tuple(link // 2 for link in links),
            float(self.capacity_mbps[narrowest]),
            route.rtt_ms,
            route.loss_ratio,
            self.link_name(narrowest),
        )

    def paths(self, src_idx: ArrayLike, dst_idx: ArrayLike) -> PathArrays:
        """The paths of many pairs of hosts at once.

        Parameters
        ----------
        src_idx, dst_idx : array_like of int, shape (n_pairs,)
            Positions of hosts; they are broadcast against each other. A negative one has no route.
        """
        src, dst = _pairs(src_idx, dst_idx)
        known = (src >= 0) & (dst >= 0)
        routes, which = self._routes_of(src, dst, known)
        none = (0.0, np.nan, np.nan)
        rows = [none if r is None else (r.bandwidth_mbps, r.rtt_ms, r.loss_ratio) for r in routes]
        table = np.array(rows or [none])[which]
        bandwidth = np.minimum(table[:, 0], np.minimum(self._of(self._sends, src), self._of(self._nic, dst)))
        rtt, loss = table[:, 1], table[:, 2]
        bandwidth[~known], rtt[~known], loss[~known] = 0.0, np.nan, np.nan
        same = known & (src == dst)
        bandwidth[same], rtt[same], loss[same] = np.inf, 0.0, 0.0
        return PathArrays(bandwidth, rtt, loss)

    def packets(self, src_idx: ArrayLike, dst_idx: ArrayLike) -> tuple[Floats, Names]:
        """The smallest MTU of each path in bytes (NaN: no link says), and what TCP does there ("": no link says).

        Of links that name different congestion controls the one with the most loss counts.
        """
        src, dst = _pairs(src_idx, dst_idx)
        mtu, control = np.full(len(src), np.nan), np.full(len(src), "", dtype="U5")
        if not (np.isfinite(self._mtu).any() or any(self._control)):
            return mtu, control
        start, flat = self.link_incidence(src, dst)
        for i in range(len(src)):
            links = [link // 2 for link in flat[start[i] : start[i + 1]].tolist() if link < 2 * self.n_links]
            least = min((float(self._mtu[link]) for link in links), default=np.inf)
            mtu[i] = least if np.isfinite(least) else np.nan
            named = [link for link in links if self._control[link]]
            if named:
                control[i] = self._control[max(named, key=lambda link: self._loss[link])]
        return mtu, control

    def reachable(self, src_idx: ArrayLike, dst_idx: ArrayLike) -> Bools:
        """Whether there is a route, bool[n_pairs]."""
        return np.asarray(self.paths(src_idx, dst_idx).bandwidth_mbps > 0.0)

    def islands(self) -> Ints:
        """Hosts that have a route to each other share a number, i4[n_hosts]: the position of their first one."""
        island = np.full(len(self.hosts), -1, dtype=np.int32)
        for host in range(len(self.hosts)):
            if island[host] < 0:
                rest = np.flatnonzero(island < 0)
                island[rest[self.reachable(host, rest)]] = host
        return island

    def link_incidence(self, src_idx: ArrayLike, dst_idx: ArrayLike) -> Incidence:
        """The directed links that each pair's migration loads, both hosts' NICs included.

        Parameters
        ----------
        src_idx, dst_idx : array_like of int, shape (n_pairs,)
            Positions of hosts; they are broadcast against each other.
        """
        src, dst = _pairs(src_idx, dst_idx)
        known = (src >= 0) & (dst >= 0) & (src != dst)
        routes, which = self._routes_of(src, dst, known)
        start = np.zeros(len(src) + 1, dtype=np.int32)
        entries: list[int] = []
        rows = zip(src.tolist(), dst.tolist(), which.tolist(), known.tolist(), strict=True)
        for i, (a, b, r, ok) in enumerate(rows):
            route = routes[r] if ok else None
            if route is not None:
                entries.extend(self._links_of(route, a, b))
            start[i + 1] = len(entries)
        return Incidence(start, np.array(entries, dtype=np.int32))

    def link_name(self, link_idx: int) -> str:
        """A directed link in words: `tor-1 to core-1`, `NICs of esx-03, sending`."""
        if link_idx < 2 * self.n_links:
            tail, head = self._ends[link_idx // 2][:: -1 if link_idx % 2 else 1]
            return f"{tail} to {head}"
        host = link_idx - 2 * self.n_links
        way = "sending" if host < self.n_hosts else "receiving"
        return f"NICs of {self.hosts[host % self.n_hosts]}, {way}"

    def _host(self, host: int | str) -> int:
        if isinstance(host, str):
            if host not in self._position:
                raise UnknownNameError.of("network path", host, self.hosts, "host")
            return self._position[host]
        if not 0 <= host < self.n_hosts:
            raise UnknownNameError.of("network path", str(host), (), "host by its position")
        return int(host)

    def _of(self, rates: Floats, idx: Ints) -> Floats:
        return rates[np.maximum(idx, 0)] if self.n_hosts else np.zeros(len(idx))

    def _routes_of(self, src: Ints, dst: Ints, known: Bools) -> tuple[list[_Route | None], Ints]:
        """The distinct routes of the pairs, and which each pair takes."""
        n_classes = max(len(self._member), 1)
        code = np.zeros(len(src), dtype=np.int64)
        if self.n_hosts:
            code = self._class[np.maximum(src, 0)] * n_classes + self._class[np.maximum(dst, 0)]
        code[~known] = 0
        distinct, which = np.unique(code, return_inverse=True)
        pairs = [divmod(int(c), n_classes) for c in distinct]
        routes = [self._class_route(a, b) if self.n_hosts else None for a, b in pairs]
        return routes, which.reshape(-1).astype(np.int32)

    def _route(self, src: int, dst: int) -> _Route | None:
        return self._class_route(int(self._class[src]), int(self._class[dst]))

    def _class_route(self, src_class: int, dst_class: int) -> _Route | None:
        pair = (src_class, dst_class)
        if pair not in self._routes:
            self._routes[pair] = self._search(self._member[src_class], self._member[dst_class])
        return self._routes[pair]

    def _search(self, src: int, dst: int) -> _Route | None:
        """The best route between two hosts, the NICs left aside."""
        direct = self._direct.get((src, dst), -1)
        if direct >= 0:
            bandwidth, k = float(self.capacity_mbps[direct]), direct // 2
            return _Route(0, (), 0, direct, bandwidth, 2 * self._latency[k], self._loss[k])
        best: tuple[_Rank, int, int] | None = None
        for out, up in enumerate(self._uplinks[src]):
            rank_of = self._tree(up.switch).rank
            for into, down in enumerate(self._uplinks[dst]):
                core = rank_of[down.switch]
                if core is None:
                    continue
                rank = (
                    core[0],
                    round(core[1] + up.latency_ms + down.latency_ms, 9),
                    max(core[2], -up.bandwidth_mbps, -down.bandwidth_mbps),
                )
                if best is None or (rank, out, into) < best:
                    best = (rank, out, into)
        if best is None:
            return None
        (_, latency, minus_bandwidth), out, into = best
        up, down = self._uplinks[src][out], self._uplinks[dst][into]
        links = tuple(self._walk(up.switch, down.switch))
        passed = (1.0 - up.loss_ratio) * (1.0 - down.loss_ratio)
        for link in links:
            passed *= 1.0 - self._loss[link // 2]
        return _Route(out, links, into, -1, -minus_bandwidth, 2 * latency, 1.0 - passed)

    def _tree(self, root: int) -> _Tree:
        """Best paths from a switch to every other, layer by layer: fewest hops, lowest latency, widest."""
        if root in self._trees:
            return self._trees[root]
        n = len(self._switches)
        rank: list[_Rank | None] = [None] * n
        via, before = [-1] * n, [-1] * n
        rank[root] = (0, 0.0, -np.inf)
        layer = [root]
        while layer:
            found: dict[int, tuple[_Rank, int, int]] = {}
            for node in layer:
                here = rank[node]
                assert here is not None
                for head, link in self._ahead[node]:
                    if rank[head] is not None:
                        continue
                    latency = round(here[1] + self._latency[link // 2], 9)
                    new = (here[0] + 1, latency, max(here[2], -float(self.capacity_mbps[link])))
                    if head not in found or (new, link, node) < found[head]:
                        found[head] = (new, link, node)
            for head, (new, link, node) in found.items():
                rank[head], via[head], before[head] = new, link, node
            layer = sorted(found)
        self._trees[root] = _Tree(rank, via, before)
        return self._trees[root]

    def _walk(self, root: int, goal: int) -> Iterator[int]:
        tree = self._tree(root)
        back = []
        while goal != root:
            back.append(tree.via[goal])
            goal = tree.before[goal]
        return reversed(back)

    def _links_of(self, route: _Route, src: int, dst: int) -> list[int]:
        """Directed links from host to host: NICs out, uplink, core, uplink the other way, NICs in."""
        nic_out = 2 * self.n_links + src
        nic_in = 2 * self.n_links + self.n_hosts + dst
        if route.direct >= 0:
            return [nic_out, route.direct, nic_in]
        up, down = self._uplinks[src][route.out].link, self._uplinks[dst][route.into].link
        middle = [*([up] if up >= 0 else []), *route.core, *([down ^ 1] if down >= 0 else [])]
        return [nic_out, *middle, nic_in]

    def _link_rank(self, link: int) -> tuple[float, float, int]:
        return (self._latency[link // 2], -float(self.capacity_mbps[link]), link)

    def _head(self, link: int) -> str:
        return self._ends[link // 2][0 if link % 2 else 1]

    def _why_not(self, src: int, dst: int) -> str:
        a, b = self.hosts[src], self.hosts[dst]
        for host in (src, dst):
            if not self._nic[host] > 0.0:
                return f"no route from {a} to {b}: {self.hosts[host]} has no vMotion bandwidth"
        ways = [{self._switches[up.switch] for up in self._uplinks[host]} for host in (src, dst)]
        implied = [any(up.link < 0 for up in self._uplinks[host]) for host in (src, dst)]
        cut = ", ".join(f"{self._ends[k][0]} - {self._ends[k][1]}" for k in self._cut[:3])
        tail = f"; links with no bandwidth left: {cut}" if cut else ""
        for name, its_ways in zip((a, b), ways, strict=True):
            if not its_ways:
                return f"no route from {a} to {b}: {name} has no link to a switch{tail}"
        if all(implied):
            return (
                f"no route from {a} to {b}: they are on different sites ({self._sites[src] or 'none'}, "
                f"{self._sites[dst] or 'none'}) and no link joins {min(ways[0])} and {min(ways[1])}{tail}"
            )
        if any(implied):
            alone, site = (a, self._sites[src]) if implied[0] else (b, self._sites[dst])
            return (
                f"no route from {a} to {b}: no link names {alone}, so it is on the switch of its site "
                f"({self._switch_of_site[site]}), which no link joins to the other's{tail}"
            )
        return f"no route from {a} to {b}: no chain of links through switches joins them{tail}"


def _pairs(src_idx: ArrayLike, dst_idx: ArrayLike) -> tuple[Ints, Ints]:
    src, dst = np.broadcast_arrays(np.atleast_1d(src_idx), np.atleast_1d(dst_idx))
    return src.astype(np.int32).ravel(), dst.astype(np.int32).ravel()
