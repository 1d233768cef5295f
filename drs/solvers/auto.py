"""Chooses: local search for a plan, a Lagrangian bound for it, and an exact proof where the problem is small."""

from __future__ import annotations

import logging

import numpy as np

from drs.solvers import levels as order
from drs.solvers.base import Answer
from drs.solvers.bounds import lower_bounds
from drs.stop import OnProgress, Progress, Stop
from drs.terms import Allowed
from drs.terms.base import Floats, Ints, Lowered

log = logging.getLogger(__name__)

EXACT_COLUMNS = 6_000
"""Items x allowed bins up to which an exact engine has a chance of a proof."""
SEARCH_SHARE = 0.85
"""Of the budget, where no proof is tried; the rest is for bounds."""
SEARCH_SHARE_EXACT = 0.4
BOUND_S = 5.0


def solve(
    lowered: Lowered, start: Ints, stop: Stop, seed: int, on_progress: OnProgress | None = None
) -> Answer:
    """Local search, bounds, and on small problems an exact engine that starts from both.

    A solver that fails loses only its own part: the best plan so far is the answer.
    """
    start = np.asarray(start, dtype=np.int32)
    scores = lowered.scores(start)
    floors = np.zeros(len(lowered.levels))
    if not lowered.levels or order.status(lowered, scores, floors) == "optimal":
        return Answer("optimal", start, scores, np.minimum(floors, scores), "auto", stop.elapsed_s)
    small = n_columns(lowered) <= EXACT_COLUMNS
    best, used, iterations = start, ["start"], 0
    try:
        from drs.solvers.localsearch import solve as search

        found = search(lowered, start, stop.part(SEARCH_SHARE_EXACT if small else SEARCH_SHARE).begin(), seed,
                       on_progress)  # fmt: skip
        best, scores, iterations, used = found.assign, found.scores, found.iterations, ["localsearch"]
    except Exception:  # a worker that dies must not take the plan with it
        log.exception("local search failed; the other engines go on")
    if on_progress:
        on_progress(
            Progress("bounds", stop.elapsed_s, stop.fraction(iterations), _open_score(lowered, scores))
        )
    limit_s = min(BOUND_S, stop.remaining_s * (0.2 if small else 0.8)) if stop.time_s is not None else None
    bounds = lower_bounds(lowered, scores, _child(stop, limit_s))
    exact = small and not stop.interrupted and order.status(lowered, scores, bounds) != "optimal"
    if exact and not stop.reached(iterations):
        try:
            from drs.solvers.cpsat import solve as prove

            left = None if stop.iterations is None else max(0, stop.iterations - iterations)
            rest = _child(stop, None if stop.time_s is None else stop.remaining_s, left)
            answer = prove(lowered, best, rest, seed, on_progress, first_bounds=bounds)
            used.append("cpsat")
            iterations += answer.iterations
            # It starts from our plan and bounds, so it is never worse. A better plan only lowers the
            # ceilings of later levels, under which our bounds hold all the more.
            best, scores, bounds = answer.assign, answer.scores, answer.bounds
        except Exception:
            log.exception("the exact engine failed; the plan of the local search stands")
    bounds = np.minimum(bounds, scores)
    return Answer(
        order.status(lowered, scores, bounds), best, scores, bounds, "auto", stop.elapsed_s, iterations,
        stop.interrupted, {"engines": "+".join(used), "columns": n_columns(lowered)},
    )  # fmt: skip


def n_columns(lowered: Lowered) -> int:
    """Upper estimate of the placements that an exact model would have."""
    masks = [
        (wall.term.class_idx, wall.term.mask) for wall in lowered.walls if isinstance(wall.term, Allowed)
    ]
    allowed = np.full(lowered.n_items, lowered.n_bins)
    for class_idx, mask in masks:
        allowed = np.minimum(allowed, mask.sum(axis=1)[class_idx])
    return int(allowed.sum())


def _open_score(lowered: Lowered, scores: Floats) -> float:
    """The first cost that is not 0."""
    return float(next((score for score in scores if score > 0), 0.0))


def _child(stop: Stop, time_s: float | None, iterations: int | None = None) -> Stop:
    """A budget that ends with the same interrupt."""
    part = stop.part(1.0)
    part.time_s, part.iterations = time_s, iterations
    return part.begin()
