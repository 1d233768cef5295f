"""One problem to its best placement: the solver is asked, and its answer checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from drs import explain, solvers
from drs.model import Placement
from drs.problem import Problem
from drs.result import GoalScore, Result
from drs.solvers import levels as order
from drs.solvers import requests
from drs.solvers.base import Answer, Status
from drs.solvers.parts import worthwhile
from drs.stop import Run
from drs.terms import Lowered
from drs.verify import verify

AGAIN_S = 5.0
"""Time for a round that goes on from a search, at most."""


def solve(problem: Problem, *, solver: str, run: Run) -> Result:
    """The best placement within a budget, with a bound, re-checked by the rules themselves."""
    with run.stop.paused():  # the time limit is the search's
        engine = solvers.find(solver)
        lowered = problem.lowered
    answer = worthwhile(lowered, requests.solve(lowered, np.array(lowered.start), run, engine))
    for _ in range(3):
        # Each VM alone was promised room for its disks; those that found none together stay where they are.
        lost = problem.left_behind(problem.placement(answer.assign)) if problem.policy.storage_moves else []
        if not lost:
            break
        with run.stop.paused():
            problem = problem.holding(lost, "no room for its disks")
            lowered = problem.lowered
        if run.stop.interrupted:
            answer = _without(problem, answer, lost)
            continue
        again = run.within(run.stop.again(AGAIN_S))
        lowered = problem.lowered
        answer = worthwhile(lowered, requests.solve(lowered, np.array(lowered.start), again, engine))
    return _result(problem, dataclasses.replace(answer, interrupted=run.stop.interrupted), run)


def _without(problem: Problem, answer: Answer, lost: Sequence[str]) -> Answer:
    """The answer with these VMs where they are today; today's placement where that is no better."""
    lowered = problem.lowered
    assign = np.array(answer.assign)
    held = [problem.snapshot.vms.position[vm] for vm in lost]
    assign[held] = lowered.start[held]
    scores = lowered.scores(assign)
    today = lowered.scores(lowered.start)
    if lowered.broken_walls(assign) or order.better(lowered, today, scores):
        assign, scores = np.array(lowered.start), today
    bounds = np.zeros(len(scores))
    return dataclasses.replace(
        answer, status=order.status(lowered, scores, bounds), assign=assign, scores=scores, bounds=bounds
    )


def with_starts(problem: Problem, there: Placement, sought: Placement) -> Placement:
    """Where the moves lead, and the VMs that start (they need no move) where they were sought; they wait where a
    move that stays stranded leaves them no room."""
    starts = (problem.lowered.start < 0) & (sought.host_idx >= 0)
    if not starts.any():
        return there
    mine = starts[problem.snapshot.disks.vm_idx]
    started = Placement(
        np.where(starts, sought.host_idx, there.host_idx).astype(np.int32),
        np.where(mine, sought.datastore_idx, there.datastore_idx).astype(np.int32),
    )
    return there if problem.lowered.broken_walls(started.host_idx) else started


def settled(result: Result, placement: Placement) -> Result:
    """The result where only a part of its moves is made: what is reached is scored and checked anew."""
    problem, lowered = result.problem, result.problem.lowered
    placement = with_starts(problem, placement, result.placement)
    before = lowered.scores(lowered.start)
    after = lowered.scores(np.asarray(placement.host_idx, dtype=np.int32))
    # Of the first level the bound holds whatever is reached; those of the others suppose that the first is at its best.
    bounds = [score.bound if k == 0 else 0.0 for k, score in enumerate(result.goals)]
    goals = tuple(
        GoalScore(level.name, level.unit, float(old), float(new), float(min(bound, new)))
        for level, old, new, bound in zip(lowered.levels, before, after, bounds, strict=True)
    )
    return dataclasses.replace(
        result,
        status="feasible" if result.status == "optimal" else result.status,
        placement=placement,
        goals=goals,
        violations_after=tuple(problem.check(placement)),
    )


def _result(problem: Problem, answer: Answer, run: Run) -> Result:
    lowered = problem.lowered
    placement = problem.placement(answer.assign)
    before = lowered.scores(lowered.start)
    goals = tuple(
        GoalScore(level.name, level.unit, float(old), float(new), float(min(bound, new)))
        for level, old, new, bound in zip(lowered.levels, before, answer.scores, answer.bounds, strict=True)
    )
    result = Result(
        problem,
        _status(lowered, answer),
        placement,
        goals,
        tuple(problem.check(problem.today)),
        tuple(problem.check(placement)),
        answer.solver,
        run.seed,
        run.stop.wall_s,
        answer.iterations,
        answer.interrupted,
        immovable=explain.immovable(problem),
        stats=dict(answer.stats),
    )
    verify(result)
    return result


def _status(lowered: Lowered, answer: Answer) -> Status:
    """The answer's word, unless an item that is nowhere stays so: then what was asked is not all done."""
    for level, score, bound in zip(lowered.levels, answer.scores, answer.bounds, strict=True):
        if level.role == "placed" and score > order.TOLERANCE and answer.status != "infeasible":
            return "infeasible" if bound > order.TOLERANCE else "no_solution"
    return answer.status
