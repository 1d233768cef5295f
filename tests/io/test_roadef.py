"""The ROADEF/EURO challenge as a problem: costs by hand, an independent evaluator, bad files, round trips."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from drs.errors import InputError
from drs.io import roadef
from drs.model import Placement
from drs.solvers import localsearch
from drs.stop import Run, Stop

ROOT = Path(__file__).parent.parent.parent

MODEL = """\
2
1 10
0 1
3
0 0 10 20 4 20 0 1 2
0 1 10 20 4 20 3 0 4
1 0 10 20 10 20 5 6 0
2
2 0
1 1 0
4
0 6 3 7
0 2 2 8
1 3 1 9
1 1 5 11
1
0 1 3
5
1 10 100
"""
"""3 machines, 2 resources (the first transient), service 0 in 2 locations, service 1 near service 0."""
START = "0 1 0 1\n"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The benchmark, for its evaluator."""
    path = ROOT / "benchmarks" / "quality" / "roadef.py"
    spec = importlib.util.spec_from_file_location("roadef_benchmark", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def save(folder: Path, model: str = MODEL, start: str = START) -> tuple[Path, Path]:
    """The two files of an instance."""
    paths = folder / "model_tiny.txt", folder / "assignment_tiny.txt"
    for path, text in zip(paths, (model, start), strict=True):
        path.write_text(text)
    return paths


def cost_of(paths: tuple[Path, Path], assign: list[int]) -> tuple[float, bool]:
    """What drs makes of an assignment: the cost by its terms, and whether every rule holds."""
    problem = roadef.read(*paths)
    host_idx = np.array(assign, dtype=np.int32)
    (cost,) = problem.lowered.scores(host_idx)
    placement = Placement(host_idx, np.zeros(0, np.int32))
    (goal,) = problem.goals
    assert goal.measure(problem.snapshot, placement, problem.prices) == cost
    holds = not problem.check(placement)
    assert holds == (not problem.lowered.broken_walls(host_idx))
    return float(cost), holds


@pytest.mark.parametrize(
    ("assign", "cost", "holds"),
    [
        # load: r0 uses 9, 3, 0 over 4, 4, 10: 10 x 5. balance, 3 x free r0 - free r1: 3 - 16, 21 - 13, 30 - 20: 5 x 18
        ([0, 1, 0, 1], 140, True),
        # p2 from m0 to m1. load: 6, 6 over 4, 4: 10 x 4. balance: 12 - 17, 12 - 12, 10: 50. moves: 9, 10, 100 x 1
        ([0, 1, 1, 1], 209, False),
        # p3 from m1 to m0. load: 10, 2, 0: 60. balance: 0 - 11, 24 - 18, 10: 80. moves: 11 + 10 + 300
        ([0, 1, 0, 0], 461, False),
        # p0 and p1 trade places: in transit m0 holds 2 + 3 + 6, more than 10. load: 5, 7: 40.
        # balance: 15 - 17, 9 - 12, 10: 50. moves: 7 + 8, 20, 100 + 300
        ([1, 0, 0, 1], 525, False),
        # p2 to m2: service 1 in neighbourhood 1 without service 0. load: 6, 3: 20.
        # balance: 12 - 17, 21 - 13, 21 - 19: 50. moves: 9, 10, 200
        ([0, 1, 2, 1], 289, False),
        # p0 to m2, and m0 holds 3 + 6 in transit. load: 0. balance: 21 - 19, 8, 12 - 17: 50. moves: 7, 10, 200
        ([2, 1, 0, 1], 267, True),
    ],
)
def test_costs_by_hand(tmp_path: Path, bench: ModuleType, assign: list[int], cost: int, holds: bool) -> None:
    paths = save(tmp_path)
    assert cost_of(paths, assign) == (cost, holds)
    value, broken = bench.evaluate(bench.read_model(paths[0]), bench.read_assignment(paths[1]), assign)
    assert (value, not broken) == (cost, holds)


def generated(seed: int) -> tuple[str, str]:
    """A random instance whose first assignment holds, tight enough that others break every constraint."""
    rng = np.random.default_rng(seed)
    m, r, s, p = 5, 3, 4, 9
    service = np.concatenate([np.arange(s), rng.integers(0, s, p - s)])
    need = rng.integers(0, 8, (p, r))
    neighbourhood, location = rng.integers(0, 2, m), rng.integers(0, 3, m)
    neighbourhood[0], location[0] = 0, 0
    start = np.zeros(p, dtype=int)
    for k in range(s):
        mine = np.flatnonzero(service == k)[:m]
        start[mine] = rng.permutation(m)[: len(mine)]
    keep = np.ones(p, dtype=bool)
    for k in range(s):  # a service of more processes than machines cannot do
        keep[np.flatnonzero(service == k)[m:]] = False
    service, need, start = service[keep], need[keep], start[keep]
    use = np.stack([np.bincount(start, weights=need[:, k], minlength=m) for k in range(r)], axis=1).astype(
        int
    )
    capacity = use + rng.integers(0, 12, (m, r))
    lines = [str(r), *(f"{int(rng.random() < 0.4)} {rng.integers(0, 20)}" for _ in range(r)), str(m)]
    for k in range(m):
        safety = capacity[k] * 6 // 10
        row = [neighbourhood[k], location[k], *capacity[k], *safety, *rng.integers(0, 9, m)]
        lines.append(" ".join(map(str, row)))
    lines.append(str(s))
    for k in range(s):
        mine = start[service == k]
        there = set(neighbourhood[mine])
        needs = [o for o in range(s) if o != k and there <= set(neighbourhood[start[service == o]])]
        spread = len(set(location[mine])) if rng.random() < 0.5 else 0
        lines.append(" ".join(map(str, [spread, len(needs), *needs])))
    lines.append(str(len(service)))
    for k, one in enumerate(service):
        lines.append(" ".join(map(str, [one, *need[k], rng.integers(0, 30)])))
    lines += ["2", "0 1 2", "7", "2 0 1", "3", "1 10 100"]
    return "\n".join(lines) + "\n", " ".join(map(str, start)) + "\n"


@pytest.mark.parametrize("seed", range(6))
def test_the_evaluator_and_drs_agree_on_random_assignments(
    tmp_path: Path, bench: ModuleType, seed: int
) -> None:
    paths = save(tmp_path, *generated(seed))
    model, before = bench.read_model(paths[0]), bench.read_assignment(paths[1])
    rng = np.random.default_rng(seed)
    kinds = set()
    assert cost_of(paths, before)[1]
    for _ in range(60):
        after = list(before)
        for process in rng.integers(0, len(before), rng.integers(0, 4)):
            after[process] = int(rng.integers(0, len(model.machines)))
        value, broken = bench.evaluate(model, before, after)
        assert cost_of(paths, after) == (value, not broken)
        kinds.update(line.split(":")[0] for line in broken)
    assert {"capacity", "conflict"} <= kinds


@pytest.mark.parametrize("seed", range(3))
def test_a_solved_instance_holds_and_round_trips(tmp_path: Path, bench: ModuleType, seed: int) -> None:
    paths = save(tmp_path, *generated(seed))
    lowered = roadef.read(*paths).lowered
    answer = localsearch.solve(lowered, lowered.start, Run(Stop(iterations=20_000), seed))
    out = tmp_path / "new.txt"
    roadef.write_assignment(out, answer.assign)
    model, before = bench.read_model(paths[0]), bench.read_assignment(paths[1])
    value, broken = bench.evaluate(model, before, bench.read_assignment(out))
    assert not broken and value == answer.scores[0] <= bench.evaluate(model, before, before)[0]
    again = roadef.read(paths[0], out)
    assert np.array_equal(again.snapshot.vms.host_idx, answer.assign)


def test_the_problem_is_one_of_snapshot_rules_and_goal(tmp_path: Path) -> None:
    problem = roadef.read(*save(tmp_path))
    assert problem.snapshot.resources == ("cpu", "memory", "r0", "r1")
    assert [rule.type for rule in problem.rules] == [
        "capacity", "capacity", "keep-apart", "spread", "keep-apart", "dependency",
    ]  # fmt: skip
    assert [rule.holds for rule in problem.rules][:2] == ["at_once", "after"]
    assert [goal.type for goal in problem.goals] == ["sum"]
    assert {part.type for part in problem.goals[0].parts} == {
        "over-target", "free-balance", "moves", "group-moves", "move-distance",
    }  # fmt: skip


def line(number: int, text: str) -> str:
    """The model with another text on a line."""
    lines = MODEL.splitlines()
    lines[number - 1] = text
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("model", "start", "where", "given", "expected"),
    [
        ("", START, "tiny.txt, line 1", "the file ends", "the number of resources"),
        (line(4, "three"), START, "line 4, number 1", "'three'", "a whole number"),
        (line(4, "3.0"), START, "line 4, number 1", "'3.0'", "a whole number"),
        (line(1, "-2"), START, "line 1, number 1", "-2", "the number of resources, 0 or more"),
        (line(2, "2 10"), START, "line 2, number 1", "2", "from 0 to 1"),
        (line(3, "0 -1"), START, "line 3, number 2", "-1", "weight of load cost"),
        (line(6, "0 1 10 -20 4 20 3 0 4"), START, "line 6, number 4", "-20", "a capacity"),
        (line(6, f"0 1 {10**30} 20 4 20 3 0 4"), START, "line 6, number 3", "10000", "a whole number"),
        (line(10, "1 1 2"), START, "line 10, number 3", "2", "a service, from 0 to 1"),
        (line(12, "2 6 3 7"), START, "line 12, number 1", "2", "a service, from 0 to 1"),
        (line(17, "0 2 3"), START, "line 17, number 2", "2", "a resource, from 0 to 1"),
        (line(19, "1 10"), START, "line 19", "2 of 3", "weights of process, service and machine moves"),
        (MODEL + "7 7\n", START, "line 20, number 1", "2 numbers more", "the end"),
        (MODEL, "0 1 0\n", "line 1", "3 of 4", "machines of the processes"),
        (MODEL, "0 1\n3 1\n", "line 2, number 1", "3", "a machine, from 0 to 2"),
        (MODEL, "0 1 0 1 1\n", "line 1, number 5", "1 numbers more", "the end"),
        (line(9, "3 0"), START, "spread of service 0", "3 sites for 2 VMs", "at most 2"),
    ],
)
def test_a_bad_file_is_refused_by_line_and_number(
    tmp_path: Path, model: str, start: str, where: str, given: str, expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        roadef.read(*save(tmp_path, model, start))
    fault = caught.value.faults[0]
    assert where in fault.where and given in fault.given and expected in fault.expected


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    model, start = save(tmp_path)
    with pytest.raises(InputError, match="no such file; expected a model file"):
        roadef.read(tmp_path / "none.txt", start)
    with pytest.raises(InputError, match="no such file; expected an assignment file"):
        roadef.read(model, tmp_path / "none.txt")


def test_the_table_of_all_instances_is_resumable(tmp_path: Path, bench: ModuleType, monkeypatch: Any) -> None:
    save(tmp_path)
    (tmp_path / "results.csv").write_text("instance,winner_s41_300s,best_published\ntiny,,139\n")
    runs = []
    real = bench.solve
    monkeypatch.setattr(bench, "warm_up", lambda: None)
    monkeypatch.setattr(bench, "solve", lambda *args: runs.append(args) or real(*args))
    table = tmp_path / "out.csv"
    for seed in ("1", "1", "2"):
        argv = ["roadef.py", "--all", str(tmp_path), "--csv", str(table), "--time-s", "0.2", "--seed", seed]
        monkeypatch.setattr(sys, "argv", argv)
        assert bench.main() == 0
    rows = [row.split(",") for row in table.read_text().splitlines()]
    assert len(runs) == 2 and [row[2] for row in rows[1:]] == ["1", "2"]
    assert dict(zip(rows[0], rows[1], strict=True))["gap_percent"] == "0.7143"


@pytest.mark.parametrize("name", ["a1_1", "a2_1", "b_1"])
def test_published_instances_have_their_published_cost(
    bench: ModuleType, bench_data: Path, name: str
) -> None:
    folder = bench_data / "data" / "roadef"
    paths = folder / f"model_{name}.txt", folder / f"assignment_{name}.txt"
    if not paths[0].is_file():
        pytest.skip(f"no {paths[0]}")
    initial = int(bench.published(folder)[name]["initial_cost"])
    model, before = bench.read_model(paths[0]), bench.read_assignment(paths[1])
    assert bench.evaluate(model, before, before) == (initial, [])
    lowered = roadef.read(*paths).lowered
    assert lowered.scores(lowered.start) == [initial] and not lowered.broken_walls(lowered.start)
