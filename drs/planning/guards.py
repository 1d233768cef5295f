"""What must still hold when a move of a plan starts: the plan was made for that and for nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from drs.model import Snapshot
from drs.planning.plan import Move


@dataclass(frozen=True)
class Guard:
    """The state that one move takes for granted.

    host, power : where the VM is, and whether it is `on` or `off`.
    memory_mib : its configured memory.
    disks : the datastore of each of its disks, by name. goes : where those disks go that move.
    target : where it goes; that host must be connected.
    target_limit_mib : configured memory of powered-on VMs on the target, with this one and all that are on the way
        to it, at most: the target's capacity, or more where the plan itself has more there.
    room_gib : free space that each datastore must have, for the disks that come to it.
    """

    vm: str
    host: str
    power: str
    memory_mib: float
    target: str
    target_limit_mib: float
    disks: Mapping[str, str] = field(default_factory=dict)
    goes: Mapping[str, str] = field(default_factory=dict)
    room_gib: Mapping[str, float] = field(default_factory=dict)


def guards(snapshot: Snapshot, moves: Sequence[Move]) -> dict[int, Guard]:
    """The guard of each move, by step; `snapshot` is where the plan starts."""
    vms, disks = snapshot.vms, snapshot.disks
    memory = snapshot.demand("memory")
    capacity = snapshot.capacity("memory")
    used = np.zeros(snapshot.n_hosts)
    placed = vms.host_idx >= 0
    np.add.at(used, vms.host_idx[placed], memory[placed])
    first, order = snapshot.disks_of_vm
    found: dict[int, Guard] = {}
    for move in sorted(moves, key=lambda move: move.step):
        vm, target = vms.position[move.vm], snapshot.hosts.position[move.to_host]
        if move.from_host != move.to_host:
            if move.from_host:
                used[snapshot.hosts.position[move.from_host]] -= memory[vm]
            used[target] += memory[vm]
        room: dict[str, float] = {}
        at: dict[str, str] = {}
        leads: dict[str, str] = {}
        own = order[first[vm] : first[vm + 1]].tolist()
        for disk, was, goes in zip(own, move.from_datastores, move.to_datastores, strict=False):
            at[str(disks.name[disk])] = was
            if goes != was:
                leads[str(disks.name[disk])] = goes
                room[goes] = room.get(goes, 0.0) + float(disks.used_gib[disk])
        found[move.step] = Guard(
            vm=move.vm,
            host=move.from_host,
            power="off" if move.kind == "cold" else str(vms.power[vm]),
            memory_mib=float(vms.memory_mib[vm]),
            target=move.to_host,
            target_limit_mib=float(max(capacity[target], used[target])),
            disks=at,
            goes=leads,
            room_gib=room,
        )
    return found
