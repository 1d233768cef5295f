"""Pools: what a tree of them leaves each VM, by hand and for any snapshot."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from strategies import snapshots

from drs.model import Placement, Snapshot
from drs.model.pools import entitled, guaranteed, own_demand, pools, wanted, weights
from drs.model.vm_score import happiness
from drs.testing import ask


def cluster(**changes: Any) -> Snapshot:
    return ask(
        {
            "hosts": {"esx-[1-2]": {"cpu_mhz": 6000, "memory_mib": 65536}},
            "pools": {
                "gold": {"cpu_shares": 8000, "cpu_reservation_mhz": 3000},
                "web": {"parent": "gold", "cpu_limit_mhz": 2000},
                "low": {"cpu_shares": 4000},
            },
            "clusters": {"cluster-1": {"cpu_overcommit_ratio": 9}},
            "defaults": {"vms": {"memory_mib": 1024, "cpu_demand_mhz": 6000, "host": "esx-1"}},
            "vms": {
                "g": {"pool": "gold"},
                "w1": {"pool": "web"},
                "w2": {"pool": "web"},
                "l": {"pool": "low"},
            },
            **changes,
        }
    )[0]


def test_a_cluster_is_divided_by_hand() -> None:
    found = cluster()
    # 12000 MHz: gold 8000 of 12000 shares, capped by what it asks for (6000 and the web pool's 2000): 8000;
    # its VM and the web pool halve that (1000 and 4000 shares: web takes its 2000, the VM 6000).
    np.testing.assert_allclose(entitled(found, "cpu"), [6000, 1000, 1000, 4000])
    np.testing.assert_allclose(wanted(found, "cpu"), [6000, 1000, 1000, 6000])
    # gold's 3000 are reserved for those below it: by shares, web at most 2000.
    np.testing.assert_allclose(guaranteed(found, "cpu"), [1000, 1000, 1000, 0])
    np.testing.assert_allclose(weights(found, "cpu"), [1600, 3200, 3200, 4000])
    gold, web, low = pools(found)
    assert (gold.name, gold.depth, gold.n_vms, gold.cpu.demand) == ("gold", 0, 3, 8000)
    assert (web.name, web.parent, web.depth, web.n_vms) == ("web", "gold", 1, 2)
    assert (gold.cpu.entitlement, web.cpu.entitlement, low.cpu.entitlement) == (8000, 2000, 4000)
    assert gold.cpu.fixed == pytest.approx(3000) and low.cpu.fixed == 0


def test_a_full_host_delivers_by_the_shares_of_the_pools() -> None:
    found = cluster()
    happy = happiness(found, Placement.of(found))
    got = happy.delivered["cpu"]
    assert got.sum() == pytest.approx(6000)
    # The web pool's limit is reached by what is reserved for it; g and l share the rest by 1600 to 4000.
    np.testing.assert_allclose(got, [8000 / 7, 1000, 1000, 20000 / 7])
    assert happy.short() == [0, 3] and happy.score[0] == pytest.approx(100 * 8 / 42)


def test_a_vm_that_leaves_its_cluster_leaves_its_pool() -> None:
    found = cluster(
        hosts={
            "esx-1": {"cpu_mhz": 6000, "memory_mib": 65536},
            "esx-2": {"cpu_mhz": 6000, "memory_mib": 65536, "cluster": "other"},
        },
        pools={"gold": {"cluster": "cluster-1"}},
        vms={"g": {"pool": "gold"}, "h": {"pool": "gold"}},
    )
    after = Placement(np.array([0, 1], dtype=np.int32), np.empty(0, dtype=np.int32)).apply(found)
    assert after.vms.pool_idx.tolist() == [0, -1]


@given(snapshots(unplaced=True))
def test_whatever_the_tree(snapshot: Snapshot) -> None:
    for resource in ("cpu", "memory"):
        demand, most, least = (of(snapshot, resource) for of in (own_demand, wanted, guaranteed))
        due = entitled(snapshot, resource)
        assert (least <= most + 1e-6).all() and (most <= demand + 1e-6).all() and (due <= most + 1e-6).all()
        table, vms = snapshot.pools, snapshot.vms
        limit = table.cpu_limit_mhz if resource == "cpu" else table.memory_limit_mib
        for pool in range(len(table)):
            below = {pool}
            for _ in range(len(table)):
                below |= {p for p in range(len(table)) if table.parent_idx[p] in below}
            inside = np.isin(vms.pool_idx, sorted(below))
            assert most[inside].sum() <= limit[pool] + 1e-6
            assert least[inside].sum() <= limit[pool] + 1e-6
            assert due[inside].sum() == pytest.approx(
                next(p for p in pools(snapshot) if p.name == table.name[pool])
                .__getattribute__(resource)
                .entitlement,
                abs=1e-6,
            )
        assert (weights(snapshot, resource) >= 0).all()


@given(snapshots())
def test_one_pool_for_all_changes_nothing(snapshot: Snapshot) -> None:
    """A pool without settings of its own that holds all VMs of a cluster divides as the cluster itself does."""
    none = dataclasses.replace(
        snapshot,
        pools=type(snapshot.pools).none(),
        vms=dataclasses.replace(snapshot.vms, pool_idx=np.full(snapshot.n_vms, -1, np.int32)),
    )
    n = len(snapshot.clusters)
    one = type(snapshot.pools)(
        np.array([f"all-{c}" for c in range(n)]), np.full(n, -1, np.int32), np.arange(n, dtype=np.int32),
        np.zeros(n), np.full(n, np.inf), np.ones(n), np.array(["yes"] * n),
        np.zeros(n), np.full(n, np.inf), np.ones(n), np.array(["yes"] * n),
    )  # fmt: skip
    of = snapshot.hosts.cluster_idx[snapshot.vms.host_idx] if snapshot.n_vms else np.empty(0, np.int32)
    all_in = dataclasses.replace(
        none, pools=one, vms=dataclasses.replace(none.vms, pool_idx=of.astype(np.int32))
    )
    for resource in ("cpu", "memory"):
        np.testing.assert_allclose(entitled(all_in, resource), entitled(none, resource), atol=1e-6)
        np.testing.assert_allclose(wanted(all_in, resource), wanted(none, resource), atol=1e-6)
