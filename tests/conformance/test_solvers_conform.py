"""Every registered solver on tiny problems: scores as the terms say, no wall crossed, never worse than today.

`cpsat` must find what trying everything finds, and its bounds must be true.
"""

from __future__ import annotations

import numpy as np
import pytest
from brute_force import TOLERANCE, Optimum, allowance, optimum
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import any_rules, goals_of, snapshots

from drs import solvers
from drs.errors import SolverUnavailableError
from drs.goals import GOALS
from drs.model import Placement
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.rules import RULES
from drs.solvers import Answer
from drs.stop import Run, Stop
from drs.terms import Lowered

KINDS = sorted(
    kind for kind in RULES if kind not in ("datastore-capacity", "datastore-state", "disks-together")
)
EXAMPLES = 25


@st.composite
def problems(draw: st.DrawFn, max_hosts: int = 3, max_vms: int = 4) -> Problem:
    """A tiny cluster, perhaps with VMs that are nowhere, a few rules and one or two goals."""
    unplaced = draw(st.integers(0, 3)) == 0
    snapshot = draw(
        snapshots(max_hosts=max_hosts, max_vms=max_vms, unplaced=unplaced, tame=draw(st.booleans()))
    )
    assume(snapshot.n_vms > 0)
    chosen = draw(any_rules(snapshot, KINDS))
    kinds = draw(st.lists(st.sampled_from(sorted(GOALS)), min_size=1, max_size=2, unique=True))
    goals = tuple(draw(goals_of(kind, snapshot)) for kind in kinds)
    return Problem(
        snapshot, chosen, Policy(goals=goals, migration_scope=draw(st.sampled_from(["cluster", "any"])))
    )


def solver(name: str) -> solvers.Solver:
    try:
        return solvers.find(name)
    except SolverUnavailableError as error:
        pytest.skip(str(error))


def is_sound(lowered: Lowered, answer: Answer) -> None:
    """What holds for every answer of every solver."""
    assign = np.asarray(answer.assign)
    assert assign.shape == lowered.start.shape
    assert ((assign >= 0) | (lowered.start < 0)).all(), "a placed item was taken out"
    assert (assign < lowered.n_bins).all()
    assert not lowered.broken_walls(assign)
    np.testing.assert_allclose(answer.scores, lowered.scores(assign), rtol=1e-6, atol=1e-6)
    finite = np.isfinite(answer.bounds)
    assert (answer.bounds[finite] <= answer.scores[finite] + 1e-4).all()


def is_no_worse(lowered: Lowered, answer: Answer) -> None:
    """The first level that differs from today's is better, slack of the levels before it aside."""
    before, after = lowered.scores(lowered.start), lowered.scores(np.asarray(answer.assign))
    for level, old, new in zip(lowered.levels, before, after, strict=True):
        if new < old - TOLERANCE * max(1.0, old):
            return
        assert new <= allowance(level, old, old) + 1e-5 * max(1.0, old), (level.name, old, new)


def bounds_are_true(answer: Answer, best: Optimum) -> None:
    """No bound claims more than what trying everything finds."""
    for bound, least in zip(answer.bounds, best.best, strict=True):
        if np.isfinite(bound):
            assert bound <= least + 1e-4 * max(1.0, abs(least)), (answer.bounds, best)


@pytest.mark.parametrize("name", solvers.names())
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_every_solver_is_sound(name: str, data: st.DataObject) -> None:
    solve = solver(name)
    lowered = data.draw(problems()).lowered
    answer = solve(lowered, np.array(lowered.start), Run(Stop(time_s=1.0, iterations=2000), 1))
    is_sound(lowered, answer)
    is_no_worse(lowered, answer)
    best = optimum(lowered)
    bounds_are_true(answer, best)
    if answer.status == "infeasible":
        assert not best.feasible
    if answer.status == "optimal":
        equals(lowered, answer, best)


def equals(lowered: Lowered, answer: Answer, best: Optimum) -> None:
    """Every level is within its allowance, and the last one as low as it can be."""
    after = lowered.scores(np.asarray(answer.assign))
    for level, score, allowed in zip(lowered.levels, after, best.allowed, strict=True):
        assert score <= allowed + 1e-4 * max(1.0, abs(allowed)), (level.name, after, best)


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_cpsat_finds_what_brute_force_finds(data: st.DataObject) -> None:
    solve = solver("cpsat")
    lowered = data.draw(problems()).lowered
    answer = solve(lowered, np.array(lowered.start), Run(Stop(time_s=20.0), 1))
    best = optimum(lowered)
    if not best.feasible:
        assert answer.status == "infeasible"
        return
    # Costs are rounded to whole units for the model, so that a proof may end within rounding.
    assert answer.status == "optimal" or np.allclose(answer.scores, answer.bounds, rtol=1e-4, atol=1e-4)
    equals(lowered, answer, best)


@given(data=st.data())
def test_the_lowered_problem_says_what_the_rules_say(data: st.DataObject) -> None:
    """Today crosses no wall, and a placement that crosses none makes no rule worse than today."""
    problem = data.draw(problems(max_hosts=4, max_vms=6))
    lowered, snapshot = problem.lowered, problem.snapshot
    assert not lowered.broken_walls(lowered.start)
    assign = lowered.start.copy()
    for vm in range(snapshot.n_vms):
        if data.draw(st.booleans()):
            assign[vm] = data.draw(st.integers(0, snapshot.n_hosts - 1))
    if lowered.broken_walls(assign) or (lowered.start < 0).any():
        return
    there = Placement(assign, snapshot.disks.datastore_idx)
    for rule in problem.rules_in_force:
        if rule.policy != "soft" and rule.items == "vms":
            before = sum(violation.amount for violation in rule.check(snapshot, problem.today))
            after = sum(violation.amount for violation in rule.check(snapshot, there))
            assert after <= before + TOLERANCE, rule
