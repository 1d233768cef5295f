"""Which failures do we survive, today and in each month to come?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drs import modes
from drs.capacity.answer import Answer
from drs.io.change_kinds import Grow
from drs.io.changes import apply
from drs.model import Snapshot
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.problem.scope import clusters_of, hosts_of
from drs.rules import Rule


def survives(
    snapshot: Snapshot,
    *,
    rules: Sequence[Rule] = (),
    policy: Policy | None = None,
    cluster: str | tuple[str, ...] = (),
    failures: int = 2,
    growth_percent: float = 0.0,
    months: int = 0,
    every: int = 1,
    time_s: float = 10.0,
) -> Answer:
    """How many host failures each cluster survives where its VMs are, proven over all combinations, month by month.

    Parameters
    ----------
    failures : so many at most are looked at. growth_percent : of CPU and memory a month, compound.
    months, every : up to so many months, each `every` months. time_s : for each month.
    """
    scope = hosts_of(snapshot, cluster)
    names = clusters_of(snapshot, scope)
    rows: list[dict[str, Any]] = []
    first: dict[str, Any] | None = None
    for month in range(0, months + 1, max(1, every)):
        then, kept, chosen = snapshot, tuple(rules), policy
        if month and growth_percent:
            grow = Grow(cpu_percent=growth_percent, memory_percent=growth_percent, months=month)
            edited = apply(snapshot, [grow], rules, policy)
            then, kept, chosen = edited.snapshot, edited.rules, edited.policy
        problem = Problem(then, kept, chosen or Policy())
        report = modes.admission(problem, failures, cluster=names, time_s=time_s)
        for each in report.clusters:
            wanted = max(each.wanted, 1)
            row = {
                "month": month, "cluster": each.cluster, "survives": each.survives, "wanted": wanted,
                "asked": each.asked, "holds": each.survives >= min(wanted, each.asked), "complete": each.complete,
                "fails_with": ", ".join(each.worst.failed) if each.worst else "",
                "stranded": ", ".join(each.worst.vms[:5]) if each.worst else "",
                "proven": each.complete and (each.worst is None or each.worst.proven),
            }  # fmt: skip
            rows.append(row)
            if first is None and not row["holds"]:
                first = row
    today = [row for row in rows if row["month"] == 0]
    least = min(today, key=lambda row: row["survives"])
    sentence = f"today any {least['survives']} host failure{'s' * (least['survives'] != 1)} are survived"
    if first is None:
        sentence += f"; N+k holds for {months} months" if months else "; N+k holds"
    elif first["month"] == 0:
        sentence += f"; {first['cluster']} is to survive {first['wanted']} and does not"
    else:
        sentence += f"; {first['cluster']} no longer survives {first['wanted']} from month {first['month']}"
    weak = first or least
    binding = (
        f"{weak['cluster']}: when {weak['fails_with']} fails, {weak['stranded']} cannot restart" if weak["fails_with"]
        else f"nothing up to {failures} failures"
    )  # fmt: skip
    proven = all(row["proven"] for row in rows)
    proof = (
        f"every combination of up to {failures} hosts was looked at"
        if proven
        else "not all could be looked at in time"
    )
    return Answer(
        "survives", float(least["survives"]), "host failures", sentence, proof, proven, binding, tuple(rows)
    )
