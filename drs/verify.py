"""A solver's answer against the rules' and goals' own checks, which share no code with terms or solvers."""

from __future__ import annotations

import math

import numpy as np

from drs.errors import InternalError
from drs.result import Result

ROUNDING = 1e-6
"""Differences of a score up to this share of it are rounding."""


def verify(result: Result) -> None:
    """Raise InternalError where what the solver said is not what the rules and goals find themselves."""
    problem = result.problem
    lowered, assign = problem.lowered, np.asarray(result.placement.host_idx)
    crossed = [wall.origin for wall in lowered.broken_walls(assign)]
    if crossed:
        raise InternalError(f"the solver {result.solver!r} crossed {', '.join(sorted(set(crossed)))}")
    policies = {rule.label: rule.policy for rule in problem.rules_in_force}
    total: dict[str, float] = {}
    for sign, violations in ((-1.0, result.violations_before), (1.0, result.violations_after)):
        for violation in violations:
            total[violation.rule] = total.get(violation.rule, 0.0) + sign * violation.amount
    worse = [name for name, change in total.items() if change > 1e-3 and policies.get(name) != "soft"]
    if worse and not (problem.snapshot.vms.host_idx < 0).any():
        raise InternalError(f"the solver {result.solver!r} made {', '.join(sorted(worse))} worse than today")
    hard = sorted({v.rule for v in result.violations_after if policies.get(v.rule) == "hard"})
    if hard and result.status in ("optimal", "feasible"):
        raise InternalError(f"status {result.status} with broken hard rules: {', '.join(hard)}")
    own = result.goals[len(result.goals) - len(problem.goals) :]
    for goal, score in zip(problem.goals, own, strict=True):
        said = score.after
        found = goal.measure(problem.snapshot, result.placement, problem.prices)
        if not math.isclose(said, found, rel_tol=1e-6, abs_tol=1e-6):
            raise InternalError(f"goal {goal.type}: the solver says {said}, its own measure {found}")
