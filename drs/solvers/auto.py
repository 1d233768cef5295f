"""Chooses: a plan at once, proof where the problem is small, search where it is large, always with a bound.

The greedy algorithm gives the first plan where it is quick, since it is strong when moves are few; local
search goes on from there. Where items wait to be placed, or slots are to be free, items are counted before they are
named (`drs.solvers.room`). Where bins in use count, bins are emptied whole first (`drs.solvers.emptying`). On
small problems the exact engine gets most of the time and ends as soon as every level is proven. On larger ones
neighbourhoods are polished exactly (`drs.solvers.lns`) after the search. Lagrangian bounds
(`drs.solvers.bounds.dual`) follow each stage, and a plan that meets them ends the run.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import numpy as np

from drs.solvers import levels as order
from drs.solvers import parts, room
from drs.solvers.base import Answer, Solver
from drs.solvers.bounds import lower_bounds
from drs.solvers.exact.highs import Worker
from drs.stop import Progress, Run, Stop
from drs.terms import Allowed, BinsUsed
from drs.terms.base import Floats, Ints, Lowered
from drs.terms.split import move_limits

log = logging.getLogger(__name__)

EXACT_COLUMNS = 6_000
"""Items x allowed bins up to which an exact engine has a chance of a proof."""
GREEDY_COLUMNS = 400_000
"""Up to so many the greedy algorithm is quick."""
POLISH_COLUMNS = 400_000
"""Up to so many neighbourhoods are polished exactly."""
SEARCH_SHARE = 0.75
"""Local search's share of the budget where a polish or a packing follows, and its least share elsewhere."""
SEARCH_SHARE_EXACT = 0.5
SEARCH_EXACT_S = 3.0
"""Local search's time where an exact engine follows, at most: all of it on the largest such problems, a tenth of it on
tiny ones, which are proven before they are searched."""
ROOM_SHARE = 0.7
"""Of the budget for counting, where items wait or slots are to be free."""
BOUND_S = 5.0
"""Time for the bounds after each stage, at most."""


class _Call:
    """The best plan so far, its bounds, and what was used."""

    def __init__(self, lowered: Lowered, start: Ints, run: Run) -> None:
        self.lowered, self.run, self.stop = lowered, run, run.stop
        self.best = np.asarray(start, dtype=np.int32)
        self.scores = lowered.scores(self.best)
        self.bounds = np.zeros(len(lowered.levels))
        self.used: list[str] = []
        self.iterations = 0

    @property
    def proven(self) -> bool:
        return order.finished(self.lowered, self.scores, self.bounds)

    @property
    def over(self) -> bool:
        return self.proven or self.stop.reached(self.iterations)

    def child(self, time_s: float | None, share: float = 1.0) -> Stop:
        """A budget that ends with the same interrupt: `time_s` at most, and a share of the iterations left."""
        whole = self.stop.iterations
        left = None if whole is None else int(share * max(0, whole - self.iterations))
        return self.stop.followed_by(time_s, left)

    def share(self, share: float, most_s: float = np.inf) -> Stop:
        """A share of what is left, and `most_s` at most; a budget of iterations alone never meets the clock."""
        if self.stop.time_s is None:
            endless = self.stop.iterations is None
            return self.child(most_s if endless and not np.isinf(most_s) else None, share)
        return self.child(min(most_s, self.stop.remaining_s * share), share)

    def all_but_bounds(self) -> Stop:
        """What is left without the last bounds' time; of a budget of iterations all."""
        if self.stop.time_s is None:
            return self.child(None)
        left_s = self.stop.remaining_s
        return self.child(max(SEARCH_SHARE * left_s, left_s - 1.2 * BOUND_S))

    def engine(self, name: str, load: Callable[[], Solver], part: Stop) -> None:
        """Run a solver from the best plan; one that fails loses only its own part."""
        if self.over:
            return
        try:
            with part.paused():  # no search pays for loading an engine
                solver = load()
            found = solver(self.lowered, self.best, self.run.within(part))
        except Exception:
            log.exception("%s failed; the other engines go on", name)
            return
        self.iterations += found.iterations
        self.used.append(name)
        if order.misplaced(self.lowered, found.assign) or self.lowered.broken_walls(found.assign):
            log.error("%s crossed a wall; its plan is dropped", name)
            return
        same = np.allclose(found.scores, self.scores, rtol=1e-9, atol=1e-12)
        if same or order.better(self.lowered, found.scores, self.scores):
            # bounds stand while no ceiling got looser, else they are found again
            if not bool((self._ceilings(found.scores) <= self._ceilings(self.scores) + 1e-9).all()):
                self.bounds = np.zeros(len(self.bounds))
            self.best, self.scores = found.assign, found.scores
            self.bounds = np.minimum(np.maximum(self.bounds, found.bounds), self.scores)

    def _ceilings(self, scores: Floats) -> Floats:
        return order.ceilings(self.lowered, scores)

    def bound(self, part: Stop, steps: int) -> None:
        """Raise the bounds under the ceilings of the best plan."""
        if self.proven or self.stop.interrupted or not self.run.bounds:
            return
        if self.run.on_progress is not None:  # else the clock is not read
            score = float(next((score for score in self.scores if score > 0), 0.0))
            fraction = self.stop.fraction(self.iterations)
            self.run.tell(Progress("bounds", self.stop.elapsed_s, fraction, score))
        self.bounds = lower_bounds(
            self.lowered, self.scores, part, max_steps=steps, known=self.bounds, assign=self.best
        )


def solve(lowered: Lowered, start: Ints, run: Run) -> Answer:
    """Each independent part by itself (`drs.solvers.parts`); see `drs.solvers.base.Solver`.

    Where few moves are to place items or to free slots, the parts stay together: counts share out the moves.
    """
    if move_limits(lowered) and room.applies(lowered, lowered.scores(lowered.start)):
        return solve_part(lowered, start, run, parts.LANES, False)
    return parts.solve(lowered, start, run, solve_part, _ready)


def solve_part(lowered: Lowered, start: Ints, run: Run, threads: int, again: bool) -> Answer:
    """Greedy (unless the start was searched before: `again`), local search, exact proof or polish, bounds."""
    call = _Call(lowered, start, run)

    def searching() -> Solver:
        from drs.solvers.localsearch import solve

        return functools.partial(solve, workers=threads)

    columns = n_columns(lowered)
    small = columns <= EXACT_COLUMNS
    if not small and room.applies(lowered, call.scores):
        call.engine("room", _room, call.share(ROOM_SHARE))
    if columns <= GREEDY_COLUMNS and not again:
        call.engine("greedy", _greedy, call.share(0.15))
    packing = any(isinstance(entry.term, BinsUsed) for level in lowered.levels for entry in level.terms)
    if packing:
        call.engine("emptying", _emptying, call.share(0.3))
    call.bound(call.share(0.05, BOUND_S), 60)
    if small:
        search_s = SEARCH_EXACT_S * max(0.1, columns / EXACT_COLUMNS)
        call.engine("localsearch", searching, call.share(SEARCH_SHARE_EXACT, search_s))
        call.bound(call.share(0.05, BOUND_S), 150)
        if not call.over:
            known = call.bounds

            def proving() -> Solver:
                from drs.solvers.exact import cpsat

                return functools.partial(cpsat.solve, first_bounds=known)

            call.engine("cpsat", proving, call.share(1.0))
    else:
        polish = columns <= POLISH_COLUMNS
        last = not (polish or packing)
        call.engine("localsearch", searching, call.all_but_bounds() if last else call.share(SEARCH_SHARE))
        if packing:  # a search that repaired more than the first packing did may have let it go
            call.engine("emptying", _emptying, call.share(0.5))
        if polish:
            call.engine("lns", _lns, call.share(0.6))
        call.bound(call.share(0.9, BOUND_S), 400)
    bounds = np.minimum(call.bounds, call.scores)
    return Answer(
        order.status(lowered, call.scores, bounds), call.best, call.scores, bounds, "auto", run.stop.elapsed_s,
        call.iterations, run.stop.interrupted, {"engines": "+".join(call.used) or "start", "columns": columns},
    )  # fmt: skip


def _ready(run: Run) -> None:
    from drs.solvers import localsearch
    from drs.solvers.bounds import leaving

    localsearch.ready(run)
    leaving.ready()


def _room() -> Solver:
    return functools.partial(room.solve, worker=Worker().ready())


def _greedy() -> Solver:
    from drs.solvers.greedy import solve

    return solve


def _emptying() -> Solver:
    from drs.solvers.emptying import solve

    return solve


def _lns() -> Solver:
    from drs.solvers.lns import solve

    return solve


def n_columns(lowered: Lowered) -> int:
    """Upper estimate of the placements that an exact model would have."""
    allowed = np.full(lowered.n_items, lowered.n_bins)
    for wall in lowered.walls:
        if isinstance(wall.term, Allowed):
            allowed = np.minimum(allowed, wall.term.mask.sum(axis=1)[wall.term.class_idx])
    return int(allowed.sum())
