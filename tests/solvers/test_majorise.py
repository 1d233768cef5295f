"""Bounds from whole items against every assignment of tiny problems, and against figures found by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from drs.solvers.bounds.counting import analytic
from drs.solvers.bounds.dual import Dual, lower_bounds
from drs.solvers.bounds.whole_items import flattest, reach
from drs.stop import Stop
from drs.terms import Allowed, Deviation, Level, Lowered, Wall, Weighted

MEASURES = ("std", "mad", "max", "range")


def spread(x, measure):
    """The measures again, of loads f8[n_assignments, n_bins]."""
    match measure:
        case "std":
            return np.sqrt(((x - x.mean(axis=1, keepdims=True)) ** 2).mean(axis=1))
        case "mad":
            return np.abs(x - x.mean(axis=1, keepdims=True)).mean(axis=1)
        case "max":
            return x.max(axis=1)
    return x.max(axis=1) - x.min(axis=1)


def every(lowered):
    """Every assignment that keeps the walls, i4[n, n_items]; who is nowhere today may stay there."""
    choices = [range(0 if home >= 0 else -1, lowered.n_bins) for home in lowered.start]
    found = np.array(list(itertools.product(*choices)), dtype=np.int32)
    for wall in lowered.walls:
        term = wall.term
        at_home = found == term.stay
        found = found[(term.mask[term.class_idx, found] | at_home | (found < 0)).all(axis=1)]
    return found


def random_case(seed):
    """Bins within and without the term, classes that forbid some, items that are nowhere: (lowered, term)."""
    rng = np.random.default_rng([seed, 5])
    m = int(rng.integers(1, 5))
    n = int(rng.integers(1, 6))
    start = rng.integers(0, m, n).astype(np.int32)
    start[rng.random(n) < rng.choice([0.0, 0.2])] = -1
    walls = []
    for _ in range(rng.integers(0, 3)):
        limit = Allowed(rng.integers(0, 3, n).astype(np.int32), rng.random((3, m)) < rng.choice([0.5, 0.8]))
        elsewhere = Allowed(limit.class_idx, limit.mask, rng.integers(-1, m, n).astype(np.int32))
        kept = rng.random() < 0.3 and elsewhere.cost(start, start) == 0
        walls.append(Wall(elsewhere if kept else limit.relaxed(start), "allowed"))
    demand = rng.integers(0, 9, n).astype(float) if rng.random() < 0.5 else rng.lognormal(0, 1.5, n)
    capacity = rng.integers(3, 20, m).astype(float) if seed % 2 else np.full(m, 10.0)
    bins = rng.permutation(m)[: rng.integers(max(1, m - 1), m + 1)].astype(np.int32)
    term = Deviation("cpu", demand, capacity, bins, target=float(rng.choice([0.0, 0.05])))
    return Lowered(n, m, start, tuple(walls), ()), term


@pytest.mark.parametrize("measure", MEASURES)
def test_never_above_the_optimum(measure):
    """Whatever the capacities; and it says something, with capacities that are equal and that are not."""
    says = {0: 0, 1: 0}
    for seed in range(600):
        lowered, base = random_case(seed)
        term = Deviation("cpu", base.demand, base.capacity, base.bins, measure, base.target)
        found = every(lowered)
        use = [((found == b) * term.demand).sum(axis=1) / term.capacity[b] for b in term.bins]
        best = max(0.0, spread(np.stack(use, axis=1), measure).min() - term.target)
        one = replace(lowered, levels=(Level("balance", (Weighted(term, 3.0),)),))
        bound = analytic(one, 0, np.array([np.inf]))
        assert bound <= 3 * best + 1e-12, (seed, bound, best)
        says[seed % 2] += bound > 0
    assert min(says.values()) > 40


def four_bins(demand, measure, target=0.0):
    """Bins of 10 each."""
    term = Deviation("cpu", np.array(demand), np.full(4, 10.0), np.arange(4, dtype=np.int32), measure, target)
    home = np.zeros(len(demand), dtype=np.int32)
    return Lowered(len(demand), 4, home, (), (Level("balance", (Weighted(term),)),))


BIG = [8.0] + [1.0] * 6

FLATTEST = [
    (BIG, [8, 2, 2, 2]),
    ([8.0, 6.0] + [1.0] * 6, [8, 6, 3, 3]),
    ([3.0] * 5, [6, 3, 3, 3]),  # two of five share a bin
    ([3.0] * 6, [6, 6, 3, 3]),
    ([3.0] * 10, [9, 9, 6, 6]),
    ([3.0] * 5 + [0.5] * 3, [6, 3.5, 3.5, 3.5]),
]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(("demand", "use"), FLATTEST)
def test_where_the_flattest_is_known_the_bound_meets_it(demand, use, measure):
    lowered = four_bins(demand, measure, 0.01)
    known = float(spread(np.array([use]) / 10, measure)[0])
    assert analytic(lowered, 0, np.array([np.inf])) == pytest.approx(known - 0.01, rel=1e-7)


@pytest.mark.parametrize("measure", ["std", "mad", "range"])
def test_prices_alone_divide_it(measure):
    lowered = four_bins(BIG, measure)
    score = spread(np.array([[0.8, 0.2, 0.2, 0.2]]), measure)
    dual = Dual(lowered, 0, score)
    dual.start_at(np.array([0, 1, 1, 2, 2, 3, 3], dtype=np.int32))
    assert dual.improve(float(score[0]), Stop(), 300) <= 1e-9
    assert lower_bounds(lowered, score, Stop())[0] == pytest.approx(score[0], rel=1e-7)


@pytest.mark.parametrize(("measure", "value"), [("std", 0.25), ("mad", 0.25), ("range", 0.5), ("max", 1.0)])
def test_unequal_capacities(measure, value):
    """An item of 2 on bins of 2 and 1. Loads 1 and S - 1 spread by (2 - S) / 2; to carry 2 with a sum S takes
    a spread of 1.5 S - 2: both are 0.25 at S = 1.5.
    """
    term = Deviation("cpu", np.array([2.0]), np.array([2.0, 1.0]), np.arange(2, dtype=np.int32), measure)
    lowered = Lowered(1, 2, np.zeros(1, dtype=np.int32), (), ())
    assert flattest(term, reach(lowered)) == pytest.approx(value, rel=1e-7)


def confined(start, mask, bins, stay=None):
    """An item of 2 and bins of 4, 2 and 2: the bounds of the range and of the largest load."""
    home = np.array([start], dtype=np.int32)
    also = home if stay is None else np.array([stay], dtype=np.int32)
    limit = Allowed(np.zeros(1, dtype=np.int32), np.array([mask], dtype=np.bool_), also)
    lowered = Lowered(1, 3, home, (Wall(limit, "allowed"),), ())
    where = reach(lowered)
    terms = [
        Deviation("cpu", np.array([2.0]), np.array([4.0, 2.0, 2.0]), np.array(bins, dtype=np.int32), measure)
        for measure in ("range", "max")
    ]
    return [flattest(term, where) for term in terms]


def test_the_share_is_of_the_widest_bin_within_reach():
    assert confined(1, [False, True, True], [1, 2]) == pytest.approx([1.0, 1.0])
    assert confined(1, [False, True, True], [0, 1, 2])[1] == pytest.approx(1.0)
    assert confined(0, [False, True, True], [0, 1, 2])[1] == pytest.approx(0.5)  # it may go home
    assert confined(1, [False, True, True], [1, 2], stay=-1) == pytest.approx([1.0, 1.0])  # no bin beyond


def test_who_may_be_elsewhere_says_nothing():
    assert confined(1, [True, True, True], [1, 2]) == [0.0, 0.0]  # the first bin is not compared
    assert confined(0, [False, True, True], [1, 2]) == [0.0, 0.0]  # nor is its home
    assert confined(-1, [False, True, True], [1, 2]) == [0.0, 0.0]  # it may stay nowhere


def test_demands_below_zero_say_nothing():
    demand = np.array([8.0, -8.0])
    term = Deviation("cpu", demand, np.full(2, 10.0), np.arange(2, dtype=np.int32), "max")
    assert flattest(term, reach(Lowered(2, 2, np.zeros(2, dtype=np.int32), (), ()))) == 0.0
