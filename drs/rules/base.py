"""What every rule is: plain fields, a naive `check` that is the law, and a `lower` that names terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal, TypeVar, get_args

import numpy as np

from drs.errors import Fault, InputError, did_you_mean
from drs.model import Placement, Snapshot
from drs.model.selector import Named, cached, entries, is_pattern, resolve, select
from drs.model.selector import Selector as Selector  # what a rule is written with
from drs.terms import Allowed, Term
from drs.terms.base import Bools, Ints

Policy = Literal["hard", "not_worse", "soft"]
When = Literal["after", "during", "at_once"]
Scope = Literal["host", "rack", "cluster", "site", "vcenter"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
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
    weight: float = 1.0

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
        """What is wrong with the rule's own fields against this snapshot; found before solving."""
        for column, known in (("policy", get_args(Policy)), ("when", (None, *get_args(When)))):
            value = getattr(self, column)
            if value not in known:
                choices = [str(choice) for choice in known if choice]
                near = did_you_mean(str(value), choices)
                yield Fault(self.field(column), repr(value), f"one of {', '.join(choices)}", near)
        if not 0 <= self.weight < float("inf"):
            yield Fault(self.field("weight"), str(self.weight), "a number, 0 or more")
        if self.when == "at_once" and not self.can_hold_at_once:
            yield Fault(self.field("when"), "'at_once'", "after or during; only capacity can hold at once")

    def field(self, column: str) -> str:
        """Where a fault is: the rule and its field."""
        return f"rule {self.label!r}, field {column}"

    def scale(self, snapshot: Snapshot) -> float:
        """What counts as one unit of breaking it, in the unit of its terms (1 VM, one mean host)."""
        return 1.0


RULES: dict[str, type[Rule]] = {}
"""Every rule by its type, as it stands in `rules.toml`."""

R = TypeVar("R", bound=type[Rule])


def rule(type_: str) -> Callable[[R], R]:
    """Register a rule under the name that it has in `rules.toml`."""

    def register(cls: R) -> R:
        cls.type = type_
        RULES[type_] = cls
        return cls

    return register


@dataclass(frozen=True)
class HostFilter(Rule):
    """Base of the rules that say of each VM by itself on which hosts it may run."""

    def judge(self, snapshot: Snapshot) -> Judge:
        """The rule in its naive form: why a VM may not run on a host, "" where it may."""
        raise NotImplementedError

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        """The rule as a mask by class of VM; None where it forbids nothing."""
        raise NotImplementedError

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


def select_vms(selector: Selector, snapshot: Snapshot) -> Ints:
    """Positions of the VMs that a selector means."""
    return select(selector, snapshot.vms)


def select_hosts(selector: Selector, snapshot: Snapshot) -> Ints:
    """Positions of the hosts that a selector means."""
    return select(selector, snapshot.hosts)


def selector_faults(where: str, selector: Selector, table: Named, what: str) -> Iterator[Fault]:
    """A fault for every name that is not there, and for every pattern that means nothing."""
    if not entries(selector):
        yield Fault(where, "an empty list", f"at least one {what}")
    for pattern in resolve(selector, table)[1]:
        if is_pattern(pattern):
            yield Fault(where, f"the pattern {pattern!r} names no {what}", f"at least one {what}")
        else:
            near = did_you_mean(pattern, table.position)
            yield Fault(where, f"unknown {what} {pattern!r}", f"the name of a {what}", near)


def domains(snapshot: Snapshot, scope: str) -> tuple[Ints, tuple[str, ...]]:
    """The domain of every host, and the domains' names: (i4[n_hosts], names). "" is no domain (-1)."""
    hosts = snapshot.hosts

    def make() -> tuple[Ints, tuple[str, ...]]:
        if scope == "host":
            return np.arange(len(hosts), dtype=np.int32), tuple(hosts.name.tolist())
        if scope == "cluster":
            return hosts.cluster_idx, tuple(snapshot.clusters.name.tolist())
        names, idx = np.unique(getattr(hosts, scope), return_inverse=True)
        none = int(len(names) > 0 and names[0] == "")
        return np.asarray(idx.reshape(-1) - none, dtype=np.int32), tuple(names[none:].tolist())

    found: tuple[Ints, tuple[str, ...]] = cached(hosts, ("domains", scope), make)
    return found


def scope_faults(where: str, scope: str, snapshot: Snapshot) -> Iterator[Fault]:
    """A fault for a scope that does not exist, or of which the snapshot knows no member."""
    if scope not in SCOPES:
        yield Fault(
            where, f"unknown scope {scope!r}", f"one of {', '.join(SCOPES)}", did_you_mean(scope, SCOPES)
        )
    elif snapshot.n_hosts and not domains(snapshot, scope)[1]:
        yield Fault(where, f"scope {scope!r}, and no host has a {scope}", f"the column {scope} in hosts")


def by_domain(vms: Ints, snapshot: Snapshot, placement: Placement, scope: str) -> dict[int, list[int]]:
    """The naive reading of a scope: which of these VMs run in each domain, in order of the domains."""
    domain, _ = domains(snapshot, scope)
    host = placement.host_idx[vms]
    found: dict[int, list[int]] = {}
    for vm, where in zip(vms.tolist(), np.where(host >= 0, domain[host], -1).tolist(), strict=True):
        if where >= 0:
            found.setdefault(where, []).append(vm)
    return dict(sorted(found.items()))


def names_of(vms: Sequence[int], snapshot: Snapshot) -> tuple[str, ...]:
    """Names of VMs."""
    return tuple(str(snapshot.vms.name[vm]) for vm in vms)


def hosts_of(vms: Sequence[int], snapshot: Snapshot, placement: Placement) -> tuple[str, ...]:
    """Names of the hosts that these VMs run on, each once."""
    used = {int(placement.host_idx[vm]) for vm in vms} - {-1}
    return tuple(str(snapshot.hosts.name[host]) for host in sorted(used))


def raise_faults(rules: Sequence[Rule], snapshot: Snapshot) -> None:
    """One InputError with the faults of all rules."""
    faults = [fault for rule_ in rules for fault in rule_.faults(snapshot)]
    if faults:
        raise InputError(faults)
