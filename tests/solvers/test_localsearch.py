"""Local search: sound on every term, near the optimum on tiny problems, deterministic, interruptible."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from drs import solvers
from drs.solvers import auto, greedy, localsearch
from drs.solvers import levels as order
from drs.stop import Run, Stop
from drs.terms import Capacity, Level, Lowered, Unplaced, Wall, Weighted
from drs.testing.problems import is_sound, optimum, random_lowered, tiny, with_slack


@pytest.mark.parametrize("seed", range(60))
def test_sound_on_random_problems(seed):
    lowered = random_lowered(seed, levels=3)
    answer = localsearch.solve(lowered, lowered.start, Run(Stop(iterations=6000), seed))
    is_sound(lowered, answer, lowered.start)


@pytest.mark.parametrize("seed", range(40))
def test_greedy_is_sound_on_random_problems(seed):
    lowered = random_lowered(seed, levels=3)
    is_sound(lowered, greedy.solve(lowered, lowered.start, Run(Stop(5), seed)), lowered.start)


def test_near_the_optimum_of_tiny_problems():
    hits = 0
    for seed in range(400, 430):
        lowered = tiny(seed)
        answer = localsearch.solve(lowered, lowered.start, Run(Stop(iterations=20_000), seed))
        best = optimum(lowered)
        hits += not order.better(lowered, best, answer.scores)
    assert hits >= 27


@pytest.mark.parametrize("engine", [localsearch.solve, auto.solve])
def test_the_same_seed_and_iterations_give_the_same_answer(engine):
    lowered = random_lowered(7, n=40, m=6, levels=3)
    answers = [engine(lowered, lowered.start, Run(Stop(iterations=8000), 3)) for _ in range(2)]
    assert np.array_equal(answers[0].assign, answers[1].assign)
    assert np.array_equal(answers[0].bounds, answers[1].bounds)


def test_an_interrupt_returns_the_best_so_far():
    lowered = random_lowered(8, n=200, m=20, levels=3)
    stop = Stop(60).begin()
    threading.Timer(0.5, stop.interrupt).start()
    answer = localsearch.solve(lowered, lowered.start, Run(stop, 0))
    is_sound(lowered, answer, lowered.start)
    assert answer.interrupted and stop.elapsed_s < 30


@pytest.mark.parametrize("seed", range(500, 530))
def test_auto_is_sound_and_proves_what_it_says(seed):
    lowered = tiny(seed)
    answer = auto.solve(lowered, lowered.start, Run(Stop(5), seed))
    is_sound(lowered, answer, lowered.start)
    best = optimum(lowered)
    assert answer.bounds[0] <= best[0] + 1e-7
    if answer.status == "optimal":
        np.testing.assert_allclose(answer.scores, best, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("broken", ["localsearch", "cpsat"])
def test_an_engine_that_crashes_loses_only_its_part(monkeypatch, broken):
    import importlib

    def crash(*args, **kwargs):
        raise MemoryError("no more")

    monkeypatch.setattr(importlib.import_module(solvers.BUILT_IN[broken].partition(":")[0]), "solve", crash)
    lowered = random_lowered(9, n=10, m=4, levels=2, place_all=True)
    is_sound(lowered, auto.solve(lowered, lowered.start, Run(Stop(2), 0)), lowered.start)


def test_it_compiles_where_nothing_can_be_cached(tmp_path: Path):
    """A home and a package on a read-only disk: compiled again, not refused."""
    code = (
        "import numba, drs.solvers.kernel.jit as j\n"
        "def refuse(*a, **k):\n"
        "    raise RuntimeError('cannot cache function: no locator available')\n"
        "import numba.core.caching as c\n"
        "c.CacheImpl.__init__ = refuse\n"
        "f = j.jit(lambda x: x + 1)\n"
        "print(f(41))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
                          env={**os.environ, "HOME": str(tmp_path)}, check=False)  # fmt: skip
    assert done.stdout.strip() == "42", done.stderr


def test_an_item_that_fits_nowhere_stays_nowhere() -> None:
    lowered = Lowered(
        1, 1, np.array([-1], np.int32),
        (Wall(Capacity("cpu", np.array([2.0]), np.array([1.0])), "capacity"),),
        (Level("placed", (Weighted(Unplaced(np.ones(1))),)),),
    )  # fmt: skip
    answer = localsearch.solve(lowered, lowered.start.copy(), Run.begin(None, 5_000, 1))
    assert answer.assign.tolist() == [-1]


@pytest.mark.parametrize("seed", range(40))
def test_a_plan_of_an_earlier_search_is_never_refused_for_one_that_ties(seed, caplog):
    """Slack spent where an earlier level gained a little must not cost a later level more than the start did."""
    lowered = with_slack(random_lowered(seed, n=14, m=4, levels=3, place_all=True), seed)
    start = lowered.start.copy()
    for turn in range(3):
        answer = localsearch.solve(lowered, start, Run(Stop(iterations=4_000), seed + turn), workers=1)
        assert not order.better(lowered, lowered.scores(start), answer.scores)
        start = answer.assign
    assert "its own check" not in caplog.text
