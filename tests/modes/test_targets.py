"""Requests with a target: VMs go where somebody asks, others make room, and who stays is named with what holds it."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from tiny import cluster

import drs
from drs import io, modes
from drs.errors import InputError
from drs.modes.move import Movement
from drs.rules import Pinned, RunOn

TWO = {f"{c}-{h}": {"cluster": f"c{c}"} for c in "on" for h in range(3)}
"""An old cluster and a new one."""


def advise(snapshot, **more):
    return drs.advise(snapshot, **{"time_s": 20, "seed": 1, **more})


def ask(snapshot, rules=(), **options):
    return advise(snapshot, rules=rules, options=modes.Options(**options))


def path(result) -> list[tuple[str, str]]:
    return [(move.vm, move.to_host) for move in result.plan.moves]


def old(n: int = 4) -> dict[str, tuple[str, int, int]]:
    vms = {f"vm-{h}-{k}": (f"o-{h}", 300, 900) for h in range(3) for k in range(n)}
    return vms | {"new-1": ("n-0", 300, 900)}


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")  # the contradiction is told beforehand
def test_a_cluster_empties_into_another_and_bound_vms_are_named() -> None:
    bound = ["vm-0-1", "vm-2-3"]
    rule = RunOn(bound, "o-*", name="licence", policy="hard")
    result = ask(cluster(TWO, old()), [rule], evacuate=("o-*",), to_clusters=("cn",))
    assert {vm for vm, _ in path(result)} == set(old()) - {"new-1", *bound}
    assert all(host.startswith("n-") for _, host in path(result))
    assert sorted(vm for vm, _ in result.report.left) == bound
    assert result.status == "infeasible"
    (conflict,) = result.conflicts
    assert set(conflict.rules) == {"licence", "evacuation"} and sorted(conflict.vms) == bound
    assert any("licence" in cure.sentence for cure in conflict.relaxations)


def test_without_a_target_no_vm_leaves_its_cluster_and_with_one_only_who_is_asked() -> None:
    vms = old() | {"wide": ("o-0", 300, 3000), "full": ("n-0", 300, 6000)}
    vms |= {f"n{h}": (f"n-{h}", 300, 3000) for h in (1, 2)}
    result = ask(cluster(TWO, vms), evacuate=("o-0",), to_hosts=("n-0",))
    assert ("wide", "n-0") in path(result)
    others = {vm: host for vm, host in path(result) if vms[vm][0] != "o-0"}
    assert others and all(host.startswith("n-") for host in others.values()), (
        "they make room within their cluster"
    )


def test_a_target_that_empties_itself_is_refused() -> None:
    with pytest.raises(InputError, match=r"to_hosts.*no connected host that stays"):
        ask(cluster(TWO, old()), evacuate=("o-*",), to_hosts=("o-1",))
    with pytest.raises(InputError, match=r"to_clusters.*unknown cluster 'cm'"):
        ask(cluster(TWO, old()), evacuate=("o-*",), to_clusters=("cm",))


def test_disks_go_along_where_no_host_of_the_target_sees_them() -> None:
    disks = pd.DataFrame([{"vm": "x", "disk": "d", "datastore": "old", "size_gib": 10}])
    stores = pd.DataFrame([{"datastore": name, "capacity_gib": 100} for name in ("old", "new")])
    mounts = pd.DataFrame([{"host": h, "datastore": "old" if h[0] == "o" else "new"} for h in TWO])
    snapshot = cluster(TWO, {"x": ("o-0", 300, 900)}, disks=disks, datastores=stores, mounts=mounts)
    result = ask(snapshot, move=("x=cn",))
    (move,) = result.plan.moves
    assert move.to_host.startswith("n-") and move.to_datastores == ("new",)


def test_vms_go_where_each_is_asked_to_and_the_exchange_goes_over_a_third_host() -> None:
    vms = {
        "left": ("a", 100, 7000),
        "right": ("b", 100, 7000),
        "far": ("c", 100, 2000),
        "near": ("a", 100, 2000),
    }
    result = ask(cluster("abc", vms), move=("left=b", "right=a"))
    assert isinstance(result.report, Movement)
    assert dict(result.report.arrived) == {"left": "b", "right": "a"} and not result.report.left
    assert len(path(result)) == 3 and not result.report.room
    assert all("asked place" in move.reason for move in result.plan.moves)


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")
def test_who_cannot_go_is_told_why_and_the_others_go() -> None:
    vms = {"tied": ("a", 100, 500), "free": ("a", 100, 500), "web=1": ("b", 100, 500)}
    result = ask(cluster("abc", vms), [Pinned(["tied"], name="dongle")], move=("tied=b", "free=c", "web=1=c"))
    assert dict(result.report.arrived) == {"free": "c", "web=1": "c"}
    ((vm, where, why),) = result.report.left
    assert (vm, where) == ("tied", "a") and "dongle" in why
    assert result.status == "infeasible"


@pytest.mark.parametrize("seed", range(4))
def test_the_fewest_others_make_room_for_a_move(seed: int) -> None:
    """Against enumeration: one VM goes to a full host, and as few as possible leave it."""
    random = np.random.default_rng(seed)
    memory = {f"{host}{k}": int(m) for host in "bc" for k, m in enumerate(random.integers(1200, 3300, 3))}
    memory["big"] = int(random.integers(3000, 6500))
    where = {vm: "a" if vm == "big" else vm[0] for vm in memory}
    snapshot = cluster("abc", {vm: (where[vm], 10, mib) for vm, mib in memory.items()})
    room = dict(zip("abc", snapshot.capacity("memory").tolist(), strict=True))
    others = [vm for vm in memory if vm != "big"]
    best = None
    for places in itertools.product("abc", repeat=len(others)):
        to = dict(zip(others, places, strict=True)) | {"big": "b"}
        if all(sum(memory[vm] for vm in to if to[vm] == host) <= room[host] for host in "abc"):
            moved = sum(to[vm] != where[vm] for vm in others)
            best = moved if best is None else min(best, moved)
    result = ask(snapshot, move=("big=b",))
    levels = {goal.name: goal for goal in result.goals}
    assert best is not None
    assert levels["asked"].after == 0 and levels["others"].after == best == len(result.report.room)


def test_moves_are_read_from_a_file_and_its_faults_name_the_row(tmp_path) -> None:
    file = tmp_path / "list.csv"
    snapshot = cluster(TWO, old())
    file.write_text("vm,to_host,to_cluster\nvm-0-0,o-1,\nvm-1-*,,cn\n")
    result = ask(snapshot, moves=str(file))
    assert dict(result.report.arrived)["vm-0-0"] == "o-1" and len(result.report.arrived) == 5
    file.write_text("vm,to_host,to_cluster\nvm-0-0,o-9,\nvm-9,,cn\nvm-0-1,,\n")
    with pytest.raises(InputError) as error:
        ask(snapshot, moves=str(file))
    said = str(error.value)
    assert "list.csv, row 1, field to_host: unknown host 'o-9'" in said
    assert "row 2, field vm: unknown VM 'vm-9'" in said and "row 3: no target" in said
    with pytest.raises(InputError, match="another target already"):
        ask(snapshot, move=("vm-0-0=o-1", "vm-0-*=o-2"))
    with pytest.raises(InputError, match=r"unknown target 'o-7'; .*did you mean"):
        ask(snapshot, move=("vm-0-0=o-7",))


@pytest.mark.parametrize("seed", range(3))
def test_vms_go_home_in_an_order_in_which_memory_suffices(seed: int, tmp_path) -> None:
    """A cluster is left in a muddle, full as it is: the plan is replayed move by move against the room of hosts."""
    random = np.random.default_rng(seed)
    home = {f"vm-{h}-{k}": h for h in "abcd" for k in range(4)}
    muddle = dict(home)
    names = list(home)
    for _ in range(20):  # exchanges keep every host as full as it was
        one, two = random.choice(len(names), 2, replace=False)
        muddle[names[one]], muddle[names[two]] = muddle[names[two]], muddle[names[one]]
    memory = dict.fromkeys(home, 2000)
    snapshot = cluster("abcde", {vm: (muddle[vm], 50, memory[vm]) for vm in home})
    before = cluster("abcde", {vm: (home[vm], 50, memory[vm]) for vm in home})
    io.write_folder(before, tmp_path / "before")
    result = ask(snapshot, to=str(tmp_path / "before"))
    after = {str(vm): str(snapshot.hosts.name[h]) for vm, h in
             zip(snapshot.vms.name, result.plan.placement.host_idx, strict=True)}  # fmt: skip
    assert after == home and not result.report.left
    room = dict(zip("abcde", snapshot.capacity("memory").tolist(), strict=True))
    at = dict(muddle)
    for move in sorted(result.plan.moves, key=lambda move: (move.start_s, move.step)):
        held = sum(memory[vm] for vm in at if at[vm] == move.to_host) + memory[move.vm]
        assert held <= room[move.to_host] + 1e-6
        at[move.vm] = move.to_host


def test_the_column_home_says_the_same_as_a_file(tmp_path) -> None:
    vms = {"x": ("b", 100, 500), "y": ("a", 100, 500), "z": ("a", 100, 500)}
    snapshot = cluster("abc", vms, vm_columns={"x": {"home": "a"}, "y": {"home": "b"}, "z": {"home": None}})
    by_column = ask(snapshot, to="home")
    (tmp_path / "vms.csv").write_text("vm,host\nx,a\ny,b\ngone,a\nz,\n")
    by_file = ask(snapshot, to=str(tmp_path / "vms.csv"))
    assert sorted(path(by_column)) == sorted(path(by_file)) == [("x", "a"), ("y", "b")]
    assert by_file.report.unknown == ("gone",)
    with pytest.raises(InputError, match="no VM has a home"):
        ask(cluster("abc", vms), to="home")


def test_a_vm_that_is_shut_down_with_its_host_does_not_move() -> None:
    vms = {f"vm-{k}": ("a", 100, 500) for k in range(4)}
    columns = {vm: {"on_maintenance": "shut-down" if vm == "vm-0" else "migrate"} for vm in vms}
    result = ask(cluster("abc", vms, vm_columns=columns), evacuate=("a",), shut_down=("vm-2",))
    assert {vm for vm, _ in path(result)} == {"vm-1", "vm-3"}
    assert dict(result.report.shut_down) == {"vm-0": "a", "vm-2": "a"}
    assert result.report.emptied == ("a",) and result.status in ("optimal", "feasible")


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")
def test_a_campaign_shuts_down_who_cannot_move_where_it_may() -> None:
    vms = {f"pin-{h}": (h, 100, 500) for h in "abc"} | {f"vm-{h}": (h, 100, 500) for h in "abc"}
    rules = [Pinned("pin-*", name="local")]
    refused = modes.rolling(drs.advise, cluster("abc", vms), rules=rules, service_s=600, time_s=20)
    assert [each.host for each in refused.blocked] and not refused.steps
    assert {vm for each in refused.blocked for vm in each.left} == {"pin-a", "pin-b", "pin-c"}
    told = modes.rolling(
        drs.advise, cluster("abc", vms), rules=rules, service_s=600, time_s=20, shut_down=["pin-*"]
    )
    assert told.complete and len(told.steps) == 3
    for step in told.steps:
        assert step.shut_down == tuple(f"pin-{host}" for host in step.hosts)
        assert not any(move.vm.startswith("pin-") for move in step.result.plan.moves)
    assert any("shut down for 10 min 00 s: pin-a" in line for line in told.sentences())


def test_a_disabled_vm_stays_unless_it_is_what_is_asked() -> None:
    vms = {f"vm-{k}": ("a", 2000, 500) for k in range(4)}
    disabled = {vm: {"automation": "disabled"} for vm in vms}
    still = advise(cluster("ab", vms, vm_columns=disabled))
    assert not still.plan.moves and {each.vm for each in still.immovable} == set(vms)
    assert len(advise(cluster("ab", vms)).plan.moves) > 0
    asked = ask(cluster("ab", vms, vm_columns=disabled), evacuate=("a",))
    assert {vm for vm, _ in path(asked)} == set(vms)
