"""A restricted problem has the costs and the walls of the whole one."""

from __future__ import annotations

import numpy as np
import pytest

from drs.terms.restrict import restrict
from drs.testing.problems import random_lowered


def random_walk(lowered, rng, steps=6):
    """An assignment that crosses no wall, some moves from today's."""
    assign = lowered.start.copy()
    for _ in range(steps):
        trial = assign.copy()
        trial[rng.integers(lowered.n_items)] = rng.integers(lowered.n_bins)
        if not lowered.broken_walls(trial):
            assign = trial
    return assign


@pytest.mark.parametrize("seed", range(120))
def test_scores_and_walls_are_those_of_the_whole(seed):
    lowered = random_lowered(seed, n=12, m=5, levels=3)
    rng = np.random.default_rng(seed)
    assign = random_walk(lowered, rng)
    free = rng.permutation(12)[: rng.integers(1, 7)]
    bins = rng.permutation(5)[: rng.integers(1, 5)]
    small = restrict(lowered, assign, free, bins)
    np.testing.assert_array_equal(small.expand(small.assign), assign)
    assert not small.lowered.broken_walls(small.assign)
    n_checked = 0
    for _ in range(40):
        inner = small.assign.copy()
        for i in range(len(small.free)):
            if rng.random() < 0.6:
                inner[i] = rng.choice(bins)
        whole = small.expand(inner)
        np.testing.assert_allclose(small.lowered.scores(inner), lowered.scores(whole), atol=1e-9)
        assert bool(small.lowered.broken_walls(inner)) == bool(lowered.broken_walls(whole))
        n_checked += 1
    assert n_checked


def test_only_free_items_move_and_only_to_open_bins():
    lowered = random_lowered(5, n=12, m=5)
    small = restrict(lowered, lowered.start, np.array([1, 4]), np.array([0, 2]))
    inner = small.assign.copy()
    inner[0] = 1 if small.assign[0] != 1 else 3
    assert small.lowered.broken_walls(inner)
    inner = small.assign.copy()
    inner[-1] = 0
    assert small.lowered.broken_walls(inner)
