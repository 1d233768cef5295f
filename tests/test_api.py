"""The library's verbs: what comes in, what goes out, and that nothing is trusted."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import drs
from drs import datasets, solvers
from drs.errors import InfeasibleError, InputError, InternalError, UnknownNameError
from drs.goals import Balance, Moves
from drs.io import InputWarning
from drs.problem.policy import Limits, Policy
from drs.rules import KeepApart, Pinned
from drs.solvers.base import Answer
from drs.stop import Progress, Stop


def frames(n_hosts: int = 3, vms: str = "aaaabbc", cpu_mhz: float = 2000) -> dict[str, pd.DataFrame]:
    """One VM for each letter, on host a, b, c, ..."""
    hosts = [f"esx-{chr(97 + i)}" for i in range(n_hosts)]
    return {
        "hosts": pd.DataFrame({"host": hosts, "cpu_mhz": 10_000.0, "memory_mib": 65_536.0}),
        "vms": pd.DataFrame(
            {
                "vm": [f"vm-{i}" for i in range(len(vms))],
                "host": [f"esx-{letter}" for letter in vms],
                "memory_mib": 8192.0,
                "cpu_demand_mhz": cpu_mhz,
            }
        ),
    }


def test_from_frames_to_a_priced_plan() -> None:
    result = drs.advise(frames(), policy=Policy(goals=(Balance(target=0.0), Moves())), time_s=5)
    assert result.status == "optimal"
    assert result.plan is not None and len(result.plan.moves) == 1
    table = result.plan.to_frame()
    assert set(table["from_host"]) == {"esx-a"}
    assert result.metrics_after["cpu"]["std"] < result.metrics_before["cpu"]["std"]
    assert not result.violations_after


def test_check_reports_what_is_broken_today() -> None:
    assert drs.check(frames(cpu_mhz=2000)) == ()
    (violation,) = drs.check(frames(cpu_mhz=3000))
    assert violation.hosts == ("esx-a",) and violation.amount == pytest.approx(2000)


def test_doing_nothing_is_never_lost() -> None:
    result = drs.advise(frames(vms="abc"), time_s=1)
    assert result.plan is not None and result.plan.moves == ()
    assert np.array_equal(result.placement.host_idx, result.snapshot.vms.host_idx)


def test_solve_reports_progress_and_stops_when_told() -> None:
    seen: list[Progress] = []
    stop = Stop(time_s=60)

    def on_progress(progress: Progress) -> None:
        seen.append(progress)
        stop.interrupt()

    snapshot = datasets.load("medium")
    problem = drs.Problem(snapshot, (), Policy(goals=(Balance(target=0.0), Moves())))
    result = drs.solve(problem, stop=stop, on_progress=on_progress)
    assert seen
    assert result.elapsed_s < 55
    assert result.status in ("feasible", "optimal")


def test_infeasible_is_raised_only_on_request() -> None:
    rule = KeepApart("vm-*", policy="hard")
    with pytest.warns(InputWarning, match="no plan can keep them all"):
        result = drs.advise(frames(), rules=[rule], time_s=5)
    assert result.status == "infeasible"
    with pytest.raises(InfeasibleError, match="vm-"):
        result.raise_for_status()


def test_contradictions_are_told_before_the_search() -> None:
    # Warnings are errors here: this one comes before the solver's name is even looked up.
    with pytest.raises(InputWarning, match="no plan can keep them all"):
        drs.advise(frames(), rules=[KeepApart("vm-*", policy="hard")], solver="gredy")


def test_immovable_vms_are_listed_and_the_rest_is_planned() -> None:
    policy = Policy(goals=(Balance(target=0.0), Moves()))
    result = drs.advise(frames(), rules=[Pinned(["vm-0"])], policy=policy, time_s=5)
    assert [vm.vm for vm in result.immovable] == ["vm-0"]
    assert len(result.moved_vms) == 1 and "vm-0" not in result.moved_vms


def test_a_downtime_budget_holds_a_vm() -> None:
    policy = Policy(goals=(Balance(target=0.0), Moves()), limits=Limits(max_downtime_ms=1e-3))
    result = drs.advise(frames(), policy=policy, time_s=2)
    assert result.moved_vms == ()
    assert "downtime budget" in result.immovable[0].reason


def test_worth_and_threshold_keep_a_nearly_even_cluster_still() -> None:
    result = drs.advise(
        frames(vms="aabbc"), time_s=2, policy=Policy(goals=(Balance(worth_ratio=1.0), Moves()))
    )
    assert result.moved_vms == ()


def test_bad_rules_are_found_before_solving_all_at_once() -> None:
    with pytest.raises(InputError) as caught:
        drs.Problem(drs.read(frames()), [KeepApart("web-*"), Pinned(["vm-99"])])
    assert len(caught.value.faults) == 2


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean medium"):
        drs.read("mediun")
    with pytest.raises(UnknownNameError, match="did you mean greedy"):
        drs.advise(frames(), solver="gredy")


def test_rules_and_policy_beside_the_snapshot_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    datasets.copy("small", folder)
    assert any(rule.type == "keep-apart" for rule in drs.advise(folder, time_s=1).problem.rules)


@pytest.mark.parametrize("lie", ["score", "wall"])
def test_a_lying_solver_is_found_out(monkeypatch: pytest.MonkeyPatch, lie: str) -> None:
    def liar(lowered, start, run):  # type: ignore[no-untyped-def]
        assign = np.array(start)
        if lie == "wall":
            assign[:] = 0
        scores = np.zeros(len(lowered.levels))
        return Answer("optimal", assign, scores, scores, "liar", 0.0)

    monkeypatch.setattr(solvers, "find", lambda name: liar)
    with pytest.raises(InternalError):
        drs.solve(drs.Problem(drs.read(frames()), (), Policy(goals=(Balance(target=0.0), Moves()))))


def test_estimate_takes_mappings() -> None:
    (move,) = drs.estimate(frames(), [{"vm": "vm-0", "to_host": "esx-b"}])
    assert move.kind == "vmotion" and move.total_s > 0 and move.downtime_ms > 0


def test_results_are_immutable() -> None:
    result = drs.advise(frames(vms="abc"), time_s=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.status = "optimal"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        result.snapshot.hosts.cpu_mhz[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        result.placement.host_idx[0] = 1


def test_the_digest_names_the_content() -> None:
    one, other = drs.read(frames()), drs.read(frames())
    assert one.digest == other.digest
    assert drs.read(frames(cpu_mhz=2001)).digest != one.digest
