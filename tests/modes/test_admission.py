"""N+k by looking at combinations: against brute force, and against what a percentage would say."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from tiny import cluster

from drs.errors import InputError, UnknownNameError
from drs.modes import admission
from drs.problem import Problem
from drs.rules import KeepApart, RunOn


def verdict(snapshot, failures, rules=(), **more):
    return admission(Problem(snapshot, rules), failures, **more).clusters[0]


def test_memory_that_is_free_in_pieces_helps_nobody() -> None:
    # 30 % of all memory is free, more than a third host's share, but no piece takes the 6,000 MiB VM.
    vms = {"big": ("a", 10, 6000), "b1": ("b", 10, 6000), "c1": ("c", 10, 6000)}
    found = verdict(cluster("abc", vms), 1)
    assert found.survives == 0
    assert found.worst.failed == ("a",)
    assert found.worst.vms == ("big",)
    assert found.worst.proven


def test_a_keep_apart_group_counts() -> None:
    vms = {"r-1": ("a", 10, 64), "r-2": ("b", 10, 64), "r-3": ("c", 10, 64)}
    assert verdict(cluster("abc", vms), 1).survives == 1
    rule = KeepApart("r-*", policy="hard")
    found = verdict(cluster("abc", vms), 2, [rule])
    assert found.survives == 0
    assert len(found.worst.vms) == 1


def test_the_smallest_combination_is_named() -> None:
    vms = {"db": ("a", 10, 64), "x": ("b", 10, 64), "y": ("c", 10, 64)}
    found = verdict(cluster("abcd", vms), 3, [RunOn("db", ["a", "b"], policy="hard")])
    assert found.survives == 1
    assert found.worst.failed == ("a", "b")
    assert found.worst.vms == ("db",)


def test_a_vm_with_local_devices_is_not_protected() -> None:
    snapshot = cluster("ab", {"gpu": ("a", 10, 64)}, vm_columns={"gpu": {"gpus": 1}})
    found = verdict(snapshot, 1)
    assert found.survives == 1
    assert found.unprotected == ("gpu",)


def test_devices_are_slots_where_the_hosts_say_how_many_they_have() -> None:
    gpu = {"gpu": {"gpus": 1}}
    spare = cluster(
        {"a": {"gpus_capacity": 1}, "b": {"gpus_capacity": 1}}, {"gpu": ("a", 10, 64)}, vm_columns=gpu
    )
    assert (verdict(spare, 1).survives, verdict(spare, 1).unprotected) == (1, ())
    alone = cluster(
        {"a": {"gpus_capacity": 1}, "b": {"gpus_capacity": 0}}, {"gpu": ("a", 10, 64)}, vm_columns=gpu
    )
    assert (verdict(alone, 1).survives, verdict(alone, 1).worst.vms) == (0, ("gpu",))


def test_racks_fail_together() -> None:
    hosts = {name: {"rack": rack} for name, rack in zip("abcd", "1122", strict=True)}
    vms = {name: (name, 10, 6000) for name in "abcd"}
    assert verdict(cluster(hosts, vms), 1, scope="rack").survives == 0
    vms = {name: (name, 10, 4000) for name in "abcd"}
    assert verdict(cluster(hosts, vms), 1, scope="rack").survives == 1


def brute_force(snapshot, k) -> bool:
    """Whether every combination is survived, by trying every assignment."""
    n, home = snapshot.n_hosts, snapshot.vms.host_idx
    need, room = snapshot.demand("memory"), snapshot.capacity("memory")
    for failed in combinations(range(n), k):
        use = np.bincount(home, weights=need, minlength=n)
        lost = [vm for vm in range(snapshot.n_vms) if home[vm] in failed]
        alive = [host for host in range(n) if host not in failed]

        def fits(i, free, lost=lost, alive=alive):
            if i == len(lost):
                return True
            for host in alive:
                if free[host] >= need[lost[i]]:
                    free[host] -= need[lost[i]]
                    if fits(i + 1, free):
                        return True
                    free[host] += need[lost[i]]
            return False

        if not fits(0, room - use):
            return False
    return True


@pytest.mark.parametrize("seed", range(25))
def test_against_brute_force(seed) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 6))
    names = [f"h{i}" for i in range(n)]
    vms, free = {}, dict.fromkeys(names, 10_240)
    for i in range(int(rng.integers(n, 2 * n + 1))):
        size = int(rng.choice([1500, 2500, 3500, 5000]))
        host = str(rng.choice(names))
        if free[host] >= size:
            free[host] -= size
            vms[f"v{i}"] = (host, 10, size)
    vms = vms or {"v": ("h0", 10, 1500)}
    snapshot = cluster(names, vms)
    found = verdict(snapshot, 2)
    for k in (1, 2):
        if found.survives >= k:
            assert brute_force(snapshot, k)
    if found.survives < 2:
        assert not brute_force(snapshot, found.survives + 1)
        assert found.worst is not None and found.worst.proven


def test_bad_questions() -> None:
    problem = Problem(cluster("ab", {"x": ("a", 10, 64)}))
    with pytest.raises(InputError, match="1 to 8"):
        admission(problem, 0)
    with pytest.raises(UnknownNameError, match="cluster"):
        admission(problem, 1, cluster="nope")
    with pytest.raises(UnknownNameError, match="scope"):
        admission(problem, 1, scope="room")  # type: ignore[arg-type]
