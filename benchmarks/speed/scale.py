"""The placement of large invented clusters: time and memory beside what came of it.

    python benchmarks/speed/scale.py [--sizes 500x5000,1000x20000,5000x50000] [--time-s 60] [--seed 1]

Each size is solved in a process of its own, once by the greedy algorithm and once by the chooser `auto`; the
snapshot is made by `drs.datasets.make_cluster` with one cluster for about 64 hosts. `read s` is making the snapshot and
lowering the problem; `solve s` is the solver's own time. Scores are those of every level of the default
policy, with the bound that was proven for it.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np


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
    result = drs.solve(problem, solver=solver, time_s=time_s, seed=seed)
    solved_s = time.monotonic() - began - made_s
    moved = int(np.count_nonzero(result.placement.host_idx != snapshot.vms.host_idx))
    scores = "; ".join(f"{g.name} {g.before:.4g} → {g.after:.4g} (bound {g.bound:.4g})" for g in result.goals)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"| {n_hosts} × {n_vms} | {solver} | {made_s:.1f} | {solved_s:.1f} | {peak_mib:.0f} | {moved} "
        f"| {len(problem.check(result.placement))} | {scores} |"
    )


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
    print("| hosts × VMs | solver | read s | solve s | peak MiB | moves | rules broken | scores |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
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
