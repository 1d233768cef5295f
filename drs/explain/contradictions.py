"""Hard rules that cannot hold together, found before anything is solved, each with a minimal core.

Rules are read by the terms that they lower to, so that a new rule takes part without a word here. What is
looked for: VMs that no host suits (`Allowed`); more VMs than the places they may go to take (`AtMost`); a
group with no place in common, or larger than any (`Together`, `Within`, against `Capacity`); VMs that have to
be where they find no room (`AtMost` against `Capacity`); a group that may
not be spread so far (`AtLeast`); VMs whose needs are out of reach (`Near`); `Together` and `Within` against
`AtMost`. Not every contradiction is of these kinds: the others are the solver's to prove.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from drs.errors import RuleConflictError
from drs.model import Snapshot
from drs.rules.base import HostFilter, Rule, names_of
from drs.terms import Allowed, AtLeast, AtMost, Capacity, Near, Term, Together, Within
from drs.terms.base import Bools, Ints
from drs.words import some

MAX_MATCHED = 300
"""Of larger groups the places are only counted."""

Holds = Callable[[Sequence[Rule]], bool]
Kind = TypeVar("Kind", bound=Term)
Part = tuple[Rule, Kind]
"""A term and the rule that it comes from."""


def conflicts(rules: Sequence[Rule], snapshot: Snapshot) -> list[RuleConflictError]:
    """Every contradiction that is found, each naming rules of which none could be left out.

    Parameters
    ----------
    rules : all rules in force. Those of policy `hard` must hold; those of `not_worse` count as facts that
        bar the way to hosts other than today's; `soft` rules do not count.

    Returns
    -------
    list of RuleConflictError
        Not raised; empty when nothing was found. `.rules` are the labels of a minimal core.
    """
    return list(_found(_Case(rules, snapshot)))


def raise_conflicts(rules: Sequence[Rule], snapshot: Snapshot) -> None:
    """Raise the first contradiction, if there is one."""
    for conflict in _found(_Case(rules, snapshot)):
        raise conflict


class _Case:
    """The terms of the rules by kind, and where each VM may be under some of them."""

    def __init__(self, rules: Sequence[Rule], snapshot: Snapshot) -> None:
        counted = [rule for rule in rules if rule.policy != "soft" and rule.items == "vms"]
        self.snapshot = snapshot
        self.start: Ints = np.asarray(snapshot.vms.host_idx)
        self.parts: list[Part[Term]] = [(rule, term) for rule in counted for term in rule.lower(snapshot)]
        self.filters = self.of(Allowed, every=True)
        columns = [term.class_idx for _, term in self.filters]
        stays = [term.stay for _, term in self.filters if term.stay is not None]
        _, first, kind = np.unique(
            np.stack([*columns, *stays, self.start], axis=1), axis=0, return_index=True, return_inverse=True
        )
        self.kind = kind.reshape(-1)
        """VMs of one kind are alike to every filter."""
        self.one_of_kind = np.sort(first).tolist()
        self._allowed: dict[tuple[int, frozenset[int]], Bools] = {}

    def of(self, kind: type[Kind], *, every: bool = False) -> list[Part[Kind]]:
        """The terms of a kind, of the hard rules or of `every` rule."""
        return [
            (rule, term)
            for rule, term in self.parts
            if isinstance(term, kind) and (every or rule.policy == "hard")
        ]

    def stuck(self, vms: Iterable[int]) -> bool:
        """Whether one of these VMs has no host at all, which is a contradiction of its own."""
        every = self._filtering()
        return not all(
            self.allowed(vm, every).any() for vm in {int(self.kind[vm]): vm for vm in vms}.values()
        )

    def placed(self, vms: Ints) -> Ints:
        """VMs that are nowhere yet may stay there: they contradict nothing."""
        return vms[self.start[vms] >= 0]

    def allowed(self, vm: int, rules: Iterable[Rule]) -> Bools:
        """Hosts where a VM may be under these of the filters, bool[n_hosts]."""
        chosen = frozenset(id(rule) for rule in rules)
        key = (int(self.kind[vm]), chosen)
        if key not in self._allowed:
            hosts = np.ones(self.snapshot.n_hosts, dtype=bool)
            for rule, term in self.filters:
                if id(rule) in chosen:
                    hosts &= self._row(rule, term, vm)
            self._allowed[key] = hosts
        return self._allowed[key]

    def _row(self, rule: Rule, term: Allowed, vm: int) -> Bools:
        row: Bools = np.array(term.mask[term.class_idx[vm]])
        if term.stay is not None and term.stay[vm] >= 0:
            row[term.stay[vm]] = True
        if rule.policy != "hard":
            row[self.start[vm]] = True
        return row

    def restricting(self, vms: Iterable[int]) -> list[Rule]:
        """The filters that keep any of these VMs off any host."""
        kinds = {int(self.kind[vm]): vm for vm in vms}.values()

        def harmless(rule: Rule) -> bool:
            return all(self.allowed(vm, [rule]).all() for vm in kinds)

        return [rule for rule in self._filtering() if not harmless(rule)]

    def _filtering(self) -> list[Rule]:
        """Each rule with a filter once."""
        return list({id(rule): rule for rule, _ in self.filters}.values())

    def places(self, vm: int, domain: Ints, rules: Iterable[Rule]) -> set[int]:
        """Domains where a VM may be; -1 where it may be on a host of no domain."""
        return set(domain[self.allowed(vm, rules)].tolist())

    def only_inside(self, items: Ints, domain: Ints) -> list[int]:
        """The placed ones of these VMs, if they have a host at all and every host is in a domain; else none."""
        vms = self.placed(items).tolist()
        return [] if (domain < 0).any() or self.stuck(vms) else vms


def _core(candidates: Sequence[Rule], contradictory: Holds) -> list[Rule]:
    """A subset that still contradicts itself and of which no rule can be left out."""
    kept = list(candidates)
    for rule in candidates:
        less = [other for other in kept if other is not rule]
        if contradictory(less):
            kept = less
    return kept


def _error(core: Sequence[Rule], why: str) -> RuleConflictError:
    names = [rule.label for rule in core]
    listed = " and ".join(f"{rule.label!r} ({rule.type})" for rule in core)
    verb = "cannot hold together" if len(core) > 1 else "cannot hold"
    return RuleConflictError(f"{listed} {verb}: {why}", names)


def _found(case: _Case) -> Iterator[RuleConflictError]:
    told: set[tuple[str, ...]] = set()
    for look in (_nowhere_to_go, _too_many, _no_common_place, _cannot_spread, _cannot_confine,
                 _needs_out_of_reach, _together_and_apart):  # fmt: skip
        for found in look(case):
            core = tuple(sorted(found.rules))
            if core not in told:
                told.add(core)
                yield found


def _nowhere_to_go(case: _Case) -> Iterator[RuleConflictError]:
    """VMs that no host suits, one report for each set of rules."""
    if not any(rule.policy == "hard" for rule, _ in case.filters):
        return
    stuck: dict[tuple[str, ...], tuple[list[Rule], int]] = {}
    for vm in case.one_of_kind:
        if case.start[vm] < 0:
            continue
        all_rules = case.restricting([vm])
        if case.allowed(vm, all_rules).any():
            continue
        core = _core(all_rules, lambda rules, vm=vm: not case.allowed(vm, rules).any())  # type: ignore[misc]
        stuck.setdefault(tuple(rule.label for rule in core), (core, vm))
    for core, vm in stuck.values():
        yield _error(core, f"no host is left for {case.snapshot.vms.name[vm]}{_reasons(case, core, vm)}")


def _reasons(case: _Case, core: Sequence[Rule], vm: int, at_most: int = 3) -> str:
    """What each rule says against a host, a few of the different answers: " (b: no link joins ...)"."""
    said: dict[str, str] = {}
    for rule in core:
        if isinstance(rule, HostFilter):
            why_not = rule.judge(case.snapshot)
            for host in np.flatnonzero(~case.allowed(vm, [rule])).tolist():
                why = why_not(vm, host)
                if why:
                    said.setdefault(why, case.snapshot.hosts.name[host])
    told = [f"{host}: {why}" for why, host in said.items()]
    more = ["..."] if len(told) > at_most else []
    return f" ({'; '.join(told[:at_most] + more)})" if told else ""


def _matched(choices: Sequence[set[int]], room: Callable[[int], int]) -> int:
    """How many members find a place when place `p` takes `room(p)` (augmenting paths)."""
    taken: dict[int, list[int]] = {}

    def place(member: int, tried: set[int]) -> bool:
        for where in sorted(choices[member] - tried):
            tried.add(where)
            there = taken.setdefault(where, [])
            if len(there) < room(where):
                there.append(member)
                return True
            for i, other in enumerate(there):
                if place(other, tried):
                    there[i] = member
                    return True
        return False

    if len(choices) > MAX_MATCHED:
        return min(len(choices), sum(room(where) for where in set().union(*choices)))
    return sum(place(member, set()) for member in range(len(choices)))


def _too_many(case: _Case) -> Iterator[RuleConflictError]:
    """More VMs than the places that they can reach take. VMs with a way to a host of no domain are no trouble."""
    alike: set[tuple[int, int, tuple[int, ...]]] = set()
    for rule, term in case.of(AtMost):
        items = case.placed(term.items)
        # Many small terms of one rule (pairs) ask the same of VMs of the same kinds.
        key = (id(rule), id(term.domain), tuple(np.sort(case.kind[items]).tolist()))
        if len(items) <= term.limit.min(initial=np.inf) or key in alike or case.stuck(items.tolist()):
            continue
        alike.add(key)
        yield from _too_many_of(case, rule, term, items.tolist())


def _too_many_of(case: _Case, rule: Rule, term: AtMost, vms: list[int]) -> Iterator[RuleConflictError]:
    room = [int(limit) for limit in np.floor(term.limit)]

    def bound(rules: Sequence[Rule]) -> dict[int, set[int]]:
        """The VMs that are in a domain wherever they go, and in which."""
        reach = {vm: case.places(vm, term.domain, rules) for vm in vms}
        return {vm: places for vm, places in reach.items() if -1 not in places}

    def contradictory(rules: Sequence[Rule]) -> bool:
        reach = bound(rules) if rule in rules else {}
        return _matched(list(reach.values()), room.__getitem__) < len(reach)

    filters = case.restricting(vms)
    if not contradictory([rule, *filters]):
        yield from _no_room_elsewhere(case, rule, term, vms)
        return
    core = _core([rule, *filters], contradictory)
    reach = bound(core)
    places: set[int] = set().union(*reach.values())
    most = max(room[where] for where in places)
    if len(room) == 1:
        where = some(case.snapshot.hosts.name[term.domain == 0].tolist())
        who = names_of(list(reach), case.snapshot)
        verb = "is" if len(reach) == 1 else "are"
        yield _error(
            core, f"{some(who)} {verb} bound to {where}, where at most {most} of {len(vms)} VMs may be"
        )
        return
    reachable = f"{len(places)} of {len(room)}" if len(places) < len(room) else str(len(room))
    yield _error(
        core,
        f"{len(reach)} VMs are to be kept apart, at most {most} in a {rule.place}, "
        f"and they can reach {reachable} {rule.place}s",
    )


def _no_room_elsewhere(
    case: _Case, rule: Rule, term: AtMost, vms: Sequence[int]
) -> Iterator[RuleConflictError]:
    """VMs that are too many for the domains have to be on the hosts of none: do the smallest of them fit there?"""
    elsewhere = term.domain < 0
    n_elsewhere = len(vms) - int(np.minimum(np.floor(term.limit), len(vms)).sum())
    if n_elsewhere <= 0 or not elsewhere.any():
        return
    for origin, limit in case.of(Capacity, every=True):
        # As wide as today's use, where the capacity is not hard: what is there may stay.
        wide = limit if origin.policy == "hard" else limit.relaxed(case.start)
        need = float(np.sort(limit.demand[vms])[:n_elsewhere].sum())
        if need > float(wide.limit[elsewhere].sum()) * (1 + 1e-9):
            where = some(case.snapshot.hosts.name[elsewhere].tolist())
            yield _error(
                [rule, origin],
                f"at least {n_elsewhere} of {some(names_of(vms, case.snapshot))} have to be on {where}, "
                f"need {need:,.0f} {origin.unit} of {limit.resource} or more, "
                f"and may use {limit.limit[elsewhere].sum():,.0f} there",
            )


def _no_common_place(case: _Case) -> Iterator[RuleConflictError]:
    for rule, term in case.of(Together):
        vms = case.only_inside(term.items, term.domain)
        if len(vms) < 2:
            continue

        def contradictory(
            rules: Sequence[Rule], rule: Rule = rule, term: Together = term, vms: Sequence[int] = vms
        ) -> bool:
            return rule in rules and not set.intersection(
                *(case.places(vm, term.domain, rules) for vm in vms)
            )

        filters = case.restricting(vms)
        if contradictory([rule, *filters]):
            core = _core([rule, *filters], contradictory)
            yield _error(core, f"no {rule.place} suits all of {some(names_of(vms, case.snapshot))}")
        else:
            yield from _too_large(case, rule, term.domain, 1, vms)


def _too_large(
    case: _Case, rule: Rule, domain: Ints, n_places: int, vms: Sequence[int]
) -> Iterator[RuleConflictError]:
    """VMs that have to be in so few places that their demand exceeds the largest of them."""
    what = f"one {rule.place}" if n_places == 1 else f"{n_places} {rule.place}s"
    for owner, term in case.of(Capacity, every=True):
        # A limit that is exceeded today and only may not become worse is as wide as today's use.
        wide = term if owner.policy == "hard" else term.relaxed(case.start)
        demand = float(term.demand[vms].sum())

        def largest(limit: Capacity) -> float:
            return float(np.sort(np.bincount(domain, weights=limit.limit))[-n_places:].sum())

        if demand > largest(wide) * (1 + 1e-9):
            yield _error(
                [rule, owner],
                f"{len(vms)} VMs need {demand:,.0f} {owner.unit} of {term.resource} in {what} "
                f"and the largest may use {largest(term):,.0f}",
            )


def _cannot_spread(case: _Case) -> Iterator[RuleConflictError]:
    for rule, term in case.of(AtLeast):
        vms = case.placed(term.items).tolist()
        if len(vms) < len(term.items) or not vms or case.stuck(vms):
            continue

        def contradictory(
            rules: Sequence[Rule], rule: Rule = rule, term: AtLeast = term, vms: Sequence[int] = vms
        ) -> bool:
            if rule not in rules:
                return False
            choices = [case.places(vm, term.domain, rules) - {-1} for vm in vms]
            return _matched(choices, lambda _: 1) < term.at_least

        filters = case.restricting(vms)
        if contradictory([rule, *filters]):
            core = _core([rule, *filters], contradictory)
            who = some(names_of(vms, case.snapshot))
            yield _error(core, f"{who} cannot reach {term.at_least} different {rule.place}s")


def _cannot_confine(case: _Case) -> Iterator[RuleConflictError]:
    for rule, term in case.of(Within):
        vms = case.only_inside(term.items, term.domain)
        if len(vms) > term.at_most:
            yield from _cannot_confine_to(case, rule, term, vms)


def _cannot_confine_to(
    case: _Case, rule: Rule, term: Within, vms: Sequence[int]
) -> Iterator[RuleConflictError]:
    def contradictory(rules: Sequence[Rule]) -> bool:
        """Whether more VMs than places may go to places of which no two of them share one."""
        if rule not in rules:
            return False
        taken: set[int] = set()
        n_apart = 0
        for places in sorted((case.places(vm, term.domain, rules) for vm in vms), key=len):
            if not places & taken:
                taken |= places
                n_apart += 1
        return n_apart > term.at_most

    some_vms = some(names_of(vms, case.snapshot))
    what = f"{term.at_most} {rule.place}{'s' if term.at_most > 1 else ''}"
    filters = case.restricting(vms)
    if contradictory([rule, *filters]):
        yield _error(_core([rule, *filters], contradictory), f"no {what} suit all of {some_vms}")
        return
    for apart, limit in case.of(AtMost):
        if not np.array_equal(limit.domain, term.domain):
            continue
        n_both = len(np.intersect1d(vms, limit.items))
        room = np.cumsum(np.sort(np.floor(limit.limit))[::-1])
        least = int(np.searchsorted(room, n_both)) + 1
        if n_both and term.at_most < least <= len(room):
            yield _error(
                [rule, apart],
                f"{some_vms} are to be in {what} at most, and {n_both} of them need {least} to be apart",
            )
    yield from _too_large(case, rule, term.domain, term.at_most, vms)


def _needs_out_of_reach(case: _Case) -> Iterator[RuleConflictError]:
    for rule, term in case.of(Near):
        if case.stuck(case.placed(term.items).tolist()) or case.stuck(term.needs.tolist()):
            continue
        kinds = {int(case.kind[vm]): vm for vm in case.placed(term.items).tolist()}
        needs = {int(case.kind[vm]): vm for vm in term.needs.tolist()}.values()
        for vm in kinds.values():

            def contradictory(
                rules: Sequence[Rule], rule: Rule = rule, term: Near = term, vm: int = vm,
                needs: Iterable[int] = needs,
            ) -> bool:  # fmt: skip
                if rule not in rules:
                    return False
                mine = case.places(vm, term.domain, rules)
                there: set[int] = set().union(*(case.places(need, term.domain, rules) for need in needs))
                return -1 not in mine and not mine & there

            filters = case.restricting([vm, *needs])
            if contradictory([rule, *filters]):
                needed = some(names_of(term.needs.tolist(), case.snapshot))
                why = f"no {rule.place} that {case.snapshot.vms.name[vm]} can reach suits any of {needed}"
                yield _error(_core([rule, *filters], contradictory), why)
                break


def _nested(inner: Ints, outer: Ints) -> bool:
    """Whether sharing an inner domain means sharing an outer one."""
    inside = inner >= 0
    pairs = set(zip(inner[inside].tolist(), outer[inside].tolist(), strict=True))
    return len(pairs) == len({a for a, _ in pairs}) and all(b >= 0 for _, b in pairs)


def _together_and_apart(case: _Case) -> Iterator[RuleConflictError]:
    ties = [(rule, term) for rule, term in case.of(Together) if not (term.domain < 0).any()]
    if not ties:
        return
    limits: dict[tuple[int, int], tuple[Rule, list[AtMost]]] = {}
    for rule, limit in case.of(AtMost):
        limits.setdefault((id(rule), id(limit.domain)), (rule, []))[1].append(limit)
    for apart, terms in limits.values():
        inner = [(rule, tie) for rule, tie in ties if _nested(tie.domain, terms[0].domain)]
        tying = list({id(rule): rule for rule, _ in inner}.values())
        groups = _groups(case, inner)
        suspects = [term for term in terms if _shared(term, groups).size]
        if not suspects:
            continue

        def shared(
            rules: Sequence[Rule],
            apart: Rule = apart,
            inner: Sequence[Part[Together]] = inner,
            suspects: Sequence[AtMost] = suspects,
        ) -> Ints:
            """VMs that these rules tie together and keep apart, of one group."""
            if apart in rules:
                groups = _groups(case, [(rule, tie) for rule, tie in inner if rule in rules])
                for term in suspects:
                    found = _shared(term, groups)
                    if found.size:
                        return found
            return np.empty(0, dtype=np.int32)

        core = _core([apart, *tying], lambda rules, shared=shared: bool(shared(rules).size))  # type: ignore[misc]
        yield _error(
            core, f"{some(names_of(shared(core).tolist(), case.snapshot))} are to be together and apart"
        )


def _groups(case: _Case, ties: Sequence[Part[Together]]) -> Ints:
    """The group of each VM that these terms tie to others, directly or through others, -1 for none."""
    group = np.full(len(case.start), -1, dtype=np.int32)
    for number, (_, tie) in enumerate(ties):
        vms = case.placed(tie.items)
        merged = np.unique(group[vms])
        group[np.isin(group, merged[merged >= 0])] = number
        group[vms] = number
    return group


def _shared(term: AtMost, groups: Ints) -> Ints:
    """More of the term's items than any domain takes that are in one group; empty where there are none."""
    of = groups[term.items]
    counts = np.bincount(of[of >= 0], minlength=1)
    largest = int(counts.argmax())
    crowded = counts[largest] > term.limit.max(initial=0.0)
    return term.items[of == largest] if crowded else term.items[:0]
