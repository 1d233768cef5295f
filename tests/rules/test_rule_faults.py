"""Bad rules: one clear message for each fault, naming rule and field, found before anything is solved."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from drs import io, rules
from drs.errors import InputError
from drs.model import Snapshot
from drs.model.selector import select
from drs.problem import Problem
from drs.rules import Rule


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    hosts = pd.DataFrame({
        "host": ["esx-1", "esx-2", "esx-3"], "cpu_mhz": 10000, "memory_mib": 65536,
        "site": ["north", "north", "south"], "cpu_cores": 4,
    })  # fmt: skip
    vms = pd.DataFrame({
        "vm": ["web-1", "web-2", "db-1", "db-2"], "host": ["esx-1", "esx-1", "esx-2", "esx-3"],
        "memory_mib": 8192, "cpu_demand_mhz": 1000, "cpu_reservation_mhz": [0, 0, 0, 9000],
    })  # fmt: skip
    disks = pd.DataFrame({
        "vm": ["db-1", "db-1", "db-2"], "disk": ["d1", "d2", "d1"], "datastore": "ds", "size_gib": 10
    })  # fmt: skip
    stores = pd.DataFrame({"datastore": ["ds"], "capacity_gib": [100]})
    links = pd.DataFrame({
        "a": ["esx-1", "esx-2", "s1", "s2"], "b": ["s1", "s2", "s2", "esx-3"], "bandwidth_mbps": 10000,
        "latency_ms": [0.0, 0.0, 1.0, 1.0],
    })  # fmt: skip
    return io.from_frames({
        "hosts": hosts, "vms": vms, "disks": disks, "datastores": stores, "links": links
    })  # fmt: skip


CASES: list[tuple[Rule, str, str]] = [
    (rules.KeepApart("wbe-*", name="r"), "field vms", "the pattern 'wbe-*' names no VM"),
    (rules.KeepApart(["web-1", "web-9"], name="r"), "field vms", "unknown VM 'web-9'"),
    (rules.KeepApart([], name="r"), "field vms", "an empty list"),
    (rules.KeepApart("web-*", at_most=0, name="r"), "field at_most", "0; expected 1 or more"),
    (rules.KeepApart("web-*", scope="rack", name="r"), "field scope", "no host has a rack"),
    (rules.KeepApart("web-*", scope="floor", name="r"), "field scope", "unknown scope 'floor'"),  # type: ignore[arg-type]
    (rules.KeepApart("db-*", scope="datastore", at_most=2, name="r"), "field at_most", "several disks"),
    (rules.KeepTogether("app-*", name="r"), "field vms", "names no VM"),
    (rules.KeepTogether("web-*", scope="sites", name="r"), "field scope", "did you mean site?"),  # type: ignore[arg-type]
    (rules.RunOn("web-*", "lic-*", name="r"), "field hosts", "names no host"),
    (rules.RunOn("web-*", "esx-4", name="r"), "field hosts", "unknown host 'esx-4'"),
    (rules.NotRunOn("web-*", "esx-*", name="r"), "field hosts", "every host"),
    (rules.NotRunOn("web-*", ["esx-1", "exs-2"], name="r"), "field hosts", "did you mean esx-2?"),
    (rules.Pinned("nobody", name="r"), "field vms", "unknown VM"),
    (rules.Automation(at_least="fully", name="r"), "field at_least", "did you mean full?"),  # type: ignore[arg-type]
    (rules.Spread("web-*", scope="site", at_least=0, name="r"), "field at_least", "1 or more"),
    (rules.Spread("web-*", scope="host", at_least=3, name="r"), "field at_least", "3 hosts for 2 VMs"),
    (rules.Spread("*", scope="site", at_least=3, name="r"), "field at_least", "at most 2"),
    (rules.Spread("*", scope="vcenter", name="r"), "field scope", "no host has a vcenter"),
    (rules.Dependency("web-*", "cache-*", name="r"), "field needs", "names no VM"),
    (rules.NeverWith("web-*", "*", name="r"), "field others", "in both groups"),
    (rules.Quorum("web-*", "esx-1", at_least=3, name="r"), "field at_least", "3 of 2 VMs"),
    (rules.Quorum("web-*", "esx-1", at_least=0, name="r"), "field at_least", "1 or more"),
    (rules.Quorum("web-*", "esx-9", at_least=1, name="r"), "field hosts", "unknown host"),
    (rules.Spread("web-*", at_least="two", name="r"), "field at_least", "a whole number"),  # type: ignore[arg-type]
    (rules.Pinned(5, name="r"), "field vms", "the name of a VM"),  # type: ignore[arg-type]
    (rules.MaxVms(at_most=-1, name="r"), "field at_most", "0 or more"),
    (rules.MoveLimit(at_most=-1, name="r"), "field at_most", "0 or more"),
    (rules.VcpuRatio(at_most=0.0, name="r"), "field at_most", "a number above 0"),
    (rules.HostCapacity("gpu", name="r"), "field resource", "unknown resource 'gpu'"),
    (rules.HostCapacity("cpu", overcommit_ratio=0.0, name="r"), "field overcommit_ratio", "above 0"),
    (rules.HostCapacity("cpu", reserve=-1.0, name="r"), "field reserve", "0 or more"),
    (rules.HostCapacity("cpu", reserve_ratio=1.5, name="r"), "field reserve_ratio", "from 0 to 1"),
    (rules.HostCapacity("cpu", counts="reserved", reserve=2000.0, name="r"), "field resource", "db-2 needs 9,000"),
    (rules.HostCapacity("memory", reserve_ratio=0.9, policy="hard", name="r"), "field resource", "needs 8,192"),
    (rules.Failover("disk", name="r"), "field resource", "unknown resource 'disk'"),
    (rules.Failover(n_hosts=3, name="r"), "field n_hosts", "0 to 2"),
    (rules.MigrationScope(scope="world", name="r"), "field scope", "unknown scope"),  # type: ignore[arg-type]
    (rules.Latency("web-*", max_rtt_ms=-1.0, name="r"), "field max_rtt_ms", "0 or more"),
    (rules.Latency("web-*", max_rtt_ms=2.0, name="r"), "field max_rtt_ms", "does not part the hosts"),
    (rules.DatastoreCapacity(max_ratio=1.2, name="r"), "field max_ratio", "at most 1"),
    (rules.DisksTogether(vms="x-*", name="r"), "field vms", "names no VM"),
    (rules.KeepTogether("web-*", policy="harsh", name="r"), "field policy", "did you mean hard?"),  # type: ignore[arg-type]
    (rules.KeepTogether("web-*", when="at_once", name="r"), "field when", "only capacity"),
    (rules.KeepTogether("web-*", weight=-1.0, name="r"), "field weight", "0 or more"),
    (rules.KeepTogether("web-*", weight=np.inf, name="r"), "field weight", "0 or more"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "where", "words"), CASES, ids=lambda v: v.type if isinstance(v, Rule) else None
)
def test_fault(rule: Rule, where: str, words: str, snapshot: Snapshot) -> None:
    with pytest.raises(InputError) as caught:
        Problem(snapshot, [rule])
    fault = caught.value.faults[0]
    assert where in fault.where and "'r'" in fault.where
    assert words in str(fault)
    assert fault.expected


def test_all_faults_of_all_rules_at_once(snapshot: Snapshot) -> None:
    bad = [case[0] for case in CASES[:10]]
    with pytest.raises(InputError) as caught:
        Problem(snapshot, bad)
    assert len(caught.value.faults) == 10


def test_built_in_rules_have_no_faults(snapshot: Snapshot) -> None:
    assert [fault for rule in rules.default_rules(snapshot) for fault in rule.faults(snapshot)] == []


def test_a_users_rule_takes_the_place_of_the_built_in_one(snapshot: Snapshot) -> None:
    mine = rules.HostCapacity("cpu", overcommit_ratio=4.0)
    beside = rules.HostCapacity("cpu", counts="reserved")
    in_force = Problem(snapshot, [mine, beside]).rules_in_force
    of_cpu = [rule for rule in in_force if isinstance(rule, rules.HostCapacity) and rule.resource == "cpu"]
    assert of_cpu == [mine, beside]


def test_scale_of_capacity_is_a_mean_host(snapshot: Snapshot) -> None:
    assert rules.HostCapacity("memory").scale(snapshot) == 65536


def test_masks_stay_small() -> None:
    """With many VMs the filters have as many rows as there are kinds of VMs."""
    n = 3000
    hosts = pd.DataFrame({"host": [f"h{i}" for i in range(50)], "cpu_mhz": 10000, "memory_mib": 65536})
    hosts["cluster"] = [f"c{i % 5}" for i in range(50)]
    hosts["state"] = ["connected"] * 48 + ["maintenance", "disconnected"]
    vms = pd.DataFrame({"vm": [f"v{i}" for i in range(n)], "host": [f"h{i % 50}" for i in range(n)]})
    vms["memory_mib"], vms["cpu_demand_mhz"], vms["gpus"] = 1024, 100, [i % 7 == 0 for i in range(n)]
    vms["gpus"] = vms["gpus"].astype(int)
    snapshot = io.from_frames({"hosts": hosts, "vms": vms})
    for rule in (*rules.default_rules(snapshot), rules.Pinned("v1*"), rules.Automation(at_least="full")):
        if isinstance(rule, rules.HostFilter):
            term = rule.allowed(snapshot)
            assert term is None or len(term.mask) <= 8, rule


def test_selectors_read_lists_patterns_and_names(snapshot: Snapshot) -> None:
    vms = snapshot.vms
    assert select("web-*", vms).tolist() == [0, 1]
    assert select(["db-1", "web-*", "db-1"], vms).tolist() == [0, 1, 2]
    assert select("web-[2-9]", vms).tolist() == [1]
    assert select("*", vms).tolist() == [0, 1, 2, 3]
    odd = dataclasses.replace(vms, name=np.array(["a*", "ab", "b", "c"]))
    assert select("a*", odd).tolist() == [0], "a name that looks like a pattern is that name"
