"""What moving each VM costs, wherever it goes; where a migration may not go; and where disks go that must follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from drs import precopy
from drs.goals import Prices
from drs.model import Snapshot
from drs.model.network import Network
from drs.planning.guests import Guests
from drs.planning.pricing import NEVER_ENDS, Leg, Pricer
from drs.precopy.profiles import Profile
from drs.problem.policy import Policy
from drs.rules.base import HostFilter, Judge
from drs.terms import Allowed
from drs.terms.base import Bools, Floats, Ints
from drs.units import MIBPS_PER_MBPS
from drs.words import milliseconds, seconds

MOST_LEGS = 300_000
"""Beyond so many pairs of a VM and a kind of host each VM has the one price of a migration on its own network."""


@dataclass(frozen=True, eq=False)
class Migrations:
    """One migration of each VM to each kind of host, as planning prices it alone on its path.

    prices : what the goals count.
    kind : i4[n_hosts], hosts of one kind cost the same. total_s, downtime_ms : f8[n_vms, n_kinds], NaN where a VM
        cannot go by the reach of migrations or the path. endless : bool[n_vms, n_kinds], where it would never end.
    """

    prices: Prices
    kind: Ints
    total_s: Floats
    downtime_ms: Floats
    endless: Bools


def migrations(snapshot: Snapshot, policy: Policy) -> Migrations:
    """What moving each VM costs, and where it cannot go."""
    alone = nominal_prices(snapshot, policy.cost_profile)
    nominal = finite_prices(alone, snapshot)
    kind, reach = _kinds(snapshot, policy)
    n_kinds = int(kind.max(initial=-1)) + 1
    if not snapshot.n_vms or n_kinds <= 1 or int(reach.sum()) > MOST_LEGS:
        alike = np.zeros(snapshot.n_hosts, dtype=np.int32)
        endless = ~np.isfinite(alone.move_s) & snapshot.vms.on & (snapshot.vms.host_idx >= 0)
        return Migrations(nominal, alike, alone.move_s[:, None], alone.downtime_ms[:, None], endless[:, None])
    pairs, legs = _legs(snapshot, kind, reach, policy.storage_moves)
    priced = Pricer(snapshot, policy.cost_profile).price(legs)
    shape = (snapshot.n_vms, n_kinds)
    total_s, downtime_ms, disk_gib = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)
    endless = np.zeros(shape, dtype=np.bool_)
    for i, (pair, leg) in enumerate(zip(pairs, legs, strict=True)):
        if priced.refused[i]:
            endless[pair] = priced.refused[i] == NEVER_ENDS
            continue
        total_s[pair], downtime_ms[pair] = priced.total_s[i], priced.downtime_ms[i]
        disk_gib[pair] = snapshot.disks.used_gib[list(leg.disks)].sum()
    known = np.isfinite(total_s)
    some = known.any(axis=1)
    least_s = np.where(known, total_s, np.inf).min(axis=1)
    cheapest = np.where(known, total_s, np.inf).argmin(axis=1)
    extra_s = np.where(known, total_s - np.where(some, least_s, 0.0)[:, None], 0.0)
    prices = Prices(
        np.where(some, least_s, nominal.move_s),
        nominal.memory_gib,
        nominal.disk_gib,
        np.where(some, downtime_ms[np.arange(snapshot.n_vms), cheapest], nominal.downtime_ms),
        kind,
        np.where(extra_s > 1e-9, extra_s, 0.0),
        disk_gib,
    )
    return Migrations(prices, kind, total_s, downtime_ms, endless)


def _kinds(snapshot: Snapshot, policy: Policy) -> tuple[Ints, Bools]:
    """The kind of each host, i4[n_hosts], and the kinds that each VM can reach, bool[n_vms, n_kinds]."""
    hosts, vms = snapshot.hosts, snapshot.vms
    network = Network.of(snapshot)
    seen = [row.tobytes() if policy.storage_moves else b"" for row in np.ascontiguousarray(snapshot.mounts)]
    keys = list(zip(network.host_class.tolist(), hosts.vmotion_mbps.tolist(), hosts.sender_mbps.tolist(),
                    hosts.site.tolist(), hosts.vcenter.tolist(), seen, strict=True))  # fmt: skip
    known = list(dict.fromkeys(keys))
    at = {key: k for k, key in enumerate(known)}
    kind = np.array([at[key] for key in keys], dtype=np.int32)
    area = np.zeros(len(hosts), dtype=np.int64)
    if policy.migration_scope == "cluster":
        area = hosts.cluster_idx.astype(np.int64)
    elif policy.migration_scope == "vcenter":
        area = np.unique(hosts.vcenter, return_inverse=True)[1].reshape(-1)
    areas, of_area = np.unique(area, return_inverse=True)
    kinds_of = np.zeros((len(areas), len(known)), dtype=np.bool_)
    kinds_of[of_area.reshape(-1), kind] = True
    placed = vms.host_idx >= 0
    reach = np.zeros((len(vms), len(known)), dtype=np.bool_)
    reach[placed] = kinds_of[of_area.reshape(-1)[vms.host_idx[placed]]]
    return kind, reach


def _legs(
    snapshot: Snapshot, kind: Ints, reach: Bools, storage_moves: bool
) -> tuple[list[tuple[int, int]], list[Leg]]:
    """One migration of each VM to a host of each kind that it reaches and is not on."""
    members = [np.flatnonzero(kind == k).tolist() for k in range(reach.shape[1])]
    home = snapshot.vms.host_idx.tolist()
    first, order = snapshot.disks_of_vm
    stores = snapshot.datastores
    roomiest = np.where(snapshot.mounts & stores.usable, stores.free_gib, -np.inf)
    best = roomiest.argmax(axis=1) if len(stores) else np.zeros(snapshot.n_hosts, dtype=np.int64)
    pairs, legs = [], []
    for vm, k in zip(*(axis.tolist() for axis in np.nonzero(reach)), strict=True):
        host = next((h for h in members[k] if h != home[vm]), -1)
        if host < 0:
            continue
        blind: list[int] = []
        if storage_moves and len(stores):
            mine = order[first[vm] : first[vm + 1]].tolist()
            on = snapshot.disks.datastore_idx
            blind = [d for d in mine if on[d] >= 0 and not snapshot.mounts[host, on[d]]]
        pairs.append((vm, k))
        legs.append(Leg(vm, home[vm], host, tuple(blind), (int(best[host]),) * len(blind)))
    return pairs, legs


@dataclass(frozen=True, eq=False)
class Unaffordable(HostFilter):
    """VMs do not migrate to hosts where that would exceed a limit, or where the path cannot carry it.

    Made by the problem, never written down. forbids : bool[n_vms, n_kinds]. kind : i4[n_hosts]. why : by VM and kind.
    """

    type: ClassVar[str] = "unaffordable"
    cure: ClassVar[str] = "raise the limit {rule} for {vms}"
    effort: ClassVar[int] = 2
    binds_cold_moves: ClassVar[bool] = False  # the prices are those of live migrations

    forbids: Bools
    kind: Ints
    why: dict[tuple[int, int], str]

    def judge(self, snapshot: Snapshot) -> Judge:
        home, kind = snapshot.vms.host_idx.tolist(), self.kind.tolist()

        def why_not(vm: int, host: int) -> str:
            here = home[vm]
            return self.why.get((vm, kind[host]), "") if here >= 0 and here != host else ""

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        rows, class_idx = np.unique(self.forbids, axis=0, return_inverse=True)
        return Allowed(class_idx.reshape(-1).astype(np.int32), ~rows[:, self.kind],
                       np.asarray(snapshot.vms.host_idx, dtype=np.int32))  # fmt: skip


def limits_of(snapshot: Snapshot, policy: Policy, known: Migrations) -> list[Unaffordable]:
    """The limits of the policy, the downtime budgets of the VMs, and migrations that would never end."""
    limits, vms = policy.limits, snapshot.vms
    longest_s = np.inf if limits.max_migration_s is None else limits.max_migration_s
    budget_ms = np.where(np.isnan(vms.downtime_budget_ms), np.inf, vms.downtime_budget_ms)
    if limits.max_downtime_ms is not None:
        budget_ms = np.minimum(budget_ms, limits.max_downtime_ms)
    live = vms.on[:, None]
    with np.errstate(invalid="ignore"):
        too_long = live & ~known.endless & (known.total_s > longest_s)
        too_hard = live & ~known.endless & (known.downtime_ms > budget_ms[:, None])

    def long(vm: int, k: int) -> str:
        took = seconds(float(known.total_s[vm, k]))
        return f"its migration takes {took}, longer than {seconds(float(longest_s))}"

    def hard(vm: int, k: int) -> str:
        stopped = milliseconds(float(known.downtime_ms[vm, k]))
        return f"its migration stops it for {stopped}, longer than {milliseconds(float(budget_ms[vm]))}"

    def never(vm: int, k: int) -> str:
        return NEVER_ENDS

    found = []
    for name, forbids, words in (
        ("migration never ends", known.endless, never),
        ("max_migration_s", too_long, long),
        ("downtime budget", too_hard, hard),
    ):
        if forbids.any():
            at = zip(*(axis.tolist() for axis in np.nonzero(forbids)), strict=True)
            why = {(vm, k): words(vm, k) for vm, k in at}
            found.append(Unaffordable(forbids, known.kind, why, name=name))
    return found


def nominal_prices(snapshot: Snapshot, profile: str | Profile) -> Prices:
    """One live migration of each VM alone on its host's vMotion network, by the pre-copy model.

    A VM without a measured dirty rate or working set is priced with the model's defaults.
    """
    vms = snapshot.vms
    disk_gib = np.bincount(snapshot.disks.vm_idx, weights=snapshot.disks.used_gib, minlength=len(vms))
    if not len(vms):
        nothing = np.zeros(0)
        return Prices(nothing, nothing, nothing, nothing)
    sends_mbps = np.minimum(snapshot.hosts.vmotion_mbps, snapshot.hosts.sender_mbps)
    bandwidth_mbps = np.where(vms.host_idx >= 0, sends_mbps[vms.host_idx], 10_000.0)
    price = precopy.estimate(
        **Guests(snapshot).ask(np.arange(len(vms), dtype=np.int32)),
        bandwidth_mbps=np.maximum(bandwidth_mbps, 1.0),
        profile=profile,
    )
    return Prices(
        np.asarray(price.total_s),
        vms.memory_mib / 1024,
        disk_gib.astype(np.float64),
        np.asarray(price.downtime_ms),
    )


def finite_prices(nominal: Prices, snapshot: Snapshot) -> Prices:
    """Prices with an end: where the model gives none, the memory is sent once and the VM stands still as long.

    Such a VM stays (`Problem.rules_in_force`), or is off, or is placed for the first time; its price only
    has to keep sums finite.
    """
    host = snapshot.vms.host_idx
    mbps = np.where(host >= 0, snapshot.hosts.vmotion_mbps[host], 10_000.0) if len(host) else np.zeros(0)
    once_s = snapshot.vms.memory_mib / (np.maximum(mbps, 1.0) * MIBPS_PER_MBPS)
    ends = np.isfinite(nominal.move_s) & np.isfinite(nominal.downtime_ms)
    return replace(
        nominal,
        move_s=np.where(ends, nominal.move_s, once_s),
        downtime_ms=np.where(ends, nominal.downtime_ms, 1e3 * once_s),
    )


def disks_follow(snapshot: Snapshot, host_idx: Ints) -> Ints:
    """The datastore of every disk, i4[n_disks], once the VMs are on these hosts.

    A disk stays where its VM's new host sees it. Otherwise all such disks of the VM go to the visible
    datastore with the most free room left, or each to the roomiest when none takes them together; a disk
    that fits nowhere keeps its datastore, which the visibility rule then reports.
    """
    disks = snapshot.disks
    target = np.array(disks.datastore_idx, dtype=np.int32)
    host_of_disk = np.asarray(host_idx)[disks.vm_idx]
    moved = (host_of_disk >= 0) & (host_of_disk != snapshot.vms.host_idx[disks.vm_idx])
    blind = moved & ~snapshot.mounts[np.maximum(host_of_disk, 0), target]
    free_gib = snapshot.datastores.free_gib.copy()
    for vm in np.unique(disks.vm_idx[blind]):
        mine = np.flatnonzero(blind & (disks.vm_idx == vm))
        seen = np.flatnonzero(snapshot.mounts[host_idx[vm]] & snapshot.datastores.usable)
        if not len(seen):
            continue
        together = disks.used_gib[mine].sum() <= free_gib[seen].max()
        groups = [mine] if together else [np.array([disk]) for disk in mine]
        for group in groups:
            best = seen[np.argmax(free_gib[seen])]
            need_gib = disks.used_gib[group].sum()
            if need_gib <= free_gib[best]:
                target[group] = best
                free_gib[best] -= need_gib
    return target
