"""Polish keeps walls and ceilings and never loses what it was given."""

from __future__ import annotations

import numpy as np
import pytest

from drs.solvers import levels as order
from drs.solvers import lns
from drs.stop import Run, Stop
from drs.testing.problems import is_sound, random_lowered


@pytest.mark.parametrize("seed", range(10))
def test_never_worse_than_what_it_polishes(seed):
    lowered = random_lowered(seed, n=14, m=6, levels=2)
    answer = lns.solve(lowered, lowered.start, Run(Stop(1.0), seed))
    is_sound(lowered, answer, lowered.start)
    assert not order.lex_less(lowered.scores(lowered.start), answer.scores)


def test_it_finds_the_swap_that_single_moves_miss():
    """Two full hosts, each with the item that fits the other: only an exchange helps."""
    from drs.terms import Capacity, Level, Lowered, OverTarget, Wall, Weighted

    memory = np.array([4.0, 4.0, 4.0, 4.0])
    cpu = np.array([9.0, 8.0, 2.0, 1.0])
    start = np.array([0, 0, 1, 1], dtype=np.int32)
    wall = Wall(Capacity("memory", memory, np.full(2, 8.0)), "memory")
    over = OverTarget("cpu", cpu, np.full(2, 10.0), np.ones(2))
    lowered = Lowered(4, 2, start, (wall,), (Level("load", (Weighted(over),)),))
    answer = lns.solve(lowered, start, Run(Stop(5), 0))
    assert answer.scores[0] == pytest.approx(0.0)
    assert answer.status == "optimal"
