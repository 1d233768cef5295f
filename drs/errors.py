"""Every error that `drs` raises on purpose.

::

    DrsError
    ├── InputError            bad input: names file, row, field, what was given, what was expected
    │   └── UnknownNameError  a name that is not there, with the near misses
    ├── RuleConflictError     rules that cannot hold together (`.rules`: a minimal core)
    ├── InfeasibleError       only from `Result.raise_for_status()`
    ├── PlanError
    │   └── NoSafeOrderError  no order of the moves keeps every `during` rule (`.cycle`)
    ├── SolverError
    │   └── SolverUnavailableError  (`.install`: what to install)
    └── InternalError         a bug in drs: please attach the saved problem
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

MAX_FAULTS_SHOWN = 20
"""The text of an InputError tells this many faults of each kind, and counts the rest; `faults` holds all."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an input.

    `where` names file, row and field (`vms.csv, row 17, field memory_mib`; row 1 is the first row of
    data), `given` is what stood there, `expected` what should have, `hint` a cure such as a near miss.
    """

    where: str
    given: str
    expected: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.given}; expected {self.expected}"
        return f"{text} ({self.hint})" if self.hint else text


class DrsError(Exception):
    """Base of every error that drs raises on purpose."""


class InputError(DrsError, ValueError):
    """One input, all of its faults. `where`, `given`, `expected` and `hint` are those of the first."""

    def __init__(self, faults: Fault | Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        if not self.faults:
            raise ValueError("an InputError needs at least one fault")
        first = self.faults[0]
        self.where, self.given = first.where, first.given
        self.expected, self.hint = first.expected, first.hint
        self.partial: tuple[Any, ...] = ()
        """What could be read in spite of the faults, where something could."""
        super().__init__("\n".join(_lines(self.faults)))

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.faults,))


def _lines(faults: Sequence[Fault]) -> list[str]:
    """The first faults of each kind, in order, and how many more there are of it."""
    shown: dict[str, list[str]] = {}
    count: Counter[str] = Counter()
    for fault in faults:
        kind = _ROW.sub("", fault.where)
        count[kind] += 1
        if count[kind] <= MAX_FAULTS_SHOWN:
            shown.setdefault(kind, []).append(str(fault))
        elif count[kind] == MAX_FAULTS_SHOWN + 1:
            shown[kind].append("")
    for kind, lines in shown.items():
        if not lines[-1]:
            lines[-1] = f"and {count[kind] - MAX_FAULTS_SHOWN:,} more of {kind}"
    return [line for lines in shown.values() for line in lines]


_ROW = re.compile(r", (?:row|line) \d+(?: \([^)]*\))?|(?<=\]\]) \d+(?: \([^)]*\))?")
"""What tells faults of one kind apart: a row with its key, the number of a table of TOML."""


class UnknownNameError(InputError):
    """A name that does not exist where it was looked up."""

    def __init__(self, faults: Fault | Iterable[Fault]) -> None:
        super().__init__(faults)

    @classmethod
    def of(cls, where: str, name: str, known: Iterable[str], what: str) -> UnknownNameError:
        """`what` is the kind of thing looked for: "host", "solver", "dataset"."""
        known = list(known)
        expected = f"the name of a {what}"
        if known and len(known) <= 12:
            expected = f"one of {', '.join(sorted(known))}"
        return cls(Fault(where, f"unknown {what} {name!r}", expected, did_you_mean(name, known)))


class RuleConflictError(DrsError):
    """Rules that cannot hold together; `rules` is a minimal set of their names."""

    def __init__(self, message: str, rules: Sequence[str]) -> None:
        super().__init__(message)
        self.rules = tuple(rules)


class InfeasibleError(DrsError):
    """No placement satisfies the hard rules. Raised only by `Result.raise_for_status()`."""


class PlanError(DrsError):
    """A set of moves that cannot be turned into a plan."""


class NoSafeOrderError(PlanError):
    """No order of the moves keeps every `during` rule; `cycle` names the VMs that wait for each other."""

    def __init__(self, message: str, cycle: Sequence[str]) -> None:
        super().__init__(message)
        self.cycle = tuple(cycle)


class SolverError(DrsError):
    """A solver that failed."""


class SolverUnavailableError(SolverError):
    """A solver whose library is not installed; `install` says how to get it."""

    def __init__(self, message: str, install: str) -> None:
        super().__init__(message)
        self.install = install


class InternalError(DrsError):
    """Two parts of drs that must agree do not. This is a bug: please report it with the saved problem."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`"did you mean esx-11?"`, or an empty string when nothing is near.

    >>> did_you_mean("esx-1l", ["esx-11", "db-07"])
    'did you mean esx-11?'
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""
