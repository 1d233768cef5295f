"""drs beside the two solvers for this problem on PyPI, on the same clusters in one run.

    python benchmarks/quality/peers.py [--hosts 10,20,50,100] [--time-s 30] [--seed 1] [--envs FOLDER]

Clusters
--------
15 VMs a host, loaded unevenly at the start (`make_case`); groups of three to keep apart, pairs to keep together and
VMs bound to a few hosts, one in ten broken at the start. CPU is what the VMs use, memory what they are given.

Solvers
-------
drs             `advise`: as even as possible (`balance` with target 0), then the fewest GiB copied
drs, knee       `drs.pareto`: the plan of the frontier beyond which more balance becomes dear
proxlb-solver   CP-SAT; memory and CPU weighed alike, its most eager setting (`balanciness` 5), rules hard
rebalancer      Meta's local search, shifts and swaps; variance of CPU and of memory with upper bound 0, then
                the fewest GiB moved; rules as constraints under its default policy

Each runs in a process of its own (`peers_*.py`), the peers in environments of their own that this benchmark makes
on its first run and keeps in FOLDER. What cannot be installed is named and skipped. Wall and CPU time are those of
the whole process, imports included; one that is not done after twice the limit and a minute is ended and reported.

Every answer is judged alike: load and moves counted here, rules by drs's own checks, which share no code with its
solvers. `std` is the standard deviation of the hosts' load over their capacity; `broken` is the number of
violations, capacity included.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from drs.io import from_frames
from drs.model import Placement, Snapshot
from drs.problem import Problem
from drs.rules import KeepApart, KeepTogether, Rule, RunOn

MHZ_PER_CORE = 2400
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """A solver on PyPI, and the Python that it needs."""

    package: str
    script: str
    python: tuple[int, int]


PEERS = (
    Peer("proxlb-solver==0.1.1", "peers_proxlb.py", (3, 11)),
    Peer("rebalancer==1.0.4", "peers_rebalancer.py", (3, 12)),
)


def make_case(n_hosts: int, seed: int) -> dict[str, Any]:
    """A cluster as plain values, that all solvers are given alike.

    hosts : name -> {cores, memory_mib}; vms : name -> {host, vcpus, memory_mib, cpu_mhz}; apart, together : lists
    of VMs; run_on : VM -> hosts.
    """
    rng = np.random.default_rng([seed, n_hosts])
    n_vms = 15 * n_hosts
    vcpus = rng.choice([1, 2, 4, 8], n_vms, p=[0.35, 0.3, 0.25, 0.1])
    memory = 1024 * vcpus * rng.choice([2, 4, 8], n_vms, p=[0.4, 0.4, 0.2])
    busy = np.clip(rng.lognormal(-1.6, 0.8, n_vms), 0.02, 1.0)
    big = rng.random(n_hosts) < 0.5
    cores = np.where(big, 32, 24)
    room = np.where(big, 320, 256) * 1024
    hosts = [f"host-{i:03d}" for i in range(n_hosts)]
    vms = [f"vm-{i:04d}" for i in range(n_vms)]

    groups = iter(rng.permutation(n_vms).tolist())
    apart = [[next(groups) for _ in range(3)] for _ in range(n_hosts)]
    together = [[next(groups) for _ in range(2)] for _ in range(n_hosts // 5)]
    bound = {
        next(groups): rng.choice(n_hosts, max(2, n_hosts // 4), replace=False).tolist()
        for _ in range(n_hosts // 5)
    }
    partners = {vm: [other for other in group if other != vm] for group in apart for vm in group}
    twins = {second: first for first, second in together}
    where = np.full(n_vms, -1)
    free = room.astype(np.float64).copy()
    wish = rng.lognormal(0.0, 0.6, n_hosts)  # how much more some hosts are liked than others
    for vm in sorted(range(n_vms), key=lambda vm: (vm in twins, -memory[vm])):
        fits = free >= memory[vm]
        chosen = fits.copy()
        if rng.random() > 0.1:
            chosen[[where[other] for other in partners.get(vm, []) if where[other] >= 0]] = False
            if vm in bound:
                chosen &= np.isin(np.arange(n_hosts), bound[vm])
            if vm in twins and chosen[where[twins[vm]]]:
                chosen = np.arange(n_hosts) == where[twins[vm]]
        chosen = chosen if chosen.any() else fits
        weight = np.where(chosen, wish, 0.0)
        where[vm] = rng.choice(n_hosts, p=weight / weight.sum())
        free[where[vm]] -= memory[vm]
    return {
        "hosts": {name: {"cores": int(cores[i]), "memory_mib": int(room[i])} for i, name in enumerate(hosts)},
        "vms": {
            name: {
                "host": hosts[where[i]],
                "vcpus": int(vcpus[i]),
                "memory_mib": int(memory[i]),
                "cpu_mhz": round(float(busy[i] * vcpus[i] * MHZ_PER_CORE)),
            }
            for i, name in enumerate(vms)
        },
        "apart": [[vms[vm] for vm in group] for group in apart],
        "together": [[vms[vm] for vm in group] for group in together],
        "run_on": {vms[vm]: [hosts[host] for host in among] for vm, among in bound.items()},
        "mhz_per_core": MHZ_PER_CORE,
    }


def snapshot_of(case: dict[str, Any]) -> Snapshot:
    """A case as a snapshot."""
    hosts, vms = case["hosts"], case["vms"]
    return from_frames(
        {
            "hosts": pd.DataFrame(
                {
                    "host": list(hosts),
                    "cpu_mhz": [host["cores"] * case["mhz_per_core"] for host in hosts.values()],
                    "memory_mib": [host["memory_mib"] for host in hosts.values()],
                    "cpu_cores": [host["cores"] for host in hosts.values()],
                }
            ),
            "vms": pd.DataFrame(
                {
                    "vm": list(vms),
                    "host": [vm["host"] for vm in vms.values()],
                    "memory_mib": [vm["memory_mib"] for vm in vms.values()],
                    "cpu_demand_mhz": [vm["cpu_mhz"] for vm in vms.values()],
                    "vcpus": [vm["vcpus"] for vm in vms.values()],
                }
            ),
        }
    )


def rules_of(case: dict[str, Any]) -> list[Rule]:
    """A case's rules."""
    return [
        *(KeepApart(vms, name=f"apart {k}") for k, vms in enumerate(case["apart"])),
        *(KeepTogether(vms, name=f"together {k}") for k, vms in enumerate(case["together"])),
        *(RunOn(vm, hosts, name=f"{vm} bound") for vm, hosts in case["run_on"].items()),
    ]


def judge(case: dict[str, Any], after: dict[str, str]) -> dict[str, float]:
    """What an assignment is worth: spread of load, what moved, which rules are broken."""
    hosts, vms = case["hosts"], case["vms"]
    load = {name: [0.0, 0.0] for name in hosts}
    for name, vm in vms.items():
        load[after[name]][0] += vm["cpu_mhz"] / (hosts[after[name]]["cores"] * case["mhz_per_core"])
        load[after[name]][1] += vm["memory_mib"] / hosts[after[name]]["memory_mib"]
    cpu, memory = np.array(list(load.values())).T.std(axis=1)
    moved = [name for name, vm in vms.items() if after[name] != vm["host"]]
    snapshot = snapshot_of(case)
    position = snapshot.hosts.position
    placement = Placement(
        np.array([position[after[str(vm)]] for vm in snapshot.vms.name]), snapshot.disks.datastore_idx
    )
    return {
        "cpu std": float(cpu),
        "memory std": float(memory),
        "moves": len(moved),
        "GiB moved": sum(vms[name]["memory_mib"] for name in moved) / 1024,
        "broken": len(Problem(snapshot, rules_of(case)).check(placement)),
    }


def pythons() -> Iterator[str]:
    """Interpreters that may be on this machine, this one first."""
    yield sys.executable
    for minor in (14, 13, 12, 11):
        if found := shutil.which(f"python3.{minor}"):
            yield found
        if shutil.which("uv"):
            asked = subprocess.run(["uv", "python", "find", f"3.{minor}"], capture_output=True, text=True)
            if asked.returncode == 0:
                yield asked.stdout.strip()
    yield from map(str, sorted(Path.home().glob(".pyenv/versions/3.*/bin/python")))


def version_of(python: str) -> tuple[int, ...]:
    """Of an interpreter; (0, 0) when it does not run or has no `venv`."""
    ask = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    answer = subprocess.run([python, "-c", ask], capture_output=True, text=True)
    return tuple(map(int, answer.stdout.split())) if answer.returncode == 0 else (0, 0)


def install(peer: Peer, envs: Path) -> tuple[str, str]:
    """(the Python that has the peer, "") or ("", why there is none)."""
    env = envs / peer.package.replace("==", "-")
    python, done = env / "bin" / "python", env / "installed"
    if done.exists():
        return str(python), ""
    base = next((found for found in pythons() if (3, 14) >= version_of(found) >= peer.python), None)
    if base is None:
        return "", f"no Python {'.'.join(map(str, peer.python))} or newer with venv on this machine"
    for words in (
        [base, "-m", "venv", "--clear", str(env)],
        [str(python), "-m", "pip", "install", "--quiet", peer.package],
    ):
        answer = subprocess.run(words, capture_output=True, text=True)
        if answer.returncode:
            return "", (answer.stderr.strip().splitlines() or ["no word why"])[-1]
    done.touch()
    return str(python), ""


@dataclass(frozen=True)
class Run:
    """What came of one solver on one case."""

    after: dict[str, str] | None
    status: str
    wall_s: float
    cpu_s: float


def run(
    python: str, script: str, case: dict[str, Any], time_s: float, seed: int, options: tuple[str, ...] = ()
) -> Run:
    """Solve a case in a process of its own, under a time limit."""
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "case.json", Path(folder) / "answer.json"
        log = Path(folder) / "log.txt"
        given.write_text(json.dumps(case))
        began, longest_s = time.monotonic(), 2 * time_s + 60
        with log.open("w") as sink:
            process = subprocess.Popen(
                [python, str(HERE / script), str(given), str(answer), str(time_s), str(seed), *options],
                stdout=sink,
                stderr=sink,
            )
            pid, status, usage = 0, 0, None
            while pid == 0 and time.monotonic() - began < longest_s:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                time.sleep(0.02)
            if pid == 0:
                process.kill()
                _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        cpu = usage.ru_utime + usage.ru_stime if usage else 0.0
        if pid == 0:
            return Run(None, f"ended after {longest_s:g} s", wall, cpu)
        if process.returncode or not answer.exists():
            words = log.read_text(errors="replace").strip().splitlines() or ["no word why"]
            return Run(None, f"failed: {words[-1][:100]}", wall, cpu)
        said = json.loads(answer.read_text())
        missing = len(case["vms"].keys() - said["assignment"].keys()) if said["assignment"] else 0
        if missing:
            return Run(None, f"failed: no host for {missing} of {len(case['vms'])} VMs", wall, cpu)
        return Run(said["assignment"], said["status"], wall, cpu)


def main() -> int:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", default="10,20,50,100", help="sizes, with commas between them")
    parser.add_argument("--time-s", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--envs", type=Path, default=Path(tempfile.gettempdir()) / "drs-peers")
    args = parser.parse_args()
    solvers: dict[str, tuple[str, str, tuple[str, ...]]] = {
        "drs": (sys.executable, "peers_drs.py", ()),
        "drs, knee of the frontier": (sys.executable, "peers_drs.py", ("knee",)),
    }
    for peer in PEERS:
        python, why = install(peer, args.envs)
        if why:
            print(f"skipped {peer.package}: {why}", file=sys.stderr)
        else:
            solvers[peer.package.replace("==", " ")] = (python, peer.script, ())
    for python, script, options in solvers.values():
        if script == "peers_drs.py":  # compiles what is not yet cached
            run(python, script, make_case(4, 0), 1.0, 0, options)
    columns = ("cpu std", "memory std", "GiB moved", "moves", "broken")
    print("| hosts | VMs | solver | " + " | ".join(columns) + " | wall s | CPU s | status |")
    print("|---" * (len(columns) + 6) + "|")

    def row(size: int, name: str, found: dict[str, float] | None, rest: tuple[str, str, str]) -> None:
        figures = ["" for _ in columns]
        if found is not None:
            forms = (".4f", ".4f", ".0f", ".0f", ".0f")
            figures = [format(found[key], form) for key, form in zip(columns, forms, strict=True)]
        print("| " + " | ".join([str(size), str(15 * size), name, *figures, *rest]) + " |", flush=True)

    for size in map(int, args.hosts.split(",")):
        case = make_case(size, args.seed)
        row(size, "start", judge(case, {name: vm["host"] for name, vm in case["vms"].items()}), ("", "", ""))
        for name, (python, script, options) in solvers.items():
            came = run(python, script, case, args.time_s, args.seed, options)
            found = judge(case, came.after) if came.after else None
            row(size, name, found, (f"{came.wall_s:.1f}", f"{came.cpu_s:.1f}", came.status))
    return 0


if __name__ == "__main__":
    sys.exit(main())
