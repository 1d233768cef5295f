"""What every goal is: a naive `measure` that is the law, and a `lower` that names weighted terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, TypeVar

from drs.errors import Fault
from drs.goals import checks
from drs.model import Placement, Snapshot
from drs.terms import Weighted
from drs.terms.base import Floats, Ints


@dataclass(frozen=True)
class Prices:
    """What moving each VM costs, computed once by the problem from the pre-copy model; f8[n_vms] each.

    Where it matters where a VM goes (another path, disks that must follow), these are the least of all hosts, and
    `extra_s` and `extra_gib` say what is added on hosts of each kind.
    """

    move_s: Floats
    """Estimated seconds of one migration."""
    memory_gib: Floats
    """Memory that crosses the network."""
    disk_gib: Floats
    """Disks that cross too where the new host does not see them."""
    downtime_ms: Floats
    """Estimated downtime of that migration."""
    kind: Ints | None = None
    """i4[n_hosts]: hosts of one kind cost the same; None where all do."""
    extra_s: Floats | None = None
    """f8[n_vms, n_kinds], 0 or more."""
    extra_gib: Floats | None = None
    """f8[n_vms, n_kinds]: GiB of disks that follow."""

    def total_s(self, vm: int, host: int) -> float:
        """Seconds of the migration of a VM to a host."""
        return float(self.move_s[vm]) + self._extra(self.extra_s, vm, host)

    def copied_gib(self, vm: int, host: int) -> float:
        """GiB that the migration of a VM to a host copies, memory and disks."""
        return float(self.memory_gib[vm]) + self._extra(self.extra_gib, vm, host)

    def _extra(self, extra: Floats | None, vm: int, host: int) -> float:
        return 0.0 if extra is None or self.kind is None else float(extra[vm, self.kind[host]])


@dataclass(frozen=True)
class Goal:
    """Base of all goals. Goals are minimised in the order given; weights exist only within one goal.

    slack_ratio : later goals may worsen this one by so much, as a share of its best (`balance`: 0.05, other
        goals: 0).
    worth_ratio : nothing moves for a smaller improvement than this share of today's value (`balance`: 0.1,
        other goals: 0).
    """

    type: ClassVar[str]
    unit: ClassVar[str] = ""
    _: KW_ONLY
    slack_ratio: float | None = None
    worth_ratio: float | None = None
    default_slack_ratio: ClassVar[float] = 0.0
    default_worth_ratio: ClassVar[float] = 0.0
    when_left: ClassVar[str] = "{host} is left by the last VM that counts"
    """Why the last VM that counts leaves a host, for goals that pay for hosts in use; `{before}` and `{after}` are
    the goal's values."""
    left_code: ClassVar[str] = "checkResource"
    """vSphere's word (`RecommendationReasonCode` of its API) for such a move."""

    def faults(self, snapshot: Snapshot, where: str = "") -> Iterator[Fault]:
        """What is wrong with the goal's fields against this snapshot; found before solving.

        Parameters
        ----------
        where : what the goal is called in a fault.
        """
        where = where or f"goal {self.type}"
        for name in ("slack_ratio", "worth_ratio"):
            if (value := getattr(self, name)) is not None:
                yield from checks.at_least(f"{where}, field {name}", value)
        yield from self.misfits(snapshot, f"{where}, field ")

    def misfits(self, snapshot: Snapshot, field: str) -> Iterator[Fault]:
        """What is wrong with its own fields; `field` is what stands before a field's name in a fault."""
        yield from ()

    def notes(self, snapshot: Snapshot) -> Iterator[str]:
        """What an administrator should know of how this goal is counted here, a sentence each."""
        yield from ()

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        """The value of a placement, found the naive way; `snapshot` says where the VMs are today."""
        raise NotImplementedError

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        """The weighted terms whose sum is the measure."""
        raise NotImplementedError


GOALS: dict[str, type[Goal]] = {}
"""Every goal by its type, as it stands in `policy.toml`."""

G = TypeVar("G", bound=type[Goal])


def goal(type_: str) -> Callable[[G], G]:
    """Register a goal under the name that it has in `policy.toml`."""

    def register(cls: G) -> G:
        cls.type = type_
        GOALS[type_] = cls
        return cls

    return register
