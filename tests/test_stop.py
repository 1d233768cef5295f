"""Budgets: what ends a search, and that iterations alone never read the clock."""

from __future__ import annotations

import math

import pytest

from drs.stop import Progress, Stop


def test_iterations_alone_are_deterministic() -> None:
    stop = Stop(iterations=10)
    assert [stop.fraction(n) for n in (0, 5, 10, 20)] == [0.0, 0.5, 1.0, 1.0]
    assert stop.remaining_s == math.inf


def test_no_limit_never_ends_until_interrupted() -> None:
    stop = Stop()
    assert not stop.reached(10**9)
    stop.interrupt()
    assert stop.reached(0)
    assert stop.remaining_s == 0.0


def test_a_part_ends_with_the_whole() -> None:
    stop = Stop(time_s=100, iterations=100)
    part = stop.part(0.25)
    assert part.iterations == 25
    assert part.time_s is not None and 24 < part.time_s <= 25
    stop.interrupt()
    assert part.interrupted


def test_zero_budget_is_used_up_at_once() -> None:
    assert Stop(time_s=0).reached(0)
    assert Stop(iterations=0).reached(0)


@pytest.mark.parametrize("bad", [{"time_s": -1}, {"time_s": math.nan}, {"iterations": -1}])
def test_a_negative_budget_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Stop(**bad)  # type: ignore[arg-type]


def test_gap() -> None:
    assert Progress("search", 0, 0, score=2.0, bound=1.0).gap_ratio == 0.5
    assert Progress("search", 0, 0, score=0.0, bound=0.0).gap_ratio == 0.0
    assert Progress("search", 0, 0, score=1.0).gap_ratio == math.inf
