"""At most so many of a group of VMs in any one host, rack, cluster or site, or on any one datastore."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from itertools import combinations
from typing import Annotated, ClassVar, Literal

import numpy as np

from drs.errors import Fault
from drs.model import Placement, Snapshot
from drs.rules.base import Items, Rule, Violation, hosts_of, names_of
from drs.rules.catalogue import rule
from drs.rules.fields import Count
from drs.rules.scopes import InScope, ScopeName, by_domain, domains
from drs.rules.selecting import Vms, select_vms
from drs.terms import AtMost, Term
from drs.words import some


@rule("keep-apart")
@dataclass(frozen=True)
class KeepApart(Rule):
    """At most `at_most` of these VMs in any one `scope` (VM-VM anti-affinity).

    With scope `datastore` it speaks of the VMs' disks; VMs with several disks can only be kept apart one by
    one (`at_most` = 1), and each pair of disks of two VMs on one datastore counts.

    at_most : how many may share one; with scope `datastore` and VMs of several disks only 1
    scope : what they may not share; a host without the label belongs to none and does not count
    """

    reason_code: ClassVar[str] = "antiAffin"
    asks: ClassVar[str] = "{host} holds too many of the group"

    vms: Vms
    _: KW_ONLY
    scope: Annotated[ScopeName | Literal["datastore"], InScope(("datastore",))] = "host"
    at_most: Count = 1

    @property
    def items(self) -> Items:
        return "disks" if self.scope == "datastore" else "vms"

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        chosen = select_vms(self.vms, snapshot)
        if self.scope == "datastore":
            yield from self._check_disks(set(chosen.tolist()), snapshot, placement)
            return
        _, names = domains(snapshot, self.scope)
        for where, vms in by_domain(chosen, snapshot, placement, self.scope).items():
            excess = len(vms) - self.at_most
            if excess > 0:
                who = names_of(vms, snapshot)
                yield Violation(
                    self.label,
                    who,
                    hosts_of(vms, snapshot, placement),
                    float(excess),
                    "VMs",
                    f"{some(who)} run in one {self.scope}, {names[where]}; at most {self.at_most} may",
                )

    def _check_disks(self, chosen: set[int], snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        there: dict[int, list[int]] = {}
        owners = snapshot.disks.vm_idx.tolist()
        for vm, store in zip(owners, placement.datastore_idx.tolist(), strict=True):
            if vm in chosen and store >= 0:
                there.setdefault(store, []).append(vm)
        several = len([vm for vm in owners if vm in chosen]) > len({vm for vm in owners if vm in chosen})
        for store, vms in sorted(there.items()):
            if several:
                amount = sum(a != b for a, b in combinations(vms, 2))
            else:
                amount = max(0, len(vms) - self.at_most)
            if amount > 0:
                who = names_of(sorted(set(vms)), snapshot)
                yield Violation(
                    self.label,
                    who,
                    (),
                    float(amount),
                    "disks",
                    f"disks of {some(who)} on one datastore, {snapshot.datastores.name[store]}; "
                    f"at most {self.at_most} may",
                )

    def lower(self, snapshot: Snapshot) -> list[Term]:
        vms = select_vms(self.vms, snapshot)
        if self.scope == "datastore":
            return self._lower_disks(snapshot)
        if len(vms) <= self.at_most:
            return []
        domain, names = domains(snapshot, self.scope)
        return [AtMost(vms, domain, np.broadcast_to(float(self.at_most), len(names)))]

    def _lower_disks(self, snapshot: Snapshot) -> list[Term]:
        domain = np.arange(len(snapshot.datastores), dtype=np.int32)
        limit = np.broadcast_to(float(self.at_most), len(domain))
        disks, owners = self._disks(snapshot)
        if len(np.unique(owners)) == len(disks):
            return [AtMost(disks, domain, limit)]
        return [
            AtMost(np.array([a, b], dtype=np.int32), domain, limit)
            for (a, of_a), (b, of_b) in combinations(zip(disks, owners, strict=True), 2)
            if of_a != of_b
        ]

    def _disks(self, snapshot: Snapshot) -> tuple[np.ndarray, np.ndarray]:
        owners = snapshot.disks.vm_idx
        disks = np.flatnonzero(np.isin(owners, select_vms(self.vms, snapshot))).astype(np.int32)
        return disks, owners[disks]

    def misfits(self, snapshot: Snapshot) -> Iterator[Fault]:
        if self.scope != "datastore":
            return
        disks, owners = self._disks(snapshot)
        if self.at_most != 1 and len(np.unique(owners)) < len(disks):
            yield Fault(self.field("at_most"), f"{self.at_most} for VMs that have several disks", "1")
