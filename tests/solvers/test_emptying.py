"""Emptying bins: never worse, never through a wall, and better than a search that moves one item."""

from __future__ import annotations

import numpy as np
import pytest

from drs.solvers import emptying
from drs.solvers.levels import lex_less
from drs.stop import Run, Stop
from drs.terms import AtMost, BinsUsed, Capacity, Level, Lowered, MoveCost, Wall, Weighted
from drs.testing.problems import random_lowered


def packing(start: list[int], size: list[float], limit: float, *walls: Wall) -> Lowered:
    n, m = len(size), max(start) + 1
    levels = (
        Level("used", (Weighted(BinsUsed(np.ones(m), np.arange(n, dtype=np.int32))),)),
        Level("moves", (Weighted(MoveCost(np.ones(n))),)),
    )
    room = Wall(Capacity("memory", np.array(size), np.full(m, limit)), "room")
    return Lowered(n, m, np.array(start, dtype=np.int32), (room, *walls), levels)


def used(lowered: Lowered) -> int:
    answer = emptying.solve(lowered, lowered.start, Run(Stop(20.0), 0))
    assert not lowered.broken_walls(answer.assign)
    np.testing.assert_allclose(answer.scores, lowered.scores(answer.assign))
    return len(set(answer.assign.tolist()))


def test_bins_are_emptied_whole() -> None:
    assert used(packing([0, 0, 1, 1, 2, 2, 3, 3], [2.0] * 8, 8.0)) == 2


def test_an_item_makes_way_for_a_larger_one() -> None:
    # bin 0: 6 and 2, bin 1: 5, bin 2: 4; of 10. The 4 fits nowhere until the 2 has gone to the 5.
    assert used(packing([0, 0, 1, 2], [6.0, 2.0, 5.0, 4.0], 10.0)) == 2


def test_what_cannot_be_emptied_stays_as_it_was() -> None:
    apart = Wall(AtMost(np.array([0, 1], np.int32), np.arange(2, dtype=np.int32), np.ones(2)), "apart")
    lowered = packing([0, 1, 1], [1.0, 1.0, 1.0], 8.0, apart)
    answer = emptying.solve(lowered, lowered.start, Run(Stop(5.0), 0))
    np.testing.assert_array_equal(answer.assign, lowered.start)


@pytest.mark.parametrize("seed", range(60))
def test_never_worse_and_through_no_wall(seed: int) -> None:
    lowered = random_lowered(seed, n=12, m=5, levels=2, costs=("used", "over", "move", "at_most", "within"))
    answer = emptying.solve(lowered, lowered.start, Run(Stop(20.0), seed))
    assert not lowered.broken_walls(answer.assign)
    assert not lex_less(lowered.scores(lowered.start), answer.scores)
    assert ((answer.assign >= 0) == (lowered.start >= 0)).all()
