"""When the automatic mode acts, on what, and what it leaves to people: pure functions of history and policy.

`observe` what a snapshot shows, `decide` whether to ask for a plan, `worthwhile` whether the plan pays while the
load stays as it is, `dispose` which of its moves are made and which are only proposed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drs.goals.balance import threshold
from drs.model import Snapshot
from drs.planning import Move
from drs.planning.plan import placement_after
from drs.problem.policy import Trigger
from drs.problem.scope import Scope, within
from drs.result import Result
from drs.terms.limits import usage
from drs.words import percent, seconds

SLOWDOWN_RATIO = 0.06
"""A guest's loss of speed during pre-copy, median of public KVM runs."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one snapshot shows.

    imbalance_ratio : the worst cluster's imbalance (over cpu and memory) over what its threshold tolerates.
    host_load_ratio : the most loaded connected host's load over capacity.
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


@dataclass(frozen=True)
class Disposition:
    """What becomes of the moves of a plan.

    done : those that are made without asking. proposed : those that wait for somebody's approval, with the
    reason. dropped : those below the cluster's migration threshold, neither made nor shown.
    """

    done: tuple[Move, ...]
    proposed: tuple[tuple[Move, str], ...]
    dropped: tuple[Move, ...]


def observe(
    snapshot: Snapshot, time_s: float = 0.0, n_violations: int = 0, scope: Scope | None = None
) -> Observation:
    """Imbalance and load of a snapshot, of the hosts that take part."""
    worst, top = 0.0, 0.0
    connected = snapshot.hosts.state == "connected"
    if scope is not None:
        connected = connected & scope
    for resource in ("cpu", "memory"):
        capacity = snapshot.capacity(resource)
        load = usage(snapshot.vms.host_idx, snapshot.demand(resource), snapshot.n_hosts)
        load = load / np.where(capacity > 0, capacity, np.inf)
        top = max(top, float(load[connected].max(initial=0.0)))
        for cluster in range(len(snapshot.clusters)):
            member = (snapshot.hosts.cluster_idx == cluster) & connected
            tolerated = threshold(int(snapshot.clusters.migration_threshold[cluster]), int(member.sum()))
            if member.sum() > 1 and np.isfinite(tolerated):
                worst = max(worst, float(load[member].std()) / max(tolerated, 1e-9))
    return Observation(time_s, worst, top, n_violations)


def alarmed_since(history: Sequence[Observation], trigger: Trigger) -> tuple[float | None, str]:
    """Since when the alarm stands, and what raised it; None when it does not.

    Hysteresis: it is raised when a figure was over its threshold for `hold_n` observations in a row, and stays
    until the figure is below `release_ratio` of the threshold.
    """
    best: tuple[float | None, str] = (None, "")
    for what, limit in (
        ("host_load_ratio", trigger.host_load_ratio),
        ("imbalance_ratio", trigger.imbalance_ratio),
    ):
        over, began, since = 0, 0.0, None
        for each in history:
            value = getattr(each, what)
            if value > limit:
                began = each.time_s if over == 0 else began
                over += 1
            else:
                over = 0
            if since is None and over >= max(1, trigger.hold_n):
                since = began
            elif since is not None and value < limit * trigger.release_ratio:
                since = None
        if since is not None and (best[0] is None or since < best[0]):
            best = (since, what)
    return best


def decide(
    history: Sequence[Observation],
    trigger: Trigger,
    last_plan_s: float | None = None,
    left_violations: int = 0,
) -> Decision:
    """Whether the history calls for a plan.

    A newly broken rule does at once. Load and imbalance do when their alarm stands (`alarmed_since`), but not
    within `cool_down_s` after the last plan.

    Parameters
    ----------
    left_violations : broken rules that the last plan could not repair; they do not call again until the
        cool-down is over.
    """
    if not history:
        return Decision(False, "nothing observed yet")
    now = history[-1]
    cooling = last_plan_s is not None and now.time_s - last_plan_s < trigger.cool_down_s
    if now.n_violations > (left_violations if cooling else 0):
        return Decision(True, f"{now.n_violations} rules are broken")
    if cooling and last_plan_s is not None:
        left = trigger.cool_down_s - (now.time_s - last_plan_s)
        return Decision(False, f"cooling down, {seconds(left)} left")
    since, what = alarmed_since(history, trigger)
    if since is not None:
        for_s = now.time_s - since
        if what == "host_load_ratio":
            return Decision(
                True, f"a host is at {percent(now.host_load_ratio)} of its capacity, for {seconds(for_s)}"
            )
        return Decision(
            True,
            f"imbalance is {now.imbalance_ratio:.1f} times what the threshold tolerates, for {seconds(for_s)}",
        )
    if len(history) < trigger.hold_n:
        return Decision(False, f"{len(history)} of {trigger.hold_n} observations")
    return Decision(False, "within the thresholds")


def stable_for(history: Sequence[Observation], trigger: Trigger) -> float:
    """How long the load is expected to stay as it is, in seconds: as long as the alarm has stood already.

    What has lasted for a while lasts about as long again; at most `stable_s`, at least one interval of
    observation. A spike that has just begun is not worth many moves.
    """
    if len(history) < 2:
        return trigger.stable_s
    since, _ = alarmed_since(history, trigger)
    interval = history[-1].time_s - history[-2].time_s
    held = history[-1].time_s - since if since is not None else interval
    return min(trigger.stable_s, max(interval, held))


def worthwhile(result: Result, trigger: Trigger, stable_s: float | None = None) -> Decision:
    """Cost against benefit while the load stays stable, both in MHz seconds.

    Cost: what the moved VMs lose, their demand through the downtime and `SLOWDOWN_RATIO` of it through the
    pre-copy. Benefit: demand above capacity that is delivered after the moves, and the capacity that the lower
    imbalance frees (the fall of the standard deviation times the cluster's capacity), from the end of the plan
    for the rest of `stable_s`. A plan that repairs a rule is always worth it.

    Parameters
    ----------
    stable_s : how long the load stays as it is (`stable_for`); the trigger's where not given.
    """
    plan, snapshot = result.plan, result.snapshot
    if plan is None or not plan.moves:
        return Decision(False, "nothing to move")
    scope = result.problem.scope
    before_n, after_n = (
        len(within(snapshot, scope, each)[0]) for each in (result.violations_before, result.violations_after)
    )
    if after_n < before_n:
        return Decision(True, "it repairs broken rules")
    stable_s = trigger.stable_s if stable_s is None else stable_s
    demand = snapshot.demand("cpu")
    cost = sum(
        demand[snapshot.vms.position[move.vm]] * (move.downtime_ms / 1000 + SLOWDOWN_RATIO * move.precopy_s)
        for move in plan.moves
    )
    before, after = result.metrics_before, result.metrics_after
    taking = np.ones(snapshot.n_hosts, dtype=np.bool_) if scope is None else scope
    freed = before["cpu"]["std"] - after["cpu"]["std"]
    freed += max(0.0, before["memory"]["std"] - after["memory"]["std"])
    delivered = before["cpu"]["over_capacity"] - after["cpu"]["over_capacity"]
    left_s = max(0.0, stable_s - plan.makespan_s)
    gain = (delivered + freed * float(snapshot.capacity("cpu")[taking].sum())) * left_s
    said = f"gains {gain:.3g} MHz s and costs {cost:.3g} while the load is stable for {seconds(stable_s)}"
    return Decision(gain > cost, said)


def level_of(snapshot: Snapshot, vm: str) -> str:
    """Automation level of a VM: its own, else its cluster's, else `full`."""
    return snapshot.automation_of(snapshot.vms.position[vm])


def dispose(result: Result) -> Disposition:
    """What is done and what is only proposed.

    `full`: the move is made. `partial`: only the first placement of a VM is; `manual`: nothing is. A move that
    must wait for a proposed one (`after_steps`) is proposed too. A move whose priority is below the cluster's
    migration threshold is dropped, unless others wait for it. What is done alone must leave no rule worse than
    today, else all is proposed.
    """
    plan, snapshot = result.plan, result.snapshot
    if plan is None:
        return Disposition((), (), ())
    rated = {reason.vm: reason.priority for reason in result.reasons}
    needed = {step for move in plan.moves for step in move.after_steps}
    done: list[Move] = []
    proposed: list[tuple[Move, str]] = []
    dropped: list[Move] = []
    made: set[int] = set()
    for move in sorted(plan.moves, key=lambda move: move.step):
        cluster = int(snapshot.hosts.cluster_idx[snapshot.hosts.position[move.from_host]])
        tolerated = int(snapshot.clusters.migration_threshold[cluster]) if cluster >= 0 else 5
        level = level_of(snapshot, move.vm)
        waits = [step for step in move.after_steps if step not in made]
        if rated.get(move.vm, 1) > tolerated and move.step not in needed:
            dropped.append(move)
        elif level != "full":
            proposed.append((move, f"automation level {level}"))
        elif waits:
            proposed.append((move, f"it must wait for step {', '.join(map(str, waits))}"))
        else:
            done.append(move)
            made.add(move.step)
    if done and (proposed or dropped) and _worse(result, done):
        proposed = [(move, "the moves that would be made without asking break a rule by themselves") for move in done
                    ] + proposed  # fmt: skip
        proposed.sort(key=lambda entry: entry[0].step)
        done = []
    return Disposition(tuple(done), tuple(proposed), tuple(dropped))


def reached(result: Result, moves: Sequence[Move]) -> Result:
    """The result as if only these moves of its plan were made."""
    return dataclasses.replace(result, placement=placement_after(result.snapshot, moves))


def _worse(result: Result, moves: Sequence[Move]) -> bool:
    problem = result.problem
    after = problem.check(reached(result, moves).placement)
    soft = {rule.label for rule in problem.rules_in_force if rule.policy == "soft"}
    total: dict[str, float] = {}
    for sign, violations in ((-1.0, problem.check(problem.today)), (1.0, after)):
        for violation in violations:
            total[violation.rule] = total.get(violation.rule, 0.0) + sign * violation.amount
    return any(change > 1e-3 for name, change in total.items() if name not in soft)
