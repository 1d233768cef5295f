"""The lexicographic optimum of a tiny problem by trying everything, straight from the terms' own law."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from drs.terms import Level, Lowered

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Optimum:
    """What the best assignment scores; `feasible` when every level that must vanish does."""

    feasible: bool
    best: list[float]
    """Per level, the least cost given the levels before it, within their slack."""
    allowed: list[float]
    """Per level, what a later level may make of it."""


def allowance(level: Level, best: float, today: float) -> float:
    """What later levels may make of a level: its slack; today's cost when the gain is not worth a move."""
    if level.must_vanish:
        return best + TOLERANCE
    allowed = best * (1.0 + level.slack_ratio) + level.slack
    if level.worth_ratio > 0 and today - best < level.worth_ratio * today:
        allowed = max(allowed, today)
    return allowed + TOLERANCE * max(1.0, abs(best))


def optimum(lowered: Lowered) -> Optimum:
    """Try every assignment: placed items stay placed, unplaced ones may stay out."""
    choices = [range(-1 if bin_ < 0 else 0, lowered.n_bins) for bin_ in lowered.start.tolist()]
    rows = []
    for bins in itertools.product(*choices):
        assign = np.array(bins, dtype=np.int32)
        if not lowered.broken_walls(assign):
            rows.append(lowered.scores(assign))
    scores, today = np.array(rows), lowered.scores(lowered.start)
    best, allowed = [], []
    feasible = True
    for k, level in enumerate(lowered.levels):
        least = float(scores[:, k].min())
        best.append(least)
        allowed.append(allowance(level, least, float(today[k])))
        if level.must_vanish and least > TOLERANCE:
            feasible = False
        scores = scores[scores[:, k] <= allowed[k]]
    return Optimum(feasible, best, allowed)
