"""Why each VM of a plan moves: a code, a sentence, what it gains and costs, and what happens without it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from drs.explain.marginal import Marginal
from drs.goals.balance import priority
from drs.model import Placement, Snapshot
from drs.planning import Move, Plan
from drs.problem import Problem
from drs.result import MANDATORY, Purpose, Reason
from drs.rules import Rule
from drs.terms import Allowed, BinsUsed, Capacity, Deviation, MoveLimit, OverTarget, Role, Slots
from drs.terms.base import Floats, Ints
from drs.terms.limits import usage
from drs.words import percent, some

ROOM = "makes room for another move"
ROOM_CODE = "unreservedCapacity"


def reasons(problem: Problem, placement: Placement) -> dict[int, Reason]:
    """The reason of every VM that gets another host or datastore, by its position.

    First what must be repaired (the host's state, hard rules, broken rules, wishes), then the goal that the
    move serves most.
    """
    book = _Book(problem, np.asarray(placement.host_idx))
    snapshot = problem.snapshot
    after, start = book.after, book.start
    answer = {int(vm): book.reason(int(vm)) for vm in np.flatnonzero((after != start) & (after >= 0))}
    moving = np.flatnonzero(placement.datastore_idx != snapshot.disks.datastore_idx)
    mended = _mended_on_disks(problem, placement) if len(moving) else {}
    for disk in moving:
        vm = int(snapshot.disks.vm_idx[disk])
        if vm not in answer:
            store = int(snapshot.disks.datastore_idx[disk])
            code, text, purpose = _why_off(problem, int(disk), store, mended.get(str(snapshot.vms.name[vm])))
            answer[vm] = Reason(str(snapshot.vms.name[vm]), code, text, purpose=purpose)
    return answer


def _mended_on_disks(problem: Problem, placement: Placement) -> dict[str, Rule]:
    """By VM, the rule on disks that is broken for it today and no more after the plan."""
    mended: dict[str, Rule] = {}
    for rule in problem.rules_in_force:
        if rule.items == "disks":
            broken = {vm for each in rule.check(problem.snapshot, problem.today) for vm in each.vms}
            still = (
                {vm for each in rule.check(problem.snapshot, placement) for vm in each.vms}
                if broken
                else set()
            )
            for vm in sorted(broken - still):
                mended.setdefault(vm, rule)
    return mended


def _why_off(problem: Problem, disk: int, store: int, mends: Rule | None) -> tuple[str, str, Purpose]:
    """Why a disk leaves its datastore, as vSphere codes it, in words, and what that is for."""
    for rule in problem.request.rules if problem.request is not None else ():
        if rule.items == "disks" and disk in getattr(rule, "disks", ()):
            return rule.code(), rule.why_move(str(problem.snapshot.datastores.name[store])), "asked"
    stores, policy = problem.snapshot.datastores, problem.policy.storage
    name = str(stores.name[store])
    if mends is not None and stores.state[store] != "maintenance":
        return mends.code(), f"{name} is not where it belongs: {mends.label}", "repair"
    if stores.state[store] == "maintenance":
        return "datastoreMaint", f"{name} is in maintenance and must empty", "asked"
    full = 1.0 - float(stores.free_gib[store] / stores.capacity_gib[store])
    if full > policy.space_ratio:
        return (
            "balanceDatastoreSpaceUsage",
            f"{name} is {percent(full)} full, more than {percent(policy.space_ratio)}",
            "goal",
        )
    if stores.latency_ms[store] > policy.latency_ms:
        return "balanceDatastoreIOLoad", f"{name} answers in {stores.latency_ms[store]:.1f} ms", "goal"
    return ROOM_CODE, ROOM, "room"


def annotate(problem: Problem, plan: Plan, found: Mapping[int, Reason]) -> tuple[Plan, tuple[Reason, ...]]:
    """The plan with a reason and its code at every move, and the reason of each VM with its priority.

    DRS rates a recommendation by the imbalance that it meets: `6 - ceil(I / 0.1 x sqrt(N))`, the larger of
    cpu's and memory's, 2 to 5; what must be done has 1. Here the imbalance is that of the moment in the plan
    before the move. A move that makes room names the VMs for which it does, and is as urgent as they are.
    """
    snapshot = problem.snapshot
    position = snapshot.vms.position
    told = {
        name: found[position[name]] for name in {move.vm for move in plan.moves} if position[name] in found
    }
    starting = {
        str(snapshot.vms.name[vm]): str(snapshot.hosts.name[plan.target.host_idx[vm]])
        for vm in np.flatnonzero((problem.lowered.start < 0) & (plan.target.host_idx >= 0))
    }
    for move in plan.moves:  # a VM that only steps aside ends where it began
        told.setdefault(move.vm, Reason(move.vm, ROOM_CODE, ROOM, purpose="room"))
    rooms = _Rooms(plan, told, starting)
    ladder = _Imbalance(snapshot, np.array(problem.lowered.start))
    rated: dict[str, Reason] = {}
    moves: list[Move] = []
    for move in sorted(plan.moves, key=lambda move: move.step):
        reason = told[move.vm]
        makes = rooms.made_by(move) if reason.purpose == "room" or move.parking else None
        if makes is not None and reason.purpose == "room":
            reason = dataclasses.replace(reason, room_for=makes.vms)
            if reason.text == ROOM:
                reason = dataclasses.replace(reason, text=makes.text, without=makes.without)
        if move.vm not in rated:
            must = reason.priority == MANDATORY if reason.purpose != "room" else rooms.must(move)
            level = MANDATORY if must else ladder.priority(move.from_host)
            waits = snapshot.automation_of(position[move.vm])
            rated[move.vm] = dataclasses.replace(
                reason, priority=level, approval="" if waits == "full" else waits
            )
        ladder.move(position[move.vm], snapshot.hosts.position[move.to_host])
        text = reason.text
        if move.parking and reason.purpose != "room":
            text = f"{ROOM if makes is None else makes.text}; then {reason.text}"
        elif rooms.goes_back(move):
            text = f"goes back to {move.to_host}, where it ran"
        moves.append(dataclasses.replace(move, reason=text, reason_code=reason.code))
    return dataclasses.replace(plan, moves=tuple(moves)), tuple(rated.values())


@dataclass(frozen=True)
class _Room:
    """The room that one move makes: for which VMs, in words, and what happens without it."""

    vms: tuple[str, ...]
    text: str
    without: str


class _Rooms:
    """For whom each move of a plan makes room."""

    def __init__(self, plan: Plan, told: Mapping[str, Reason], starting: Mapping[str, str]) -> None:
        self.told = told
        self.moves = sorted(plan.moves, key=lambda move: move.step)
        self.waiting: dict[int, list[Move]] = {}
        self.coming: dict[str, list[Move]] = {}
        self.filling: dict[str, list[Move]] = {}
        for move in self.moves:
            for step in move.after_steps:
                self.waiting.setdefault(step, []).append(move)
            if move.to_host != move.from_host:
                self.coming.setdefault(move.to_host, []).append(move)
            for store in set(move.to_datastores) - set(move.from_datastores):
                self.filling.setdefault(store, []).append(move)
        self.starting: dict[str, list[str]] = {}
        """By host the VMs that start there: they come to it without a move."""
        for vm, host in starting.items():
            self.starting.setdefault(host, []).append(vm)

    def for_whom(self, move: Move) -> tuple[str, list[Move]]:
        """The place that the move leaves, and the moves that come to it, those that wait for this one first."""
        left = [store for store in move.from_datastores if store not in move.to_datastores]
        place, arrivals = move.from_host, self.coming.get(move.from_host, [])
        if move.from_host == move.to_host and left:
            place, arrivals = left[0], self.filling.get(left[0], [])
        others = [each for each in arrivals if each.vm != move.vm]
        waits = [each for each in others if move.step in each.after_steps]
        later = [each for each in others if each.step > move.step]
        for group in (waits, later, others):
            served = [each for each in group if self.told[each.vm].purpose != "room"]
            if group:
                return place, served or group
        return place, []

    def made_by(self, move: Move) -> _Room | None:
        """The room that a move makes; None where nobody comes to where it was."""
        place, group = self.for_whom(move)
        names = [f"{vm}, which starts there" for vm in self.starting.get(place, ())]
        names += [f"{each.vm} (step {each.step})" for each in group]
        vms = tuple(dict.fromkeys([*self.starting.get(place, ()), *(each.vm for each in group)]))
        if not vms:
            return None
        text = f"makes room on {place} for {some(names, 3)}"
        return _Room(vms, text, f"without it {place} has no room for {some(vms, 3)}")

    def must(self, move: Move) -> bool:
        """Whether it makes room for what must be done, directly or by others that make room."""
        seen: set[str] = set()
        queue = [move]
        while queue:
            each = queue.pop()
            seen.add(each.vm)
            if self.starting.get(each.from_host):
                return True
            for other in [*self.waiting.get(each.step, ()), *self.for_whom(each)[1]]:
                reason = self.told[other.vm]
                if reason.purpose in ("asked", "repair"):
                    return True
                if reason.purpose == "room" and other.vm not in seen:
                    queue.append(other)
        return False

    def goes_back(self, move: Move) -> bool:
        """Whether the move ends where the VM was at first."""
        first = next(each for each in self.moves if each.vm == move.vm)
        return first is not move and first.from_host == move.to_host


class _Imbalance:
    """The DRS imbalance of each cluster while a plan runs."""

    def __init__(self, snapshot: Snapshot, host_idx: Ints) -> None:
        self.snapshot, self.host_idx = snapshot, host_idx
        self.capacity = {r: np.maximum(snapshot.capacity(r), 1e-9) for r in ("cpu", "memory")}
        self.demand = {r: snapshot.demand(r) for r in ("cpu", "memory")}
        self.use = {r: usage(host_idx, self.demand[r], snapshot.n_hosts) for r in ("cpu", "memory")}
        connected = snapshot.hosts.state == "connected"
        cluster_idx = snapshot.hosts.cluster_idx
        self.members = [np.flatnonzero(connected & (cluster_idx == c)) for c in range(len(snapshot.clusters))]

    def priority(self, host: str) -> int:
        """DRS's priority of a balancing move of this host's cluster now."""
        members = self.members[self.snapshot.hosts.cluster_idx[self.snapshot.hosts.position[host]]]
        worst = 0.0
        for resource, use in self.use.items():
            if len(members):
                worst = max(worst, float((use[members] / self.capacity[resource][members]).std()))
        return priority(worst, len(members))

    def move(self, vm: int, host: int) -> None:
        """Count a move as done."""
        old = self.host_idx[vm]
        for resource, use in self.use.items():
            if old >= 0:
                use[old] -= self.demand[resource][vm]
            use[host] += self.demand[resource][vm]
        self.host_idx[vm] = host


PURPOSE: Mapping[Role, Purpose] = {"asked": "asked", "hard": "repair", "not_worse": "repair", "soft": "wish"}


class _Book:
    """Everything about a placement that many reasons need, computed once."""

    def __init__(self, problem: Problem, after: Ints) -> None:
        self.problem, self.after = problem, after
        self.snapshot = problem.snapshot
        lowered = problem.lowered
        self.start: Ints = lowered.start
        self.names = self.snapshot.hosts.name
        self.rule_of = {rule.label: rule for rule in problem.rules_in_force}
        self.unit = {level.name: level.unit for level in lowered.levels if level.role == "goal"}
        self.goal_of = dict(
            zip((level.name for level in lowered.levels if level.role == "goal"), problem.goals, strict=True)
        )
        request = problem.request
        self.only_asked = request is not None and request.few_others and "balance" not in request.also
        """Whether other VMs move for what is asked alone, and never for a goal."""
        self.repairs: list[tuple[Role, str, Marginal]] = []
        self.goal_terms: list[tuple[str, float, str, Marginal]] = []
        seen: dict[int, Marginal] = {}
        for level in lowered.levels:
            for entry in level.terms:
                found = seen.get(id(entry.term))
                if found is None:
                    found = Marginal(entry.term, self.start, after, lowered.n_bins)
                    seen[id(entry.term)] = found
                if level.role in ("asked", "hard", "not_worse", "soft"):
                    if found.cost_start > 0:
                        self.repairs.append((level.role, entry.origin, found))
                elif level.role == "goal":
                    self.goal_terms.append((level.name, entry.weight, entry.origin, found))
        self.value_after: dict[str, float] = {}
        for goal, weight, _, found in self.goal_terms:
            self.value_after[goal] = self.value_after.get(goal, 0.0) + weight * found.cost_after
        # Small groups are looked up by VM; the few terms on all VMs are asked each time.
        self.by_vm: dict[int, list[int]] = {}
        self.for_all: list[int] = []
        for k, (_, _, found) in enumerate(self.repairs):
            if found._members is None:
                self.for_all.append(k)
            else:
                for vm in found._members:
                    self.by_vm.setdefault(vm, []).append(k)
        self._uses: dict[int, tuple[Floats, Floats]] = {}

    def reason(self, vm: int) -> Reason:
        name, host, to = str(self.snapshot.vms.name[vm]), int(self.start[vm]), int(self.after[vm])
        gains = self._gains(vm)
        if host < 0:
            return Reason(
                name,
                "powerOnVm",
                "it has no host yet",
                MANDATORY,
                gains,
                "without it it does not run",
                "asked",
            )
        state = str(self.snapshot.hosts.state[host])
        if state in ("maintenance", "quarantine", "disconnected", "standby"):
            code = "hostInDegradation" if state == "quarantine" else "hostMaint"
            text = f"{self.names[host]} is in {state} and must empty"
            purpose: Purpose = "repair" if self.problem.request is None else "asked"
            without = f"without it {self.names[host]} does not empty"
            return Reason(name, code, text, MANDATORY, gains, without, purpose)
        for k in sorted([*self.by_vm.get(vm, ()), *self.for_all]):
            role, origin, found = self.repairs[k]
            said = self._repair(role, origin, found, vm, host, to)
            if said is not None:
                code, text, without = said
                rank = 2 if role == "soft" else MANDATORY
                return Reason(name, code, text, rank, gains, without, PURPOSE[role])
        found = None if self.only_asked else self._improvement(name, vm, host, to, gains)
        return found or self._room(name, vm, host, gains)

    def _gains(self, vm: int) -> dict[str, float]:
        gains: dict[str, float] = {}
        for goal, weight, _, found in self.goal_terms:
            gains[goal] = gains.get(goal, 0.0) + weight * found.without(vm)
        return {goal: gain for goal, gain in gains.items() if abs(gain) > 1e-12}

    def _repair(
        self, role: Role, origin: str, found: Marginal, vm: int, host: int, to: int
    ) -> tuple[str, str, str] | None:
        """Code, sentence and what happens without, where this move helps to repair the rule."""
        rule = self.rule_of.get(origin)
        code = Rule.reason_code if rule is None else rule.code()
        match found.term:
            case Allowed() as term:
                row = term.mask[term.class_idx[vm]]
                if row[host] or not row[to]:
                    return None
                return code, self._said(rule, origin, host), f"without it {origin} stays broken"
            case Capacity() as term:
                before, after = self._use(term)
                use = float(before[host])
                if term.demand[vm] <= 0 or use <= term.limit[host] * (1 + 1e-9):
                    return None
                limit = max(float(term.limit[host]), 1e-9)
                left = float(after[host])
                back = left + float(term.demand[vm])
                text = (
                    f"{term.resource} of {self.names[host]} is over its limit: "
                    f"{percent(use / limit)} → {percent(left / limit)} of it"
                )
                return (
                    code,
                    text,
                    f"without it {self.names[host]} has {percent(back / limit)} of its {term.resource} limit",
                )
            case term:
                if found.cost_start <= found.cost_after:
                    return None
                # A member of the group that leaves its domain for another.
                domain = getattr(term, "domain", None)
                if domain is not None and domain[host] == domain[to]:
                    return None
                worse = found.without(vm)
                without = f"without it {origin} stays broken" if worse > 0 else f"part of repairing {origin}"
                return code, self._said(rule, origin, host), without

    def _said(self, rule: Rule | None, origin: str, host: int) -> str:
        here = str(self.names[host])
        return f"{origin}: {Rule.asks.format(host=here)}" if rule is None else rule.why_move(here)

    def _improvement(self, name: str, vm: int, host: int, to: int, gains: dict[str, float]) -> Reason | None:
        """The first goal in order that the move serves; None where it serves none."""
        best: tuple[str, str, Marginal] | None = None
        for goal in self.unit:
            if gains.get(goal, 0.0) <= 0:
                continue
            terms = [(w * m.without(vm), origin, m) for g, w, origin, m in self.goal_terms if g == goal]
            worth, origin, found = max(terms, key=lambda entry: entry[0])
            if worth > 0:
                best = (goal, origin, found)
                break
        if best is None:
            return None
        goal, origin, found = best
        unit = self.unit[goal]
        now = self.value_after.get(goal, 0.0)
        without = f"without it {goal} is {now + gains[goal]:.4g} instead of {now:.4g}" + (
            f" {unit}" if unit else ""
        )
        match found.term:
            case Deviation() as term:
                text = f"evens out {self._counted(goal, term.resource)}: "
                capacity = self.snapshot.capacity(term.resource)
                text += self._loads(term.demand, capacity, vm, host, to)
            case OverTarget() as term:
                text = f"{self._counted(goal, term.resource)} above its target: "
                text += self._loads(term.demand, term.target, vm, host, to) + " of it"
            case Slots() as term:
                here = int(term.free(self.start)[host]), int(term.free(self.after)[host])
                text = f"makes room for new VMs on {self.names[host]}, {origin}: {here[0]} → {here[1]}"
                if here[1] <= here[0]:
                    text = f"takes room on {self.names[to]} that no new VM can use; {origin}"
                return Reason(name, ROOM_CODE, text, 2, gains, without)
            case BinsUsed():
                wanted = self.goal_of[goal]
                text = wanted.when_left.format(
                    host=self.names[host], before=found.cost_start, after=found.cost_after
                )
                return Reason(name, wanted.left_code, text, 2, gains, without)
            case _:
                return Reason(name, "checkResource", f"serves the goal {origin}", 2, gains, without)
        code = "fairnessMemAvg" if term.resource == "memory" else "fairnessCpuAvg"
        return Reason(name, code, text, 2, gains, without)

    def _room(self, name: str, vm: int, host: int, gains: dict[str, float]) -> Reason:
        """It serves nothing by itself: what would be broken if it stayed; the plan says for whom it makes room."""
        for origin, found in self.groups:
            if found.without(vm) > 1e-9:
                text = f"moves along: {origin} would be broken if it stayed on {self.names[host]}"
                return Reason(name, ROOM_CODE, text, 2, gains, f"without it {origin} is broken", "room")
        return Reason(name, ROOM_CODE, ROOM, 2, gains, "part of an exchange of VMs", "room")

    @cached_property
    def groups(self) -> list[tuple[str, Marginal]]:
        """The limits on groups of VMs, that a VM which stays could break."""
        lowered = self.problem.lowered
        return [
            (wall.origin, Marginal(wall.term, self.start, self.after, lowered.n_bins))
            for wall in lowered.walls
            if not isinstance(wall.term, (Allowed, Capacity, MoveLimit))
        ]

    def _counted(self, goal: str, resource: str) -> str:
        """A resource as a goal counts it: `active memory` where it is not the configured one."""
        if resource != "memory":
            return resource
        which = getattr(self.goal_of[goal], "memory", None) or self.problem.snapshot.memory_counts
        return resource if which == "configured" else f"{which} {resource}"

    def _use(self, term: Capacity) -> tuple[Floats, Floats]:
        """What every host holds of a capacity, today and after the plan."""
        if id(term) not in self._uses:
            n = self.snapshot.n_hosts
            self._uses[id(term)] = (usage(self.start, term.demand, n), usage(self.after, term.demand, n))
        return self._uses[id(term)]

    def _loads(self, demand: Floats, full: Floats, vm: int, host: int, to: int) -> str:
        """What the move does to both hosts: today and then, or, where others hide that, with it and without it."""
        key = id(demand)
        if key not in self._uses:
            n = self.snapshot.n_hosts
            self._uses[key] = (usage(self.start, demand, n), usage(self.after, demand, n))
        before, after = self._uses[key]
        said = []
        for here, back in ((host, float(demand[vm])), (to, -float(demand[vm]))):
            most = max(float(full[here]), 1e-9)
            now, then, without = before[here] / most, after[here] / most, (after[here] + back) / most
            shows = then < now if back > 0 else then > now
            name = self.names[here]
            said.append(f"{name} {percent(now)} → {percent(then)}" if shows
                        else f"{name} at {percent(then)} instead of {percent(without)}")  # fmt: skip
        return ", ".join(said)


def by_vm(reasons: Sequence[Reason]) -> dict[str, Reason]:
    """Reasons by name of VM."""
    return {reason.vm: reason for reason in reasons}
