"""Where one of a group of VMs runs, one that it depends on runs too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from drs.model import Placement, Snapshot
from drs.rules.base import Rule, Violation, hosts_of, names_of
from drs.rules.catalogue import rule
from drs.rules.scopes import Scope, by_domain, domains
from drs.rules.selecting import Vms, select_vms
from drs.terms import Near, Term
from drs.words import some


@rule("dependency")
@dataclass(frozen=True)
class Dependency(Rule):
    """In every `scope` that runs one of `vms`, at least one of `needs` runs too.

    mutual : and the other way round: group stays with group.
    needs : the VMs of which one is needed
    """

    reason_code: ClassVar[str] = "jointAffin"
    asks: ClassVar[str] = "what belongs together runs apart"

    vms: Vms
    needs: Vms
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
