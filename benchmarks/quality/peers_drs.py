"""drs on one case of `peers.py`: CASE.json ANSWER.json TIME_S SEED."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from peers import rules_of, snapshot_of

import drs
from drs.goals import Balance, Moves
from drs.policy import Policy


def main() -> None:
    """Solve and write the answer: the assignment that the plan leads to."""
    given, answer, time_s, seed = sys.argv[1:]
    case = json.loads(Path(given).read_text())
    result = drs.advise(
        snapshot_of(case),
        rules=rules_of(case),
        policy=Policy(goals=(Balance(target=0.0), Moves(by="gib", per_move_s=0.0))),
        time_s=float(time_s),
        seed=int(seed),
    )
    names, hosts = result.snapshot.vms.name.tolist(), result.snapshot.hosts.name.tolist()
    after = {vm: hosts[host] for vm, host in zip(names, result.placement.host_idx.tolist(), strict=True)}
    Path(answer).write_text(json.dumps({"assignment": after, "status": result.status}))


if __name__ == "__main__":
    main()
