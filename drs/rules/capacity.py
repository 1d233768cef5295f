"""No host holds more of a resource than it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

import numpy as np

from drs.errors import Fault
from drs.model import Placement, Snapshot
from drs.rules.base import Rule, Violation, When
from drs.rules.catalogue import rule
from drs.rules.fields import Amount, Factor, ResourceName, Share
from drs.rules.selecting import Hosts, select_hosts
from drs.terms import Capacity, Term
from drs.terms.base import Floats
from drs.terms.limits import usage

Counts = Literal["configured", "active", "consumed", "reserved"]
UNITS = {"cpu": "MHz", "memory": "MiB", "vcpus": "vCPUs"}


@dataclass(frozen=True)
class HostLimit(Rule):
    """Base of the rules by which the demands of a host's VMs add up to no more than a limit."""

    chapter: ClassVar[str] = "Limits on hosts and plans"
    default_when: ClassVar[When] = "during"
    can_hold_at_once: ClassVar[bool] = True
    resource: ResourceName
    reason_code: ClassVar[str] = "unreservedCapacity"

    def demand(self, snapshot: Snapshot) -> Floats:
        """What each VM takes, f8[n_vms]."""
        return snapshot.demand(self.resource)

    def limit(self, snapshot: Snapshot) -> Floats:
        """What each host offers, f8[n_hosts]."""
        raise NotImplementedError

    @property
    def unit(self) -> str:
        """The resource's unit."""
        return UNITS.get(self.resource, self.resource)

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        demand, limit = self.demand(snapshot), self.limit(snapshot)
        today = snapshot.vms.host_idx.tolist()
        there: dict[int, list[int]] = {}
        for vm, host in enumerate(placement.host_idx.tolist()):
            if host >= 0:
                there.setdefault(host, []).append(vm)
            if self.holds == "at_once" and today[vm] >= 0 and today[vm] != host:
                there.setdefault(today[vm], []).append(vm)
        for host in sorted(there):
            use = float(sum(demand[vm] for vm in there[host]))
            excess = use - float(limit[host])
            if excess > 1e-9 * max(1.0, use):
                name = str(snapshot.hosts.name[host])
                yield Violation(
                    self.label,
                    tuple(str(snapshot.vms.name[vm]) for vm in there[host] if demand[vm] > 0),
                    (name,),
                    excess,
                    self.unit,
                    f"{name} needs {use:,.0f} {self.unit} of {self.resource} and may use {limit[host]:,.0f}",
                )

    def lower(self, snapshot: Snapshot) -> list[Term]:
        when: When = "at_once" if self.holds == "at_once" else "after"
        return [Capacity(self.resource, self.demand(snapshot), self.limit(snapshot), when)]

    def scale(self, snapshot: Snapshot) -> float:
        if self.resource not in snapshot.resources:
            return 1.0
        capacity = snapshot.capacity(self.resource)
        return float(capacity.mean()) if capacity.any() else 1.0


def overcommitted(snapshot: Snapshot) -> Floats:
    """How far the hosts of each cluster are over-committed today, f8[n_clusters]; 1 where they are not.

    A host is over-committed when the memory of its VMs, as the snapshot counts it, is more than it has, while what
    they consume fits. Where nothing was measured nothing fits.
    """
    ratio = np.ones(len(snapshot.clusters))
    host, n, capacity = snapshot.vms.host_idx, snapshot.n_hosts, snapshot.capacity("memory")
    asked = usage(host, snapshot.demand("memory"), n)
    consumed = usage(host, np.where(snapshot.vms.on, snapshot.memory_consumed_mib, 0.0), n)
    over = (asked > capacity) & (consumed <= capacity) & (capacity > 0)
    np.maximum.at(ratio, snapshot.hosts.cluster_idx[over], asked[over] / capacity[over])
    return ratio


@rule("capacity")
@dataclass(frozen=True)
class HostCapacity(HostLimit):
    """The VMs of a host use no more of `resource` than it offers.

    counts : what counts of a VM: `configured` memory, `active`, `consumed`, or `reserved` (its reservation, which
        is what vSphere's admission control adds up); what the policy's `memory` says where not given. Of the CPU
        the demand counts, or what is `reserved`.
    overcommit_ratio : demand allowed per unit of capacity; for the CPU the default is its cluster's
        `cpu_overcommit_ratio`, for all else 1
    reserve : what stays free on every host, in the resource's unit
    reserve_ratio : what stays free as a share of the host's capacity
    hosts : those that the ratio and the reserves apply to; others have the plain limit
    tolerates_overcommit : a cluster may go on as it is where hosts have more configured memory than they hold while
        what their VMs consume fits: its limit is then the largest such ratio of today. The rule that is in force
        without being written down tolerates it
    """

    chapter: ClassVar[str] = "In force without being written down"

    _: KW_ONLY
    overcommit_ratio: Factor | None = None
    reserve: Amount = 0.0
    reserve_ratio: Share = 0.0
    hosts: Hosts = "*"
    counts: Counts | None = None
    tolerates_overcommit: bool = False

    @property
    def label(self) -> str:
        return self.name or f"{self.resource} capacity"

    def code(self) -> str:
        return {"cpu": "reservationCpu", "memory": "reservationMem"}.get(self.resource, self.reason_code)

    @property
    def replaces(self) -> str:
        return "" if self.counts == "reserved" else f"capacity:{self.resource}"

    def demand(self, snapshot: Snapshot) -> Floats:
        """What each VM takes, f8[n_vms]."""
        vms = snapshot.vms
        if self.counts == "reserved":
            raw = vms.cpu_reservation_mhz if self.resource == "cpu" else vms.memory_reservation_mib
        elif self.resource != "memory" or self.counts is None:
            return snapshot.demand(self.resource)
        elif self.counts == "configured":
            raw = vms.memory_mib
        else:
            raw = snapshot.memory_active_mib if self.counts == "active" else snapshot.memory_consumed_mib
        return np.where(vms.on, raw, 0.0)

    def limit(self, snapshot: Snapshot) -> Floats:
        """What each host offers, f8[n_hosts]."""
        clusters, cluster_idx = snapshot.clusters, snapshot.hosts.cluster_idx
        ratio = np.ones(snapshot.n_hosts)
        if self.resource == "cpu" and self.counts != "reserved" and len(clusters):
            ratio = np.where(cluster_idx >= 0, clusters.cpu_overcommit_ratio[cluster_idx], 1.0)
        capacity = snapshot.capacity(self.resource)
        limit = capacity * ratio
        if self.tolerates_overcommit and self.resource == "memory" and len(clusters):
            limit = limit * overcommitted(snapshot)[cluster_idx]
        chosen = select_hosts(self.hosts, snapshot)
        if self.overcommit_ratio is not None:
            limit[chosen] = capacity[chosen] * self.overcommit_ratio
        limit[chosen] -= self.reserve + self.reserve_ratio * capacity[chosen]
        return np.maximum(0.0, limit)

    def misfits(self, snapshot: Snapshot) -> Iterator[Fault]:
        if self.counts == "reserved" and self.resource not in UNITS:
            yield Fault(self.field("counts"), "reserved", "cpu or memory, which have reservations")
            return
        if self.policy != "hard" and self.counts != "reserved":
            return
        largest = float(self.limit(snapshot).max(initial=0.0))
        demand = self.demand(snapshot)
        for vm in np.flatnonzero(demand > largest * (1 + 1e-9))[:20] if snapshot.n_hosts else ():
            yield Fault(
                self.field("resource"),
                f"{snapshot.vms.name[vm]} needs {demand[vm]:,.0f} {self.unit} of {self.resource}",
                f"at most {largest:,.0f}, what this rule leaves on the largest host",
            )
