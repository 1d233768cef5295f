"""From a posed problem to a verified, priced plan: solve, order the moves, say what is impossible and why."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from drs import explain, in_time, modes, planning, staged
from drs.audit import audit
from drs.explain.contradictions import conflicts
from drs.in_time import plan
from drs.model import Snapshot
from drs.planning import Plan
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.result import Asked, Result
from drs.rules import Rule
from drs.solvers import levels
from drs.solving import AGAIN_S, solve, with_starts
from drs.stop import Run

CONFLICTS_S = 10.0
"""Time to find out what is impossible, at most."""


def advise(
    snapshot: Snapshot,
    rules: Sequence[Rule],
    policy: Policy,
    *,
    mode: str,
    options: modes.Options,
    solver: str,
    run: Run,
    with_plan: bool = True,
) -> Result:
    """The advice of one mode: see `drs.advise`, which reads what is not given and begins the budget.

    Parameters
    ----------
    with_plan : whether the moves are ordered and timed; without that only the end state is audited, and neither the
        conflict of rules that cannot hold together nor what is not made worse is looked for.
    """
    snapshot = snapshot.counting(policy.memory)
    asked = Asked(
        snapshot, tuple(rules), policy, mode, options, solver, run.seed, run.stop.time_s, run.stop.iterations
    )
    with run.stop.paused():  # the time limit is the search's
        problem = modes.pose(mode, snapshot, rules, policy, options)
        mode = modes.name(mode, options)
        _warn_of_contradictions(problem)
    answer = modes.MODES[mode].answer
    if answer is None:
        result = solve(problem, solver=solver, run=run)
    else:
        result = answer(problem, solve=solve, options=options, solver=solver, run=run)
    notes = [note for goal in problem.goals for note in goal.notes(problem.snapshot)]
    result = dataclasses.replace(result, warnings=(*result.warnings, *dict.fromkeys(notes)))
    if with_plan:
        result = _with_plan(result, mode, options, solver, run)
        result = _with_conflicts(result, run)
        result = _in_stages(result, options, run)
    report = modes.report(mode, result, options) if with_plan else None
    made = result.plan
    findings = audit(
        result.problem,
        result.placement,  # what the plan reaches, and the VMs that start
        today=snapshot,
        rules=rules,
        host_states=getattr(report, "host_states", None),
        moves=made.moves if made is not None else (),
        stop=run.stop,
    )
    result = dataclasses.replace(
        result,
        report=report,
        findings=findings,
        asked=asked,
        elapsed_s=run.stop.wall_s,
        interrupted=run.stop.interrupted,
    )
    return dataclasses.replace(result, not_more=explain.not_more(result)) if with_plan else result


def _in_stages(result: Result, options: modes.Options, run: Run) -> Result:
    """Adds what the moves bring one after the other; where a stage is asked for, only that is left of the plan."""
    with run.stop.paused():
        result = dataclasses.replace(result, curve=staged.curve(result))
    if not options.stage:
        return result
    when = modes.when(result.problem.snapshot, result.problem.policy, options, result.mode)
    # A plan for a part of the moves takes no more than one for all did.
    part = staged.stage(
        result, options.stage, when, run.followed_by(None if run.stop.time_s is None else 5.0)
    )
    if part is None:
        return result
    reached, made, reasons, said = part
    moving = {move.vm for move in made.moves}
    told = [text for text in result.warnings if "may not converge" not in text]
    if any(not move.converged for move in made.moves):
        names = ", ".join(move.vm for move in made.moves if not move.converged)
        told.append(f"live migration may not converge: {names}")
    return dataclasses.replace(
        reached,
        plan=made,
        reasons=tuple(reason for reason in reasons if reason.vm in moving),
        warnings=tuple(dict.fromkeys([*told, *made.warnings])),
        curve=result.curve,
        stage=said,
        mode=result.mode,
        timing=result.timing,
    )


def _warn_of_contradictions(problem: Problem) -> None:
    """Tell at once, before any search, which rules cannot all be kept.

    It is no error: what can be done without them is planned, and the result names them and what would help.
    """
    from drs.io import InputWarning

    for each in conflicts(problem.rules_in_force, problem.snapshot):
        warnings.warn(f"{each}; no plan can keep them all", InputWarning, stacklevel=4)


def _with_conflicts(result: Result, run: Run) -> Result:
    """Where nothing satisfies the hard rules: which of them cannot hold together."""
    if result.status not in ("infeasible", "no_solution"):
        return result
    # What is left of the budget, or else a tenth of it on top.
    stop, time_s = run.stop, CONFLICTS_S
    if stop.time_s is not None:
        time_s = min(CONFLICTS_S, max(1.0, 0.1 * stop.time_s, stop.remaining_s))
    found = explain.conflicts(result.problem, seed=run.seed, stop=stop.followed_by(time_s))
    status = "infeasible" if found else result.status
    return dataclasses.replace(result, conflicts=found, status=status)


def _as_reached(result: Result, made: Plan, mode: str) -> Result:
    """The result of what the plan reaches: where moves stay stranded that is less than what was sought."""
    there, sought = with_starts(result.problem, made.placement, result.placement), result.placement
    if np.array_equal(there.host_idx, sought.host_idx) and np.array_equal(
        there.datastore_idx, sought.datastore_idx
    ):
        return result
    lowered, scores = modes.scores(mode, result.problem, there)
    goals = tuple(
        dataclasses.replace(goal, after=float(score), bound=min(goal.bound, float(score)))
        for goal, score in zip(result.goals, scores, strict=True)
    )
    status = levels.status(lowered, scores, np.array([goal.bound for goal in goals]))
    return dataclasses.replace(
        result,
        status=result.status if result.status in ("infeasible", "no_solution") else status,
        placement=there,
        goals=goals,
        violations_after=tuple(result.problem.check(there)),
    )


def _with_plan(
    result: Result,
    mode: str,
    options: modes.Options,
    solver: str,
    run: Run,
) -> Result:
    """Adds the plan; moves that no safe order reaches are given up and the rest is solved again."""
    problem, stop = result.problem, run.stop
    when = modes.when(problem.snapshot, problem.policy, options, mode)
    whole = result
    # Scheduling comes after the search and gets a share of its own; under an iteration budget a fixed amount
    # of work, so that the clock is never read.
    budget_s = None if stop.time_s is None else min(5.0, max(1.0, 0.1 * stop.time_s))
    made, reasons = plan(result, run.followed_by(budget_s), when)
    told = list(result.warnings)
    if mode == "recover" and problem.policy.windows.freeze and made.moves:
        told.append("frozen hours do not hold while hosts are lost: moves that make room start at once")
    stranded: list[planning.Stranded] = []
    # What goes round again shares a fifth of the budget; under an iteration budget it has as many steps again.
    spare = stop.followed_by(None if stop.time_s is None else max(1.0, 0.2 * stop.time_s))
    for _ in range(3):
        stuck = [move for move in made.stranded if not move.no_time]
        if not stuck or not modes.MODES[mode].solves_again(problem) or spare.reached(0):
            break
        # A placement that is reached only in part may break a rule that the whole one kept, so the
        # stranded VMs are held where they are and the others are placed anew around them.
        stranded += stuck
        problem = problem.holding([move.vm for move in stranded], "no safe order")
        again_s = None if spare.time_s is None else min(AGAIN_S, spare.remaining_s / 2)
        result = solve(problem, solver=solver, run=run.followed_by(again_s, stop.iterations))
        made, reasons = plan(result, run.within(spare.part(0.5)), when)
        whole = result
    timing = None
    if when.limited and modes.MODES[mode].solves_again(problem):
        result, made, reasons, timing = in_time.within(
            whole, made, reasons, when, solver=solver, run=run.within(spare)
        )
    result = _as_reached(result, made, mode)
    each_once = {move.vm: move for move in (*made.stranded, *stranded)}
    made = dataclasses.replace(made, stranded=tuple(each_once.values()))
    told += [
        f"{move.vm} stays on {move.from_host}: {move.reason}"
        for move in made.stranded
        if timing is None or not move.no_time
    ]
    status = result.status
    if made.stranded and status == "optimal":
        status = "feasible"
    if any(not move.converged for move in made.moves):
        names = ", ".join(move.vm for move in made.moves if not move.converged)
        told.append(f"live migration may not converge: {names}")
    return dataclasses.replace(
        result,
        status=status,
        plan=made,
        reasons=reasons,
        warnings=(*told, *made.warnings),
        mode=mode,
        timing=timing,
    )
