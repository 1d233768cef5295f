"""What does a maintenance weekend take? A rolling campaign over a cluster, against a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drs import api, modes
from drs.capacity.answer import Answer, listed
from drs.model import Snapshot
from drs.problem.policy import Policy
from drs.rules import Rule
from drs.words import percent, seconds


def weekend(
    snapshot: Snapshot,
    *,
    rules: Sequence[Rule] = (),
    policy: Policy | None = None,
    cluster: str = "",
    window_s: float = 48 * 3600.0,
    service_s: float = 3600.0,
    at_once: int | None = None,
    iterations: int | None = 2000,
    time_s: float | None = None,
    seed: int = 0,
) -> Answer:
    """Whether all hosts of a cluster can be emptied, serviced and taken back within a window, and what to leave out.

    Parameters
    ----------
    window_s : from the first move to the last host that is back. service_s : a host is away for so long.
    at_once : so many hosts together; the cluster's host failures where not given.
    """
    told = modes.rolling(
        api.advise, snapshot, rules=rules, policy=policy, cluster=cluster, at_once=at_once, service_s=service_s,
        iterations=iterations, time_s=time_s, seed=seed,
    )  # fmt: skip
    rows: list[dict[str, Any]] = []
    for step in told.steps:
        plan = step.result.plan
        rows.append(
            {
                "hosts": ", ".join(step.hosts), "start_s": step.start_s, "plan_s": step.plan_s,
                "service_s": step.service_s, "end_s": step.end_s, "n_moves": len(plan.moves) if plan else 0,
                "max_downtime_ms": plan.max_downtime_ms if plan else 0.0, "within": step.end_s <= window_s,
                "shut_down": ", ".join(step.shut_down),
            }
        )  # fmt: skip
    late = [row["hosts"] for row in rows if not row["within"]]
    blocked = [each.host for each in told.blocked]
    end_s = max((row["end_s"] for row in rows), default=0.0)
    fits = not late and not blocked
    n_within, n_steps = sum(row["within"] for row in rows), len(rows) + len(blocked)
    sentence = f"{told.cluster}: {n_within} of {n_steps} steps end within {seconds(window_s)}"
    sentence += f"; {told.n_moves} moves, the last host is back after {seconds(end_s)}"
    if not fits:
        sentence += f"; leave out {listed(late + blocked)}"
    longest = max(rows, key=lambda row: row["end_s"] - row["start_s"], default=None)
    if blocked:
        binding = f"{blocked[0]} cannot be emptied: {'; '.join(told.blocked[0].reasons[:2])}"
    elif longest is not None:
        share = longest["plan_s"] / max(longest["end_s"] - longest["start_s"], 1e-9)
        binding = f"{longest['hosts']} takes longest, {percent(share)} of it migrations, the rest service"
    else:
        binding = "nothing to do"
    proof = "each step is a verified plan, timed by the pre-copy model; a better order may exist"
    notes = tuple(f"{each.host}: {'; '.join(each.reasons[:3])}" for each in told.blocked)
    return Answer("weekend", end_s, "s", sentence, proof, False, binding, tuple(rows), notes, {"fits": fits})
