"""Any snapshot that the files can tell: hypothesis draws the vectors, defaults and empty cells included."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from hypothesis import strategies as st

from drs.model import (
    ClusterTable,
    DatastoreTable,
    DiskTable,
    HostTable,
    LinkTable,
    LoadHistory,
    PoolTable,
    Snapshot,
    VmTable,
)

NAN, INF = float("nan"), float("inf")
names = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=6)
some_text = st.one_of(st.just(""), names)
amounts = st.floats(0, 1e12, allow_subnormal=False)
positive = st.floats(1e-3, 1e12)


def vector(n: int, of: st.SearchStrategy[Any], kind: Any = np.float64) -> st.SearchStrategy[Any]:
    """n values as an array; adding 0 takes the sign off a zero, as a file does not keep it."""
    drawn = st.lists(of, min_size=n, max_size=n)
    if kind is np.str_:
        return drawn.map(lambda values: np.array(values, dtype=np.str_) if n else np.empty(0, "<U1"))
    return drawn.map(lambda values: np.array(values, dtype=kind) + kind(0))


def unique_names(n: int) -> st.SearchStrategy[Any]:
    return st.lists(names, min_size=n, max_size=n, unique=True).map(
        lambda values: np.array(values, dtype=np.str_) if n else np.empty(0, "<U1")
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    def count(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    def idx(n: int, size: int, low: int = 0) -> Any:
        return draw(vector(n, st.integers(low, size - 1), np.int32))

    def take(n: int, of: st.SearchStrategy[Any], kind: Any = np.float64) -> Any:
        return draw(vector(n, of, kind))

    n_clusters, n_hosts, n_vms, n_stores = count(1, 3), count(1, 4), count(1, 5), count(0, 3)
    maybe = st.one_of(st.just(NAN), amounts)
    limit = st.one_of(st.just(INF), amounts)
    clusters = ClusterTable(
        name=draw(unique_names(n_clusters)),
        site=take(n_clusters, some_text, np.str_),
        vcenter=take(n_clusters, some_text, np.str_),
        evc_mode=np.array([""] * n_clusters),
        ha_failover_hosts=take(n_clusters, st.integers(0, 3), np.int32),
        cpu_overcommit_ratio=take(n_clusters, st.floats(0.5, 4)),
        automation=take(n_clusters, st.sampled_from(["manual", "partial", "full"]), np.str_),
        migration_threshold=take(n_clusters, st.integers(1, 5), np.int32),
    )
    cluster_idx = idx(n_hosts, n_clusters)
    resources = draw(st.lists(st.sampled_from(["gpu_slots", "net", "x1"]), unique=True, max_size=2))
    memory = take(n_hosts, positive)
    own_site, own_vcenter = take(n_hosts, some_text, np.str_), take(n_hosts, some_text, np.str_)
    idle = take(n_hosts, maybe)
    hosts = HostTable(
        name=draw(unique_names(n_hosts)),
        cluster_idx=cluster_idx,
        cpu_mhz=take(n_hosts, positive),
        memory_mib=memory,
        cpu_reserved_mhz=np.zeros(n_hosts),
        memory_reserved_mib=memory * take(n_hosts, st.sampled_from([0.0, 0.25, 0.5])),
        cpu_cores=take(n_hosts, st.one_of(st.just(NAN), positive)),
        cpu_vendor=take(n_hosts, st.sampled_from(["", "intel"]), np.str_),
        evc_max=np.array([""] * n_hosts),
        state=take(n_hosts, st.sampled_from(["connected", "maintenance", "quarantine"]), np.str_),
        rack=take(n_hosts, some_text, np.str_),
        # An empty cell takes the site of the cluster, so a host of a cluster with a site has one as well.
        site=np.where(own_site == "", clusters.site[cluster_idx], own_site),
        vcenter=np.where(own_vcenter == "", clusters.vcenter[cluster_idx], own_vcenter),
        vmotion_mbps=take(n_hosts, positive),
        hypervisor=take(n_hosts, st.sampled_from(["esxi", "kvm", "xen"]), np.str_),
        power_idle_w=idle,
        power_max_w=np.where(np.isnan(idle), idle, idle * 2),
        capacity={name: take(n_hosts, amounts) for name in resources},
    )
    largest = float((hosts.memory_mib - hosts.memory_reserved_mib).max())
    cpu = float(hosts.cpu_mhz.max())
    smallest = float((hosts.memory_mib - hosts.memory_reserved_mib).min())
    vm_memory = largest * take(n_vms, st.floats(0.001, 1))
    vms = VmTable(
        name=draw(unique_names(n_vms)),
        host_idx=idx(n_vms, n_hosts, -1),
        memory_mib=vm_memory,
        cpu_demand_mhz=cpu * take(n_vms, st.floats(0, 0.5)),
        vcpus=take(n_vms, st.integers(1, 64)),
        memory_active_mib=take(n_vms, maybe),
        memory_consumed_mib=take(n_vms, maybe),
        cpu_reservation_mhz=np.zeros(n_vms),
        cpu_limit_mhz=take(n_vms, limit),
        cpu_shares=take(n_vms, amounts),
        memory_reservation_mib=np.minimum(vm_memory / 2, smallest / max(n_vms, 1)),
        memory_limit_mib=np.where(take(n_vms, st.booleans(), np.bool_), vm_memory, INF),
        memory_shares=take(n_vms, amounts),
        evc_mode=take(n_vms, st.sampled_from(["", "intel-broadwell", "amd-zen2"]), np.str_),
        power=take(n_vms, st.sampled_from(["on", "off"]), np.str_),
        automation=take(n_vms, st.sampled_from(["", "manual", "full"]), np.str_),
        dirty_rate_mibps=take(n_vms, maybe),
        working_set_mib=take(n_vms, maybe),
        downtime_budget_ms=take(n_vms, maybe),
        gpus=take(n_vms, st.integers(0, 2)),
        demand={name: hosts.capacity[name].max() * take(n_vms, st.floats(0, 1)) for name in resources},
    )
    n_pools = count(0, 3)
    # A pool below another is one of the same cluster; what is reserved is nowhere more than there is.
    pool_cluster = idx(n_pools, n_clusters)
    above = [
        draw(st.sampled_from([-1, *(q for q in range(p) if pool_cluster[q] == pool_cluster[p])]))
        for p in range(n_pools)
    ]
    pools = PoolTable(
        name=draw(unique_names(n_pools)),
        parent_idx=np.array(above, dtype=np.int32),
        cluster_idx=pool_cluster,
        cpu_reservation_mhz=np.zeros(n_pools),
        cpu_limit_mhz=take(n_pools, limit),
        cpu_shares=take(n_pools, amounts),
        cpu_expandable=take(n_pools, st.sampled_from(["yes", "no"]), np.str_),
        memory_reservation_mib=np.zeros(n_pools),
        memory_limit_mib=np.full(n_pools, INF),
        memory_shares=take(n_pools, amounts),
        memory_expandable=np.array(["yes"] * n_pools, dtype=np.str_),
    )
    home = np.where(vms.host_idx >= 0, cluster_idx[vms.host_idx], -1)
    pool_idx = [
        draw(st.sampled_from([-1, *(p for p in range(n_pools) if at in (-1, pool_cluster[p]))]))
        for at in home
    ]
    vms = dataclasses.replace(vms, pool_idx=np.array(pool_idx, dtype=np.int32))
    capacity = take(n_stores, positive)
    datastores = DatastoreTable(
        name=draw(unique_names(n_stores)),
        capacity_gib=capacity,
        free_gib=capacity * take(n_stores, st.floats(0, 1)),
        datastore_cluster=take(n_stores, some_text, np.str_),
        latency_ms=take(n_stores, maybe),
        iops_capacity=take(n_stores, limit),
        state=take(n_stores, st.sampled_from(["connected", "maintenance"]), np.str_),
    )
    n_disks = count(0, 4) if n_stores else 0
    size = take(n_disks, amounts)
    disks = DiskTable(
        name=draw(unique_names(n_disks)),
        vm_idx=idx(n_disks, n_vms),
        datastore_idx=idx(n_disks, max(n_stores, 1)),
        size_gib=size,
        used_gib=size * take(n_disks, st.floats(0, 1)),
        write_mibps=take(n_disks, amounts),
        iops=take(n_disks, amounts),
    )
    n_links = count(0, 3)
    bandwidth = take(n_links, positive)
    ends = draw(unique_names(2 * n_links))
    links = LinkTable(
        a=ends[:n_links],
        b=ends[n_links:],
        bandwidth_mbps=bandwidth,
        latency_ms=take(n_links, st.floats(0, 30_000)),
        loss_ratio=take(n_links, st.floats(0, 1)),
        shared_mbps=bandwidth / 2,
    )
    n_networks = count(0, 3)
    pairs = draw(
        st.lists(
            st.tuples(st.integers(0, n_vms - 1), st.integers(0, max(n_networks - 1, 0))),
            unique=True,
            max_size=5 if n_networks else 0,
        )
    )
    loads = None
    if draw(st.booleans()):
        times = sorted(draw(st.sets(st.integers(0, 4 * 10**9), max_size=3)))
        sample = st.one_of(st.just(NAN), st.floats(0, 1e6, width=32))
        shape = (len(times), n_vms)
        loads = LoadHistory(
            time=np.array(times, dtype="int64").astype("datetime64[s]"),
            cpu_mhz=take(len(times) * n_vms, sample, np.float32).reshape(shape),
            memory_active_mib=take(len(times) * n_vms, sample, np.float32).reshape(shape),
        )
    return Snapshot(
        hosts=hosts,
        vms=vms,
        clusters=clusters,
        disks=disks,
        datastores=datastores,
        links=links,
        mounts=take(n_hosts * n_stores, st.booleans(), np.bool_).reshape(n_hosts, n_stores),
        networks=draw(unique_names(n_networks)),
        portgroups=take(n_hosts * n_networks, st.booleans(), np.bool_).reshape(n_hosts, n_networks),
        nic_vm_idx=np.array([vm for vm, _ in pairs], dtype=np.int32),
        nic_network_idx=np.array([network for _, network in pairs], dtype=np.int32),
        loads=loads,
        pools=pools,
        name=draw(some_text),
        description=draw(st.text(max_size=8)),
        source='a "quoted" \\ source',
    )
