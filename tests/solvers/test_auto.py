"""The chooser's budgets."""

from __future__ import annotations

import numpy as np
import pytest

import drs
from drs.problem import Problem
from drs.solvers import auto
from drs.stop import Run, Stop
from drs.terms import Lowered


@pytest.fixture
def lowered() -> Lowered:
    return Problem(drs.read("small")).lowered


def test_a_budget_of_iterations_alone_never_meets_the_clock(lowered: Lowered) -> None:
    run = auto._Call(lowered, lowered.start, Run(Stop(iterations=1000)))
    part = run.share(0.5, 3.0)
    assert part.time_s is None
    assert part.iterations == 500


def test_without_any_budget_each_part_ends(lowered: Lowered) -> None:
    run = auto._Call(lowered, lowered.start, Run(Stop()))
    assert run.share(0.5, 3.0).time_s == 3.0


def test_the_same_iterations_give_the_same_plan(lowered: Lowered) -> None:
    first, second = (auto.solve(lowered, lowered.start, Run(Stop(iterations=2000), 7)) for _ in range(2))
    np.testing.assert_array_equal(first.assign, second.assign)
