"""As few and as thrifty hosts on as the rules allow: which to power off, which to wake when load rises.

The problem: no host above the load at which it needs help (`max_load_ratio` of the policy's `[power]`, as a
rule on cpu and memory beside the user's own), then the power of the hosts that are on, then cheap moves. Hosts
in standby may be used, at the price of their power: where the load has risen they are woken because the load
rule comes first. Of the hosts that the plan empties those stay on that a failure of `reserve_hosts` needs
(checked by `drs.modes.admission`, not by percentage); the rest goes to standby, the thirstiest first.

Hosts' idle and maximal power interpolate linearly over cpu load (Fan, Weber, Barroso: Power Provisioning for
a Warehouse-sized Computer, ISCA 2007).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drs.goals import Consolidate, Moves
from drs.model import Snapshot
from drs.modes.admission import admission
from drs.modes.base import Mode, Options, in_state, some
from drs.policy import Policy
from drs.problem import Problem
from drs.result import Result
from drs.rules import HostCapacity, Rule
from drs.rules.base import Judge
from drs.rules.host_state import HostState
from drs.terms import Allowed
from drs.terms.base import Bools, Floats, Ints
from drs.terms.limits import usage

ADMISSION_S = 10.0


@dataclass(frozen=True)
class MayWake(HostState):
    """The built-in rule on host states, except that a host in standby counts as connected: it can be woken."""

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
        their power is known, else None.
    """

    power_off: tuple[str, ...]
    wake: tuple[str, ...]
    spare: tuple[str, ...]
    n_on_before: int
    n_on_after: int
    reserve: int
    survives: dict[str, int]
    watts_before: float | None
    watts_after: float | None

    def sentences(self) -> list[str]:
        """In words."""
        lines = [f"{self.n_on_before} hosts on today, {self.n_on_after} after the plan"]
        if self.wake:
            lines.append(f"wake first: {some(self.wake, 20)}")
        if self.power_off:
            lines.append(f"then to standby: {some(self.power_off, 20)}")
        if self.spare:
            lines.append(f"empty but kept on as reserve: {some(self.spare, 20)}")
        for cluster, survives in self.survives.items():
            lines.append(f"{cluster} then still survives the loss of any {survives} of the hosts left on")
        if self.watts_before is not None and self.watts_after is not None:
            saved = self.watts_before - self.watts_after
            lines.append(
                f"power {self.watts_before:,.0f} W → {self.watts_after:,.0f} W, {saved * 8.766:,.0f} kWh a year saved"
            )
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
            HostCapacity(resource, name=f"{resource} headroom", overcommit_ratio=1.0, reserve_ratio=free)
        )
        if f"capacity:{resource}" not in taken:
            own.append(HostCapacity(resource))  # ours would else take the place of the built-in one
    if "host-state" not in taken:
        own.append(MayWake())
    return Problem(snapshot, (*rules, *own), dataclasses.replace(policy, goals=(*goals, *moves)))


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
    reserve = problem.policy.power.reserve_hosts
    per_cluster = (
        snapshot.clusters.ha_failover_hosts.tolist()
        if reserve is None
        else [reserve] * len(snapshot.clusters)
    )
    price = Consolidate().price(snapshot)
    # Powered-off VMs stay registered on a host in standby: that hinders nobody.
    idle = [int(host) for host in np.flatnonzero(on & ~used)]
    off: list[int] = []
    for host in sorted(idle, key=lambda host: (-price[host], host)):
        cluster = int(snapshot.hosts.cluster_idx[host])
        k = int(per_cluster[cluster]) if cluster >= 0 else 0
        trial = on.copy()
        trial[host] = False
        if k and not _survives(problem, after, trial, cluster, k):
            continue
        on = trial
        off.append(host)
    names = snapshot.hosts.name
    survives = {}
    for cluster, k in enumerate(per_cluster):
        if k and (on & (snapshot.hosts.cluster_idx == cluster)).any():
            found = admission(
                problem, int(k), cluster=str(snapshot.clusters.name[cluster]), time_s=ADMISSION_S,
                host_idx=after, usable=on,
            )  # fmt: skip
            survives.update({each.cluster: each.survives for each in found.clusters})
    return Consolidation(
        tuple(sorted(str(names[host]) for host in off)),
        tuple(str(name) for name in names[wake]),
        tuple(str(names[host]) for host in idle if host not in off),
        int(on_before.sum()),
        int(on.sum()),
        max((int(k) for k in per_cluster), default=0),
        survives,
        watts(snapshot, before, on_before),
        watts(snapshot, after, on),
    )


def _survives(problem: Problem, host_idx: Ints, usable: Bools, cluster: int, k: int) -> bool:
    name = str(problem.snapshot.clusters.name[cluster])
    found = admission(problem, k, cluster=name, time_s=ADMISSION_S, host_idx=host_idx, usable=usable)
    return all(each.survives >= min(k, each.n_hosts) for each in found.clusters) and bool(found.clusters)


MODE = Mode(pose, report=report)
