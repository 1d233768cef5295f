"""Solvers, found by name: the built-in ones and those of the entry point group `drs.solvers`.

A solver is a function `(lowered, start, run) -> Answer`. It may declare the terms that
it reads as an attribute `reads` (a tuple of term classes; absent: every term). Looking one up loads it, so
that `import drs.solvers` costs neither ortools nor numba.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points

from drs.errors import SolverError, SolverUnavailableError, UnknownNameError
from drs.solvers.base import Answer, Solver, Status
from drs.stop import Run
from drs.terms import COSTS, LIMITS
from drs.terms.base import Ints, Lowered

GROUP = "drs.solvers"

BUILT_IN: Mapping[str, str] = {
    "auto": "drs.solvers.auto:solve",
    "cpsat": "drs.solvers.exact.cpsat:solve",
    "greedy": "drs.solvers.greedy:solve",
    "lns": "drs.solvers.lns:solve",
    "localsearch": "drs.solvers.localsearch:solve",
}

__all__ = ["BUILT_IN", "GROUP", "Answer", "Asked", "Solver", "Status", "check_reads", "find", "names"]


def _targets() -> dict[str, str]:
    found = {point.name: point.value for point in entry_points(group=GROUP)}
    return found | dict(BUILT_IN)


def names() -> list[str]:
    """The names of all solvers, sorted."""
    return sorted(_targets())


def find(name: str) -> Solver:
    """The solver of that name. It refuses a problem with a term that it does not read before it begins.

    Raises
    ------
    UnknownNameError : no solver is called so; the near miss is in the hint.
    SolverUnavailableError : a library that it needs is not installed; `.install` says how to get it.
    """
    targets = _targets()
    if name not in targets:
        raise UnknownNameError.of("solver", name, targets, "solver")
    module, _, attribute = targets[name].partition(":")
    try:
        solver: Solver = getattr(importlib.import_module(module), attribute or "solve")
    except ImportError as error:
        package = (error.name or module).partition(".")[0]
        raise SolverUnavailableError(
            f"the solver {name!r} needs {package}, which cannot be imported: {error}",
            f"pip install {package}",
        ) from error
    return Asked(name, solver)


@dataclass(frozen=True)
class Asked:
    """A solver that is asked which terms it reads each time it is called, so that no caller can forget it."""

    name: str
    solver: Solver

    @property
    def reads(self) -> tuple[type, ...]:
        """The classes of terms that the solver can read."""
        return tuple(getattr(self.solver, "reads", LIMITS + COSTS))

    def __call__(self, lowered: Lowered, start: Ints, run: Run) -> Answer:
        """Solve. Raises SolverError when the problem holds a term that the solver cannot read."""
        check_reads(lowered, self)
        return self.solver(lowered, start, run)


def check_reads(lowered: Lowered, solver: Asked) -> None:
    """Raise SolverError, with the terms and the rules or goals they come from, when a solver cannot read all."""
    entries = [(wall.term, wall.origin) for wall in lowered.walls]
    entries += [(entry.term, entry.origin) for level in lowered.levels for entry in level.terms]
    known = solver.reads
    unread = sorted({(type(term).__name__, of) for term, of in entries if not isinstance(term, known)})
    if unread:
        what = ", ".join(f"{term} (of {of})" if of else term for term, of in unread)
        raise SolverError(f"the solver {solver.name!r} does not read the terms {what}")
