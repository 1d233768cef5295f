"""What is the smallest purchase that restores N+k? Hosts, or memory modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drs import modes
from drs.capacity.answer import Answer
from drs.io.change_kinds import AddHosts, Part, SetColumn
from drs.io.changes import apply
from drs.model import Snapshot
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.problem.scope import clusters_of, hosts_of
from drs.rules import Rule

MOST_HOSTS = 16


def buy(
    snapshot: Snapshot,
    *,
    rules: Sequence[Rule] = (),
    policy: Policy | None = None,
    cluster: str | tuple[str, ...] = (),
    failures: int = 1,
    model: Mapping[str, Any] | None = None,
    module_gib: float = 64.0,
    time_s: float = 10.0,
) -> Answer:
    """The fewest hosts, or memory modules, with which each cluster survives `failures` host failures.

    Parameters
    ----------
    model : columns of the host that is bought, and `price`; one like the cluster's largest where not given.
    module_gib : a host's memory grows by so much at a time, every host of the cluster alike.
    """
    scope = hosts_of(snapshot, cluster)
    policy = policy or Policy()
    rows: list[dict[str, Any]] = []
    bindings, notes = (
        [],
        ["a link restores nothing here: HA restarts VMs from shared storage and sends no memory"],
    )
    total = 0
    for name in clusters_of(snapshot, scope):
        before = _verdict(snapshot, rules, policy, name, failures, time_s)
        if before.survives >= failures:
            rows.append({"cluster": name, "purchase": "nothing", "amount": 0, "holds": True, "proven": True})
            continue
        if before.worst is not None:
            bindings.append(
                f"{name}: when {', '.join(before.worst.failed)} fails, {', '.join(before.worst.vms[:3])} cannot restart"
            )
        at = snapshot.clusters.position[name]
        member = np.flatnonzero(snapshot.hosts.cluster_idx == at)
        like = str(snapshot.hosts.name[member[np.argmax(snapshot.hosts.memory_mib[member])]])
        columns = {key: value for key, value in (model or {}).items() if key != "price"}

        def hosts(n: int, like: str = like, columns: dict[str, Any] = columns) -> list[Part]:
            return [AddHosts(like=like, count=n, name="new", columns={"state": "connected", **columns})]

        def modules(n: int, member: Any = member) -> list[Part]:
            return [
                SetColumn(table="hosts", rows=str(snapshot.hosts.name[h]), column="memory_mib",
                          value=float(snapshot.hosts.memory_mib[h]) + n * module_gib * 1024)
                for h in member
            ]  # fmt: skip

        for what, change in (("hosts", hosts), (f"modules of {module_gib:g} GiB in each host", modules)):
            n, proven = _least(change, snapshot, rules, policy, name, failures, time_s)
            rows.append({"cluster": name, "purchase": what, "amount": n, "holds": n is not None, "proven": proven,
                         "bought": (n or 0) * (len(member) if what != "hosts" else 1),
                         "price": (n or 0) * float((model or {}).get("price", np.nan))
                         if what == "hosts" else np.nan})  # fmt: skip
            if n is None:
                notes.append(f"{name}: no number of {what} up to {MOST_HOSTS} restores N+{failures}")
            elif what == "hosts":
                total += n
    needed = [row for row in rows if row["purchase"] != "nothing"]
    if not needed:
        sentence = f"nothing: N+{failures} holds in every cluster"
    else:
        said = [
            f"{row['cluster']}: {row['amount']} {row['purchase']}"
            for row in needed
            if row["amount"] is not None
        ]
        sentence = "; or ".join(said) if said else "no purchase of these kinds restores it"
    proven = all(row["proven"] for row in rows)
    proof = (
        "with one less some combination of failures is not survived"
        if needed
        else "every combination was looked at"
    )
    return Answer(
        "buy",
        float(total),
        "hosts",
        sentence,
        proof,
        proven,
        "; ".join(bindings) or "nothing",
        tuple(rows),
        tuple(notes),
    )


def _verdict(
    snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, cluster: str, failures: int, time_s: float
) -> modes.Admission:
    problem = Problem(snapshot, rules, policy)
    return modes.admission(problem, failures, cluster=cluster, time_s=time_s).clusters[0]


def _least(
    change: Any,
    snapshot: Snapshot,
    rules: Sequence[Rule],
    policy: Policy,
    cluster: str,
    failures: int,
    time_s: float,
) -> tuple[int | None, bool]:
    """The least amount that restores N+k, by doubling and halving: more never hurts; and whether one less is proven
    to be too little."""

    def verdict(n: int) -> modes.Admission:
        edited = apply(snapshot, change(n), rules, policy)
        return _verdict(edited.snapshot, edited.rules, edited.policy, cluster, failures, time_s)

    low, high = 0, 1
    while verdict(high).survives < failures:
        low, high = high, high * 2
        if high > MOST_HOSTS:
            return None, False
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if verdict(middle).survives >= failures else (middle, high)
    less = verdict(low) if low else _verdict(snapshot, rules, policy, cluster, failures, time_s)
    return high, less.worst is not None and less.worst.proven
