"""Why a VM moves: what was asked, what is repaired, which goal it serves, or for whom it makes room."""

from __future__ import annotations

import re

import numpy as np
import pytest
from modes.tiny import cluster

import drs
from drs import modes
from drs.goals import Balance, Consolidate, Licences, Moves
from drs.problem.policy import Policy
from drs.rules import KeepApart, KeepTogether, NotRunOn, RunOn

COUNT = Policy(goals=(Moves(by="count"),))


def advise(snapshot: drs.Snapshot, **more: object) -> drs.Result:
    return drs.advise(snapshot, **{"iterations": 4000, "seed": 1, **more})


def told(result: drs.Result) -> dict[str, tuple[str, str]]:
    """The purpose and the words of each VM's move."""
    purpose = {reason.vm: reason.purpose for reason in result.reasons}
    return {move.vm: (purpose[move.vm], move.reason) for move in result.plan.moves}


def full_but_one() -> drs.Snapshot:
    """X of 6 GiB on a; b is full of VMs of 4 GiB, of which one can go to c."""
    return cluster(
        "abc",
        {"X": ("a", 10, 6000), "b1": ("b", 10, 4000), "b2": ("b", 10, 4000), "c1": ("c", 10, 5000)},
    )


def test_room_is_made_for_the_vm_that_is_asked_for() -> None:
    result = advise(full_but_one(), rules=[RunOn("X", ["b"], policy="hard")], policy=COUNT)
    words = told(result)
    step = {move.vm: move.step for move in result.plan.moves}
    (other,) = set(words) - {"X"}
    assert words["X"][0] == "repair"
    assert words[other] == ("room", f"makes room on b for X (step {step['X']})")
    reason = next(each for each in result.reasons if each.vm == other)
    assert reason.room_for == ("X",) and reason.without == "without it b has no room for X"
    assert reason.priority == 1, "it is as urgent as what it makes room for"


def test_room_is_made_for_a_vm_that_starts() -> None:
    vms = {"big": (None, 10, 8000), "a1": ("a", 10, 3000), "b1": ("b", 10, 3000), "b2": ("b", 10, 3000)}
    result = advise(cluster("ab", vms), mode="place")
    (words,) = set(told(result).values())
    assert words == ("room", "makes room on a for big, which starts there")


def test_a_request_never_says_that_it_evens_out() -> None:
    vms = {f"v{i}": ("a", 900, 1000) for i in range(6)} | {f"w{i}": ("b", 100, 3000) for i in range(3)}
    result = advise(cluster("abc", vms), evacuate=["a"])
    assert {purpose for purpose, _ in told(result).values()} == {"asked"}
    assert not [words for _, words in told(result).values() if "evens" in words]


def test_a_licence_is_no_empty_host() -> None:
    vms = {"sql1": ("a", 10, 1000), "sql2": ("b", 10, 1000)}
    vms |= {f"other-{host}-{k}": (host, 10, 1000) for host in "ab" for k in range(3)}
    policy = Policy(goals=(Licences(vms="sql*"), Moves(by="count")))
    ((purpose, words),) = told(advise(cluster("ab", vms), policy=policy)).values()
    assert purpose == "goal"
    assert re.fullmatch(r"[ab] needs no licence any more \(licences in use 2 → 1\)", words)


def test_a_host_that_empties_is_empty() -> None:
    vms = {f"{host}{k}": (host, 500, 1000) for host in "abc" for k in range(2)}
    result = advise(cluster("abc", vms), policy=Policy(goals=(Consolidate(), Moves(by="count"))))
    words = told(result)
    assert words
    left = {str(result.snapshot.hosts.name[h]) for h in set(result.placement.host_idx.tolist())}
    for _, said in words.values():
        host = said.split()[0]
        assert said == f"{host} empties and can be powered off" and host not in left


def test_a_vm_that_follows_a_rule_on_a_group_says_which() -> None:
    rules = [
        KeepTogether(["app", "db"], name="app-and-db"),
        NotRunOn("app", ["a"], policy="hard", name="licence"),
    ]
    result = advise(cluster("ab", {"app": ("a", 10, 100), "db": ("a", 10, 100)}), rules=rules, policy=COUNT)
    words = told(result)
    assert words["app"] == ("repair", "licence: it may not run on a")
    assert words["db"] == ("room", "moves along: app-and-db would be broken if it stayed on a")


def test_wishes_and_repairs_have_their_purpose() -> None:
    rules = [KeepApart(["x", "y"], policy="soft", name="wish"), KeepApart(["p", "q"], name="must")]
    vms = dict.fromkeys("xypq", ("a", 10, 100))
    words = told(advise(cluster("ab", vms), rules=rules, policy=COUNT))
    assert {purpose for vm, (purpose, _) in words.items() if vm in "xy"} == {"wish"}
    assert {purpose for vm, (purpose, _) in words.items() if vm in "pq"} == {"repair"}


def test_which_memory_is_evened_out_is_said() -> None:
    vms = {f"v{i}": ("a", 10, 1000) for i in range(6)}
    active = {vm: {"memory_active_mib": 900.0} for vm in vms}
    policy = Policy(goals=(Balance(target=0.0, memory="active"), Moves(by="count")))
    result = advise(cluster("ab", vms, vm_columns=active), policy=policy)
    assert told(result)
    assert all("evens out active memory" in words for _, words in told(result).values())


@pytest.mark.parametrize("seed", range(12))
def test_no_reason_names_a_goal_that_nobody_asked_for_or_an_end_that_does_not_come(seed: int) -> None:
    """Random full clusters under policies without a balance goal, with it, and under requests."""
    rng = np.random.default_rng(seed)
    hosts = "abcd"
    vms = {
        f"v{i}": (str(rng.choice(list(hosts))), float(rng.integers(50, 900)), float(rng.integers(300, 1500)))
        for i in range(18)
    }
    rules = [KeepApart(["v0", "v1", "v2"], name="apart"), RunOn(["v3", "v4"], ["a", "b"], name="licence")]
    balance = bool(seed % 2)
    goals = (Balance(target=0.0), Moves()) if balance else (Moves(by="count"),)
    more = {"options": modes.Options(evacuate=("d",))} if seed % 3 == 0 else {}
    result = advise(cluster(hosts, vms), rules=rules, policy=Policy(goals=goals), **more)
    used: dict[str, list[float]] = {}
    for move in result.plan.moves:
        words = move.reason
        if "evens out" in words:
            assert balance and not more, words
        for host, before, after in re.findall(r"(\w) (\d+) % → (\d+) %", words):
            used.setdefault(host, [float(before), float(after)])
            if host == move.from_host:
                assert float(after) <= float(before), words
            else:
                assert float(after) >= float(before), words
        assert "powered off" not in words
        for vm, step in re.findall(r"(v\d+) \(step (\d+)\)", words):
            other = next(each for each in result.plan.moves if each.step == int(step))
            assert other.vm == vm and other.to_host == move.from_host
