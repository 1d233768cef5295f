"""Why a plan does no more: what is tolerated, what limits it, who is stuck, and the best single move that is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drs.explain.imbalance import Imbalance, balance_goal, imbalances, spread
from drs.goals.balance import threshold
from drs.model.network import Network
from drs.problem import Problem
from drs.result import Result
from drs.terms import MoveLimit
from drs.terms.base import Floats, Ints
from drs.terms.limits import usage
from drs.words import count, mebibytes, number, percent, seconds, some

MOST_TOLD = 5
"""So many clusters and stuck VMs are told."""
MOST_TRIED = 50
"""So many single moves, those that gain the most, are tried against the rules."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The imbalance of a cluster before and after the plan, and what is tolerated by what."""

    cluster: str
    resource: str
    before: float
    after: float
    tolerated: float
    source: str


@dataclass(frozen=True, slots=True)
class Stuck:
    """A VM of a hottest host that may go nowhere, and why."""

    vm: str
    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class SingleMove:
    """The best single move that the plan does not make.

    gain : by how much the cluster's imbalance, summed over resources, falls; from `before` to `after`. move_s,
    memory_gib : its price. why : why it is not made. change : what to change so that it is.
    """

    vm: str
    from_host: str
    to_host: str
    before: float
    after: float
    gain: float
    move_s: float
    memory_gib: float
    why: str
    change: str


@dataclass(frozen=True)
class NotMore:
    """Why a plan does no more than it does.

    spreads : the least even clusters after the plan, the worst first. limits : what bounds the plan, in words.
    hottest : the hottest host of the worst cluster, with its load. stuck : its VMs that may go nowhere.
    n_stuck, n_there : how many of how many.
    """

    spreads: tuple[Spread, ...]
    limits: tuple[str, ...] = ()
    hottest: str = ""
    stuck: tuple[Stuck, ...] = ()
    n_stuck: int = 0
    n_there: int = 0
    best: SingleMove | None = None

    def sentences(self) -> list[str]:
        """In words."""
        lines = []
        for each in self.spreads:
            verdict = "within" if each.after <= each.tolerated * (1 + 1e-9) + 1e-12 else "above"
            limit = "any (mandatory moves only)" if np.isinf(each.tolerated) else f"{each.tolerated:.3f}"
            lines.append(
                f"{each.cluster}: imbalance of {each.resource} {each.before:.3f} → {each.after:.3f}, {verdict} the "
                f"{limit} that {each.source} tolerates"
            )
        lines += self.limits
        if self.hottest:
            free = "all of its VMs may go elsewhere by the rules"
            if self.n_stuck:
                free = f"{self.n_stuck} of its {count(self.n_there, 'VM')} may go nowhere"
            lines.append(f"hottest host {self.hottest}: {free}")
        lines += [f"{each.vm} stays on {each.host}: {each.reason}" for each in self.stuck]
        if self.best is not None:
            move = self.best
            lines.append(
                f"best single move that is not made: {move.vm} from {move.from_host} to {move.to_host}; imbalance "
                f"{move.before:.3f} → {move.after:.3f}, price {seconds(move.move_s)} and "
                f"{mebibytes(1024 * move.memory_gib)}. {move.why}. {move.change}"
            )
        elif self.spreads:
            lines.append("no single move that the rules allow makes the worst cluster more even")
        return lines


def not_more(result: Result) -> NotMore | None:
    """Why the plan of a result does no more; None where the mode or the policy seeks no balance.

    Beside a request that does not balance it says so, and what would.
    """
    problem = result.problem
    if result.mode in ("storage", "upgrade-evc") or not problem.snapshot.n_hosts:
        return None
    limits = tuple(_limits(result))
    request = problem.request
    if request is not None and "balance" not in request.also:
        said = "a request moves no VM for the balance; also = balance asks for it in the same plan"
        return NotMore((), (*limits, said))
    host_idx = np.asarray(result.placement.host_idx)
    before = {
        (each.cluster, each.resource): each
        for each in imbalances(problem, np.asarray(problem.today.host_idx))
    }
    after = _taking_part(problem, imbalances(problem, host_idx))
    if not after:
        goals = ", ".join(goal.type for goal in problem.goals) or "none"
        return NotMore((), (*limits, f"no even load is asked for: the goals are {goals}"))
    # By what is above the tolerance, then by what is there at all.
    after.sort(key=lambda each: (-max(0.0, each.value - each.tolerated), -each.value))
    spreads = tuple(
        Spread(each.cluster, each.counted, before[each.cluster, each.resource].value, each.value, each.tolerated,
               each.source)
        for each in after[:MOST_TOLD]
    )  # fmt: skip
    worst = after[0]
    hot = _hottest(problem, host_idx, worst)
    there = [int(vm) for vm in np.flatnonzero(host_idx == hot) if problem.snapshot.vms.on[vm]]
    reasons = {each.vm: each.reason for each in result.immovable}
    names, host = problem.snapshot.vms.name, str(problem.snapshot.hosts.name[hot])
    stuck = [
        Stuck(str(names[vm]), host, reasons[str(names[vm])]) for vm in there if str(names[vm]) in reasons
    ]
    load = _loads(problem, host_idx, worst.resource)[hot]
    return NotMore(
        spreads, limits, f"{host} ({worst.counted} {percent(float(load))})", tuple(stuck[:MOST_TOLD]), len(stuck),
        len(there), _best(result, host_idx, worst, hot, after),
    )  # fmt: skip


SHORT = 0.85
"""Hosts that are fuller than this on average are short of capacity."""


def _limits(result: Result) -> Iterator[str]:
    """What bounds the plan besides the tolerance."""
    problem, snapshot = result.problem, result.snapshot
    n, most = len(result.moved_vms), problem.policy.limits.max_moves
    if result.stage is not None and result.stage.left:
        yield f"only a stage of the plan was asked for: {result.stage.asked}"
    if result.interrupted:
        yield "the search was stopped: more may be possible"
    elif result.status == "feasible":
        yield "the search ended before it was proven that nothing better exists; more time (time_s) may find more"
    if most is not None and n >= most:
        yield f"max_moves = {most} allows no more moves"
    yield from _asleep(result)
    yield from _cut_off(result)
    waits = {str(snapshot.clusters.automation[c]) for c in np.unique(snapshot.hosts.cluster_idx).tolist()}
    if levels := sorted(waits - {"full", ""}):
        yield f"automation {' and '.join(levels)}: moves are recommendations that wait for approval"


def _cut_off(result: Result) -> Iterator[str]:
    """Hosts of one cluster between which no migration has a route: no VM goes there, however uneven the load."""
    snapshot, scope = result.snapshot, result.problem.scope
    up = snapshot.hosts.state == "connected"
    network = Network.of(snapshot) if up.any() else None
    for c in np.unique(snapshot.hosts.cluster_idx[up]).tolist():
        mine = np.flatnonzero((snapshot.hosts.cluster_idx == c) & up).astype(np.int32)
        if network is None or len(mine) < 2 or (scope is not None and not scope[mine].any()):
            continue
        bandwidth = np.asarray(network.paths(np.full(len(mine), mine[0], dtype=np.int32), mine)[0])
        away = mine[1:][~(bandwidth[1:] > 0)]
        if len(away):
            why = network.path(int(mine[0]), int(away[0])).reason or "no link joins them"
            names = some([str(name) for name in snapshot.hosts.name[away]])
            yield f"no VM of {snapshot.clusters.name[c]} goes between {snapshot.hosts.name[mine[0]]} and {names}: {why}"


def _asleep(result: Result) -> Iterator[str]:
    """Hosts in standby, where those that are on are short of capacity after the plan."""
    snapshot = result.snapshot
    asleep = snapshot.hosts.state == "standby"
    on = snapshot.hosts.state == "connected"
    for c in np.unique(snapshot.hosts.cluster_idx[asleep]).tolist():
        mine = snapshot.hosts.cluster_idx == c
        short = [resource for resource in ("cpu", "memory") if _is_short(result, resource, mine & on)]
        if short:
            names = some([str(name) for name in snapshot.hosts.name[mine & asleep]])
            yield (
                f"{snapshot.clusters.name[c]} is short of {' and '.join(short)}, and {names} in standby could help: "
                "mode consolidate plans whom to wake"
            )


def _is_short(result: Result, resource: str, hosts: NDArray[np.bool_]) -> bool:
    """Whether these hosts are fuller on average than `SHORT`, or one is over its capacity."""
    snapshot = result.snapshot
    # Memory that is configured and idle is reclaimed; what is active is missed.
    demand = snapshot.demand("cpu") if resource == "cpu" else snapshot.memory_active_mib * snapshot.vms.on
    use = usage(np.asarray(result.placement.host_idx), demand, snapshot.n_hosts)
    capacity = snapshot.capacity(resource)
    total = float(capacity[hosts].sum())
    over = (use[hosts] > capacity[hosts] * (1 + 1e-9)).any()
    return bool(over or (total > 0 and float(use[hosts].sum()) > SHORT * total))


def _taking_part(problem: Problem, found: Sequence[Imbalance]) -> list[Imbalance]:
    scope = problem.scope
    return [each for each in found if scope is None or scope[each.hosts].all()]


def _loads(problem: Problem, host_idx: Ints, resource: str) -> Floats:
    """Load over capacity of each host as the goal counts it, f8[n_hosts]."""
    goal, snapshot = balance_goal(problem), problem.snapshot
    assert goal is not None
    use = usage(host_idx, goal.load_demand(snapshot, resource), snapshot.n_hosts)
    return np.asarray(use / np.maximum(snapshot.capacity(resource), 1e-9))


def _hottest(problem: Problem, host_idx: Ints, worst: Imbalance) -> int:
    load = _loads(problem, host_idx, worst.resource)[worst.hosts]
    return int(worst.hosts[int(np.argmax(load))])


def _best(
    result: Result, host_idx: Ints, worst: Imbalance, hot: int, after: Sequence[Imbalance]
) -> SingleMove | None:
    """The move off the hottest host that makes its cluster most even and that no rule forbids."""
    problem, snapshot = result.problem, result.snapshot
    goal = balance_goal(problem)
    assert goal is not None
    vms = np.flatnonzero((host_idx == hot) & snapshot.vms.on)
    targets = worst.hosts[worst.hosts != hot]
    if not len(vms) or not len(targets):
        return None
    total = np.zeros((len(vms), len(targets)))
    now = 0.0
    for each in after:
        if each.cluster != worst.cluster:
            continue
        demand, capacity = goal.load_demand(snapshot, each.resource), snapshot.capacity(each.resource)
        load = _loads(problem, host_idx, each.resource)[each.hosts]
        at = {int(host): k for k, host in enumerate(each.hosts.tolist())}
        now += each.value
        for j, target in enumerate(targets.tolist()):
            loads = np.tile(load, (len(vms), 1))
            for host, sign in ((hot, -1.0), (target, 1.0)):
                if host in at:
                    loads[:, at[host]] += sign * demand[vms] / capacity[host]
            total[:, j] += spread(loads, goal.measure_by)
    gain = now - total
    walls = [wall for wall in problem.lowered.walls if not isinstance(wall.term, MoveLimit)]
    start, tried = problem.lowered.start, 0
    for flat in np.argsort(-gain, axis=None, kind="stable"):
        i, j = divmod(int(flat), len(targets))
        vm, target = int(vms[i]), int(targets[j])
        if gain[i, j] <= 1e-9 or tried == MOST_TRIED:
            return None
        if not problem.takes_part(vm) or not problem.allowed_hosts(vm)[target]:
            continue
        tried += 1
        moved = np.array(host_idx, dtype=np.int32)
        moved[vm] = target
        if any(wall.term.cost(moved, start) > 1e-6 for wall in walls):
            continue
        why, change = _why_not(result, worst, float(now), float(gain[i, j]))
        return SingleMove(
            str(snapshot.vms.name[vm]), str(snapshot.hosts.name[hot]), str(snapshot.hosts.name[target]), float(now),
            float(total[i, j]), float(gain[i, j]), float(problem.prices.move_s[vm]),
            float(problem.prices.memory_gib[vm]), why, change,
        )  # fmt: skip
    return None


def _why_not(result: Result, worst: Imbalance, before: float, gain: float) -> tuple[str, str]:
    """Why a move that gains something is not made, and what to change so that it is."""
    problem, snapshot = result.problem, result.snapshot
    goal = balance_goal(problem)
    assert goal is not None
    most = problem.policy.limits.max_moves
    if result.stage is not None and result.stage.left:
        return f"Only the stage {result.stage.asked} was asked for", "To get it, ask for the next stage"
    if worst.value <= worst.tolerated * (1 + 1e-9) + 1e-12:
        why = f"It is not made because the imbalance of {worst.value:.3f} is within what {worst.source} tolerates"
        if goal.target != "threshold":
            return why, "To get it, lower the target of the goal balance in policy.toml"
        level = int(snapshot.clusters.migration_threshold[snapshot.clusters.position[worst.cluster]])
        enough = [t for t in range(level + 1, 6) if threshold(t, len(worst.hosts)) < worst.value]
        first = (
            f"set migration_threshold of {worst.cluster} to {enough[0]} in clusters.csv, or "
            if enough
            else ""
        )
        return why, f"To get it, {first}set target = 0 for the goal balance in policy.toml"
    if most is not None and len(result.moved_vms) >= most:
        return f"It is not made because max_moves = {most} is used up", "To get it, raise max_moves"
    worth = goal.default_worth_ratio if goal.worth_ratio is None else goal.worth_ratio
    over = worst.value - worst.tolerated
    if not result.moved_vms and gain < worth * over:
        why = f"It is not made because it gains less than worth_ratio = {number(worth)} of what is above the tolerance"
        return why, "To get it, lower worth_ratio of the goal balance in policy.toml"
    if result.interrupted or result.status == "feasible":
        return (
            "It may still be made: the search ended before its proof",
            "To get it, give it more time (time_s)",
        )
    slack = goal.default_slack_ratio if goal.slack_ratio is None else goal.slack_ratio
    why = "It is not made because what comes first, or the price within slack_ratio, is against it"
    return (
        why,
        f"To get it, lower slack_ratio ({number(slack)}) of the goal balance, or change the order of goals",
    )


__all__ = ["NotMore", "SingleMove", "Spread", "Stuck", "not_more"]
