"""Why each VM of a plan moves: a code, a sentence, what it gains and costs, and what happens without it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from drs.explain.marginal import Marginal
from drs.goals.balance import priority
from drs.model import Placement, Snapshot
from drs.planning import Move, Plan
from drs.problem import Problem
from drs.result import MANDATORY, Reason
from drs.rules import Rule
from drs.terms import Allowed, BinsUsed, Capacity, Deviation, OverTarget, Role
from drs.terms.base import Floats, Ints
from drs.terms.limits import usage
from drs.words import percent


def reasons(problem: Problem, placement: Placement) -> dict[int, Reason]:
    """The reason of every VM that gets another host or datastore, by its position.

    First what must be repaired (the host's state, hard rules, broken rules, wishes), then the goal that the
    move serves most.
    """
    book = _Book(problem, np.asarray(placement.host_idx))
    snapshot = problem.snapshot
    after, start = book.after, book.start
    answer = {int(vm): book.reason(int(vm)) for vm in np.flatnonzero((after != start) & (after >= 0))}
    for disk in np.flatnonzero(placement.datastore_idx != snapshot.disks.datastore_idx):
        vm = int(snapshot.disks.vm_idx[disk])
        if vm not in answer:
            code, text = _why_off(problem, int(snapshot.disks.datastore_idx[disk]))
            answer[vm] = Reason(str(snapshot.vms.name[vm]), code, text)
    return answer


def _why_off(problem: Problem, store: int) -> tuple[str, str]:
    """Why disks leave a datastore, as vSphere codes it and in words."""
    stores, policy = problem.snapshot.datastores, problem.policy.storage
    name = str(stores.name[store])
    if stores.state[store] == "maintenance":
        return "datastoreMaint", f"{name} is in maintenance and must empty"
    full = 1.0 - float(stores.free_gib[store] / stores.capacity_gib[store])
    if full > policy.space_ratio:
        return (
            "balanceDatastoreSpaceUsage",
            f"{name} is {percent(full)} full, more than {percent(policy.space_ratio)}",
        )
    if stores.latency_ms[store] > policy.latency_ms:
        return "balanceDatastoreIOLoad", f"{name} answers in {stores.latency_ms[store]:.1f} ms"
    return "xvmotionPlacement", f"its disks on {name} move"


def annotate(problem: Problem, plan: Plan, found: Mapping[int, Reason]) -> tuple[Plan, tuple[Reason, ...]]:
    """The plan with a reason and its code at every move, and the reason of each VM with its priority.

    DRS rates a recommendation by the imbalance that it meets: `6 - ceil(I / 0.1 x sqrt(N))`, the larger of
    cpu's and memory's, 2 to 5; what must be done has 1. Here the imbalance is that of the moment in the plan
    before the move.
    """
    snapshot = problem.snapshot
    position = snapshot.vms.position
    told = {
        name: found[position[name]] for name in {move.vm for move in plan.moves} if position[name] in found
    }
    ladder = _Imbalance(snapshot, np.array(problem.lowered.start))
    rated: dict[str, Reason] = {}
    moves: list[Move] = []
    for move in sorted(plan.moves, key=lambda move: move.step):
        reason = told.get(move.vm) or Reason(move.vm, "unreservedCapacity", "makes room for another move")
        if move.vm not in rated:
            level = reason.priority if reason.priority == MANDATORY else ladder.priority(move.from_host)
            rated[move.vm] = dataclasses.replace(reason, priority=level)
        ladder.move(position[move.vm], snapshot.hosts.position[move.to_host])
        text = f"makes room; then {reason.text}" if move.parking else reason.text
        moves.append(dataclasses.replace(move, reason=text, reason_code=reason.code))
    return dataclasses.replace(plan, moves=tuple(moves)), tuple(rated.values())


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
        self._loads: dict[str, tuple[Floats, Floats]] = {}
        self._demands: dict[str, Floats] = {}
        self._uses: dict[int, tuple[Floats, Floats]] = {}

    def reason(self, vm: int) -> Reason:
        name, host, to = str(self.snapshot.vms.name[vm]), int(self.start[vm]), int(self.after[vm])
        gains = self._gains(vm)
        if host < 0:
            return Reason(
                name, "powerOnVm", "it has no host yet", MANDATORY, gains, "without it it does not run"
            )
        state = str(self.snapshot.hosts.state[host])
        if state in ("maintenance", "quarantine", "disconnected", "standby"):
            code = "hostInDegradation" if state == "quarantine" else "hostMaint"
            text = f"{self.names[host]} is in {state} and must empty"
            return Reason(name, code, text, MANDATORY, gains, f"without it {self.names[host]} does not empty")
        for k in sorted([*self.by_vm.get(vm, ()), *self.for_all]):
            role, origin, found = self.repairs[k]
            said = self._repair(role, origin, found, vm, host, to)
            if said is not None:
                code, text, without = said
                rank = 2 if role == "soft" else MANDATORY
                return Reason(name, code, text, rank, gains, without)
        return self._improvement(name, vm, host, to, gains)

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

    def _improvement(self, name: str, vm: int, host: int, to: int, gains: dict[str, float]) -> Reason:
        """The first goal in order that the move serves; where none is served it makes room for others."""
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
            resource = self._relieved(vm, host, to)
            return Reason(
                name,
                "fairnessMemAvg" if resource == "memory" else "fairnessCpuAvg",
                self._evens_out(resource, host, to),
                2,
                gains,
                "part of an exchange: without it another move of the plan has no room or overshoots",
            )
        goal, origin, found = best
        unit = self.unit[goal]
        now = self.value_after.get(goal, 0.0)
        without = f"without it {goal} is {now + gains[goal]:.4g} instead of {now:.4g}" + (
            f" {unit}" if unit else ""
        )
        match found.term:
            case Deviation() | OverTarget() as term:
                code = "fairnessMemAvg" if term.resource == "memory" else "fairnessCpuAvg"
                return Reason(name, code, self._evens_out(term.resource, host, to), 2, gains, without)
            case BinsUsed():
                text = f"{self.names[host]} empties and can be powered off"
                return Reason(name, "powerSaving", text, 2, gains, without)
            case _:
                return Reason(name, "checkResource", f"serves the goal {origin}", 2, gains, without)

    def _relieved(self, vm: int, host: int, to: int) -> str:
        """The resource in which the source was loaded most above the destination."""
        best, gain = "cpu", -np.inf
        for resource in self.snapshot.resources:
            if self._demand(resource)[vm] <= 0:
                continue
            before, _ = self._load(resource)
            if before[host] - before[to] > gain:
                gain, best = float(before[host] - before[to]), resource
        return best

    def _demand(self, resource: str) -> Floats:
        if resource not in self._demands:
            self._demands[resource] = self.snapshot.demand(resource)
        return self._demands[resource]

    def _use(self, term: Capacity) -> tuple[Floats, Floats]:
        """What every host holds of a capacity, today and after the plan."""
        if id(term) not in self._uses:
            n = self.snapshot.n_hosts
            self._uses[id(term)] = (usage(self.start, term.demand, n), usage(self.after, term.demand, n))
        return self._uses[id(term)]

    def _load(self, resource: str) -> tuple[Floats, Floats]:
        if resource not in self._loads:
            n = self.snapshot.n_hosts
            capacity = np.maximum(self.snapshot.capacity(resource), 1e-9)
            demand = self._demand(resource)
            self._loads[resource] = (
                usage(self.start, demand, n) / capacity,
                usage(self.after, demand, n) / capacity,
            )
        return self._loads[resource]

    def _evens_out(self, resource: str, host: int, to: int) -> str:
        if resource not in self.snapshot.resources:
            return f"evens out {resource}"
        before, after = self._load(resource)
        return (
            f"evens out {resource}: {self.names[host]} {percent(before[host])} → {percent(after[host])}, "
            f"{self.names[to]} {percent(before[to])} → {percent(after[to])}"
        )


def by_vm(reasons: Sequence[Reason]) -> dict[str, Reason]:
    """Reasons by name of VM."""
    return {reason.vm: reason for reason in reasons}
