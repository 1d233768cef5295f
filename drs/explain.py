"""Reasons in words: why a VM moves, why it cannot, and what stands between a VM and a host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from drs.errors import UnknownNameError
from drs.model import Placement, Snapshot
from drs.problem import Problem
from drs.result import Immovable
from drs.rules import Violation
from drs.rules.base import Rule
from drs.terms import Allowed, AtLeast, AtMost, Capacity, Deviation, Near, OverTarget, Together
from drs.terms.base import Ints
from drs.terms.limits import usage


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One rule that stands between a VM and a host."""

    rule: str
    policy: str
    sentence: str


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """Whether a VM may be on a host; `load_after` is the host's load per resource with it there."""

    host: str
    allowed: bool
    is_current: bool
    obstacles: tuple[Obstacle, ...]
    load_after: Mapping[str, float]


def why(problem: Problem, vm: str, host: str | None = None) -> list[HostAnswer]:
    """For one VM and one or every host: each rule in the way, with figures, by the rules' own checks.

    Raises
    ------
    UnknownNameError : for a VM or a host that is not there.
    """
    snapshot = problem.snapshot
    if vm not in snapshot.vms.position:
        raise UnknownNameError.of("--vm", vm, snapshot.vms.position, "VM")
    if host is not None and host not in snapshot.hosts.position:
        raise UnknownNameError.of("--host", host, snapshot.hosts.position, "host")
    i = snapshot.vms.position[vm]
    hosts = range(snapshot.n_hosts) if host is None else [snapshot.hosts.position[host]]
    today = {rule.label: set(rule.check(snapshot, problem.today)) for rule in problem.rules_in_force}
    use = {r: usage(problem.today.host_idx, snapshot.demand(r), snapshot.n_hosts) for r in snapshot.resources}
    answers = []
    for h in hosts:
        there = h == snapshot.vms.host_idx[i]
        obstacles = [] if there else list(_obstacles(problem, i, int(h), today))
        load = {}
        for resource in snapshot.resources:
            capacity = snapshot.capacity(resource)[h]
            after = use[resource][h] + (0.0 if there else snapshot.demand(resource)[i])
            load[resource] = float(after / capacity) if capacity > 0 else 0.0
        blocked = any(obstacle.policy != "soft" for obstacle in obstacles)
        answers.append(
            HostAnswer(str(snapshot.hosts.name[h]), not blocked, bool(there), tuple(obstacles), load)
        )
    return answers


def _obstacles(
    problem: Problem, vm: int, host: int, today: Mapping[str, set[Violation]]
) -> Iterator[Obstacle]:
    host_idx = problem.today.host_idx.copy()
    host_idx[vm] = host
    there = problem.placement(host_idx)
    for rule in problem.rules_in_force:
        for violation in rule.check(problem.snapshot, there):
            if violation not in today[rule.label] and _worse(violation, today[rule.label]):
                yield Obstacle(rule.label, rule.policy, violation.sentence)


def _worse(violation: Violation, today: set[Violation]) -> bool:
    """Whether nothing alike, and at least as bad, is there today already."""
    return not any(
        old.vms == violation.vms and old.hosts == violation.hosts and old.amount >= violation.amount
        for old in today
    )


def immovable(problem: Problem) -> tuple[Immovable, ...]:
    """VMs with no host but their own that every rule on single VMs allows, and which rule is in the way."""
    snapshot, compatible = problem.snapshot, problem.compatible
    start = problem.lowered.start
    placed = start >= 0
    elsewhere = compatible.mask.sum(axis=1)[compatible.class_idx]
    elsewhere = elsewhere - compatible.mask[compatible.class_idx, np.maximum(start, 0)] * placed
    limits = [(wall.origin, wall.term) for wall in problem.lowered.walls if isinstance(wall.term, Allowed)]
    found = []
    for vm in np.flatnonzero((elsewhere == 0) & (snapshot.n_hosts > 1)):
        alone, some = [], []
        for origin, limit in limits:
            row = limit.mask[limit.class_idx[vm]].copy()
            if start[vm] >= 0:
                row[start[vm]] = False
            if not row.any():
                alone.append(origin)
            elif not row.all():
                some.append(origin)
        if alone:
            reason = f"{', '.join(dict.fromkeys(alone))} leaves it no other host"
        else:
            reason = f"no other host passes {', '.join(dict.fromkeys(some))} together"
        found.append(Immovable(str(snapshot.vms.name[vm]), reason))
    return tuple(found)


def reasons(problem: Problem, placement: Placement) -> dict[int, str]:
    """Why each moved VM moves, by its position: what its move repairs, else which load it evens out."""
    snapshot, lowered = problem.snapshot, problem.lowered
    after = np.asarray(placement.host_idx)
    moved = np.flatnonzero((after != lowered.start) & (after >= 0))
    rules = {rule.label: rule for rule in problem.rules_in_force}
    loads = _Loads(problem, after)
    levels = {level.name: level for level in lowered.levels}
    answer = {}
    for vm in moved:
        because = _repairs(problem, levels, rules, loads, int(vm), after)
        answer[int(vm)] = because or loads.sentence(int(vm))
    for vm in np.flatnonzero(placement.datastore_idx != snapshot.disks.datastore_idx):
        answer.setdefault(int(snapshot.disks.vm_idx[vm]), "its disks move")
    return answer


def _repairs(
    problem: Problem,
    levels: Mapping[str, object],
    rules: Mapping[str, Rule],
    loads: _Loads,
    vm: int,
    after: Ints,
) -> str:
    snapshot, start = problem.snapshot, problem.lowered.start
    host = start[vm]
    if host < 0:
        return "it has no host yet"
    if snapshot.hosts.state[host] in ("maintenance", "quarantine", "disconnected"):
        return f"{snapshot.hosts.name[host]} is in {snapshot.hosts.state[host]} and must empty"
    for level in problem.lowered.levels:
        if level.name not in ("must", "repair", "preferences"):
            continue
        for entry in level.terms:
            origin, term = entry.origin, entry.term
            match term:
                case Allowed():
                    row = term.mask[term.class_idx[vm]]
                    if not row[host] and row[after[vm]]:
                        return f"{origin}: it may not run on {snapshot.hosts.name[host]}"
                case AtMost() | AtLeast() | Together():
                    left = vm in term.items and term.domain[host] != term.domain[after[vm]]
                    if left and term.cost(start, start) > term.cost(after, start):
                        return f"{origin}: the group is not placed as the rule asks"
                case Near():
                    if (vm in term.items or vm in term.needs) and (
                        term.cost(start, start) > term.cost(after, start)
                    ):
                        return f"{origin}: what it depends on runs elsewhere"
                case Capacity():
                    if term.demand[vm] > 0 and loads.over(term, int(host)):
                        return loads.relief(term.resource, int(host), origin)
    return ""


class _Loads:
    """Host loads before and after, for sentences."""

    def __init__(self, problem: Problem, after: Ints) -> None:
        self.snapshot: Snapshot = problem.snapshot
        self.start = problem.lowered.start
        self.after = after
        self.load: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.share: dict[str, np.ndarray] = {}
        terms = [e.term for level in problem.lowered.levels for e in level.terms]
        for term in terms:
            if isinstance(term, (Deviation, OverTarget)) and term.resource not in self.load:
                self._add(term.resource, term.demand)
        for resource in self.snapshot.resources:
            if resource not in self.load:
                self._add(resource, self.snapshot.demand(resource))

    def _add(self, resource: str, demand: np.ndarray) -> None:
        if resource not in self.snapshot.resources:
            return
        capacity = np.maximum(self.snapshot.capacity(resource), 1e-9)
        n = self.snapshot.n_hosts
        self.load[resource] = (
            usage(self.start, demand, n) / capacity,
            usage(self.after, demand, n) / capacity,
        )
        self.share[resource] = demand

    def over(self, term: Capacity, host: int) -> bool:
        """Whether the host is above this limit today."""
        demand = term.demand
        return bool(demand[self.start == host].sum() > term.limit[host] * (1 + 1e-9))

    def relief(self, resource: str, host: int, origin: str) -> str:
        """`cpu of esx-03 is over capacity: 112 % → 87 %`."""
        if resource not in self.load:
            return f"{origin}: {self.snapshot.hosts.name[host]} is over its limit"
        before, after = (load[host] for load in self.load[resource])
        name = self.snapshot.hosts.name[host]
        return f"{resource} of {name} is over its limit: {before:.0%} → {after:.0%}"

    def sentence(self, vm: int) -> str:
        """Which load the move evens out, with the source's and the destination's before and after."""
        a, b = self.start[vm], self.after[vm]
        best, gain = "", -np.inf
        for resource, (before, _) in self.load.items():
            drop = (before[a] - before[b]) * (self.share[resource][vm] > 0)
            if drop > gain:
                gain, best = drop, resource
        if not best:
            return "evens out the load"
        before, after = self.load[best]
        names = self.snapshot.hosts.name
        return (
            f"evens out {best}: {names[a]} {before[a]:.0%} → {after[a]:.0%}, "
            f"{names[b]} {before[b]:.0%} → {after[b]:.0%}"
        )
