"""Hard rules that cannot hold together, found before anything is solved, each with a minimal core.

What is looked for: VMs that no host suits; a group to keep apart that is too large for the places its VMs
may go to; a group to keep together that no place suits, or that is larger than any host; keep-together
against keep-apart and never-with; a spread over more places than can be reached; a group to confine that
has no such places in common, is larger than they are, or has to be kept apart. Not every contradiction is of
these kinds: the others are the solver's to prove.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from drs.errors import RuleConflictError
from drs.model import Snapshot
from drs.rules.base import HostFilter, Rule, domains, names_of, select_vms
from drs.rules.capacity import HostLimit
from drs.rules.confine import Confine
from drs.rules.keep_apart import KeepApart
from drs.rules.keep_together import KeepTogether
from drs.rules.never_with import NeverWith
from drs.rules.spread import Spread
from drs.terms import Allowed
from drs.terms.base import Bools, Ints
from drs.words import some

MAX_MATCHED = 300
"""Of larger groups the places are only counted."""

Holds = Callable[[Sequence[Rule]], bool]


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
    """The rules by kind, and where each VM may be under some of them."""

    def __init__(self, rules: Sequence[Rule], snapshot: Snapshot) -> None:
        counted = [rule for rule in rules if rule.policy != "soft" and rule.items == "vms"]
        self.snapshot = snapshot
        self.start: Ints = np.asarray(snapshot.vms.host_idx)
        self.hard = [rule for rule in counted if rule.policy == "hard"]
        self.filters: list[tuple[HostFilter, Allowed]] = []
        for rule in counted:
            if isinstance(rule, HostFilter):
                term = rule.allowed(snapshot)
                if term is not None:
                    self.filters.append((rule, term))
        columns = [term.class_idx for _, term in self.filters]
        stays = [term.stay for _, term in self.filters if term.stay is not None]
        _, first, kind = np.unique(
            np.stack([*columns, *stays, self.start], axis=1), axis=0, return_index=True, return_inverse=True
        )
        self.kind = kind.reshape(-1)
        """VMs of one kind are alike to every filter."""
        self.one_of_kind = np.sort(first).tolist()
        self._allowed: dict[tuple[int, frozenset[int]], Bools] = {}
        self.limits = [rule for rule in counted if isinstance(rule, HostLimit)]

    def stuck(self, vms: Iterable[int]) -> bool:
        """Whether one of these VMs has no host at all, which is a contradiction of its own."""
        every = [rule for rule, _ in self.filters]
        return not all(self.allowed(vm, every).any() for vm in vms)

    def placed(self, vms: Ints) -> Ints:
        """VMs that are nowhere yet may stay there: they contradict nothing."""
        return vms[self.start[vms] >= 0]

    def allowed(self, vm: int, rules: Iterable[Rule]) -> Bools:
        """Hosts where a VM may be under these of the filters, bool[n_hosts]."""
        chosen = frozenset(id(rule) for rule in rules if isinstance(rule, HostFilter))
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

        return [rule for rule, _ in self.filters if not harmless(rule)]

    def places(self, vm: int, domain: Ints, rules: Iterable[Rule]) -> set[int]:
        """Domains where a VM may be."""
        return set(domain[self.allowed(vm, rules)].tolist()) - {-1}


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
    yield from _nowhere_to_go(case)
    for rule in case.hard:
        if isinstance(rule, KeepApart) and rule.scope != "datastore":
            yield from _too_many_apart(case, rule)
        elif isinstance(rule, KeepTogether):
            yield from _no_common_place(case, rule)
        elif isinstance(rule, Spread):
            yield from _cannot_spread(case, rule)
        elif isinstance(rule, Confine):
            yield from _cannot_confine(case, rule)
    yield from _together_and_apart(case)


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


def _matched(choices: Sequence[set[int]], at_most: int) -> int:
    """How many members find a place when each place takes `at_most` (augmenting paths)."""
    taken: dict[int, list[int]] = {}

    def place(member: int, tried: set[int]) -> bool:
        for where in sorted(choices[member] - tried):
            tried.add(where)
            there = taken.setdefault(where, [])
            if len(there) < at_most:
                there.append(member)
                return True
            for i, other in enumerate(there):
                if place(other, tried):
                    there[i] = member
                    return True
        return False

    if len(choices) > MAX_MATCHED:
        return min(len(choices), at_most * len(set().union(*choices)))
    return sum(place(member, set()) for member in range(len(choices)))


def _too_many_apart(case: _Case, rule: KeepApart) -> Iterator[RuleConflictError]:
    domain, names = domains(case.snapshot, rule.scope)
    vms = case.placed(select_vms(rule.vms, case.snapshot)).tolist()
    # VMs on hosts of no domain count nowhere, so a host without one is a way out.
    if len(vms) <= rule.at_most or (domain < 0).any() or case.stuck(vms):
        return

    def contradictory(rules: Sequence[Rule]) -> bool:
        if rule not in rules:
            return False
        return _matched([case.places(vm, domain, rules) for vm in vms], rule.at_most) < len(vms)

    filters = case.restricting(vms)
    if contradictory([rule, *filters]):
        core = _core([rule, *filters], contradictory)
        places = set().union(*(case.places(vm, domain, core) for vm in vms))
        reachable = f"{len(places)} of {len(names)}" if len(places) < len(names) else str(len(names))
        yield _error(
            core,
            f"{len(vms)} VMs are to be kept apart, at most {rule.at_most} in a {rule.scope}, "
            f"and they can reach {reachable} {rule.scope}s",
        )


def _no_common_place(case: _Case, rule: KeepTogether) -> Iterator[RuleConflictError]:
    domain, _ = domains(case.snapshot, rule.scope)
    vms = case.placed(select_vms(rule.vms, case.snapshot)).tolist()
    if len(vms) < 2 or (domain < 0).any() or case.stuck(vms):
        return

    def contradictory(rules: Sequence[Rule]) -> bool:
        return rule in rules and not set.intersection(*(case.places(vm, domain, rules) for vm in vms))

    filters = case.restricting(vms)
    if contradictory([rule, *filters]):
        core = _core([rule, *filters], contradictory)
        yield _error(core, f"no {rule.scope} suits all of {some(names_of(vms, case.snapshot))}")
        return
    for limit in case.limits:
        demand, room = float(limit.demand(case.snapshot)[vms].sum()), limit.limit(case.snapshot)
        in_domain = np.bincount(domain, weights=room)
        if demand > float(in_domain.max(initial=0.0)) * (1 + 1e-9):
            yield _error(
                [rule, limit],
                f"{len(vms)} VMs need {demand:,.0f} {limit.unit} of {limit.resource} in one {rule.scope} "
                f"and the largest may use {in_domain.max():,.0f}",
            )


def _cannot_spread(case: _Case, rule: Spread) -> Iterator[RuleConflictError]:
    domain, _ = domains(case.snapshot, rule.scope)
    all_vms = select_vms(rule.vms, case.snapshot)
    vms = case.placed(all_vms).tolist()
    if len(vms) < len(all_vms) or not vms or case.stuck(vms):
        return

    def contradictory(rules: Sequence[Rule]) -> bool:
        if rule not in rules:
            return False
        return _matched([case.places(vm, domain, rules) for vm in vms], 1) < rule.at_least

    filters = case.restricting(vms)
    if contradictory([rule, *filters]):
        core = _core([rule, *filters], contradictory)
        yield _error(
            core, f"{some(names_of(vms, case.snapshot))} cannot reach {rule.at_least} different {rule.scope}s"
        )


def _cannot_confine(case: _Case, rule: Confine) -> Iterator[RuleConflictError]:
    domain, _ = domains(case.snapshot, rule.scope)
    vms = case.placed(select_vms(rule.vms, case.snapshot)).tolist()
    if len(vms) <= rule.at_most or (domain < 0).any() or case.stuck(vms):
        return

    def contradictory(rules: Sequence[Rule]) -> bool:
        """Whether more VMs than places may go to places of which no two of them share one."""
        if rule not in rules:
            return False
        taken: set[int] = set()
        n_apart = 0
        for places in sorted((case.places(vm, domain, rules) for vm in vms), key=len):
            if not places & taken:
                taken |= places
                n_apart += 1
        return n_apart > rule.at_most

    some_vms = some(names_of(vms, case.snapshot))
    what = f"{rule.at_most} {rule.scope}{'s' if rule.at_most > 1 else ''}"
    filters = case.restricting(vms)
    if contradictory([rule, *filters]):
        yield _error(_core([rule, *filters], contradictory), f"no {what} suit all of {some_vms}")
        return
    for apart in case.hard:
        if isinstance(apart, KeepApart) and apart.scope == rule.scope:
            both = set(vms) & set(case.placed(select_vms(apart.vms, case.snapshot)).tolist())
            least = -(-len(both) // apart.at_most)
            if least > rule.at_most:
                yield _error(
                    [rule, apart],
                    f"{some_vms} are to be in {what} at most, and {len(both)} of them need {least} to be apart",
                )
    for limit in case.limits:
        demand, room = float(limit.demand(case.snapshot)[vms].sum()), limit.limit(case.snapshot)
        largest = float(np.sort(np.bincount(domain, weights=room))[-rule.at_most :].sum())
        if demand > largest * (1 + 1e-9):
            yield _error(
                [rule, limit],
                f"{len(vms)} VMs need {demand:,.0f} {limit.unit} of {limit.resource} in {what} "
                f"and the largest may use {largest:,.0f}",
            )


def _nested(inner: Ints, outer: Ints) -> bool:
    """Whether sharing an inner domain means sharing an outer one."""
    inside = inner >= 0
    pairs = set(zip(inner[inside].tolist(), outer[inside].tolist(), strict=True))
    return len(pairs) == len({a for a, _ in pairs}) and all(b >= 0 for _, b in pairs)


def _together_and_apart(case: _Case) -> Iterator[RuleConflictError]:
    together = [rule for rule in case.hard if isinstance(rule, KeepTogether)]
    group_of: dict[int, list[KeepTogether]] = {}
    for tie in together:
        if (domains(case.snapshot, tie.scope)[0] < 0).any():
            continue
        for vm in case.placed(select_vms(tie.vms, case.snapshot)).tolist():
            group_of.setdefault(vm, []).append(tie)
    if not group_of:
        return
    for rule in case.hard:
        if isinstance(rule, KeepApart) and rule.scope != "datastore":
            vms = case.placed(select_vms(rule.vms, case.snapshot)).tolist()
            pairs = None
        elif isinstance(rule, NeverWith):
            mine = case.placed(select_vms(rule.vms, case.snapshot)).tolist()
            theirs = case.placed(select_vms(rule.others, case.snapshot)).tolist()
            vms, pairs = [*mine, *theirs], (set(mine), set(theirs))
        else:
            continue
        involved = _reach(vms, group_of, case)
        outer = domains(case.snapshot, rule.scope)[0]
        inner = [one for one in involved if _nested(domains(case.snapshot, one.scope)[0], outer)]

        def broken(
            rules: Sequence[Rule],
            apart: Rule = rule,
            vms: Sequence[int] = vms,
            pairs: tuple[set[int], set[int]] | None = pairs,
        ) -> str:
            if apart not in rules:
                return ""
            for group in _components([r for r in rules if isinstance(r, KeepTogether)], case):
                shared = [vm for vm in vms if vm in group]
                if isinstance(apart, KeepApart) and len(shared) > apart.at_most:
                    return some(names_of(shared, case.snapshot))
                if pairs is not None and group & pairs[0] and group & pairs[1]:
                    return some(names_of(shared, case.snapshot))
            return ""

        if broken([rule, *inner]):
            core = _core([rule, *inner], lambda rules, broken=broken: bool(broken(rules)))  # type: ignore[misc]
            yield _error(core, f"{broken(core)} are to be together and apart")


def _reach(vms: Iterable[int], group_of: dict[int, list[KeepTogether]], case: _Case) -> list[KeepTogether]:
    """The keep-together rules that tie any of these VMs, directly or through others."""
    found: dict[int, KeepTogether] = {}
    queue, seen = list(vms), set(vms)
    while queue:
        for rule in group_of.get(queue.pop(), ()):
            if id(rule) not in found:
                found[id(rule)] = rule
                more = set(case.placed(select_vms(rule.vms, case.snapshot)).tolist()) - seen
                seen |= more
                queue.extend(more)
    return list(found.values())


def _components(rules: Sequence[KeepTogether], case: _Case) -> list[set[int]]:
    """VMs that these rules tie together."""
    groups: list[set[int]] = []
    for rule in rules:
        merged = set(case.placed(select_vms(rule.vms, case.snapshot)).tolist())
        rest = []
        for group in groups:
            if group & merged:
                merged |= group
            else:
                rest.append(group)
        groups = [*rest, merged]
    return groups
