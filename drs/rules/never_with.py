"""Two groups of VMs that never share a host, rack, cluster or site."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass

import numpy as np

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
from drs.terms import AtMost, Term
from drs.words import some

MAX_PAIRS = 100_000


@rule("never-with")
@dataclass(frozen=True)
class NeverWith(Rule):
    """No `scope` runs both one of `vms` and one of `others`; VMs of one group may share it."""

    vms: Selector
    others: Selector
    _: KW_ONLY
    scope: Scope = "host"

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        _, names = domains(snapshot, self.scope)
        mine, theirs = (
            by_domain(select_vms(group, snapshot), snapshot, placement, self.scope)
            for group in (self.vms, self.others)
        )
        for where, vms in mine.items():
            if where not in theirs:
                continue
            both = sorted({*vms, *theirs[where]})
            yield Violation(
                self.label,
                names_of(both, snapshot),
                hosts_of(both, snapshot, placement),
                float(len(vms) * len(theirs[where])),
                "pairs",
                f"{some(names_of(vms, snapshot))} and {some(names_of(theirs[where], snapshot))} "
                f"in one {self.scope}, {names[where]}",
            )

    def lower(self, snapshot: Snapshot) -> list[Term]:
        domain, names = domains(snapshot, self.scope)
        one = np.broadcast_to(1.0, len(names))
        return [
            AtMost(np.array([vm, other], dtype=np.int32), domain, one)
            for vm in select_vms(self.vms, snapshot).tolist()
            for other in select_vms(self.others, snapshot).tolist()
        ]

    def faults(self, snapshot: Snapshot) -> Iterator[Fault]:
        yield from super().faults(snapshot)
        yield from selector_faults(self.field("vms"), self.vms, snapshot.vms, "VM")
        yield from selector_faults(self.field("others"), self.others, snapshot.vms, "VM")
        yield from scope_faults(self.field("scope"), self.scope, snapshot)
        vms, others = select_vms(self.vms, snapshot), select_vms(self.others, snapshot)
        both = np.intersect1d(vms, others)
        if len(both):
            yield Fault(
                self.field("others"),
                f"{some(names_of(both.tolist(), snapshot))} in both groups",
                "two groups",
            )
        if len(vms) * len(others) > MAX_PAIRS:
            yield Fault(
                self.field("others"),
                f"{len(vms):,} x {len(others):,} pairs of VMs",
                f"at most {MAX_PAIRS:,}",
                "keep each group on its own hosts with run-on",
            )
