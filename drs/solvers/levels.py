"""The lexicographic order as every solver reads it: ceilings, what counts as settled, which plan is better.

One convention for all: an item that has a bin today keeps being placed somewhere; only an item that is
nowhere today may stay nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drs.solvers.base import Status
from drs.terms.base import Floats, Ints, Level, Lowered

TOLERANCE = 1e-6
"""Relative (and, below 1, absolute) difference under which two costs are the same."""


def close(value: float) -> float:
    """The tolerance around a cost."""
    return TOLERANCE * max(0.5, abs(value))


def ceiling(level: Level, best: float, today: float) -> float:
    """The cost up to which later levels may worsen a level whose best cost is `best`.

    An improvement on `today` by less than `worth_ratio` of it is not worth a move: then today's cost is good
    enough. A level that must vanish allows nothing above its best.
    """
    if level.must_vanish:
        return best
    allowed = best * (1.0 + level.slack_ratio) + level.slack
    if level.worth_ratio > 0 and today - best < level.worth_ratio * today:
        allowed = max(allowed, today)
    return allowed


def ceilings(lowered: Lowered, scores: Sequence[float] | Floats) -> Floats:
    """`ceiling` of every level, f8[n_levels], from the scores of a plan and those of today."""
    today = lowered.scores(lowered.start)
    return np.array(
        [
            ceiling(level, float(s), float(t))
            for level, s, t in zip(lowered.levels, scores, today, strict=True)
        ]
    )


def settled(level: Level, score: float, bound: float, today: float) -> bool:
    """Whether a score is proven: even the best that `bound` leaves possible allows it."""
    allowed = ceiling(level, max(0.0, bound), today)
    return score <= allowed + close(allowed)


def within(scores: Floats, limits: Floats, upto: int) -> bool:
    """Whether the first `upto` scores keep their ceilings."""
    return all(s <= c + close(float(c)) for s, c in zip(scores[:upto], limits[:upto], strict=True))


def lex_less(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> bool:
    """Whether `a` comes before `b`: smaller at the first level where they differ by more than rounding."""
    for x, y in zip(a, b, strict=True):
        if x < y - close(float(y)):
            return True
        if x > y + close(float(y)):
            return False
    return False


def better(lowered: Lowered, a: Floats, b: Floats) -> bool:
    """Whether plan scores `a` beat `b` when each level may differ within its slack.

    A level decides only when one side is above the ceiling that the better side sets.
    """
    today = lowered.scores(lowered.start)
    last = len(lowered.levels) - 1
    for k, (level, x, y, t) in enumerate(zip(lowered.levels, a, b, today, strict=True)):
        limit = float(min(x, y)) if k == last else ceiling(level, float(min(x, y)), float(t))
        limit += close(limit)
        if x > limit or y > limit:
            return bool(x < y)
    return lex_less(a, b)


def finished(lowered: Lowered, scores: Floats, bounds: Floats) -> bool:
    """Whether every level is proven. One that has to vanish and cannot is finished once no less of it is possible."""
    today = lowered.scores(lowered.start)
    return all(
        settled(level, float(score), float(bound), float(t))
        for level, score, bound, t in zip(lowered.levels, scores, bounds, today, strict=True)
    )


def status(lowered: Lowered, scores: Floats, bounds: Floats) -> Status:
    """The word for an answer that crosses no wall."""
    today = lowered.scores(lowered.start)
    proven = True
    missing = False
    for level, score, bound, t in zip(lowered.levels, scores, bounds, today, strict=True):
        if level.must_vanish and score > close(float(score)):
            if bound > TOLERANCE:
                return "infeasible"
            missing = True
        proven = proven and settled(level, float(score), float(bound), float(t))
    if missing:
        return "no_solution"
    return "optimal" if proven else "feasible"


def misplaced(lowered: Lowered, assign: Ints) -> bool:
    """Whether an assignment drops an item that has a bin today, or names a bin that is not there."""
    bad = (assign < -1) | (assign >= lowered.n_bins) | ((assign < 0) & (lowered.start >= 0))
    return bool(bad.any())
