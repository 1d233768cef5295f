"""The frontier: no plan beats another, the bounds are true, and the knee is one of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from brute import all_scores

from drs.errors import UnknownNameError
from drs.solvers.pareto import frontier
from drs.stop import Stop
from drs.terms import Deviation, Level, Lowered, MoveCost, OverTarget, Weighted


def cluster(n, m, seed, repair=False):
    rng = np.random.default_rng(seed)
    demand = rng.integers(1, 9, n).astype(float)
    start = np.minimum(m - 1, rng.integers(0, 2 * m, n) // 2).astype(np.int32)
    start[: n // 2] = 0
    capacity = np.full(m, 2 * demand.sum() / m)
    term = Deviation("cpu", demand, capacity, np.arange(m, dtype=np.int32))
    levels = [
        Level("balance", (Weighted(term),)),
        Level("moves", (Weighted(MoveCost(rng.integers(1, 6, n).astype(float))),)),
    ]
    if repair:
        over = OverTarget("cpu", demand, np.full(m, 0.6 * demand.sum()), np.ones(m))
        levels.insert(0, Level("repair", (Weighted(over),)))
    return Lowered(n, m, start, (), tuple(levels))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("repair", [False, True])
def test_bounds_hold_for_every_assignment(seed, repair):
    lowered = cluster(7, 3, seed, repair)
    points = frontier(lowered, lowered.start, "balance", "moves", 10, Stop(4.0).begin(), seed)
    scores, _ = all_scores(lowered)
    scores = scores[scores[:, 0] <= scores[:, 0].min() + 1e-9] if repair else scores
    for point in points:
        best = scores[scores[:, -1] <= point.cost + 1e-9, -2].min()
        assert point.bound <= best + 1e-9
        assert point.balance >= best - 1e-9
    exact = sum(abs(p.balance - scores[scores[:, -1] <= p.cost + 1e-9, -2].min()) < 1e-6 for p in points)
    assert exact >= len(points) / 2


def test_shape():
    lowered = cluster(60, 6, 1)
    points = frontier(lowered, lowered.start, 0, 1, 12, Stop(10.0).begin())
    assert 10 <= len(points) <= 12
    assert points[0].cost == 0.0
    np.testing.assert_array_equal(points[0].assign, lowered.start)
    for before, after in pairwise(points):
        assert before.cost < after.cost and before.balance > after.balance
    assert sum(point.knee for point in points) == 1
    for point in points:
        scores = lowered.scores(point.assign)
        assert scores.tolist() == pytest.approx([point.balance, point.cost])
        assert 0 <= point.bound <= point.balance


def test_unknown_level():
    lowered = cluster(7, 3, 1)
    with pytest.raises(UnknownNameError, match="balance"):
        frontier(lowered, lowered.start, "balanse", "moves")
