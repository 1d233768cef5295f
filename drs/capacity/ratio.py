"""What is consolidation worth? Hosts off against what it risks, as a frontier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from drs.capacity.answer import Answer
from drs.model import Snapshot
from drs.model.load import metrics
from drs.problem.policy import Policy
from drs.problem.scope import clusters_of, hosts_of
from drs.rules import Rule
from drs.whatif.row import Base, answer
from drs.whatif.scenarios import Scenario
from drs.words import percent


def ratio(
    snapshot: Snapshot,
    *,
    rules: Sequence[Rule] = (),
    policy: Policy | None = None,
    cluster: str = "",
    failures: int = 1,
    most_off: int | None = None,
    iterations: int = 2000,
    seed: int = 0,
) -> Answer:
    """For 0, 1, 2, ... hosts off, the least loaded first: the load of the fullest host, the failures survived, the
    moves, and the power saved. The knee is the last that survives `failures`.

    Parameters
    ----------
    cluster : which; the largest where not given. most_off : so many at most.
    """
    names = clusters_of(snapshot, hosts_of(snapshot, cluster or ()))
    sizes = {
        name: int((snapshot.hosts.cluster_idx == snapshot.clusters.position[name]).sum()) for name in names
    }
    name = cluster if cluster in sizes else max(sizes, key=lambda each: sizes[each])
    member = np.flatnonzero(snapshot.hosts.cluster_idx == snapshot.clusters.position[name])
    member = member[snapshot.hosts.state[member] == "connected"]
    memory = np.bincount(
        np.maximum(snapshot.vms.host_idx, 0), weights=snapshot.demand("memory"), minlength=snapshot.n_hosts
    )
    order = member[np.argsort(memory[member] / np.maximum(snapshot.capacity("memory")[member], 1.0))]
    base = Base(snapshot, tuple(rules), policy or Policy())
    rows: list[dict[str, Any]] = []
    why = ""
    for n in range(min(len(order) - 1, len(order) if most_off is None else most_off) + 1):
        off = tuple(str(snapshot.hosts.name[h]) for h in order[:n])
        row = answer(base, n, Scenario(name=f"{n} off", evacuate=off, cluster=name, failures=failures + 1,
                                       iterations=iterations, seed=seed, also=("balance",) if n else ()))  # fmt: skip
        if (
            row["error"]
            or row["n_hard_broken"]
            or row["n_unplaced"]
            or row["status"] in ("infeasible", "no_solution")
        ):
            why = (
                row["error"].splitlines()[0]
                if row["error"]
                else f"{off[-1] if off else 'a rule'} cannot be emptied"
            )
            break
        idle = snapshot.hosts.power_idle_w[order[:n]]
        rows.append(
            {
                "hosts_off": n, "hosts": ", ".join(off), "survives": row["survives"], "n_moves": row["n_moves"],
                "cpu_max_ratio": row["cpu_max_after"], "memory_max_ratio": row["memory_max_after"],
                "makespan_s": row["makespan_s"], "power_saved_w": float(np.nansum(idle)) if n else 0.0,
            }
        )  # fmt: skip
        if row["survives"] == 0 and n:
            why = f"with {n} off no host failure is survived"
            break
    good = [row for row in rows if row["survives"] >= failures]
    best = good[-1] if good else None
    figures = metrics(snapshot, base_placement(snapshot))
    if best is None:
        sentence = f"{name}: N+{failures} does not hold even with every host on"
    else:
        sentence = f"{name}: {best['hosts_off']} of {len(member)} hosts can be off with N+{failures}"
        memory_top, cpu_top = best["memory_max_ratio"], best["cpu_max_ratio"]
        sentence += f"; the fullest host is then at {percent(memory_top)} memory, {percent(cpu_top)} CPU"
    proof = "each point is a verified plan, all combinations of failures looked at; other hosts may be better"
    notes = (
        ()
        if np.isfinite(snapshot.hosts.power_idle_w[member]).all()
        else ("power is not known of every host",)
    )
    binding = why or f"memory is at {percent(figures['memory']['mean'])} on average today"
    return Answer("ratio", float(best["hosts_off"]) if best else None, "hosts off", sentence, proof, False, binding,
                  tuple(rows), notes)  # fmt: skip


def base_placement(snapshot: Snapshot) -> Any:
    """Where everything is today."""
    from drs.model import Placement

    return Placement.of(snapshot)
