"""What would leaving look like? Waves of a conversion to another platform, with swing hosts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from drs import precopy
from drs.capacity.answer import Answer, listed
from drs.capacity.how_many import _counted
from drs.errors import Fault, InputError
from drs.model import Snapshot
from drs.model.selector import select
from drs.problem.scope import clusters_of, hosts_of
from drs.rules import KeepApart, Rule
from drs.words import seconds

LIVE = frozenset({("esxi", "esxi"), ("kvm", "kvm"), ("xen", "xen")})
"""Pairs of platforms between which a running VM can move; between all others it is shut down and converted."""


def leave(
    snapshot: Snapshot,
    *,
    rules: Sequence[Rule] = (),
    cluster: str | tuple[str, ...] = (),
    to: str = "kvm",
    swing_hosts: int = 1,
    reinstall_s: float = 7200.0,
    boot_s: float = 120.0,
    bandwidth_mbps: float = 10_000.0,
    at_once: int = 4,
    headroom_ratio: float = 0.1,
) -> Answer:
    """Empty hosts, reinstall them, refill them: order, length, cutover downtime of each VM, hosts at each moment.

    Each wave empties as many source hosts as the target has room for, those with least memory first; an emptied host
    is reinstalled and joins the target with what it has. A cold conversion copies the used part of the disks while the
    VM is off, and starts it; a live one is priced by the pre-copy model.

    Parameters
    ----------
    to : the hypervisor of the target. swing_hosts : empty target hosts at the start, each like the largest.
    reinstall_s : from empty to in service. boot_s : start of a converted VM. bandwidth_mbps : of the copy, shared by
        `at_once` VMs at a time. headroom_ratio : of a target host that stays free.

    Raises
    ------
    InputError : where no swing host is given, or the VMs' disks are not known and the conversion is cold.
    """
    if swing_hosts < 1:
        raise InputError(
            Fault("swing_hosts", repr(swing_hosts), "1 or more: the first wave needs an empty host")
        )
    names = clusters_of(snapshot, hosts_of(snapshot, cluster))
    rows: list[dict[str, Any]] = []
    downtime = np.full(snapshot.n_vms, np.nan)
    notes: list[str] = []
    total_s, stuck, live = 0.0, [], False
    for name in names:
        run = _Conversion(snapshot, rules, name, to, swing_hosts, headroom_ratio)
        live = run.live
        if not live and not len(snapshot.disks):
            raise InputError(
                Fault("disks", "no table disks", "the disks of the VMs: a cold conversion copies them")
            )
        clock_s, number = 0.0, 0
        while run.sources:
            emptied, moved = run.wave()
            if not emptied:
                stuck += [str(snapshot.hosts.name[h]) for h in run.sources]
                break
            number += 1
            copy_s, down_s = _durations(snapshot, moved, live, bandwidth_mbps, at_once, boot_s)
            downtime[moved] = down_s
            rows.append(
                {
                    "cluster": name, "wave": number, "hosts": ", ".join(str(snapshot.hosts.name[h]) for h in emptied),
                    "n_vms": len(moved), "start_s": clock_s, "copy_s": copy_s, "reinstall_s": reinstall_s,
                    "end_s": clock_s + copy_s + reinstall_s, "max_downtime_s": float(np.max(down_s, initial=0.0)),
                    "hosts_source": len(run.sources), "hosts_target": len(run.room) - len(emptied),
                    "hosts_reinstalling": len(emptied),
                }
            )  # fmt: skip
            clock_s += copy_s + reinstall_s
        total_s = max(total_s, clock_s)
        notes += run.notes
    at_once_hosts = [
        (r["cluster"], r["hosts_source"] + r["hosts_target"] + r["hosts_reinstalling"]) for r in rows
    ]
    peak = {name: max((n for cluster_, n in at_once_hosts if cluster_ == name), default=0) for name in names}
    longest = int(np.nanargmax(downtime)) if np.isfinite(downtime).any() else -1
    sentence = f"{len(rows)} waves in {seconds(total_s)}, clusters side by side, with {swing_hosts} swing host(s) each"
    if longest >= 0:
        sentence += (
            f"; the longest cutover is {snapshot.vms.name[longest]} with {seconds(float(downtime[longest]))}"
        )
    if stuck:
        sentence += f"; NOT possible with these: {listed(stuck)} cannot be emptied"
    binding = f"room on the target: {listed(stuck)}" if stuck else (
        "reinstalling" if sum(r["reinstall_s"] for r in rows) > sum(r["copy_s"] for r in rows) else "copying disks"
    )  # fmt: skip
    vms = [
        {"vm": str(snapshot.vms.name[vm]), "downtime_s": float(downtime[vm])}
        for vm in np.flatnonzero(np.isfinite(downtime))
    ]
    kind = "live" if live else "cold"
    return Answer("leave", total_s, "s", sentence,
                  f"a schedule that keeps the room of every host, {kind} conversion; a shorter one may exist",
                  False, binding, tuple(rows), tuple(dict.fromkeys(notes)),
                  {"vms": vms, "hosts_peak": peak, "complete": not stuck, "conversion": kind})  # fmt: skip


def _durations(
    snapshot: Snapshot, vms: Sequence[int], live: bool, bandwidth_mbps: float, at_once: int, boot_s: float
) -> tuple[float, np.ndarray[Any, np.dtype[np.float64]]]:
    """(length of the copies of a wave, downtime of each VM), `at_once` side by side."""
    if not len(vms):
        return 0.0, np.empty(0)
    share = bandwidth_mbps / at_once
    table = snapshot.vms
    if live:
        told = precopy.estimate(memory_mib=table.memory_mib[vms], bandwidth_mbps=share,
                                dirty_rate_mibps=np.nan_to_num(table.dirty_rate_mibps[vms], nan=10.0))  # fmt: skip
        each_s, down_s = np.asarray(told.total_s), np.asarray(told.downtime_ms) / 1000
        down_s = np.where(table.on[vms], down_s, 0.0)
    else:
        used = np.bincount(snapshot.disks.vm_idx, weights=snapshot.disks.used_gib, minlength=snapshot.n_vms)[
            vms
        ]
        each_s = used * 8192 * 1.048576 / share
        down_s = np.where(table.on[vms], each_s + boot_s, 0.0)
    return float(max(each_s.sum() / at_once, each_s.max())), down_s


class _Conversion:
    """Source and target of one cluster while it is converted."""

    def __init__(
        self, snapshot: Snapshot, rules: Sequence[Rule], cluster: str, to: str, swing: int, headroom: float
    ) -> None:
        self.snapshot, self.keep = snapshot, 1.0 - headroom
        member = np.flatnonzero(snapshot.hosts.cluster_idx == snapshot.clusters.position[cluster])
        self.demand = np.array([snapshot.demand(r) for r in snapshot.resources]).T
        self.capacity = np.array([snapshot.capacity(r) for r in snapshot.resources]).T * self.keep
        largest = member[np.argmax(snapshot.capacity("memory")[member])]
        self.room = [self.capacity[largest].copy() for _ in range(swing)]
        self.held: list[set[int]] = [set() for _ in range(swing)]
        self.of = {int(h): np.flatnonzero(snapshot.vms.host_idx == h).tolist() for h in member}
        self.sources = sorted(self.of, key=lambda h: float(self.demand[self.of[h], 1].sum()))
        platform = str(snapshot.hosts.hypervisor[member[0]])
        self.live = (platform, to) in LIVE
        counted, left = _counted(rules)
        self.apart = [(set(select(rule.vms, snapshot.vms).tolist()), int(rule.at_most))
                      for rule in counted if isinstance(rule, KeepApart) and rule.policy != "soft"]  # fmt: skip
        self.notes = [f"rule {rule.label!r} is not counted: only VMs that keep apart on hosts are" for rule in
                      (*left, *(each for each in counted if not isinstance(each, KeepApart)))]  # fmt: skip

    def wave(self) -> tuple[list[int], list[int]]:
        """Empty all source hosts for which there is room now: (hosts, VMs)."""
        emptied, moved = [], []
        for host in list(self.sources):
            room, held = [each.copy() for each in self.room], [set(each) for each in self.held]
            vms = sorted(self.of[host], key=lambda vm: -float(self.demand[vm, 1]))
            if all(self._put(vm, room, held) for vm in vms):
                self.room, self.held = room, held
                self.sources.remove(host)
                emptied.append(host)
                moved += vms
        for host in emptied:
            self.room.append(self.capacity[host].copy())
            self.held.append(set())
        return emptied, moved

    def _put(self, vm: int, room: list[Any], held: list[set[int]]) -> bool:
        best, tightest = -1, np.inf
        for k, spare in enumerate(room):
            if (self.demand[vm] > spare + 1e-9).any():
                continue
            if any(vm in group and len(held[k] & group) >= most for group, most in self.apart):
                continue
            if spare[1] < tightest:
                best, tightest = k, float(spare[1])
        if best < 0:
            return False
        room[best] = room[best] - self.demand[vm]
        held[best].add(vm)
        return True
