"""Schedules of migrations against what a cloud does by default, in one run.

    python benchmarks/quality/scheduling.py [--only PREFIX] [--out scheduling.csv]

Scenarios
---------
kherbache
    After V. Kherbache, E. Madelaine, F. Hermenier, "Scheduling Live-Migrations for Fast, Adaptable and
    Energy-Efficient Relocation Operations", UCC 2015: racks of hosts behind switches, half of the VMs idle, half
    under stress, 1 and 10 GbE; one rack is emptied into another (`decommission`), or VMs are shuffled (`mixed`).
    The VMs are BtrPlace's templates: 2 or 4 GB used; idle 5 MB dirtied in 3 s, stressed 96 MB in 2 s and 3 MB/s
    more. Rebuilt from the paper's description, not its traces.
full
    20, 100, 500 and 2,000 moves in clusters 75, 90 and 95 % full, 20 VMs of 1 to 16 GiB a host, swaps included.

Methods
-------
drs         `make_plan`
fcfs        first come, first served under vSphere's limits: whatever the cost units let run, runs
fixed-K     first come, first served, at most K migrations at a time

All are judged by the same simulation (max-min fair shares, the pre-copy model step by step). The baselines get
the same safe order and parking moves as drs; without them they would not finish. `bound_s` is no schedule's
own: nothing is shorter. `planned_ratio` is the makespan over what CP-SAT proved for schedules in which every
migration has its whole path (1.0: proved optimal among these).
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd

from drs.io import from_frames
from drs.model import Placement, Snapshot
from drs.planning import Concurrency, make_plan
from drs.planning import order as ordering
from drs.planning.pricing import Pricer, legs_between
from drs.planning.rooms import Rooms
from drs.planning.schedule.fluid import Timed, flows_of
from drs.planning.schedule.search import first_come
from drs.planning.schedule.tasks import build_tasks
from drs.terms import Capacity, During

COLUMNS = (
    "scenario", "n_moves", "n_hosts", "fill", "method", "makespan_s", "bound_s", "bound_ratio", "planned_ratio",
    "transferred_gib", "worst_downtime_ms", "n_parked", "n_stranded", "seconds",
)  # fmt: skip


def snapshot_of(hosts: pd.DataFrame, vms: pd.DataFrame, links: pd.DataFrame | None = None) -> Snapshot:
    """A validated snapshot from tables."""
    frames = {"hosts": hosts, "vms": vms}
    if links is not None:
        frames["links"] = links
    return from_frames(frames)


def kherbache(gbe: int, mixed: bool, seed: int = 0) -> tuple[Snapshot, Placement]:
    """Two racks of 24 hosts, 4 VMs on each host of the first (mixed: 2 on each of all)."""
    rng = np.random.default_rng(seed)
    per_rack = 24
    names = [f"r{rack}-h{i:02d}" for rack in (1, 2) for i in range(per_rack)]
    hosts = pd.DataFrame({
        "host": names, "cpu_mhz": 32_000.0, "memory_mib": 32_768.0, "vmotion_mbps": gbe * 1000.0,
        "rack": [name[:2] for name in names],
    })  # fmt: skip
    on = np.repeat(np.arange(2 * per_rack), 2) if mixed else np.repeat(np.arange(per_rack), 4)
    template = np.arange(len(on)) % 4
    used_mib = np.array([2000, 4000, 2000, 4000])[template] * 1e6 / 2**20
    stress = np.isin(template, (1, 2))
    vms = pd.DataFrame({
        "vm": [f"vm-{i:03d}" for i in range(len(on))], "host": [names[h] for h in on],
        "memory_mib": np.round(used_mib), "cpu_demand_mhz": np.where(stress, 2000.0, 50.0),
        "dirty_rate_mibps": np.where(stress, 48.6, 1.6), "working_set_mib": np.where(stress, 180.0, 4.8),
    })  # fmt: skip
    # A switch for each rack, one between them with the capacity of ten hosts.
    links = pd.DataFrame({
        "a": [*names, "r1-switch", "r2-switch"],
        "b": [*(f"{name[:2]}-switch" for name in names), "core", "core"],
        "bandwidth_mbps": [gbe * 1000.0] * len(names) + [gbe * 10_000.0] * 2,
    })  # fmt: skip
    snapshot = snapshot_of(hosts, vms, links)
    to = rng.permutation(on) if mixed else on + per_rack
    return snapshot, Placement(to.astype(np.int32), snapshot.disks.datastore_idx)


def full(n_moves: int, n_hosts: int, fill: float, seed: int = 0) -> tuple[Snapshot, Placement]:
    """Moves and swaps at random in a cluster that is so full, and stays so."""
    rng = np.random.default_rng(seed)
    n_vms = 20 * n_hosts
    size = rng.choice([1024, 2048, 4096, 8192, 16_384], n_vms, p=[0.15, 0.25, 0.3, 0.2, 0.1])
    room = float(np.ceil(size.sum() / n_hosts / fill))
    use, host = np.zeros(n_hosts), np.zeros(n_vms, dtype=np.int32)
    for vm in np.argsort(-size):
        some = rng.permutation(n_hosts)[:4]
        fits = [h for h in some if use[h] + size[vm] <= room]
        host[vm] = fits[0] if fits else int(np.argmin(use))
        use[host[vm]] += size[vm]
    room = max(room, float(use.max()))
    to, moved = host.copy(), set()
    for _ in range(400 * n_moves):
        if len(moved) >= n_moves:
            break
        vm, h = int(rng.integers(n_vms)), int(rng.integers(n_hosts))
        old = int(to[vm])
        if vm in moved or h == old:
            continue
        if use[h] + size[vm] <= room:
            use[old] -= size[vm]
            use[h] += size[vm]
            to[vm] = h
            moved.add(vm)
            continue
        others = [int(w) for w in np.flatnonzero(to == h) if int(w) not in moved]
        if others and len(moved) + 2 <= n_moves:
            other = others[int(rng.integers(len(others)))]
            gain = float(size[vm] - size[other])
            if use[h] + gain <= room and use[old] - gain <= room:
                use[h] += gain
                use[old] -= gain
                to[vm], to[other] = h, old
                moved |= {vm, other}
    hosts = pd.DataFrame({
        "host": [f"esx-{i:04d}" for i in range(n_hosts)], "cpu_mhz": 100_000.0, "memory_mib": room,
        "vmotion_mbps": 10_000.0,
    })  # fmt: skip
    vms = pd.DataFrame({
        "vm": [f"vm-{i:05d}" for i in range(n_vms)], "host": [f"esx-{h:04d}" for h in host],
        "memory_mib": size.astype(float), "cpu_demand_mhz": 500.0,
        "dirty_rate_mibps": rng.choice([2.0, 20.0, 100.0], n_vms, p=[0.5, 0.35, 0.15]),
        "working_set_mib": size * rng.choice([0.01, 0.05, 0.2], n_vms),
    })  # fmt: skip
    vms["dirty_rate_mibps"] = np.minimum(vms.dirty_rate_mibps, 0.9 * vms.working_set_mib)
    snapshot = snapshot_of(hosts, vms)
    return snapshot, Placement(to, snapshot.disks.datastore_idx)


def baseline(snapshot: Snapshot, target: Placement, during: list[During], total: int | None) -> Timed:
    """First come, first served."""
    pricer = Pricer(snapshot)
    legs = legs_between(snapshot, target)
    rooms = Rooms.of(snapshot, during, [leg.vm for leg in legs])
    found = ordering.find_order(legs, rooms, pricer, ordering.default_hosts(snapshot))
    flows = flows_of(pricer, found.legs)
    tasks = build_tasks(
        snapshot, pricer.network, found.legs, pricer.price(found.legs), rooms.free, found.take, found.give,
        found.before, Concurrency(total=total), pricer.profile.link_ratio, flows.beside_s,
    )  # fmt: skip
    return first_come(tasks, pricer.price(found.legs), flows)


def scenarios() -> Iterator[tuple[str, float, Snapshot, Placement]]:
    """Name, fill, today, target."""
    for gbe in (1, 10):
        for mixed in (False, True):
            yield (f"kherbache-{'mixed' if mixed else 'decommission'}-{gbe}gbe", 0.0, *kherbache(gbe, mixed))
    for n_moves, n_hosts in ((20, 10), (100, 20), (500, 100), (2000, 200), (2000, 1000)):
        for fill in (0.75, 0.9, 0.95):
            yield (f"full-{n_moves}-{n_hosts}", fill, *full(n_moves, n_hosts, fill))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--out", default="")
    asked = parser.parse_args()
    # The compiled kernels are loaded before anything is timed.
    make_plan(*full(4, 4, 0.75))
    sinks = [csv.writer(sys.stdout)]
    file = open(asked.out, "w", newline="", encoding="utf-8") if asked.out else None  # noqa: SIM115, PTH123
    if file is not None:
        sinks.append(csv.writer(file))
    for sink in sinks:
        sink.writerow(COLUMNS)
    for name, fill, snapshot, target in scenarios():
        if not name.startswith(asked.only):
            continue
        limit = Capacity("memory", snapshot.demand("memory"), snapshot.capacity("memory"))
        during = [During(limit, "memory capacity")]
        began = time.perf_counter()
        plan = make_plan(snapshot, target, during)
        seconds = time.perf_counter() - began
        bound = plan.makespan_bound_s
        proved = max(float(plan.stats["planned_bound_s"]), bound)
        n_moves = int((target.host_idx != snapshot.vms.host_idx).sum())
        common = [name, n_moves, snapshot.n_hosts, fill]
        rows = [[
            *common, "drs", round(plan.makespan_s, 1), round(bound, 1), round(plan.makespan_s / bound, 3),
            round(plan.makespan_s / proved, 3), round(plan.total_transferred_mib / 1024, 1),
            round(plan.max_downtime_ms, 1), plan.stats["n_parked"], len(plan.stranded), round(seconds, 2),
        ]]  # fmt: skip
        for method, total in (("fcfs", None), ("fixed-2", 2), ("fixed-8", 8)):
            timed = baseline(snapshot, target, during, total)
            rows.append([
                *common, method, round(timed.makespan_s, 1), round(bound, 1),
                round(timed.makespan_s / bound, 3), "", round(float(timed.transferred_mib.sum()) / 1024, 1),
                round(float(timed.downtime_ms.max()), 1), plan.stats["n_parked"], len(plan.stranded), "",
            ])  # fmt: skip
        for row in rows:
            for sink in sinks:
                sink.writerow(row)
        sys.stdout.flush()
    if file is not None:
        file.close()


if __name__ == "__main__":
    main()
