"""As few and as thrifty hosts on as the rules allow: which to power off, which to wake when load rises.

The problem: no host above the load at which it needs help (`max_load_ratio` of the policy's `[power]`, as a
rule on cpu and memory beside the user's own), then the power of the hosts that are on, then cheap moves.
Hosts in standby may be used, at the price of their power: where the load has risen they are woken because the load
rule comes first. Of the hosts that the plan empties as few stay on as a failure of `reserve_hosts` needs
(checked by `drs.modes.admission`, not by percentage); the rest goes to standby, the thirstiest first.

Hosts' idle and maximal power interpolate linearly over cpu load (Fan, Weber, Barroso: Power Provisioning for
a Warehouse-sized Computer, ISCA 2007).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from drs.goals import Consolidate, Moves
from drs.model import Snapshot
from drs.modes.admission import admission
from drs.modes.base import Mode, Options, Solve, in_state, some
from drs.policy import Policy
from drs.problem import Problem
from drs.result import Result
from drs.rules import Failover, HostCapacity, Rule
from drs.rules.base import Judge
from drs.rules.host_state import HostState
from drs.stop import OnProgress, Stop
from drs.terms import Allowed
from drs.terms.base import Bools, Floats, Ints
from drs.terms.limits import usage

ADMISSION_S = 3.0
"""Time for one look at the failures of a cluster, at most."""
TRIES = 4
"""So often a packing is sought from which failures are survived; the last time clusters whose reserve could not be
kept are not packed at all."""
LOOSER = 0.9
"""Of the load that a host may have, where the packing before was too tight."""
TRY_SHARE = 0.35
"""Of the time left, for one of them; the last one takes nearly all."""


@dataclass(frozen=True)
class MayWake(HostState):
    """The built-in rule on host states, except that a host in standby counts as connected."""

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        return HostState.allowed(self, _awake(snapshot))

    def judge(self, snapshot: Snapshot) -> Judge:
        return HostState.judge(self, _awake(snapshot))


def _awake(snapshot: Snapshot) -> Snapshot:
    asleep = [str(name) for name in snapshot.hosts.name[snapshot.hosts.state == "standby"]]
    return in_state(snapshot, asleep, "connected")


@dataclass(frozen=True)
class Consolidation:
    """Which hosts change their state.

    power_off : empty after the plan and not needed. wake : in standby today, used by the plan.
    spare : empty, but kept on so that `reserve` failures are survived. survives : per cluster, the failures
        that the hosts left on survive (as far as was looked). watts_before, watts_after : of all hosts, where
        their power is known, else None. least_on : no fewer hosts could bear the load (`least_hosts`).
    """

    power_off: tuple[str, ...]
    wake: tuple[str, ...]
    spare: tuple[str, ...]
    n_on_before: int
    n_on_after: int
    reserve: dict[str, int]
    survives: dict[str, int]
    watts_before: float | None
    watts_after: float | None
    least_on: int = 0

    @property
    def host_states(self) -> dict[str, str]:
        """The state of the hosts that change it."""
        return dict.fromkeys(self.wake, "connected") | dict.fromkeys(self.power_off, "standby")

    def sentences(self) -> list[str]:
        """In words."""
        lines = [
            f"{self.n_on_before} hosts on today, {self.n_on_after} after the plan; by their load alone "
            f"{self.least_on} would do"
        ]
        if self.wake:
            lines.append(f"wake first: {some(self.wake, 20)}")
        if self.power_off:
            lines.append(f"then to standby: {some(self.power_off, 20)}")
        if self.spare:
            lines.append(f"empty but kept on as reserve: {some(self.spare, 20)}")
        for cluster, survives in self.survives.items():
            wanted = self.reserve.get(cluster, 0)
            short = "" if survives >= wanted else f"; {wanted} wanted, NOT met"
            lines.append(f"{cluster} then survives the loss of any {survives} of the hosts left on{short}")
        if self.watts_before is not None and self.watts_after is not None:
            saved = self.watts_before - self.watts_after
            kwh = f"{abs(saved) * 8.766:,.0f} kWh a year {'saved' if saved >= 0 else 'more'}"
            lines.append(f"power {self.watts_before:,.0f} W → {self.watts_after:,.0f} W, {kwh}")
        return lines


def pose(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, options: Options) -> Problem:
    """Standby hosts may be used; nobody above the load that needs help; then power, then moves."""
    goals = tuple(goal for goal in policy.goals if isinstance(goal, Consolidate)) or (Consolidate(),)
    moves = tuple(goal for goal in policy.goals if isinstance(goal, Moves)) or (Moves(),)
    free = 1.0 - policy.power.max_load_ratio
    taken = {rule.replaces for rule in rules}
    own: list[Rule] = []
    for resource in ("cpu", "memory"):
        own.append(
            HostCapacity(
                resource, name=f"{resource} headroom", when="after", overcommit_ratio=1.0, reserve_ratio=free
            )
        )
        if f"capacity:{resource}" not in taken:
            own.append(HostCapacity(resource))  # ours would else take the place of the built-in one
    if "host-state" not in taken:
        own.append(MayWake())
    return Problem(snapshot, (*rules, *own), dataclasses.replace(policy, goals=(*goals, *moves)))


def answer(
    problem: Problem,
    *,
    solve: Solve,
    options: Options,
    solver: str,
    seed: int,
    stop: Stop,
    on_progress: OnProgress | None,
) -> Result:
    """The fewest watts from which the failures to be tolerated are survived.

    The load that a host may have is lowered step by step in each cluster whose hosts do not survive what they
    survive today (at most the failures wanted); a packing that is too tight for that is no answer. A cluster
    where that does not help keeps all its hosts in the end: power is not worth its reserve.
    """
    with stop.paused():  # no search pays for loading the cost model
        _ = problem.lowered
    wanted = {c: k for c, k in enumerate(reserve_of(problem)) if k}
    before = np.asarray(problem.snapshot.vms.host_idx)
    connected = problem.snapshot.hosts.state == "connected"
    tolerated = {c: min(k, _survived(problem, before, connected, c, k)) for c, k in wanted.items()}
    best: tuple[list[float], Result] | None = None
    short: list[int] = []
    most = problem.policy.power.max_load_ratio
    ratio = dict.fromkeys(range(len(problem.snapshot.clusters)), most)
    for attempt in range(TRIES):
        last = attempt == TRIES - 1
        posed = _with_headroom(problem, ratio)
        posed = _sparing(posed, short) if last else posed
        share = stop.part(0.9 if last else TRY_SHARE)
        result = solve(posed, solver=solver, seed=seed, stop=share, on_progress=on_progress)
        after = np.asarray(result.placement.host_idx)
        running = problem.snapshot.vms.on & (after >= 0)
        used = np.bincount(after[running], minlength=problem.snapshot.n_hosts) > 0
        on = connected | used
        missing = {c: k - _survived(problem, after, on, c, k) for c, k in tolerated.items() if k}
        short = [c for c, amount in missing.items() if amount > 0]
        # What is broken comes first, then the reserve, then the power: all by the problem as it was posed.
        scored = zip(problem.lowered.levels, problem.lowered.scores(after), strict=True)
        worth = {level.name: round(float(score), 6) for level, score in scored}
        broken = [worth[name] for name in ("must", "repair") if name in worth]
        power = [score for name, score in worth.items() if name.startswith("consolidate")]
        rank = [*broken, float(sum(missing[c] for c in short)), *power]
        if best is None or rank < best[0]:
            best = (rank, result)
        if not short or stop.interrupted or stop.reached(0):
            break
        for c in short:
            ratio[c] *= LOOSER
    assert best is not None
    return best[1]


def reserve_of(problem: Problem) -> list[int]:
    """Host failures that each cluster is to survive."""
    asked = problem.policy.power.reserve_hosts
    clusters = problem.snapshot.clusters
    return [int(k) for k in clusters.ha_failover_hosts] if asked is None else [asked] * len(clusters)


def _sparing(problem: Problem, clusters: Sequence[int]) -> Problem:
    """The problem with nothing to gain from an empty host of these clusters."""
    hosts = problem.snapshot.hosts
    others = [str(name) for name in hosts.name[~np.isin(hosts.cluster_idx, clusters)]]
    goals = tuple(
        dataclasses.replace(goal, hosts=others) if isinstance(goal, Consolidate) else goal
        for goal in problem.policy.goals
    )
    return dataclasses.replace(problem, policy=dataclasses.replace(problem.policy, goals=goals))


def _with_headroom(problem: Problem, ratio: Mapping[int, float]) -> Problem:
    """The problem with another load limit for each cluster."""
    hosts, rules = problem.snapshot.hosts, list[Rule]()
    for rule in problem.rules:
        if isinstance(rule, HostCapacity) and rule.name.endswith(" headroom"):
            for cluster, most in ratio.items():
                own = [str(name) for name in hosts.name[hosts.cluster_idx == cluster]]
                if own:
                    rules.append(dataclasses.replace(rule, hosts=own, reserve_ratio=1.0 - most))
        else:
            rules.append(rule)
    return dataclasses.replace(problem, rules=tuple(rules))


def _survived(problem: Problem, host_idx: Ints, usable: Bools, cluster: int, k: int) -> int:
    name = str(problem.snapshot.clusters.name[cluster])
    # After a failure a host may be as full as its capacity allows: the headroom is for the normal day.
    rules = tuple(rule for rule in problem.rules if not rule.name.endswith(" headroom"))
    found = admission(
        dataclasses.replace(problem, rules=rules),
        k,
        cluster=name,
        time_s=ADMISSION_S,
        host_idx=host_idx,
        usable=usable,
    )
    return found.clusters[0].survives if found.clusters else 0


def watts(snapshot: Snapshot, host_idx: Ints, on: Bools) -> float | None:
    """Power of the hosts that are on, linear in cpu load; None where no host's power is known."""
    idle, top = snapshot.hosts.power_idle_w, snapshot.hosts.power_max_w
    if np.isnan(idle).all():
        return None
    idle = np.where(np.isnan(idle), np.nanmean(idle), idle)
    top = np.where(np.isnan(top), idle, top)
    capacity = np.maximum(snapshot.capacity("cpu"), 1e-9)
    load: Floats = np.minimum(1.0, usage(host_idx, snapshot.demand("cpu"), snapshot.n_hosts) / capacity)
    return float((idle + (top - idle) * load)[on].sum())


def report(result: Result, options: Options) -> Consolidation:
    """Which hosts to wake and which to power off, the reserves kept."""
    problem, snapshot = result.problem, result.snapshot
    before, after = np.asarray(snapshot.vms.host_idx), np.asarray(result.placement.host_idx)
    asleep = snapshot.hosts.state == "standby"
    on_before = snapshot.hosts.state == "connected"
    running = snapshot.vms.on & (after >= 0)
    used = np.bincount(after[running], minlength=snapshot.n_hosts) > 0
    wake = asleep & used
    on = (on_before | wake).copy()
    per_cluster = reserve_of(problem)
    tolerated = [
        min(k, _survived(problem, after, on, c, k))
        if k and (on & (snapshot.hosts.cluster_idx == c)).any()
        else 0
        for c, k in enumerate(per_cluster)
    ]
    price = Consolidate().price(snapshot)
    # Powered-off VMs stay registered on a host in standby: that hinders nobody.
    idle = sorted(np.flatnonzero(on & ~used).tolist(), key=lambda host: (-price[host], host))
    off: list[int] = []
    for cluster in range(len(snapshot.clusters)):
        mine = [host for host in idle if snapshot.hosts.cluster_idx[host] == cluster]
        least = _spare(problem, after, on, cluster, mine, tolerated[cluster])
        gone = mine[: len(mine) - least]
        on[gone] = False
        off += gone
    names = snapshot.hosts.name
    survives = {str(snapshot.clusters.name[c]): tolerated[c] for c, k in enumerate(per_cluster) if k}
    return Consolidation(
        tuple(sorted(str(names[host]) for host in off)),
        tuple(str(name) for name in names[wake]),
        tuple(str(names[host]) for host in idle if host not in off),
        int(on_before.sum()),
        int(on.sum()),
        {str(snapshot.clusters.name[c]): k for c, k in enumerate(per_cluster)},
        survives,
        watts(snapshot, before, on_before),
        watts(snapshot, after, on),
        least_hosts(problem),
    )


def least_hosts(problem: Problem) -> int:
    """So many hosts at least must be on: per cluster the largest ones that hold its load within the limit.

    The load is that of the running VMs of the cluster; what crosses clusters and all rules are left out, so
    this bounds from below where VMs stay in their clusters.
    """
    snapshot, ratio = problem.snapshot, problem.policy.power.max_load_ratio
    hosts, home = snapshot.hosts, np.asarray(snapshot.vms.host_idx)
    usable = np.isin(hosts.state, ("connected", "standby"))
    inside = np.where(home >= 0, hosts.cluster_idx[np.maximum(home, 0)], -1)
    if problem.policy.migration_scope != "cluster":
        inside = np.where(inside >= 0, 0, -1)
    total = 0
    for cluster in np.unique(inside[inside >= 0]).tolist():
        own = usable & ((hosts.cluster_idx == cluster) | (problem.policy.migration_scope != "cluster"))
        most = 0
        for resource in ("cpu", "memory"):
            load = float(snapshot.demand(resource)[inside == cluster].sum())
            room = np.cumsum(np.sort(ratio * snapshot.capacity(resource)[own])[::-1])
            most = max(most, int(np.searchsorted(room, load * (1 - 1e-9))) + 1 if load > 0 else 0)
        total += min(most, int(own.sum()))
    return total


def _spare(problem: Problem, after: Ints, on: Bools, cluster: int, idle: Sequence[int], k: int) -> int:
    """How many of a cluster's empty hosts, the last of the list, stay on so that it survives k failures and no rule
    of type `failover` misses more than with all of them.

    One host more never makes a cluster survive less, so halving finds the number.
    """

    def enough(spare: int) -> bool:
        trial = on.copy()
        trial[list(idle[: len(idle) - spare])] = False
        if _reserve_short(problem, after, trial) > allowed + 1e-6:
            return False
        return not k or _survived(problem, after, trial, cluster, k) >= k

    allowed = _reserve_short(problem, after, on)

    low, high = 0, len(idle)  # all of them are enough: `tolerated` was found so
    while low < high:
        middle = min(low + k, (low + high) // 2) if low == 0 else (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle + 1
    return high


def _reserve_short(problem: Problem, after: Ints, on: Bools) -> float:
    """What the rules of type `failover` miss when only these hosts are on: they share the reserve."""
    rules = [rule for rule in problem.rules if isinstance(rule, Failover) and rule.policy != "soft"]
    names = problem.snapshot.hosts.name
    snapshot = in_state(
        problem.snapshot, names[~on & (problem.snapshot.hosts.state == "connected")], "standby"
    )
    snapshot = in_state(snapshot, names[on & (snapshot.hosts.state == "standby")], "connected")
    placement = problem.placement(after)
    return sum(violation.amount for rule in rules for violation in rule.check(snapshot, placement))


MODE = Mode(pose, answer=answer, report=report)
