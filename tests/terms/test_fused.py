"""The fused kernel against the terms' own law: costs, deltas, feasibility."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "solvers"))
from random_lowered import random_lowered

from drs.solvers.kernel.search import Search
from drs.terms.fused import fuse


@pytest.mark.parametrize("seed", range(80))
def test_costs_and_deltas_are_those_of_the_terms(seed):
    lowered = random_lowered(seed, levels=3)
    rng = np.random.default_rng(seed)
    search = Search(fuse(lowered), lowered.start, seed)
    assign = lowered.start.copy()
    np.testing.assert_allclose(search.cost[:-1], lowered.scores(assign), rtol=1e-9, atol=1e-9)
    for _ in range(25):
        item, to = int(rng.integers(lowered.n_items)), int(rng.integers(lowered.n_bins))
        before = lowered.scores(assign)
        after = assign.copy()
        after[item] = to
        said = np.array(search.delta(item, to))[: len(before)]
        np.testing.assert_allclose(said, lowered.scores(after) - before, rtol=1e-7, atol=1e-7)
        search.move(item, to)
        assign = after
    np.testing.assert_allclose(search.cost[:-1], lowered.scores(assign), rtol=1e-7, atol=1e-7)
