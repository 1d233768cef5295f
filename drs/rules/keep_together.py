"""VMs that run in one host, rack, cluster or site."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from drs.model import Placement, Snapshot
from drs.rules.base import Rule, Violation, hosts_of, names_of
from drs.rules.catalogue import rule
from drs.rules.scopes import Scope, by_domain, domains
from drs.rules.selecting import Vms, select_vms
from drs.terms import Term, Together
from drs.words import some


@rule("keep-together")
@dataclass(frozen=True)
class KeepTogether(Rule):
    """All of these VMs in one `scope` (VM-VM affinity)."""

    reason_code: ClassVar[str] = "jointAffin"
    asks: ClassVar[str] = "what belongs together runs apart"

    vms: Vms
    _: KW_ONLY
    scope: Scope = "host"

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        parts = by_domain(select_vms(self.vms, snapshot), snapshot, placement, self.scope)
        if len(parts) < 2:
            return
        _, names = domains(snapshot, self.scope)
        home = max(parts, key=lambda where: len(parts[where]))
        apart = [vm for where, vms in parts.items() if where != home for vm in vms]
        who = names_of(apart, snapshot)
        yield Violation(
            self.label,
            who,
            hosts_of(apart, snapshot, placement),
            float(len(apart)),
            "VMs",
            f"{some(who)} not in the {self.scope} of the others, {names[home]}",
        )

    def lower(self, snapshot: Snapshot) -> list[Term]:
        vms = select_vms(self.vms, snapshot)
        domain, names = domains(snapshot, self.scope)
        return [Together(vms, domain, len(names))] if len(vms) > 1 else []
