"""The published algorithm: deltas agree with the law, and its plans are sound."""

from __future__ import annotations

import numpy as np
import pytest

from drs.solvers import greedy
from drs.stop import Run, Stop
from drs.terms import Deviation, Level, Lowered, MoveLimit, Wall, Weighted
from drs.testing.problems import is_sound, random_lowered


@pytest.mark.parametrize("seed", range(80))
def test_deltas_are_those_of_the_law(seed):
    lowered = random_lowered(seed, n=9, m=4, levels=3)
    state = greedy._State(lowered, lowered.start)
    items = np.arange(9)
    for k, level in enumerate(lowered.levels):
        if any(getattr(entry.term, "measure", "") == "mad" for entry in level.terms):
            continue  # an estimate, which the law corrects
        delta = greedy.level_delta(lowered, k, state, items)
        now = lowered.scores(lowered.start)[k]
        for i in items:
            for b in range(lowered.n_bins):
                trial = lowered.start.copy()
                trial[i] = b
                assert delta[i, b] == pytest.approx(lowered.scores(trial)[k] - now, abs=1e-7), (level, i, b)


@pytest.mark.parametrize("seed", range(60))
def test_plans_are_sound(seed):
    lowered = random_lowered(seed, n=14, m=5, levels=3)
    is_sound(lowered, greedy.solve(lowered, lowered.start, Run(Stop(5), seed)), lowered.start)


def test_the_best_single_move_is_taken_first():
    demand = np.array([4.0, 3.0, 1.0])
    term = Deviation("cpu", demand, np.full(2, 10.0), np.arange(2, dtype=np.int32))
    start = np.zeros(3, dtype=np.int32)
    wall = Wall(MoveLimit(np.ones(3), 1.0), "max_moves")
    lowered = Lowered(3, 2, start, (wall,), (Level("balance", (Weighted(term),)),))
    answer = greedy.solve(lowered, start, Run(Stop(5), 0))
    assert answer.assign.tolist() == [1, 0, 0]
    assert answer.scores[0] == pytest.approx(0.0)


def test_an_iteration_is_a_move():
    lowered = random_lowered(4, n=14, m=5, levels=3)
    answer = greedy.solve(lowered, lowered.start, Run(Stop(iterations=1), 0))
    assert (answer.assign != lowered.start).sum() <= 1
