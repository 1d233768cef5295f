"""drs on one case of `peers.py`: CASE.json ANSWER.json TIME_S SEED [knee]."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from peers import rules_of, snapshot_of

import drs
from drs.goals import Balance, Moves
from drs.model import Placement, Snapshot
from drs.pareto import frontier
from drs.problem.policy import Policy
from drs.rules import Rule

GOALS = (Balance(target=0.0), Moves(by="gib", per_move_s=0.0))


def best(snapshot: Snapshot, rules: list[Rule], time_s: float, seed: int) -> tuple[Placement | None, str]:
    """The placement that the plan leads to, and the status."""
    result = drs.advise(snapshot, rules=rules, policy=Policy(goals=GOALS), time_s=time_s, seed=seed)
    return result.placement, result.status


def knee(snapshot: Snapshot, rules: list[Rule], time_s: float, seed: int) -> tuple[Placement | None, str]:
    """The knee of the frontier, or its best balance where it has none, and the status."""
    found = frontier(snapshot, rules=rules, policy=Policy(goals=GOALS), time_s=time_s, seed=seed)
    if not found.points:
        return None, found.status
    return found.points[-1 if found.knee is None else found.knee].placement, found.status


def main() -> None:
    """Solve and write the answer."""
    given, answer, time_s, seed, *asked = sys.argv[1:]
    case = json.loads(Path(given).read_text())
    snapshot = snapshot_of(case)
    solve = knee if asked == ["knee"] else best
    placement, status = solve(snapshot, rules_of(case), float(time_s), int(seed))
    after = None
    if placement is not None:
        hosts = snapshot.hosts.name.tolist()
        placed = zip(snapshot.vms.name.tolist(), placement.host_idx.tolist(), strict=True)
        after = {vm: hosts[host] for vm, host in placed}
    Path(answer).write_text(json.dumps({"assignment": after, "status": status}))


if __name__ == "__main__":
    main()
