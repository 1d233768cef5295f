"""Power: hosts that can be off, hosts to wake, reserves that stay."""

from __future__ import annotations

import pandas as pd
import pytest
from tiny import cluster

import drs
from drs.errors import InputError
from drs.problem.policy import Policy, Power
from drs.rules import RunOn

W = {"power_idle_w": 100, "power_max_w": 200}


def advise(snapshot, **more):
    return drs.advise(snapshot, mode="consolidate", solver="cpsat", time_s=4, **more)


def test_the_thirstiest_host_goes_off() -> None:
    hosts = {"a": W, "b": {**W, "power_idle_w": 150}, "c": W}
    snapshot = cluster(hosts, {"x": ("a", 1000, 1000), "y": ("b", 1000, 1000), "z": ("c", 1000, 1000)})
    report = advise(snapshot).report
    assert "b" in report.power_off
    assert len(report.power_off) == 2
    assert report.n_on_after == 1
    assert report.watts_after < report.watts_before


def test_a_reserve_for_failures_stays_on() -> None:
    clusters = pd.DataFrame([{"cluster": "cluster-1", "ha_failover_hosts": 1}])
    vms = {name: (name, 1000, 3000) for name in "abc"}
    report = advise(cluster(dict.fromkeys("abc", W), vms, clusters=clusters)).report
    assert len(report.power_off) == 1
    assert len(report.spare) + 1 == 2 or report.spare == ()
    assert report.survives == {"cluster-1": 1}


def test_no_host_is_filled_above_its_load_limit() -> None:
    vms = {f"v{i}": ("ab"[i % 2], 1000, 5000) for i in range(2)}
    policy = Policy(power=Power(max_load_ratio=0.5))
    result = advise(cluster({"a": W, "b": W}, vms), policy=policy)
    assert result.report.power_off == ()


def test_hosts_in_standby_are_woken_when_load_has_risen() -> None:
    hosts = {"a": W, "b": {**W, "state": "standby"}, "c": {**W, "state": "standby"}}
    vms = {f"v{i}": ("a", 2400, 1000) for i in range(4)}
    report = advise(cluster(hosts, vms)).report
    assert len(report.wake) == 1
    assert report.n_on_before == 1
    assert report.n_on_after == 2


def test_the_target_snapshot_has_the_hosts_as_they_are_then() -> None:
    hosts = {"a": W, "b": {**W, "state": "standby"}}
    vms = {f"v{i}": ("a", 2400, 1000) for i in range(4)}
    assert advise(cluster(hosts, vms)).snapshot_after.hosts.state.tolist() == ["connected", "connected"]
    result = advise(
        cluster({"a": W, "b": {**W, "power_idle_w": 150}}, {"x": ("a", 10, 64), "y": ("b", 10, 64)})
    )
    assert result.snapshot_after.hosts.state.tolist() == ["connected", "standby"]
    again = advise(result.snapshot_after)
    assert again.plan.moves == () and again.report.power_off == ()


def test_hosts_in_standby_stay_asleep_otherwise() -> None:
    hosts = {"a": W, "b": {**W, "state": "standby"}}
    result = advise(cluster(hosts, {"x": ("a", 1000, 1000)}))
    assert result.report.wake == ()
    assert result.plan.moves == ()


def test_a_load_limit_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="max_load_ratio"):
        advise(cluster(["a", "b"], {"x": ("a", 10, 64)}), policy=Policy(power=Power(max_load_ratio=1.5)))


def test_room_for_a_large_vm_is_kept_on_the_few_hosts_that_may_take_it() -> None:
    # Two hosts bear the load, and then `large` finds no room when its host fails: three do with 5,000 MHz free.
    clusters = pd.DataFrame([{"cluster": "cluster-1", "ha_failover_hosts": 1}])
    vms = {
        "large": ("a", 5000, 100),
        "v1": ("a", 3000, 100),
        "v2": ("b", 4000, 100),
        "v3": ("c", 3000, 100),
        "v4": ("d", 1000, 100),
    }
    snapshot = cluster(dict.fromkeys("abcd", W), vms, clusters=clusters)
    result = advise(snapshot, rules=[RunOn("large", ["a", "b"])])
    assert result.report.survives == {"cluster-1": 1}
    assert result.report.n_on_after == 3
    assert result.warnings == ()


def test_a_cluster_whose_reserve_no_packing_keeps_is_not_emptied_and_that_is_said() -> None:
    # `large` needs 8,000 MHz free on the host where it is not: whatever else leaves c and d goes there.
    clusters = pd.DataFrame([{"cluster": "cluster-1", "ha_failover_hosts": 1}])
    vms = {"large": ("a", 8000, 100), "v1": ("b", 2000, 100), "v2": ("c", 6000, 100), "v3": ("d", 6000, 100)}
    snapshot = cluster(dict.fromkeys("abcd", W), vms, clusters=clusters)
    result = advise(snapshot, rules=[RunOn("large", ["a", "b"])])
    assert result.report.survives == {"cluster-1": 1}
    assert result.report.power_off == ()
