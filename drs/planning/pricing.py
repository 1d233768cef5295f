"""Migrations as numbers: the kind of each, its path, and what the pre-copy model says that it costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drs import precopy
from drs.model import Placement, Snapshot
from drs.model.network import Network
from drs.planning.guests import Guests
from drs.planning.limits import Concurrency
from drs.planning.plan import KINDS, Kind, Move

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]

LONG_DISTANCE_RTT_MS = 10.0
"""A round trip above this makes a vMotion long-distance (10 ms was Metro vMotion's limit in vSphere 5)."""

STORAGE_MBPS = 8000.0
"""What the storage network of one host carries for disks copied in place. PLACEHOLDER, no source."""


NEVER_ENDS = "its migration would never end: memory is dirtied faster than the path carries it"


@dataclass(frozen=True, slots=True)
class Leg:
    """One migration of one VM, by positions; `to_datastores` says where each of `disks` goes.

    `from_datastores` says where the disks are if a detour has brought them elsewhere; empty: where they are today.
    """

    vm: int
    src: int
    dst: int
    disks: tuple[int, ...] = ()
    to_datastores: tuple[int, ...] = ()
    parking: bool = False
    kind: Kind | None = None
    """Asked for by hand; None for what the hosts and disks make it."""
    from_datastores: tuple[int, ...] = ()

    def is_on(self, snapshot: Snapshot) -> tuple[int, ...]:
        """The datastore on which each of `disks` is before this migration."""
        if self.from_datastores or not self.disks:
            return self.from_datastores
        return tuple(snapshot.disks.datastore_idx[list(self.disks)].tolist())


@dataclass(frozen=True, eq=False)
class Priced:
    """What each leg costs alone on its path; f8[n_legs] unless said otherwise. NaN where refused."""

    kind: tuple[Kind, ...]
    moves_disks: Bools
    path_mbps: Floats
    """Effective payload rate of the path."""
    total_s: Floats
    total_low_ratio: Floats
    """Lower end of the interval of `total_s` over it."""
    total_high_ratio: Floats
    precopy_s: Floats
    downtime_ms: Floats
    downtime_low_ratio: Floats
    """Lower end of the downtime's interval over the downtime."""
    downtime_high_ratio: Floats
    transferred_mib: Floats
    rounds: Ints
    converged: Bools
    refused: tuple[str, ...]
    """Why the VM cannot go there, "" where it can."""


def legs_between(snapshot: Snapshot, target: Placement) -> list[Leg]:
    """A leg for every placed VM whose host or disks differ from today's, by VM."""
    host, disks = snapshot.vms.host_idx, snapshot.disks
    changed = np.flatnonzero(disks.datastore_idx != target.datastore_idx)
    moving: dict[int, list[int]] = {}
    for disk in changed.tolist():
        moving.setdefault(int(disks.vm_idx[disk]), []).append(disk)
    which = (host != target.host_idx) & (host >= 0) & (target.host_idx >= 0)
    vms = sorted({*np.flatnonzero(which).tolist(), *(vm for vm in moving if host[vm] >= 0)})
    return [
        Leg(
            vm,
            int(host[vm]),
            int(target.host_idx[vm]) if target.host_idx[vm] >= 0 else int(host[vm]),
            tuple(moving.get(vm, ())),
            tuple(int(target.datastore_idx[disk]) for disk in moving.get(vm, ())),
        )
        for vm in vms
    ]


class Pricer:
    """Prices legs of one snapshot."""

    def __init__(self, snapshot: Snapshot, profile: Any = "vmware", network: Network | None = None) -> None:
        self.snapshot = snapshot
        self.profile = precopy.profile(profile)
        self.network = network or Network.of(snapshot)
        self.guests = Guests(snapshot)

    def kinds(self, legs: Sequence[Leg], rtt_ms: Floats) -> tuple[Kind, ...]:
        """The kind of each leg."""
        hosts, on = self.snapshot.hosts, self.snapshot.vms.on
        kinds: list[Kind] = []
        for leg, rtt in zip(legs, rtt_ms.tolist(), strict=True):
            site, there = hosts.site[leg.src], hosts.site[leg.dst]
            if leg.kind is not None:
                kinds.append(leg.kind)
            elif not on[leg.vm]:
                kinds.append("cold")
            elif leg.src == leg.dst:
                kinds.append("storage")
            elif hosts.vcenter[leg.src] != hosts.vcenter[leg.dst]:
                kinds.append("cross_vcenter")
            elif rtt > LONG_DISTANCE_RTT_MS or (site and there and site != there):
                kinds.append("long_distance")
            else:
                kinds.append("vmotion")
        return tuple(kinds)

    def asks(
        self, legs: Sequence[Leg]
    ) -> tuple[tuple[Kind, ...], list[tuple[Ints, dict[str, Any]]], list[str]]:
        """Kinds; groups of legs with arguments of `precopy.estimate`; why a leg has no path, "" if it has."""
        vms, disks = self.snapshot.vms, self.snapshot.disks
        vm = np.array([leg.vm for leg in legs], dtype=np.int32)
        src = np.array([leg.src for leg in legs], dtype=np.int32)
        dst = np.array([leg.dst for leg in legs], dtype=np.int32)
        bandwidth, rtt, loss = (np.array(a) for a in self.network.paths(src, dst))
        mtu, control = self.network.packets(src, dst)
        kinds = self.kinds(legs, rtt)
        same = src == dst
        gib = np.array([float(disks.size_gib[list(leg.disks)].sum()) for leg in legs], dtype=float)
        used = np.array([float(disks.used_gib[list(leg.disks)].sum()) for leg in legs], dtype=float)
        write = np.array([float(np.nan_to_num(disks.write_mibps[list(leg.disks)]).sum()) for leg in legs])
        offline = np.array([kind == "cold" for kind in kinds], dtype=bool) & (gib <= 0)
        reasons = [""] * len(legs)
        for i in np.flatnonzero(~(bandwidth > 0) & ~same & ~offline).tolist():
            reasons[i] = self.network.path(int(src[i]), int(dst[i])).reason or "no route"
        for i, leg in enumerate(legs):
            if kinds[i] == "storage" and gib[i] <= 0:
                reasons[i] = reasons[i] or "it has no disk to move"
            if leg.kind is not None and leg.kind != "cold" and not vms.on[leg.vm]:
                reasons[i] = f"it is powered off: only a cold migration moves it, not {leg.kind}"
            if leg.kind == "storage" and leg.src != leg.dst:
                reasons[i] = "a storage migration stays on its host"
            if leg.kind not in (None, "storage", "cold") and leg.src == leg.dst:
                reasons[i] = f"a {leg.kind} migration needs another host"
        clear = same | offline
        bandwidth[clear] = STORAGE_MBPS
        rtt[clear] = 0.0
        loss[clear] = 0.0
        bandwidth = np.where(bandwidth > 0, np.minimum(bandwidth, 1e6), STORAGE_MBPS)
        names = [_precopy_kind(kind, bool(g > 0)) for kind, g in zip(kinds, gib, strict=True)]
        groups = []
        for name in dict.fromkeys(names):
            at = np.array([i for i, n in enumerate(names) if n == name and not reasons[i]], dtype=np.int32)
            if not len(at):
                continue
            who = vm[at]
            ask: dict[str, Any] = {
                **self.guests.ask(who),
                "bandwidth_mbps": bandwidth[at],
                "rtt_ms": np.nan_to_num(rtt[at]),
                "loss_ratio": np.nan_to_num(loss[at]),
                "mtu_bytes": np.where(np.isnan(mtu[at]), self.profile.mtu_bytes, mtu[at]),
                "congestion_control": control[at],
                "disk_gib": gib[at],
                "disk_used_gib": np.minimum(used[at], gib[at]),
                "disk_write_mibps": write[at],
                "profile": self.profile,
                "kind": name,
            }
            groups.append((at, ask))
        return kinds, groups, reasons

    def price(self, legs: Sequence[Leg], share: ArrayLike = 1.0) -> Priced:
        """What each leg costs alone with this share of its path."""
        n = len(legs)
        kinds, groups, reasons = self.asks(legs)
        share = np.broadcast_to(np.asarray(share, dtype=float), (n,))
        out = {
            name: np.full(n, np.nan)
            for name in (
                "path_mbps",
                "total_s",
                "precopy_s",
                "downtime_ms",
                "low",
                "high",
                "short",
                "long",
                "transferred_mib",
            )
        }
        rounds = np.zeros(n, dtype=np.int32)
        converged = np.zeros(n, dtype=np.bool_)
        for at, ask in groups:
            price = precopy.estimate(**ask)
            ok = np.atleast_1d(price.possible)
            advice = np.atleast_1d(price.advice)
            for i, possible, text in zip(at.tolist(), ok.tolist(), advice.tolist(), strict=True):
                if not possible:
                    reasons[i] = str(text)
            down = np.atleast_1d(price.downtime_ms)
            out["path_mbps"][at] = price.bandwidth_mbps
            with np.errstate(invalid="ignore", divide="ignore"):
                out["low"][at] = np.where(down > 0, price.downtime_low_ms / down, 1.0)
                out["high"][at] = np.where(down > 0, price.downtime_high_ms / down, 1.0)
                out["short"][at] = _ratio(price.total_low_s, price.total_s)
                out["long"][at] = _ratio(price.total_high_s, price.total_s)
            if (share[at] < 1.0).any():
                start = precopy.Transfer.start(**ask)
                end = start.advance(start.bandwidth_mbps * share[at])
                out["total_s"][at] = np.where(ok, end.elapsed_s, np.nan)
                out["downtime_ms"][at] = np.where(ok, end.downtime_ms, np.nan)
                out["transferred_mib"][at] = np.where(ok, end.transferred_mib, np.nan)
                rounds[at], converged[at] = end.rounds, end.converged
                beside = price.total_s - price.precopy_s - down / 1e3
                out["precopy_s"][at] = np.maximum(0.0, end.elapsed_s - end.downtime_ms / 1e3 - beside)
            else:
                out["total_s"][at] = price.total_s
                out["precopy_s"][at] = price.precopy_s
                out["downtime_ms"][at] = down
                out["transferred_mib"][at] = price.transferred_mib
                rounds[at], converged[at] = price.rounds, price.converged
        # A running VM that moves cold is off from the first byte to the last; its own shutdown and boot are not known.
        stands = np.array([kind == "cold" for kind in kinds], dtype=bool)
        stands &= self.snapshot.vms.on[[leg.vm for leg in legs]] if n else False
        out["downtime_ms"][stands] = out["total_s"][stands] * 1e3
        out["low"][stands], out["high"][stands] = out["short"][stands], out["long"][stands]
        for i in range(n):
            if not reasons[i] and not np.isfinite(out["total_s"][i]):
                reasons[i] = NEVER_ENDS
        moves_disks = np.array([bool(leg.disks) for leg in legs], dtype=np.bool_)
        return Priced(
            kinds, moves_disks, out["path_mbps"], out["total_s"], out["short"], out["long"], out["precopy_s"],
            out["downtime_ms"], out["low"], out["high"], out["transferred_mib"], rounds, converged, tuple(reasons),
        )  # fmt: skip


def units(concurrency: Concurrency, kind: Kind, moves_disks: bool) -> tuple[int, int, int]:
    """Cost units of a migration on each of its hosts, on their vMotion networks and on its datastores.

    A vMotion whose disks move along costs what vSphere calls a vMotion without shared storage: on hosts and
    datastores as a Storage vMotion, on the network as a vMotion.
    """
    host = concurrency.host_cost[kind]
    network = concurrency.network_cost[kind]
    datastore = concurrency.datastore_cost[kind]
    if moves_disks and kind in ("vmotion", "long_distance", "cross_vcenter"):
        host = max(host, concurrency.host_cost["storage"])
        datastore = max(datastore, concurrency.datastore_cost["storage"])
    elif not moves_disks and kind in ("cross_vcenter", "cold"):
        datastore = min(datastore, concurrency.datastore_cost["vmotion"])
    return host, network, datastore


def price_moves(
    snapshot: Snapshot,
    vm_idx: ArrayLike,
    to_host_idx: ArrayLike | None = None,
    to_datastores: Sequence[Any] | None = None,
    kind: Sequence[Kind | None] | Kind | None = None,
    *,
    profile: Any = "vmware",
) -> list[Move]:
    """Price moves chosen by hand, each alone on its path.

    Parameters
    ----------
    vm_idx, to_host_idx : positions, shape (n,); -1 (or None for all) leaves a VM on its host.
    to_datastores : per move None (disks stay), a datastore's position for all of the VM's disks, or one
        position for each of its disks in disk order (-1: it stays).
    kind : per move one of `KINDS`, or None for what hosts and disks make it.

    Returns
    -------
    list of Move
        A move that is not possible has its reason in `reason` and NaN for its figures.
    """
    vms, disks = snapshot.vms, snapshot.disks
    who = np.atleast_1d(np.asarray(vm_idx, dtype=np.int32))
    where = np.full(len(who), -1) if to_host_idx is None else np.atleast_1d(np.asarray(to_host_idx))
    first, order = snapshot.disks_of_vm
    legs, nowhere = [], []
    for i, vm in enumerate(who.tolist()):
        src = int(vms.host_idx[vm])
        dst = int(where[i]) if where[i] >= 0 else src
        nowhere.append(src < 0)
        mine = order[first[vm] : first[vm + 1]].tolist()
        wish = None if to_datastores is None else to_datastores[i]
        to: list[int] = []
        if wish is not None:
            to = [int(wish)] * len(mine) if np.ndim(wish) == 0 else [int(store) for store in wish]
        pairs = [
            (disk, store)
            for disk, store in zip(mine, to, strict=False)
            if store >= 0 and store != disks.datastore_idx[disk]
        ]
        asked = kind if kind is None or isinstance(kind, str) else kind[i]
        legs.append(
            Leg(
                vm,
                max(src, 0),
                max(dst, 0),
                tuple(d for d, _ in pairs),
                tuple(s for _, s in pairs),
                kind=asked or None,
            )
        )
    priced = Pricer(snapshot, profile).price(legs)
    moves = [
        move_of(snapshot, leg, priced, i, step=i + 1, reason=_stops(snapshot, leg, priced.kind[i]))
        for i, leg in enumerate(legs)
    ]
    return [
        dataclasses.replace(move, reason="it is on no host yet") if lost else move
        for move, lost in zip(moves, nowhere, strict=True)
    ]


def _stops(snapshot: Snapshot, leg: Leg, kind: Kind) -> str:
    """What a cold migration means for a running VM."""
    if kind != "cold" or not snapshot.vms.on[leg.vm]:
        return ""
    return "it runs: it is shut down first and started again there; the time of both comes on top"


def move_of(snapshot: Snapshot, leg: Leg, priced: Priced, i: int, *, step: int, reason: str = "") -> Move:
    """Leg `i` of those priced as a move."""
    before, after = datastores_of(snapshot, leg)
    down = float(priced.downtime_ms[i])
    return Move(
        step=step,
        wave=1,
        vm=str(snapshot.vms.name[leg.vm]),
        kind=priced.kind[i],
        from_host=str(snapshot.hosts.name[leg.src]),
        to_host=str(snapshot.hosts.name[leg.dst]),
        from_datastores=before,
        to_datastores=after,
        reason=priced.refused[i] or reason,
        precopy_s=float(priced.precopy_s[i]),
        total_s=float(priced.total_s[i]),
        total_low_s=float(priced.total_s[i] * priced.total_low_ratio[i]),
        total_high_s=float(priced.total_s[i] * priced.total_high_ratio[i]),
        downtime_ms=down,
        downtime_low_ms=down * float(priced.downtime_low_ratio[i]),
        downtime_high_ms=down * float(priced.downtime_high_ratio[i]),
        transferred_mib=float(priced.transferred_mib[i]),
        rounds=int(priced.rounds[i]),
        converged=bool(priced.converged[i]),
        parking=leg.parking,
    )


def datastores_of(snapshot: Snapshot, leg: Leg) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the datastores of a VM's disks before and after a leg, in disk order."""
    first, order = snapshot.disks_of_vm
    mine = order[first[leg.vm] : first[leg.vm + 1]].tolist()
    goes = dict(zip(leg.disks, leg.to_datastores, strict=True))
    names = snapshot.datastores.name
    store = snapshot.disks.datastore_idx
    was = dict(zip(leg.disks, leg.is_on(snapshot), strict=True))

    def name(position: int) -> str:
        return str(names[position]) if position >= 0 else ""

    return (
        tuple(name(was.get(disk, int(store[disk]))) for disk in mine),
        tuple(name(goes.get(disk, int(store[disk]))) for disk in mine),
    )


def _ratio(end: ArrayLike, middle: ArrayLike) -> Floats:
    """One end of an interval over its middle; 1 where there is no middle (it never ends, or takes no time)."""
    end, middle = np.asarray(end, dtype=float), np.asarray(middle, dtype=float)
    known = np.isfinite(middle) & (middle > 0)
    ratio: Floats = np.divide(end, middle, out=np.ones(middle.shape), where=known)
    return ratio


def _precopy_kind(kind: Kind, disks: bool) -> str:
    """The pre-copy model's kind: what crosses the network decides."""
    if kind == "vmotion" and disks:
        return "cross_vcenter"
    return kind


__all__ = ["KINDS", "Leg", "Priced", "Pricer", "legs_between", "move_of", "price_moves", "units"]
