"""Small random clusters, rules, goals and placements for hypothesis.

Quantities are whole numbers, so that sums are exact however they are added up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from drs import goals, rules
from drs.goals import Goal, Prices
from drs.model import (
    ClusterTable,
    DatastoreTable,
    DiskTable,
    HostTable,
    LinkTable,
    LoadHistory,
    Placement,
    PoolTable,
    Snapshot,
    VmTable,
)
from drs.rules import Rule

INTEL = ("intel-haswell", "intel-broadwell", "intel-skylake")
AMD = ("amd-steamroller", "amd-zen", "amd-zen2")
WORDS = ("web", "db", "app")


def text(values: list[str]) -> np.ndarray:
    return np.array(values, dtype=f"<U{max([1, *map(len, values)])}")


def numbers(values: list[float]) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def ints(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int32)


@st.composite
def snapshots(
    draw: st.DrawFn, max_hosts: int = 5, max_vms: int = 8, unplaced: bool = True, tame: bool = False
) -> Snapshot:
    """A cluster of a few hosts, often a broken one.

    `tame` leaves out what makes hosts differ in kind (EVC, states, storage, networks): bigger search spaces.
    """

    def some(values: Any, n: int) -> list[Any]:
        return draw(st.lists(st.sampled_from(values), min_size=n, max_size=n))

    n_clusters = draw(st.integers(1, 2))
    n_hosts = draw(st.integers(1, max_hosts))
    n_vms = draw(st.integers(0, max_vms))
    vendor = some(["intel", "amd"], n_clusters)
    evc = [draw(st.sampled_from(["", *(INTEL if v == "intel" else AMD)])) for v in vendor]
    of_cluster = [draw(st.integers(0, n_clusters - 1)) for _ in range(n_hosts)]
    clusters = ClusterTable(
        name=text([f"cluster-{c}" for c in range(n_clusters)]),
        site=text([""] * n_clusters),
        vcenter=text([""] * n_clusters),
        evc_mode=text([""] * n_clusters if tame else evc),
        ha_failover_hosts=ints(some([0, 0, 1], n_clusters)),
        cpu_overcommit_ratio=numbers(some([1.0, 1.0, 2.0, 1.5], n_clusters)),
        automation=text(some(["full", "partial", "manual"], n_clusters)),
        migration_threshold=ints(some([1, 2, 3, 4, 5], n_clusters)),
    )
    states = ["connected"] if tame else ["connected"] * 6 + ["maintenance", "quarantine", "disconnected"]
    host_vendor = [vendor[c] for c in of_cluster]
    hosts = HostTable(
        name=text([f"esx-{h}" for h in range(n_hosts)]),
        cluster_idx=ints(of_cluster),
        cpu_mhz=numbers(some([1000.0, 1000.0, 2000.0, 3000.0], n_hosts)),
        memory_mib=numbers(some([8192.0, 8192.0, 16384.0], n_hosts)),
        cpu_reserved_mhz=numbers(some([0.0, 0.0, 100.0], n_hosts)),
        memory_reserved_mib=numbers(some([0.0, 0.0, 512.0], n_hosts)),
        cpu_cores=numbers(some([2.0, 4.0, np.nan], n_hosts)),
        cpu_vendor=text(host_vendor),
        evc_max=text(
            [
                "" if tame else draw(st.sampled_from(["", *(INTEL if v == "intel" else AMD)]))
                for v in host_vendor
            ]
        ),
        state=text(some(states, n_hosts)),
        rack=text(some(["r1", "r2", "r3", ""], n_hosts)),
        site=text(some(["north", "south"], n_hosts)),
        vcenter=text(some(["", "vc1"], n_hosts)),
        vmotion_mbps=numbers(some([10000.0, 1000.0], n_hosts)),
        hypervisor=text(["esxi"] * n_hosts),
        power_idle_w=numbers(some([100.0, 200.0, np.nan], n_hosts)),
        power_max_w=numbers([400.0] * n_hosts),
        capacity={"slots": numbers(some([0.0, 2.0, 4.0], n_hosts))},
    )  # fmt: skip
    pool_cluster = [draw(st.integers(0, n_clusters - 1)) for _ in range(draw(st.sampled_from([0, 0, 3])))]
    n_pools = len(pool_cluster)

    def pools_of(cluster: int) -> list[int]:
        return [p for p in range(n_pools) if pool_cluster[p] == cluster]

    pools = PoolTable(
        name=text([f"pool-{p}" for p in range(n_pools)]),
        parent_idx=ints(
            [
                draw(st.sampled_from([-1, *(q for q in pools_of(c) if q < p)]))
                for p, c in enumerate(pool_cluster)
            ]
        ),
        cluster_idx=ints(pool_cluster),
        cpu_reservation_mhz=numbers(some([0.0, 400.0], n_pools)),
        cpu_limit_mhz=numbers(some([np.inf, 500.0], n_pools)),
        cpu_shares=numbers(some([4000.0, 2000.0], n_pools)),
        cpu_expandable=text(some(["yes", "no"], n_pools)),
        memory_reservation_mib=numbers([0.0] * n_pools),
        memory_limit_mib=numbers(some([np.inf, 2048.0], n_pools)),
        memory_shares=numbers([163840.0] * n_pools),
        memory_expandable=text(["yes"] * n_pools),
    )
    low = -1 if unplaced else 0
    host_idx = [draw(st.integers(low, n_hosts - 1)) for _ in range(n_vms)]
    memory = some([1024.0, 2048.0, 4096.0], n_vms)
    vms = VmTable(
        name=text([f"{WORDS[v % 3]}-{v}" for v in range(n_vms)]),
        host_idx=ints(host_idx),
        memory_mib=numbers(memory),
        cpu_demand_mhz=numbers(some([0.0, 100.0, 200.0, 300.0, 500.0], n_vms)),
        vcpus=numbers(some([1.0, 2.0, 4.0], n_vms)),
        memory_active_mib=numbers(some([np.nan, 256.0, 512.0], n_vms)),
        memory_consumed_mib=numbers(some([np.nan, 768.0, 1024.0], n_vms)),
        cpu_reservation_mhz=numbers(some([0.0, 0.0, 100.0, 400.0], n_vms)),
        cpu_limit_mhz=numbers(some([np.inf, np.inf, 200.0], n_vms)),
        cpu_shares=numbers(some([1000.0, 2000.0, 500.0], n_vms)),
        memory_reservation_mib=numbers(some([0.0, 512.0, 1024.0], n_vms)),
        memory_limit_mib=numbers(some([np.inf, 2048.0], n_vms)),
        memory_shares=numbers(some([10240.0, 20480.0], n_vms)),
        evc_mode=text([""] * n_vms if tame else some(["", "", *INTEL, *AMD], n_vms)),
        power=text(some(["on", "on", "on", "off"], n_vms)),
        automation=text(some(["", "", "manual", "partial", "full"], n_vms)),
        dirty_rate_mibps=numbers([np.nan] * n_vms),
        working_set_mib=numbers([np.nan] * n_vms),
        downtime_budget_ms=numbers([np.nan] * n_vms),
        gpus=numbers([0.0] * n_vms if tame else some([0.0] * 6 + [1.0], n_vms)),
        demand={"slots": numbers(some([0.0, 0.0, 1.0, 2.0], n_vms))},
        pool_idx=ints(
            [draw(st.sampled_from([-1, *pools_of(of_cluster[h] if h >= 0 else 0)])) for h in host_idx]
        ),
    )
    n_stores = draw(st.integers(1, 3))
    owners = [v for v in range(n_vms) for _ in range(draw(st.integers(0, 2)))]
    sizes = some([10.0, 20.0, 40.0], len(owners))
    disks = DiskTable(
        name=text([f"d{i}" for i in range(len(owners))]),
        vm_idx=ints(owners),
        datastore_idx=ints([draw(st.integers(0, n_stores - 1)) for _ in owners]),
        size_gib=numbers(sizes),
        used_gib=numbers(sizes),
        write_mibps=numbers([0.0] * len(owners)),
        iops=numbers([0.0] * len(owners)),
    )
    capacity = some([100.0, 500.0], n_stores)
    datastores = DatastoreTable(
        name=text([f"ds-{d}" for d in range(n_stores)]),
        capacity_gib=numbers(capacity),
        free_gib=numbers(some([0.0, 15.0, 30.0, 60.0], n_stores)),
        datastore_cluster=text([""] * n_stores),
        latency_ms=numbers([np.nan] * n_stores),
        iops_capacity=numbers([np.inf] * n_stores),
        state=text(some(["connected", "connected", "maintenance"], n_stores)),
    )

    def sight(n: int) -> np.ndarray:
        seen = [[tame or draw(st.integers(0, 5)) > 0 for _ in range(n)] for _ in range(n_hosts)]
        return np.array(seen, dtype=bool).reshape(n_hosts, n)

    n_networks = draw(st.integers(0, 2))
    nics = [v for v in range(n_vms) if n_networks and draw(st.booleans())]
    linked = sorted({str(site) for site in hosts.site}) == ["north", "south"] and draw(st.booleans())
    links = LinkTable(
        a=text(["north"] if linked else []),
        b=text(["south"] if linked else []),
        bandwidth_mbps=numbers([1000.0] if linked else []),
        latency_ms=numbers([2.0] if linked else []),
        loss_ratio=numbers([0.0] if linked else []),
        shared_mbps=numbers([0.0] if linked else []),
    )
    n_times = draw(st.sampled_from([0, 0, 3]))
    loads = None
    if n_times and n_vms:
        cpu = [some([50.0, 100.0, 400.0, np.nan], n_vms) for _ in range(n_times)]
        memory_mib = [some([256.0, 512.0], n_vms) for _ in range(n_times)]
        loads = LoadHistory(
            time=np.array(
                ["2026-01-01T00:00", "2026-01-01T08:00", "2026-01-01T16:30"], dtype="datetime64[s]"
            ),
            cpu_mhz=np.array(cpu, dtype=np.float32),
            memory_active_mib=np.array(memory_mib, dtype=np.float32),
        )
    return Snapshot(
        hosts, vms, clusters, disks, datastores, links,
        mounts=sight(n_stores),
        networks=text([f"vlan-{n}" for n in range(n_networks)]),
        portgroups=sight(n_networks),
        nic_vm_idx=ints(nics),
        nic_network_idx=ints([draw(st.integers(0, n_networks - 1)) for _ in nics]),
        loads=loads,
        pools=pools,
    )  # fmt: skip


@st.composite
def placements(draw: st.DrawFn, snapshot: Snapshot) -> Placement:
    """Any assignment of VMs and disks, near today's or far from it; VMs that are placed stay placed."""
    today = snapshot.vms.host_idx
    lows = [-1 if host < 0 else 0 for host in today.tolist()]
    far = draw(st.booleans())
    host_idx = [
        draw(st.integers(low, snapshot.n_hosts - 1)) if far or draw(st.integers(0, 3)) == 0 else int(host)
        for low, host in zip(lows, today, strict=True)
    ]
    stores = [draw(st.integers(0, len(snapshot.datastores) - 1)) for _ in range(len(snapshot.disks))]
    return Placement(ints(host_idx), ints(stores))


def selectors(names: np.ndarray) -> st.SearchStrategy[Any]:
    """A name, a pattern that means something, a list, or everything."""
    known = [str(name) for name in names]
    patterns = sorted({name.split("-")[0] + "-*" for name in known})
    return st.one_of(
        st.just("*"),
        st.sampled_from(known),
        st.sampled_from(patterns),
        st.lists(st.sampled_from(known), min_size=1, max_size=4, unique=True),
    )


SCOPES = st.sampled_from(["host", "rack", "cluster", "site", "vcenter"])

RULE_FIELDS: dict[str, Callable[[Snapshot], dict[str, Any]]] = {
    "capacity": lambda s: {
        "resource": st.sampled_from(s.resources),
        "overcommit_ratio": st.sampled_from([None, None, 1.5]),
        "reserve": st.sampled_from([0.0, 0.0, 100.0]),
        "reserve_ratio": st.sampled_from([0.0, 0.0, 0.25]),
        "hosts": selectors(s.hosts.name),
        "counts": st.sampled_from(["configured", "active", "consumed", "reserved"]),
        "when": st.sampled_from([None, "after", "at_once"]),
    },
    "failover": lambda s: {
        "resource": st.sampled_from(s.resources),
        "n_hosts": st.sampled_from([None, None, 0, 1]),
        "when": st.sampled_from([None, "after", "at_once"]),
    },
    "vcpu-ratio": lambda s: {"at_most": st.sampled_from([0.5, 1.0, 2.0]), "hosts": selectors(s.hosts.name)},
    "evc": lambda s: {},
    "datastore-visibility": lambda s: {"storage_moves": st.just(False)},
    "network-visibility": lambda s: {},
    "migration-scope": lambda s: {
        "scope": st.sampled_from(["cluster", "site", "vcenter", "any"]),
        "vms": selectors(s.vms.name),
    },
    "host-state": lambda s: {},
    "local-devices": lambda s: {},
    "automation": lambda s: {
        "at_least": st.sampled_from(["manual", "partial", "full"]),
        "vms": selectors(s.vms.name),
    },
    "keep-apart": lambda s: {
        "vms": selectors(s.vms.name),
        "scope": st.one_of(SCOPES, st.just("datastore")),
        "at_most": st.integers(1, 2),
    },
    "keep-together": lambda s: {"vms": selectors(s.vms.name), "scope": SCOPES},
    "run-on": lambda s: {"vms": selectors(s.vms.name), "hosts": selectors(s.hosts.name)},
    "not-run-on": lambda s: {"vms": selectors(s.vms.name), "hosts": selectors(s.hosts.name)},
    "pinned": lambda s: {"vms": selectors(s.vms.name)},
    "spread": lambda s: {"vms": selectors(s.vms.name), "scope": SCOPES, "at_least": st.integers(1, 3)},
    "confine": lambda s: {"vms": selectors(s.vms.name), "scope": SCOPES, "at_most": st.integers(1, 3)},
    "dependency": lambda s: {
        "vms": selectors(s.vms.name),
        "needs": selectors(s.vms.name),
        "scope": SCOPES,
        "mutual": st.booleans(),
    },
    "never-with": lambda s: {
        "vms": selectors(s.vms.name),
        "others": selectors(s.vms.name),
        "scope": SCOPES,
    },
    "max-vms": lambda s: {
        "at_most": st.integers(0, 3),
        "hosts": selectors(s.hosts.name),
        "vms": selectors(s.vms.name),
    },
    "move-limit": lambda s: {"at_most": st.integers(0, 3), "vms": selectors(s.vms.name)},
    "latency": lambda s: {"vms": selectors(s.vms.name), "max_rtt_ms": st.sampled_from([0.0, 1.0, 5.0])},
    "quorum": lambda s: {
        "vms": selectors(s.vms.name),
        "hosts": selectors(s.hosts.name),
        "at_least": st.integers(1, 3),
    },
    "disks-together": lambda s: {"vms": selectors(s.vms.name)},
    "datastore-capacity": lambda s: {"max_ratio": st.sampled_from([1.0, 0.8])},
    "datastore-state": lambda s: {},
    "on-datastores": lambda s: {"vms": selectors(s.vms.name), "datastores": selectors(s.datastores.name)},
}
"""How to draw the fields of every rule; the conformance suite asks for one of each."""


@st.composite
def rules_of(draw: st.DrawFn, kind: str, snapshot: Snapshot) -> Rule:
    """A rule of a kind that has no faults, or the plainest that was drawn."""
    fields = {name: draw(values) for name, values in RULE_FIELDS[kind](snapshot).items()}
    fields["policy"] = draw(st.sampled_from(["hard", "not_worse", "not_worse", "soft"]))
    fields["weight"] = draw(st.sampled_from([1.0, 2.0]))
    return rules.RULES[kind](**fields)


@st.composite
def any_rules(draw: st.DrawFn, snapshot: Snapshot, kinds: list[str], max_size: int = 3) -> list[Rule]:
    """A few rules without faults."""
    if not snapshot.n_vms:
        return []
    chosen = draw(st.lists(st.sampled_from(kinds), max_size=max_size))
    drawn = [draw(rules_of(kind, snapshot)) for kind in chosen]
    return [rule for rule in drawn if not list(rule.faults(snapshot))]


def _targets(snapshot: Snapshot) -> st.SearchStrategy[Any]:
    n = snapshot.n_hosts
    return st.one_of(st.none(), st.lists(st.sampled_from([0.0, 500.0, 900.0]), min_size=n, max_size=n))


GOAL_FIELDS: dict[str, Callable[[Snapshot], dict[str, Any]]] = {
    "balance": lambda s: {
        "measure_by": st.sampled_from(["std", "mad", "max", "range"]),
        "resources": st.sampled_from([("cpu", "memory"), ("cpu",), ("slots",)]),
        "target": st.sampled_from(["threshold", 0.0, 0.1]),
        "memory": st.sampled_from(["configured", "active", "consumed"]),
        "percentile": st.sampled_from([None, 95.0]),
        "by": st.sampled_from(["demand", "entitlement"]),
    },
    "balance-over-time": lambda s: {
        "measure_by": st.sampled_from(["std", "mad"]),
        "target": st.sampled_from(["threshold", 0.0]),
        "n_buckets": st.integers(1, 4),
        "parts_of": st.sampled_from(["day", "history"]),
        "percentile": st.sampled_from([None, 90.0]),
    },
    "consolidate": lambda s: {"by": st.sampled_from(["power", "hosts"])},
    "free-balance": lambda s: {"ratio": st.sampled_from([None, 2.0])},
    "happiness": lambda s: {},
    "licences": lambda s: {"vms": selectors(s.vms.name), "per": st.sampled_from(["host", "core"])},
    "moves": lambda s: {
        "by": st.sampled_from(["seconds", "gib", "count"]),
        "prices": st.one_of(
            st.none(),
            st.lists(st.sampled_from([0.0, 1.0, 3.0]), min_size=s.n_vms, max_size=s.n_vms),
        ),
    },
    "group-moves": lambda s: {"groups": st.lists(selectors(s.vms.name), max_size=3)},
    "move-distance": lambda s: {
        "across": st.just(("site", "rack")),
        "prices": st.just((2.0, 1.0)),
        "pair": st.one_of(
            st.none(), st.just([[float(abs(a - b)) for b in range(s.n_hosts)] for a in range(s.n_hosts)])
        ),
    },
    "over-target": lambda s: {
        "resource": st.sampled_from(["cpu", "memory"]),
        "ratio": st.sampled_from([0.0, 0.5]),
        "target": _targets(s),
    },
    "prefer-hosts": lambda s: {
        "vms": selectors(s.vms.name),
        "hosts": selectors(s.hosts.name),
        "penalty": st.sampled_from([1.0, 2.0]),
    },
    "slots": lambda s: {
        "flavours": st.sampled_from([("1c/500mhz/1g",), "2c/1000mhz/2g=3, 700mhz", ("512mib",)]),
    },
    "sum": lambda s: {
        "parts": st.just([
            {"type": "consolidate", "by": "hosts"}, goals.OverTarget(ratio=0.5), goals.Moves(by="count")
        ]),
        "weights": st.just((3.0, 1.0, 0.5)),
    },
}  # fmt: skip
"""How to draw the fields of every goal."""


@st.composite
def goals_of(draw: st.DrawFn, kind: str, snapshot: Snapshot) -> Goal:
    """A goal of a kind."""
    fields = {name: draw(values) for name, values in GOAL_FIELDS[kind](snapshot).items()}
    return goals.GOALS[kind](**fields)


def prices_of(snapshot: Snapshot) -> Prices:
    """Plain prices: a second for each GiB."""
    gib = snapshot.vms.memory_mib / 1024
    return Prices(gib, gib, np.zeros(snapshot.n_vms), np.full(snapshot.n_vms, 100.0))
