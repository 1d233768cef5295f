"""What administrators say besides rules: hosts derated or asleep, moves that wait for approval, disks on datastores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tiny import cluster

import drs
from drs.goals import Balance, Moves
from drs.problem import Policy
from drs.report.tables import MOVES, told
from drs.rules import OnDatastores

EVEN = Policy(goals=(Balance(target=0.0, worth_ratio=0.0, resources=("cpu",)), Moves()))


def advise(snapshot, **more):
    return drs.advise(snapshot, **{"iterations": 4000, "policy": EVEN, "rules": [], **more})


def test_a_derated_host_takes_its_share_of_what_it_may_use() -> None:
    """Half of a host may be used: it is full at half, and an even load gives it half of what the others have."""
    hosts = {"a": {"derate_ratio": 0.5}, "b": {}, "c": {}}
    vms = {f"vm{k:02d}": ("b" if k % 2 else "c", 500, 256) for k in range(20)}
    result = advise(cluster(hosts, vms))
    use = np.bincount(result.placement.host_idx, minlength=3) * 500
    assert use.tolist() == [2000, 4000, 4000]
    assert result.metrics_after["cpu"]["std"] == pytest.approx(0.0, abs=1e-9)
    full = cluster(hosts, {f"vm{k}": ("a", 600, 256) for k in range(10)})
    over = {violation.sentence for violation in drs.check(full, []) if "a" in violation.hosts}
    assert over and any("cpu" in sentence for sentence in over)


def test_moves_that_wait_for_approval_are_marked() -> None:
    vms = {f"vm{k}": ("a", 1000, 512) for k in range(6)}
    manual = {f"vm{k}": {"automation": "manual"} for k in range(6)}
    moved = advise(cluster(["a", "b"], vms, vm_columns=manual))
    assert moved.plan.moves and {reason.approval for reason in moved.reasons} == {"manual"}
    name = next(column for column in MOVES if column.name == "vm")
    assert all("waits for approval" in name.more(row) for row in told(moved.plan.moves, moved.reasons))
    free = advise(cluster(["a", "b"], vms))
    assert {reason.approval for reason in free.reasons} == {""}


@pytest.mark.parametrize(("load", "named"), [(900, True), (300, False)])
def test_hosts_in_standby_are_named_where_capacity_is_short(load: float, named: bool) -> None:
    hosts = {"a": {}, "b": {}, "sleepy": {"state": "standby"}}
    vms = {f"vm{k:02d}": ("a" if k % 2 else "b", load, 256) for k in range(20)}
    report = advise(cluster(hosts, vms)).not_more
    assert report is not None
    assert any("sleepy in standby could help" in line for line in report.sentences()) == named


def test_disks_go_where_they_belong_and_the_move_says_why() -> None:
    tables = {
        "datastores": pd.DataFrame({"datastore": ["hdd", "ssd"], "capacity_gib": 100.0, "free_gib": 80.0}),
        "disks": pd.DataFrame(
            {"vm": ["db", "web"], "disk": ["d"] * 2, "datastore": ["hdd"] * 2, "size_gib": 10.0}
        ),
        "mounts": pd.DataFrame({"host": ["a"] * 2, "datastore": ["hdd", "ssd"]}),
    }
    snapshot = cluster(["a"], {"db": ("a", 100, 512), "web": ("a", 100, 512)}, **tables)
    rule = OnDatastores("db", "ssd", name="flash")
    result = drs.advise(snapshot, mode="storage", rules=[rule], iterations=500)
    (move,) = result.plan.moves
    assert (move.vm, move.to_datastores) == ("db", ("ssd",)) and not result.violations_after
    assert "flash" in move.reason and "hdd" in move.reason
    nowhere = drs.advise(
        snapshot, mode="storage", rules=[OnDatastores("db", "hdd", name="stay")], iterations=500
    )
    assert not nowhere.plan.moves


def test_sites_that_no_link_joins_are_named() -> None:
    """All load is on one site, and no migration has a route to the other: the answer says why it stays uneven."""
    hosts = {"a1": {"site": "A"}, "a2": {"site": "A"}, "b1": {"site": "B"}}
    vms = {f"vm{k}": ("a1", 500, 256) for k in range(8)}
    apart = pd.DataFrame({"a": ["A"], "b": ["core"], "bandwidth_mbps": [10_000.0]})
    cut = advise(cluster(hosts, vms, links=apart))
    said = [line for line in cut.not_more.sentences() if "goes between a1 and b1" in line]
    assert len(said) == 1 and "no link joins A and B" in said[0]
    joined = pd.DataFrame({"a": ["A", "B"], "b": ["core"] * 2, "bandwidth_mbps": [10_000.0] * 2})
    whole = advise(cluster(hosts, vms, links=joined))
    assert not any("goes between" in line for line in whole.not_more.sentences())
    assert (whole.placement.host_idx == 2).any()
