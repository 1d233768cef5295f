"""`check_solver` passes sound engines and catches unsound ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drs import solvers
from drs.solvers import levels as order
from drs.solvers.base import Answer
from drs.terms import MoveCost
from drs.testing import check_solver


def one_by_one(lowered, start, run):
    """A small honest engine: shifts of single items that make the plan better, until none does."""
    assign, steps = np.array(start), 0
    while not run.stop.interrupted:
        before = lowered.scores(assign)
        for item in range(lowered.n_items):
            for to in range(lowered.n_bins):
                trial = assign.copy()
                trial[item] = to
                if run.stop.interrupted or lowered.broken_walls(trial):
                    continue
                if order.better(lowered, lowered.scores(trial), lowered.scores(assign)):
                    assign, steps = trial, steps + 1
        if not order.better(lowered, lowered.scores(assign), before):
            break
    if not order.better(lowered, lowered.scores(assign), lowered.scores(start)):
        assign = np.array(start)
    scores = lowered.scores(assign)
    zero = np.zeros_like(scores)
    return Answer("feasible", assign, scores, zero, "one", run.stop.elapsed_s, steps, run.stop.interrupted)


def proud(*args):
    """It calls everything optimal."""
    answer = one_by_one(*args)
    return replace(answer, status="optimal", assign=np.array(args[1]), scores=args[0].scores(args[1]))


def boastful(*args):
    """Its bound is what it found."""
    answer = one_by_one(*args)
    return replace(
        answer, assign=np.array(args[1]), scores=args[0].scores(args[1]), bounds=args[0].scores(args[1])
    )


def flattering(*args):
    """Its scores are better than the terms say."""
    answer = one_by_one(*args)
    return replace(answer, scores=answer.scores * 0.5)


def careless(lowered, start, run):
    """It crosses walls."""
    assign = np.zeros_like(start)
    scores = lowered.scores(assign)
    return Answer("feasible", assign, scores, np.zeros_like(scores), "careless", 0.0)


def restless(lowered, start, run):
    """Two runs of one seed differ: an item of no weight in anything goes where a counter says."""
    restless.calls += 1
    answer = one_by_one(lowered, start, run)
    assign = np.array(start) if restless.calls % 3 == 0 else answer.assign
    return replace(answer, assign=assign, scores=lowered.scores(assign))


restless.calls = 0


def deaf(lowered, start, run):
    """It hears no interrupt."""
    import time

    if run.stop.time_s == 60.0:
        time.sleep(3.0)
    return one_by_one(lowered, start, run)


def test_an_honest_engine_passes() -> None:
    check_solver(one_by_one, rounds=6)


def test_a_built_in_engine_passes() -> None:
    check_solver(solvers.find("greedy"), rounds=6)


def test_an_engine_that_reads_some_terms_is_given_no_others() -> None:
    def picky(lowered, *args):
        terms = [wall.term for wall in lowered.walls]
        terms += [entry.term for level in lowered.levels for entry in level.terms]
        assert all(isinstance(term, MoveCost) for term in terms)
        return one_by_one(lowered, *args)

    picky.reads = (MoveCost,)
    check_solver(picky, rounds=4)


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        (proud, "called optimal"),
        (boastful, "bound"),
        (flattering, "Not equal to tolerance"),
        (careless, "walls crossed|worse than the start"),
        (restless, "two answers"),
        (deaf, "an interrupt after 0.5 s"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_unsound_engine_is_caught(engine, said) -> None:
    with pytest.raises(AssertionError, match=said):
        check_solver(engine, rounds=12)
