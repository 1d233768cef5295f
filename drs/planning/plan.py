"""What a plan is: moves in a safe order, with waves, start times and prices."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from drs.frame import DataFrame, frame
from drs.model import Placement, Snapshot
from drs.words import seconds

Kind = Literal["vmotion", "storage", "cross_vcenter", "long_distance", "cold"]
KINDS: tuple[Kind, ...] = ("vmotion", "storage", "cross_vcenter", "long_distance", "cold")


@dataclass(frozen=True, slots=True)
class Move:
    """One migration. `step` numbers the moves in a safe order from 1; `after_steps` must be done before it.

    from_datastores, to_datastores : per disk of the VM, in disk order; equal where disks stay.
    start_s : from the start of the plan; precopy_s of total_s is live copying.
    total_low_s, total_high_s, downtime_low_ms, downtime_high_ms : 80 % intervals.
    transferred_mib : over the network, memory and disks.
    parking : the VM only makes room and moves on later.
    """

    step: int
    wave: int
    vm: str
    kind: Kind
    from_host: str
    to_host: str
    from_datastores: tuple[str, ...] = ()
    to_datastores: tuple[str, ...] = ()
    reason: str = ""
    after_steps: tuple[int, ...] = ()
    start_s: float = 0.0
    precopy_s: float = 0.0
    total_s: float = 0.0
    total_low_s: float = 0.0
    total_high_s: float = 0.0
    downtime_ms: float = 0.0
    downtime_low_ms: float = 0.0
    downtime_high_ms: float = 0.0
    transferred_mib: float = 0.0
    rounds: int = 0
    converged: bool = True
    parking: bool = False
    reason_code: str = ""
    """vSphere's word for the reason, such as `hostMaint` or `antiAffin`."""

    @property
    def end_s(self) -> float:
        """When it is done, from the start of the plan."""
        return self.start_s + self.total_s


@dataclass(frozen=True, slots=True)
class Stranded:
    """A move of the target that no safe order reaches, and why."""

    vm: str
    from_host: str
    to_host: str
    reason: str
    cycle: tuple[str, ...] = ()
    """The VMs that wait for each other, where that is the reason."""
    no_time: bool = False
    """Whether it could go and only time is missing: a window is too short, or hours are forbidden."""


@dataclass(frozen=True)
class Plan:
    """A verified, priced and timed way from today's placement to `placement`.

    `placement` is where the moves lead; it differs from `target` by the stranded moves.
    """

    snapshot: Snapshot
    target: Placement
    placement: Placement
    moves: tuple[Move, ...]
    stranded: tuple[Stranded, ...] = ()
    makespan_s: float = 0.0
    makespan_low_s: float = 0.0
    makespan_high_s: float = 0.0
    """An 80 % interval: links and dirty rates are never known exactly. inf: a migration may never end."""
    makespan_bound_s: float = 0.0
    """No schedule of these moves can be shorter."""
    broken_during: tuple[str, ...] = ()
    """Limits that are broken on the way, in words: only where today breaks them already."""
    warnings: tuple[str, ...] = ()
    stats: dict[str, float | int | str] = field(default_factory=dict)

    def __repr__(self) -> str:
        left = f", {len(self.stranded)} stranded" if self.stranded else ""
        return f"<Plan: {len(self.moves)} moves in {seconds(self.makespan_s)}{left}>"

    @property
    def max_downtime_ms(self) -> float:
        """The longest stop of any VM."""
        return max((move.downtime_ms for move in self.moves), default=0.0)

    @property
    def total_transferred_mib(self) -> float:
        """All that crosses the network."""
        return sum(move.transferred_mib for move in self.moves)

    def to_frame(self) -> DataFrame:
        """The moves as a table, a row each, columns as in `drs advise --json`."""
        columns = [column.name for column in dataclasses.fields(Move)]
        return frame([dataclasses.asdict(move) for move in self.moves], columns=columns)


def placement_after(snapshot: Snapshot, moves: Sequence[Move]) -> Placement:
    """Where everything is once these moves, which start from the snapshot, are made in the order of their steps."""
    host_idx = snapshot.vms.host_idx.copy()
    datastore_idx = snapshot.disks.datastore_idx.copy()
    first, order = snapshot.disks_of_vm
    for move in sorted(moves, key=lambda move: move.step):
        vm = snapshot.vms.position[move.vm]
        host_idx[vm] = snapshot.hosts.position[move.to_host]
        for disk, name in zip(order[first[vm] : first[vm + 1]], move.to_datastores, strict=False):
            datastore_idx[disk] = snapshot.datastores.position[name]
    return Placement(host_idx, datastore_idx)
