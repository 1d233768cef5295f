"""What every rule is: plain fields, a naive `check` that is the law, and a `lower` that names terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from drs.errors import Fault
from drs.model import Placement, Snapshot
from drs.rules.fields import Number, field_faults
from drs.terms import Allowed, Term
from drs.terms.base import Bools, Ints

Policy = Literal["hard", "not_worse", "soft"]
When = Literal["after", "during", "at_once"]
Weight = Annotated[float, Number("a number, 0 or more")]
Items = Literal["vms", "disks"]
Judge = Callable[[int, int], str]
"""Why a VM may not run on a host, by their positions; "" where it may."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule at one place, in words and in figures."""

    rule: str
    vms: tuple[str, ...]
    hosts: tuple[str, ...]
    amount: float
    unit: str
    sentence: str


@dataclass(frozen=True)
class Rule:
    """Base of all rules.

    policy : `hard` must hold at the end, or the answer is infeasible; `not_worse` (default) is kept where it
        holds today and repaired first where it does not; `soft` costs `weight` for each unit it is broken by.
    when : `after` holds at the end; `during` holds at every instant of the plan as well, a VM in flight
        counting on both hosts; `at_once` holds even if all moves ran at one instant.
    """

    type: ClassVar[str]
    default_when: ClassVar[When] = "after"
    can_hold_at_once: ClassVar[bool] = False
    _: KW_ONLY
    name: str = ""
    policy: Policy = "not_worse"
    when: When | None = None
    weight: Weight = 1.0

    chapter: ClassVar[str] = "VMs and VMs"
    """Where the rule stands in the list of all rules."""
    reason_code: ClassVar[str] = "checkResource"
    """vSphere's word (`RecommendationReasonCode` of its API) for a move that repairs this rule."""
    soft_reason_code: ClassVar[str] = ""
    """The same under policy `soft`, where vSphere has another word."""
    asks: ClassVar[str] = "the group is not placed as the rule asks"
    """Why a VM leaves a host because of this rule; `{host}` is the host."""
    cure: ClassVar[str] = "lift {rule} for {vms}"
    """What an administrator can do so that the rule gives way to some VMs."""
    effort: ClassVar[int] = 9
    """How hard the cure is: 0 for somebody's wish, more for a fact."""
    binds_restarts: ClassVar[bool] = True
    """Whether VMs that restart on another host after a failure keep to it."""
    binds_cold_moves: ClassVar[bool] = True
    """Whether a running VM that is shut down, moved and started again keeps to it."""

    @property
    def label(self) -> str:
        """The name, or the type where no name was given."""
        return self.name or self.type

    @property
    def items(self) -> Items:
        """What the rule places: VMs on hosts, or disks on datastores."""
        return "vms"

    @property
    def replaces(self) -> str:
        """The built-in rule that this one takes the place of, "" for none."""
        return ""

    @property
    def holds(self) -> When:
        """`when`, or this rule's default."""
        return self.when or self.default_when

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        """Every place where the rule is broken, found the naive way."""
        raise NotImplementedError

    def lower(self, snapshot: Snapshot) -> list[Term]:
        """The limits that say the same to a solver."""
        raise NotImplementedError

    def faults(self, snapshot: Snapshot) -> Iterator[Fault]:
        """What is wrong with the rule's own fields against this snapshot; found before solving.

        First each field by its type (`drs.rules.fields`), then, where those are right, what fits no other.
        """
        found = list(field_faults(self, snapshot))
        yield from found or self.misfits(snapshot)
        if self.when == "at_once" and not self.can_hold_at_once:
            yield Fault(self.field("when"), "'at_once'", "after or during; only capacity can hold at once")

    def misfits(self, snapshot: Snapshot) -> Iterator[Fault]:
        """What is wrong with fields together, or with one beside the snapshot; each is right by itself."""
        yield from ()

    def field(self, column: str) -> str:
        """Where a fault is: the rule and its field."""
        return f"rule {self.label!r}, field {column}"

    def code(self) -> str:
        """vSphere's reason code of a move that repairs this rule."""
        return (self.policy == "soft" and self.soft_reason_code) or self.reason_code

    def why_move(self, host: str) -> str:
        """The sentence why a VM leaves this host because of the rule."""
        return f"{self.label}: {self.asks.format(host=host)}"

    @property
    def unit(self) -> str:
        """What the rule is broken by, and its `Capacity` is counted in."""
        return "VMs"

    @property
    def place(self) -> str:
        """The word for one of the places that its terms count by, such as host or site."""
        return str(getattr(self, "scope", "host"))

    def scale(self, snapshot: Snapshot) -> float:
        """What counts as one unit of breaking it, in the unit of its terms (1 VM, one mean host)."""
        return 1.0


@dataclass(frozen=True)
class HostFilter(Rule):
    """Base of the rules that say of each VM by itself on which hosts it may run."""

    chapter: ClassVar[str] = "VMs and hosts"

    def judge(self, snapshot: Snapshot) -> Judge:
        """The rule in its naive form: why a VM may not run on a host, "" where it may."""
        raise NotImplementedError

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        """The rule as a mask by class of VM; None where it forbids nothing."""
        raise NotImplementedError

    def why_move(self, host: str) -> str:
        verb = "should" if self.policy == "soft" else "may"
        return f"{self.label}: it {verb} not run on {host}"

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        judge = self.judge(snapshot)
        for vm, host in enumerate(placement.host_idx.tolist()):
            reason = judge(vm, host) if host >= 0 else ""
            if reason:
                who, where = str(snapshot.vms.name[vm]), str(snapshot.hosts.name[host])
                yield Violation(self.label, (who,), (where,), 1.0, "VMs", f"{who} on {where}: {reason}")

    def lower(self, snapshot: Snapshot) -> list[Term]:
        term = self.allowed(snapshot)
        return [] if term is None else [term]


def only(vms: Ints, hosts: Ints, snapshot: Snapshot, *, away: bool = False) -> Allowed:
    """These VMs on these hosts only (or, `away`, nowhere on them); all other VMs anywhere."""
    class_idx = np.zeros(snapshot.n_vms, dtype=np.int32)
    class_idx[vms] = 1
    mask = np.ones((2, snapshot.n_hosts), dtype=bool)
    mask[1] = away
    mask[1, hosts] = not away
    return Allowed(class_idx, mask)


def stay(fixed: Bools, snapshot: Snapshot) -> Allowed | None:
    """These VMs where they are today, those that are nowhere yet anywhere; all other VMs anywhere."""
    held = fixed & (snapshot.vms.host_idx >= 0)
    if not held.any():
        return None
    mask = np.ones((2, snapshot.n_hosts), dtype=bool)
    mask[1] = False
    return Allowed(held.astype(np.int32), mask, np.where(held, snapshot.vms.host_idx, -1).astype(np.int32))


def names_of(vms: Sequence[int], snapshot: Snapshot) -> tuple[str, ...]:
    """Names of VMs."""
    return tuple(str(snapshot.vms.name[vm]) for vm in vms)


def hosts_of(vms: Sequence[int], snapshot: Snapshot, placement: Placement) -> tuple[str, ...]:
    """Names of the hosts that these VMs run on, each once."""
    used = {int(placement.host_idx[vm]) for vm in vms} - {-1}
    return tuple(str(snapshot.hosts.name[host]) for host in sorted(used))
