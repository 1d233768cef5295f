"""Where one of a group of VMs runs, one that it depends on runs too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass

from drs.errors import Fault
from drs.model import Placement, Snapshot
from drs.rules.base import (
    Rule,
    Scope,
    Selector,
    Violation,
    by_domain,
    domains,
    hosts_of,
    names_of,
    rule,
    scope_faults,
    select_vms,
    selector_faults,
)
from drs.terms import Near, Term
from drs.words import some


@rule("dependency")
@dataclass(frozen=True)
class Dependency(Rule):
    """In every `scope` that runs one of `vms`, at least one of `needs` runs too.

    mutual : and the other way round: group stays with group.
    """

    vms: Selector
    needs: Selector
    _: KW_ONLY
    scope: Scope = "site"
    mutual: bool = False

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        _, names = domains(snapshot, self.scope)
        mine, theirs = (
            by_domain(select_vms(group, snapshot), snapshot, placement, self.scope)
            for group in (self.vms, self.needs)
        )
        ways = [(mine, theirs, self.needs)]
        if self.mutual:
            ways.append((theirs, mine, self.vms))
        for have, need, needed in ways:
            for where, vms in have.items():
                if where in need:
                    continue
                who = names_of(vms, snapshot)
                needed_names = needed if isinstance(needed, str) else some(list(needed))
                yield Violation(
                    self.label,
                    who,
                    hosts_of(vms, snapshot, placement),
                    float(len(vms)),
                    "VMs",
                    f"{some(who)} in the {self.scope} {names[where]} without any of {needed_names}",
                )

    def lower(self, snapshot: Snapshot) -> list[Term]:
        domain, names = domains(snapshot, self.scope)
        vms, needs = select_vms(self.vms, snapshot), select_vms(self.needs, snapshot)
        there = Near(vms, needs, domain, len(names))
        return [there, Near(needs, vms, domain, len(names))] if self.mutual else [there]

    def faults(self, snapshot: Snapshot) -> Iterator[Fault]:
        yield from super().faults(snapshot)
        yield from selector_faults(self.field("vms"), self.vms, snapshot.vms, "VM")
        yield from selector_faults(self.field("needs"), self.needs, snapshot.vms, "VM")
        yield from scope_faults(self.field("scope"), self.scope, snapshot)
