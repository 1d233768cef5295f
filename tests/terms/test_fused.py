"""The fused kernel against the terms' own law: costs, deltas, feasibility."""

from __future__ import annotations

import numpy as np
import pytest

from drs.solvers.kernel.search import Search
from drs.terms import Deviation, Level, Lowered, OverTarget, Wall, Weighted, fused
from drs.terms.fused import fuse
from drs.terms.limits import Allowed, Capacity, all_of
from drs.testing.problems import random_lowered


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


@pytest.mark.parametrize("seed", range(60))
def test_an_item_reaches_the_bins_where_it_could_be_if_all_others_left(seed, monkeypatch):
    monkeypatch.setattr(fused, "MOST_DENSE", 2.0)
    lowered = random_lowered(seed, walls=("allowed", "capacity", "at_once") * 3)
    problem = fuse(lowered)
    walls = [wall.term for wall in lowered.walls if isinstance(wall.term, (Allowed, Capacity))]
    for item in range(lowered.n_items):
        could = set()
        for to in range(lowered.n_bins):
            alone = np.full(lowered.n_items, -1, dtype=np.int32)
            alone[item] = to
            if all(term.cost(alone, lowered.start) <= 1e-9 for term in walls):
                could.add(to)
        begin, end = problem.reach_ptr[item : item + 2]
        assert set(problem.reach[begin:end].tolist()) == could


def test_where_items_could_be_nearly_everywhere_no_list_of_bins_is_kept():
    free = random_lowered(3, n=10, m=6, walls=())
    assert len(fuse(free).reach_ptr) == 1
    assert len(fuse(free).reach) == 0


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("blink", [-1.0, 0.05])
def test_neighbourhoods_of_many_hosts_keep_the_terms_own_law(seed, blink, monkeypatch):
    """With fewer hosts looked at than there are, and lists of hosts within reach that are longer than that."""
    monkeypatch.setattr(fused, "MOST_DENSE", 2.0 if seed % 2 else 0.0)
    lowered = random_lowered(seed, n=60, m=30, levels=2, place_all=True)
    problem = fuse(lowered)
    assert (len(problem.reach_ptr) > 1) == bool(seed % 2)
    search = Search(problem, lowered.start, seed)
    n = len(lowered.levels)
    search.aim(np.ones(n), np.full(n, np.inf), np.zeros(n))
    before = lowered.scores(lowered.start).sum()
    search.neighbourhoods(300, 0.0, 1.0, 8, blink)
    assign = search.assign.copy()
    assert not lowered.broken_walls(assign)
    np.testing.assert_allclose(search.cost[:-1], lowered.scores(assign), rtol=1e-7, atol=1e-7)
    assert lowered.scores(assign).sum() < before + 1e-9


def test_a_host_knows_the_clusters_that_compare_it():
    rng = np.random.default_rng(0)
    n, m = 20, 12
    demand, capacity = rng.random(n), np.ones(m)
    clusters = [
        np.arange(0, 5, dtype=np.int32),
        np.arange(5, 12, dtype=np.int32),
        np.arange(3, 9, dtype=np.int32),
    ]
    terms = tuple(Weighted(Deviation("cpu", demand, capacity, bins)) for bins in clusters)
    start = rng.integers(0, m, n).astype(np.int32)
    problem = fuse(Lowered(n, m, start, (), (Level("balance", terms),)))
    for b in range(m):
        of = problem.dev_of[problem.dev_ptr[b] : problem.dev_ptr[b + 1]].tolist()
        assert of == [d for d, bins in enumerate(clusters) if b in bins]


def test_a_big_item_gets_where_only_a_long_chain_makes_room():
    """Ten small ones have come to where the big one should go, and what leaves makes room there for good only."""
    small, (here, there, home) = 10, range(3)
    n = small + 1
    demand = np.array([10.0] + [1.0] * small)
    start = np.array([here] + [home] * small, dtype=np.int32)
    wall = Wall(Capacity("memory", demand, np.array([10.0, 12.0, 15.0]), "at_once"), "memory")
    cost = OverTarget("memory", demand, np.array([0.0, 50.0, 50.0]), np.ones(3))
    lowered = Lowered(n, 3, start, (wall,), (Level("sum", (Weighted(cost),)),))
    assign = np.array([here] + [there] * small, dtype=np.int32)
    for longest, reached in ((4, False), (20, True)):
        search = Search(fuse(lowered), assign, 0)
        search.aim(np.ones(1), np.full(1, np.inf), np.zeros(1))
        search.find_hot()
        assert (search.force_hot(200, 32, longest) > 0) == reached
        assert search.assign[0] == (there if reached else here)
        assert not lowered.broken_walls(search.assign.copy())
        np.testing.assert_allclose(search.cost[:-1], lowered.scores(search.assign.copy()))
