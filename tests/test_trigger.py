"""The automatic mode as a pure function of history and policy."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from modes.tiny import cluster

import drs
from drs.automatic.trigger import (
    Observation,
    alarmed_since,
    decide,
    dispose,
    observe,
    reached,
    stable_for,
    worthwhile,
)
from drs.problem.policy import Policy, Trigger
from drs.rules import Pinned

TRIGGER = Trigger(imbalance_ratio=1.0, host_load_ratio=0.9, hold_n=2, cool_down_s=900, release_ratio=0.8)


def history(*loads: float, step_s: float = 300.0, violations: int = 0) -> list[Observation]:
    return [Observation(i * step_s, 0.0, load, violations) for i, load in enumerate(loads)]


def test_nothing_is_known_of_an_empty_history() -> None:
    assert not decide([], TRIGGER).act


@pytest.mark.parametrize(
    ("loads", "act"),
    [
        ((0.95,), False),  # one look is not enough
        ((0.95, 0.95), True),
        ((0.95, 0.5, 0.95), False),  # not in a row
        ((0.95, 0.95, 0.8), True),  # below the threshold, above the release: the alarm stands
        ((0.95, 0.95, 0.7), False),  # released
        ((0.95, 0.95, 0.7, 0.8), False),  # and does not come back by itself
        ((0.8, 0.8, 0.8), False),
    ],
)
def test_hysteresis(loads: tuple[float, ...], act: bool) -> None:
    assert decide(history(*loads), TRIGGER).act is act


def test_cool_down() -> None:
    seen = history(0.95, 0.95, 0.95, 0.95, 0.95)
    assert not decide(seen, TRIGGER, last_plan_s=600.0).act
    assert "5 min 00 s left" in decide(seen, TRIGGER, last_plan_s=600.0).reason
    assert decide(seen, TRIGGER, last_plan_s=300.0).act


def test_a_broken_rule_calls_at_once_but_not_again_and_again() -> None:
    seen = history(0.1, violations=2)
    assert decide(seen, TRIGGER).act
    assert decide(seen, TRIGGER, last_plan_s=0.0, left_violations=1).act
    assert not decide(seen, TRIGGER, last_plan_s=0.0, left_violations=2).act
    later = [*seen, Observation(901.0, 0.0, 0.1, 2)]
    assert decide(later, TRIGGER, last_plan_s=0.0, left_violations=2).act


def test_imbalance_has_its_own_alarm() -> None:
    seen = [Observation(i * 300.0, 1.5, 0.2) for i in range(2)]
    decision = decide(seen, TRIGGER)
    assert decision.act
    assert "1.5 times" in decision.reason
    assert alarmed_since(seen, TRIGGER) == (0.0, "imbalance_ratio")


def test_what_has_lasted_is_expected_to_last_as_long() -> None:
    assert stable_for(history(0.95, 0.95), TRIGGER) == 300
    assert stable_for(history(*[0.95] * 7), TRIGGER) == 1800
    assert stable_for(history(*[0.95] * 100), TRIGGER) == TRIGGER.stable_s


def test_it_is_a_function() -> None:
    seen = history(0.95, 0.95, 0.99)
    assert decide(seen, TRIGGER) == decide(tuple(seen), dataclasses.replace(TRIGGER))


def unbalanced(automation: str = "full", threshold: int = 5, own: dict | None = None) -> drs.Snapshot:
    clusters = pd.DataFrame(
        [{"cluster": "cluster-1", "automation": automation, "migration_threshold": threshold}]
    )
    vms = {f"v{i}": ("a", 1500, 1000) for i in range(6)}
    return cluster("ab", vms, clusters=clusters, vm_columns=own)


def advice(snapshot: drs.Snapshot, **more) -> drs.Result:
    return drs.advise(snapshot, solver="cpsat", time_s=3, **more)


def test_a_plan_pays_only_while_the_load_lasts() -> None:
    result = advice(unbalanced())
    assert result.plan is not None and result.plan.moves
    assert worthwhile(result, TRIGGER, 3600).act
    assert not worthwhile(result, TRIGGER, 1.0).act


def test_no_moves_are_worth_nothing() -> None:
    assert not worthwhile(advice(cluster("ab", {"x": ("a", 10, 64)})), TRIGGER).act


@pytest.mark.parametrize(("level", "n_done"), [("full", 3), ("partial", 0), ("manual", 0)])
def test_automation_levels(level: str, n_done: int) -> None:
    result = advice(unbalanced(level))
    chosen = dispose(result)
    n = len(result.plan.moves)
    assert n == 3
    assert len(chosen.done) == n_done
    assert len(chosen.proposed) == n - n_done
    assert all(level in why for _, why in chosen.proposed)


def test_a_vms_own_level_beats_its_clusters() -> None:
    own = {f"v{i}": {"automation": "manual"} for i in range(6) if i != 2}
    result = advice(unbalanced("full", own=own), rules=[Pinned(["v0", "v1", "v3"], name="p")])
    chosen = dispose(result)
    assert {move.vm for move in chosen.done} == {"v2"}
    after = reached(result, chosen.done).placement
    assert int((after.host_idx != result.problem.today.host_idx).sum()) == 1


def test_what_is_done_leaves_no_rule_worse() -> None:
    result = advice(unbalanced())
    done = dispose(result).done
    broken = result.problem.check(reached(result, done).placement)
    assert len(broken) <= len(result.violations_before)


def test_a_conservative_threshold_drops_what_is_merely_nice() -> None:
    result = advice(unbalanced(threshold=5))
    assert {reason.priority for reason in result.reasons} <= {2, 3, 4, 5}
    strict = dataclasses.replace(
        result,
        reasons=tuple(dataclasses.replace(reason, priority=5) for reason in result.reasons),
        problem=drs.Problem(unbalanced(threshold=2)),
    )
    chosen = dispose(strict)
    assert len(chosen.dropped) == len(result.plan.moves)


def test_observation_looks_at_connected_hosts() -> None:
    snapshot = cluster({"a": {}, "b": {"state": "maintenance"}}, {"x": ("b", 9900, 64), "y": ("a", 1000, 64)})
    assert observe(snapshot).host_load_ratio == pytest.approx(0.1)


def test_replay_does_only_what_the_automation_level_allows() -> None:
    from drs import whatif

    times = pd.date_range("2026-01-01", periods=4, freq="h")
    loads = pd.DataFrame([{"vm": f"v{i}", "time": time, "cpu_mhz": 1500} for time in times for i in range(6)])
    for level, moved in (("full", True), ("manual", False)):
        clusters = pd.DataFrame([{"cluster": "cluster-1", "automation": level, "migration_threshold": 5}])
        snapshot = cluster(
            "ab", {f"v{i}": ("a", 1500, 1000) for i in range(6)}, clusters=clusters, loads=loads
        )
        table = whatif.replay(snapshot, policy=Policy(), solver="greedy", time_s=1)
        assert bool(table["n_moves"].sum()) is moved
        assert bool(table["n_proposed"].sum()) is not moved
