"""A group of VMs runs in at least so many hosts, racks, clusters or sites."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from drs.errors import Fault
from drs.model import Placement, Snapshot
from drs.rules.base import Rule, Violation, hosts_of, names_of
from drs.rules.catalogue import rule
from drs.rules.fields import Count
from drs.rules.scopes import Scope, by_domain, domains
from drs.rules.selecting import Vms, select_vms
from drs.terms import AtLeast, Term
from drs.words import some


@rule("spread")
@dataclass(frozen=True)
class Spread(Rule):
    """These VMs in at least `at_least` different domains of the `scope`.

    at_least : how many domains
    """

    reason_code: ClassVar[str] = "antiAffin"
    asks: ClassVar[str] = "{host} holds too many of the group"

    vms: Vms
    _: KW_ONLY
    scope: Scope = "site"
    at_least: Count = 2

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        vms = select_vms(self.vms, snapshot)
        used = by_domain(vms, snapshot, placement, self.scope)
        missing = self.at_least - len(used)
        if missing > 0:
            _, names = domains(snapshot, self.scope)
            who = names_of(vms.tolist(), snapshot)
            yield Violation(
                self.label,
                who,
                hosts_of(vms.tolist(), snapshot, placement),
                float(missing),
                f"{self.scope}s",
                f"{some(who)} run in {len(used)} {self.scope}s ({some([names[d] for d in used]) or 'none'}); "
                f"at least {self.at_least} are wanted",
            )

    def lower(self, snapshot: Snapshot) -> list[Term]:
        domain, names = domains(snapshot, self.scope)
        return [AtLeast(select_vms(self.vms, snapshot), domain, len(names), self.at_least)]

    def misfits(self, snapshot: Snapshot) -> Iterator[Fault]:
        n_vms, n_domains = len(select_vms(self.vms, snapshot)), len(domains(snapshot, self.scope)[1])
        if n_vms and self.at_least > n_vms:
            yield Fault(
                self.field("at_least"), f"{self.at_least} {self.scope}s for {n_vms} VMs", f"at most {n_vms}"
            )
        elif self.at_least > n_domains:
            yield Fault(
                self.field("at_least"),
                f"{self.at_least} {self.scope}s",
                f"at most {n_domains}: there are no more",
            )
