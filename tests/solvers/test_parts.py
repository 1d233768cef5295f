"""Independent parts, each solved by itself: what is promised of the whole holds, and no part spoils another."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from drs.datasets import make_cluster
from drs.problem import Problem
from drs.solvers import auto, localsearch, parts
from drs.solvers import levels as order
from drs.solvers.base import Answer
from drs.solvers.mend import mended
from drs.stop import Run, Stop
from drs.terms import Allowed, Level, Lowered, MoveCost, MoveLimit, OverTarget, Wall, Weighted
from drs.terms.base import Ints
from drs.terms.split import split
from drs.testing.problems import COST_KINDS, LIMIT_KINDS, confined, is_sound, optimum, random_lowered

JOINING = ("at_least", "within", "together", "group", "std", "mad", "max", "range")
LOOSE = tuple(kind for kind in COST_KINDS if kind not in (*JOINING, "move_limit"))
WALLS = tuple(kind for kind in LIMIT_KINDS if kind not in (*JOINING, "move_limit"))


def problem(seed: int, n: int = 6, m: int = 5) -> Lowered:
    """A random problem of several parts, as a rule."""
    return confined(random_lowered(seed, n=n, m=m, walls=WALLS, costs=LOOSE), seed)


def of_parts(seeds: range, n: int = 6, m: int = 5) -> list[Lowered]:
    """Those of several parts in which something can move."""
    found = [problem(seed, n, m) for seed in seeds]
    return [low for low in found if sum(bool(part.free.any()) for part in split(low)) > 1]


def limited(lowered: Lowered, most: float) -> Lowered:
    wall = Wall(MoveLimit(np.ones(lowered.n_items), most), "max_moves")
    return replace(lowered, walls=(*lowered.walls, wall))


def budget(time_s: float | None = None, iterations: int | None = None, seed: int = 0) -> Run:
    return Run.begin(time_s, iterations, seed)


def searched(lowered: Lowered, start: Ints, run: Run, threads: int, again: bool = False) -> Answer:
    """A quick engine without bounds."""
    return localsearch.solve(lowered, start, run, workers=threads)


@pytest.mark.parametrize("lowered", of_parts(range(16)))
def test_answers_are_sound_and_bounds_are_below_what_trying_everything_finds(lowered: Lowered) -> None:
    answer = auto.solve(lowered, lowered.start.copy(), budget(1.0, 6_000))
    is_sound(lowered, answer, lowered.start)
    best = optimum(lowered)
    assert answer.bounds[0] <= best[0] + 1e-5 * max(1.0, best[0])
    assert answer.status != "infeasible"
    if answer.status == "optimal":
        np.testing.assert_allclose(answer.scores, best, rtol=1e-4, atol=1e-4)


def test_the_problems_above_have_parts() -> None:
    assert len(of_parts(range(16))) > 6


@pytest.mark.parametrize("lowered", of_parts(range(16)))
@pytest.mark.parametrize("most", [0, 2])
def test_a_limit_on_all_moves_holds_with_valid_bounds(lowered: Lowered, most: int) -> None:
    lowered = limited(lowered, float(most))
    answer = auto.solve(lowered, lowered.start.copy(), budget(1.0, 3_000))
    is_sound(lowered, answer, lowered.start)
    best = optimum(lowered)
    assert answer.bounds[0] <= best[0] + 1e-5 * max(1.0, best[0])
    if answer.status == "optimal":
        np.testing.assert_allclose(answer.scores, best, rtol=1e-4, atol=1e-4)


def clusters(n_clusters: int, wrong: int) -> Lowered:
    """Clusters of two bins; in each, `wrong` items are where they should not be, one of them in a bin that is full.

    Level 0: the items in a wrong bin, cluster 0's count most; level 1: the price of moves.
    """
    start, price, allowed = [], [], []
    for c in range(n_clusters):
        for k in range(2 * wrong):
            start.append(2 * c + (k % 2))
            price.append(1.0)
            allowed.append(c)
    n_bins = 2 * n_clusters
    mask = np.arange(n_bins)[None, :] // 2 == np.arange(n_clusters)[:, None]
    weight = np.repeat(np.arange(n_clusters, 0, -1.0), 2)
    target = np.tile([0.0, 100.0], n_clusters)
    levels = (
        Level("repair", (Weighted(OverTarget("cpu", np.ones(len(start)), target, weight)),)),
        Level("moves", (Weighted(MoveCost(np.array(price))),)),
    )
    walls = (Wall(Allowed(np.array(allowed, np.int32), np.asarray(mask)), "clusters"),)
    return Lowered(len(start), n_bins, np.array(start, np.int32), walls, levels)


@pytest.mark.parametrize("most", [1, 5, 9, 12])
def test_a_limit_is_used_to_the_last_move_where_it_gains_the_most(most: int) -> None:
    """Four clusters of four wrong items: a move gains 4 in the first one, 1 in the last."""
    lowered = limited(clusters(4, 4), float(most))
    answer = auto.solve(lowered, lowered.start.copy(), budget(None, 4_000))
    moved = answer.assign != lowered.start
    assert moved.sum() == most
    gain = sorted((4 - (home // 2) for home in lowered.start[lowered.start % 2 == 0].tolist()), reverse=True)
    today = lowered.scores(lowered.start)[0]
    assert answer.scores[0] == today - sum(gain[:most])


def test_a_limit_wide_enough_changes_nothing() -> None:
    lowered = clusters(3, 4)
    answer = auto.solve(limited(lowered, 12.0), lowered.start.copy(), budget(None, 4_000))
    assert answer.scores.tolist() == [0.0, 12.0]
    assert answer.status == "optimal"


def test_the_same_iterations_give_the_same_plan_whatever_the_threads_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lowered = Problem(make_cluster(40, 260, 3, n_clusters=5, fill_ratio=0.7)).lowered
    real = parts._Parts.turn

    def late(self: parts._Parts, task: parts._Task, stop: Stop, threads: int) -> None:
        time.sleep(0.05 * (task.number % 3))
        real(self, task, stop, threads)

    for low in (lowered, limited(lowered, 9.0)):
        first = parts.solve(low, low.start.copy(), budget(None, 60_000, 5), searched)
        with monkeypatch.context() as patch:
            patch.setattr(parts._Parts, "turn", late)
            second = parts.solve(low, low.start.copy(), budget(None, 60_000, 5), searched)
        np.testing.assert_array_equal(first.assign, second.assign)
        assert first.iterations == second.iterations
        other = parts.solve(low, low.start.copy(), budget(None, 60_000, 6), searched)
        assert (first.assign != lowered.start).any() and (other.assign != first.assign).any()


def test_iterations_are_shared_out_and_not_overdrawn() -> None:
    lowered = clusters(6, 30)
    given: list[int] = []

    def engine(lowered: Lowered, start: Ints, run: Run, threads: int, again: bool = False) -> Answer:
        assert run.stop.iterations is not None
        given.append(run.stop.iterations)
        scores = lowered.scores(start)
        return Answer("feasible", start, scores, 0 * scores, "idle", 0.0, run.stop.iterations)

    for low in (lowered, limited(lowered, 3.0)):
        given.clear()
        answer = parts.solve(low, low.start.copy(), budget(None, 10_000), engine)
        assert answer.iterations == sum(given) <= 10_000
        assert sum(given) > 9_000


def test_a_part_that_fails_loses_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    lowered = clusters(3, 4)

    def engine(lowered: Lowered, start: Ints, run: Run, threads: int, again: bool = False) -> Answer:
        if 3.0 in lowered.levels[0].terms[0].term.weight:
            raise RuntimeError("planted")
        return searched(lowered, start, run, threads)

    answer = parts.solve(lowered, lowered.start.copy(), budget(None, 5_000), engine)
    assert "part 0 failed" in caplog.text
    assert (answer.assign[:8] == lowered.start[:8]).all()
    assert answer.scores.tolist() == [12.0, 8.0]
    assert answer.status == "feasible"


def test_an_answer_that_crosses_a_wall_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    lowered = clusters(2, 2)
    lowered = replace(lowered, walls=(*lowered.walls, Wall(MoveLimit(np.ones(8), 8.0), "max_moves")))

    def engine(lowered: Lowered, start: Ints, run: Run, threads: int, again: bool = False) -> Answer:
        assign = np.full(len(start), 99, dtype=np.int32)
        return Answer("optimal", assign, np.zeros(2), np.zeros(2), "wrong", 0.0, 1)

    answer = parts.solve(lowered, lowered.start.copy(), budget(None, 100), engine)
    np.testing.assert_array_equal(answer.assign, lowered.start)
    assert "crosses a wall" in caplog.text
    assert answer.status == "feasible"


def test_an_interrupt_ends_all_parts_within_a_second() -> None:
    lowered = Problem(make_cluster(60, 600, 2, n_clusters=6, fill_ratio=0.7)).lowered
    localsearch.ready(budget(1.0))
    run = budget(60.0)
    timer = threading.Timer(0.5, run.stop.interrupt)
    timer.start()
    began = time.monotonic()
    answer = parts.solve(lowered, lowered.start.copy(), run, searched)
    timer.cancel()
    assert time.monotonic() - began < 1.5 + 1.0  # a machine under load
    assert answer.interrupted
    assert not lowered.broken_walls(answer.assign)


def test_the_time_is_used_and_not_overdrawn() -> None:
    """By the clock that each part was given: shares of the two lanes sum to the budget."""
    lowered = clusters(7, 30)
    given: list[tuple[float, float]] = []

    def engine(lowered: Lowered, start: Ints, run: Run, threads: int, again: bool = False) -> Answer:
        assert run.stop.time_s is not None
        began = time.monotonic()
        time.sleep(run.stop.time_s)
        given.append((run.stop.time_s, time.monotonic() - began))
        scores = lowered.scores(start)
        return Answer("feasible", start, scores, 0 * scores, "idle", 0.0, 1)

    answer = parts.solve(lowered, lowered.start.copy(), budget(3.0), engine)
    late = sum(took - asked for asked, took in given)
    assert answer.elapsed_s < 3.0 * 1.05 + late
    assert sum(asked for asked, _ in given) > 0.8 * parts.LANES * 3.0 - late


def two_clusters_of_which_one_gains() -> tuple[Lowered, Ints]:
    """Repairing the small cluster gains all of its cost, which is 1 % of that of both."""
    lowered = clusters(2, 1)
    term = OverTarget("cpu", np.ones(4), np.tile([0.0, 100.0], 2), np.array([99.0, 99.0, 1.0, 1.0]))
    levels = (Level("balance", (Weighted(term),), worth_ratio=0.1), lowered.levels[1])
    assign = lowered.start.copy()
    assign[2] = 3
    return replace(lowered, levels=levels), assign


def test_what_is_worth_moving_is_decided_in_each_part() -> None:
    lowered, assign = two_clusters_of_which_one_gains()
    scores = lowered.scores(assign)
    answer = Answer("feasible", assign, scores, np.array([99.0, 1.0]), "by hand", 0.0)
    assert parts.worthwhile(lowered, answer) is answer


def test_a_part_that_gains_too_little_stays_as_it_is() -> None:
    """The first cluster loses half a percent of its cost for two moves; the second one is repaired."""
    lowered, assign = two_clusters_of_which_one_gains()
    lowered = replace(lowered, levels=(replace(lowered.levels[0], worth_ratio=1.5), lowered.levels[1]))
    scores = lowered.scores(assign)
    answer = Answer("feasible", assign, scores, np.array([99.0, 1.0]), "by hand", 0.0)
    kept = parts.worthwhile(lowered, answer)
    np.testing.assert_array_equal(kept.assign, lowered.start)
    np.testing.assert_allclose(kept.scores, lowered.scores(lowered.start))
    assert kept.bounds.tolist() == [99.0, 0.0]


def test_auto_repairs_a_cluster_that_is_a_small_part_of_the_whole() -> None:
    lowered, _ = two_clusters_of_which_one_gains()
    only = replace(lowered, walls=(*lowered.walls, Wall(MoveLimit(np.array([1.0, 0, 0, 0]), 0.0), "held")))
    answer = auto.solve(only, only.start.copy(), budget(None, 3_000))
    assert answer.assign.tolist() == [0, 1, 3, 3]
    assert parts.worthwhile(only, answer) is answer


@pytest.mark.parametrize("seed", range(12))
def test_mending_worsens_no_level_before_the_goals_and_crosses_no_wall(seed: int) -> None:
    lowered = random_lowered(seed, n=12, m=5, levels=3)
    levels = (*(replace(level, role="not_worse") for level in lowered.levels[:-1]), lowered.levels[-1])
    lowered = replace(lowered, levels=levels)
    found = mended(lowered, lowered.start)
    assert not lowered.broken_walls(found) and not order.misplaced(lowered, found)
    before, after = lowered.scores(lowered.start), lowered.scores(found)
    assert not order.lex_less(before[:-1], after[:-1])


def test_mending_repairs_what_one_move_repairs() -> None:
    lowered = clusters(3, 4)
    lowered = replace(lowered, levels=(replace(lowered.levels[0], role="not_worse"), lowered.levels[1]))
    assert lowered.scores(mended(lowered, lowered.start)).tolist() == [0.0, 12.0]


def test_more_rounds_never_give_a_worse_part() -> None:
    lowered = Problem(make_cluster(24, 160, 3, n_clusters=3, fill_ratio=0.7)).lowered
    before = None
    for iterations in (0, 2_000, 20_000):
        answer = parts.solve(lowered, lowered.start.copy(), budget(None, iterations), searched)
        if before is not None:
            assert not order.better(lowered, before, answer.scores)
        before = answer.scores
