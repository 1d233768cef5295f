"""A problem cut into independent parts: nothing is lost, nothing is joined that need not be."""

from __future__ import annotations

import numpy as np
import pytest

from drs.datasets import make_cluster
from drs.problem import Problem
from drs.terms import (
    Allowed,
    AtMost,
    Capacity,
    Deviation,
    Level,
    Lowered,
    MoveCost,
    MoveLimit,
    Together,
    Wall,
    Weighted,
)
from drs.terms.base import Ints
from drs.terms.split import Part, cut, joined, move_limits, split
from drs.testing.problems import KINDS, confined, random_lowered

SEEDS = range(150)
LOOSE = (
    "allowed",
    "capacity",
    "at_once",
    "at_most",
    "near",
    "over",
    "free",
    "move",
    "pair",
    "penalty",
    "used",
)


def problem(seed: int) -> Lowered:
    """Random terms of all kinds in random clusters; half of the problems without those that join much."""
    kinds = LOOSE if seed % 2 else tuple(KINDS)
    walls = tuple(kind for kind in kinds[: 9 if kinds is not LOOSE else 5] if kind != "move_limit")
    return confined(random_lowered(seed, n=14, m=8, walls=walls, costs=kinds), seed)


def anywhere(lowered: Lowered, parts: list[Part], rng: np.random.Generator) -> Ints:
    """Each item in a random bin of its part, where that keeps the walls on items alone; else where it is."""
    assign = lowered.start.copy()
    allowed = [wall.term for wall in lowered.walls if isinstance(wall.term, Allowed)]
    for part in parts:
        if len(part.bins):
            assign[part.items] = part.bins[rng.integers(0, len(part.bins), len(part.items))]
    bad = np.zeros(lowered.n_items, dtype=bool)
    for limit in allowed:
        bad |= limit.bad(assign)
    assign[bad] = lowered.start[bad]
    return assign


@pytest.mark.parametrize("seed", SEEDS)
def test_costs_of_the_parts_add_up_to_those_of_the_whole(seed: int) -> None:
    lowered = problem(seed)
    parts = split(lowered)
    rng = np.random.default_rng(seed)
    for _ in range(6):
        assign = anywhere(lowered, parts, rng)
        total = np.sum([part.lowered.scores(part.of(assign)) for part in parts], axis=0)
        np.testing.assert_allclose(total, lowered.scores(assign), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_walls_hold_in_the_whole_where_they_hold_in_each_part(seed: int) -> None:
    lowered = problem(seed)
    parts = split(lowered)
    rng = np.random.default_rng(seed)
    for _ in range(6):
        assign = anywhere(lowered, parts, rng)
        whole = {wall.origin for wall in lowered.broken_walls(assign)}
        of_parts = {wall.origin for part in parts for wall in part.lowered.broken_walls(part.of(assign))}
        assert whole == of_parts
    assert not any(part.lowered.broken_walls(part.lowered.start) for part in parts)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_item_and_each_bin_is_in_one_part_and_comes_back(seed: int) -> None:
    lowered = problem(seed)
    parts = split(lowered)
    items = np.concatenate([part.items for part in parts])
    bins = np.concatenate([part.bins for part in parts])
    np.testing.assert_array_equal(np.sort(items), np.arange(lowered.n_items))
    np.testing.assert_array_equal(np.sort(bins), np.arange(lowered.n_bins))
    assign = anywhere(lowered, parts, np.random.default_rng(seed))
    back = np.full(lowered.n_items, -7, dtype=np.int32)
    for part in parts:
        part.into(back, part.of(assign))
    np.testing.assert_array_equal(back, assign)


def test_random_problems_fall_into_several_parts() -> None:
    """Else the tests above would say little."""
    assert sum(len(split(problem(seed))) > 1 for seed in SEEDS) > 40


def two_clusters(*walls: Wall) -> Lowered:
    """Bins 0 and 1, bins 2 and 3; two items in each bin."""
    start = np.repeat(np.arange(4), 2).astype(np.int32)
    mask = np.array([[True, True, False, False], [False, False, True, True]])
    demand = np.arange(1.0, 9.0)
    confine = Wall(Allowed((start // 2).astype(np.int32), mask), "clusters")
    even = [Deviation("cpu", demand, np.full(4, 20.0), np.array(b, np.int32)) for b in ((0, 1), (2, 3))]
    levels = (
        Level("even", tuple(Weighted(term) for term in even), slack=0.5),
        Level("moves", (Weighted(MoveCost(np.ones(8))),)),
    )
    return Lowered(8, 4, start, (confine, *walls), levels)


def test_clusters_that_nothing_joins_are_parts() -> None:
    parts = split(two_clusters(Wall(Capacity("cpu", np.ones(8), np.full(4, 4.0)), "capacity")))
    assert [part.bins.tolist() for part in parts] == [[0, 1], [2, 3]]
    assert [part.lowered.levels[0].slack for part in parts] == [0.25, 0.25]


def test_a_rule_over_two_clusters_joins_them() -> None:
    both = Together(np.array([0, 7], np.int32), np.arange(4, dtype=np.int32), 4, 1.0)
    assert len(split(two_clusters(Wall(both, "together")))) == 1


def test_vms_kept_apart_by_host_join_no_clusters() -> None:
    apart = AtMost(np.array([0, 7], np.int32), np.arange(4, dtype=np.int32), np.ones(4))
    assert len(split(two_clusters(Wall(apart, "apart")))) == 2


def test_a_wall_on_all_moves_is_left_out_and_a_cost_of_them_joins() -> None:
    limit = MoveLimit(np.ones(8), 2.0)
    lowered = two_clusters(Wall(limit, "max_moves"))
    assert move_limits(lowered) == [limit]
    parts = split(lowered)
    assert len(parts) == 2
    assert not any(move_limits(part.lowered) for part in parts)
    lowered = two_clusters()
    cost = Level("few", (Weighted(limit),))
    assert len(split(Lowered(8, 4, lowered.start, lowered.walls, (*lowered.levels, cost)))) == 1


def test_a_bin_that_an_item_may_stay_in_belongs_to_its_part() -> None:
    """`stay` allows one bin more, which need not be that of today."""
    start = np.array([0, 1], dtype=np.int32)
    confine = Allowed(np.array([0, 1], np.int32), np.eye(2, 3, dtype=bool), np.array([2, -1], np.int32))
    parts = split(
        Lowered(2, 3, start, (Wall(confine, "here"),), (Level("", (Weighted(MoveCost(np.ones(2))),)),))
    )
    where = {tuple(part.bins.tolist()): part for part in parts}
    assert where[(0, 2)].free.tolist() == [True]
    assert where[(1,)].free.tolist() == [False]


def test_an_item_that_may_be_nowhere_is_in_a_part_without_bins() -> None:
    start = np.array([0, -1], dtype=np.int32)
    confine = Allowed(np.array([0, 1], np.int32), np.array([[True], [False]]))
    parts = split(Lowered(2, 1, start, (Wall(confine, "none"),), (Level("", ()),)))
    assert sorted(len(part.bins) for part in parts) == [0, 1]


def test_a_generated_inventory_falls_into_its_clusters() -> None:
    lowered = Problem(make_cluster(60, 300, 1, n_clusters=4, fill_ratio=0.6)).lowered
    parts = split(lowered)
    assert len(parts) == 4
    assert sum(len(part.bins) for part in parts) == 60


def test_both_readings_refuse_what_they_do_not_know() -> None:
    class Odd:
        pass

    for reading in (joined, cut):
        with pytest.raises(TypeError, match="Odd"):
            reading(Odd(), None)
