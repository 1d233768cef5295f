"""A request first of all by itself: only the items that it is about may move.

Where that does all that was asked, no other item has to move, and nothing is left to decide but where these few
go: a small problem, settled in a second or two however large the whole is. Its costs are those of the whole
(`drs.terms.restrict`), so what is proven there holds for the whole. Where it does not suffice, room has to be
made, and the search goes on from there with all items.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drs.solvers import levels as order
from drs.solvers.base import Answer
from drs.stop import Run
from drs.terms import Allowed, MoveCost
from drs.terms.base import Floats, Ints, Level, Lowered
from drs.terms.limits import all_of
from drs.terms.restrict import restrict

ALONE_S = 3.0
"""Time for the request by itself, at most: where it goes easily, even load and cheap moves are worth no more."""

LEAST_S = 0.2
"""A shorter search than this finds nothing."""

Engine = Callable[[Lowered, Ints, Run], Answer]


def solve(lowered: Lowered, start: Ints, run: Run, engine: Engine) -> Answer:
    """Solve with `engine`, what is asked by itself first; see `drs.solvers.base.Solver`."""
    others = next((k for k, level in enumerate(lowered.levels) if level.role == "others"), None)
    few = np.zeros(0, dtype=np.int64) if others is None else asked_items(lowered.levels[others], lowered)
    if others is None or not 0 < len(few) <= 0.5 * lowered.n_items:
        return engine(lowered, start, run)
    small = restrict(lowered, start, few, np.arange(lowered.n_bins))
    stop = run.stop
    time_s = None if stop.time_s is None else min(ALONE_S, 0.3 * stop.remaining_s)
    steps = None if stop.iterations is None else int(0.3 * stop.iterations)
    found = engine(small.lowered, small.assign, run.followed_by(time_s, steps))
    assign = small.expand(found.assign)
    scores = lowered.scores(assign)
    if order.misplaced(lowered, assign) or lowered.broken_walls(assign):
        return engine(lowered, start, run)
    bounds = np.minimum(np.append(least(lowered, others), found.bounds[others:]), scores)
    if (scores[: others + 1] <= bounds[: others + 1] + order.TOLERANCE).all():
        # No other item needs to move, so what is best with all others at home is best.
        left_s = min(ALONE_S - (time_s or ALONE_S), stop.remaining_s)
        if (
            left_s > 0.0
            and not order.finished(lowered, scores, bounds)
            and not stop.reached(found.iterations)
        ):
            steps = None if stop.iterations is None else stop.iterations - found.iterations
            more = engine(small.lowered, found.assign, run.followed_by(left_s, steps))
            found = dataclasses.replace(more, iterations=found.iterations + more.iterations)
            assign = small.expand(found.assign)
            kept, scores = scores, lowered.scores(assign)
            raised = np.append(bounds[:others], found.bounds[others:])
            # Bounds stand while no level before them may be worse than it was.
            same = np.cumsum(scores > kept + order.TOLERANCE) == 0
            bounds = np.minimum(np.where(same, np.maximum(raised, bounds), raised), scores)
        status = order.status(lowered, scores, bounds)
        return dataclasses.replace(found, status=status, assign=assign, scores=scores, bounds=bounds)
    answer = engine(lowered, assign, run)
    return dataclasses.replace(answer, iterations=answer.iterations + found.iterations)


def asked_items(others: Level, lowered: Lowered) -> NDArray[np.int64]:
    """The items that a request is about: those whose move its level `others` does not count."""
    counted = np.zeros(lowered.n_items, dtype=np.bool_)
    for entry in others.terms:
        if isinstance(entry.term, MoveCost):
            counted |= entry.term.per_item > 0.0
    return np.flatnonzero(~counted)


def least(lowered: Lowered, upto: int) -> Floats:
    """What the first levels cost at least whatever else moves: items that no wall on items alone lets go, f8[upto]."""
    limits = [wall.term for wall in lowered.walls if isinstance(wall.term, Allowed)]
    class_idx, mask = all_of(limits, lowered.n_items, lowered.n_bins)
    bounds = np.zeros(upto)
    items = np.flatnonzero(lowered.start >= 0)
    home = lowered.start[items]
    for k, level in enumerate(lowered.levels[:upto]):
        for entry in level.terms:
            term = entry.term
            if not isinstance(term, Allowed) or term.stay is not None:
                continue
            at_home = term.mask[term.class_idx[items], home]
            bad = items[~at_home]
            way_out = [bool((mask[class_idx[i]] & term.mask[term.class_idx[i]]).any()) for i in bad.tolist()]
            bounds[k] += entry.weight * float(len(bad) - sum(way_out))
    return bounds
