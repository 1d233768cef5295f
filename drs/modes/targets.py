"""Where VMs and disks are asked to go: the rules of a request with a target, and what VMs may cross for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from drs.errors import Fault
from drs.model import Placement, Snapshot
from drs.problem.policy import Policy
from drs.rules import MigrationScope, Rule
from drs.rules.base import HostFilter, Items, Judge, Violation
from drs.terms import Allowed, Term
from drs.terms.base import Bools
from drs.words import some

SHOWN = 4
"""So many hosts of a target are named."""


@dataclass(frozen=True)
class Target(HostFilter):
    """Each of some VMs on the hosts that are asked for.

    places : by VM, the hosts that it is to be on, one at least.
    """

    type: ClassVar[str] = "target"
    effort: ClassVar[int] = 0
    cure: ClassVar[str] = "ask for another place for {vms}"

    _: KW_ONLY
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def vms(self) -> tuple[str, ...]:
        """The VMs that it speaks of."""
        return tuple(self.places)

    def faults(self, snapshot: Snapshot) -> Iterator[Fault]:
        yield from ()  # whoever asks has found the names in the snapshot

    def why_move(self, host: str) -> str:
        return f"{self.label}: it is asked to leave {host}"

    def judge(self, snapshot: Snapshot) -> Judge:
        names, known = snapshot.vms.name, snapshot.hosts.position
        among = {vm: {known[host] for host in hosts} for vm, hosts in self.places.items()}

        def why_not(vm: int, host: int) -> str:
            hosts = self.places.get(str(names[vm]))
            if hosts is None or host in among[str(names[vm])]:
                return ""
            return f"it is to go to {some(hosts, SHOWN)} ({self.label})"

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        kinds: dict[tuple[str, ...], int] = {}
        class_idx = np.zeros(snapshot.n_vms, dtype=np.int32)
        for vm, hosts in self.places.items():
            class_idx[snapshot.vms.position[vm]] = kinds.setdefault(hosts, len(kinds) + 1)
        mask = np.ones((len(kinds) + 1, snapshot.n_hosts), dtype=np.bool_)
        for hosts, number in kinds.items():
            mask[number] = False
            mask[number, [snapshot.hosts.position[host] for host in hosts]] = True
        return Allowed(class_idx, mask)


@dataclass(frozen=True)
class DiskTarget(Rule):
    """Some disks on the datastores that are asked for.

    disks : their positions. stores : the datastores that they may be on.
    """

    type: ClassVar[str] = "disk-target"
    chapter: ClassVar[str] = "Disks and datastores"
    reason_code: ClassVar[str] = "datastoreMaint"

    _: KW_ONLY
    disks: tuple[int, ...] = ()
    stores: tuple[str, ...] = ()

    @property
    def items(self) -> Items:
        return "disks"

    def faults(self, snapshot: Snapshot) -> Iterator[Fault]:
        yield from ()

    def why_move(self, host: str) -> str:
        return f"{self.label}: its disks are asked to leave {host}"

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        names = snapshot.datastores.name
        for disk in self.disks:
            store = int(placement.datastore_idx[disk])
            if store >= 0 and str(names[store]) not in self.stores:
                who = str(snapshot.vms.name[snapshot.disks.vm_idx[disk]])
                what = f"disk {snapshot.disks.name[disk]} of {who} is on {names[store]}"
                yield Violation(self.label, (who,), (), 1.0, "disks",
                                f"{what}: it is to go to {some(self.stores, SHOWN)}")  # fmt: skip

    def lower(self, snapshot: Snapshot) -> list[Term]:
        mask = np.ones((2, len(snapshot.datastores)), dtype=np.bool_)
        mask[1] = np.isin(snapshot.datastores.name, list(self.stores))
        class_idx = np.zeros(len(snapshot.disks), dtype=np.int32)
        class_idx[list(self.disks)] = 1
        return [Allowed(class_idx, mask)]


@dataclass(frozen=True)
class MayCross(MigrationScope):
    """The built-in rule on how far VMs may move, for those that are asked to go further."""

    @property
    def replaces(self) -> str:
        return "migration-scope"


def crossing(
    snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, places: Mapping[str, Sequence[str]]
) -> tuple[list[Rule], Policy]:
    """What lets VMs reach the places that are asked for: rules beside the request, and the policy.

    VMs whose target is outside of the policy's migration scope may leave it; all others stay within. Where no target
    of a VM sees its datastores, disks move along. A rule on migration scopes that a user wrote stays as it is.
    """
    hosts, vms, disks = snapshot.hosts, snapshot.vms, snapshot.disks
    label: NDArray[np.integer] = np.zeros(len(hosts), dtype=np.int32)
    if policy.migration_scope == "cluster":
        label = hosts.cluster_idx
    elif policy.migration_scope == "vcenter":
        label = np.unique(hosts.vcenter, return_inverse=True)[1]
    first, order = snapshot.disks_of_vm
    leaving: list[str] = []
    blind = False
    for vm, names in places.items():
        at, to = vms.position[vm], [hosts.position[name] for name in names]
        home = int(vms.host_idx[at])
        if home < 0 or home in to:
            continue
        if (label[to] != label[home]).any():
            leaving.append(vm)
        stores = disks.datastore_idx[order[first[at] : first[at + 1]]]
        stores = stores[stores >= 0]
        blind = blind or (len(stores) > 0 and not snapshot.mounts[to][:, stores].all(axis=1).any())
    beside: list[Rule] = []
    if leaving and not any(rule.replaces == "migration-scope" for rule in rules):
        others = sorted(set(vms.name.tolist()) - set(leaving))
        beside.append(MayCross(vms=leaving, scope="any"))
        if others:
            beside.append(MigrationScope(vms=others, scope=policy.migration_scope))
    return beside, dataclasses.replace(policy, storage_moves=True) if blind else policy


def among(snapshot: Snapshot, hosts: Sequence[str]) -> Bools:
    """Which hosts these names are, bool[n_hosts]."""
    return np.isin(snapshot.hosts.name, list(hosts))
