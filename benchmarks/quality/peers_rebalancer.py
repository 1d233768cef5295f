"""Meta's rebalancer on one case of `peers.py`, in its own environment: CASE.json ANSWER.json TIME_S SEED.

Its enumerations are the numbers of its Thrift files: the binding takes no names for them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rebalancer import ProblemSolver

ABSOLUTE, RELATIVE_UTIL, VARIANCE = 1, 3, 6
ONE = {"type": ABSOLUTE, "globalLimit": 1}


def main() -> None:
    """Solve and write the answer."""
    given, answer, time_s, seed = sys.argv[1:]
    case = json.loads(Path(given).read_text())
    hosts, vms = case["hosts"], case["vms"]
    on: dict[str, list[str]] = {host: [] for host in hosts}
    for name, vm in vms.items():
        on[vm["host"]].append(name)
    solver = ProblemSolver(service_name="drs", service_scope="peers")
    solver.set_object_name("vm").set_container_name("host").set_assignment(on)
    room = {
        "cpu": {name: float(host["cores"] * case["mhz_per_core"]) for name, host in hosts.items()},
        "memory": {name: float(host["memory_mib"]) for name, host in hosts.items()},
    }
    need = {"cpu": "cpu_mhz", "memory": "memory_mib"}
    for resource, capacity in room.items():
        solver.add_object_dimension(resource, {name: float(vm[need[resource]]) for name, vm in vms.items()})
        solver.add_container_dimension(resource, capacity)
        limit = {"name": f"{resource} fits", "scope": "host", "dimension": resource}
        solver.add_constraint({"capacitySpec": limit})
    solver.add_partition("apart", {f"apart{k}": group for k, group in enumerate(case["apart"])})
    solver.add_partition("together", {f"together{k}": group for k, group in enumerate(case["together"])})
    apart = {"name": "apart", "scope": "host", "partitionName": "apart", "limit": ONE}
    together = {"name": "together", "scope": "host", "partitionName": "together", "limits": ONE}
    elsewhere = [
        {"object": vm, "scopeItems": [host for host in hosts if host not in among]}
        for vm, among in case["run_on"].items()
    ]
    solver.add_constraint({"groupCountSpec": apart})
    solver.add_constraint({"colocateGroupsSpec": together})
    solver.add_constraint(
        {"avoidAssignmentsSpec": {"name": "bound", "scope": "host", "assignments": elsewhere}}
    )
    for resource in room:
        even = {"name": f"{resource} even", "scope": "host", "dimension": resource, "upperBound": 0.0}
        solver.add_goal({"balanceSpec": {**even, "formula": VARIANCE, "boundType": RELATIVE_UTIL}})
    solver.add_goal_boundary()
    solver.add_goal({"minimizeMovementSpec": {"name": "moves", "scope": "host", "dimension": "memory"}})
    moves = [{"singleMoveTypeSpec": {}}, {"swapMoveTypeSpec": {}}]
    search = {"solveTime": int(float(time_s)), "randomSeed": int(seed), "moveTypeList": moves}
    solver.add_solver({"localSearchSolverSpec": search})
    solution = solver.solve()
    reasons = {1: "optimal", 2: "time limit", 3: "move limit", 9: "no more moves", 11: "no better move"}
    end = solution["solverSummaries"][-1]["endReason"] if solution["solverSummaries"] else "?"
    status = reasons.get(end, str(end).lower().replace("_", " "))
    Path(answer).write_text(json.dumps({"assignment": dict(solution["assignment"]), "status": status}))


if __name__ == "__main__":
    main()
