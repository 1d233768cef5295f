"""Plans, proves and prices virtual machine migrations.

>>> import drs
>>> result = drs.advise("small", time_s=5)           # doctest: +SKIP
>>> result.plan.to_frame()                           # doctest: +SKIP

Data flows one way: snapshot → problem → placement → plan → report. All else lives in namespaces:
`drs.rules`, `drs.goals`, `drs.stop`, `drs.precopy`, `drs.whatif`, `drs.automatic`, `drs.datasets`, `drs.testing`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drs.api import advise, check, estimate, plan, read, solve
    from drs.errors import DrsError
    from drs.model import Placement, Snapshot
    from drs.planning import Plan
    from drs.problem import Problem
    from drs.result import Result

_HOME = {
    "Snapshot": "drs.model",
    "Problem": "drs.problem",
    "Placement": "drs.model",
    "Result": "drs.result",
    "Plan": "drs.planning",
    "DrsError": "drs.errors",
    "read": "drs.api",
    "check": "drs.api",
    "solve": "drs.api",
    "plan": "drs.api",
    "estimate": "drs.api",
    "advise": "drs.api",
}
_ROOMS = {
    "automatic", "datasets", "errors", "execute", "explain", "goals", "io", "model", "modes", "options", "pareto",
    "planning", "plotting", "precopy", "problem", "report", "rules", "solvers", "stop", "terms", "testing",
    "units", "whatif", "words",
}  # fmt: skip

__all__ = [
    "DrsError",
    "Placement",
    "Plan",
    "Problem",
    "Result",
    "Snapshot",
    "advise",
    "check",
    "estimate",
    "plan",
    "read",
    "solve",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that `import drs` costs next to nothing.
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"drs.{name}")
    raise AttributeError(f"module 'drs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS])
