"""How tight the bounds are, and which exact engine proves what: `python benchmarks/quality/bounds.py [--quick]`.

Random clusters (lognormal cpu, memory in powers of two, three compatibility classes, keep-apart groups, a
limit on moves) at growing sizes; for every one the Lagrangian bound against the best known score, and the
exact engines against each other. One CSV on standard output.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time

import numpy as np

from drs.solvers import find
from drs.solvers import levels as order
from drs.solvers.bounds import lower_bounds
from drs.stop import Run, Stop
from drs.terms import (
    Allowed,
    AtMost,
    Capacity,
    Deviation,
    Level,
    Lowered,
    MoveCost,
    MoveLimit,
    Wall,
    Weighted,
)


def cluster(n_hosts: int, n_vms: int, max_moves: int, measure: str = "std", seed: int = 0) -> Lowered:
    """A skewed cluster at 55 % cpu and 60 % memory."""
    rng = np.random.default_rng(seed)
    cpu_limit, memory_limit = np.full(n_hosts, 40_000.0), np.full(n_hosts, 196_608.0)
    cpu = rng.lognormal(0, 1, n_vms)
    cpu = np.ceil(cpu / cpu.sum() * cpu_limit.sum() * 0.55)
    memory = 2.0 ** rng.integers(10, 15, n_vms)
    memory = np.ceil(memory / memory.sum() * memory_limit.sum() * 0.6)
    pull = rng.dirichlet(np.full(n_hosts, 2.0)) + 1e-6
    start, use = np.full(n_vms, -1, dtype=np.int32), np.zeros(n_hosts)
    for vm in rng.permutation(n_vms):
        room = np.flatnonzero(use + memory[vm] <= memory_limit)
        start[vm] = rng.choice(room, p=pull[room] / pull[room].sum())
        use[start[vm]] += memory[vm]
    kind = rng.integers(0, 3, n_vms).astype(np.int32)
    mask = np.ones((3, n_hosts), dtype=np.bool_)
    mask[1, : n_hosts // 3], mask[2, n_hosts // 2 :] = False, False
    hosts = np.arange(n_hosts, dtype=np.int32)
    walls = [
        Wall(Allowed(kind, mask).relaxed(start), "evc"),
        Wall(Capacity("memory", memory, memory_limit).relaxed(start), "memory"),
        Wall(MoveLimit(np.ones(n_vms), float(max_moves)), "max_moves"),
    ]
    for _ in range(max(4, n_vms // 100)):
        group = rng.choice(n_vms, 4, replace=False).astype(np.int32)
        walls.append(Wall(AtMost(group, hosts, np.ones(n_hosts)).relaxed(start), "apart"))
    spread = tuple(
        Weighted(Deviation(name, demand, limit, hosts, measure))  # type: ignore[arg-type]
        for name, demand, limit in (("cpu", cpu, cpu_limit), ("memory", memory, memory_limit))
    )
    levels = (
        Level("not_worse", (Weighted(Capacity("cpu", cpu, cpu_limit)),), role="not_worse"),
        Level("balance", spread),
        Level("moves", (Weighted(MoveCost(memory)),)),
    )
    return Lowered(n_vms, n_hosts, start, tuple(walls), levels)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, short times")
    quick = parser.parse_args().quick
    out = csv.writer(sys.stdout)
    out.writerow(["size", "measure", "engine", "seconds", "level", "score", "bound", "gap_ratio", "status"])
    sizes = [(6, 40, 4), (10, 120, 6), (10, 120, 12), (32, 640, 15), (64, 1250, 50)]
    for n_hosts, n_vms, max_moves in sizes[: 2 if quick else None]:
        for measure in ("std", "mad", "max", "range") if n_hosts <= 10 else ("std",):
            lowered = cluster(n_hosts, n_vms, max_moves, measure)
            size = f"{n_hosts}x{n_vms} M={max_moves}"
            engines = ["greedy", "auto"] + (["cpsat", "highs"] if n_hosts <= 10 else [])
            for engine in engines:
                from drs.solvers.exact import cpsat

                stop = Stop(5.0 if quick else 30.0).begin()
                began = time.monotonic()
                if engine in ("cpsat", "highs"):
                    answer = cpsat.solve(lowered, lowered.start, Run(stop, 1), engine=engine)
                else:
                    answer = find(engine)(lowered, lowered.start, Run(stop, 1))
                rows(out, size, measure, engine, time.monotonic() - began, lowered, answer.scores,
                     answer.bounds, answer.status)  # fmt: skip
                if engine == "auto":
                    began = time.monotonic()
                    alone = lower_bounds(lowered, answer.scores, Stop(20.0).begin(), assign=answer.assign)
                    rows(out, size, measure, "lagrange", time.monotonic() - began, lowered, answer.scores,
                         alone, order.status(lowered, answer.scores, alone))  # fmt: skip
            sys.stdout.flush()


def rows(out, size, measure, engine, seconds, lowered, scores, bounds, status) -> None:  # type: ignore[no-untyped-def]
    """One row per level."""
    for level, score, bound in zip(lowered.levels, scores, bounds, strict=True):
        gap = 0.0 if score <= bound else (score - bound) / score
        out.writerow([size, measure, engine, f"{seconds:.2f}", level.name, f"{score:.6g}", f"{bound:.6g}",
                      f"{gap:.4f}", status])  # fmt: skip


if __name__ == "__main__":
    main()
