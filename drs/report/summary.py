"""A large plan in a few lines: the moves that matter, a line for each cluster, and what was not touched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drs import words
from drs.explain.imbalance import imbalances
from drs.planning import Move
from drs.result import Purpose, Result
from drs.rules import Violation

MOST_MOVES = 20
"""A plan with more moves is told by those that matter most."""
MOST_CLUSTERS = 4
"""A command that mends names so many clusters at most; else it is about all of them."""
FIRST: tuple[Purpose, ...] = ("asked", "repair", "wish", "goal", "room")
"""What matters more: what was asked, then what is broken, then gains."""


@dataclass(frozen=True, slots=True)
class ClusterMoves:
    """What a plan does in one cluster: its moves, the data they send, and from the first start to the last end."""

    cluster: str
    n_moves: int
    transferred_mib: float
    duration_s: float


def that_matter(result: Result, most: int = MOST_MOVES) -> list[Move]:
    """So many moves at most, in the order of the plan: those for the request first, repairs, then the largest gain."""
    if result.plan is None:
        return []
    reasons = {reason.vm: reason for reason in result.reasons}
    goals = [score.name for score in result.goals]

    def key(move: Move) -> tuple[float, ...]:
        reason = reasons.get(move.vm)
        if reason is None:
            return (len(FIRST), *[0.0] * len(goals), move.step)
        gains = [-reason.gains.get(goal, 0.0) for goal in goals]
        return (FIRST.index(reason.purpose), *gains, move.step)

    return sorted(sorted(result.plan.moves, key=key)[:most], key=lambda move: move.step)


def by_cluster(result: Result) -> list[ClusterMoves]:
    """What the plan does in each cluster that its moves lead to, the most moves first."""
    snapshot, found = result.snapshot, dict[str, list[Move]]()
    for move in result.plan.moves if result.plan else ():
        cluster = int(snapshot.hosts.cluster_idx[snapshot.hosts.position[move.to_host]])
        found.setdefault(str(snapshot.clusters.name[cluster]), []).append(move)
    rows = [
        ClusterMoves(
            name,
            len(moves),
            sum(move.transferred_mib for move in moves),
            max(move.end_s for move in moves) - min(move.start_s for move in moves),
        )
        for name, moves in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.n_moves, row.cluster))


def problems(result: Result, violations: tuple[Violation, ...]) -> tuple[Violation, ...]:
    """Broken rules as an administrator counts them: a host that must empty is one problem, however many VMs it has."""
    request = result.problem.request
    emptying = {"host-state", *(rule.label for rule in request.rules)} if request else {"host-state"}
    found: dict[tuple[str, ...], list[Violation]] = {}
    for number, each in enumerate(violations):
        one_place = each.rule in emptying and len(each.hosts) == 1
        found.setdefault((each.rule, *each.hosts) if one_place else (str(number),), []).append(each)
    return tuple(group[0] if len(group) == 1 else _as_one(group) for group in found.values())


def _as_one(group: list[Violation]) -> Violation:
    vms = tuple(dict.fromkeys(vm for each in group for vm in each.vms))
    first = group[0]
    sentence = f"{words.count(len(vms), 'VM')} on {first.hosts[0]}: {first.sentence}"
    return Violation(first.rule, vms, first.hosts, sum(each.amount for each in group), first.unit, sentence)


def not_touched(result: Result, source: str = "SNAPSHOT") -> str:
    """What is broken or uneven today and was no part of what was asked, with the command that would mend it; "" for
    nothing."""
    snapshot, problem = result.snapshot, result.problem
    whole = problem.request is None and problem.scope is None
    if whole or (problem.request is not None and "balance" in problem.request.also and problem.scope is None):
        return ""
    disks = {rule.label for rule in problem.rules_in_force if rule.items == "disks"}
    broken = problems(result, result.untouched)
    uneven = [] if result.mode in ("storage", "consolidate") else _uneven(result)
    mine = [each for each in broken if each.rule not in disks]
    parts = []
    if broken:
        parts.append(words.count(len(broken), "broken rule"))
    if uneven:
        parts.append(f"{words.count(len(uneven), 'uneven cluster')} ({words.some(uneven)})")
    if not parts:
        return ""
    commands = []
    if mine or uneven:
        names = sorted({*uneven, *(name for each in mine for name in _clusters(result, each))})
        everywhere = any(not _clusters(result, each) for each in mine) or len(names) > MOST_CLUSTERS
        few = len(names) < len(set(snapshot.hosts.cluster_idx.tolist())) and not everywhere
        commands.append(" ".join(["drs advise", source, *(f"--cluster {name}" for name in names if few)]))
    if len(mine) < len(broken):
        commands.append(f"drs advise {source} --mode storage")
    return f"Not part of what was asked and left as today: {' and '.join(parts)}. To mend it: {'; '.join(commands)}"


def _clusters(result: Result, violation: Violation) -> set[str]:
    """The clusters of the hosts and VMs that a broken rule names."""
    snapshot, home = result.snapshot, result.problem.today.host_idx
    hosts = [snapshot.hosts.position[host] for host in violation.hosts if host in snapshot.hosts.position]
    at = [int(home[snapshot.vms.position[vm]]) for vm in violation.vms if vm in snapshot.vms.position]
    hosts += [host for host in at if host >= 0]
    return {str(snapshot.clusters.name[c]) for c in np.unique(snapshot.hosts.cluster_idx[hosts]).tolist()}


def _uneven(result: Result) -> list[str]:
    """Clusters that are less even today than their threshold tolerates, and that no balance was asked for."""
    problem, snapshot = result.problem, result.snapshot
    asked = problem.request is None or "balance" in problem.request.also
    inside = set()
    if asked and problem.scope is not None:
        inside = {int(c) for c in snapshot.hosts.cluster_idx[problem.scope]}
    today = imbalances(problem, np.asarray(problem.today.host_idx))
    over = [each for each in today if each.value > each.tolerated * (1 + 1e-9) + 1e-12]
    return sorted({each.cluster for each in over if snapshot.clusters.position[each.cluster] not in inside})


def stage_sentences(result: Result) -> list[str]:
    """Which part of the plan this is, or where a long plan bends."""
    if result.stage is not None:
        return result.stage.sentences()
    return result.curve.sentences() if result.curve is not None else []


__all__ = ["ClusterMoves", "by_cluster", "not_touched", "problems", "stage_sentences", "that_matter"]
