"""A replay that checks: an event simulation of a plan that shares no code with the scheduler.

It takes the moves as they are written, by names and start times, and finds by itself what they would do: the
max-min fair shares of the links, how long each migration then lasts (the pre-copy model step by step), what
every host holds at each moment, every `during` limit and every cost unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from drs import precopy
from drs.model.network import Network
from drs.planning.guests import Guests
from drs.planning.limits import Concurrency
from drs.planning.plan import Move, Plan
from drs.terms import Allowed, AtLeast, AtMost, Capacity, During, MoveLimit, Near, Together, Within

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

IN_PLACE_MBPS = 8000.0
"""What a copy of disks that stays on one host gets (as the scheduler assumes it)."""


@dataclass(frozen=True)
class Difference:
    """One thing in which the replay and the plan disagree. `kind`: safety, concurrency, order or time."""

    kind: str
    at_s: float
    step: int
    sentence: str


@dataclass(frozen=True)
class ReplayReport:
    """What a replay found.

    Attributes
    ----------
    differences : empty for a plan that holds what it says
    finish_s : when each move ends, by step
    makespan_s : the end of the last
    link_use_mbps : mean use of each directed link that is used, by its name, per second of the plan
    peaks : by `during` capacity, the highest use of each host over its limit (a share)
    """

    differences: tuple[Difference, ...]
    finish_s: dict[int, float] = field(default_factory=dict)
    makespan_s: float = 0.0
    link_use_mbps: dict[str, Floats] = field(default_factory=dict)
    peaks: dict[str, Floats] = field(default_factory=dict)

    @property
    def safe(self) -> bool:
        """Whether every limit holds at every instant."""
        return not any(
            difference.kind in ("safety", "order", "concurrency") for difference in self.differences
        )


def replay(
    plan: Plan,
    during: Sequence[During] = (),
    *,
    concurrency: Concurrency | None = None,
    profile: Any = "vmware",
    times: bool = True,
    tolerance_ratio: float = 0.02,
) -> ReplayReport:
    """Replay a plan and report every difference.

    Parameters
    ----------
    times : whether durations are found anew from the shares of the links; without, those of the plan are
        taken and only order, room, rules and concurrency are checked.
    tolerance_ratio : differences in a move's end below this share of its duration (or 50 ms) are none.
    """
    world = _World(plan, during, concurrency or Concurrency(), profile)
    for move in plan.moves:
        world.check_move(move)
    if times:
        ends, use = _simulate(plan, profile, world.network)
        for move in plan.moves:
            gap = abs(ends[move.step] - move.end_s)
            if not gap <= max(0.05, tolerance_ratio * move.total_s):
                world.report(
                    "time",
                    move.end_s,
                    move.step,
                    f"{move.vm} ends after {ends[move.step]:.2f} s, the plan says {move.end_s:.2f} s",
                )
    else:
        ends, use = {move.step: move.end_s for move in plan.moves}, {}
    world.sweep({move.step: move.end_s for move in plan.moves})
    if times and any(d.kind == "time" for d in world.differences):
        world.sweep(ends)
    return ReplayReport(
        tuple(world.differences), ends, max(ends.values(), default=0.0), use,
        world.peaks,
    )  # fmt: skip


class Watch(Protocol):
    """One `during` limit as the replay follows it, a move's start or end at a time."""

    def breaks(
        self, vm: int, old: int, new: int, starts: bool, settled: Ints, flying: dict[int, int]
    ) -> int | None:
        """Whether the limit is worse than today once this move has started (or ended): a host where it is,
        -1 where it is at no host in particular; None while it holds.

        Parameters
        ----------
        settled : i4[n_vms], the host of each VM, the old one while it is in flight
        flying : the new host of each VM that is in flight
        """
        ...

    def anew(self, today: Ints) -> Watch:
        """The same watch before the first move."""
        ...


@singledispatch
def watch(term: object, today: Ints) -> Watch:
    """How the replay reads a term on the way: a second reading that shares nothing with `Limit.worst_cost`.

    Another term is taught with `watch.register`. Raises TypeError for a term that is not known.
    """
    raise TypeError(f"the replay of a plan cannot read the term {type(term).__name__} on the way")


class _Room:
    """What every host holds of a resource; a VM in flight holds its share on both hosts."""

    def __init__(self, term: Capacity, today: Ints) -> None:
        self.term = term
        self.use = np.zeros(len(term.limit))
        for i, h in enumerate(today.tolist()):
            if h >= 0:
                self.use[h] += term.demand[i]
        self.limit = np.maximum(term.limit, self.use)
        self.highest = self.use.copy()

    def anew(self, today: Ints) -> Watch:
        return _Room(self.term, today)

    def breaks(
        self, vm: int, old: int, new: int, starts: bool, settled: Ints, flying: dict[int, int]
    ) -> int | None:
        if old == new:
            return None
        amount = float(self.term.demand[vm])
        if not starts:
            self.use[old] -= amount
            return None
        self.use[new] += amount
        self.highest[new] = max(self.highest[new], self.use[new])
        return new if self.use[new] > self.limit[new] + 1e-6 * (1.0 + self.limit[new]) else None

    def peak(self) -> Floats:
        """The highest use over limit of each host so far."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.nan_to_num(self.highest / self.term.limit, posinf=np.inf))


class _Place:
    """Where a VM may not be at all; today's host and one that it may stay on do not count."""

    def __init__(self, term: Allowed, today: Ints) -> None:
        self.term, self.today = term, today

    def anew(self, today: Ints) -> Watch:
        return _Place(self.term, today)

    def breaks(
        self, vm: int, old: int, new: int, starts: bool, settled: Ints, flying: dict[int, int]
    ) -> int | None:
        term = self.term
        stays = term.stay is not None and term.stay[vm] == new
        forbidden = not term.mask[term.class_idx[vm], new] and new != self.today[vm] and not stays
        return -1 if starts and forbidden else None


Broken = Callable[[Any, Ints, dict[int, int], Ints], Floats]
"""By how much a limit may be broken, part by part, wherever the VMs in flight are."""


class _Group:
    """A limit that speaks of some VMs together, read anew at each start and end of one of them."""

    def __init__(self, term: Any, today: Ints, vms: Iterable[int], broken: Broken, ends: bool = True) -> None:
        self.term, self.today, self.vms, self.broken, self.ends = term, today, frozenset(vms), broken, ends
        self.base = broken(term, today, {}, today)

    def anew(self, today: Ints) -> Watch:
        return _Group(self.term, today, self.vms, self.broken, self.ends)

    def breaks(
        self, vm: int, old: int, new: int, starts: bool, settled: Ints, flying: dict[int, int]
    ) -> int | None:
        if vm not in self.vms or not (starts or self.ends):
            return None
        worse = self.broken(self.term, settled, flying, self.today) > self.base + 1e-6
        return -1 if worse.any() else None


def _areas(term: Any, vm: int, settled: Ints, flying: dict[int, int]) -> set[int]:
    """The domains in which a VM may count; -1 among them where it may count in none."""
    hosts = {int(settled[vm]), flying.get(vm, int(settled[vm]))}
    return {int(term.domain[h]) if h >= 0 else -1 for h in hosts}


watch.register(Capacity, _Room)
watch.register(Allowed, _Place)


@watch.register
def _(term: AtMost, today: Ints) -> Watch:
    members = frozenset(term.items.tolist())

    def broken(term: AtMost, settled: Ints, flying: dict[int, int], today: Ints) -> Floats:
        homes = settled[term.items]
        held = term.domain[homes[homes >= 0]]
        n = np.bincount(held[held >= 0], minlength=len(term.limit)).astype(float)
        for i in members.intersection(flying):
            home = int(term.domain[settled[i]]) if settled[i] >= 0 else -1
            for d in _areas(term, i, settled, flying) - {home, -1}:
                n[d] += 1
        return np.asarray(np.maximum(0.0, n - term.limit))

    return _Group(term, today, members, broken, ends=False)  # an end frees a place


@watch.register
def _(term: AtLeast, today: Ints) -> Watch:
    def broken(term: AtLeast, settled: Ints, flying: dict[int, int], today: Ints) -> Floats:
        areas = [_areas(term, i, settled, flying) for i in term.items.tolist()]
        sure = {d for here in areas for d in here if len(here) == 1} - {-1}
        pairs = [here for here in areas if len(here) == 2 and not here & (sure | {-1})]
        n_more = 0
        while pairs:
            pair = pairs.pop(0)
            n_more += 1
            pairs = [other for other in pairs if not other & pair]
        return np.array([max(0.0, term.at_least - len(sure) - n_more)])

    return _Group(term, today, term.items.tolist(), broken)


@watch.register
def _(term: Within, today: Ints) -> Watch:
    def broken(term: Within, settled: Ints, flying: dict[int, int], today: Ints) -> Floats:
        in_use = set().union(*(_areas(term, i, settled, flying) for i in term.items.tolist()))
        return np.array([max(0.0, float(len(in_use - {-1}) - term.at_most))])

    return _Group(term, today, term.items.tolist(), broken)


@watch.register
def _(term: Together, today: Ints) -> Watch:
    def broken(term: Together, settled: Ints, flying: dict[int, int], today: Ints) -> Floats:
        counts: dict[int, int] = {}
        n_all = 0
        for i in term.items.tolist():
            here = _areas(term, i, settled, flying)
            n_all += here != {-1}
            if len(here) == 1 and here != {-1}:
                (d,) = here
                counts[d] = counts.get(d, 0) + 1
        return np.array([max(0.0, n_all - max(counts.values(), default=0) - term.allowance)])

    return _Group(term, today, term.items.tolist(), broken)


@watch.register
def _(term: Near, today: Ints) -> Watch:
    def broken(term: Near, settled: Ints, flying: dict[int, int], today: Ints) -> Floats:
        needed = [_areas(term, i, settled, flying) for i in term.needs.tolist()]
        have = {-1} | {d for here in needed for d in here if len(here) == 1}
        alone = sum(1 for i in term.items.tolist() if _areas(term, i, settled, flying) - have)
        return np.array([max(0.0, alone - term.allowance)])

    return _Group(term, today, (*term.items.tolist(), *term.needs.tolist()), broken)


@watch.register
def _(term: MoveLimit, today: Ints) -> Watch:
    def broken(term: MoveLimit, settled: Ints, flying: dict[int, int], today: Ints) -> Floats:
        away = {i for i in range(len(today)) if today[i] >= 0 and settled[i] != today[i]}
        away |= {i for i, host in flying.items() if today[i] >= 0 and host != today[i]}
        return np.array([max(0.0, sum(float(term.weight[i]) for i in away) - term.limit)])

    return _Group(term, today, range(len(today)), broken)


class _World:
    """Where every VM is, and what is broken."""

    def __init__(self, plan: Plan, during: Sequence[During], concurrency: Concurrency, profile: Any) -> None:
        snapshot = plan.snapshot
        self.plan, self.snapshot, self.concurrency = plan, snapshot, concurrency
        self.network = Network.of(snapshot)
        self.differences: list[Difference] = []
        self.by_step = {move.step: move for move in plan.moves}
        self.today = np.asarray(snapshot.vms.host_idx, dtype=np.int32)
        self.vm = {str(name): i for i, name in enumerate(snapshot.vms.name)}
        self.host = {str(name): i for i, name in enumerate(snapshot.hosts.name)}
        self.store = {str(name): i for i, name in enumerate(snapshot.datastores.name)}
        self.watches = [(entry.origin, watch(entry.term, self.today)) for entry in during]
        self.peaks = {
            origin: np.zeros(snapshot.n_hosts) for origin, each in self.watches if isinstance(each, _Room)
        }
        self.seen: set[tuple[str, str]] = set()

    def report(self, kind: str, at_s: float, step: int, sentence: str) -> None:
        if (kind, sentence) not in self.seen:
            self.seen.add((kind, sentence))
            self.differences.append(Difference(kind, at_s, step, sentence))

    def check_move(self, move: Move) -> None:
        """The move's own figures and its dependencies."""
        for step in move.after_steps:
            if step not in self.by_step or self.by_step[step].end_s > move.start_s + 1e-6:
                self.report(
                    "order", move.start_s, move.step, f"{move.vm} starts before step {step} has ended"
                )

    def sweep(self, ends: dict[int, float]) -> None:
        """Every instant at which something starts or ends."""
        snapshot = self.snapshot
        watches = [(origin, each.anew(self.today)) for origin, each in self.watches]
        free_gib = snapshot.datastores.free_gib.astype(float).copy()
        floor_gib = np.minimum(0.0, free_gib)
        settled = self.today.copy()
        flying: dict[int, int] = {}
        slots: dict[tuple[str, int], float] = {}
        events: list[tuple[float, int, int, Move]] = []
        for move in self.plan.moves:
            events.append((move.start_s, 1, move.step, move))
            events.append((ends[move.step], 0, move.step, move))

        def when(event: tuple[float, int, int, Move]) -> tuple[float, bool, int, bool]:
            """What ends within a microsecond of a start has ended, but no move ends before it has started:
            one of no length at all, such as a powered-off VM's, ends right after its start."""
            at, starts, step, move = event
            now = round(at, 6)
            return now, bool(starts) or round(move.start_s, 6) >= now, step, not starts

        events.sort(key=when)
        first, order = snapshot.disks_of_vm
        for at, starts, step, move in events:
            vm, old, new = self.vm[move.vm], self.host[move.from_host], self.host[move.to_host]
            mine = order[first[vm] : first[vm + 1]].tolist()
            hops = [
                (float(snapshot.disks.used_gib[disk]), self.store[a], self.store[b])
                for disk, a, b in zip(mine, move.from_datastores, move.to_datastores, strict=True)
                if a != b and a in self.store and b in self.store
            ]
            sign = 1.0 if starts else -1.0
            for key, amount in self._units(move, old, new).items():
                slots[key] = slots.get(key, 0.0) + sign * amount
                if starts and slots[key] > self._most(key) + 1e-9:
                    self.report(
                        "concurrency",
                        at,
                        step,
                        f"{slots[key]:g} units at {key[0]} {key[1]}, at most {self._most(key):g}",
                    )
            if starts:
                if settled[vm] != old:
                    self.report(
                        "safety", at, step, f"{move.vm} is not on {move.from_host} when its move starts"
                    )
                if vm in flying:
                    self.report("safety", at, step, f"{move.vm} is in flight already")
                flying[vm] = new
            else:
                flying.pop(vm, None)
                settled[vm] = new
            for gib, a, b in hops:
                if starts:
                    free_gib[b] -= gib
                    if free_gib[b] < floor_gib[b] - 1e-6 * (1.0 + gib):
                        self.report("safety", at, step, f"no space on {move.to_datastores}")
                else:
                    free_gib[a] += gib
            for origin, each in watches:
                where = each.breaks(vm, old, new, bool(starts), settled, flying)
                if where is not None:
                    what = f"exceeded on {move.to_host}" if where >= 0 else f"is broken while {move.vm} moves"
                    self.report("safety", at, step, f"{origin} {what}")
        for origin, each in watches:
            if isinstance(each, _Room):
                self.peaks[origin] = np.maximum(self.peaks[origin], each.peak())
        reached = np.asarray(self.plan.placement.host_idx)
        for i in np.flatnonzero(settled != reached).tolist():
            self.report("safety", 0.0, 0, f"{snapshot.vms.name[i]} does not end where the plan says")

    def _units(self, move: Move, old: int, new: int) -> dict[tuple[str, int], float]:
        """vSphere's cost units (Limits on Simultaneous Migrations) and the user's own limits."""
        c, hosts = self.concurrency, self.snapshot.hosts
        copies = {(a, b) for a, b in zip(move.from_datastores, move.to_datastores, strict=True) if a != b}
        apart = bool(copies) and move.kind in ("vmotion", "long_distance", "cross_vcenter")
        host_cost = max(c.host_cost[move.kind], c.host_cost["storage"]) if apart else c.host_cost[move.kind]
        units: dict[tuple[str, int], float] = {("total", 0): 1.0}
        for h in {old, new}:
            units["host", h] = host_cost
            units["per_host", h] = 1.0
            if old != new:
                units["network", h] = c.network_cost[move.kind]
            if hosts.rack[h]:
                units["per_rack", int(np.argmax(hosts.rack == hosts.rack[h]))] = 1.0
            if hosts.cluster_idx[h] >= 0:
                units["per_cluster", int(hosts.cluster_idx[h])] = 1.0
        if c.per_link is not None and old != new:
            for link in self.network.path(old, new).links:
                units["per_link", link] = 1.0
        copy_cost = max(c.datastore_cost[move.kind], c.datastore_cost["storage"] if apart else 0)
        for a, b in zip(move.from_datastores, move.to_datastores, strict=True):
            for name in {a, b}:
                if name in self.store:
                    key = ("datastore", self.store[name])
                    amount = copy_cost if a != b else (1.0 if old != new and move.kind != "cold" else 0.0)
                    units[key] = max(units.get(key, 0.0), amount)
        return units

    def _most(self, key: tuple[str, int]) -> float:
        c, (name, place) = self.concurrency, key
        if name == "host":
            return c.host_units
        if name == "network":
            fast = self.snapshot.hosts.vmotion_mbps[place] >= 10_000
            return c.network_units_10gbe if fast else c.network_units_1gbe
        if name == "datastore":
            return c.datastore_units
        most = getattr(c, name)
        return math.inf if most is None else float(most)


def _simulate(plan: Plan, profile: Any, network: Network) -> tuple[dict[int, float], dict[str, Floats]]:
    """Ends of the moves and use of the links, each move started when the plan says."""
    moves = plan.moves
    n = len(moves)
    if not n:
        return {}, {}
    chosen = precopy.profile(profile)
    snapshot = plan.snapshot
    vm = np.array([snapshot.vms.position[move.vm] for move in moves])
    src = np.array([snapshot.hosts.position[move.from_host] for move in moves])
    dst = np.array([snapshot.hosts.position[move.to_host] for move in moves])
    paths = network.paths(src, dst)
    ptr, flat = network.link_incidence(src, dst)
    mtu, control = network.packets(src, dst)
    guests = Guests(snapshot)
    first, order = snapshot.disks_of_vm
    transfers: list[precopy.Transfer] = []
    for i, move in enumerate(moves):
        disks = order[first[vm[i]] : first[vm[i] + 1]].tolist()
        copied = [
            d for d, a, b in zip(disks, move.from_datastores, move.to_datastores, strict=True) if a != b
        ]
        quiet = src[i] == dst[i] or (move.kind == "cold" and not copied)
        # A vMotion whose disks move along copies them first, as a cross-vCenter one does.
        kind = "cross_vcenter" if move.kind == "vmotion" and copied else move.kind
        size = float(snapshot.disks.size_gib[copied].sum())
        transfers.append(precopy.Transfer.start(
            **guests.ask(int(vm[i])),
            bandwidth_mbps=IN_PLACE_MBPS if quiet else min(float(paths.bandwidth_mbps[i]), 1e6),
            rtt_ms=0.0 if quiet else float(paths.rtt_ms[i]),
            loss_ratio=0.0 if quiet else float(paths.loss_ratio[i]),
            mtu_bytes=chosen.mtu_bytes if np.isnan(mtu[i]) else float(mtu[i]), congestion_control=str(control[i]),
            disk_gib=size, disk_used_gib=min(size, float(snapshot.disks.used_gib[copied].sum())),
            disk_write_mibps=float(np.nan_to_num(snapshot.disks.write_mibps[copied]).sum()),
            profile=chosen, kind=kind,
        ))  # fmt: skip
    links = [
        [] if move.kind == "cold" and move.from_datastores == move.to_datastores
        else flat[ptr[i] : ptr[i + 1]].tolist()
        for i, move in enumerate(moves)
    ]  # fmt: skip
    capacity = {k: float(network.capacity_mbps[k]) * chosen.link_ratio for entry in links for k in entry}
    most = [float(transfer.bandwidth_mbps[0]) for transfer in transfers]
    horizon = math.ceil(max(move.end_s for move in moves) * 1.5) + 2
    use = {k: np.zeros(horizon) for k in capacity}
    waiting = sorted(range(n), key=lambda i: moves[i].start_s)
    active: list[int] = []
    due: dict[int, float] = {}
    rate: dict[int, float] = {}
    ends: dict[int, float] = {}
    now = 0.0
    while waiting or active:
        while waiting and moves[waiting[0]].start_s <= now + 1e-9:
            active.append(waiting.pop(0))
        on = [i for i in active if bool(transfers[i].on_link) and links[i]]
        fair = max_min({i: links[i] for i in on}, {i: most[i] for i in on}, capacity)
        for i in active:
            new = fair.get(i, most[i])
            if rate.get(i) != new or i not in due:
                rate[i] = new
                due[i] = now + float(transfers[i].next_event_s(new))
        step_to = min((due[i] for i in active), default=math.inf)
        if waiting:
            step_to = min(step_to, moves[waiting[0]].start_s)
        if not math.isfinite(step_to):
            for i in active:
                ends[moves[i].step] = math.inf
            break
        step = max(0.0, step_to - now)
        for i in on:
            _spread(use, links[i], rate[i], now, step_to, horizon)
        for i in list(active):
            reached = due[i] <= step_to + 1e-9
            # A step that ends at the event itself is made a hair longer than the rounding of its sum.
            transfers[i] = transfers[i].advance(rate[i], step + 1e-9 if reached else step)
            if reached:
                del due[i]
            if bool(transfers[i].done):
                ends[moves[i].step] = step_to
                active.remove(i)
                rate.pop(i, None)
        now = step_to
    last = math.ceil(now) + 1
    return ends, {network.link_name(k): series[:last] for k, series in sorted(use.items())}


def max_min(
    links: dict[int, list[int]], most: dict[int, float], capacity: dict[int, float]
) -> dict[int, float]:
    """Max-min fair rates by progressive filling: all rates rise together until a cap or a link stops them."""
    rate: dict[int, float] = {}
    left = {k: capacity[k] for entry in links.values() for k in entry}
    users: dict[int, set[int]] = {}
    for i, entry in links.items():
        for k in entry:
            users.setdefault(k, set()).add(i)
    open_ = set(links)
    while open_:
        level = min((left[k] / len(users[k]) for k in users if users[k]), default=math.inf)
        capped = [i for i in open_ if most[i] <= level]
        stopped = capped or [
            i for i in open_ if any(left[k] / len(users[k]) <= level * (1 + 1e-12) for k in links[i])
        ]
        for i in sorted(stopped):
            rate[i] = most[i] if capped else level
        for i in stopped:
            open_.discard(i)
            for k in links[i]:
                left[k] = max(0.0, left[k] - rate[i])
                users[k].discard(i)
    return rate


def _spread(
    use: dict[int, Floats], links: list[int], rate: float, start: float, end: float, horizon: int
) -> None:
    for second in range(int(start), min(math.ceil(end), horizon)):
        part = min(end, second + 1.0) - max(start, float(second))
        if part > 0:
            for k in links:
                use[k][second] += rate * part
