"""Clusters for the planner's tests: hosts of some memory, VMs of some size, one switch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from drs.model import Placement, Snapshot
from drs.model.snapshot import ClusterTable, DatastoreTable, DiskTable, HostTable, LinkTable, VmTable
from drs.planning import Concurrency
from drs.planning import order as ordering
from drs.planning.pricing import Priced, Pricer, legs_between
from drs.planning.rooms import Rooms
from drs.planning.schedule.fluid import flows_of
from drs.planning.schedule.tasks import Tasks, build_tasks
from drs.stop import Stop
from drs.terms import Capacity, During


def cluster(
    host_mib: Sequence[float],
    vm_host: Sequence[int],
    vm_mib: Sequence[float],
    *,
    mbps: Any = 10_000.0,
    rate: Any = 10.0,
    rack: Sequence[str] | None = None,
    disks: Sequence[tuple[int, int, float]] = (),
    stores: Sequence[float] = (),
    links: Sequence[tuple[str, str, float, float]] = (),
    power: Sequence[str] | None = None,
    site: Sequence[str] | None = None,
    vcenter: Sequence[str] | None = None,
) -> Snapshot:
    """disks: (vm, datastore, GiB); stores: free GiB; links: (a, b, Mbit/s, ms)."""
    n_hosts, n_vms = len(host_mib), len(vm_host)

    def full(value: Any, n: int) -> Any:
        return np.broadcast_to(np.asarray(value, dtype=float), n).copy()

    def words(value: Any, n: int) -> Any:
        return np.array([value] * n, dtype=str) if isinstance(value, str) else np.array(value, dtype=str)

    hosts = HostTable(
        name=np.array([f"esx-{i:02d}" for i in range(n_hosts)]),
        cluster_idx=np.zeros(n_hosts, np.int32),
        cpu_mhz=full(1e5, n_hosts),
        memory_mib=np.array(host_mib, float),
        cpu_reserved_mhz=full(0, n_hosts),
        memory_reserved_mib=full(0, n_hosts),
        cpu_cores=full(40, n_hosts),
        cpu_vendor=words("intel", n_hosts),
        evc_max=words("", n_hosts),
        state=words("connected", n_hosts),
        rack=words(rack or "", n_hosts),
        site=words(site or "", n_hosts),
        vcenter=words(vcenter or "", n_hosts),
        vmotion_mbps=full(mbps, n_hosts),
        hypervisor=words("esxi", n_hosts),
        power_idle_w=full(0, n_hosts),
        power_max_w=full(0, n_hosts),
    )
    memory = np.array(vm_mib, float)
    vms = VmTable(
        name=np.array([f"vm-{i:03d}" for i in range(n_vms)]),
        host_idx=np.array(vm_host, np.int32),
        memory_mib=memory,
        cpu_demand_mhz=full(100, n_vms),
        vcpus=full(2, n_vms),
        memory_active_mib=full(np.nan, n_vms),
        memory_consumed_mib=full(np.nan, n_vms),
        cpu_reservation_mhz=full(0, n_vms),
        cpu_limit_mhz=full(np.inf, n_vms),
        cpu_shares=full(1000, n_vms),
        memory_reservation_mib=full(0, n_vms),
        memory_limit_mib=full(np.inf, n_vms),
        memory_shares=full(1000, n_vms),
        evc_mode=words("", n_vms),
        power=words(power or "on", n_vms),
        automation=words("", n_vms),
        dirty_rate_mibps=full(rate, n_vms),
        working_set_mib=memory * 0.05,
        downtime_budget_ms=full(np.nan, n_vms),
        gpus=full(0, n_vms),
    )
    clusters = ClusterTable(
        name=words("c", 1),
        site=words("", 1),
        vcenter=words("", 1),
        evc_mode=words("", 1),
        ha_failover_hosts=np.zeros(1, np.int32),
        cpu_overcommit_ratio=full(1, 1),
        automation=words("full", 1),
        migration_threshold=np.full(1, 3, np.int32),
    )
    gib = np.array([disk[2] for disk in disks], float)
    disk_table = DiskTable(
        name=np.array([f"disk-{i}" for i in range(len(disks))], dtype=str),
        vm_idx=np.array([disk[0] for disk in disks], np.int32),
        datastore_idx=np.array([disk[1] for disk in disks], np.int32),
        size_gib=gib,
        used_gib=gib,
        write_mibps=full(0, len(disks)),
        iops=full(0, len(disks)),
    )
    free = np.array(stores, float)
    store_table = DatastoreTable(
        name=np.array([f"ds-{i}" for i in range(len(stores))], dtype=str),
        capacity_gib=free * 2 + 1,
        free_gib=free,
        datastore_cluster=np.array([""] * len(stores), dtype=str),
        latency_ms=full(1, len(stores)),
        iops_capacity=full(1, len(stores)),
        state=np.array(["connected"] * len(stores), dtype=str),
    )
    link_table = LinkTable(
        a=np.array([link[0] for link in links], dtype=str),
        b=np.array([link[1] for link in links], dtype=str),
        bandwidth_mbps=np.array([link[2] for link in links], float),
        latency_ms=np.array([link[3] for link in links], float),
        loss_ratio=full(0, len(links)),
        shared_mbps=full(0, len(links)),
    )
    return Snapshot(
        hosts,
        vms,
        clusters,
        disk_table,
        store_table,
        link_table,
        np.ones((n_hosts, len(stores)), bool),
        np.array([], dtype=str),
        np.zeros((n_hosts, 0), bool),
        np.zeros(0, np.int32),
        np.zeros(0, np.int32),
    )


def memory(snapshot: Snapshot) -> list[During]:
    """Memory within every host's capacity at every instant."""
    limit = Capacity("memory", snapshot.demand("memory"), snapshot.capacity("memory"))
    return [During(limit, "memory capacity")]


def hosts(snapshot: Snapshot, host_idx: Sequence[int]) -> Placement:
    """A target by hosts, disks where they are."""
    return Placement(np.array(host_idx, np.int32), snapshot.disks.datastore_idx)


def tasks_of(snapshot: Snapshot, target: Placement) -> tuple[Tasks, Priced]:
    """The moves to a target within the hosts' memory, as the scheduler sees them, and their prices."""
    pricer = Pricer(snapshot)
    legs = legs_between(snapshot, target)
    rooms = Rooms.of(snapshot, memory(snapshot), [leg.vm for leg in legs])
    found = ordering.find_order(legs, rooms, pricer, ordering.default_hosts(snapshot), stop=Stop())
    priced = pricer.price(found.legs)
    tasks = build_tasks(
        snapshot, pricer.network, found.legs, priced, rooms.free, found.take, found.give, found.before,
        Concurrency(), pricer.profile.link_ratio, flows_of(pricer, found.legs).beside_s,
    )  # fmt: skip
    return tasks, priced
