"""The frontier: non-dominated, bounded, from doing nothing to the best balance."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

import drs
from drs import datasets, pareto
from drs.errors import InputError
from drs.goals import Balance, Moves
from drs.problem import Problem
from drs.problem.policy import Limits, Policy
from drs.rules import KeepApart
from drs.solvers import tradeoff
from drs.solvers.bounds import lower_bounds
from drs.stop import Run, Stop
from drs.terms import Deviation, Level, Lowered, MoveCost, MoveLimit, Wall, Weighted


def tiny(seed: int, n: int = 7, m: int = 3) -> Lowered:
    """Balance against moves of unequal price; everything may go everywhere."""
    rng = np.random.default_rng(seed)
    demand = rng.integers(1, 9, n).astype(float)
    start = rng.integers(0, m, n).astype(np.int32)
    capacity = np.full(m, 40.0)
    spread = Deviation("cpu", demand, capacity, np.arange(m, dtype=np.int32))
    price = MoveCost(rng.integers(1, 6, n).astype(float))
    return Lowered(
        n, m, start, (), (Level("balance", (Weighted(spread),)), Level("moves", (Weighted(price),)))
    )


def brute(lowered: Lowered) -> list[tuple[float, float]]:
    """Every assignment's (price, value) that no other beats, by ascending price."""
    every = itertools.product(range(lowered.n_bins), repeat=lowered.n_items)
    scores = sorted(
        (round(float(price), 9), float(value))
        for value, price in (lowered.scores(np.array(bins, dtype=np.int32)) for bins in every)
    )
    kept: list[tuple[float, float]] = []
    for price, value in scores:
        if not kept or value < kept[-1][1] - 1e-9:
            kept.append((price, value))
    return kept


def check(found: pareto.Frontier) -> None:
    """What every frontier must keep."""
    cost = [p.cost for p in found.points]
    score = [p.score for p in found.points]
    assert cost == sorted(cost) and score == sorted(score, reverse=True)
    assert len(set(cost)) == len(cost) and len(set(score)) == len(score)
    for index, point in enumerate(found.points):
        assert point.bound <= point.score + 1e-9
        result = found.result(index)
        assert len(result.moved_vms) == point.n_moves
        assert not found.problem.lowered.broken_walls(np.asarray(point.placement.host_idx))
    bounds = [p.bound for p in found.points]
    assert bounds == sorted(bounds, reverse=True)
    if found.knee is not None:
        assert 0 < found.knee < len(found.points) - 1
        assert [p.is_knee for p in found.points].index(True) == found.knee


@pytest.mark.parametrize("seed", range(4))
def test_the_whole_frontier_of_a_tiny_problem(seed: int) -> None:
    lowered = tiny(seed)
    best = brute(lowered)
    walk = tradeoff.walk(lowered, Run(Stop(None, 60_000), seed))
    found = [(p.price, p.value) for p in walk.points]
    assert found[0] == pytest.approx(best[0])
    assert found[-1] == pytest.approx(best[-1])
    for price, value in found:  # no point is better than the truth …
        assert value >= min(v for p, v in best if p <= price + 1e-9) - 1e-9
    met = sum(any(np.allclose(one, other) for other in found) for one in best)
    assert met >= 0.8 * len(best)  # … and few are missed
    weight = lowered.levels[-1].terms[0].term.per_item  # type: ignore[attr-defined]
    for point in tradeoff.bounded(lowered, walk, list(walk.points), weight, Stop()):
        least = min(v for p, v in best if p <= point.price + 1e-9)
        assert point.bound <= least + 1e-9


@pytest.mark.parametrize("seed", range(40))
def test_a_bound_under_a_weighted_limit_is_never_above_the_best(seed: int) -> None:
    lowered = tiny(seed, n=6)
    weight = np.random.default_rng(seed).choice([0.0, 0.5, 1.0, 2.5], 6)
    limit = float(np.random.default_rng(seed + 1).random() * weight.sum())
    wall = Wall(MoveLimit(weight, limit), "weight")
    limited = Lowered(6, 3, lowered.start, (wall,), lowered.levels[:1])
    every = (np.array(bins, dtype=np.int32) for bins in itertools.product(range(3), repeat=6))
    best = min(limited.scores(assign)[0] for assign in every if not limited.broken_walls(assign))
    assert lower_bounds(limited, np.array([best]), Stop())[0] <= best + 1e-9


def test_a_weighted_limit_is_felt() -> None:
    """One dear item that would even it all out, and a limit that pays for half of its move."""
    demand, start = np.array([4.0, 4.0]), np.zeros(2, dtype=np.int32)
    spread = Deviation("cpu", demand, np.full(2, 8.0), np.arange(2, dtype=np.int32))
    level = Level("balance", (Weighted(spread),))
    wall = Wall(MoveLimit(np.array([2.0, 3.0]), 1.0), "weight")
    bound = lower_bounds(Lowered(2, 2, start, (wall,), (level,)), np.array([0.5]), Stop())[0]
    assert 0.2 < bound <= 0.5


def test_from_the_cheapest_repair_to_the_best_balance() -> None:
    found = pareto.frontier("small", time_s=None, iterations=200_000, n_points=12)
    check(found)
    assert 8 <= len(found.points) <= 12
    assert found.status == "feasible" and found.knee is not None
    first, last = found.points[0], found.points[-1]
    assert first.n_moves > 0, "rules are broken in `small`"
    assert last.score < 0.5 * first.score
    frame = found.to_frame()
    assert list(frame.columns) == [
        "n_moves",
        "cost",
        "score",
        "bound",
        "gap_ratio",
        "is_knee",
        "n_worse_than_today",
    ]
    assert frame["is_knee"].sum() == 1
    plan = drs.plan(found.result(0))
    assert len(plan.moves) >= first.n_moves


def healthy() -> Problem:
    """A cluster in which nothing is broken, all VMs on one side."""
    snapshot = datasets.make_cluster(4, 24, 3)
    problem = Problem(snapshot)
    broken = {rule for violation in problem.check(problem.today) for rule in violation.vms}
    if broken:
        pytest.skip("the generator broke a rule")
    return problem


def test_doing_nothing_comes_first() -> None:
    found = pareto.frontier(healthy(), time_s=None, iterations=60_000)
    check(found)
    first = found.points[0]
    assert first.n_moves == 0 and first.cost == 0.0
    assert first.gap_ratio == pytest.approx(0.0, abs=1e-6)


def test_the_same_seed_gives_the_same_points() -> None:
    one, two = (
        pareto.frontier(healthy(), time_s=None, iterations=40_000, seed=3, n_points=10) for _ in range(2)
    )
    assert one.to_frame().equals(two.to_frame())
    for a, b in zip(one.points, two.points, strict=True):
        assert (a.placement.host_idx == b.placement.host_idx).all()


def test_an_interrupt_returns_the_points_so_far() -> None:
    stop = Stop(600.0)
    timer = threading.Timer(3.0, stop.interrupt)
    timer.start()
    found = pareto.frontier("small", stop=stop)
    timer.cancel()
    assert found.interrupted and found.elapsed_s < 60
    check(found)


def test_interrupted_before_it_began() -> None:
    stop = Stop(10.0)
    stop.interrupt()
    found = pareto.frontier(healthy(), stop=stop)
    assert [p.n_moves for p in found.points] == [0]
    assert found.knee is None


def test_limits_and_goals_of_the_policy_hold() -> None:
    policy = Policy(goals=(Balance(measure_by="range"), Moves(by="count")), limits=Limits(max_moves=3))
    found = pareto.frontier(healthy().snapshot, policy=policy, time_s=None, iterations=40_000)
    check(found)
    assert found.cost_unit == "moves"
    assert all(p.n_moves == p.cost <= 3 for p in found.points)


def test_rules_that_cannot_hold_leave_no_points() -> None:
    snapshot = healthy().snapshot
    apart = KeepApart(snapshot.vms.name[:6].tolist(), policy="hard")
    found = pareto.frontier(snapshot, rules=(apart,), time_s=None, iterations=20_000)
    assert found.points == () and found.status == "no_solution" and found.knee is None
    assert found.to_frame().empty


def test_the_budget_is_one_runs() -> None:
    found = pareto.frontier(healthy(), time_s=3.0)
    check(found)
    assert found.elapsed_s < 6.0


def test_the_knee_is_the_farthest_below_the_chord() -> None:
    assert pareto.knee_of([0, 1, 10], [1.0, 0.1, 0.0]) == 1
    assert pareto.knee_of([0, 1, 2, 10], [1.0, 0.5, 0.1, 0.0]) == 2
    assert pareto.knee_of([0, 5, 10], [1.0, 0.5, 0.0]) is None
    assert pareto.knee_of([0, 9, 10], [1.0, 0.9, 0.0]) is None
    assert pareto.knee_of([0, 1], [1.0, 0.0]) is None
    assert pareto.knee_of([], []) is None


def test_too_few_points_are_refused() -> None:
    with pytest.raises(InputError, match="n_points"):
        pareto.frontier("small", n_points=2)


def test_points_are_spread_along_the_curve() -> None:
    points = [tradeoff.Tradeoff(float(x), 1.0 / (1 + x), np.zeros(0, dtype=np.int32)) for x in range(100)]
    at = tradeoff.spread(points, 10)
    assert at[0] == 0 and at[-1] == 99 and len(at) == len(set(at)) == 10 and at == sorted(at)
    assert at[3] < 20, "dense where it bends"
