"""The exact solver against every assignment of tiny problems."""

from __future__ import annotations

import numpy as np
import pytest

from drs.solvers import levels as order
from drs.solvers.exact import cpsat
from drs.solvers.exact.model import ExactModel
from drs.stop import Run, Stop
from drs.testing.problems import is_sound, optimum, random_lowered, tiny, with_slack


@pytest.mark.parametrize("engine", ["cpsat", "highs"])
@pytest.mark.parametrize("seed", range(60))
def test_optimum_is_that_of_brute_force(seed, engine):
    lowered = tiny(seed)
    slow = engine == "cpsat" and any(
        getattr(entry.term, "measure", "") == "std" for level in lowered.levels for entry in level.terms
    )
    answer = cpsat.solve(lowered, lowered.start, Run(Stop(1 if slow else 30), seed), engine=engine)
    is_sound(lowered, answer, lowered.start)
    best = optimum(lowered)
    assert answer.bounds[0] <= best[0] + 1e-9
    if slow and answer.status != "optimal":
        return  # CP-SAT alone may not close a cone
    assert answer.status == "optimal"
    np.testing.assert_allclose(answer.scores, best, rtol=2e-6, atol=2e-6)
    assert (answer.bounds <= best + 1e-9).all()


@pytest.mark.parametrize("seed", range(100, 140))
def test_slack_worth_and_must(seed):
    lowered = with_slack(tiny(seed), seed)
    answer = cpsat.solve(lowered, lowered.start, Run(Stop(30), seed))
    is_sound(lowered, answer, lowered.start)
    best, today = optimum(lowered), lowered.scores(lowered.start)
    first = lowered.levels[0]
    limit = order.ceiling(first, best[0], today[0])
    assert answer.scores[0] <= limit + order.close(limit)
    assert answer.bounds[0] <= best[0] + 1e-9
    if first.must_vanish and best[0] > 1e-5:
        assert answer.status == "infeasible"
    else:
        assert answer.status == "optimal"
        for level, score, bound, t in zip(lowered.levels, answer.scores, answer.bounds, today, strict=True):
            assert order.settled(level, score, bound, t)


@pytest.mark.parametrize("seed", range(200, 240))
def test_hints_are_complete_and_feasible(seed):
    """With every column fixed to its hint CP-SAT still finds a solution, so the hint is one."""
    lowered = random_lowered(seed, n=12, m=5, levels=3)
    model = ExactModel(lowered)
    engine = cpsat.CpSatEngine(model)
    engine.check_hint = True
    for k in range(len(lowered.levels)):
        model.level(k)
        score = float(lowered.scores(lowered.start)[k])
        proof = engine.minimise(model.level(k), lowered.start, Stop(20), 0, None)
        assert proof.found and not proof.impossible, lowered.levels[k]
        np.testing.assert_array_equal(lowered.scores(proof.found[-1]), lowered.scores(lowered.start))
        assert proof.bound <= score + 1e-9
        model.limit_level(k, score)


@pytest.mark.parametrize("seed", range(300, 330))
def test_model_says_what_terms_say(seed):
    """The expression of a level at any assignment is its cost, but for the error that it admits."""
    lowered = random_lowered(seed, n=10, m=4, walls=())
    model = ExactModel(lowered)
    expressions = [model.level(k) for k in range(len(lowered.levels))]
    rng = np.random.default_rng(seed)
    for _ in range(5):
        assign = rng.integers(0, lowered.n_bins, lowered.n_items).astype(np.int32)
        model.cut(assign)
        values = model.values(assign)
        for expr, cost in zip(expressions, lowered.scores(assign), strict=True):
            assert cost - 1e-6 <= expr.value(values) <= cost + expr.error + 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_interchangeable_items_share_columns(seed):
    lowered = random_lowered(seed, n=12, m=3, walls=("allowed",), costs=("move",))
    model = ExactModel(lowered)
    again = model.assignment(model.values(lowered.start))
    np.testing.assert_array_equal(again, lowered.start)


def test_same_seed_and_budget_give_the_same_answer():
    lowered = random_lowered(3, n=14, m=5, levels=3)
    a, b = (cpsat.solve(lowered, lowered.start, Run(Stop(iterations=3000), 5)) for _ in range(2))
    np.testing.assert_array_equal(a.assign, b.assign)
    np.testing.assert_array_equal(a.bounds, b.bounds)


def test_an_interrupt_keeps_the_start():
    lowered = random_lowered(8, n=14, m=5, levels=3)
    stop = Stop()
    stop.interrupt()
    answer = cpsat.solve(lowered, lowered.start, Run(stop, 0))
    np.testing.assert_array_equal(answer.assign, lowered.start)
    assert answer.interrupted
    assert (answer.bounds >= 0).all()
