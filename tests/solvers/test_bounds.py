"""Lower bounds against every assignment of tiny problems, and that they say something where they should."""

from __future__ import annotations

import numpy as np
import pytest

from drs.solvers.bounds import lower_bounds
from drs.stop import Run, Stop
from drs.terms import (
    Allowed,
    BinsUsed,
    Capacity,
    Deviation,
    Level,
    Lowered,
    MoveCost,
    MoveLimit,
    OverTarget,
    Wall,
    Weighted,
)
from drs.testing.problems import optimum, tiny, with_slack


@pytest.mark.parametrize("seed", range(300))
def test_never_above_the_optimum(seed):
    lowered = tiny(seed) if seed % 2 else with_slack(tiny(seed), seed)
    best = optimum(lowered)
    bounds = lower_bounds(lowered, best, Stop(), max_steps=60)
    assert (bounds <= best + 1e-7 * np.maximum(1.0, best)).all(), (bounds, best)


def test_a_bound_that_is_known_is_kept():
    lowered = tiny(3)
    best = optimum(lowered)
    assert (lower_bounds(lowered, best, Stop(), known=best) >= best - 1e-9).all()


def cluster(n=40, m=4, max_moves=None):
    """All items in the first bin; the spread is to fall, by few moves."""
    rng = np.random.default_rng(5)
    demand = rng.integers(1, 9, n).astype(float)
    capacity = np.full(m, 2 * demand.sum() / m)
    start = np.zeros(n, dtype=np.int32)
    every = np.arange(m, dtype=np.int32)
    walls = (Wall(MoveLimit(np.ones(n), float(max_moves)), "max_moves"),) if max_moves is not None else ()
    levels = (
        Level("balance", (Weighted(Deviation("cpu", demand, capacity, every)),)),
        Level("moves", (Weighted(MoveCost(np.ones(n))),)),
    )
    return Lowered(n, m, start, walls, levels)


def test_without_moves_the_spread_stays():
    lowered = cluster(max_moves=0)
    today = lowered.scores(lowered.start)
    assert lower_bounds(lowered, today, Stop())[0] == pytest.approx(today[0], rel=1e-6)


@pytest.mark.parametrize("max_moves", [1, 3, 8])
def test_a_limit_on_moves_is_felt(max_moves):
    from drs.solvers.exact.cpsat import solve

    lowered = cluster(max_moves=max_moves)
    answer = solve(lowered, lowered.start, Run(Stop(20), 0))
    bounds = lower_bounds(lowered, answer.scores, Stop())
    assert 0.9 * answer.scores[0] <= bounds[0] <= answer.scores[0] * (1 + 1e-9)


def test_moves_cost_what_an_even_load_needs():
    """Three quarters of the load must leave the first bin."""
    lowered = cluster()
    level = Level(
        "balance", (Weighted(Deviation("cpu", lowered.levels[0].terms[0].term.demand,
                                       lowered.levels[0].terms[0].term.capacity, np.arange(4), "std", 0.01)),)
    )  # fmt: skip
    lowered = Lowered(lowered.n_items, lowered.n_bins, lowered.start, (), (level, lowered.levels[1]))
    bounds = lower_bounds(lowered, np.array([0.0, 30.0]), Stop())
    assert 20 <= bounds[1] <= 30


def test_who_must_leave_pays_for_it():
    n, m = 6, 3
    mask = np.array([[False, True, True]])
    limit = Allowed(np.zeros(n, dtype=np.int32), mask)
    start = np.array([0, 0, 0, 1, 1, 2], dtype=np.int32)
    levels = (
        Level("not_worse", (Weighted(limit),), role="not_worse"),
        Level("moves", (Weighted(MoveCost(np.array([3.0, 4, 5, 1, 1, 1]))),)),
    )
    lowered = Lowered(n, m, start, (Wall(limit.relaxed(start), "r"),), levels)
    assert lower_bounds(lowered, np.array([0.0, 12.0]), Stop()).tolist() == pytest.approx([0.0, 12.0])


def test_load_above_the_total_room_cannot_vanish():
    n, m = 30, 3
    over = OverTarget("cpu", np.ones(n), np.full(m, 8.0), np.array([2.0, 1.0, 3.0]))
    lowered = Lowered(n, m, np.zeros(n, dtype=np.int32), (), (Level("load", (Weighted(over),)),))
    bounds = lower_bounds(lowered, np.array([6.0]), Stop())
    assert 5.7 <= bounds[0] <= 6.0


def test_what_takes_no_time_is_bounded_without_any():
    """Of hosts that may hold ten each and must not hold more than the level before allows."""
    start = np.arange(12, dtype=np.int32) % 6
    demand = np.full(12, 5.0)
    over = Level("room", (Weighted(Capacity("memory", demand, np.full(6, 20.0)), 0.5),), role="not_worse")
    used = Level("used", (Weighted(BinsUsed(np.ones(6), np.arange(12, dtype=np.int32))),))
    lowered = Lowered(12, 6, start, (), (over, used))
    assert lower_bounds(lowered, np.array([0.0, 6.0]), Stop(time_s=0.0))[1] == 3.0
    # ten more than fits may be there when the level before costs five
    assert lower_bounds(lowered, np.array([5.0, 6.0]), Stop(time_s=0.0))[1] == 3.0
    assert lower_bounds(lowered, np.array([10.0, 6.0]), Stop(time_s=0.0))[1] == 2.0


@pytest.mark.parametrize("seed", range(80))
def test_bins_in_use_are_never_bounded_above_the_optimum(seed):
    lowered = with_slack(tiny(seed, levels=3, costs=("capacity", "used", "move")), seed)
    scores = optimum(lowered)
    assert (lower_bounds(lowered, scores, Stop(time_s=0.0)) <= scores + 1e-6).all()
