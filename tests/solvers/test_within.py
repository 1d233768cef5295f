"""At most so many domains: the compiled form, the restriction and the engines against the term's own law."""

from __future__ import annotations

import numpy as np
import pytest

from drs.solvers import greedy, localsearch
from drs.solvers.exact import cpsat
from drs.solvers.kernel.search import Search
from drs.stop import Run, Stop
from drs.terms.fused import fuse
from drs.terms.restrict import restrict
from drs.testing.problems import is_sound, optimum, random_lowered, tiny

KINDS = {"walls": ("within", "within", "capacity"), "costs": ("within", "over", "move")}


@pytest.mark.parametrize("seed", range(40))
def test_costs_and_deltas_are_those_of_the_term(seed: int) -> None:
    lowered = random_lowered(seed, n=14, m=6, **KINDS)
    rng = np.random.default_rng(seed)
    search, assign = Search(fuse(lowered), lowered.start, seed), lowered.start.copy()
    for _ in range(40):
        item, to = int(rng.integers(14)), int(rng.integers(6))
        after = assign.copy()
        after[item] = to
        change = search.delta(item, to)
        np.testing.assert_allclose(change[:-1], lowered.scores(after) - lowered.scores(assign), atol=1e-7)
        broken = bool(lowered.broken_walls(after))
        crosses = search.cost[-1] + change[-1] > 1e-6 or not search.allowed(item, to)
        if not lowered.broken_walls(assign) and assign[item] != to:
            assert broken == crosses
        search.move(item, to)
        assign = after


@pytest.mark.parametrize("seed", range(40))
def test_the_restricted_term_costs_what_the_whole_does(seed: int) -> None:
    lowered = random_lowered(seed, n=12, m=5, **KINDS)
    rng = np.random.default_rng(seed)
    free = rng.permutation(12)[: rng.integers(1, 7)]
    small = restrict(lowered, lowered.start, free, np.arange(5))
    for _ in range(20):
        inner = small.assign.copy()
        inner[: len(free)] = rng.integers(0, 5, len(free))
        whole = small.expand(inner)
        np.testing.assert_allclose(small.lowered.scores(inner), lowered.scores(whole), atol=1e-9)
        assert bool(small.lowered.broken_walls(inner)) == bool(lowered.broken_walls(whole))


@pytest.mark.parametrize("seed", range(20))
def test_the_optimum_is_that_of_brute_force(seed: int) -> None:
    lowered = tiny(seed, **KINDS)
    answer = cpsat.solve(lowered, lowered.start, Run(Stop(60), seed))
    is_sound(lowered, answer, lowered.start)
    assert answer.status == "optimal"
    np.testing.assert_allclose(answer.scores, optimum(lowered), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("engine", [greedy, localsearch])
@pytest.mark.parametrize("seed", range(10))
def test_searches_cross_no_wall(seed: int, engine) -> None:  # type: ignore[no-untyped-def]
    lowered = random_lowered(seed, n=14, m=6, **KINDS)
    answer = engine.solve(lowered, lowered.start, Run(Stop(None, 20_000), seed))
    is_sound(lowered, answer, lowered.start)
