"""The plan of a result, and the best state that can be reached in the time there is.

A plan that is too long is not cut: its moves are chosen for what they gain in the time, and the problem is solved again
with as many seconds of migration as the time has shown to hold, for what fits may have another best end.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drs import explain, planning
from drs.modes import When, when
from drs.options import Options
from drs.planning import Plan
from drs.problem import Problem
from drs.result import MANDATORY, OtherTime, Reason, Result, Timing
from drs.solvers import levels as order
from drs.solving import settled, solve
from drs.stop import Run
from drs.terms.base import Floats, Ints

ROUNDS = 3
"""How often the problem is solved again with less to move."""

OTHER_TIMES = (0.5, 2.0)
"""What other times would bring is told for these shares of the time."""


@dataclass(frozen=True)
class _Worth:
    """What states on the way are worth to the problem."""

    problem: Problem

    def scores(self, host_idx: Ints) -> Floats:
        return self.problem.lowered.scores(host_idx)

    def holds(self, host_idx: Ints) -> bool:
        return not self.problem.lowered.broken_walls(host_idx)


def plan(
    result: Result, run: Run, time: When | None = None, method: planning.Method = "auto"
) -> tuple[Plan, tuple[Reason, ...]]:
    """The plan, and why each VM in it moves; without a time, in that which the policy allows."""
    problem = result.problem
    snapshot = problem.snapshot
    time = when(snapshot, problem.policy, Options()) if time is None else time
    reasons = explain.reasons(problem, result.placement)
    moves_hosts = bool((result.placement.host_idx != snapshot.vms.host_idx).any())
    made = planning.make_plan(
        snapshot,
        result.placement,
        problem.lowered.during,
        concurrency=problem.policy.concurrency,
        profile=problem.policy.cost_profile,
        reasons={vm: reason.text for vm, reason in reasons.items()},
        allowed=problem.parking_hosts,
        priorities=time.priorities,
        needed={vm for vm, reason in reasons.items() if reason.priority == MANDATORY},
        window=time.within_s if math.isfinite(time.within_s) else None,
        deadline_s=time.deadline_s,
        forbidden=time.forbidden,
        forbidden_hosts=time.forbidden_hosts,
        worth=_Worth(problem) if moves_hosts else None,
        run=run,
        method=method,
    )
    return explain.annotate(problem, made, reasons)


def within(
    result: Result, made: Plan, reasons: tuple[Reason, ...], time: When, *, solver: str, run: Run
) -> tuple[Result, Plan, tuple[Reason, ...], Timing]:
    """The best that can be reached in the time, from the best state and a plan of what there is time for of it.

    Returns
    -------
    The result where the plan leads, the plan, its reasons, and what the time brings.
    """
    full = result
    asked = len(made.moves) + len(made.stranded)
    late = [move for move in made.stranded if move.no_time]
    best = settled(full, made.placement) if late else full
    if late:
        best, made, reasons = _solved_again(full, best, made, reasons, time, solver, run)
    others: tuple[OtherTime, ...] = ()
    if math.isfinite(time.within_s) and (made.moves or late):
        others = tuple(_other(full, best, made, late, time, share, run) for share in OTHER_TIMES)
    moving = {move.vm for move in made.moves}
    names = tuple(sorted({move.vm for move in late} - moving))
    before = full.problem.lowered.scores(full.problem.lowered.start)
    timing = Timing(
        time.begins.isoformat() if time.begins else "",
        time.within_s if math.isfinite(time.within_s) else None,
        len(made.moves),
        asked,
        names,
        {level.name: (float(a), float(b)) for level, a, b in
         zip(full.problem.lowered.levels, before, _scores(best), strict=True)},
        others,
        time.sentence(),
    )  # fmt: skip
    return best, made, reasons, timing


def _scores(result: Result) -> Floats:
    return result.problem.lowered.scores(np.asarray(result.placement.host_idx))


def _solved_again(
    full: Result, best: Result, made: Plan, reasons: tuple[Reason, ...], time: When, solver: str, run: Run
) -> tuple[Result, Plan, tuple[Reason, ...]]:
    """What is better and fits, of the best states with so many seconds of migration at most."""
    lowered = full.problem.lowered
    position = full.snapshot.vms.position
    price_s = full.problem.prices.move_s
    never = time.never(price_s)
    names = full.snapshot.vms.name
    base = full.problem.holding([str(names[vm]) for vm in never], "no time") if never else full.problem
    budget_s = float(sum(price_s[position[move.vm]] for move in made.moves))
    if never:
        # What fitted so far says little of how much fits without these: all that one path carries, for a beginning.
        budget_s = max(budget_s, time.within_s if math.isfinite(time.within_s) else float(price_s.sum()))
    for _ in range(ROUNDS):
        if run.stop.remaining_s <= 0 or run.stop.interrupted:
            break
        less = base.with_less_to_move(budget_s)
        part = run.part(0.4)
        answer = solve(less, solver=solver, run=part)
        answer = dataclasses.replace(answer, problem=full.problem)
        there, why = plan(answer, part, time)
        reached = settled(answer, there.placement)
        if there.stranded and any(not move.no_time for move in there.stranded):
            break
        if order.better(lowered, _scores(reached), _scores(best)) and not lowered.broken_walls(
            np.asarray(reached.placement.host_idx)
        ):
            best, made, reasons = reached, there, why
        if there.stranded:
            budget_s *= 0.8
        elif there.makespan_s < 0.9 * time.within_s:
            budget_s *= 1.25
        else:
            break
    return best, made, reasons


def _other(
    full: Result, best: Result, made: Plan, late: Sequence[planning.Stranded], time: When, share: float, run: Run
) -> OtherTime:  # fmt: skip
    """What another time would bring: of the states found, the best that can be reached in it."""
    lowered = full.problem.lowered
    other = dataclasses.replace(time, within_s=time.within_s * share)
    found: list[tuple[Result, int]] = []
    for target in (best, full) if late else (best,):
        if share > 1 and not late:
            found.append((best, len(made.moves)))
            break
        there, _ = plan(target, run.within(run.stop.followed_by(1.0, 0)), other, "list")
        found.append((settled(target, there.placement), len(there.moves)))
    reached, n_moves = found[0]
    for candidate, n in found[1:]:
        if order.better(lowered, _scores(candidate), _scores(reached)):
            reached, n_moves = candidate, n
    after = {level.name: float(x) for level, x in zip(lowered.levels, _scores(reached), strict=True)}
    return OtherTime(other.within_s, n_moves, after)
