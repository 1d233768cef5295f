"""What stands between a VM and a host: every rule in the way, with figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from drs.errors import Fault, InputError, UnknownNameError
from drs.model import Placement
from drs.model.selector import select
from drs.problem import Problem
from drs.problem.problem import SCOPE
from drs.rules import HostFilter, Rule, Violation
from drs.rules.base import Judge
from drs.rules.capacity import HostLimit
from drs.terms import Allowed, AtLeast, AtMost, Capacity, Near, Term, Together, Within
from drs.terms.base import Floats, Ints
from drs.terms.limits import usage
from drs.words import some


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One rule that stands between a VM and a host."""

    rule: str
    policy: str
    sentence: str


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """Whether a VM may be on a host.

    load_after : the host's load per resource with it there.
    goals : each goal with it where it is, and with it there; empty where no plan is asked about.
    """

    host: str
    allowed: bool
    is_current: bool
    obstacles: tuple[Obstacle, ...]
    load_after: Mapping[str, float]
    goals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def why(
    problem: Problem, vm: str, host: str | None = None, planned: Placement | None = None
) -> list[HostAnswer]:
    """For one VM and one or every host: each rule in the way, with figures.

    The rules' terms say quickly which rule could be in the way; the sentences and figures are those of the
    rules' own checks, which are asked only where a term is broken.

    Parameters
    ----------
    vm : a name, or a pattern that means one VM.
    host : the host that is asked about, or a pattern; every one where not given.
    planned : where a plan puts everything; then the VM is asked about with all others there, and the answer holds
        what the goals would be. Today where not given.

    Raises
    ------
    UnknownNameError : for a VM or a host that is not there.
    """
    snapshot = problem.snapshot
    meant, hosts = select(vm, snapshot.vms), select("*" if host is None else host, snapshot.hosts)
    if not len(meant):
        raise UnknownNameError.of("vm", vm, snapshot.vms.position, "VM")
    if len(meant) > 1:
        names = [str(name) for name in snapshot.vms.name[meant]]
        raise InputError(Fault("vm", f"{vm!r} means {some(names)}", "one VM"))
    if not len(hosts):
        raise UnknownNameError.of("host", str(host), snapshot.hosts.position, "host")
    i = int(meant[0])
    base = np.asarray((planned or problem.today).host_idx, dtype=np.int32)
    questions = [_Question(problem, rule, i, base) for rule in problem.rules_in_force]
    use = {r: usage(base, snapshot.demand(r), snapshot.n_hosts) for r in snapshot.resources}
    answers = []
    for h in hosts:
        there = h == base[i]
        obstacles: list[Obstacle] = []
        if not there:
            obstacles.extend(_out_of_scope(problem, i, int(h)))
            for question in questions:
                obstacles.extend(question.obstacles(int(h)))
        load = {}
        for resource in snapshot.resources:
            capacity = snapshot.capacity(resource)[h]
            after = use[resource][h] + (0.0 if there else snapshot.demand(resource)[i])
            load[resource] = float(after / capacity) if capacity > 0 else 0.0
        blocked = any(obstacle.policy != "soft" for obstacle in obstacles)
        answers.append(
            HostAnswer(
                str(snapshot.hosts.name[h]), not blocked, bool(there), tuple(obstacles), load,
                {} if planned is None or there else _goals(problem, base, i, int(h)),
            )
        )  # fmt: skip
    return answers


def _goals(problem: Problem, base: Ints, vm: int, host: int) -> dict[str, tuple[float, float]]:
    """Each goal with the VM where it is and with it on a host."""
    moved = np.array(base)
    moved[vm] = host
    start = problem.lowered.start
    return {
        level.name: (float(level.cost(base, start)), float(level.cost(moved, start)))
        for level in problem.lowered.levels
        if level.role == "goal"
    }


def _out_of_scope(problem: Problem, vm: int, host: int) -> Iterator[Obstacle]:
    """That the VM or the host is in no cluster that takes part."""
    snapshot, scope = problem.snapshot, problem.scope
    if scope is None:
        return
    home = int(snapshot.vms.host_idx[vm])
    for where, stays in ((home, not problem.takes_part(vm)), (host, not scope[host])):
        if stays:
            cluster = snapshot.clusters.name[snapshot.hosts.cluster_idx[where]]
            sentence = (
                f"{cluster}, the cluster of {snapshot.hosts.name[where]}, takes no part: it stays as it is"
            )
            yield Obstacle(SCOPE, "hard", sentence)
            return


class _Question:
    """One rule, asked about one VM on several hosts."""

    def __init__(self, problem: Problem, rule: Rule, vm: int, base: Ints) -> None:
        self.problem, self.rule, self.vm = problem, rule, vm
        self.start: Ints = problem.lowered.start
        self.base = base
        """Where everything is, today or by a plan."""
        self._today: set[Violation] | None = None
        self._judge: Judge | None = None
        self.tests: list[Callable[[int], bool]] = []
        if rule.items == "vms":
            for term in rule.lower(problem.snapshot):
                test = self._test(term.relaxed(self.start))
                if test is not None:
                    self.tests.append(test)
        elif self._has_disks():
            # Its disks may have to follow, and then a rule on disks can be in the way.
            self.tests.append(self._disks_move)

    def _has_disks(self) -> bool:
        first, _ = self.problem.snapshot.disks_of_vm
        return bool(first[self.vm + 1] > first[self.vm])

    def _disks_move(self, host: int) -> bool:
        snapshot = self.problem.snapshot
        first, order = snapshot.disks_of_vm
        stores = snapshot.disks.datastore_idx[order[first[self.vm] : first[self.vm + 1]]]
        return not snapshot.mounts[host, stores[stores >= 0]].all()

    def _test(self, term: Term) -> Callable[[int], bool] | None:
        """Whether the VM on a host breaks the limit more than today; None where it never can."""
        vm, start, base = self.vm, self.start, self.base
        match term:
            case Allowed():
                row = term.mask[term.class_idx[vm]]
                if row.all():
                    return None
                stay = -1 if term.stay is None else int(term.stay[vm])
                return lambda host: not row[host] and host != stay
            case Capacity():
                need = float(term.demand[vm])
                if need <= 0:
                    return None
                use: Floats = term.use(base, start)
                return lambda host: bool(use[host] + need > term.limit[host] * (1 + 1e-9))
            case AtMost() | AtLeast() | Within() | Together() if vm not in term.items:
                return None
            case Near() if vm not in term.items and vm not in term.needs:
                return None
            case _:
                before = term.cost(base, start)
                return lambda host: term.cost(self._moved(host), start) > before + 1e-9

    def _moved(self, host: int) -> Ints:
        moved = np.array(self.base)
        moved[self.vm] = host
        return moved

    def obstacles(self, host: int) -> Iterator[Obstacle]:
        """Why not there, as this rule sees it."""
        if not any(test(host) for test in self.tests):
            return
        told = list(self._sentences(host))
        if not told and self.rule.items == "vms":
            told = [f"{self.problem.snapshot.vms.name[self.vm]} there breaks {self.rule.label}"]
        for sentence in told:
            yield Obstacle(self.rule.label, self.rule.policy, sentence)

    def _sentences(self, host: int) -> Iterator[str]:
        snapshot, rule = self.problem.snapshot, self.rule
        who, where = str(snapshot.vms.name[self.vm]), str(snapshot.hosts.name[host])
        if isinstance(rule, HostFilter):
            if self._judge is None:
                self._judge = rule.judge(snapshot)
            reason = self._judge(self.vm, host)
            if reason:
                yield f"{who} on {where}: {reason}"
                return
        elif isinstance(rule, HostLimit) and rule.holds != "at_once":
            demand, limit = rule.demand(snapshot), float(rule.limit(snapshot)[host])
            use = float(demand[self.base == host].sum())
            need, unit = float(demand[self.vm]), rule.unit
            yield (
                f"{where} would need {use + need:,.0f} {unit} of {rule.resource} and may use {limit:,.0f}: "
                f"{need:,.0f} for {who}, {max(0.0, limit - use):,.0f} free"
            )
            return
        if self._today is None:
            self._today = set(rule.check(snapshot, self.problem.placement(self.base)))
        for violation in rule.check(snapshot, self.problem.placement(self._moved(host))):
            if violation not in self._today and _worse(violation, self._today):
                yield violation.sentence


def _worse(violation: Violation, today: set[Violation]) -> bool:
    """Whether nothing alike, and at least as bad, is there today already."""
    return not any(
        old.vms == violation.vms and old.hosts == violation.hosts and old.amount >= violation.amount
        for old in today
    )
