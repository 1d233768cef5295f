"""proxlb-solver on one case of `peers.py`, in its own environment: CASE.json ANSWER.json TIME_S SEED.

It has no limit on CPU demand, only one on vCPUs per core; that is set so wide that it does not bind. It takes no
seed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from proxlb_solver.models import VM, Balancing, Cluster, Constraints, Expect, Node
from proxlb_solver.solver import solve_reachable

MIB = 1024 * 1024


def main() -> None:
    """Solve and write the answer."""
    given, answer, time_s, _ = sys.argv[1:]
    case = json.loads(Path(given).read_text())
    cluster = Cluster(
        name="peers",
        description="",
        balancing=Balancing(
            method="global_smart",
            balanciness=5,
            cpu_overcommit=16.0,
            w_global_mem=1,
            w_global_cpu=1,
            w_global_io=0,
        ),
        nodes=[
            Node(name=name, cpu_total=host["cores"], memory_total=host["memory_mib"] * MIB)
            for name, host in case["hosts"].items()
        ],
        vms=[
            VM(
                name=name,
                node=vm["host"],
                cpu=vm["vcpus"],
                memory=vm["memory_mib"] * MIB,
                cpu_usage=vm["cpu_mhz"] / case["mhz_per_core"],
                priority=1,
            )
            for name, vm in case["vms"].items()
        ],
        constraints=Constraints(
            anti_affinity=[{"name": f"apart{k}", "vms": vms} for k, vms in enumerate(case["apart"])],
            affinity=[{"name": f"together{k}", "vms": vms} for k, vms in enumerate(case["together"])],
            pin=[{"vm": vm, "nodes": hosts} for vm, hosts in case["run_on"].items()],
        ),
        expect=Expect(),
    )
    solution, _ = solve_reachable(cluster, total_time_limit_s=float(time_s))
    status = solution.stats.status.lower()
    if solution.feasible and not solution.path_feasible:
        status += ", no safe order"
    Path(answer).write_text(json.dumps({"assignment": solution.placements or None, "status": status}))


if __name__ == "__main__":
    main()
