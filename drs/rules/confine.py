"""A group of VMs runs in no more than so many hosts, racks, clusters or sites."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass

from drs.model import Placement, Snapshot
from drs.rules.base import Rule, Violation, hosts_of, names_of
from drs.rules.catalogue import rule
from drs.rules.fields import Count
from drs.rules.scopes import Scope, by_domain, domains
from drs.rules.selecting import Vms, select_vms
from drs.terms import Term, Within
from drs.words import some


@rule("confine")
@dataclass(frozen=True)
class Confine(Rule):
    """These VMs in at most `at_most` different domains of the `scope`, whichever they are (licences by host).

    at_most : how many domains
    """

    vms: Vms
    _: KW_ONLY
    scope: Scope = "host"
    at_most: Count = 1

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        vms = select_vms(self.vms, snapshot)
        used = by_domain(vms, snapshot, placement, self.scope)
        excess = len(used) - self.at_most
        if excess > 0:
            _, names = domains(snapshot, self.scope)
            yield Violation(
                self.label,
                names_of(vms.tolist(), snapshot),
                hosts_of(vms.tolist(), snapshot, placement),
                float(excess),
                f"{self.scope}s",
                f"{some(names_of(vms.tolist(), snapshot))} run in {len(used)} {self.scope}s "
                f"({some([names[d] for d in used])}); at most {self.at_most} are allowed",
            )

    def lower(self, snapshot: Snapshot) -> list[Term]:
        domain, names = domains(snapshot, self.scope)
        return [Within(select_vms(self.vms, snapshot), domain, len(names), self.at_most)]
