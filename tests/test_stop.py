"""Budgets: what ends a search, and that iterations alone never read the clock."""

from __future__ import annotations

import dataclasses
import math
import re
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import drs
from drs import datasets, explain, modes, solvers
from drs.goals import Balance, Moves
from drs.planning import make
from drs.problem.policy import Policy
from drs.result import Result
from drs.solvers.base import Answer
from drs.stop import Progress, Run, Stop


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


# -- one budget for one call ------------------------------------------------------------------------------

FRONT_DOORS = {
    "api.py",  # solve, plan, advise
    "cli/advise.py",
    "cli/check.py",  # --room
    "cli/rolling.py",
    "explain/conflict.py",  # explain.conflicts
    "modes/admission.py",
    "modes/rolling.py",
    "modes/room.py",
    "pareto.py",
    "solvers/exact/highs.py",  # a process that starts up, before any search
    "stop.py",
    "testing/conformance.py",  # check_solver: it stands in for the caller of an engine
    "ui/job.py",
    "ui/work.py",  # a search that goes on without its page
    "whatif/row.py",
}


def test_a_budget_is_begun_at_the_front_doors_and_only_divided_below() -> None:
    home = Path(drs.__file__).parent
    begins = re.compile(r"\bStop\(|\bRun\.begin\(|\bstop\.begin\(|\)\.begin\(|\.time_s = |_event = ")
    found = {
        path.relative_to(home).as_posix()
        for path in home.rglob("*.py")
        if any(begins.search(line) for line in path.read_text().splitlines() if "self.time_s = " not in line)
    }
    assert found == FRONT_DOORS


def test_a_child_shares_the_interrupt_and_the_pause() -> None:
    run = Run.begin(10.0, 100, 3)
    part, after = run.part(0.5), run.followed_by(None, 7)
    assert (part.stop.iterations, after.stop.time_s, after.stop.iterations, after.seed) == (50, None, 7, 3)
    with part.stop.paused():
        time.sleep(0.05)
    assert run.stop.wall_s >= 0.05 > run.stop.elapsed_s
    run.stop.interrupt()
    assert part.stop.interrupted and after.stop.interrupted and after.stop.remaining_s == 0.0


def test_a_clock_that_runs_is_not_started_again() -> None:
    stop = Stop(10.0).begin()
    time.sleep(0.05)
    assert Run.begin(None, None, 0, stop).stop is stop and stop.elapsed_s >= 0.05


@pytest.mark.parametrize(("given", "time_s", "iterations"), [
    ((None, None), 30.0, None), ((None, 5), None, 5), ((2.0, None), 2.0, None), ((2.0, 5), 2.0, 5),
    ((math.inf, None), None, None)])  # fmt: skip
def test_the_limits_that_count(
    given: tuple[float | None, int | None], time_s: float, iterations: int
) -> None:
    stop = Run.begin(*given, 0).stop
    assert (stop.time_s, stop.iterations) == (time_s, iterations)


def test_one_more_round_has_a_clock_only_where_the_search_has_one() -> None:
    assert Stop(iterations=9).again(5.0).time_s is None
    assert Stop(iterations=9).again(5.0).iterations == 9
    assert Stop(3.0).again(5.0).time_s == 3.0 and Stop(60.0).again(5.0).time_s == 5.0
    assert Stop().again(5.0).time_s == 5.0


def balancing() -> drs.Problem:
    return drs.Problem(datasets.load("medium"), (), Policy(goals=(Balance(target=0.0), Moves())))


def test_time_and_iterations_whichever_comes_first() -> None:
    problem = balancing()
    assert drs.solve(problem, solver="localsearch", iterations=10).elapsed_s < 25  # the kernel loads
    began = time.monotonic()
    drs.solve(problem, solver="localsearch", time_s=60.0, iterations=20_000)
    assert time.monotonic() - began < 20
    began = time.monotonic()
    drs.solve(problem, solver="localsearch", time_s=0.5, iterations=10**12)
    assert time.monotonic() - began < 20


def test_elapsed_counts_from_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    pose = modes.MODES["balance"].pose

    def slow(*args: object) -> drs.Problem:
        time.sleep(0.6)
        return pose(*args)  # type: ignore[arg-type]

    monkeypatch.setitem(modes.MODES, "balance", dataclasses.replace(modes.MODES["balance"], pose=slow))  # type: ignore[arg-type]
    result = drs.advise("small", time_s=0.5)
    assert result.elapsed_s >= 0.6
    assert result.iterations > 0 or result.status == "optimal"  # the search has its half second all the same


class Interrupting:
    """A solver that answers at once, and when it is asked for the n-th time, waits for its budget's end."""

    def __init__(self, waits_at: int, answer: str = "feasible") -> None:
        self.waits_at, self.calls, self.answer = waits_at, 0, answer
        self.waits = threading.Event()

    def __call__(self, lowered, start, run):  # type: ignore[no-untyped-def]
        self.calls += 1
        if self.calls >= self.waits_at:
            self.waits.set()
            while run.stop.remaining_s > 0:
                time.sleep(0.005)
        assign = np.array(start)
        scores = lowered.scores(assign)
        return Answer(self.answer, assign, scores, np.zeros(len(scores)), "waits", 0.0)  # type: ignore[arg-type]


def interrupted_in(waits: threading.Event, call) -> tuple[Result, float]:  # type: ignore[no-untyped-def]
    """The result of a call that is interrupted as soon as it waits, and the seconds from there to its end."""
    stop, at = Stop(60.0), [0.0]

    def watch() -> None:
        assert waits.wait(30)
        time.sleep(0.05)
        at[0] = time.monotonic()
        stop.interrupt()

    watcher = threading.Thread(target=watch)
    watcher.start()
    result = call(stop)
    took = time.monotonic() - at[0]
    watcher.join()
    return result, took


def frames() -> dict[str, pd.DataFrame]:
    return {
        "hosts": pd.DataFrame({"host": ["a", "b"], "cpu_mhz": 10_000.0, "memory_mib": 65_536.0}),
        "vms": pd.DataFrame(
            {"vm": ["x", "y", "z"], "host": "a", "memory_mib": 8192.0, "cpu_demand_mhz": 1000.0}
        ),
    }


@pytest.mark.parametrize("waits_at", [1, 2, 3])
def test_an_interrupt_ends_the_search_and_the_rounds_without_room_for_disks(
    monkeypatch: pytest.MonkeyPatch, waits_at: int
) -> None:
    solver = Interrupting(waits_at)
    monkeypatch.setattr(solvers, "find", lambda name: solver)
    monkeypatch.setattr(drs.Problem, "left_behind", lambda self, placement: ["x"])
    problem = drs.Problem(drs.read(frames()), (), Policy(goals=(Balance(target=0.0),), storage_moves=True))
    result, took = interrupted_in(solver.waits, lambda stop: drs.solve(problem, stop=stop))
    assert took < 1.0 and result.interrupted
    assert solver.calls == waits_at


def test_an_interrupt_ends_the_rounds_without_a_safe_order(monkeypatch: pytest.MonkeyPatch) -> None:
    from drs import advice
    from drs.planning import Stranded

    solver = Interrupting(2)
    monkeypatch.setattr(solvers, "find", lambda name: solver)
    whole = advice.planning.make_plan

    def stranding(*args, **more):  # type: ignore[no-untyped-def]
        return dataclasses.replace(whole(*args, **more), stranded=(Stranded("x", "a", "b", "no way"),))

    monkeypatch.setattr(advice.planning, "make_plan", stranding)
    result, took = interrupted_in(solver.waits, lambda stop: drs.advise(frames(), stop=stop))
    assert took < 1.0 and result.interrupted and solver.calls == 2


def test_an_interrupt_ends_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = threading.Event()
    search = make.search

    def slow(*args, run: Run, **more):  # type: ignore[no-untyped-def]
        waits.set()
        while not run.stop.interrupted:
            time.sleep(0.005)
        return search(*args, run=run, **more)

    monkeypatch.setattr(make, "search", slow)
    policy = Policy(goals=(Balance(target=0.0), Moves()))
    result, took = interrupted_in(waits, lambda stop: drs.advise(frames(), policy=policy, stop=stop))
    assert took < 1.0 and result.interrupted
    assert result.plan is not None and result.plan.moves


def test_an_interrupt_ends_the_search_for_conflicts(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = threading.Event()

    def slow(problem, *, seed: int, stop: Stop):  # type: ignore[no-untyped-def]
        waits.set()
        while stop.remaining_s > 0:
            time.sleep(0.005)
        return real(problem, seed=seed, stop=stop)

    real = explain.conflicts
    monkeypatch.setattr(explain, "conflicts", slow)

    def call(stop: Stop) -> Result:
        stop_search = Interrupting(99, "no_solution")
        monkeypatch.setattr(solvers, "find", lambda name: stop_search)
        return drs.advise(frames(), stop=stop)

    result, took = interrupted_in(waits, call)
    assert took < 1.0 and result.interrupted and result.status == "no_solution"


def test_an_iteration_budget_alone_never_reads_the_clock_in_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = balancing()
    for solver in ("localsearch", "greedy"):
        monkeypatch.setattr(Stop, "elapsed_s", property(lambda self: 0.0))
        one = drs.solve(problem, solver=solver, iterations=5000, seed=4)
        monkeypatch.setattr(Stop, "elapsed_s", property(lambda self: 1e9))
        other = drs.solve(problem, solver=solver, iterations=5000, seed=4)
        assert np.array_equal(one.placement.host_idx, other.placement.host_idx)
