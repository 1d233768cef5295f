"""A safe order of the moves: one after the other, every `during` limit holding at every instant.

Moves whose room is free go first; where none can go, the cheapest parking move, on a third host or of the disks on a
third datastore, makes room;
where that fails too, the VMs that wait for each other are named and stay, and the rest goes on. Moves that are needed
and find no way so are tried before all others as well: a move that only evens out the load may have taken the room
for their detour.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from drs.model import Snapshot
from drs.planning.pricing import Leg, Pricer
from drs.planning.rooms import Amounts, Rooms
from drs.stop import Stop

Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]
Hosts = Callable[[int], Bools]

TRIES = 12
"""How often the order is sought anew, with those that were stuck first, before a VM is parked."""

MAX_IN_VAIN = 4
"""VMs parked in a row without letting another go."""

MAX_CANDIDATES = 200
"""Parking legs priced at one deadlock."""

ENDED = "the search ended before a safe order of it was found"

HOSTS_TRIED = 8
"""Third hosts considered for each VM, those with the least migrations first."""


@dataclass(frozen=True)
class Lost:
    """A leg that no safe order reaches."""

    leg: Leg
    reason: str
    cycle: tuple[int, ...] = ()
    """The VMs that wait for each other, in order."""
    no_time: bool = False
    """Whether only time is missing."""


@dataclass(frozen=True)
class Order:
    """Legs in an order that is safe one at a time. `before[i]`: legs that must have ended for limits that are
    no sums, or because the VM itself moves in two legs."""

    legs: tuple[Leg, ...]
    take: tuple[Amounts, ...]
    give: tuple[Amounts, ...]
    before: tuple[tuple[int, ...], ...]
    lost: tuple[Lost, ...]


def fits(amount: float, free: float) -> bool:
    """Whether there is room, up to rounding."""
    return amount <= free + 1e-7 * (1.0 + amount)


class _Walk:
    """A cluster on its way: what is free, and where every VM is."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.free: list[float] = rooms.free.tolist()
        self.start = np.asarray(rooms.snapshot.vms.host_idx, dtype=np.int32)
        self.host = self.start.copy()

    def copy(self) -> _Walk:
        """The same cluster, to go another way from here."""
        other = copy(self)
        other.free, other.host = self.free.copy(), self.host.copy()
        return other

    def lacks(self, leg: Leg, take: Amounts) -> int | None:
        """The row without room for a leg, -1 - k for logic limit k, None when it can go now."""
        for row, amount in take:
            if not fits(amount, self.free[row]):
                return row
        for k in self.rooms.logic_of_vm.get(leg.vm, ()):
            there = self.host.copy()
            there[leg.vm] = leg.dst
            if not self.rooms.logic[k].holds(self.host, there, self.start):
                return -1 - k
        return None

    def go(self, leg: Leg, take: Amounts, give: Amounts) -> None:
        for row, amount in take:
            self.free[row] -= amount
        for row, amount in give:
            self.free[row] += amount
        self.host[leg.vm] = leg.dst


def find_order(
    legs: Sequence[Leg],
    rooms: Rooms,
    pricer: Pricer,
    hosts_for: Hosts,
    *,
    priorities: Mapping[int, float] | None = None,
    needed: Collection[int] = (),
    seed: int = 0,
    stop: Stop,
) -> Order:
    """The safe order, with parking legs where needed and what is lost.

    Each round either ends the search, or gives up a leg, or bars a VM from being parked: there are at most as
    many rounds as VMs.

    Parameters
    ----------
    hosts_for : where a VM may be parked, bool[n_hosts].
    priorities : by VM, higher first.
    needed : VMs whose moves are more than an improvement: where some of them find no way, all of them go before
        the others, if more of them go so.
    stop : when no more VMs are parked; who waits then stays where it is.
    """
    sought = _Search(rooms, pricer, hosts_for, priorities or {}, stop)
    done, lost = sought.order([list(legs)], np.random.default_rng(seed))

    def missing(lost: Sequence[Lost]) -> tuple[int, int]:
        return sum(entry.leg.vm in needed for entry in lost), len(lost)

    first = [leg for leg in legs if leg.vm in needed]
    if missing(lost)[0] and len(first) < len(legs):
        rest = [leg for leg in legs if leg.vm not in needed]
        other = sought.order([first, rest], np.random.default_rng(seed))
        if missing(other[1]) < missing(lost):
            done, lost = other
    taken = [rooms.taken(leg) for leg in done]
    return Order(
        tuple(done),
        tuple(take for take, _ in taken),
        tuple(give for _, give in taken),
        _chains(done, rooms),
        tuple(lost),
    )


@dataclass(frozen=True)
class _Search:
    """What every search for an order of one plan has in common."""

    rooms: Rooms
    pricer: Pricer
    hosts_for: Hosts
    priorities: Mapping[int, float]
    stop: Stop

    def order(
        self, stages: Sequence[Sequence[Leg]], rng: np.random.Generator
    ) -> tuple[list[Leg], list[Lost]]:
        """The legs in a safe order, those of a stage before those of later ones; what finds no way in its stage
        has another chance in the last."""
        walk, done, waiting = _Walk(self.rooms), list[Leg](), list[Leg]()
        for legs in stages[:-1]:
            walk, gone, lost = self.stage(legs, walk, rng)
            done += gone
            waiting += [entry.leg for entry in lost]
        walk, gone, lost = self.stage([*waiting, *stages[-1]], walk, rng)
        return done + gone, lost

    def stage(
        self, legs: Sequence[Leg], begin: _Walk, rng: np.random.Generator
    ) -> tuple[_Walk, list[Leg], list[Lost]]:
        """From one state of the cluster on: where it ends, what goes in which order, and what is lost."""
        rooms, priorities, stop = self.rooms, self.priorities, self.stop
        lost: list[Lost] = []
        rest = list(legs)
        asked = {leg.vm: leg for leg in legs}
        barred: set[int] = set()
        walk, done = begin, list[Leg]()
        for _ in range(2 * len(rooms.snapshot.vms) + 1):
            over = _never_fit(rest, rooms, priorities, begin.free)
            lost.extend(over)
            rest = _without(rest, over)
            done, stuck, walk = _several_tries(rest, rooms, priorities, rng, begin)
            n_straight, waiting = len(done), list(stuck)
            parked: set[int] = set()
            while stuck and stop.remaining_s > 0:
                stuck = _with_parking(
                    done, stuck, walk, rooms, self.pricer, self.hosts_for, parked, barred, stop
                )
                if not stuck:
                    break
                gone = _never_fit(stuck, rooms, priorities, walk.free) or _strand(stuck, walk, rooms)
                lost.extend(gone)
                stuck = _without(stuck, gone)
                if any(entry.leg.vm in parked for entry in gone):
                    break
            homeless = {entry.leg.vm for entry in lost} & parked
            if stuck and stop.remaining_s <= 0:
                # Whoever is parked may not be left there: what went straight to its goal stands.
                done, walk = done[:n_straight], begin.copy()
                for leg in done:
                    walk.go(leg, *rooms.taken(leg))
                told = {entry.leg.vm for entry in lost}
                lost = [replace(entry, leg=asked[entry.leg.vm]) for entry in lost if entry.leg.vm in asked]
                lost.extend(Lost(leg, ENDED) for leg in waiting if leg.vm not in told)
                break
            if not homeless:
                break
            # Somebody was parked in vain: begin again without all that is lost, and without parking bystanders so.
            names = {entry.leg.vm for entry in lost}
            barred |= homeless - asked.keys()
            lost = [replace(entry, leg=asked[entry.leg.vm]) for entry in lost if entry.leg.vm in asked]
            rest = [leg for leg in legs if leg.vm not in names]
        return walk, done, lost


def _without(legs: Sequence[Leg], lost: Sequence[Lost]) -> list[Leg]:
    names = {entry.leg.vm for entry in lost}
    return [leg for leg in legs if leg.vm not in names]


def _never_fit(
    legs: Sequence[Leg],
    rooms: Rooms,
    priorities: Mapping[int, float],
    today: Sequence[float] | NDArray[np.float64],
) -> list[Lost]:
    """Legs to give up until the room that the others take and leave adds up, everything having moved."""
    left = {leg.vm: leg for leg in legs}
    free: dict[int, float] = {}
    taking: dict[int, list[int]] = {}
    for leg in legs:
        take, give = rooms.taken(leg)
        for row, amount in take:
            free[row] = free.get(row, float(today[row])) - amount
            taking.setdefault(row, []).append(leg.vm)
        for row, amount in give:
            free[row] = free.get(row, float(today[row])) + amount
    lost = []
    short = [row for row in taking if not fits(0.0, free[row])]
    while short:
        row = short.pop()
        while not fits(0.0, free[row]):
            amounts = {vm: dict(rooms.taken(left[vm])[0])[row] for vm in taking[row] if vm in left}
            if not amounts:
                break
            # The smallest that is enough by itself, else the largest; the least urgent first.
            missing = -free[row]
            vm = min(amounts, key=lambda vm: (
                priorities.get(vm, 0.0), not fits(missing, amounts[vm]),
                amounts[vm] if fits(missing, amounts[vm]) else -amounts[vm], vm,
            ))  # fmt: skip
            leg = left.pop(vm)
            origin, place = rooms.name(row)
            lost.append(Lost(
                leg, f"{origin} leaves no room on {place} even when all others have moved: "
                     f"{missing:,.0f} too little",
            ))  # fmt: skip
            take, give = rooms.taken(leg)
            for r, amount in take:
                free[r] += amount
            for r, amount in give:
                free[r] -= amount
                if r in taking and not fits(0.0, free[r]):
                    short.append(r)
    return lost


def _several_tries(
    legs: Sequence[Leg], rooms: Rooms, priorities: Mapping[int, float], rng: np.random.Generator, begin: _Walk
) -> tuple[list[Leg], list[Leg], _Walk]:
    taken = [rooms.taken(leg) for leg in legs]
    demand: dict[int, float] = {}
    for take, _ in taken:
        for row, amount in take:
            demand[row] = demand.get(row, 0.0) + amount
    contested = {row for row, amount in demand.items() if not fits(amount, begin.free[row])}

    def rank(i: int) -> tuple[float, ...]:
        take, give = taken[i]
        uses = sum(amount / max(demand[row], 1e-12) for row, amount in take if row in contested)
        frees = sum(amount / max(demand[row], 1e-12) for row, amount in give if row in contested)
        return (-priorities.get(legs[i].vm, 0.0), float(uses > 0), uses - frees)

    key = [rank(i) for i in range(len(legs))]
    boost = np.zeros(len(legs))
    best: tuple[list[Leg], list[Leg], _Walk] | None = None
    for attempt in range(TRIES):
        order = sorted(range(len(legs)), key=lambda i: (-boost[i], *key[i], i))
        done, stuck, walk = _greedy(order, legs, taken, begin)
        if best is None or len(stuck) < len(best[1]):
            best = ([legs[i] for i in done], [legs[i] for i in stuck], walk)
        if not stuck:
            break
        if attempt and len(stuck) == len(legs):
            break
        boost[stuck] += 1.0 if attempt % 3 else rng.random(len(stuck))
    assert best is not None
    return best


def _greedy(
    order: Sequence[int], legs: Sequence[Leg], taken: Sequence[tuple[Amounts, Amounts]], begin: _Walk
) -> tuple[list[int], list[int], _Walk]:
    """Whatever can go, goes, in the order given; who lacks room waits for it."""
    walk, rooms = begin.copy(), begin.rooms
    rank = {i: r for r, i in enumerate(order)}
    ready = list(range(len(order)))
    waiting: dict[int, list[int]] = {}
    done: list[int] = []
    while ready:
        i = order[heapq.heappop(ready)]
        take, give = taken[i]
        row = walk.lacks(legs[i], take)
        if row is not None:
            waiting.setdefault(row, []).append(i)
            continue
        walk.go(legs[i], take, give)
        done.append(i)
        woken = [r for r, _ in give] + [-1 - k for k in rooms.logic_of_vm.get(legs[i].vm, ())]
        for r in woken:
            for j in waiting.pop(r, ()):
                heapq.heappush(ready, rank[j])
    stuck = sorted({j for queue in waiting.values() for j in queue}, key=lambda j: rank[j])
    return done, stuck, walk


def _drain(stuck: list[Leg], done: list[Leg], walk: _Walk, rooms: Rooms) -> list[Leg]:
    """Let every leg go that can; returns those that still wait."""
    moved = True
    while moved:
        moved = False
        for leg in list(stuck):
            take, give = rooms.taken(leg)
            if walk.lacks(leg, take) is None:
                walk.go(leg, take, give)
                done.append(leg)
                stuck.remove(leg)
                moved = True
    return stuck


def _with_parking(
    done: list[Leg],
    stuck: Sequence[Leg],
    walk: _Walk,
    rooms: Rooms,
    pricer: Pricer,
    hosts_for: Hosts,
    parked: set[int],
    barred: set[int],
    stop: Stop,
) -> list[Leg]:
    """Lets go whoever can, parking others where needed, each VM once; grows `done`, `parked`; returns who waits."""
    stuck = list(stuck)
    in_vain = 0
    for _ in range(len(rooms.snapshot.vms) + 1):
        n_before = len(stuck)
        stuck = _drain(stuck, done, walk, rooms)
        in_vain = 0 if len(stuck) < n_before else in_vain + 1
        if not stuck or in_vain > MAX_IN_VAIN or stop.remaining_s <= 0:
            break
        found = _cheapest_parking(done, stuck, walk, rooms, pricer, hosts_for, parked | barred)
        if found is None:
            break
        first, second = found
        take, give = rooms.taken(first)
        walk.go(first, take, give)
        done.append(first)
        parked.add(first.vm)
        stuck = [leg for leg in stuck if leg.vm != first.vm] + [second]
    return stuck


def _cheapest_parking(
    done: Sequence[Leg],
    stuck: Sequence[Leg],
    walk: _Walk,
    rooms: Rooms,
    pricer: Pricer,
    hosts_for: Hosts,
    parked: set[int],
) -> tuple[Leg, Leg] | None:
    """The parking leg and the leg onwards that cost least in time, among those that let another VM go.

    Where no single one does, the one that frees the largest share of what is missing for its cost.
    """
    snapshot = rooms.snapshot
    waits: dict[int, list[tuple[Leg, float]]] = {}
    need: dict[int, Amounts] = {}
    for leg in stuck:
        take, _ = rooms.taken(leg)
        need[leg.vm] = take
        for row, amount in take:
            if not fits(amount, walk.free[row]):
                waits.setdefault(row, []).append((leg, amount - walk.free[row]))
    goes = {leg.vm: leg for leg in stuck}
    hosts = {leg.dst for leg in stuck}
    residents: dict[int, list[int]] = {}
    for vm in np.flatnonzero(np.isin(walk.host, list(hosts))).tolist():
        residents.setdefault(int(walk.host[vm]), []).append(vm)
    # Among equals the host that has the least to do, so that detours do not queue for one NIC.
    busy_mib = np.zeros(snapshot.n_hosts)
    for leg in (*done, *stuck):
        busy_mib[[leg.src, leg.dst]] += snapshot.vms.memory_mib[leg.vm]
    options: list[tuple[int, Leg, Leg]] = []
    own = [leg for leg in stuck if leg.vm not in parked]
    for leg in sorted(own, key=lambda leg: snapshot.vms.memory_mib[leg.vm]):
        _, give = rooms.taken(leg)
        if any(row in waits for row, _ in give):
            options.extend(_park_at(leg, leg.dst, walk, rooms, hosts_for, busy_mib))
            options.extend(_park_disks(leg, walk, rooms))
    if len(options) < MAX_CANDIDATES // 4:
        for host in sorted(hosts):
            around = [vm for vm in residents.get(host, ()) if vm not in goes and vm not in parked]
            for vm in sorted(around, key=lambda vm: snapshot.vms.memory_mib[vm])[:12]:
                stay = Leg(vm, host, host)
                if walk.host[vm] == walk.start[vm]:
                    options.extend(_park_at(stay, host, walk, rooms, hosts_for, busy_mib))
    options = options[:MAX_CANDIDATES]
    if not options:
        return None
    scores: list[tuple[float, float, float, int]] = []
    out = pricer.price([first for _, first, _ in options])
    on = pricer.price([second for _, _, second in options])
    straight = pricer.price(
        [replace(second, src=first.src) if first.src != second.dst else first for _, first, second in options]
    )
    for i, (_, first, second) in enumerate(options):
        if out.refused[i] or on.refused[i]:
            continue
        direct = 0.0 if first.src == second.dst else float(np.nan_to_num(straight.total_s[i]))
        cost = float(out.total_s[i] + on.total_s[i]) - direct
        lets_go, freed = _gain(first, waits, need, walk, rooms)
        if freed > 0:
            cost = cost if lets_go else cost / freed
            scores.append((0.0 if lets_go else 1.0, round(cost, 3), float(busy_mib[first.dst]), i))
    if not scores:
        return None
    i = min(scores)[3]
    return options[i][1], options[i][2]


def _park_at(
    leg: Leg, goal: int, walk: _Walk, rooms: Rooms, hosts_for: Hosts, busy_mib: NDArray[np.float64]
) -> list[tuple[int, Leg, Leg]]:
    """Ways to park a VM on a third host and to bring it to its goal later."""
    ways: list[tuple[int, Leg, Leg]] = []
    hosts = np.flatnonzero(hosts_for(leg.vm) & rooms.holds(leg.vm, np.asarray(walk.free)))
    for host in hosts[np.lexsort((hosts, busy_mib[hosts]))].tolist():
        if host in (leg.src, goal) or rooms.forbids(leg.vm, host):
            continue
        first = Leg(leg.vm, leg.src, host, parking=True)
        take, _ = rooms.taken(first)
        if walk.lacks(first, take) is None:
            second = replace(leg, src=host, dst=goal)
            ways.append((leg.vm, first, second))
            if len(ways) == HOSTS_TRIED:
                break
    return ways


def _park_disks(leg: Leg, walk: _Walk, rooms: Rooms) -> list[tuple[int, Leg, Leg]]:
    """Ways to put the disks of a VM on a third datastore, from where they go on later."""
    snapshot = rooms.snapshot
    ways: list[tuple[int, Leg, Leg]] = []
    if not leg.disks or leg.from_datastores:
        return ways
    seen = snapshot.mounts[leg.src] & snapshot.mounts[leg.dst] & snapshot.datastores.usable
    for store in np.flatnonzero(seen).tolist():
        there = (store,) * len(leg.disks)
        if store in leg.to_datastores or store in leg.is_on(snapshot):
            continue
        first = Leg(leg.vm, leg.src, leg.src, leg.disks, there, parking=True)
        take, _ = rooms.taken(first)
        if walk.lacks(first, take) is None:
            ways.append((leg.vm, first, replace(leg, from_datastores=there)))
            if len(ways) == HOSTS_TRIED:
                break
    return ways


def _gain(
    first: Leg,
    waits: Mapping[int, Sequence[tuple[Leg, float]]],
    need: Mapping[int, Amounts],
    walk: _Walk,
    rooms: Rooms,
) -> tuple[bool, float]:
    """Whether parking lets another VM go at once, and the share of what is missing that it frees."""
    take, give = rooms.taken(first)
    after = dict(give)
    for row, amount in take:
        after[row] = after.get(row, 0.0) - amount
    freed, lets_go = 0.0, False
    for row, amount in give:
        for leg, missing in waits.get(row, ()):
            if leg.vm == first.vm:
                continue
            freed = max(freed, min(1.0, amount / missing))
            if all(fits(a, walk.free[r] + after.get(r, 0.0)) for r, a in need[leg.vm]):
                lets_go = True
    return lets_go, freed


def _strand(stuck: Sequence[Leg], walk: _Walk, rooms: Rooms) -> list[Lost]:
    """Who can never go and why: a cycle of VMs that wait for each other, or room that nobody will give."""
    snapshot = rooms.snapshot
    names = snapshot.vms.name
    gives: dict[int, list[Leg]] = {}
    for leg in stuck:
        for row, _ in rooms.taken(leg)[1]:
            gives.setdefault(row, []).append(leg)
    waits_for: dict[int, list[int]] = {}
    lack: dict[int, int] = {}
    hopeless: list[Lost] = []
    for leg in stuck:
        take, _ = rooms.taken(leg)
        lacking = walk.lacks(leg, take)
        assert lacking is not None
        row = lack[leg.vm] = lacking
        if row < 0:
            rule = rooms.logic[-1 - row]
            others = [other.vm for other in stuck if other.vm in rule.vms and other.vm != leg.vm]
            waits_for[leg.vm] = others
            if not others:
                hopeless.append(Lost(leg, f"{rule.origin} would be broken on the way"))
            continue
        amount = dict(take)[row]
        coming = [other for other in gives.get(row, ()) if other.vm != leg.vm]
        offered = sum(dict(rooms.taken(other)[1])[row] for other in coming)
        waits_for[leg.vm] = [other.vm for other in coming]
        if not fits(amount, walk.free[row] + offered):
            origin, place = rooms.name(row)
            hopeless.append(
                Lost(
                    leg,
                    f"{origin} leaves no room on {place}: {amount:,.0f} needed, "
                    f"{max(0.0, walk.free[row]):,.0f} free, {offered:,.0f} to come",
                )
            )
    if hopeless:
        return hopeless
    cycle = _cycle(waits_for)
    members = set(cycle)
    words = ", ".join(str(names[vm]) for vm in cycle)
    out = []
    for leg in stuck:
        if leg.vm in members:
            row = lack[leg.vm]
            if row < 0:
                why = f"{rooms.logic[-1 - row].origin} would be broken on the way"
            else:
                origin, place = rooms.name(row)
                why = f"{origin} leaves no room on {place} until another has left"
            turned = cycle[cycle.index(leg.vm) :] + cycle[: cycle.index(leg.vm)]
            text = f"{words} wait for each other's room and nothing can be parked; {why}"
            out.append(Lost(leg, text, turned))
    return out


def _cycle(waits_for: Mapping[int, Sequence[int]]) -> tuple[int, ...]:
    """A cycle in a graph where everyone waits for somebody."""
    vm = min(waits_for)
    seen: dict[int, int] = {}
    path: list[int] = []
    while vm not in seen:
        seen[vm] = len(path)
        path.append(vm)
        ahead = [other for other in waits_for[vm] if other in waits_for]
        if not ahead:
            return (vm,)
        back = [other for other in ahead if other in seen]
        vm = max(back, key=lambda other: seen[other]) if back else ahead[0]
    return tuple(path[seen[vm] :])


def _chains(legs: Sequence[Leg], rooms: Rooms) -> tuple[tuple[int, ...], ...]:
    """Who must have ended before each leg: the VM's own earlier leg, and the last of its logic limits."""
    before: list[set[int]] = [set() for _ in legs]
    last: dict[int, int] = {}
    safe = rooms.always_hold(legs)
    last_of_logic: dict[int, int] = {}
    for i, leg in enumerate(legs):
        if leg.vm in last:
            before[i].add(last[leg.vm])
        last[leg.vm] = i
        for k in rooms.logic_of_vm.get(leg.vm, ()):
            if not safe[k]:
                if k in last_of_logic:
                    before[i].add(last_of_logic[k])
                last_of_logic[k] = i
    return tuple(tuple(sorted(entry)) for entry in before)


def tokens(
    order: Sequence[int],
    free: NDArray[np.float64],
    take: Sequence[Amounts],
    give: Sequence[Amounts],
    end_key: Sequence[float] | None = None,
    start_key: Sequence[float] | None = None,
) -> list[tuple[int, ...]]:
    """Who made each leg's room: edges under which every order is safe.

    Each unit of room is handed from the leg that leaves it to one that takes it, so a leg may start as soon
    as those whose room it was given have ended, whatever else runs (a partial-order schedule: Policella,
    Oddo, Smith, Cesta, "Generating robust partial order schedules", CP 2004).

    Parameters
    ----------
    order : the legs in an order that is safe one at a time, or by start where `start_key` and `end_key` say
        when each starts and ends.
    """
    pools: dict[int, list[list[float]]] = {}
    edges: list[tuple[int, ...]] = [()] * len(take)
    handed: list[tuple[float, int]] = []

    def receive(upto: float) -> None:
        while handed and handed[0][0] <= upto + 1e-9:
            _, j = heapq.heappop(handed)
            for row, amount in give[j]:
                pools.setdefault(row, [[-1.0, float(free[row])]]).append([float(j), amount])

    for place, i in enumerate(order):
        receive(start_key[i] if start_key is not None else float(place))
        sources: set[int] = set()
        for row, amount in take[i]:
            pool = pools.setdefault(row, [[-1.0, float(free[row])]])
            left = amount
            exact = next((t for t in pool if t[0] >= 0 and int(t[0]) in sources and t[1] >= left), None)
            for token in [exact] if exact is not None and pool[0][1] < left else pool:
                used = min(left, token[1])
                if used > 0:
                    token[1] -= used
                    left -= used
                    if token[0] >= 0:
                        sources.add(int(token[0]))
                if left <= 1e-7 * (1.0 + amount):
                    break
            pools[row] = [token for k, token in enumerate(pool) if k == 0 or token[1] > 1e-12]
        edges[i] = tuple(sorted(sources))
        heapq.heappush(handed, (end_key[i] if end_key is not None else place + 0.5, i))
    return edges


def default_hosts(snapshot: Snapshot) -> Hosts:
    """Where a VM may be parked when nobody says so: connected hosts of its cluster that see its datastores
    and networks, and that take what its CPU features ask for."""
    from drs.model import cpu

    usable = snapshot.hosts.state == "connected"
    stores: dict[int, set[int]] = {}
    for vm, store in zip(snapshot.disks.vm_idx.tolist(), snapshot.disks.datastore_idx.tolist(), strict=True):
        if store >= 0:
            stores.setdefault(vm, set()).add(store)
    networks: dict[int, set[int]] = {}
    for vm, network in zip(snapshot.nic_vm_idx.tolist(), snapshot.nic_network_idx.tolist(), strict=True):
        networks.setdefault(vm, set()).add(network)
    cluster, gpus = snapshot.hosts.cluster_idx, np.nan_to_num(snapshot.vms.gpus)
    evc_class, evc_mask = cpu.evc_classes(snapshot)

    def hosts_for(vm: int) -> Bools:
        here = snapshot.vms.host_idx[vm]
        mask = usable & (cluster == cluster[here])
        if gpus[vm] > 0:
            return np.zeros(snapshot.n_hosts, dtype=np.bool_)
        if vm in stores and snapshot.mounts.size:
            mask = mask & snapshot.mounts[:, sorted(stores[vm])].all(axis=1)
        if vm in networks and snapshot.portgroups.size:
            mask = mask & snapshot.portgroups[:, sorted(networks[vm])].all(axis=1)
        return np.asarray(mask & evc_mask[evc_class[vm]])

    return hosts_for
