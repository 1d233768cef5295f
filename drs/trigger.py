"""When the automatic mode acts: a pure function of what was observed and of the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drs.goals.balance import threshold
from drs.model import Snapshot
from drs.policy import Trigger
from drs.result import Result
from drs.terms.limits import usage

SLOWDOWN_RATIO = 0.06
"""A guest's loss of speed during pre-copy, median of public KVM runs."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one snapshot shows.

    imbalance_ratio : the worst cluster's imbalance (over cpu and memory) over what its threshold tolerates.
    host_load_ratio : the most loaded host's load over capacity.
    """

    time_s: float
    imbalance_ratio: float
    host_load_ratio: float
    n_violations: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to ask for a plan now, and why (not)."""

    act: bool
    reason: str


def observe(snapshot: Snapshot, time_s: float = 0.0, n_violations: int = 0) -> Observation:
    """Imbalance and load of a snapshot."""
    worst, top = 0.0, 0.0
    for resource in ("cpu", "memory"):
        capacity = snapshot.capacity(resource)
        load = usage(snapshot.vms.host_idx, snapshot.demand(resource), snapshot.n_hosts)
        load = load / np.where(capacity > 0, capacity, np.inf)
        top = max(top, float(load.max(initial=0.0)))
        for cluster in range(len(snapshot.clusters)):
            member = (snapshot.hosts.cluster_idx == cluster) & (snapshot.hosts.state == "connected")
            tolerated = threshold(int(snapshot.clusters.migration_threshold[cluster]), int(member.sum()))
            if member.sum() > 1 and np.isfinite(tolerated):
                worst = max(worst, float(load[member].std()) / max(tolerated, 1e-9))
    return Observation(time_s, worst, top, n_violations)


def decide(history: Sequence[Observation], trigger: Trigger, last_plan_s: float | None = None) -> Decision:
    """Whether the last `hold_n` observations call for a plan.

    Hysteresis: every one of them must be over a threshold; after a plan nothing happens for `cool_down_s`,
    unless a rule is broken.
    """
    if not history:
        return Decision(False, "nothing observed yet")
    now = history[-1]
    if now.n_violations:
        return Decision(True, f"{now.n_violations} rules are broken")
    if last_plan_s is not None and now.time_s - last_plan_s < trigger.cool_down_s:
        return Decision(False, f"cooling down, {trigger.cool_down_s - (now.time_s - last_plan_s):.0f} s left")
    recent = history[-trigger.hold_n :]
    if len(recent) < trigger.hold_n:
        return Decision(False, f"{len(recent)} of {trigger.hold_n} observations")
    if all(each.host_load_ratio > trigger.host_load_ratio for each in recent):
        return Decision(True, f"a host is at {now.host_load_ratio:.0%} of its capacity")
    if all(each.imbalance_ratio > trigger.imbalance_ratio for each in recent):
        return Decision(True, f"imbalance is {now.imbalance_ratio:.1f} times what the threshold tolerates")
    return Decision(False, "within the thresholds")


def worthwhile(result: Result, trigger: Trigger) -> Decision:
    """Cost against benefit while the load stays stable, both in MHz seconds.

    Cost: what the moved VMs lose, their demand through the downtime and `SLOWDOWN_RATIO` of it through the
    pre-copy. Benefit over `stable_s`: demand above capacity that is delivered after the moves, and the
    capacity that the lower imbalance frees (the fall of the standard deviation times the cluster's capacity).
    A plan that repairs a rule is always worth it.
    """
    plan, snapshot = result.plan, result.snapshot
    if plan is None or not plan.moves:
        return Decision(False, "nothing to move")
    if len(result.violations_after) < len(result.violations_before):
        return Decision(True, "it repairs broken rules")
    demand = snapshot.demand("cpu")
    cost = sum(
        demand[snapshot.vms.position[move.vm]] * (move.downtime_ms / 1000 + SLOWDOWN_RATIO * move.precopy_s)
        for move in plan.moves
    )
    before, after = result.metrics_before["cpu"], result.metrics_after["cpu"]
    freed = (before["std"] - after["std"]) * float(snapshot.capacity("cpu").sum())
    memory = result.metrics_before["memory"]["std"] - result.metrics_after["memory"]["std"]
    freed += max(0.0, memory) * float(snapshot.capacity("cpu").sum())
    gain = (before["over_capacity"] - after["over_capacity"] + freed) * trigger.stable_s
    said = (
        f"gains {gain:.3g} MHz s and costs {cost:.3g} while the load is stable for {trigger.stable_s:.0f} s"
    )
    return Decision(gain > cost, said)
