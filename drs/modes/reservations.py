"""Admission control of reservations: a VM starts only where what it reserves can be granted.

What a VM reserves is taken of its pool. What the pool has not left it takes of its parent if it is expandable,
and so on up to the cluster, which has what its connected hosts offer VMs; a VM without a pool takes it of the
cluster at once ("vSphere Resource Management", Resource Pool Admission Control). The reservations of running VMs
count; those of VMs that are to start are granted in the order of their restart priority, large VMs first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from drs.model import Snapshot
from drs.model.pools import reserved, settings
from drs.problem.policy import Policy
from drs.rules.base import HostFilter, Judge
from drs.terms import Allowed
from drs.terms.base import Floats, Ints

UNITS = {"cpu": "MHz", "memory": "MiB"}


@dataclass(frozen=True)
class Reservations(HostFilter):
    """VMs that are to start, only in clusters that can grant what they reserve.

    barred : by position of the VM, and of each cluster that cannot, why.
    """

    type: ClassVar[str] = "reservations"
    barred: Mapping[int, Mapping[int, str]] = dataclasses.field(default_factory=dict)

    def judge(self, snapshot: Snapshot) -> Judge:
        cluster = snapshot.hosts.cluster_idx
        return lambda vm, host: self.barred.get(vm, {}).get(int(cluster[host]), "")

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        class_idx = np.zeros(snapshot.n_vms, dtype=np.int32)
        rows = [np.ones(snapshot.n_hosts, dtype=np.bool_)]
        kinds: dict[frozenset[int], int] = {}
        for vm, clusters in self.barred.items():
            kind = kinds.setdefault(frozenset(clusters), len(rows))
            if kind == len(rows):
                rows.append(~np.isin(snapshot.hosts.cluster_idx, list(clusters)))
            class_idx[vm] = kind
        return Allowed(class_idx, np.array(rows)) if self.barred else None

    def why(self, vm: int, snapshot: Snapshot) -> str:
        """Why a VM cannot start in any cluster that has hosts; "" where it is barred from some at most."""
        barred = self.barred.get(vm, {})
        if set(snapshot.hosts.cluster_idx.tolist()) - set(barred):
            return ""
        return "; ".join(dict.fromkeys(reason for reason in barred.values() if reason))


def reservations(snapshot: Snapshot, policy: Policy, *, leave_pool: bool = False) -> list[Reservations]:
    """The rule for the VMs that have no host; none where they reserve nothing and are in no pool.

    Parameters
    ----------
    leave_pool : whether a VM may start in another cluster than its pool's, as after the loss of a site.
    """
    vms, pools = snapshot.vms, snapshot.pools
    rank = policy.restart.rank(snapshot)
    waiting = np.flatnonzero((vms.host_idx < 0) & vms.on)
    waiting = waiting[np.lexsort((waiting, -vms.memory_mib[waiting], rank[waiting]))]
    want = {"cpu": vms.cpu_reservation_mhz, "memory": vms.memory_reservation_mib}
    granted = vms.on & (vms.host_idx >= 0)
    in_cluster = np.where(vms.host_idx >= 0, snapshot.hosts.cluster_idx[np.maximum(vms.host_idx, 0)], -1)
    pool_idx = vms.pool_idx.copy()
    barred: dict[int, dict[int, str]] = {}
    for vm in waiting.tolist():
        pool = int(pool_idx[vm])
        home = int(pools.cluster_idx[pool]) if pool >= 0 else -1
        found: dict[int, str] = {}
        for cluster in range(len(snapshot.clusters)):
            if pool >= 0 and cluster != home and not leave_pool:
                found[cluster] = ""
                continue
            reasons = [
                _lacking(
                    snapshot, resource, cluster, pool if cluster == home else -1, float(want[resource][vm]),
                    np.where(granted, want[resource], 0.0), pool_idx, in_cluster,
                )
                for resource in UNITS
                if want[resource][vm] > 0
            ]  # fmt: skip
            if any(reasons):
                found[cluster] = next(filter(None, reasons))
        if found:
            barred[vm] = found
        open_ = set(range(len(snapshot.clusters))) - set(found)
        if home in open_ or len(open_) == 1:
            # Where it may start in several clusters none of them is charged: the solver has the choice.
            granted[vm] = True
            if home not in open_:
                pool_idx[vm], in_cluster[vm] = -1, open_.pop()
    return [Reservations(barred=barred)] if barred else []


def _lacking(
    snapshot: Snapshot, resource: str, cluster: int, pool: int, amount: float, asked: Floats, pool_idx: Ints,
    in_cluster: Ints,
) -> str:  # fmt: skip
    """What is missing on the way up from a pool (-1: from the cluster itself) to reserve so much more; "" if nothing.

    asked : what is reserved for running VMs, f8[n_vms]. pool_idx, in_cluster : where they are, i4[n_vms].
    """
    pools, unit = snapshot.pools, UNITS[resource]
    own, grows, limit = settings(pools, resource)
    below, takes = reserved(pools, resource, pool_idx, asked)
    wants = f"it reserves {amount:,.0f} {unit} of {resource}"
    more = ""
    while pool >= 0 and amount > 1e-9:
        room = (limit if grows[pool] else own)[pool] - below[pool]
        if amount > room * (1 + 1e-9) + 1e-6:
            what, most = ("limit", limit[pool]) if grows[pool] else ("reservation", own[pool])
            return (
                f"{wants}{more}, and of the {what} of {most:,.0f} {unit} of pool {pools.name[pool]} "
                f"{max(0.0, room):,.0f} are left"
            )
        amount = max(own[pool], below[pool] + amount) - takes[pool] if grows[pool] else 0.0
        more = f", {amount:,.0f} of them more than pool {pools.name[pool]} has left"
        pool = int(pools.parent_idx[pool])
    if amount <= 1e-9:
        return ""
    usable = (snapshot.hosts.state == "connected") & (snapshot.hosts.cluster_idx == cluster)
    capacity = float(snapshot.capacity(resource)[usable].sum())
    top = (pools.cluster_idx == cluster) & (pools.parent_idx < 0)
    room = capacity - float(takes[top].sum()) - float(asked[(pool_idx < 0) & (in_cluster == cluster)].sum())
    if amount <= room * (1 + 1e-9) + 1e-6:
        return ""
    return (
        f"{wants}{more}, and of the {capacity:,.0f} {unit} of the connected hosts of {snapshot.clusters.name[cluster]} "
        f"{max(0.0, room):,.0f} are not reserved yet"
    )
