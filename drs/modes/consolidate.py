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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from drs.errors import Fault
from drs.goals import Consolidate, Moves
from drs.model import Snapshot
from drs.model.changes import in_state
from drs.modes.admission import Admission, Stranding, admission
from drs.modes.base import Mode, Solve, scope_of
from drs.options import Options
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.result import Result
from drs.rules import Failover, HostCapacity, Rule
from drs.rules.base import Judge
from drs.rules.host_state import HostState
from drs.stop import Run
from drs.terms import Allowed, Level
from drs.terms.base import Bools, Floats, Ints
from drs.terms.limits import usage
from drs.words import percent, some

ADMISSION_S = 3.0
"""Time for one look at the failures of a cluster, at most."""
TRIES = 4
"""Short searches for a packing from which failures are survived. The last of them no longer empties hosts of the
clusters whose reserve the others could not keep."""
TRY_SHARE = 0.12
"""Of the whole budget, for each of them."""
KEPT_SHARE = 0.12
"""Of the whole budget, kept for ordering the moves and proving the reserve of what is left on."""


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


def check(snapshot: Snapshot, policy: Policy, options: Options) -> Iterator[Fault]:
    """A limit on load that is none."""
    if not 0 < policy.power.max_load_ratio <= 1:
        yield Fault("policy [power], field max_load_ratio", str(policy.power.max_load_ratio),
                    "a share above 0, at most 1")  # fmt: skip


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
            # Ours would else take the place of the built-in one.
            own.append(HostCapacity(resource, tolerates_overcommit=resource == "memory"))
    if "host-state" not in taken:
        own.append(MayWake())
    policy = dataclasses.replace(policy, goals=(*goals, *moves))
    return Problem(snapshot, (*rules, *own), policy, scope=scope_of(snapshot, policy, options))


def answer(
    problem: Problem,
    *,
    solve: Solve,
    options: Options,
    solver: str,
    run: Run,
) -> Result:
    """The fewest watts from which the failures to be tolerated are survived.

    Short searches come first. Where a cluster does not survive what it survives today (at most the failures
    wanted), room for the VMs that could not restart is kept free on a host in the next one. Then a long search
    uses what they found out. A cluster whose reserve none of them kept stays as it is.
    """
    stop = run.stop
    with stop.paused():  # no search pays for loading the cost model
        _ = problem.lowered
    wanted = {c: k for c, k in enumerate(reserve_of(problem)) if k}
    today = np.asarray(problem.snapshot.vms.host_idx)
    connected = problem.snapshot.hosts.state == "connected"
    plain = _without_headroom(problem)
    search = _Packings(
        problem, {c: min(k, _survived(plain, today, connected, c, k)) for c, k in wanted.items()}
    )

    def attempt(posed: Problem, share: float) -> bool:
        """Whether the reserve is kept by the answer to one problem."""
        return search.add(solve(posed, solver=solver, run=run.part(min(1.0, share))))

    for number in range(TRIES if any(search.tolerated.values()) else 0):
        if number == TRIES - 1:
            search.spare()
        whole_s = stop.time_s or 0.0
        kept = attempt(
            search.posed(), TRY_SHARE * whole_s / max(stop.remaining_s, 1e-9) if whole_s else TRY_SHARE
        )
        if stop.interrupted or stop.reached(0) or (kept and search.proven):
            return search.best
        if kept:
            break
    else:
        search.hold()
    left_s = stop.remaining_s
    attempt(
        search.posed(), 0.9 if stop.time_s is None else 1.0 - KEPT_SHARE * stop.time_s / max(left_s, 1e-9)
    )
    return search.best


class _Packings:
    """What searches for a packing have found so far, and the problem that the next one is to solve.

    tolerated : failures per cluster that a packing has to survive.
    """

    def __init__(self, problem: Problem, tolerated: Mapping[int, int]) -> None:
        self.problem, self.tolerated = problem, tolerated
        self.plain = _without_headroom(problem)
        self.found: list[tuple[list[float], Result]] = []
        self.short: list[int] = []
        """Clusters whose reserve the last packing did not keep."""
        self.spared: list[int] = []
        self.held: list[int] = []
        self.slots: dict[int, list[int]] = {}
        """Per host the VMs for which room is kept free."""

    @property
    def best(self) -> Result:
        """The best so far. What keeps a cluster from being emptied is a warning."""
        _, result = min(self.found, key=lambda each: each[0])
        names, most = self.problem.snapshot.clusters.name, self.problem.policy.power.max_load_ratio
        said = [
            f"{names[c]}: no packing below {percent(most)} load was found that keeps its reserve, so its hosts are not "
            "emptied for their power and may be above that limit"
            for c in sorted({*self.spared, *self.held})
        ]
        return dataclasses.replace(result, warnings=(*result.warnings, *said))

    @property
    def proven(self) -> bool:
        """Whether the last packing was proven to be the best of its problem, in which nothing was given up."""
        return self.found[-1][1].status == "optimal" and not (self.slots or self.spared)

    def add(self, result: Result) -> bool:
        """Take note of a packing; whether it keeps every reserve. Room is kept free for whom it fails."""
        problem, snapshot = self.problem, self.problem.snapshot
        after = np.asarray(result.placement.host_idx)
        used = np.bincount(after[snapshot.vms.on & (after >= 0)], minlength=snapshot.n_hosts) > 0
        on = (snapshot.hosts.state == "connected") | used
        missing = 0
        self.short = []
        for cluster, k in self.tolerated.items():
            found = _admission(self.plain, after, on, cluster, k) if k else None
            if found is not None and found.survives < k:
                missing += k - found.survives
                self.short.append(cluster)
                if found.worst is not None:
                    self._keep_room(found.worst, after, on, cluster)
        # Hard rules, then the reserve, then other broken rules, then the limit on load, then the power.
        plain, posed = _scores(self.plain, after), _scores(problem, after)
        of_goals = [score for level, score in posed if level.role == "goal"]
        wished = zip(problem.goals, of_goals, strict=True)
        power = [score for goal, score in wished if isinstance(goal, Consolidate)]
        broken = [
            sum(score for level, score in scores if level.role == role)
            for scores in (plain, posed)
            for role in ("hard", "not_worse")
        ]
        self.found.append(([broken[0], float(missing), *broken[1:], *power], result))
        return not missing

    def _keep_room(self, worst: Stranding, after: Ints, on: Bools, cluster: int) -> None:
        """A slot for each VM that cannot restart, on the host that has most room for it."""
        snapshot = self.problem.snapshot
        failed = [snapshot.hosts.position[host] for host in worst.hosts]
        inside = on & (snapshot.hosts.cluster_idx == cluster)
        inside[failed] = False
        demand = {resource: snapshot.demand(resource) for resource in ("cpu", "memory")}
        free = {
            resource: _full(self.problem, resource) - usage(after, need, snapshot.n_hosts)
            for resource, need in demand.items()
        }
        for vm in sorted(snapshot.vms.position[name] for name in worst.vms):
            ok = inside & self.plain.allowed_hosts(vm)
            ok[[host for host, kept in self.slots.items() if vm in kept]] = False
            room = np.full(snapshot.n_hosts, np.inf)
            for resource, need in demand.items():
                taken = np.zeros(snapshot.n_hosts)
                for host, kept in self.slots.items():
                    taken[host] = need[kept].sum()
                unit = np.maximum(snapshot.capacity(resource), 1e-9)
                room = np.minimum(room, (free[resource] - taken - need[vm]) / unit)
            hosts = np.flatnonzero(ok)
            if len(hosts):
                self.slots.setdefault(int(hosts[np.argmax(room[hosts])]), []).append(vm)

    def spare(self) -> None:
        """From now on nothing is gained by an empty host of the clusters that are short, and no room lost to the
        limit on load."""
        self.spared = list(self.short)

    def hold(self) -> None:
        """From now on the VMs of the clusters that are short stay where they are."""
        self.held = list(self.short)

    def posed(self) -> Problem:
        """The problem for the next search."""
        problem = _with_slots(self.problem, self.slots, self.spared)
        if self.spared:
            problem = _sparing(problem, self.spared)
        snapshot = problem.snapshot
        home = np.asarray(snapshot.vms.host_idx)
        inside = np.isin(np.where(home >= 0, snapshot.hosts.cluster_idx[home], -1), self.held)
        stay = [str(name) for name in snapshot.vms.name[inside]]
        return problem.holding(stay, "reserve") if stay else problem


def _scores(problem: Problem, host_idx: Ints) -> list[tuple[Level, float]]:
    lowered = problem.lowered
    scored = zip(lowered.levels, lowered.scores(host_idx), strict=True)
    return [(level, round(float(score), 6)) for level, score in scored]


def reserve_of(problem: Problem) -> list[int]:
    """Host failures that each cluster is to survive; 0 for those that take no part."""
    asked = problem.policy.power.reserve_hosts
    clusters = problem.snapshot.clusters
    wanted = [int(k) for k in clusters.ha_failover_hosts] if asked is None else [asked] * len(clusters)
    taking_part = {int(c) for c in problem.snapshot.hosts.cluster_idx[_taking_part(problem)]}
    return [k if problem.scope is None or c in taking_part else 0 for c, k in enumerate(wanted)]


def _taking_part(problem: Problem) -> Bools:
    """The hosts whose power is looked at, bool[n_hosts]."""
    return np.ones(problem.snapshot.n_hosts, dtype=np.bool_) if problem.scope is None else problem.scope


def _sparing(problem: Problem, clusters: Sequence[int]) -> Problem:
    """The problem with nothing to gain from an empty host of these clusters."""
    hosts = problem.snapshot.hosts
    others = [str(name) for name in hosts.name[~np.isin(hosts.cluster_idx, clusters)]]
    goals = tuple(
        dataclasses.replace(goal, hosts=others) if isinstance(goal, Consolidate) else goal
        for goal in problem.policy.goals
    )
    return dataclasses.replace(problem, policy=dataclasses.replace(problem.policy, goals=goals))


def _with_slots(problem: Problem, slots: Mapping[int, Sequence[int]], full: Sequence[int]) -> Problem:
    """The problem with room kept free on some hosts, and without the limit on load in the `full` clusters."""
    snapshot, rules = problem.snapshot, list[Rule]()
    names, whole = snapshot.hosts.name, np.isin(snapshot.hosts.cluster_idx, full)
    for rule in problem.rules:
        if not (isinstance(rule, HostCapacity) and _is_headroom(rule)):
            rules.append(rule)
            continue
        plain = ~whole
        plain[list(slots)] = False
        if plain.any():
            rules.append(dataclasses.replace(rule, hosts=[str(name) for name in names[plain]]))
        need, capacity = snapshot.demand(rule.resource), snapshot.capacity(rule.resource)
        most = _full(problem, rule.resource)
        for host, vms in slots.items():
            # What may be used when the VMs have restarted there, but for them.
            reserve = capacity[host] - max(0.0, most[host] - float(need[list(vms)].sum()))
            if not whole[host]:
                reserve = max(reserve, rule.reserve_ratio * capacity[host])
            rules.append(
                dataclasses.replace(
                    rule, hosts=[str(names[host])], reserve=max(0.0, float(reserve)), reserve_ratio=0.0
                )
            )
    return dataclasses.replace(problem, rules=tuple(rules))


def _is_headroom(rule: Rule) -> bool:
    return rule.name.endswith(" headroom")


def _without_headroom(problem: Problem) -> Problem:
    """After a failure a host may be as full as its capacity allows: the headroom is for the normal day."""
    return dataclasses.replace(problem, rules=tuple(rule for rule in problem.rules if not _is_headroom(rule)))


def _full(problem: Problem, resource: str) -> Floats:
    """What a host may hold of a resource by the capacity rules, f8[n_hosts]."""
    limits = [
        rule.limit(problem.snapshot)
        for rule in problem.rules_in_force
        if isinstance(rule, HostCapacity)
        and rule.replaces == f"capacity:{resource}"
        and not _is_headroom(rule)
    ]
    return np.min(limits, axis=0) if limits else problem.snapshot.capacity(resource)


def _admission(problem: Problem, host_idx: Ints, usable: Bools, cluster: int, k: int) -> Admission | None:
    """The verdict on one cluster, by a problem without headroom; None where no host of it is on."""
    name = str(problem.snapshot.clusters.name[cluster])
    found = admission(problem, k, cluster=name, time_s=ADMISSION_S, host_idx=host_idx, usable=usable)
    return found.clusters[0] if found.clusters else None


def _survived(problem: Problem, host_idx: Ints, usable: Bools, cluster: int, k: int) -> int:
    found = _admission(problem, host_idx, usable, cluster, k)
    return found.survives if found is not None else 0


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
    problem, snapshot = _without_headroom(result.problem), result.snapshot
    before, after = np.asarray(snapshot.vms.host_idx), np.asarray(result.placement.host_idx)
    ours = _taking_part(problem)
    asleep = (snapshot.hosts.state == "standby") & ours
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
    idle = sorted(np.flatnonzero(on & ~used & ours).tolist(), key=lambda host: (-price[host], host))
    off: list[int] = []
    for cluster in range(len(snapshot.clusters)):
        mine = [host for host in idle if snapshot.hosts.cluster_idx[host] == cluster]
        gone = _not_needed(problem, after, on, cluster, mine, tolerated[cluster])
        on[gone] = False
        off += gone
    names = snapshot.hosts.name
    survives = {str(snapshot.clusters.name[c]): tolerated[c] for c, k in enumerate(per_cluster) if k}
    return Consolidation(
        tuple(sorted(str(names[host]) for host in off)),
        tuple(str(name) for name in names[wake]),
        tuple(str(names[host]) for host in idle if host not in off),
        int((on_before & ours).sum()),
        int((on & ours).sum()),
        {
            str(snapshot.clusters.name[c]): k
            for c, k in enumerate(per_cluster)
            if c in snapshot.hosts.cluster_idx[ours]
        },
        survives,
        watts(snapshot, before, on_before & ours),
        watts(snapshot, after, on & ours),
        least_hosts(problem),
    )


def least_hosts(problem: Problem) -> int:
    """So many hosts at least must be on: per cluster the largest ones that hold its load within the limit.

    The load is that of the running VMs of the cluster; what crosses clusters and all rules are left out, so
    this bounds from below where VMs stay in their clusters.
    """
    snapshot, ratio = problem.snapshot, problem.policy.power.max_load_ratio
    hosts, home = snapshot.hosts, np.asarray(snapshot.vms.host_idx)
    ours = _taking_part(problem)
    usable = np.isin(hosts.state, ("connected", "standby")) & ours
    inside = np.where((home >= 0) & ours[home], hosts.cluster_idx[home], -1)
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


def _not_needed(
    problem: Problem, after: Ints, on: Bools, cluster: int, idle: Sequence[int], k: int
) -> list[int]:
    """Those of a cluster's empty hosts without which it still survives k failures, and no rule of type `failover`
    misses more than with all of them.

    One host more never makes a cluster survive less: so all are tried at once, and in halves where that is too
    much, until each host that stays has been found to be needed.
    """
    allowed = _reserve_short(problem, after, on)
    gone: list[int] = []
    blocks = [list(idle)]
    while blocks:
        block = blocks.pop()
        trial = on.copy()
        trial[gone + block] = False
        if _reserve_short(problem, after, trial) <= allowed + 1e-6 and (
            not k or _survived(problem, after, trial, cluster, k) >= k
        ):
            gone += block
        elif len(block) > 1:
            half = (len(block) + 1) // 2
            blocks += [block[half:], block[:half]]  # the first half, the thirstier one, comes next
    return gone


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


MODE = Mode(pose, check, answer, report)
