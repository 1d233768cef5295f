"""The knee of drs's frontier on one case of `peers.py`: CASE.json ANSWER.json TIME_S SEED."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from peers import rules_of, snapshot_of

from drs.goals import Balance, Moves
from drs.pareto import frontier
from drs.policy import Policy


def main() -> None:
    """Compute the frontier and write the assignment of the knee, or of the best balance where it has none."""
    given, answer, time_s, seed = sys.argv[1:]
    case = json.loads(Path(given).read_text())
    snapshot = snapshot_of(case)
    found = frontier(
        snapshot,
        rules=rules_of(case),
        policy=Policy(goals=(Balance(target=0.0), Moves(by="gib", per_move_s=0.0))),
        time_s=float(time_s),
        seed=int(seed),
    )
    said: dict[str, object] = {"assignment": None, "status": found.status}
    if found.points:
        point = found.points[-1 if found.knee is None else found.knee]
        hosts = snapshot.hosts.name.tolist()
        placed = zip(snapshot.vms.name.tolist(), point.placement.host_idx.tolist(), strict=True)
        said["assignment"] = {vm: hosts[host] for vm, host in placed}
    Path(answer).write_text(json.dumps(said))


if __name__ == "__main__":
    main()
