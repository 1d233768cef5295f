"""The Pareto frontier "imbalance against migration cost": what every step of balance costs.

>>> import drs
>>> found = drs.pareto.frontier("small", time_s=20)      # doctest: +SKIP
>>> found.to_frame()                                     # doctest: +SKIP
>>> found.result(found.knee).moved_vms                   # doctest: +SKIP

Broken rules are repaired first, by every point alike; the first point is the cheapest way to do so (nothing
at all where nothing is broken), the last one the best balance that was found. The method stands in
`drs.solvers.tradeoff`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drs import api
from drs.audit import audit
from drs.errors import Fault, InputError, InternalError
from drs.frame import DataFrame, frame
from drs.goals import Balance, Goal, Moves
from drs.model import Placement
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.result import Finding, GoalScore, Result
from drs.rules import Rule
from drs.solvers import tradeoff
from drs.solvers.base import Status
from drs.stop import OnProgress, Run, Stop
from drs.terms import MoveCost
from drs.terms.base import Floats, Lowered

MIN_POINTS, MAX_POINTS = 3, 100
DEFAULT_TIME_S = 20.0
"""Where no limit is given."""


@dataclass(frozen=True, slots=True, eq=False)
class FrontierPoint:
    """One plan: no other is at least as good in both respects and better in one.

    cost : migration cost, in the unit of the frontier's goal of moves.
    score : imbalance, the balance goal with target 0.
    bound : no placement of this cost or less is better balanced.
    is_knee : beyond this point a further gain becomes dear.
    findings : what the plan makes worse than today (`drs.audit`).
    """

    placement: Placement
    n_moves: int
    cost: float
    score: float
    bound: float
    is_knee: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def gap_ratio(self) -> float:
        """(score - bound) / score: 0 when proven."""
        return 0.0 if self.score - self.bound <= 1e-9 else (self.score - self.bound) / self.score


@dataclass(frozen=True, eq=False)
class Frontier:
    """Non-dominated plans by ascending cost.

    problem : what was solved: the goals are the balance with target 0, then the price of moves.
    points : none where the hard rules cannot be satisfied, or were not in time (see `status`).
    knee : position of the point farthest below the chord between the first and the last point, both axes
        scaled to 1; None where no point lies below it.
    """

    problem: Problem
    status: Status
    points: tuple[FrontierPoint, ...]
    knee: int | None
    cost_unit: str
    score_unit: str
    seed: int
    elapsed_s: float
    iterations: int
    interrupted: bool

    def to_frame(self) -> DataFrame:
        """One row a point."""
        return frame(
            {
                "n_moves": [p.n_moves for p in self.points],
                "cost": [p.cost for p in self.points],
                "score": [p.score for p in self.points],
                "bound": [p.bound for p in self.points],
                "gap_ratio": [p.gap_ratio for p in self.points],
                "is_knee": [p.is_knee for p in self.points],
                "n_worse_than_today": [len(p.findings) for p in self.points],
            }
        )

    def result(self, index: int) -> Result:
        """One point as the result of a solve, ready for `drs.plan`."""
        problem, point = self.problem, self.points[index]
        lowered = problem.lowered
        before, after = lowered.scores(lowered.start), lowered.scores(np.asarray(point.placement.host_idx))
        bounds = np.zeros(len(after))
        bounds[-2] = point.bound
        goals = tuple(
            GoalScore(level.name, level.unit, float(old), float(new), float(min(bound, new)))
            for level, old, new, bound in zip(lowered.levels, before, after, bounds, strict=True)
        )
        return Result(
            problem,
            "feasible",
            point.placement,
            goals,
            tuple(problem.check(problem.today)),
            tuple(problem.check(point.placement)),
            "pareto",
            self.seed,
            self.elapsed_s,
            self.iterations,
            self.interrupted,
            findings=point.findings,
        )


def frontier(
    source: api.Source | Problem,
    *,
    n_points: int = 15,
    time_s: float | None = None,
    iterations: int | None = None,
    seed: int = 0,
    stop: Stop | None = None,
    on_progress: OnProgress | None = None,
    rules: Sequence[Rule] | None = None,
    policy: Policy | None = None,
) -> Frontier:
    """Plans from doing nothing (or the cheapest repair) to the best balance, within one run's budget.

    With `iterations` and no `time_s` the same seed gives the same points on any machine. An interrupt returns
    the points found so far.

    Parameters
    ----------
    source : folder, dataset name, Snapshot, mapping of table name to DataFrame; or a posed problem.
    n_points : how many points at most, 3 to 100; fewer where there are no more.
    time_s, iterations, stop : as of `drs.solve`; 20 s where nothing is given.
    rules, policy : those beside the snapshot, or of the problem, where not given. Of the policy's goals its
        balance (with target 0) and its price of moves are taken.
    """
    if not MIN_POINTS <= n_points <= MAX_POINTS:
        raise InputError(Fault("n_points", f"{n_points}", f"{MIN_POINTS} to {MAX_POINTS}"))
    run = Run.begin(time_s, iterations, seed, stop, on_progress, default_s=DEFAULT_TIME_S)
    stop = run.stop
    with stop.paused():  # the time limit is the search's
        problem = _posed(source, rules, policy)
    lowered = problem.lowered
    walk = tradeoff.walk(lowered, run, n_limits=2 * n_points)
    missing = any(
        level.must_vanish and score > 1e-9 for level, score in zip(lowered.levels, walk.scores, strict=True)
    )
    found = [] if missing else [walk.points[i] for i in tradeoff.spread(walk.points, n_points)]
    found = tradeoff.bounded(lowered, walk, found, _weights(lowered), stop)
    knee = knee_of([p.price for p in found], [p.value for p in found])
    points = tuple(_point(problem, p, i == knee, stop) for i, p in enumerate(found))
    balance, moves = problem.goals
    return Frontier(
        problem, "feasible" if points else "no_solution", points, knee, moves.unit, balance.unit, seed,
        stop.wall_s, walk.iterations, stop.interrupted,
    )  # fmt: skip


def _posed(source: api.Source | Problem, rules: Sequence[Rule] | None, policy: Policy | None) -> Problem:
    """The problem with the two goals of the frontier."""
    if isinstance(source, Problem):
        rules = source.rules if rules is None else rules
        policy = policy or source.policy
        problem = dataclasses.replace(source, rules=rules, policy=policy)
    else:
        problem = Problem(
            api.read(source),
            api.read_rules(source) if rules is None else rules,
            policy or api.read_policy(source),
        )
    goals = problem.policy.goals
    balance: Goal = next((goal for goal in goals if isinstance(goal, Balance)), Balance())
    assert isinstance(balance, Balance)
    balance = dataclasses.replace(balance, target=0.0, slack_ratio=0.0, worth_ratio=0.0)
    moves = next((goal for goal in goals if isinstance(goal, Moves)), Moves())
    moves = dataclasses.replace(moves, slack_ratio=0.0, worth_ratio=0.0)
    return dataclasses.replace(problem, policy=dataclasses.replace(problem.policy, goals=(balance, moves)))


def _weights(lowered: Lowered) -> Floats:
    """What each VM's move costs, f8[n_vms]."""
    price = np.zeros(lowered.n_items)
    for entry in lowered.levels[-1].terms:
        if isinstance(entry.term, MoveCost):
            price += entry.weight * entry.term.per_item
    return price


def _point(problem: Problem, found: tradeoff.Tradeoff, is_knee: bool, stop: Stop) -> FrontierPoint:
    """A solution as a placement, checked by the goals' own measure."""
    placement = problem.placement(found.assign)
    for goal, said in zip(problem.goals, (found.value, found.price), strict=True):
        measured = goal.measure(problem.snapshot, placement, problem.prices)
        if not math.isclose(said, measured, rel_tol=1e-6, abs_tol=1e-6):
            raise InternalError(f"goal {goal.type}: the search says {said}, its own measure {measured}")
    crossed = problem.lowered.broken_walls(found.assign)
    if crossed:
        raise InternalError(f"a point crosses {', '.join(sorted({wall.origin for wall in crossed}))}")
    start = problem.lowered.start
    n_moves = int(((found.assign != start) & (start >= 0)).sum())
    findings = audit(problem, placement, stop=stop)
    return FrontierPoint(placement, n_moves, found.price, found.value, found.bound, is_knee, findings)


def knee_of(cost: Sequence[float], score: Sequence[float]) -> int | None:
    """The position of the point farthest below the chord between the ends, both axes scaled to 1.

    None where no point lies below the chord, so never an end.
    """
    if len(cost) < 3:
        return None
    x = (np.asarray(cost) - cost[0]) / max(cost[-1] - cost[0], 1e-300)
    y = (np.asarray(score) - score[-1]) / max(score[0] - score[-1], 1e-300)
    below = (1.0 - x - y) / math.sqrt(2.0)
    best = int(np.argmax(below))
    return best if below[best] > 1e-9 else None


__all__ = ["Frontier", "FrontierPoint", "frontier", "knee_of"]
