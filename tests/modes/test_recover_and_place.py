"""VMs that have no host: restarts by priority, initial placement, and why one has no place."""

from __future__ import annotations

import dataclasses
from io import StringIO

import pandas as pd
import pytest
from tiny import cluster

import drs
from drs import modes
from drs.errors import InputError
from drs.problem.policy import Policy, Restart
from drs.rules import RunOn


def advise(snapshot, **more):
    return drs.advise(snapshot, solver="cpsat", time_s=20, **more)


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


def test_restarts_are_rows_with_what_they_wait_for_in_every_face(tmp_path) -> None:
    from rich.console import Console

    from drs import io
    from drs.report.document import write
    from drs.report.html import render_report
    from drs.report.text import print_result

    vms = {"big": ("a", 10, 9000), "b1": ("b", 10, 3000), "c1": ("c", 10, 3000)}
    snapshot = cluster(["a", "b", "c"], vms)
    result = advise(snapshot, options=modes.Options(lost=("a",)))
    (move,) = result.plan.moves
    write(result, tmp_path / "out", render_report(result))
    rows = pd.read_csv(tmp_path / "out" / "moves.csv", keep_default_na=False).to_dict("records")
    assert [(row["step"], row["vm"], row["kind"], row["to_host"]) for row in rows] == [
        (1, move.vm, "vmotion", move.to_host),
        (2, "big", "power_on", move.from_host),
    ]
    assert str(rows[1]["after_steps"]) == "1"
    assert "VMs to power on" in (tmp_path / "out" / "report.html").read_text()
    console = Console(width=160, record=True, file=StringIO())
    print_result(console, result, None)
    line = next(line for line in console.export_text().splitlines() if " big " in line and "step" in line)
    assert line.split() == ["2", "medium", "big", move.from_host, "step", "1"]
    with pytest.warns(io.InputWarning, match="power VMs on"):
        assert len(io.read_moves(tmp_path / "out" / "moves.csv", snapshot)["vm_idx"]) == 1


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


def pooled(pools: list[dict], vms: dict[str, dict], **hosts):
    """Two hosts of 10,000 MHz; VMs of 100 MHz demand, on host a unless told otherwise."""
    places = {name: (more.pop("host", "a"), 100, 64) for name, more in vms.items()}
    return cluster(hosts or ["a", "b"], places, vm_columns=vms, pools=pd.DataFrame(pools))


GOLD = {"pool": "gold", "cpu_reservation_mhz": 4000, "cpu_expandable": "no"}


def reason(snapshot, **more) -> str:
    (left,) = advise(snapshot, **more).report.waiting
    return left.reason


def test_a_vm_does_not_start_where_its_pool_has_too_little_left_to_reserve() -> None:
    vms = {
        "old": {"pool": "gold", "cpu_reservation_mhz": 3000},
        "new": {"pool": "gold", "cpu_reservation_mhz": 2000, "host": None},
    }
    assert reason(pooled([GOLD], vms), mode="place") == (
        "it reserves 2,000 MHz of cpu, and of the reservation of 4,000 MHz of pool gold 1,000 are left"
    )
    vms["new"]["cpu_reservation_mhz"] = 1000
    vms["new"]["host"] = None
    assert advise(pooled([GOLD], vms), mode="place").report.waiting == ()


def test_what_a_pool_lacks_it_takes_of_its_parents_if_it_is_expandable() -> None:
    web = {"pool": "web", "parent": "gold", "cpu_reservation_mhz": 1000}
    vms = {
        "old": {"pool": "gold", "cpu_reservation_mhz": 2000},
        "new": {"pool": "web", "cpu_reservation_mhz": 2000, "host": None},
        "newer": {"pool": "web", "cpu_reservation_mhz": 1500, "host": None},
    }
    assert reason(pooled([GOLD, web], vms), mode="place") == (
        "it reserves 1,500 MHz of cpu, 1,500 of them more than pool web has left, and of the reservation of 4,000 "
        "MHz of pool gold 0 are left"
    )


def test_a_cluster_reserves_no_more_than_its_connected_hosts_have() -> None:
    vms = {
        "old": {"pool": "gold", "cpu_reservation_mhz": 3000},
        "new": {"cpu_reservation_mhz": 7000, "host": None},
    }
    hosts = {"a": {}, "b": {"state": "maintenance"}}
    assert reason(pooled([GOLD], vms, **hosts), mode="place") == (
        "it reserves 7,000 MHz of cpu, and of the 10,000 MHz of the connected hosts of cluster-1 6,000 are not "
        "reserved yet"
    )


def test_restarts_are_granted_their_reservations_by_priority() -> None:
    vms = {
        "low": {"cpu_reservation_mhz": 4000},
        "vip": {"cpu_reservation_mhz": 4000},
        "there": {"cpu_reservation_mhz": 4000, "host": "b"},
    }
    snapshot = pooled([{"pool": "none"}], vms)
    policy = Policy(restart=Restart(highest="vip", lowest="low"))
    result = advise(snapshot, options=modes.Options(lost=("a",)), policy=policy)
    assert [each.vm for each in result.report.restarts] == ["vip"]
    (left,) = result.report.waiting
    assert left.vm == "low" and "of the 10,000 MHz of the connected hosts of cluster-1 2,000" in left.reason


def test_a_vm_starts_in_the_cluster_of_its_pool() -> None:
    hosts = {"a": {"cluster": "one"}, "b": {"cluster": "two"}}
    vms = {"old": {"host": "b"}, "new": {"pool": "gold", "host": None}}
    for name in ("one", "two"):
        result = advise(
            pooled([{**GOLD, "cluster": name}], {k: dict(v) for k, v in vms.items()}, **hosts), mode="place"
        )
        assert [each.host for each in result.report.placed] == ["a" if name == "one" else "b"]
