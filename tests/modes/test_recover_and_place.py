"""VMs that have no host: restarts by priority, initial placement, and why one has no place."""

from __future__ import annotations

import dataclasses

import pytest
from tiny import cluster

import drs
from drs import modes
from drs.errors import InputError
from drs.policy import Policy, Restart
from drs.rules import RunOn


def advise(snapshot, **more):
    return drs.advise(snapshot, solver="cpsat", time_s=3, **more)


def test_the_important_restart_where_not_all_fit() -> None:
    vms = {"low": ("a", 10, 6000), "vip": ("a", 10, 6000), "b1": ("b", 10, 4000)}
    policy = Policy(restart=Restart(highest="vip", lowest="low"))
    result = advise(cluster(["a", "b"], vms), options=modes.Options(lost=("a",)), policy=policy)
    assert result.mode == "recover"
    report = result.report
    assert [(each.vm, each.host, each.priority) for each in report.restarts] == [("vip", "b", "highest")]
    (left,) = report.waiting
    assert left.vm == "low"
    assert "memory capacity: it needs 6,000 MiB" in left.reason
    assert "b, has 240 left" in left.reason


def test_higher_classes_come_first_even_against_many() -> None:
    vms = {f"low-{i}": ("a", 10, 2500) for i in range(4)} | {"vip": ("a", 10, 9000)}
    policy = Policy(restart=Restart(high="vip"))
    result = advise(cluster(["a", "b"], vms), options=modes.Options(lost=("a",)), policy=policy)
    assert [each.vm for each in result.report.restarts] == ["vip"]
    assert len(result.report.waiting) == 4


def test_running_vms_make_room_and_the_restart_waits_for_them() -> None:
    vms = {"big": ("a", 10, 9000), "b1": ("b", 10, 3000), "c1": ("c", 10, 3000)}
    result = advise(cluster(["a", "b", "c"], vms), options=modes.Options(lost=("a",)))
    (start,) = result.report.restarts
    (move,) = result.plan.moves
    assert move.from_host == start.host
    assert start.after_steps == (move.step,)


def test_disabled_and_tied_vms_do_not_restart() -> None:
    vms = {"test": ("a", 10, 64), "gpu": ("a", 10, 64), "x": ("a", 10, 64)}
    snapshot = cluster(["a", "b"], vms, vm_columns={"gpu": {"gpus": 1}})
    policy = Policy(restart=Restart(disabled="test"))
    report = advise(snapshot, options=modes.Options(lost=("a",)), policy=policy).report
    assert report.disabled == ("test",)
    assert [each.vm for each in report.restarts] == ["x"]
    assert [(each.vm, "devices" in each.reason) for each in report.waiting] == [("gpu", True)]
    assert report.n_lost_vms == 3


def test_the_rule_that_bars_a_restart_is_named() -> None:
    rule = RunOn("x", ["a"], name="licence", policy="hard")
    report = advise(
        cluster(["a", "b"], {"x": ("a", 10, 64)}), rules=[rule], options=modes.Options(lost=("a",))
    ).report
    assert [each.vm for each in report.waiting] == ["x"]
    assert "licence" in report.waiting[0].reason


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (modes.Options(), "no host is lost"),
        (modes.Options(lost=("a", "b")), "every host is lost"),
        (modes.Options(lost=("aa",)), "unknown host 'aa'"),
    ],
)
def test_recovery_of_nothing_is_refused(options, said) -> None:
    with pytest.raises(InputError, match=said):
        advise(cluster(["a", "b"], {"x": ("a", 10, 64)}), mode="recover", options=options)


def test_a_restart_class_that_names_no_vm_is_a_fault() -> None:
    policy = Policy(restart=Restart(high="vipp"))
    with pytest.raises(InputError, match=r"\[restart\], field high.*vipp"):
        advise(cluster(["a", "b"], {"vip": ("a", 10, 64)}), options=modes.Options(lost=("a",)), policy=policy)


def test_new_vms_are_placed_with_the_moves_that_make_room() -> None:
    vms = {"new": (None, 10, 9000), "b1": ("b", 10, 3000), "c1": ("c", 10, 3000)}
    result = advise(cluster(["b", "c"], vms), mode="place")
    (placed,) = result.report.placed
    assert placed.vm == "new"
    assert len(result.plan.moves) == 1
    assert result.report.waiting == ()


def test_several_like_an_existing_one() -> None:
    snapshot = cluster(["a", "b"], {"web": ("a", 2000, 2000)})
    result = advise(snapshot, options=modes.Options(new=("web=3",)))
    assert result.mode == "place"
    hosts = [each.host for each in result.report.placed]
    assert [each.vm for each in result.report.placed] == [f"web-copy-{i}" for i in (1, 2, 3)]
    assert sorted(hosts) == ["a", "b", "b"]


@pytest.mark.parametrize("wanted", ["wbe", "web=0", "web=x", "web=99999"])
def test_new_vms_that_make_no_sense(wanted) -> None:
    with pytest.raises(InputError, match="new"):
        advise(cluster(["a", "b"], {"web": ("a", 10, 64)}), options=modes.Options(new=(wanted,)))


def test_place_with_nothing_to_place_is_refused() -> None:
    with pytest.raises(InputError, match="every VM has a host"):
        advise(cluster(["a", "b"], {"web": ("a", 10, 64)}), mode="place")


def test_a_vm_too_large_for_the_room_left_says_what_is_missing() -> None:
    vms = {"new": (None, 10, 9000), "b1": ("b", 10, 3000), "c1": ("c", 10, 8000)}
    result = advise(cluster(["b", "c"], vms), mode="place")
    assert result.report.placed == ()
    assert "memory capacity" in result.report.waiting[0].reason


def test_options_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        modes.Options().site = "x"  # type: ignore[misc]


def test_vms_that_wait_for_one_reason_share_a_sentence() -> None:
    vms = {f"v{i}": ("a", 10, 64) for i in range(3)}
    rule = RunOn("v*", ["a"], name="licence", policy="hard")
    report = advise(cluster(["a", "b"], vms), rules=[rule], options=modes.Options(lost=("a",))).report
    (line,) = [line for line in report.sentences() if line.startswith("not restarted")]
    assert (
        line == "not restarted: 3 VMs, v0, v1, v2 (medium): host-state and licence together leave it no host"
    )
