"""Whether a plan still fits the cluster: before the first move as a whole, before each move its guard."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from drs.errors import PlanError
from drs.execute.platform import HostNow, State, VmNow
from drs.io.plan_file import SavedPlan
from drs.model import Snapshot
from drs.planning import Move
from drs.planning.guards import Guard
from drs.words import mebibytes, seconds, some

SLACK_MIB, SLACK_GIB = 1.0, 0.01
"""Differences of rounding."""


class StalePlan(PlanError):
    """A plan that was made for another state of the cluster. `differences`: each in words."""

    def __init__(self, differences: Iterable[str]) -> None:
        self.differences = tuple(differences)
        lines = "\n".join(f"  {each}" for each in self.differences)
        super().__init__(f"the plan is out of date, nothing was moved:\n{lines}")


@dataclass(frozen=True)
class Stale:
    """What differs from the cluster of the plan: what stands against it, and what lies beside it."""

    against: tuple[str, ...]
    beside: tuple[str, ...]


def differences(
    saved: SavedPlan, now: Snapshot, max_age_s: float | None = None, at: datetime | None = None
) -> Stale:
    """How the cluster differs from the one that the plan was made for.

    Against the plan stands what is about its VMs, about the hosts that they leave or come to, about VMs on these, and
    about their datastores; what is elsewhere lies beside it. Loads do not count.

    Parameters
    ----------
    max_age_s : a plan that is older stands against itself. at : the time now.
    """
    was = saved.today
    against: list[str] = []
    age = (at or datetime.now(UTC)) - saved.created_at
    if max_age_s is not None and age > timedelta(seconds=max_age_s):
        against.append(
            f"it was made {seconds(age.total_seconds())} ago; at most {seconds(max_age_s)} are allowed"
        )
    ids = {each["id"] for each in saved.managers if each["id"]}
    here = set(now.hosts.vcenter_id.tolist()) - {""}
    if ids and here and not ids & here:
        against.append(f"it was made for another vCenter ({some(sorted(ids))}, not {some(sorted(here))})")
    if not against and saved.structure == now.structure:
        return Stale((), ())
    moves = saved.plan.moves
    hosts = {host for move in moves for host in (move.from_host, move.to_host)}
    stores = {store for move in moves for store in (*move.from_datastores, *move.to_datastores)}
    beside: list[str] = []
    for touched, said in (*_hosts(was, now, hosts), *_vms(was, now, {m.vm for m in moves}, hosts),
                          *_stores(was, now, stores)):  # fmt: skip
        (against if touched else beside).append(said)
    return Stale(tuple(against), tuple(beside))


def _host_of(snapshot: Snapshot, vm: int) -> str:
    host = int(snapshot.vms.host_idx[vm])
    return str(snapshot.hosts.name[host]) if host >= 0 else "no host"


def _hosts(was: Snapshot, now: Snapshot, touched: Collection[str]) -> Iterator[tuple[bool, str]]:
    for name, i in was.hosts.position.items():
        if name not in now.hosts.position:
            yield name in touched, f"host {name} is there no more"
            continue
        j = now.hosts.position[name]
        old, new = str(was.hosts.state[i]), str(now.hosts.state[j])
        if old != new:
            yield name in touched, f"host {name} is {new}; it was {old}"
        if abs(was.hosts.memory_mib[i] - now.hosts.memory_mib[j]) > SLACK_MIB:
            yield (
                name in touched,
                f"host {name} has {mebibytes(now.hosts.memory_mib[j])}; it had {mebibytes(was.hosts.memory_mib[i])}",
            )
    for name in now.hosts.position:
        if name not in was.hosts.position:
            yield False, f"host {name} is new"


def _vms(
    was: Snapshot, now: Snapshot, moved: Collection[str], hosts: Collection[str]
) -> Iterator[tuple[bool, str]]:
    for name, i in was.vms.position.items():
        before = _host_of(was, i)
        ours = name in moved
        if name not in now.vms.position:
            yield ours, f"VM {name} is there no more; it was on {before}"
            continue
        j = now.vms.position[name]
        uuid = (str(was.vms.instance_uuid[i]), str(now.vms.instance_uuid[j]))
        if all(uuid) and uuid[0] != uuid[1]:
            yield ours, f"VM {name} is another VM of that name ({uuid[1]}, not {uuid[0]})"
        here = _host_of(now, j)
        if here != before:
            yield ours or here in hosts or before in hosts, f"VM {name} is on {here}; it was on {before}"
        if was.vms.power[i] != now.vms.power[j]:
            yield ours or here in hosts, f"VM {name} is {now.vms.power[j]}; it was {was.vms.power[i]}"
        old, new = float(was.vms.memory_mib[i]), float(now.vms.memory_mib[j])
        if abs(old - new) > SLACK_MIB:
            yield ours or here in hosts, f"VM {name} has {mebibytes(new)}; it had {mebibytes(old)}"
        if ours and _disks_of(was, i) != _disks_of(now, j):
            yield True, f"VM {name} has other disks, or they lie elsewhere"
    for name, j in now.vms.position.items():
        if name not in was.vms.position:
            here = _host_of(now, j)
            yield here in hosts, f"VM {name} on {here} is new"


def _disks_of(snapshot: Snapshot, vm: int) -> dict[str, str]:
    first, order = snapshot.disks_of_vm
    own = order[first[vm] : first[vm + 1]]
    names, stores = snapshot.disks.name[own], snapshot.datastores.name[snapshot.disks.datastore_idx[own]]
    return dict(zip(names.tolist(), stores.tolist(), strict=True))


def _stores(was: Snapshot, now: Snapshot, touched: Collection[str]) -> Iterator[tuple[bool, str]]:
    for name, i in was.datastores.position.items():
        if name not in now.datastores.position:
            yield name in touched, f"datastore {name} is there no more"
            continue
        old, new = str(was.datastores.state[i]), str(now.datastores.state[now.datastores.position[name]])
        if old != new:
            yield name in touched, f"datastore {name} is {new}; it was {old}"


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a move may not start now. `lasting`: waiting does not help. `ours`: moves in flight are the reason."""

    reason: str
    lasting: bool = False
    ours: bool = False


def arrived(move: Move, guard: Guard, vm: VmNow) -> bool:
    """Whether a VM and its disks are where a move leads."""
    return vm.host == move.to_host and all(
        vm.disks.get(disk, store) == store for disk, store in guard.goes.items()
    )


def objection(
    move: Move, guard: Guard, state: State, flying: Mapping[int, tuple[Move, Guard]]
) -> Objection | None:
    """What stands against starting a move in this state; None where its guard holds.

    `flying` are the moves on their way, by step: their VMs count on both hosts, their disks on both datastores.
    """
    vm = state.vms.get(move.vm)
    if vm is None:
        return Objection(f"{move.vm} is there no more", lasting=True)
    if vm.host != guard.host:
        return Objection(f"{move.vm} is on {vm.host or 'no host'}, not on {guard.host}", lasting=True)
    if vm.power != guard.power:
        return Objection(f"{move.vm} is {vm.power}, not {guard.power}", lasting=True)
    if abs(vm.memory_mib - guard.memory_mib) > SLACK_MIB:
        has, had = mebibytes(vm.memory_mib), mebibytes(guard.memory_mib)
        return Objection(f"{move.vm} has {has} of memory, not {had}", lasting=True)
    elsewhere = [disk for disk, store in guard.disks.items() if vm.disks.get(disk, store) != store]
    if elsewhere:
        return Objection(f"{move.vm}: {some(elsewhere)} lies on another datastore than planned", lasting=True)
    target = state.hosts.get(move.to_host, HostNow("gone"))
    if target.state != "connected":
        return Objection(f"{move.to_host} is {target.state}, not connected")
    return _memory(move, guard, state, flying) or _space(move, guard, state, flying)


def _memory(
    move: Move, guard: Guard, state: State, flying: Mapping[int, tuple[Move, Guard]]
) -> Objection | None:
    if move.from_host == move.to_host or guard.power != "on":
        return None
    here = sum(vm.memory_mib for vm in state.vms.values() if vm.host == move.to_host and vm.power == "on")
    coming = sum(
        held.memory_mib
        for other, held in flying.values()
        if other.to_host == move.to_host and held.power == "on"
        and state.vms.get(other.vm, VmNow("", "on", 0.0)).host != move.to_host
    )  # fmt: skip
    over = here + coming + guard.memory_mib - guard.target_limit_mib
    if over <= SLACK_MIB:
        return None
    ours = any(move.to_host in (other.from_host, other.to_host) for other, _ in flying.values())
    return Objection(f"{move.to_host} lacks {mebibytes(over)} of memory for {move.vm}", ours=ours)


def _space(
    move: Move, guard: Guard, state: State, flying: Mapping[int, tuple[Move, Guard]]
) -> Objection | None:
    for name, need in guard.room_gib.items():
        store = state.datastores.get(name)
        if store is None or store.state != "connected":
            return Objection(f"datastore {name} is {store.state if store else 'gone'}, not connected")
        coming = float(np.sum([held.room_gib.get(name, 0.0) for _, held in flying.values()]))
        lack = need + coming - store.free_gib
        if lack > SLACK_GIB:
            ours = coming > 0
            return Objection(f"datastore {name} lacks {lack:,.1f} GiB for {move.vm}", ours=ours)
    return None
