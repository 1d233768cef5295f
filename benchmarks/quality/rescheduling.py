"""Room for large VMs with few moves: `--mode place` on the published VM rescheduling instances.

    python benchmarks/quality/rescheduling.py FOLDER [--files a.json b.json] [--moves 25 50 100] [--time-s 5 60]
                                              [--cores 16] [--seed 0]

FOLDER holds the files of "Towards VM Rescheduling Optimization Through Deep Reinforcement Learning" (EuroSys
2025) in the authors' format. Every NUMA node of an active host is a host here; a VM that is halved over both
nodes stays where it is. As many VMs of `--cores` cores as all free cores could hold are to be placed, with so
many moves at most. Printed: slots before and after, the proven most (bound), the fragment rate FR = sum of (free
cores mod cores) / free cores over the nodes, and the moves; every move is made again one by one by code that
shares nothing with `drs`, and a move that does not fit is a fault.

The published means (MNL 50: MIP 0.285 to 0.287 in 50 minutes, VMR2L 0.295, POP 0.345, greedy 0.387) are over
test mappings that cannot be had, so they do not compare one to one with the figures of these files.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import pandas as pd

import drs
from drs.goals import Moves
from drs.problem.policy import Limits, Policy
from drs.rules import KeepApart, Pinned

MHZ = 1000.0
"""One core; `drs` counts CPU in MHz."""


class Cluster:
    """One file: nodes with their free room, VMs on one node, those that stay, sets that keep apart."""

    def __init__(self, file: Path) -> None:
        document = json.loads(file.read_text())["cluster_list"][0]
        self.capacity: dict[str, list[float]] = {}
        for host in document["host_info"]:
            if host.get("status", "ACTIVE") == "ACTIVE":
                for unit in host["numa"]:
                    node = f"{host['node_id']}/{unit['node']}"
                    self.capacity[node] = [float(unit["total_cpu"]), float(unit["memory_huge_total_mb"])]
        self.vms: dict[str, tuple[str, float, float]] = {}
        self.pinned: list[str] = []
        self.host_of: dict[str, str] = {}
        for vm in document["vm_instance"]:
            wide = len(vm["numa"]) > 1
            for part, unit in enumerate(vm["numa"]):
                name = f"{vm['instance_id']}.{part}" if wide else vm["instance_id"]
                node = f"{vm['host_id']}/{unit['node']}"
                if node not in self.capacity:
                    continue
                self.vms[name] = (node, float(unit["cpu"]), float(unit["mem_mb"]))
                if wide or not vm.get("allow_migration", True):
                    self.pinned.append(name)
        sets = document.get("other_requirement", {}).get("deployment_set", [])
        self.apart = [[vm for vm in each["data"] if vm in self.vms] for each in sets]
        self.apart = [each for each in self.apart if len(each) > 1]

    def free(self) -> dict[str, list[float]]:
        """Cores and MiB that each node has left."""
        left = {node: list(room) for node, room in self.capacity.items()}
        for node, cores, mib in self.vms.values():
            left[node][0] -= cores
            left[node][1] -= mib
        return left


def slots(left: dict[str, list[float]], cores: float) -> int:
    """VMs of so many cores that fit, their memory aside."""
    return sum(int(max(0.0, room[0]) // cores) for room in left.values())


def fragment_rate(left: dict[str, list[float]], cores: float) -> float:
    """Free cores that no such VM can use, as a share of all free cores."""
    return sum(room[0] % cores for room in left.values()) / sum(room[0] for room in left.values())


def as_snapshot(cluster: Cluster, cores: float, mib: float, wanted: int) -> Any:
    """The cluster with the VMs that are to be placed."""
    hosts = pd.DataFrame(
        [
            {
                "host": node,
                "rack": node.rsplit("/", 1)[0],
                "cluster": "c",
                "cpu_mhz": room[0] * MHZ,
                "memory_mib": room[1],
                "cpu_cores": int(room[0]),
            }
            for node, room in cluster.capacity.items()
        ]
    )
    rows = [
        {"vm": name, "host": node, "vcpus": int(n), "cpu_demand_mhz": n * MHZ, "memory_mib": room}
        for name, (node, n, room) in cluster.vms.items()
    ]
    rows += [
        {
            "vm": f"new-{k:04d}",
            "host": "",
            "vcpus": int(cores),
            "cpu_demand_mhz": cores * MHZ,
            "memory_mib": mib,
        }
        for k in range(wanted)
    ]
    return drs.read({"hosts": hosts, "vms": pd.DataFrame(rows)})


def replayed(cluster: Cluster, moves: list[tuple[str, str]], cores: float, mib: float) -> tuple[int, float]:
    """Make every move in its order with the file's own figures; (slots, fragment rate) before new VMs start."""
    left = cluster.free()
    where = {vm: node for vm, (node, *_) in cluster.vms.items()}
    for vm, node in moves:
        _, n, room = cluster.vms[vm]
        if vm in cluster.pinned or left[node][0] < n - 1e-9 or left[node][1] < room - 1e-9:
            raise SystemExit(f"{vm} does not fit on {node}, or may not move")
        for sign, at in ((1.0, where[vm]), (-1.0, node)):
            left[at][0] += sign * n
            left[at][1] += sign * room
        where[vm] = node
    for each in cluster.apart:
        hosts = [where[vm].rsplit("/", 1)[0] for vm in each]
        if len(set(hosts)) < len(hosts):
            raise SystemExit(f"a set is on one host twice: {sorted(hosts)}")
    return slots(left, cores), fragment_rate(left, cores)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", nargs="*", default=[])
    parser.add_argument("--moves", nargs="*", type=int, default=[25, 50, 100])
    parser.add_argument("--time-s", nargs="*", type=float, default=[5.0, 60.0])
    parser.add_argument("--cores", type=float, default=16.0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    files = sorted(asked.folder.glob("*.json"))
    files = [file for file in files if not asked.files or file.name in asked.files]
    if not files:
        print(f"skipped: no instance in {asked.folder}")
        return
    print(
        "| file | moves at most | time s | slots before | slots | proven most | moves | FR before | FR | took s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for file in files:
        cluster = Cluster(file)
        left = cluster.free()
        per_core = sorted(room / n for _, n, room in cluster.vms.values())
        mib = per_core[len(per_core) // 2] * asked.cores
        most = math.floor(sum(room[0] for room in left.values()) / asked.cores)
        snapshot = as_snapshot(cluster, asked.cores, mib, most)
        rules = [Pinned(cluster.pinned), *(KeepApart(each, scope="rack") for each in cluster.apart)]
        for limit in asked.moves:
            for time_s in asked.time_s:
                policy = Policy(goals=(Moves(by="count"),), limits=Limits(max_moves=limit))
                began = time.monotonic()
                result = drs.advise(
                    snapshot, mode="place", rules=rules, policy=policy, time_s=time_s, seed=asked.seed
                )
                took = time.monotonic() - began
                steps = sorted(result.plan.moves, key=lambda move: move.step)
                moves = [(move.vm, move.to_host) for move in steps if move.vm in cluster.vms]
                after, rate = replayed(cluster, moves, asked.cores, mib)
                (placed,) = (goal for goal in result.goals if goal.name == "placed")
                print(
                    f"| {file.name} | {limit} | {time_s:g} | {slots(left, asked.cores)} | {after} | "
                    f"{most - math.ceil(placed.bound - 1e-6)} | {len(moves)} | "
                    f"{fragment_rate(left, asked.cores):.4f} | {rate:.4f} | {took:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
