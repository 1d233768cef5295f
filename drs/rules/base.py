"""What every rule is: plain fields, a naive `check` that is the law, and a `lower` that names terms."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from drs.errors import Fault, InputError, did_you_mean
from drs.model import Placement, Snapshot
from drs.terms import Term

Policy = Literal["hard", "not_worse", "soft"]
When = Literal["after", "during", "at_once"]
Scope = Literal["host", "rack", "cluster", "site", "vcenter"]
Selector = str | Sequence[str]
"""A name, a pattern (`web-*`), or a list of either; `*` is everything."""


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
        yield from ()

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


def select(
    selector: Selector, names: NDArray[np.str_], position: dict[str, int] | None = None
) -> NDArray[np.int32]:
    """Positions of the names that a selector means, ascending, i4[n]; unknown names are left out."""
    chosen: set[int] = set()
    known = position if position is not None else {str(name): i for i, name in enumerate(names)}
    listed = names.tolist() if isinstance(names, np.ndarray) else list(names)
    for pattern in [selector] if isinstance(selector, str) else selector:
        if pattern in known:
            chosen.add(known[pattern])
        elif pattern == "*":
            chosen.update(range(len(listed)))
        elif any(sign in pattern for sign in "*?["):
            matches = fnmatch.filter(listed, pattern)
            chosen.update(known[name] for name in matches)
    return np.array(sorted(chosen), dtype=np.int32)


def select_vms(selector: Selector, snapshot: Snapshot) -> NDArray[np.int32]:
    """Positions of the VMs that a selector means."""
    return select(selector, snapshot.vms.name, snapshot.vms.position)  # type: ignore[arg-type]


def select_hosts(selector: Selector, snapshot: Snapshot) -> NDArray[np.int32]:
    """Positions of the hosts that a selector means."""
    return select(selector, snapshot.hosts.name, snapshot.hosts.position)  # type: ignore[arg-type]


def selector_faults(where: str, selector: Selector, names: NDArray[np.str_], what: str) -> Iterator[Fault]:
    """A fault for every name that is not there, and for every pattern that means nothing."""
    known = set(names.tolist())
    for pattern in [selector] if isinstance(selector, str) else selector:
        if pattern in known or pattern == "*":
            continue
        if any(sign in pattern for sign in "*?["):
            if not fnmatch.filter(known, pattern):
                yield Fault(where, f"the pattern {pattern!r} names no {what}", f"at least one {what}")
        else:
            yield Fault(
                where, f"unknown {what} {pattern!r}", f"the name of a {what}", did_you_mean(pattern, known)
            )


def domains(snapshot: Snapshot, scope: Scope) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """The domain of every host, and the domains' names: (i4[n_hosts], names). "" is no domain (-1)."""
    hosts = snapshot.hosts
    if scope == "host":
        return np.arange(len(hosts), dtype=np.int32), tuple(hosts.name.tolist())
    if scope == "cluster":
        return hosts.cluster_idx, tuple(snapshot.clusters.name.tolist())
    labels = getattr(hosts, scope)
    names, idx = np.unique(labels, return_inverse=True)
    none = int(len(names) > 0 and names[0] == "")
    return np.asarray(idx - none, dtype=np.int32), tuple(names[none:].tolist())


def raise_faults(rules: Sequence[Rule], snapshot: Snapshot) -> None:
    """One InputError with the faults of all rules."""
    faults = [fault for rule_ in rules for fault in rule_.faults(snapshot)]
    if faults:
        raise InputError(faults)
