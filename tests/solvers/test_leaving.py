"""The bound on the price of moves by whole items, against trying everything, and against its parts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import drs
from drs.solvers import greedy, levels
from drs.solvers.bounds import lower_bounds
from drs.solvers.bounds.leaving import price_of_leaving
from drs.solvers.kernel.leaving import least_total
from drs.stop import Run, Stop
from drs.terms import Allowed, Deviation, MoveCost
from drs.terms.base import Floats, Level, Lowered, Wall, Weighted
from drs.testing.problems import all_scores

Rng = np.random.Generator


def drawn(rng: Rng, n: int, m: int, unequal: bool, clusters: int = 1) -> Lowered:
    """Two resources to be spread, then moves at a price; items stay in their cluster of bins."""
    start = rng.integers(0, max(1, m - 1), n).astype(np.int32)  # a bin is empty
    cluster = np.arange(m) * clusters // m
    entries = []
    for c in range(clusters):
        bins = np.flatnonzero(cluster == c).astype(np.int32)
        for name in ("cpu", "memory"):
            demand = rng.integers(1, 9, n).astype(float)
            capacity = rng.integers(10, 30, m).astype(float) if unequal else np.full(m, 20.0)
            measured = Deviation(name, demand, capacity, bins, "std", float(rng.choice([0.0, 0.1])))
            entries.append(Weighted(measured, float(rng.integers(1, 3))))
    pairs = rng.random() < 0.3
    price = MoveCost(
        rng.integers(1, 9, n).astype(float),
        rng.integers(0, 2, m).astype(np.int32) if pairs else None,
        rng.integers(0, 4, (2, 2)).astype(float) if pairs else None,
    )
    mask = cluster[:, None] == cluster[None, :]
    walls = (Wall(Allowed(start, mask), "cluster"),) if clusters > 1 else ()
    spread = Level("balance", tuple(entries), slack_ratio=float(rng.choice([0.0, 0.05, 0.3])))
    return Lowered(n, m, start, walls, (spread, Level("moves", (Weighted(price),))))


@pytest.mark.parametrize("seed", range(60))
def test_no_plan_that_keeps_the_ceiling_costs_less(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lowered = drawn(rng, int(rng.integers(2, 8)), int(rng.integers(2, 5)), bool(seed % 2), 1 + seed % 3 // 2)
    scores, _ = all_scores(lowered)
    for quantile in (0.0, 0.1, 0.5):
        ceiling = float(np.quantile(scores[:, 0], quantile))
        least = scores[scores[:, 0] <= ceiling + levels.close(ceiling), 1].min()
        assert price_of_leaving(lowered, 1, np.array([ceiling, np.inf])) <= least + 1e-9


def test_a_full_host_sends_a_whole_vm_away() -> None:
    """Twelve items in three bins, eight of them in one: four have to leave it, by halves a little less would do."""
    start = np.repeat([0, 1, 2], [8, 2, 2]).astype(np.int32)
    spread = Deviation("cpu", np.ones(12), np.full(3, 10.0), np.arange(3, dtype=np.int32), "std", 0.05)
    lowered = Lowered(12, 3, start, (), (
        Level("balance", (Weighted(spread),)), Level("moves", (Weighted(MoveCost(np.full(12, 7.0))),)),
    ))  # fmt: skip
    scores, limits = np.array([0.0, 28.0]), np.zeros(2)
    by_halves = 7.0 * (4 - 0.05 * np.sqrt(3 / 1.5) * 10)  # sum of squares 1.5 x^2 = 3 x 0.05^2
    assert 23.0 < by_halves < 23.1
    assert by_halves + 0.5 < price_of_leaving(lowered, 1, limits) <= 28.0
    assert lower_bounds(lowered, scores, Stop(iterations=100))[1] == 28.0  # moves come in sevens


def test_nothing_is_said_where_items_can_leave_the_bins_that_are_compared() -> None:
    start = np.array([0, 0, 0, 1], dtype=np.int32)
    spread = Deviation("cpu", np.ones(4), np.ones(3), np.array([0, 1], dtype=np.int32), "std", 0.0)
    lowered = Lowered(4, 3, start, (), (
        Level("balance", (Weighted(spread),)), Level("moves", (Weighted(MoveCost(np.ones(4))),)),
    ))  # fmt: skip
    assert price_of_leaving(lowered, 1, np.zeros(2)) == 0.0
    inside = Wall(Allowed(np.zeros(4, dtype=np.int32), np.array([[True, True, False]])), "here")
    assert price_of_leaving(
        Lowered(4, 3, start, (inside,), lowered.levels), 1, np.zeros(2)
    ) > 0.5  # fmt: skip


def test_items_that_may_not_move_are_not_sent_away() -> None:
    start = np.array([0, 0, 1], dtype=np.int32)
    spread = Deviation("cpu", np.array([1.0, 1.0, 0.0]), np.ones(2), np.arange(2, dtype=np.int32), "std", 0.0)
    held = Wall(Allowed(np.array([0, 1, 1], dtype=np.int32), np.array([[True, False], [True, True]])), "held")
    prices = MoveCost(np.array([1.0, 5.0, 1.0]))
    lowered = Lowered(3, 2, start, (held,), (
        Level("balance", (Weighted(spread),)), Level("moves", (Weighted(prices),)),
    ))  # fmt: skip
    assert 4.9 < price_of_leaving(lowered, 1, np.zeros(2)) <= 5.0


def by_trying(z: Floats, top: Floats, steep: Floats, price: Floats, share: Floats) -> float:
    best = np.inf
    for leaves in itertools.product((0.0, 1.0), repeat=len(price)):
        chosen = np.array(leaves)
        over = np.maximum(0.0, z - chosen @ share - top)
        best = min(best, float(chosen @ price + steep @ over**2))
    return best


@pytest.mark.parametrize("seed", range(30))
def test_the_search_of_one_bin_is_exact_and_never_above(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, dims = int(rng.integers(0, 9)), int(rng.integers(1, 4))
    share, price, steep = rng.random((n, dims)) * 0.3, rng.random(n), rng.random(dims) * 40
    z, top = rng.random((1, dims)) + 0.3, rng.random((1, dims))
    pointer = np.array([0, n])
    exact = by_trying(z[0], top[0], steep, price, share)
    assert least_total(pointer, z, top, steep, price, share, 10_000) == pytest.approx(
        exact, rel=1e-6, abs=1e-9
    )
    assert least_total(pointer, z, top, steep, price, share, 2) <= exact + 1e-9


def test_far_above_the_relaxation_on_a_cluster() -> None:
    snapshot = drs.datasets.make_cluster(24, 300, 3, n_clusters=1, fill_ratio=0.6)
    lowered = drs.Problem(snapshot).lowered
    answer = greedy.solve(lowered, lowered.start, Run(Stop(iterations=400)))
    k = len(lowered.levels) - 1
    bound = price_of_leaving(lowered, k, levels.ceilings(lowered, answer.scores))
    assert 0.3 * answer.scores[k] < bound <= answer.scores[k]
