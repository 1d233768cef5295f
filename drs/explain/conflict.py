"""Why nothing satisfies a request: minimal sets of rules that cannot hold together, and what would help.

A set of rules is minimal when it is impossible and every part of it is possible (a minimal unsatisfiable
subset). It is found by deletion: leave one rule out, ask again, keep it out when the rest is still impossible
(Chinneck, Dravnieks: Locating minimal infeasible constraint sets in linear programs, 1991). For a VM that no
host suits by itself the question is one of sets of hosts and is answered at once, as are contradictions that can
be read off the rules (`drs.explain.contradictions`); all else is asked of the exact solver, with the hard rules as the
only goal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from drs import solvers
from drs.explain.contradictions import conflicts as read_off
from drs.problem import Problem
from drs.result import Conflict, Relaxation
from drs.rules import Rule
from drs.solvers.base import Answer
from drs.stop import Run, Stop
from drs.terms import Allowed, Level, Lowered, MoveLimit, Term, Weighted
from drs.terms.base import Bools
from drs.words import some

EVACUATION = "evacuation"
"""The rule by which mode `evacuate` empties hosts."""
NO_SAFE_ORDER = "no safe order"
"""The rule by which a plan that no order can carry out is asked for anew."""
CURES_SHARE = 0.3
"""Of the time, for what would help; the rest finds the set."""
SHOWN = 8
"""So many names are told in a sentence."""


def conflicts(
    problem: Problem, *, time_s: float = 10.0, seed: int = 0, stop: Stop | None = None
) -> tuple[Conflict, ...]:
    """Why no placement satisfies the hard rules; empty where one does, or where that is not proven.

    One conflict for each set of rules that leaves some VMs without any host; only where there is none such,
    the one that the exact solver proves for the VMs together, within `time_s`
    or a budget of the caller's.
    """
    run = Run.begin(time_s, None, seed, stop)
    must = [level for level in problem.lowered.levels if level.must_vanish]
    if not must or not any(
        entry.term.cost(problem.lowered.start, problem.lowered.start) for entry in must[0].terms
    ):
        return ()
    alone = tuple(_alone(problem, must[0]))
    if alone:
        return alone
    return tuple(_together(problem, must[0], run))


def stuck(problem: Problem) -> list[tuple[str, tuple[str, ...]]]:
    """The VMs that must leave and that no other host suits, with a minimal set of rules for each."""
    must = [level for level in problem.lowered.levels if level.must_vanish]
    return [] if not must else [
        (str(problem.snapshot.vms.name[vm]), core) for vm, core in _stuck(problem, must[0])
    ]  # fmt: skip


# -- one VM by itself -------------------------------------------------------------------------------------


def _stuck(problem: Problem, must: Level) -> list[tuple[int, tuple[str, ...]]]:
    lowered = problem.lowered
    start = lowered.start
    strict = [(entry.origin, entry.term) for entry in must.terms if isinstance(entry.term, Allowed)]
    wanted = {origin for origin, _ in strict}
    walls = [
        (wall.origin, wall.term)
        for wall in lowered.walls
        if isinstance(wall.term, Allowed) and wall.origin not in wanted
    ]
    broken: Bools = np.zeros(lowered.n_items, dtype=np.bool_)
    for _, term in strict:
        home = np.where(start >= 0, start, 0)
        bad = (start >= 0) & ~term.mask[term.class_idx, home]
        if term.stay is not None:
            bad &= term.stay != start
        broken |= bad
    found = []
    for vm in np.flatnonzero(broken).tolist():
        rows = [(origin, _row(term, vm)) for origin, term in (*strict, *walls)]
        if np.logical_and.reduce([row for _, row in rows]).any():
            continue
        found.append((vm, _core_of_rows(rows)))
    return found


def _row(term: Allowed, vm: int) -> Bools:
    row = np.array(term.mask[term.class_idx[vm]])
    if term.stay is not None and term.stay[vm] >= 0:
        row[term.stay[vm]] = True
    return row


def _core_of_rows(rows: Sequence[tuple[str, Bools]]) -> tuple[str, ...]:
    """A minimal set of rules whose allowed hosts have none in common."""
    kept = dict.fromkeys(origin for origin, _ in rows)

    def impossible(names: Sequence[str]) -> bool:
        chosen = [row for origin, row in rows if origin in names]
        return bool(chosen) and not np.logical_and.reduce(chosen).any()

    for origin in list(kept):
        rest = [name for name in kept if name != origin]
        if impossible(rest):
            del kept[origin]
    return tuple(kept)


def _alone(problem: Problem, must: Level) -> Iterator[Conflict]:
    """One conflict for each minimal set of rules, with all the VMs that it leaves without a host."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for vm, core in _stuck(problem, must):
        groups.setdefault(core, []).append(vm)
    names = problem.snapshot.vms.name
    policies = {rule.label: rule for rule in problem.rules_in_force}
    for core, vms in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        who = [str(names[vm]) for vm in vms]
        what = " and ".join(core) if len(core) < 3 else ", ".join(core)
        verb = "leaves" if len(core) == 1 else "together leave"
        cures = [
            Relaxation(rule, float(len(vms)), "VMs", _cure(policies.get(rule), rule, who)) for rule in core
        ]
        yield Conflict(
            core, tuple(who), True, f"{what} {verb} no host for {some(who, SHOWN)}",
            tuple(sorted(cures, key=lambda cure: (_weight(policies.get(cure.rule)), cure.rule))),
        )  # fmt: skip


def _cure(rule: Rule | None, label: str, vms: Sequence[str]) -> str:
    if label == EVACUATION:
        return f"leave {some(vms, SHOWN)} where it is, to be shut down with its host"
    if label == NO_SAFE_ORDER:
        return f"make a way for {some(vms, SHOWN)}: see the moves that no safe order reaches"
    return (Rule.cure if rule is None else rule.cure).format(rule=label, vms=some(vms, SHOWN))


def _weight(rule: Rule | None) -> int:
    """Rules that are only somebody's wish give way more easily than facts."""
    return (Rule if rule is None else rule).effort


# -- several VMs together ---------------------------------------------------------------------------------


class _Case:
    """The limits of a problem by rule, and the solver's word on any choice of them."""

    def __init__(self, problem: Problem, must: Level, run: Run) -> None:
        self.problem, self.must, self.run = problem, must, run
        self.spare_s = CURES_SHARE * run.stop.remaining_s
        """What is kept from the search for the set, for what would help."""
        self.lowered = problem.lowered
        self.solve = solvers.find("cpsat")
        self.wanted = list(dict.fromkeys(entry.origin for entry in must.terms))
        walls = dict.fromkeys(wall.origin for wall in self.lowered.walls)
        self.labels = [*self.wanted, *(origin for origin in walls if origin not in self.wanted)]

    def part(self, labels: Sequence[str], extra: tuple[Level, ...] = ()) -> Lowered:
        chosen = set(labels)
        terms = tuple(entry for entry in self.must.terms if entry.origin in chosen)
        levels = (Level("hard", terms, unit="broken", role="hard"), *extra) if terms else extra
        walls = tuple(wall for wall in self.lowered.walls if wall.origin in chosen)
        return replace(self.lowered, walls=walls, levels=levels, during=())

    def ask(self, lowered: Lowered, left_s: float) -> Answer | None:
        """The exact solver's answer within a quarter of the budget; None when no time is left for it."""
        if left_s <= 0:
            return None
        whole_s = self.run.stop.time_s or 0.0
        part = self.run.followed_by(min(left_s, max(0.5, whole_s / 4)))
        return self.solve(lowered, np.array(lowered.start), part)

    def impossible(self, labels: Sequence[str]) -> bool | None:
        """Whether these rules cannot hold together; None when the solver does not know in time."""
        lowered = self.part(labels)
        if not lowered.levels:
            return False
        answer = self.ask(lowered, self.run.stop.remaining_s - self.spare_s)
        if answer is None:
            return None
        if answer.status == "infeasible":
            return True
        return False if answer.scores[0] <= 1e-6 else None

    def price(self, rule: str, labels: Sequence[str]) -> float | None:
        """The least by which a rule is broken when all the others hold; None when that is not known."""
        terms = _terms_of(self.problem, rule)
        if not terms:
            return None
        others = [label for label in labels if label != rule]
        broken = Level("broken", tuple(Weighted(term, 1.0, rule) for term in terms))
        lowered = self.part(others, (broken,))
        answer = self.ask(lowered, self.run.stop.remaining_s)
        if answer is None or self.run.stop.interrupted:
            return None
        if len(answer.scores) > 1 and answer.scores[0] > 1e-6:
            return None
        return float(answer.scores[-1])


def _terms_of(problem: Problem, label: str) -> list[Term]:
    terms: list[Term] = []
    for rule in problem.rules_in_force:
        if rule.label == label and rule.policy != "soft" and rule.items == "vms":
            terms.extend(rule.lower(problem.snapshot))
    if label == "max_moves" and problem.policy.limits.max_moves is not None:
        terms.append(MoveLimit(np.ones(problem.snapshot.n_vms), float(problem.policy.limits.max_moves)))
    return terms


def _together(problem: Problem, must: Level, run: Run) -> Iterator[Conflict]:
    case = _Case(problem, must, run)
    known = read_off(problem.rules_in_force, problem.snapshot)
    core: Sequence[str]
    if known:
        core, minimal = known[0].rules, True
        case.spare_s = 0.0
    elif case.impossible(case.labels) is True:
        core, minimal = shrink(case.labels, case.impossible)
    else:
        return
    priced = []
    for rule in core:
        amount = case.price(rule, core)
        if amount is not None:
            unit, sentence = _give_way(problem, rule, amount)
            priced.append(Relaxation(rule, amount, unit, sentence))
    who: dict[str, None] = {}
    for entry in must.terms:
        if entry.origin in core:
            who.update(dict.fromkeys(_members(problem, entry.term)))
    yield Conflict(
        tuple(core), tuple(who), minimal,
        str(known[0]) if known else f"{', '.join(core)} cannot hold together",
        tuple(sorted(priced, key=lambda cure: (_scaled(problem, cure), cure.rule))),
    )  # fmt: skip


def shrink(
    labels: Sequence[str], impossible: Callable[[Sequence[str]], bool | None]
) -> tuple[list[str], bool]:
    """A minimal part of `labels` that is still impossible, and whether it is proven to be minimal.

    Halves are tried before single labels, which is fast where few of many matter.
    """
    kept, minimal = list(labels), True
    size = max(1, len(kept) // 2)
    while True:
        at = len(kept)
        while at > 0:
            low = max(0, at - size)
            rest = kept[:low] + kept[at:]
            answer = impossible(rest) if rest else False
            if answer:
                kept = rest
            elif answer is None and size == 1:
                minimal = False
            at = low
        if size == 1:
            return kept, minimal
        size = max(1, size // 2)


def _members(problem: Problem, term: Term) -> list[str]:
    start = problem.lowered.start
    names = problem.snapshot.vms.name
    if isinstance(term, Allowed):
        bad = (start >= 0) & ~term.mask[term.class_idx, np.maximum(start, 0)]
        return [str(name) for name in names[bad]]
    items = getattr(term, "items", None)
    return [] if items is None else [str(name) for name in names[items]]


def _give_way(problem: Problem, rule: str, amount: float) -> tuple[str, str]:
    found = next((each for each in problem.rules_in_force if each.label == rule), None)
    unit = "VMs" if found is None else found.unit
    if rule == "max_moves":
        return "moves", f"allow {amount:,.0f} more moves"
    if unit != "VMs":
        return unit, f"let {rule} be exceeded by {amount:,.0f} {unit}"
    return unit, f"let {amount:,.0f} VM{'' if round(amount) == 1 else 's'} break {rule}"


def _scaled(problem: Problem, cure: Relaxation) -> float:
    rule = next((each for each in problem.rules_in_force if each.label == cure.rule), None)
    return cure.amount / max(rule.scale(problem.snapshot) if rule is not None else 1.0, 1e-12)
