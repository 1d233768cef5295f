"""The placement of large invented clusters: time and memory beside what came of it.

    python benchmarks/speed/scale.py [--sizes 500x5000,1000x20000,5000x50000] [--time-s 60] [--seed 1]

Each size is solved in a process of its own, once by the greedy algorithm and once by the chooser `auto`; the
snapshot is made by `drs.datasets.make_cluster` with one cluster for about 64 hosts. `read s` is making the snapshot and
lowering the problem; `solve s` is the solver's own time, and `cores` the CPU time of the process over it: on a machine
that others use it says what the solver got, not what it could use. `uneven` counts the clusters that are not within
their policy's tolerance after the plan. Scores are those of every level of the default policy, with the bound that was
proven for it. `to beat` is what is known of the same problem from elsewhere: a plain annealing of a hundred lines in
one thread, each cluster by itself; or the aim where nothing is known.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from drs.problem import Problem
    from drs.result import Result

TO_BEAT = {
    (1000, 20000, 1): "14,537 s, 803 moves",
    (1000, 20000, 2): "13,397 s, 767 moves",
    (64, 640, 1): "779 s, 67 moves",
    (66, 1320, 1): "1,008 to 1,046 s, 50 to 53 moves",
    (5000, 50000, 1): "no cluster uneven, 6,500 moves at most",
}
"""By hosts, VMs and seed; only printed beside the figures."""


def one(n_hosts: int, n_vms: int, solver: str, time_s: float, seed: int) -> str:
    """One row of the table, measured in this process."""
    import drs
    from drs.datasets import make_cluster
    from drs.problem import Problem

    began = time.monotonic()
    snapshot = make_cluster(n_hosts, n_vms, seed, n_clusters=max(1, n_hosts // 64), fill_ratio=0.6)
    problem = Problem(snapshot)
    problem.lowered.scores(problem.lowered.start)
    made_s = time.monotonic() - began
    cpu_s = time.process_time()
    result = drs.solve(problem, solver=solver, time_s=time_s, seed=seed)
    solved_s = time.monotonic() - began - made_s
    cores = (time.process_time() - cpu_s) / solved_s
    moved = int(np.count_nonzero(result.placement.host_idx != snapshot.vms.host_idx))
    scores = "; ".join(f"{g.name} {g.before:.4g} → {g.after:.4g} (bound {g.bound:.4g})" for g in result.goals)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"| {n_hosts} × {n_vms} | {solver} | {made_s:.1f} | {solved_s:.1f} | {cores:.2f} | {peak_mib:.0f} | {moved} "
        f"| {uneven(problem, result)} of {len(snapshot.clusters.name)} | {len(problem.check(result.placement))} "
        f"| {scores} | {TO_BEAT.get((n_hosts, n_vms, seed), '')} |"
    )


def uneven(problem: Problem, result: Result) -> int:
    """Clusters of which a resource's spread is above its target."""
    from drs.terms import Deviation

    assign = np.asarray(result.placement.host_idx, dtype=np.int32)
    terms = [
        entry.term
        for level in problem.lowered.levels
        for entry in level.terms
        if isinstance(entry.term, Deviation)
    ]
    above = [term.bins.tobytes() for term in terms if term.cost(assign, problem.lowered.start) > 1e-6]
    return len(set(above))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="500x5000,1000x20000,5000x50000")
    parser.add_argument("--time-s", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help=argparse.SUPPRESS)  # solver of the one row of a child
    asked = parser.parse_args()
    sizes = [tuple(map(int, size.split("x"))) for size in asked.sizes.split(",")]
    if asked.only:
        ((n_hosts, n_vms),) = sizes
        print(one(n_hosts, n_vms, asked.only, asked.time_s, asked.seed))
        return
    columns = (
        "hosts × VMs | solver | read s | solve s | cores | peak MiB | moves | uneven | rules broken | scores"
    )
    print(f"| {columns} | to beat |\n{'|---' * 11}|", flush=True)
    for size in asked.sizes.split(","):
        for solver in ("greedy", "auto"):
            words = [
                sys.executable, __file__, "--sizes", size, "--time-s", f"{asked.time_s}", "--seed", f"{asked.seed}",
                "--only", solver,
            ]  # fmt: skip
            print(
                subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout,
                end="",
                flush=True,
            )


if __name__ == "__main__":
    main()
