"""What moving each VM would cost before it is known where to, and where disks go that must follow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from drs import precopy
from drs.goals import Prices
from drs.model import Snapshot
from drs.model.dirtying import dirtying
from drs.precopy.profiles import Profile
from drs.terms.base import Ints
from drs.units import MIBPS_PER_MBPS


def nominal_prices(snapshot: Snapshot, profile: str | Profile) -> Prices:
    """One live migration of each VM alone on its host's vMotion network, by the pre-copy model.

    A VM without a measured dirty rate or working set is priced with the model's defaults.
    """
    vms = snapshot.vms
    disk_gib = np.bincount(snapshot.disks.vm_idx, weights=snapshot.disks.used_gib, minlength=len(vms))
    if not len(vms):
        nothing = np.zeros(0)
        return Prices(nothing, nothing, nothing, nothing)
    bandwidth_mbps = np.where(vms.host_idx >= 0, snapshot.hosts.vmotion_mbps[vms.host_idx], 10_000.0)
    rate_mibps, working_set_mib = dirtying(vms)
    price = precopy.estimate(
        memory_mib=vms.memory_mib,
        bandwidth_mbps=np.maximum(bandwidth_mbps, 1.0),
        dirty_rate_mibps=rate_mibps,
        working_set_mib=working_set_mib,
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
