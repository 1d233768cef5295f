"""A plan in stages: repairs first, then what gains most for its price, and the next call goes on from there."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import drs
from drs.cli import app
from drs.errors import InputError
from drs.explain import not_more
from drs.goals import Balance, Moves
from drs.problem import Policy
from drs.result import Curve, Result
from drs.rules import KeepApart
from drs.solvers.stages import stages

GOALS = Policy(goals=(Balance(target=0.0, worth_ratio=0.0), Moves()))
APART = KeepApart(["vm00", "vm02"], name="apart")


def uneven(n: int = 24) -> drs.Snapshot:
    """Two of four hosts carry everything; every third VM is busy and small."""
    import pandas as pd

    k = np.arange(n)
    hosts = {"host": [f"h{i}" for i in range(4)], "cpu_mhz": 40_000.0, "memory_mib": 512 * 1024.0}
    vms = {
        "vm": [f"vm{i:02d}" for i in k],
        "host": [f"h{i % 2}" for i in k],
        "memory_mib": np.where(k % 3 == 0, 4096.0, 16_384.0),
        "cpu_demand_mhz": np.where(k % 3 == 0, 4000.0, 600.0),
    }
    return drs.read({"hosts": pd.DataFrame({**hosts, "vmotion_mbps": 1000}), "vms": pd.DataFrame(vms)})


def advise(snapshot: drs.Snapshot, **more: object) -> Result:
    return drs.advise(snapshot, policy=GOALS, rules=[APART], iterations=3000, **more)


def test_the_curve_is_the_law_at_every_step() -> None:
    result = advise(uneven())
    curve, problem = result.curve, result.problem
    assert curve is not None and len(curve) == len(result.moved_vms) > 3
    host = problem.today.host_idx.copy()
    names = [level.name for level in problem.lowered.levels]
    for k in range(len(curve) + 1):
        if k:
            vm = result.snapshot.vms.position[curve.vms[k - 1]]
            host[vm] = result.placement.host_idx[vm]
        law = dict(zip(names, problem.lowered.scores(host), strict=True))
        for name, scores in curve.goals.items():
            assert scores[k] == pytest.approx(law[name], abs=1e-6), (k, name)
        assert curve.may_end[k] == (not problem.lowered.broken_walls(host))
    assert np.array_equal(host, result.placement.host_idx)
    assert curve.gib[-1] == pytest.approx(sum(m.transferred_mib for m in result.plan.moves) / 1024)
    assert (np.diff(curve.gib) >= 0).all() and (np.diff(curve.price_s) >= 0).all()


def test_repairs_come_first() -> None:
    curve = advise(uneven()).curve
    assert curve is not None and {"vm00", "vm02"} & {curve.vms[0]}
    assert curve.shares(1)["not_worse"] == 1.0


def test_no_order_of_few_moves_starts_better_for_its_price() -> None:
    """Brute force over the first move: none repairs more, and of those that repair alike none gains more a second."""
    result = drs.advise(uneven(8), policy=GOALS, rules=[], iterations=3000)
    lowered, after = result.problem.lowered, np.asarray(result.placement.host_idx)
    price = np.maximum(result.prices.move_s, 1e-3)
    order = stages(lowered, after, price)
    first = []
    for item in np.flatnonzero(after != lowered.start):
        one = lowered.start.copy()
        one[item] = after[item]
        change = lowered.scores(one)[:-1] - lowered.scores(lowered.start)[:-1]
        level = next(k for k, x in enumerate(change) if abs(x) > 1e-9)
        first.append((level if change[level] < 0 else 99, change[level] / price[item], item))
    assert order.items[0] == min(first)[2]


def test_an_exchange_ends_nowhere_in_the_middle() -> None:
    """Two VMs that fill their hosts change places: whichever goes first, no plan ends between."""
    import pandas as pd

    hosts = pd.DataFrame({"host": ["a", "b"], "cpu_mhz": 10_000.0, "memory_mib": 10_240.0})
    vms = pd.DataFrame(
        {"vm": ["x", "y"], "host": ["a", "b"], "cpu_demand_mhz": 100.0, "memory_mib": [9000.0, 8000.0]}
    )
    snapshot = drs.read({"hosts": hosts, "vms": vms})
    problem = drs.Problem(snapshot, [], Policy())
    order = stages(problem.lowered, np.array([1, 0], dtype=np.int32), np.ones(2))
    assert order.may_end.tolist() == [True, False, True]


@pytest.mark.parametrize("stage", ["3", "20GiB", "2min"])
def test_a_stage_is_no_more_than_was_asked_for(stage: str) -> None:
    whole = advise(uneven())
    part = advise(uneven(), stage=stage)
    assert part.plan is not None and whole.plan is not None and part.stage is not None
    assert 0 < len(part.plan.moves) < len(whole.plan.moves)
    took = {
        "3": len(part.plan.moves) / 3,
        "20GiB": part.plan.total_transferred_mib / 20480,
        "2min": part.plan.makespan_s / 120,
    }[stage]
    assert took <= 1.0 + 1e-9
    assert part.status == "feasible" and np.array_equal(part.placement.host_idx, part.plan.placement.host_idx)
    reached = part.problem.lowered.scores(np.asarray(part.placement.host_idx))
    assert [goal.after for goal in part.goals] == pytest.approx(reached.tolist())
    assert not part.violations_after
    assert {reason.vm for reason in part.reasons} == {move.vm for move in part.plan.moves}
    said = " ".join(part.stage.sentences())
    assert f"of {len(whole.moved_vms)} VMs" in said and "Later stages bring balance" in said
    report = not_more(part)
    assert report is not None and any("only a stage" in line for line in report.limits)


def test_stage_after_stage_comes_to_the_same_end() -> None:
    whole = advise(uneven())
    now, n_stages, scores = uneven(), 0, []
    while True:
        part = advise(now, stage="4")
        if not part.plan.moves:
            break
        scores.append({goal.name: goal.after for goal in part.goals})
        now, n_stages = part.snapshot_after, n_stages + 1
        assert n_stages < 12
    assert n_stages >= 2 and not part.violations_after
    end = {goal.name: goal.after for goal in whole.goals}
    assert all(a["balance"] >= b["balance"] for a, b in itertools.pairwise(scores))
    assert scores[0].get("not_worse", 0.0) == 0.0
    assert scores[-1]["balance"] <= end["balance"] * 1.1 + 0.01


def test_the_least_part_is_told_where_it_is_more_than_asked() -> None:
    part = advise(uneven(), stage="0.001GiB")
    assert part.stage is not None and "larger than asked" in part.stage.note and len(part.plan.moves) == 1


def test_a_stage_that_holds_everything_is_the_last_one() -> None:
    part = advise(uneven(), stage="1000")
    assert part.stage is not None and "the last one" in part.stage.sentences()[1]
    assert not part.stage.left


def test_a_long_plan_says_where_it_bends() -> None:
    n = 400
    fast = np.minimum(1.0, np.arange(n + 1) / 100)
    scores = tuple((10.0 - 8.0 * fast - 2.0 * np.arange(n + 1) / n).tolist())
    figures = tuple(float(k) for k in range(n + 1))
    curve = Curve(tuple(f"vm{k}" for k in range(n)), figures, figures, {"balance": scores}, (True,) * (n + 1))
    assert curve.bend == 100
    assert curve.sentences() == [
        "The first 100 of 400 VMs to move bring 85 % of balance; stage = 100 plans those alone."
    ]
    short = dataclasses.replace(curve, vms=curve.vms[:3])
    assert not Curve(short.vms, figures[:4], figures[:4], {"balance": scores[:4]}, (True,) * 4).sentences()
    table = curve.to_frame()
    assert len(table) == n + 1 and list(table.columns[:4]) == ["n_moves", "vm", "gib", "price_s"]


@pytest.mark.parametrize("text", ["", "0", "-3", "20 GB", "soon", "0min", "1e3", "nan"])
def test_what_is_no_stage_is_refused(text: str) -> None:
    if not text:
        assert advise(uneven(8), stage=text).stage is None
        return
    with pytest.raises(InputError, match="200, 50GiB or 30min"):
        advise(uneven(8), stage=text)


def test_the_document_holds_the_curve(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    out = tmp_path / "out"
    told = CliRunner().invoke(
        app, ["advise", "small", "--stage", "5", "--iterations", "2000", "--out", str(out)]
    )
    assert told.exit_code in (0, 1), told.output
    document = json.loads((out / "plan.json").read_text())
    assert document["stage"]["n_vms"] == len(document["moves"]) == 5
    curve = document["curve"]
    assert (
        curve["n_moves"][0] == 0 and curve["n_moves"][-1] == len(curve["vms"]) == document["stage"]["n_all"]
    )
    assert len(curve["goals"]["balance"]) == len(curve["n_moves"]) == len(curve["gib"])
    assert "This stage (5) moves 5 of" in (out / "report.html").read_text()


def test_options_are_asked_for_by_name() -> None:
    snapshot = uneven()
    swap = drs.advise(snapshot, move={"vm00": "h2", "vm01": "h3"}, rules=[], iterations=500)
    assert swap.mode == "move" and set(swap.moved_vms) == {"vm00", "vm01"}
    new = drs.advise(snapshot, new={"vm00": 3}, rules=[], iterations=500)
    assert new.mode == "place" and new.snapshot.n_vms == snapshot.n_vms + 3
    with pytest.raises(InputError, match="did you mean evacuate"):
        drs.advise(snapshot, evacaute=["h0"])
