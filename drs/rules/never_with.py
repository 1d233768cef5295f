"""Two groups of VMs that never share a host, rack, cluster or site."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs.errors import Fault
from drs.model import Placement, Snapshot
from drs.rules.base import Rule, Violation, hosts_of, names_of
from drs.rules.catalogue import rule
from drs.rules.scopes import Scope, by_domain, domains
from drs.rules.selecting import Vms, select_vms
from drs.terms import AtMost, Term
from drs.words import some

MAX_PAIRS = 100_000


@rule("never-with")
@dataclass(frozen=True)
class NeverWith(Rule):
    """No `scope` runs both one of `vms` and one of `others`; VMs of one group may share it.

    vms : one group
    others : the other group; no VM may be in both
    """

    reason_code: ClassVar[str] = "antiAffin"
    asks: ClassVar[str] = "{host} holds VMs of both groups"

    vms: Vms
    others: Vms
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

    def misfits(self, snapshot: Snapshot) -> Iterator[Fault]:
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
