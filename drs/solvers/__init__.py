"""Solvers, found by name: the built-in ones and those of the entry point group `drs.solvers`.

A solver is a function `(lowered, start, run) -> Answer`. It may declare the terms that
it reads as an attribute `reads` (a tuple of term classes; absent: every term). Looking one up loads it, so
that `import drs.solvers` costs neither ortools nor numba.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points

from drs.errors import SolverError, SolverUnavailableError, UnknownNameError
from drs.solvers.base import Answer, Solver, Status
from drs.terms import COSTS, LIMITS
from drs.terms.base import Lowered

GROUP = "drs.solvers"

BUILT_IN: Mapping[str, str] = {
    "auto": "drs.solvers.auto:solve",
    "cpsat": "drs.solvers.exact.cpsat:solve",
    "greedy": "drs.solvers.greedy:solve",
    "lns": "drs.solvers.lns:solve",
    "localsearch": "drs.solvers.localsearch:solve",
}

__all__ = ["BUILT_IN", "GROUP", "Answer", "Solver", "Status", "check_reads", "find", "names", "reads"]


def _targets() -> dict[str, str]:
    found = {point.name: point.value for point in entry_points(group=GROUP)}
    return found | dict(BUILT_IN)


def names() -> list[str]:
    """The names of all solvers, sorted."""
    return sorted(_targets())


def find(name: str) -> Solver:
    """The solver of that name.

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
    return solver


def reads(solver: Solver) -> tuple[type, ...]:
    """The classes of terms that a solver can read."""
    return tuple(getattr(solver, "reads", LIMITS + COSTS))


def check_reads(lowered: Lowered, solver: Solver) -> None:
    """Raise SolverError when a problem holds a term that the solver cannot read."""
    known = reads(solver)
    terms = [wall.term for wall in lowered.walls]
    terms += [entry.term for level in lowered.levels for entry in level.terms]
    unread = sorted({type(term).__name__ for term in terms if not isinstance(term, known)})
    if unread:
        raise SolverError(f"this solver does not read the terms {', '.join(unread)}")
