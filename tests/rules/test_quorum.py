"""`quorum`: at least so many of a group on certain hosts; at the end, on the way, as a wish, and in words."""

from __future__ import annotations

import pytest
from modes.tiny import cluster

import drs
from drs.explain.contradictions import conflicts
from drs.io import InputWarning
from drs.model import Placement, Snapshot
from drs.result import Result
from drs.rules import NotRunOn, Quorum, Rule

GROUP = ["x", "y", "z"]


def three(where: str, hosts: object = "abc", memory_mib: int = 64) -> Snapshot:
    return cluster(hosts, {vm: (host, 10, memory_mib) for vm, host in zip("xyz", where, strict=True)})


def advise(snapshot: Snapshot, *rules: Rule) -> Result:
    return drs.advise(snapshot, rules=rules, solver="cpsat", time_s=3)


@pytest.mark.parametrize(
    ("where", "at_least", "missing"),
    [("abc", 2, 0), ("acc", 2, 1), ("ccc", 2, 2), ("ccc", 1, 1), ("abb", 3, 0), ("abc", 3, 1)],
)
def test_violations_count_the_missing(where: str, at_least: int, missing: int) -> None:
    snapshot = three(where)
    found = list(Quorum(GROUP, ["a", "b"], at_least=at_least).check(snapshot, Placement.of(snapshot)))
    assert sum(violation.amount for violation in found) == missing
    for violation in found:
        away = {vm for vm, host in zip("xyz", where, strict=True) if host == "c"}
        assert set(violation.vms) == away and violation.hosts == ("c",)
        assert f"at least {at_least} of 3 VMs belong there" in violation.sentence


def test_a_vm_that_is_nowhere_yet_is_not_missing() -> None:
    snapshot = three("abc")
    placement = Placement(snapshot.vms.host_idx * 0 - 1, snapshot.disks.datastore_idx)
    assert not list(Quorum(GROUP, ["a"], at_least=3).check(snapshot, placement))


@pytest.mark.parametrize(("policy", "code"), [("hard", "vmHostHardAffinity"), ("soft", "vmHostSoftAffinity")])
def test_the_reason_of_the_move(policy: str, code: str) -> None:
    rule = Quorum(GROUP, ["a", "b"], at_least=2, name="majority", policy=policy)  # type: ignore[arg-type]
    result = advise(three("acc"), rule)
    moves = [move for move in result.plan.moves if move.reason_code == code]
    assert len(moves) == 1
    assert moves[0].reason == "majority: too many of the group run on other hosts, such as c"
    assert moves[0].to_host in ("a", "b")


def test_a_wish_gives_way_to_room() -> None:
    small = {"a": {"memory_mib": 1000}, "b": {"memory_mib": 100000}, "c": {"memory_mib": 100000}}
    snapshot = three("abc", small, memory_mib=900)
    wish = Quorum(GROUP, ["a"], at_least=2, name="majority", policy="soft")
    result = advise(snapshot, wish)
    assert result.status in ("optimal", "feasible")
    assert [violation.rule for violation in result.violations_after] == ["majority"]
    with pytest.warns(InputWarning, match="at least 2 of x, y, z have to be on a, need 1,800 MiB"):
        strict = advise(snapshot, Quorum(GROUP, ["a"], at_least=2, policy="hard"))
    assert strict.status == "infeasible"


def test_it_holds_on_the_way() -> None:
    """x has to leave a for c; z comes from c to a first, though both moves fit in any order."""
    snapshot = three("aac")
    rules = [
        Quorum(GROUP, ["a", "b"], at_least=2, name="majority", policy="hard", when="during"),
        NotRunOn("x", ["a", "b"], policy="hard"),
    ]
    result = advise(snapshot, *rules)
    steps = {move.vm: move.step for move in result.plan.moves}
    assert not result.violations_after
    assert steps["z"] < steps["x"]


def test_it_is_contradicted() -> None:
    rules = [
        Quorum(GROUP, ["a"], at_least=2, name="majority", policy="hard"),
        NotRunOn(["x", "y"], ["a"], name="off", policy="hard"),
    ]
    (found,) = conflicts(rules, three("abc"))
    assert set(found.rules) == {"majority", "off"}
    assert "x, y are bound to b, c, where at most 1 of 3 VMs may be" in str(found)
