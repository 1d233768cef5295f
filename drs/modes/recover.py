"""Hosts, or a whole site, are lost: restart their VMs elsewhere, the most important first.

What is lost: the hosts named and those that are `disconnected`. Their VMs have no host any more. They are
placed class by class of restart priority (`[restart]` of the policy): that more VMs of a higher class run
always comes before those of a lower one. VMs that still run may move to make room.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from drs.errors import Fault
from drs.model import Snapshot
from drs.model.changes import in_state
from drs.modes.base import Mode, hosts_meant, scope_of, site_faults, unknown
from drs.modes.reservations import reservations
from drs.modes.restart import Restart, Waiting, restarts, waiting
from drs.options import Options
from drs.problem import Problem, Request
from drs.problem.policy import Policy
from drs.result import Result
from drs.rules import Rule
from drs.rules.local_devices import irreplaceable
from drs.rules.selecting import selector_faults
from drs.words import some


@dataclass(frozen=True)
class Recovery:
    """What becomes of the VMs of lost hosts.

    restarts : in the order in which to start them. waiting : VMs that no host takes, and why. replicas :
    datastores that hold copies and take the place of their originals, which no host sees any more.
    """

    lost: tuple[str, ...]
    n_lost_vms: int
    restarts: tuple[Restart, ...]
    waiting: tuple[Waiting, ...]
    disabled: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """In words."""
        lines = [f"{some(self.lost)} lost with {self.n_lost_vms} VMs: {len(self.restarts)} restart elsewhere"]
        if self.replicas:
            lines.append(f"fail over first, for no host sees what they are copies of: {some(self.replicas)}")
        by_class: dict[str, list[Restart]] = {}
        for start in self.restarts:
            by_class.setdefault(start.priority, []).append(start)
        for name, starts in by_class.items():
            lines.append(f"{name}: " + some([f"{start.vm} on {start.host}" for start in starts], 12))
        alike: dict[tuple[str, str], list[str]] = {}
        for each in self.waiting:
            alike.setdefault((each.priority, each.reason), []).append(each.vm)
        for (priority, reason), vms in list(alike.items())[:30]:
            count = f"{len(vms)} VMs, " if len(vms) > 1 else ""
            lines.append(f"not restarted: {count}{some(vms, 8)} ({priority}): {reason}")
        if len(alike) > 30:
            rest = sum(len(vms) for vms in list(alike.values())[30:])
            lines.append(f"and {rest} more VMs are not restarted")
        if self.disabled:
            lines.append(f"not to be restarted by policy: {some(self.disabled)}")
        return lines


def check(snapshot: Snapshot, policy: Policy, options: Options) -> Iterator[Fault]:
    """Restart priorities or hosts that mean nothing, no host lost, every host lost."""
    for which in (*policy.restart.NAMES, "disabled"):
        selector = getattr(policy.restart, which)
        if selector:
            yield from selector_faults(f"policy [restart], field {which}", selector, snapshot.vms, "VM")
    wrong = [
        *unknown("evacuate", options.evacuate, snapshot.hosts.position, "host"),
        *unknown("lost", options.lost, snapshot.hosts.position, "host"),
        *site_faults(snapshot, options.site),
    ]
    yield from wrong
    if not wrong:
        state = _lost(snapshot, options).hosts.state
        if not (state == "disconnected").any():
            yield Fault("lost", "no host is lost", "a host that is disconnected, or the name of one")
        elif not (state == "connected").any():
            yield Fault("lost", "every host is lost", "at least one connected host")


def _lost(snapshot: Snapshot, options: Options) -> Snapshot:
    """The snapshot with the hosts that are lost disconnected."""
    hosts = hosts_meant(snapshot, (*options.evacuate, *options.lost), options.site)
    return in_state(snapshot, hosts, "disconnected")


def pose(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, options: Options) -> Problem:
    """The lost hosts disconnected, their running VMs nowhere."""
    lost = _lost(snapshot, options)
    down = lost.hosts.state == "disconnected"
    if options.site:
        policy = dataclasses.replace(policy, migration_scope="any")
    home = lost.vms.host_idx
    on_lost = (home >= 0) & down[np.maximum(home, 0)] & lost.vms.on
    disabled = policy.restart.disabled_vms(lost)
    # A VM that is not to be restarted, or whose devices are lost with its host, stays registered where it
    # was, and uses nothing.
    power = lost.vms.power.astype("<U3")
    gone = disabled | irreplaceable(lost)
    power[on_lost & gone] = "off"
    host_idx = np.where(on_lost & ~gone, -1, home).astype(np.int32)
    vms = dataclasses.replace(lost.vms, host_idx=host_idx, power=power)
    after = failed_over(dataclasses.replace(lost, vms=vms))
    granted = reservations(after, policy, leave_pool=policy.migration_scope != "cluster")
    request = Request(besides=granted, also=options.also)
    return Problem(after, rules, policy, request, scope_of(snapshot, policy, options, down))


def failed_over(snapshot: Snapshot) -> Snapshot:
    """The snapshot with every disk on the replica of its datastore where no connected host sees the original.

    A datastore fails over as a whole, to the replica that most connected hosts see. That the copy is as new
    as it has to be, and that it may be written to, is the storage's matter.
    """
    stores, disks = snapshot.datastores, snapshot.disks
    up = snapshot.hosts.state == "connected"
    seen = snapshot.mounts[up].sum(axis=0)
    gone = (seen == 0) | (stores.state == "disconnected")
    instead = np.arange(len(stores), dtype=np.int32)
    for store in np.flatnonzero(gone).tolist():
        copies = np.flatnonzero((stores.replica_of_idx == store) & (stores.state == "connected") & (seen > 0))
        if len(copies):
            instead[store] = copies[np.argmax(seen[copies])]
    if not len(disks) or (instead == np.arange(len(stores))).all():
        return snapshot
    moved = np.where(disks.datastore_idx >= 0, instead[np.maximum(disks.datastore_idx, 0)], -1)
    return dataclasses.replace(
        snapshot, disks=dataclasses.replace(disks, datastore_idx=moved.astype(np.int32))
    )


def report(result: Result, options: Options) -> Recovery:
    """What restarts where and in which order, and what does not and why."""
    snapshot = result.snapshot
    lost = tuple(str(name) for name in snapshot.hosts.name[snapshot.hosts.state == "disconnected"])
    unplaced = snapshot.vms.host_idx < 0
    down = snapshot.hosts.state == "disconnected"
    home = snapshot.vms.host_idx
    disabled = result.problem.policy.restart.disabled_vms(snapshot)
    there = (home >= 0) & down[np.maximum(home, 0)]
    off = disabled & there
    rank, names = result.problem.policy.restart.rank(snapshot), result.problem.policy.restart.NAMES
    tied = tuple(
        Waiting(
            str(snapshot.vms.name[vm]), names[rank[vm]], "the devices that it needs are lost with its host"
        )
        for vm in np.flatnonzero(there & ~off & irreplaceable(snapshot) & (snapshot.vms.power == "off"))
    )
    return Recovery(
        lost,
        int(unplaced.sum() + off.sum() + len(tied)),
        restarts(result),
        (*tied, *waiting(result)),
        tuple(str(name) for name in snapshot.vms.name[off]),
        tuple(str(snapshot.datastores.name[store]) for store in _replicas_in_use(snapshot)),
    )


def _replicas_in_use(snapshot: Snapshot) -> list[int]:
    used = np.unique(snapshot.disks.datastore_idx)
    return [int(store) for store in used if store >= 0 and snapshot.datastores.replica_of_idx[store] >= 0]


MODE = Mode(pose, check, report=report)
