"""Clusters of any size whose VM sizes and loads follow published fleet statistics (`drs.datasets.fleet`)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from drs.datasets.fleet import (
    ACTIVE_MEMORY_LOG,
    APPS,
    BUSIEST_RATIO,
    CORES,
    DAILY_RATIO,
    DIMMS_GIB,
    GROUP_CORRELATION_RATIO,
    HOURLY_AUTOCORRELATION_RATIO,
    KINDS,
    MEMORY_GIB,
    MEMORY_SHARE_RATIO,
    MODELS,
    PEAK_HOURS,
    UTILISATION_LOG,
    VARIATION_LOG,
    VCPU_SHARE_RATIO,
    VCPUS,
    VCPUS_PER_CORE,
)
from drs.errors import Fault, InputError, did_you_mean
from drs.model import cpu
from drs.model.snapshot import (
    ClusterTable,
    DatastoreTable,
    DiskTable,
    Floats,
    HostTable,
    Ints,
    LinkTable,
    LoadHistory,
    Names,
    PoolTable,
    Snapshot,
    VmTable,
)


def make_cluster(
    n_hosts: int,
    n_vms: int,
    seed: int = 0,
    *,
    n_clusters: int = 1,
    n_sites: int = 1,
    n_vcenters: int = 1,
    evc: Sequence[str] = ("intel-icelake",),
    cluster_evc: bool = False,
    history_days: float = 0.0,
    history_step_s: int = 3600,
    fill_ratio: float = 0.5,
    memory_fill_ratio: float = 0.6,
    skew: float = 0.3,
    powered_off_ratio: float = 0.03,
    topology: Literal["flat", "leaf-spine"] = "flat",
    vmotion_mbps: float = 10_000.0,
    wan_mbps: float = 10_000.0,
    wan_latency_ms: float = 4.0,
    resource_pools: bool = False,
    taken_at: str = "2026-03-10T10:00:00",
    name: str = "",
) -> Snapshot:
    """Invent a cluster that looks like a real one. The same arguments give the same snapshot.

    Parameters
    ----------
    n_hosts, n_vms : int
        How many hosts and VMs. The host model is chosen so that the VMs fit: at least 12 cores, about four
        vCPUs a core; a VM has at most two thirds of a host's cores.
    seed : int
        Of the random generator.
    n_clusters, n_sites, n_vcenters : int
        Clusters are spread over the sites; fewer clusters than sites are stretched over them.
    evc : sequence of str
        Highest baselines of the generations of hosts, by VMware's key; each cluster has all of one vendor's,
        half of its hosts each for two. Both vendors need at least two clusters.
    cluster_evc : bool
        Whether each cluster's EVC mode is its highest common baseline. Without, a VM carries the baseline of
        the generation of hosts that it was started on: the one that it is on, or an older one.
    history_days : float
        Length of the load history, which ends at the snapshot; 0 for none.
    history_step_s : int
        Its step.
    fill_ratio : float
        CPU demand of the powered-on VMs over the CPU of the hosts. The shape of the loads is the published
        one, this sets the level.
    memory_fill_ratio : float
        About the configured memory over the memory of the hosts: hosts have common DIMM sizes.
    skew : float
        Spread of the hosts' load around its mean, as a fraction of the mean.
    powered_off_ratio : float
        Of the VMs.
    topology : {"flat", "leaf-spine"}
        `flat`: a non-blocking switch a site; `leaf-spine`: a switch a rack of 16 hosts, a spine a site.
    vmotion_mbps, wan_mbps, wan_latency_ms : float
        NICs of a host; the link between each two sites, and its one-way latency.
    resource_pools : bool
        Whether each cluster is divided: `production` (twice the usual shares) with `databases` in it, which
        have a tenth of the cluster reserved, and `test` (half the usual shares, at most a quarter of the CPU).
    taken_at : str
        ISO 8601, UTC.
    name : str
        Of the snapshot.

    Raises
    ------
    InputError
        When an argument makes no sense; all of those that do not, together.
    """
    _check(
        n_hosts=n_hosts, n_vms=n_vms, n_clusters=n_clusters, n_sites=n_sites, n_vcenters=n_vcenters, evc=evc,
        history_days=history_days, history_step_s=history_step_s, fill_ratio=fill_ratio, skew=skew,
        memory_fill_ratio=memory_fill_ratio, powered_off_ratio=powered_off_ratio, topology=topology,
        vmotion_mbps=vmotion_mbps, wan_mbps=wan_mbps, wan_latency_ms=wan_latency_ms, taken_at=taken_at,
    )  # fmt: skip
    rng = np.random.default_rng([seed, n_hosts, n_vms])

    vcpus, memory_gib, on, cores, host_gib = _sizes(rng, n_hosts, n_vms, powered_off_ratio, memory_fill_ratio)
    hosts, clusters = _hosts(
        rng, n_hosts, n_clusters, n_sites, n_vcenters, evc, cluster_evc, cores, host_gib, vmotion_mbps
    )
    kind, app, vm_names = _kinds(rng, vcpus, n_vms)
    order = np.argsort(vm_names, kind="stable")
    kind, app, vm_names = kind[order], app[order], vm_names[order]
    vcpus, memory_gib = vcpus[order], memory_gib[order]
    clock = float(np.median(hosts.cpu_mhz / hosts.cpu_cores)) if n_hosts else 0.0
    ceiling = BUSIEST_RATIO * vcpus.astype(np.float64) * clock
    usual = _usual(rng, vcpus) * ceiling

    # Loads over time; the snapshot is the last moment of it.
    capacity_mhz = float((hosts.cpu_mhz - hosts.cpu_reserved_mhz).sum())
    steps = int(history_days * 86_400 / history_step_s)
    end = np.datetime64(taken_at, "s")
    time = end - (np.arange(steps)[::-1] * history_step_s).astype("timedelta64[s]")
    series = _series(rng, time, usual, app, history_step_s) if steps else usual[None, :].astype(np.float32)
    _level(series, ceiling, on, fill_ratio * capacity_mhz)
    demand = series[-1].astype(np.float64)

    memory_mib = memory_gib * 1024.0
    active, consumed, working_set, dirty_rate = _memory_use(rng, kind, memory_mib, demand / ceiling, on)

    host_idx = _place(rng, hosts, demand, memory_mib, on, fill_ratio, skew, n_clusters)
    carried = _carried(rng, hosts, clusters, host_idx, evc)
    disks, datastores, mounts = _storage(rng, hosts, host_idx, kind, demand / ceiling, n_vms)
    networks, nic_vm_idx, nic_network_idx = _nics(kind)

    reserved = (kind == [k.prefix for k in KINDS].index("db")) & (rng.random(n_vms) < 0.2) & on
    vms = _vm_table(
        name=vm_names, host_idx=host_idx, vcpus=vcpus, on=on, cpu_mhz=demand, memory_mib=memory_mib,
        active_mib=active, consumed_mib=consumed, working_set_mib=working_set, dirty_rate_mibps=dirty_rate,
        reserved=reserved, baseline=carried,
    )  # fmt: skip
    loads = _history(time, series, demand, active, memory_mib, on) if steps else None
    pools = PoolTable.none()
    if resource_pools:
        pools, pool_idx = _pools(hosts, clusters, host_idx, kind)
        vms = dataclasses.replace(vms, pool_idx=pool_idx)
    return Snapshot(
        hosts=hosts,
        vms=vms,
        clusters=clusters,
        disks=disks,
        datastores=datastores,
        links=_links(hosts, topology, wan_mbps, wan_latency_ms),
        mounts=mounts,
        networks=networks,
        portgroups=np.ones((n_hosts, len(networks)), dtype=bool),
        nic_vm_idx=nic_vm_idx,
        nic_network_idx=nic_network_idx,
        loads=loads,
        pools=pools,
        name=name or f"generated-{n_hosts}x{n_vms}-{seed}",
        taken_at=taken_at,
        description=f"{n_hosts} hosts and {n_vms} VMs by drs.datasets.make_cluster, seed {seed}",
        source="generated; VM sizes and loads after GWA-T-12 (Bitbrains)",
    )


def _sizes(
    rng: np.random.Generator, n_hosts: int, n_vms: int, powered_off_ratio: float, memory_fill_ratio: float
) -> tuple[NDArray[np.int64], Floats, NDArray[np.bool_], int, float]:
    """vCPUs, memory in GiB and power of each VM; cores and memory in GiB of hosts that hold them."""
    vcpus = rng.choice(VCPUS, n_vms, p=_normed(VCPU_SHARE_RATIO))
    wanted = vcpus.sum() / n_hosts / VCPUS_PER_CORE
    cores = next((c for c in CORES if c >= wanted), CORES[-1])
    vcpus = np.minimum(vcpus, max(v for v in VCPUS if v <= 2 * cores / 3))
    memory_gib = np.zeros(n_vms)
    for size in VCPUS:
        its = vcpus == size
        memory_gib[its] = rng.choice(MEMORY_GIB, its.sum(), p=_normed(MEMORY_SHARE_RATIO[size]))
    on = rng.random(n_vms) >= powered_off_ratio
    each_gib = max(memory_gib.sum() / n_hosts / memory_fill_ratio, 2.0 * float(memory_gib.max(initial=1.0)))
    return vcpus, memory_gib, on, cores, min(DIMMS_GIB, key=lambda gib: abs(math.log(gib / each_gib)))


def _usual(rng: np.random.Generator, vcpus: NDArray[np.int64]) -> Floats:
    """Mean CPU use of each VM, as a share of its ceiling."""
    log_mean = np.array([UTILISATION_LOG[v][0] for v in vcpus.tolist()])
    log_std = np.array([UTILISATION_LOG[v][1] for v in vcpus.tolist()])
    return np.clip(np.exp(log_mean + log_std * rng.standard_normal(len(vcpus))), 1e-4, 1.0)


def _memory_use(
    rng: np.random.Generator, kind: Ints, memory_mib: Floats, use: Floats, on: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Active, consumed and working-set memory in MiB, and dirty rate in MiB/s, of each VM."""
    n = len(memory_mib)
    active_ratio = np.exp(ACTIVE_MEMORY_LOG[0] + ACTIVE_MEMORY_LOG[1] * rng.standard_normal(n))
    working_set, dirty_rate = _dirtying(rng, kind, memory_mib, use, on)
    active = np.asarray(
        np.round(np.clip(np.maximum(active_ratio * memory_mib, working_set), 8.0, memory_mib)),
        dtype=np.float64,
    )
    consumed = np.asarray(
        np.round(np.minimum(active + rng.uniform(0.35, 0.9, n) * memory_mib, memory_mib)), dtype=np.float64
    )
    return active, consumed, working_set, dirty_rate


def _level(series: NDArray[np.float32], ceiling: Floats, on: NDArray[np.bool_], wanted_mhz: float) -> None:
    """Scale the loads in place, so that the last moment sums to `wanted_mhz` with no VM above its ceiling."""
    series[:, ~on] = 0.0
    ceiling32 = ceiling.astype(np.float32)
    factor = 1.0
    for _ in range(6):
        now = np.minimum(series[-1] * factor, ceiling32)
        factor *= wanted_mhz / max(float(now.sum()), 1.0)
    series *= np.float32(factor)
    np.minimum(series, ceiling32, out=series)
    np.round(series, out=series)
    np.maximum(series, np.where(on, np.float32(1), np.float32(0)), out=series)


def _vm_table(
    *,
    name: Names,
    host_idx: Ints,
    vcpus: NDArray[np.int64],
    on: NDArray[np.bool_],
    cpu_mhz: Floats,
    memory_mib: Floats,
    active_mib: Floats,
    consumed_mib: Floats,
    working_set_mib: Floats,
    dirty_rate_mibps: Floats,
    reserved: NDArray[np.bool_],
    baseline: Names,
) -> VmTable:
    """The VMs; `reserved` have a quarter of their memory reserved, a powered-off VM carries no baseline."""
    n_vms = len(name)
    return VmTable(
        name=name,
        host_idx=host_idx,
        memory_mib=memory_mib,
        cpu_demand_mhz=cpu_mhz,
        vcpus=vcpus.astype(np.float64),
        memory_active_mib=np.where(on, active_mib, 0.0),
        memory_consumed_mib=np.where(on, consumed_mib, 0.0),
        cpu_reservation_mhz=np.zeros(n_vms),
        cpu_limit_mhz=np.full(n_vms, np.inf),
        cpu_shares=1000.0 * vcpus.astype(np.float64),
        memory_reservation_mib=np.where(reserved, np.round(memory_mib / 4), 0.0),
        memory_limit_mib=np.full(n_vms, np.inf),
        memory_shares=10.0 * memory_mib,
        evc_mode=np.where(on, baseline, ""),
        power=np.where(on, "on", "off"),
        automation=np.full(n_vms, "", dtype="U7"),
        dirty_rate_mibps=dirty_rate_mibps,
        working_set_mib=working_set_mib,
        downtime_budget_ms=np.full(n_vms, np.nan),
        gpus=np.zeros(n_vms),
    )


def _nics(kind: Ints) -> tuple[Names, Ints, Ints]:
    """Networks, and VM and network of each NIC: one for each VM by its kind, one more for backed-up databases."""
    networks = np.array(sorted({k.network for k in KINDS} | {"vlan-900-backup"}))
    network_of = {str(network): i for i, network in enumerate(networks)}
    first = np.array([network_of[k.network] for k in KINDS])[kind]
    backed_up = np.flatnonzero(kind == [k.prefix for k in KINDS].index("db"))
    vm = np.concatenate([np.arange(len(kind)), backed_up])
    network = np.concatenate([first, np.full(len(backed_up), network_of["vlan-900-backup"])])
    order = np.argsort(vm, kind="stable")
    return networks, vm[order].astype(np.int32), network[order].astype(np.int32)


def _history(
    time: NDArray[np.datetime64],
    series: NDArray[np.float32],
    demand: Floats,
    active: Floats,
    memory_mib: Floats,
    on: NDArray[np.bool_],
) -> LoadHistory:
    """The history that ends at the snapshot; active memory follows the CPU load weakly."""
    cpu_mhz = series.copy()
    shape = np.where(demand > 0, demand, 1.0).astype(np.float32)
    memory = active.astype(np.float32) * np.clip(cpu_mhz / shape, 0.25, 4.0) ** np.float32(0.15)
    memory = np.minimum(np.round(memory / 16) * 16, memory_mib.astype(np.float32))
    memory[-1] = active
    cpu_mhz[:, ~on], memory[:, ~on] = np.nan, np.nan
    return LoadHistory(time, cpu_mhz, memory)


def _pools(hosts: HostTable, clusters: ClusterTable, host_idx: Ints, kind: Ints) -> tuple[PoolTable, Ints]:
    """Production with databases in it, and test, for each cluster; and the pool of each VM by its kind."""
    n, n_each = len(clusters), 3
    production, databases, test = range(n_each)
    cpu = np.bincount(hosts.cluster_idx, weights=hosts.cpu_mhz - hosts.cpu_reserved_mhz, minlength=n)
    memory = np.bincount(hosts.cluster_idx, weights=hosts.memory_mib - hosts.memory_reserved_mib, minlength=n)
    which, first = np.tile(np.arange(n_each), n), np.repeat(n_each * np.arange(n), n_each)
    labels = ("production", "databases", "test")
    pools = PoolTable(
        name=np.array([f"{cluster}/{label}" for cluster in clusters.name.tolist() for label in labels]),
        parent_idx=np.where(which == databases, first + production, -1).astype(np.int32),
        cluster_idx=(first // n_each).astype(np.int32),
        cpu_reservation_mhz=np.where(which == databases, np.round(0.1 * cpu[first // n_each]), 0.0),
        cpu_limit_mhz=np.where(which == test, np.round(0.25 * cpu[first // n_each]), np.inf),
        cpu_shares=np.array([8000.0, 4000.0, 2000.0])[which],
        cpu_expandable=np.full(n_each * n, "yes"),
        memory_reservation_mib=np.where(which == databases, np.round(0.1 * memory[first // n_each]), 0.0),
        memory_limit_mib=np.full(n_each * n, np.inf),
        memory_shares=np.array([327680.0, 163840.0, 81920.0])[which],
        memory_expandable=np.full(n_each * n, "yes"),
    )
    prefix = np.array([k.prefix for k in KINDS])[kind]
    place = np.where(prefix == "db", databases, np.where(np.isin(prefix, ("dev", "ci")), test, production))
    return pools, (n_each * hosts.cluster_idx[host_idx] + place).astype(np.int32)


def _check(**given: object) -> None:
    faults = []

    def fault(argument: str, expected: str) -> None:
        faults.append(Fault(f"make_cluster, argument {argument}", f"{given[argument]!r}", expected))

    bounds: dict[str, tuple[float, float]] = {
        "n_hosts": (1, 1e6),
        "n_vms": (0, 1e7),
        "n_clusters": (1, 1e5),
        "n_sites": (1, 1e3),
        "n_vcenters": (1, 1e3),
        "history_days": (0, 3660),
        "history_step_s": (1, 86_400),
        "fill_ratio": (0.0, 1.0),
        "memory_fill_ratio": (0.05, 0.9),
        "skew": (0.0, 1.0),
        "powered_off_ratio": (0.0, 1.0),
        "vmotion_mbps": (1, 1e7),
        "wan_mbps": (0, 1e7),
        "wan_latency_ms": (0, 1e4),
    }
    for argument, (low, high) in bounds.items():
        value = given[argument]
        if not isinstance(value, int | float | np.number) or not low <= float(value) <= high:
            fault(argument, f"a number from {low:g} to {high:g}")
    keys = given["evc"]
    if isinstance(keys, str) or not isinstance(keys, Sequence) or not keys:
        fault("evc", "a sequence of EVC baselines")
    else:
        for key in keys:
            if key not in cpu.BASELINES:
                hint = did_you_mean(str(key), cpu.BASELINES)
                faults.append(Fault("make_cluster, argument evc", repr(key), "an EVC baseline", hint))
    if given["topology"] not in ("flat", "leaf-spine"):
        fault("topology", "flat or leaf-spine")
    try:
        np.datetime64(str(given["taken_at"]), "s")
    except ValueError:
        fault("taken_at", "an ISO 8601 time")
    if not faults:
        n_hosts, n_clusters, n_sites = (int(str(given[key])) for key in ("n_hosts", "n_clusters", "n_sites"))
        if n_clusters > n_hosts:
            fault("n_clusters", f"at most one for each of {n_hosts} hosts")
        if n_sites > n_hosts:
            fault("n_sites", f"at most one for each of {n_hosts} hosts")
        if len({cpu.vendor_of(str(key)) for key in keys or ()}) > n_clusters:  # type: ignore[attr-defined]
            fault("evc", "baselines of one vendor, or a cluster for each vendor")
    if faults:
        raise InputError(faults)


def _normed(shares: Sequence[float]) -> Floats:
    return np.asarray(shares, dtype=np.float64) / sum(shares)


def _letters(n: int) -> str:
    """a, b, ... z, aa, ab, ..."""
    return (_letters(n // 26 - 1) if n >= 26 else "") + chr(ord("a") + n % 26)


def _hosts(
    rng: np.random.Generator,
    n_hosts: int,
    n_clusters: int,
    n_sites: int,
    n_vcenters: int,
    evc: Sequence[str],
    cluster_evc: bool,
    cores: int,
    host_gib: float,
    vmotion_mbps: float,
) -> tuple[HostTable, ClusterTable]:
    cluster = (np.arange(n_hosts) * n_clusters // n_hosts).astype(np.int32)
    first = np.searchsorted(cluster, np.arange(n_clusters))
    size = np.bincount(cluster, minlength=n_clusters)
    rank = np.arange(n_hosts) - first[cluster]
    vendors = list(dict.fromkeys(cpu.vendor_of(key) for key in evc))
    by_vendor = [[key for key in evc if cpu.vendor_of(key) == vendor] for vendor in vendors]
    if n_clusters >= n_sites:
        site_of_cluster = np.arange(n_clusters) * n_sites // n_clusters
        site = site_of_cluster[cluster]
    else:
        site = rank * n_sites // size[cluster]
        site_of_cluster = np.full(n_clusters, -1)
    evc_max = []
    for c, r in zip(cluster.tolist(), rank.tolist(), strict=True):
        keys = by_vendor[c % len(vendors)]
        evc_max.append(keys[r % len(keys)])
    clock = np.array([MODELS.get(key, 2400) for key in evc_max], dtype=np.float64)
    number = np.zeros(n_hosts, dtype=int)
    for s in range(n_sites):
        number[site == s] = np.arange((site == s).sum())
    width = max(2, len(str(int(number.max(initial=0)) + 1)))
    vcenter = [f"vc-{1 + s % n_vcenters}" for s in range(n_sites)]
    site_names = [f"dc-{_letters(s)}" for s in range(n_sites)]
    of_cluster = cluster.tolist()
    modes = [
        cpu.highest_common([key for key, at in zip(evc_max, of_cluster, strict=True) if at == c])
        if cluster_evc
        else ""
        for c in range(n_clusters)
    ]
    idle = np.round(60.0 + 3.2 * cores)
    hosts = HostTable(
        name=np.array([f"esx-{_letters(s)}-{i + 1:0{width}d}" for s, i in zip(site, number, strict=True)]),
        cluster_idx=cluster,
        cpu_mhz=cores * clock,
        memory_mib=np.full(n_hosts, host_gib * 1024.0),
        cpu_reserved_mhz=np.full(n_hosts, 600.0),
        memory_reserved_mib=np.full(n_hosts, 4096.0),
        cpu_cores=np.full(n_hosts, float(cores)),
        cpu_vendor=np.array([cpu.vendor_of(key) for key in evc_max]),
        evc_max=np.array(evc_max),
        state=np.full(n_hosts, "connected", dtype="U12"),
        rack=np.array([f"rack-{_letters(s)}{i // 16 + 1}" for s, i in zip(site, number, strict=True)]),
        site=np.array([site_names[s] for s in site]),
        vcenter=np.array([vcenter[s] for s in site]),
        vmotion_mbps=np.full(n_hosts, float(vmotion_mbps)),
        hypervisor=np.full(n_hosts, "esxi"),
        power_idle_w=np.full(n_hosts, idle),
        power_max_w=np.round(idle * 2.6 + rng.integers(-2, 3, n_hosts) * 5),
    )
    clusters = ClusterTable(
        name=np.array([f"prod-{c + 1:0{max(2, len(str(n_clusters)))}d}" for c in range(n_clusters)]),
        site=np.array([site_names[s] if s >= 0 else "" for s in site_of_cluster.tolist()]),
        vcenter=np.array([vcenter[max(s, 0)] for s in site_of_cluster.tolist()]),
        evc_mode=np.array(modes),
        ha_failover_hosts=(size >= 4).astype(np.int32),
        cpu_overcommit_ratio=np.ones(n_clusters),
        automation=np.full(n_clusters, "full", dtype="U7"),
        migration_threshold=np.full(n_clusters, 3, dtype=np.int32),
    )
    return hosts, clusters


def _kinds(rng: np.random.Generator, vcpus: NDArray[np.int64], n_vms: int) -> tuple[Ints, Ints, Names]:
    """Kind, application and name of each VM."""
    column = np.where(vcpus == 1, 0, np.where(vcpus <= 4, 1, 2))
    kind = np.zeros(n_vms, dtype=np.int32)
    for c in range(3):
        its = column == c
        kind[its] = rng.choice(len(KINDS), its.sum(), p=_normed([k.share[c] for k in KINDS]))
    n_apps = max(3, n_vms // 25)
    popularity = _normed((np.arange(1, n_apps + 1) ** -0.5).tolist())
    app = rng.choice(n_apps, n_vms, p=popularity).astype(np.int32)
    rounds = [i // len(APPS) + 1 for i in range(n_apps)]
    labels = [APPS[i % len(APPS)] + (str(turn) if turn > 1 else "") for i, turn in enumerate(rounds)]
    stems = [f"{KINDS[k].prefix}-{labels[a]}" for k, a in zip(kind.tolist(), app.tolist(), strict=True)]
    count: dict[str, int] = {}
    numbered = []
    for stem in stems:
        count[stem] = count.get(stem, 0) + 1
        numbered.append(f"{stem}-{count[stem]:02d}")
    return kind, app, np.array(numbered) if numbered else np.zeros(0, dtype="U1")


def _series(
    rng: np.random.Generator, time: NDArray[np.datetime64], usual: Floats, app: Ints, step_s: int
) -> NDArray[np.float32]:
    """Load of each VM over time, f4[n_times, n_vms], with the mean `usual`.

    A daily pattern whose peak the VMs of an application share, a random walk of their own, a part in common.
    """
    n, n_apps = len(usual), int(app.max(initial=-1)) + 1
    bands = rng.choice(len(PEAK_HOURS), n_apps, p=_normed([band[2] for band in PEAK_HOURS]))
    low, high = (np.array([band[i] for band in PEAK_HOURS])[bands] for i in (0, 1))
    peak = low + (high - low) * rng.random(n_apps)
    hour = (time.astype(np.int64) % 86_400) / 3600.0
    bump = np.exp(2.5 * (np.cos(2 * np.pi * (hour[:, None] - peak[None, :]) / 24) - 1))
    bump = (bump - 0.299) / 0.325  # mean and deviation over a day, about
    daily = np.where(rng.random(n) < DAILY_RATIO, rng.beta(1.2, 1.9, n), 0.0)
    shared = (1 - daily) * GROUP_CORRELATION_RATIO
    own = np.sqrt(1 - daily - shared).astype(np.float32)
    variation = np.clip(np.exp(VARIATION_LOG[0] + VARIATION_LOG[1] * rng.standard_normal(n)), 0.02, 2.5)
    spread = np.sqrt(np.log1p(variation**2)).astype(np.float32)

    def walk(width: int) -> NDArray[np.float32]:
        hourly = np.clip(
            HOURLY_AUTOCORRELATION_RATIO[0] + HOURLY_AUTOCORRELATION_RATIO[1] * rng.standard_normal(width),
            0.0,
            0.98,
        )
        keep = (hourly ** (step_s / 3600.0)).astype(np.float32)
        noise = rng.standard_normal((len(time), width), dtype=np.float32)
        noise[1:] *= np.sqrt(1 - keep**2)
        for t in range(1, len(time)):
            noise[t] += keep * noise[t - 1]
        return noise

    log = own * walk(n)
    log += np.sqrt(shared).astype(np.float32) * walk(n_apps)[:, app]
    log += np.sqrt(daily).astype(np.float32) * bump.astype(np.float32)[:, app]
    log *= spread
    np.exp(log, out=log)
    log *= (usual / log.mean(axis=0)).astype(np.float32)
    return log


def _dirtying(
    rng: np.random.Generator, kind: Ints, memory_mib: Floats, utilisation: Floats, on: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Working set in MiB and distinct memory written in a second in MiB/s; NaN for VMs that are off."""
    n = len(kind)
    jitter = np.exp(0.3 * rng.standard_normal((2, n)))
    ratio = np.array([k.working_set_ratio for k in KINDS])[kind]
    rate = np.array([k.dirty_rate_mibps for k in KINDS])[kind]
    working_set = np.clip(ratio * memory_mib * jitter[0], 5.0, 0.8 * memory_mib)
    dirty = np.minimum(rate * np.clip(utilisation / 0.5, 0.02, 1.0) * jitter[1], 0.9 * working_set)
    return (np.where(on, np.round(working_set), np.nan), np.where(on, np.round(dirty, 1), np.nan))


def _place(
    rng: np.random.Generator,
    hosts: HostTable,
    demand: Floats,
    memory_mib: Floats,
    on: NDArray[np.bool_],
    fill_ratio: float,
    skew: float,
    n_clusters: int,
) -> Ints:
    """Where each VM starts: hosts' CPU load spreads around the mean by `skew`, memory never above 95 %."""
    n, n_hosts = len(demand), len(hosts)
    cpu_mhz = hosts.cpu_mhz - hosts.cpu_reserved_mhz
    room_mib = 0.95 * (hosts.memory_mib - hosts.memory_reserved_mib)
    share = np.bincount(hosts.cluster_idx, weights=cpu_mhz, minlength=n_clusters)
    cluster = rng.choice(n_clusters, n, p=share / share.sum())
    host_idx = np.zeros(n, dtype=np.int32)
    for c in range(n_clusters):
        mine = np.flatnonzero(hosts.cluster_idx == c)
        order = np.flatnonzero(cluster == c)
        order = order[np.lexsort((-memory_mib[order], -demand[order], ~on[order]))]
        wish = 1.0 + skew * np.clip(rng.standard_normal((2, len(mine))), -2.2, 2.2)
        wish /= wish.mean(axis=1, keepdims=True)
        level = demand[order].sum() / cpu_mhz[mine].sum() if fill_ratio else 0.0
        left_cpu = wish[0] * level * cpu_mhz[mine]
        memory_level = memory_mib[order][on[order]].sum() / room_mib[mine].sum()
        left_memory = np.minimum(wish[1] * memory_level, 0.98) * room_mib[mine]
        free = room_mib[mine].copy()
        per_cpu, per_memory = 1.0 / cpu_mhz[mine], 1.0 / room_mib[mine]
        for vm in order.tolist():
            score = left_cpu * per_cpu + 0.5 * left_memory * per_memory
            need = memory_mib[vm] if on[vm] else 0.0
            score[free < need] = -np.inf
            best = int(score.argmax())
            if score[best] == -np.inf:
                best = int(free.argmax())
            host_idx[vm] = mine[best]
            left_cpu[best] -= demand[vm]
            left_memory[best] -= memory_mib[vm]
            free[best] -= need
    assert n_hosts or not n
    return host_idx


def _carried(
    rng: np.random.Generator, hosts: HostTable, clusters: ClusterTable, host_idx: Ints, evc: Sequence[str]
) -> Names:
    """What each VM was started with: its cluster's mode, its host's baseline, or an older generation's."""
    draw = rng.random(len(host_idx))
    pick = rng.integers(0, 1 << 30, len(host_idx))
    older = {key: [other for other in evc if cpu.compatible(other, key)] for key in set(evc)}
    carried = []
    for h, luck, which in zip(host_idx.tolist(), draw.tolist(), pick.tolist(), strict=True):
        key, mode = str(hosts.evc_max[h]), str(clusters.evc_mode[hosts.cluster_idx[h]])
        carried.append(mode or (key if luck < 0.6 else older[key][which % len(older[key])]))
    return np.array(carried) if carried else np.zeros(0, dtype="U1")


def _storage(
    rng: np.random.Generator, hosts: HostTable, host_idx: Ints, kind: Ints, utilisation: Floats, n_vms: int
) -> tuple[DiskTable, DatastoreTable, NDArray[np.bool_]]:
    """A system disk for each VM and a data disk for some, on datastores that the hosts of a cluster share
    within a site; the disks of a VM stay together, as is Storage DRS's default."""
    system = np.array([k.system_gib for k in KINDS])[kind]
    median = np.array([k.data_gib for k in KINDS])[kind]
    data = np.round(median * np.exp(0.7 * rng.standard_normal(n_vms)) / 10) * 10
    with_data = data > 0
    vm = np.concatenate([np.arange(n_vms), np.flatnonzero(with_data)])
    size = np.concatenate([system, data[with_data]])
    label = np.concatenate([np.full(n_vms, "disk-0"), np.full(int(with_data.sum()), "disk-1")])
    used = np.maximum(1.0, np.round(size * rng.uniform(0.3, 0.85, len(size)), 1))
    writes = np.exp(math.log(0.0073) + 1.6 * rng.standard_normal(len(vm)))  # Bitbrains: median 7.3 kB/s
    writes = np.round(np.clip(writes * (1 + 10 * utilisation[vm]), 0.0, 60.0), 3)
    order = np.lexsort((label, vm))
    vm, size, label, used, writes = vm[order], size[order], label[order], used[order], writes[order]

    pools, pool_of_host = np.unique(
        np.stack([np.unique(hosts.site, return_inverse=True)[1], hosts.cluster_idx], axis=1),
        axis=0,
        return_inverse=True,
    )
    pool_of_host = pool_of_host.reshape(-1)
    pool_of_vm = pool_of_host[host_idx] if n_vms else np.zeros(0, dtype=np.int64)
    used_of_vm = np.bincount(vm, weights=used, minlength=n_vms)
    ds_of_vm = np.zeros(n_vms, dtype=np.int32)
    ds_names: list[str] = []
    capacity: list[float] = []
    groups: list[str] = []
    mounts_of: list[NDArray[np.bool_]] = []
    for p in range(len(pools)):
        its = np.flatnonzero(pool_of_vm == p)
        count = max(2, math.ceil(len(its) / 25))
        chosen = rng.choice(count, len(its), p=_normed((1.0 + 0.5 * rng.random(count)).tolist()))
        filled = np.bincount(chosen, weights=used_of_vm[its], minlength=count)
        gib = max(1024.0, math.ceil(max(filled.mean() / 0.6, filled.max() / 0.9) / 512) * 512.0)
        ds_of_vm[its] = len(ds_names) + chosen
        site = str(hosts.site[int(np.argmax(pool_of_host == p))])
        letter, cluster = site.removeprefix("dc-"), int(pools[p][1]) + 1
        ds_names += [f"ds-{letter}{cluster}-{i + 1:02d}" for i in range(count)]
        groups += [f"pod-{letter}{cluster}"] * count
        capacity += [gib] * count
        mounts_of += [pool_of_host == p] * count
    ds = ds_of_vm[vm] if n_vms else np.zeros(0, dtype=np.int32)
    full = np.bincount(ds, weights=used, minlength=len(ds_names))
    disks = DiskTable(
        name=label,
        vm_idx=vm.astype(np.int32),
        datastore_idx=ds,
        size_gib=size,
        used_gib=used,
        write_mibps=writes,
        iops=np.round(writes * 1024 / 16 + 2),
    )
    datastores = DatastoreTable(
        name=np.array(ds_names),
        capacity_gib=np.array(capacity),
        free_gib=np.round(np.array(capacity) - full, 1),
        datastore_cluster=np.array(groups),
        latency_ms=np.round(rng.uniform(0.6, 2.5, len(ds_names)), 2),
        iops_capacity=np.full(len(ds_names), 40_000.0),
        state=np.full(len(ds_names), "connected", dtype="U12"),
    )
    return disks, datastores, np.stack(mounts_of, axis=1)


def _links(hosts: HostTable, topology: str, wan_mbps: float, wan_latency_ms: float) -> LinkTable:
    rows: list[tuple[str, str, float, float, float, float]] = []
    sites = sorted(set(hosts.site.tolist()))
    spine = {site: site if topology == "flat" else f"spine-{site.removeprefix('dc-')}" for site in sites}
    if topology == "leaf-spine":
        leaf_of = [f"leaf-{rack.removeprefix('rack-')}" for rack in hosts.rack.tolist()]
        for host, leaf, mbps in zip(hosts.name.tolist(), leaf_of, hosts.vmotion_mbps.tolist(), strict=True):
            rows.append((host, leaf, mbps, 0.01, 0.0, 0.0))
        for leaf, site in sorted(set(zip(leaf_of, hosts.site.tolist(), strict=True))):
            rows.append((leaf, spine[site], 4 * float(hosts.vmotion_mbps.max()), 0.02, 0.0, 2000.0))
    for i, one in enumerate(sites):
        for other in sites[i + 1 :]:
            rows.append((spine[one], spine[other], wan_mbps, wan_latency_ms, 0.0, 0.1 * wan_mbps))
    ends = [np.array([row[i] for row in rows]) if rows else np.zeros(0, dtype="U1") for i in (0, 1)]
    numbers = [np.array([row[i] for row in rows], dtype=np.float64) for i in (2, 3, 4, 5)]
    bandwidth, latency, loss, shared = numbers
    return LinkTable(ends[0], ends[1], bandwidth, latency, loss, shared)
