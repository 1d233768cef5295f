"""Edits of a snapshot: derived and never mutated, all faults together, what goes along is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from drs import datasets
from drs.datasets import make_cluster
from drs.errors import InputError
from drs.io.change_kinds import (
    KINDS,
    AddHosts,
    AddRule,
    AddVms,
    Change,
    DropHosts,
    DropRules,
    DropVms,
    OnlyClusters,
    ScaleVms,
    SetColumn,
    SetLink,
    SetPolicy,
)
from drs.io.changes import apply
from drs.model import Snapshot
from drs.model.network import Network
from drs.problem import Problem
from drs.problem.policy import Policy, Restart
from drs.rules import KeepApart, RunOn


@pytest.fixture(scope="module")
def small() -> Snapshot:
    return datasets.load("small")


def test_every_kind_is_read_by_its_name() -> None:
    read: TypeAdapter[Any] = TypeAdapter(Change)
    assert len(KINDS) == 16
    assert read.validate_python({"do": "drop-hosts", "hosts": "a"}) == DropHosts(hosts="a")
    assert read.validate_python({"do": "only-clusters", "clusters": "a"}) == OnlyClusters(clusters="a")
    assert read.validate_python(
        {"do": "set", "table": "vms", "rows": ["a"], "column": "power", "value": "off"}
    ) == SetColumn(table="vms", rows=("a",), column="power", value="off")


def test_the_snapshot_that_is_edited_stays_as_it_is(small: Snapshot) -> None:
    digest = datasets.load("small").digest
    changes = [
        DropHosts(hosts="esx-a-03"),
        ScaleVms(cpu_ratio=1.1),
        SetLink(a="esx-a-01", b="esx-a-02", bandwidth_mbps=9),
    ]
    changed = apply(small, changes).snapshot
    assert changed.digest != digest
    assert apply(small, []).snapshot.digest == datasets.load("small").digest == digest


@pytest.mark.parametrize(
    ("table", "rows", "column", "value", "attribute"),
    [
        ("vms", "web-*", "cpu_shares", 4321, "cpu_shares"),
        ("vms", "web-shop-01", "power", "off", "power"),
        ("hosts", "esx-a-01", "state", "maintenance", "state"),
        ("hosts", ("esx-a-01", "esx-a-02"), "rack", "new rack", "rack"),
        ("clusters", "*", "ha_failover_hosts", 2, "ha_failover_hosts"),
        ("datastores", "*", "latency_ms", 7.5, "latency_ms"),
    ],
)  # fmt: skip
def test_any_column_can_be_set(
    small: Snapshot, table: str, rows: Any, column: str, value: Any, attribute: str
) -> None:
    changed = apply(small, [SetColumn(table=table, rows=rows, column=column, value=value)]).snapshot
    import fnmatch

    part = getattr(changed, table)
    wanted = (rows,) if isinstance(rows, str) else rows
    meant = [any(fnmatch.fnmatch(str(name), one) for one in wanted) for name in part.name]
    assert any(meant)
    assert set(getattr(part, attribute)[meant].tolist()) == {value}
    others = ~np.array(meant)
    assert (
        getattr(part, attribute)[others].tolist()
        == getattr(getattr(small, table), attribute)[others].tolist()
    )


def test_an_empty_cell_is_the_default_and_a_further_resource_can_be_made(small: Snapshot) -> None:
    changed = apply(
        small,
        [
            SetColumn(table="vms", rows="*", column="dirty_rate_mibps", value=""),
            SetColumn(table="hosts", rows="*", column="vgpu_capacity", value=4),
            SetColumn(table="vms", rows="web-shop-01", column="vgpu_demand", value=2),
        ],
    ).snapshot
    assert np.isnan(changed.vms.dirty_rate_mibps).all()
    assert changed.demand("vgpu").sum() == 2
    assert (changed.capacity("vgpu") == 4).all()


def test_faults_of_all_changes_are_told_together(small: Snapshot) -> None:
    wrong = [
        DropHosts(hosts="esxa-01"),
        AddHosts(like="none-*"),
        AddVms(like="webshop-01"),
        SetColumn(table="vm", rows="*", column="power", value="off"),
        SetColumn(table="vms", rows="*", column="cpu_share", value=1),
        SetColumn(table="vms", rows="*", column="vm", value="x"),
        SetLink(a="esx-a-01", b="esxa-02", bandwidth_mbps=1),
        DropRules(rules="no such rule"),
        AddRule(rule={"type": "keep-apar", "vms": ["a"]}),
        SetPolicy(policy={"limits": {"max_movs": 1}}),
    ]
    with pytest.raises(InputError) as caught:
        apply(small, wrong, where="plan b")
    faults = [str(fault) for fault in caught.value.faults]
    assert len(faults) == len(wrong)
    assert all(f"plan b, change {number} (" in fault for number, fault in enumerate(faults, 1))
    near = ["esx-a-01", "", "web-shop-01", "vms", "cpu_shares", "", "esx-a-02", "", "keep-apart", "max_moves"]
    assert [
        name for name, fault in zip(near, faults, strict=True) if name and f"did you mean {name}" not in fault
    ] == []


def test_a_value_that_does_not_suit_its_column_is_a_fault(small: Snapshot) -> None:
    with pytest.raises(InputError, match=r"plan b: .*field power.*one of on, off"):
        apply(small, [SetColumn(table="vms", rows="*", column="power", value="of")], where="plan b")


def test_a_pattern_is_copied_with_every_host_that_it_names_and_no_name_is_used_twice(small: Snapshot) -> None:
    n = sum(str(name).startswith("esx-a-") for name in small.hosts.name)
    once = apply(small, [AddHosts(like="esx-a-*")]).snapshot
    assert once.n_hosts == small.n_hosts + n
    twice = apply(small, [AddHosts(like="esx-a-01"), AddHosts(like="esx-a-01")]).snapshot
    assert {"esx-a-01-copy-1", "esx-a-01-copy-2"} <= set(twice.hosts.name.tolist())


def test_growth_reaches_history_disks_reservations_and_vcpus() -> None:
    cluster = make_cluster(4, 20, history_days=1)
    who = str(cluster.vms.name[cluster.vms.on][0])
    vm = cluster.vms.position[who]
    grow = ScaleVms(vms=who, cpu_ratio=1.5, memory_ratio=0.5, vcpu_ratio=2, disk_ratio=1.25)
    edited = apply(cluster, [SetColumn(table="vms", rows=who, column="cpu_reservation_mhz", value=100),
                             SetColumn(table="vms", rows=who, column="memory_reservation_mib", value=0),
                             grow, ScaleVms(vms=who, cpu_reservation_ratio=3)])  # fmt: skip
    after = edited.snapshot
    assert cluster.loads is not None and after.loads is not None
    assert after.loads.cpu_mhz[:, vm] == pytest.approx(1.5 * cluster.loads.cpu_mhz[:, vm], rel=1e-5)
    assert after.loads.memory_active_mib[:, vm] == pytest.approx(
        0.5 * cluster.loads.memory_active_mib[:, vm], rel=1e-5
    )
    assert after.vms.vcpus[vm] == 2 * cluster.vms.vcpus[vm]
    assert after.vms.cpu_reservation_mhz[vm] == pytest.approx(300)
    mine = cluster.disks.vm_idx == vm
    assert after.disks.size_gib[mine] == pytest.approx(1.25 * cluster.disks.size_gib[mine])
    assert (after.disks.size_gib[~mine] == cluster.disks.size_gib[~mine]).all()
    grown = np.zeros(len(cluster.datastores))
    np.add.at(grown, cluster.disks.datastore_idx[mine], 0.25 * cluster.disks.used_gib[mine])
    assert after.datastores.free_gib == pytest.approx(np.maximum(cluster.datastores.free_gib - grown, 0))


def test_a_datastore_that_the_disks_outgrow_is_told(small: Snapshot) -> None:
    edited = apply(small, [ScaleVms(disk_ratio=50)])
    assert any("GiB more than it has free" in note for note in edited.notes)


def test_dropped_vms_give_their_space_back(small: Snapshot) -> None:
    vm = int(small.disks.vm_idx[0])
    after = apply(small, [DropVms(vms=str(small.vms.name[vm]))]).snapshot
    mine = small.disks.vm_idx == vm
    back = small.disks.used_gib[mine].sum()
    assert after.datastores.free_gib.sum() == pytest.approx(small.datastores.free_gib.sum() + back)


def test_rules_and_policy_forget_what_is_dropped_and_say_so(small: Snapshot) -> None:
    first, second, third = (str(name) for name in small.vms.name[:3])
    rules = [
        KeepApart([first, second, third], name="apart"),
        RunOn(second, ["esx-a-01"], name="licence"),
        RunOn(second, ["esx-a-01", "esx-a-02"], name="wide"),
    ]
    policy = Policy(restart=Restart(high=(first, second)))
    edited = apply(small, [DropVms(vms=first), DropHosts(hosts="esx-a-01")], rules, policy)
    assert [rule.label for rule in edited.rules] == ["apart", "wide"]
    assert edited.rules[0].vms == (second, third)  # type: ignore[attr-defined]
    assert edited.rules[1].hosts == ("esx-a-02",)  # type: ignore[attr-defined]
    assert tuple(edited.policy.restart.high) == (second,)
    said = "\n".join(edited.notes)
    assert "rule 'apart' is narrowed: VM " + first in said
    assert "rule 'licence' is dropped: it has no host left" in said
    assert "policy [restart] is narrowed" in said
    Problem(edited.snapshot, edited.rules, edited.policy)


def test_a_name_that_was_wrong_before_is_not_forgotten(small: Snapshot) -> None:
    rules = [KeepApart(["no-such-vm", str(small.vms.name[1])], name="apart")]
    edited = apply(small, [DropVms(vms=str(small.vms.name[0]))], rules)
    assert "no-such-vm" in edited.rules[0].vms  # type: ignore[attr-defined]
    assert not edited.notes


def test_rules_and_policy_can_be_changed(small: Snapshot) -> None:
    names = [str(name) for name in small.vms.name[:2]]
    changes = [AddRule(rule={"type": "keep-apart", "name": "new", "vms": names}),
               SetPolicy(policy={"limits": {"max_moves": 3}}), DropRules(rules="old")]  # fmt: skip
    policy = Policy(profile="qemu")
    edited = apply(small, changes, [KeepApart(names, name="old")], policy)
    assert [rule.label for rule in edited.rules] == ["new"]
    assert edited.policy.limits.max_moves == 3
    assert edited.policy.profile == "qemu"
    assert edited.policy.goals == policy.goals


def test_a_link_on_a_cluster_without_links_cuts_off_no_host(small: Snapshot) -> None:
    assert not len(small.links)
    a, b = "esx-a-01", "esx-a-02"
    edited = apply(small, [SetLink(a=a, b=b, bandwidth_mbps=100)])
    before, after = Network.of(small), Network.of(edited.snapshot)
    hosts = np.arange(small.n_hosts)
    src, dst = (every.ravel() for every in np.meshgrid(hosts, hosts))
    assert (after.reachable(src, dst) >= before.reachable(src, dst)).all()
    assert before.reachable(src, dst).any()
    assert len(edited.snapshot.links) == 3
    assert sum("written out" in note for note in edited.notes) == 2


def test_the_link_that_is_taken_for_granted_can_be_slowed(small: Snapshot) -> None:
    host = "esx-a-01"
    switch = Network.of(small).path(host, "esx-a-02").nodes[1]
    after = apply(small, [SetLink(a=host, b=switch, bandwidth_mbps=50)]).snapshot
    assert Network.of(after).path(host, "esx-a-02").bandwidth_mbps == 50
    assert Network.of(after).path("esx-a-03", "esx-a-02").bandwidth_mbps > 50


def test_a_new_link_needs_a_bandwidth(small: Snapshot) -> None:
    with pytest.raises(InputError, match="the bandwidth_mbps of a new one"):
        apply(small, [SetLink(a="esx-a-01", b="esx-a-02", latency_ms=1)])
