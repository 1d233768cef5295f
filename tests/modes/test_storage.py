"""Storage DRS: space, latency, datastore maintenance."""

from __future__ import annotations

import pandas as pd
import pytest
from tiny import cluster

import drs
from drs import modes
from drs.errors import InputError
from drs.problem.policy import Policy, StorageBalance
from drs.rules import KeepApart


def stores(disks, datastores):
    """Disks as VM: [(datastore, GiB, iops), ...]; datastores as name: further columns."""
    vms = dict.fromkeys(disks, ("a", 10, 64))
    disk_rows = [
        {"vm": vm, "disk": f"d{i}", "datastore": store, "size_gib": gib, "iops": iops}
        for vm, rows in disks.items()
        for i, (store, gib, iops) in enumerate(rows)
    ]
    store_rows = [
        {"datastore": name, "capacity_gib": 1000, "datastore_cluster": "pod", **more}
        for name, more in datastores.items()
    ]
    return cluster(["a", "b"], vms, disks=pd.DataFrame(disk_rows), datastores=pd.DataFrame(store_rows))


def advise(snapshot, **more):
    return drs.advise(snapshot, solver="cpsat", time_s=20, **{"mode": "storage", **more})


def test_a_full_datastore_gives_the_smallest_disk_that_helps() -> None:
    disks = {"x": [("one", 500, 0)], "y": [("one", 300, 0)], "z": [("one", 90, 0)]}
    result = advise(stores(disks, {"one": {}, "two": {}}))
    assert [(move.vm, move.kind, move.to_datastores) for move in result.plan.moves] == [
        ("z", "storage", ("two",))
    ]
    assert result.status == "optimal"


def test_below_the_threshold_nothing_moves() -> None:
    result = advise(stores({"x": [("one", 400, 0)], "y": [("one", 350, 0)]}, {"one": {}, "two": {}}))
    assert result.plan.moves == ()


def test_the_difference_must_be_worth_it() -> None:
    disks = {"x": [("one", 450, 0)], "y": [("one", 400, 0)], "z": [("two", 820, 0)]}
    result = advise(stores(disks, {"one": {}, "two": {}}))
    assert result.plan.moves == ()


def test_a_slow_datastore_gives_load_away() -> None:
    disks = {"x": [("one", 10, 600)], "y": [("one", 10, 600)]}
    result = advise(stores(disks, {"one": {"latency_ms": 28}, "two": {"latency_ms": 1}}))
    assert len(result.plan.moves) == 1
    one = next(each for each in result.report.datastores if each.datastore == "one")
    assert one.latency_ms_after == pytest.approx(14)


def test_disks_of_a_vm_stay_together() -> None:
    disks = {"x": [("one", 500, 0), ("one", 20, 0)], "y": [("one", 300, 0), ("one", 80, 0)]}
    result = advise(stores(disks, {"one": {}, "two": {}}))
    moved = {move.vm: set(move.to_datastores) for move in result.plan.moves}
    assert moved == {"y": {"two"}}
    apart = Policy(storage=StorageBalance(together=False))
    result = advise(stores(disks, {"one": {}, "two": {}}), policy=apart)
    assert result.report.moved_gib == pytest.approx(100)


def test_a_datastore_empties_for_maintenance_and_its_pod_is_preferred() -> None:
    disks = {"x": [("one", 100, 0)], "y": [("one", 100, 0)]}
    snapshot = stores(disks, {"one": {}, "two": {}, "far": {"datastore_cluster": "other"}})
    result = advise(snapshot, options=modes.Options(datastores=("one",)))
    assert {move.to_datastores for move in result.plan.moves} == {("two",)}
    one = next(each for each in result.report.datastores if each.datastore == "one")
    assert one.n_disks_after == 0


def test_a_rule_on_disks_holds() -> None:
    disks = {"r-1": [("one", 100, 0)], "r-2": [("one", 100, 0)]}
    rule = KeepApart("r-*", scope="datastore", policy="hard")
    result = advise(
        stores(disks, {"one": {}, "two": {}, "three": {}}),
        rules=[rule],
        options=modes.Options(datastores=("one",)),
    )
    assert sorted(move.to_datastores for move in result.plan.moves) == [("three",), ("two",)]


def test_a_datastore_that_cannot_empty_is_refused_with_the_disk() -> None:
    disks = {"x": [("one", 900, 0)], "y": [("two", 500, 0)]}
    snapshot = stores(disks, {"one": {}, "two": {"capacity_gib": 600}})
    result = advise(snapshot, options=modes.Options(datastores=("one",)))
    assert result.status == "infeasible"
    assert [disk for disk, _ in result.report.stuck] == ["x/d0"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (modes.Options(datastores=("on",)), "unknown datastore 'on'"),
        (modes.Options(datastores=("one", "two")), "every usable datastore"),
    ],
)
def test_bad_requests(options, said) -> None:
    with pytest.raises(InputError, match=said):
        advise(stores({"x": [("one", 10, 0)]}, {"one": {}, "two": {}}), options=options)


def test_a_cluster_without_disks_is_refused() -> None:
    with pytest.raises(InputError, match="no disks"):
        advise(cluster(["a", "b"], {"x": ("a", 10, 64)}))


def test_emptying_a_datastore_repairs_nothing_else_unless_asked() -> None:
    disks = {"x": [("one", 100, 0)], "y": [("two", 500, 0)], "z": [("two", 400, 0)]}
    snapshot = stores(disks, {"one": {}, "two": {}, "three": {}})
    result = advise(snapshot, options=modes.Options(datastores=("one",)))
    assert {move.vm for move in result.plan.moves} == {"x"}, "two is 90 % full today and stays so"
    result = advise(snapshot, options=modes.Options(datastores=("one",), also=("repair",)))
    assert len(result.plan.moves) == 2 and {"x"} < {move.vm for move in result.plan.moves}


def test_one_disk_that_fits_nowhere_keeps_no_other_and_others_make_room() -> None:
    disks = {"x": [("one", 900, 0)], "y": [("one", 500, 0)], "z": [("two", 200, 0)]}
    caps = {"one": {"capacity_gib": 2000}, "two": {"capacity_gib": 600}, "three": {"capacity_gib": 300}}
    result = advise(stores(disks, caps), options=modes.Options(datastores=("one",)))
    moved = {move.vm: move.to_datastores for move in result.plan.moves}
    assert moved == {"y": ("two",), "z": ("three",)}
    assert result.status == "infeasible" and [disk for disk, _ in result.report.stuck] == ["x/d0"]


def test_disks_go_to_the_datastores_that_are_asked_for() -> None:
    disks = {"x": [("one", 100, 0)], "y": [("one", 100, 0)], "z": [("two", 50, 0)]}
    snapshot = stores(disks, {"one": {}, "two": {}, "far": {"datastore_cluster": "other"}})
    result = advise(snapshot, options=modes.Options(datastores=("one",), to_datastores=("far",)))
    assert {move.vm: move.to_datastores for move in result.plan.moves} == {"x": ("far",), "y": ("far",)}
    result = drs.advise(snapshot, options=modes.Options(move=("z=far",)), time_s=20)
    assert {move.vm: move.to_datastores for move in result.plan.moves} == {"z": ("far",)}
    assert result.mode == "move" and "to far" in result.plan.moves[0].reason
    with pytest.raises(InputError, match="VMs or disks in one request"):
        drs.advise(snapshot, options=modes.Options(move=("z=far", "x=b")), time_s=20)


def test_a_host_that_is_away_moves_no_disk() -> None:
    """A powered-off VM on a disconnected host keeps its disk, whatever is asked; the other's leaves."""
    tables = {
        "hosts": pd.DataFrame(
            {
                "host": ["a", "b"],
                "cpu_mhz": 1e4,
                "memory_mib": 65536.0,
                "state": ["connected", "disconnected"],
            }
        ),
        "vms": pd.DataFrame(
            {
                "vm": ["x", "y"],
                "host": ["a", "b"],
                "memory_mib": 512.0,
                "cpu_demand_mhz": 10.0,
                "power": "off",
            }
        ),
        "datastores": pd.DataFrame({"datastore": ["d1", "d2"], "capacity_gib": 100.0, "free_gib": 50.0}),
        "disks": pd.DataFrame({"vm": ["x", "y"], "disk": "d", "datastore": "d1", "size_gib": 10.0}),
        "mounts": pd.DataFrame({"host": ["a", "a", "b", "b"], "datastore": ["d1", "d2"] * 2}),
    }
    result = drs.advise(tables, mode="storage", datastores=["d1"], rules=[], iterations=500)
    assert [move.vm for move in result.plan.moves] == ["x"]
    assert result.status != "optimal"
