"""What the executor needs of a platform, and the words in which a platform answers.

A platform of another kind is added in one file: a class with these methods. `drs.execute.vcenter` is the first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from drs.errors import DrsError
from drs.model import Snapshot
from drs.planning import Move


class Refused(DrsError):
    """The platform will not do it. `lasting`: asking again will not help."""

    def __init__(self, message: str, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


class Unreachable(DrsError):
    """No answer came. Whether a request arrived is not known."""


@dataclass(frozen=True, slots=True)
class VmNow:
    """A VM as it is. disks : the datastore of each disk, by the disk's name, where it was asked for."""

    host: str
    power: str
    memory_mib: float
    disks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostNow:
    """A host as it is; `state` as in the table `hosts`."""

    state: str


@dataclass(frozen=True, slots=True)
class DatastoreNow:
    """A datastore as it is."""

    state: str
    free_gib: float


@dataclass(frozen=True)
class State:
    """What the guards look at, by name."""

    vms: Mapping[str, VmNow]
    hosts: Mapping[str, HostNow]
    datastores: Mapping[str, DatastoreNow]


@dataclass(frozen=True, slots=True)
class TaskNow:
    """A task as it is. `unknown`: the platform has no memory of it.

    ran_s : how long it ran, by the platform's clock. downtime_ms : None where the platform does not tell.
    """

    status: Literal["running", "done", "failed", "cancelled", "unknown"]
    reason: str = ""
    progress_ratio: float | None = None
    ran_s: float | None = None
    downtime_ms: float | None = None


class Platform(Protocol):
    """A manager of VMs that can be asked and told. Every method raises `Unreachable` where no answer comes."""

    address: str
    """How people call it; without a password."""
    identity: str
    """What it is known by for good, such as vCenter's instance UUID; "" where it has no such thing."""

    def snapshot(self) -> Snapshot:
        """The whole inventory."""

    def state(self, disks_of: Collection[str] = ()) -> State:
        """What the guards look at, in as few requests as possible; the disks only of these VMs."""

    def now(self) -> datetime:
        """The platform's clock."""

    def check(self, move: Move, goes: Mapping[str, str]) -> str | None:
        """The platform's own check before a move: "" where nothing stands against it, None where it has none."""

    def start(self, move: Move, goes: Mapping[str, str]) -> str:
        """Start a move; the id of its task. `goes`: the datastore of each disk that moves. Raises `Refused`."""

    def watch(self, tasks: Collection[str]) -> Mapping[str, TaskNow]:
        """How the tasks are."""

    def find(self, vm: str, since: datetime) -> str | None:
        """The latest task that moves or moved a VM and was not asked for before `since`."""

    def abort(self, task: str) -> None:
        """Ask a task to end; it may still succeed."""

    def close(self) -> None:
        """End the session."""
