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
from drs.terms.limits import Allowed, all_of


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


@pytest.mark.parametrize("seed", range(20))
def test_several_limits_on_hosts_as_one_allow_what_each_of_them_allows(seed):
    rng = np.random.default_rng(seed)
    n_items, n_bins = 12, 5
    limits = [
        Allowed(rng.integers(0, kinds, n_items).astype(np.int32), rng.random((kinds, n_bins)) < likely)
        for kinds, likely in zip(rng.integers(1, 4, 4), (0.5, 0.9, 1.0, 0.7), strict=True)
    ]
    class_idx, mask = all_of(limits, n_items, n_bins)
    assert (mask[class_idx] == np.all([limit.mask[limit.class_idx] for limit in limits], axis=0)).all()
    assert all_of([], n_items, n_bins)[1].tolist() == [[True] * n_bins]
