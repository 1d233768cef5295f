"""What the charts show, as plain numbers: host loads, lanes of a timeline, use of links. No drawing here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from drs.model import Placement, Snapshot
from drs.model.network import Network
from drs.model.snapshot import Bools, Floats, Names
from drs.planning import Move, Plan, replay
from drs.units import BYTES_PER_MIB, BYTES_PER_S_PER_MBPS

MBPS_PER_MIBPS = BYTES_PER_MIB / BYTES_PER_S_PER_MBPS


@dataclass(frozen=True, slots=True)
class HostLoads:
    """Load over capacity of every host for one resource, today and after the moves."""

    resource: str
    host: Names
    capacity: Floats
    before: Floats
    """Demand in the resource's unit, f8[n_hosts]."""
    after: Floats
    usable: Bools
    """Connected hosts with some capacity: those over which the mean runs."""

    @property
    def before_ratio(self) -> Floats:
        """Demand over capacity today; NaN where there is no capacity."""
        return _over(self.before, self.capacity)

    @property
    def after_ratio(self) -> Floats:
        """Demand over capacity after the moves; NaN where there is no capacity."""
        return _over(self.after, self.capacity)

    @property
    def mean_ratio(self) -> float:
        """Mean load of the connected hosts after the moves."""
        return float(self.after_ratio[self.usable].mean()) if self.usable.any() else 0.0

    def most_telling(self, most: int) -> tuple[int, ...]:
        """Positions of at most `most` hosts, in table order: those with the most load or the most change."""
        if len(self.host) <= most:
            return tuple(range(len(self.host)))
        before, after = np.nan_to_num(self.before_ratio), np.nan_to_num(self.after_ratio)
        rank = np.argsort(-(np.maximum(before, after) + np.abs(after - before)), kind="stable")
        return tuple(sorted(rank[:most].tolist()))


def _over(demand: Floats, capacity: Floats) -> Floats:
    out = np.full(len(capacity), np.nan)
    np.divide(demand, capacity, out=out, where=capacity > 0)
    return out


def host_loads(
    snapshot: Snapshot, before: Placement | None = None, after: Placement | None = None, resource: str = "cpu"
) -> HostLoads:
    """Demand and capacity of each host under two placements (default: today's, and no change)."""
    first = before or Placement.of(snapshot)
    capacity = snapshot.capacity(resource)
    demand = snapshot.demand(resource)

    def use(placement: Placement) -> Floats:
        placed = placement.host_idx >= 0
        return np.bincount(
            placement.host_idx[placed], weights=demand[placed], minlength=snapshot.n_hosts
        ).astype(np.float64)

    usable = np.asarray((snapshot.hosts.state == "connected") & (capacity > 0))
    was = use(first)
    return HostLoads(
        resource, snapshot.hosts.name, capacity, was, was if after is None else use(after), usable
    )


def history_ratio(snapshot: Snapshot, placement: Placement | None = None, resource: str = "cpu") -> Floats:
    """Load over capacity of each host at each time of the load history, f8[n_hosts, n_times].

    A VM without a sample counts with its demand of today.
    """
    loads = snapshot.loads
    if loads is None or len(loads) == 0:
        return np.zeros((snapshot.n_hosts, 0))
    samples = np.asarray(loads.cpu_mhz if resource == "cpu" else loads.memory_active_mib, dtype=np.float64)
    today = (
        snapshot.demand("cpu")
        if resource == "cpu"
        else np.where(snapshot.vms.on, snapshot.memory_active_mib, 0.0)
    )
    samples = np.where(np.isnan(samples), today[None, :], samples)
    host = (placement or Placement.of(snapshot)).host_idx
    total = np.zeros((snapshot.n_hosts, len(loads)))
    np.add.at(total, host[host >= 0], samples.T[host >= 0])
    capacity = snapshot.capacity(resource)[:, None]
    out = np.full(total.shape, np.nan)
    np.divide(total, capacity, out=out, where=capacity > 0)
    return out


@dataclass(frozen=True, slots=True)
class Bar:
    """One stretch of one move on one lane; `track` of the lane's tracks keeps concurrent bars apart."""

    move: Move
    lane: int
    track: int
    role: str
    """`from`, `to` or `link`."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """A timeline: lanes from top to bottom, and the bars on them."""

    name: tuple[str, ...]
    kind: tuple[str, ...]
    """`host` or `link`."""
    n_tracks: tuple[int, ...]
    bars: tuple[Bar, ...]
    n_hidden: int
    """Lanes that were left out."""


def lanes(plan: Plan, *, most: int = 60, links: bool = True) -> Lanes:
    """The timeline of a plan: a lane for each host that a move leaves or reaches, and for each link used.

    Beyond `most` lanes the busiest are kept.
    """
    wanted: dict[tuple[str, str], list[tuple[Move, str]]] = {}
    for move in plan.moves:
        wanted.setdefault(("host", move.from_host), []).append((move, "from"))
        if move.to_host != move.from_host:
            wanted.setdefault(("host", move.to_host), []).append((move, "to"))
    if links:
        network = Network.of(plan.snapshot)
        for move, on in zip(plan.moves, _links_of(plan.snapshot, network, plan.moves), strict=True):
            for link in on:
                if link < 2 * network.n_links:
                    wanted.setdefault(("link", network.link_name(link)), []).append((move, "link"))
    order = sorted(wanted, key=lambda key: (key[0], -sum(m.total_s for m, _ in wanted[key]), key[1]))
    room = {"host": most, "link": most // 3}
    kept: list[tuple[str, str]] = []
    for kind in ("host", "link"):
        kept.extend([key for key in order if key[0] == kind][: room[kind]])
    position = {str(name): i for i, name in enumerate(plan.snapshot.hosts.name)}
    kept.sort(key=lambda key: (key[0], position.get(key[1], -1), key[1]))
    bars: list[Bar] = []
    tracks: list[int] = []
    for lane, key in enumerate(kept):
        free: list[float] = []
        for move, role in sorted(wanted[key], key=lambda item: (item[0].start_s, item[0].step)):
            track = next((i for i, end in enumerate(free) if end <= move.start_s + 1e-9), len(free))
            if track == len(free):
                free.append(0.0)
            free[track] = move.end_s
            bars.append(Bar(move, lane, track, role))
        tracks.append(max(1, len(free)))
    return Lanes(
        tuple(key[1] for key in kept),
        tuple(key[0] for key in kept),
        tuple(tracks),
        tuple(bars),
        len(wanted) - len(kept),
    )


@dataclass(frozen=True, slots=True)
class Waves:
    """When each wave runs."""

    wave: tuple[int, ...]
    start_s: tuple[float, ...]
    end_s: tuple[float, ...]


def waves(plan: Plan) -> Waves:
    """First start and last end of each wave, in order."""
    span: dict[int, tuple[float, float]] = {}
    for move in plan.moves:
        low, high = span.get(move.wave, (move.start_s, move.end_s))
        span[move.wave] = (min(low, move.start_s), max(high, move.end_s))
    order = sorted(span)
    return Waves(tuple(order), tuple(span[w][0] for w in order), tuple(span[w][1] for w in order))


@dataclass(frozen=True, slots=True)
class LinkUse:
    """Traffic of a plan's migrations on one directed link: `rate_mbps[i]` from `time_s[i]` on."""

    name: str
    capacity_mbps: float
    time_s: Floats
    rate_mbps: Floats

    @property
    def peak_mbps(self) -> float:
        """The most at any time."""
        return float(self.rate_mbps.max()) if len(self.rate_mbps) else 0.0

    @property
    def peak_ratio(self) -> float:
        """The most at any time, over the link's capacity."""
        return self.peak_mbps / self.capacity_mbps if 0 < self.capacity_mbps < np.inf else 0.0

    def at(self, at_s: float) -> float:
        """Mbit/s at one moment."""
        i = int(np.searchsorted(self.time_s, at_s, side="right")) - 1
        return float(self.rate_mbps[i]) if i >= 0 else 0.0

    def ratio_at(self, at_s: float) -> float:
        """Use at one moment, over the link's capacity."""
        return self.at(at_s) / self.capacity_mbps if self.capacity_mbps > 0 else 0.0


BANDS = (0.01, 0.5, 0.85)
"""Shares of a link's capacity: idle up to the first, then up to half, busy, full."""


def band(ratio: float) -> int:
    """Which of the `BANDS` a share of a link's capacity falls into, 0 (idle) to 3 (full)."""
    return sum(ratio > limit for limit in BANDS)


def directions(a: str, b: str, link: int) -> tuple[str, str]:
    """The names of an edge's two directed links; an edge without a link of its own is the host's NICs."""
    if link < 0:
        return f"NICs of {a}, sending", f"NICs of {a}, receiving"
    return f"{a} to {b}", f"{b} to {a}"


def link_use(plan: Plan, *, nics: bool = True) -> tuple[LinkUse, ...]:
    """Traffic on every link that the plan uses, fullest first.

    A migration's traffic is spread evenly over its duration, so each curve keeps the plan's bytes; the
    bursts within one migration are not shown.
    """
    network = Network.of(plan.snapshot)
    events: dict[int, list[tuple[float, float]]] = {}
    for move, on in zip(plan.moves, _links_of(plan.snapshot, network, plan.moves), strict=True):
        if not 0.0 < move.total_s < np.inf:
            continue
        rate = move.transferred_mib * MBPS_PER_MIBPS / move.total_s
        for link in on:
            if nics or link < 2 * network.n_links:
                events.setdefault(link, []).extend([(move.start_s, rate), (move.end_s, -rate)])
    uses = []
    for link, changes in events.items():
        time, which = np.unique([t for t, _ in changes], return_inverse=True)
        step = np.zeros(len(time))
        np.add.at(step, which, [change for _, change in changes])
        rate_mbps = np.maximum(np.cumsum(step), 0.0)
        rate_mbps[rate_mbps < 1e-6] = 0.0
        uses.append(LinkUse(network.link_name(link), float(network.capacity_mbps[link]), time, rate_mbps))
    return tuple(sorted(uses, key=lambda use: (-use.peak_ratio, -use.peak_mbps, use.name)))


def replayed_link_use(plan: Plan, profile: Any = "vmware", *, most_moves: int = 600) -> tuple[LinkUse, ...]:
    """Traffic on every link as an independent replay of the plan finds it, second by second, fullest first.

    For a plan of more than `most_moves` moves, and where the replay cannot follow the plan or does not
    end each move when the plan says, the traffic is spread as `link_use` does.
    """
    if not plan.moves or len(plan.moves) > most_moves or not np.isfinite(plan.makespan_s):
        return link_use(plan)
    try:
        report = replay(plan, profile=profile)
    except (KeyError, ValueError):
        return link_use(plan)
    if any(difference.kind == "time" for difference in report.differences) or not report.link_use_mbps:
        return link_use(plan)
    network = Network.of(plan.snapshot)
    capacity = {network.link_name(i): float(mbps) for i, mbps in enumerate(network.capacity_mbps)}
    uses = []
    for name, rate_mbps in report.link_use_mbps.items():
        rates = np.append(np.round(np.asarray(rate_mbps, dtype=np.float64), 3), 0.0)
        new = np.append(True, rates[1:] != rates[:-1])
        time_s = np.arange(len(rates), dtype=np.float64)[new]
        uses.append(LinkUse(name, capacity.get(name, np.inf), time_s, rates[new]))
    return tuple(sorted(uses, key=lambda use: (-use.peak_ratio, -use.peak_mbps, use.name)))


def running(plan: Plan, at_s: float) -> tuple[Move, ...]:
    """The moves that run at one moment."""
    return tuple(move for move in plan.moves if move.start_s <= at_s < move.end_s)


def busiest_moment(plan: Plan) -> float:
    """The first second at which most moves run."""
    if not plan.moves:
        return 0.0
    start_s = np.sort([move.start_s for move in plan.moves])
    end_s = np.sort([max(move.start_s, move.end_s) for move in plan.moves])
    n_running = np.searchsorted(start_s, start_s, side="right") - np.searchsorted(
        end_s, start_s, side="right"
    )
    return float(start_s[np.argmax(n_running)])


def _links_of(snapshot: Snapshot, network: Network, moves: Sequence[Move]) -> list[list[int]]:
    position = snapshot.hosts.position
    src = np.array([position.get(move.from_host, -1) for move in moves], dtype=np.int32)
    dst = np.array([position.get(move.to_host, -1) for move in moves], dtype=np.int32)
    if not len(src):
        return []
    incidence = network.link_incidence(src, dst)
    links = incidence.link_idx.tolist()
    start = incidence.start.tolist()
    return [links[start[i] : start[i + 1]] for i in range(len(src))]
