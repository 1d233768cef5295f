"""The highest EVC baseline that a cluster can take, and what that asks of hosts and VMs.

A cluster can take a baseline when every one of its hosts supports it. A running VM that carries features that
the baseline lacks is in the way: it must be powered off (or moved away) before the mode is set. A running VM
that carries less keeps what it was started with and has the new features only after a power cycle. Sets of
features decide, not levels (`drs.model.cpu`).

With a baseline asked for that the hosts do not support, the report names the hosts to replace; in which order
so that every step stays migratable is `rolling`'s work (`drs.modes.rolling`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from drs.errors import Fault
from drs.model import Snapshot, cpu
from drs.modes.base import Mode, Solve, members, named
from drs.options import Options
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.result import GoalScore, Result
from drs.rules import Rule
from drs.solvers.base import Status
from drs.stop import Run
from drs.words import some


@dataclass(frozen=True)
class ClusterUpgrade:
    """What one cluster can take.

    mode : today's EVC mode. highest : the highest baseline that all hosts support, "" for none (CPUs of two
        vendors, or hosts without `evc_max`). target : the one asked for, else `highest`.
    power_off_first : running VMs that carry features that the target lacks. power_cycle : running VMs that
        carry less than the target and get its features only when started again. short_hosts : hosts that do
        not support the target. islands : groups of hosts between which no VM can migrate both ways today.
    next_steps : for each higher baseline of the vendor, how many hosts are short of it.
    """

    cluster: str
    mode: str
    highest: str
    target: str
    possible: bool
    power_off_first: tuple[str, ...]
    power_cycle: tuple[str, ...]
    short_hosts: tuple[str, ...]
    islands: tuple[tuple[str, tuple[str, ...]], ...]
    next_steps: dict[str, int]
    why_not: str = ""

    def sentences(self) -> list[str]:
        """In words."""
        label = {key: base.label for key, base in cpu.BASELINES.items()}
        today = f"{self.mode}" if self.mode else "no EVC mode"
        lines = [f"{self.cluster}: {today}; the highest that its hosts can take is {self.highest or 'none'}"
                 + (f" ({label[self.highest]})" if self.highest in label else "")]  # fmt: skip
        if self.why_not:
            lines.append(f"{self.cluster}: {self.why_not}")
        if self.short_hosts:
            lines.append(f"{self.cluster}: {self.target} needs other CPUs in {some(self.short_hosts, 20)}")
        if self.power_off_first:
            lines.append(
                f"{self.cluster}: to be powered off before {self.target} is set: {len(self.power_off_first)} VMs, "
                + some(self.power_off_first, 12)
            )
        if self.power_cycle:
            lines.append(
                f"{self.cluster}: {len(self.power_cycle)} VMs have the features of {self.target} only after a "
                f"power cycle: {some(self.power_cycle, 12)}"
            )
        if len(self.islands) > 1:
            parts = "; ".join(f"{key}: {len(hosts)} hosts" for key, hosts in self.islands)
            lines.append(f"{self.cluster}: migration islands today: {parts}")
        for key, n in list(self.next_steps.items())[:3]:
            lines.append(f"{self.cluster}: {key} would be possible with {n} host{'s' * (n != 1)} replaced")
        return lines


@dataclass(frozen=True)
class EvcUpgrade:
    """What every cluster can take.

    broken : the rules, other than `soft` ones, that are broken today. This mode moves no VM.
    """

    clusters: tuple[ClusterUpgrade, ...]
    broken: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """In words."""
        lines = [line for cluster in self.clusters for line in cluster.sentences()]
        if self.broken:
            lines.append(
                f"Broken today: {some(self.broken)}. This mode moves no VM; mode balance mends what can be mended."
            )
        return lines


def check(snapshot: Snapshot, policy: Policy, options: Options) -> Iterator[Fault]:
    """A cluster that is not there, and hosts of which nothing is known."""
    if (snapshot.hosts.evc_max == "").all():
        yield Fault("hosts, field evc_max", "no host has one", "the highest EVC baseline of each host")


def pose(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, options: Options) -> Problem:
    """Today's problem; nothing is moved."""
    return Problem(snapshot, rules, policy)


def answer(
    problem: Problem,
    *,
    solve: Solve,
    options: Options,
    solver: str,
    run: Run,
) -> Result:
    """Today's placement: an EVC mode moves nobody, so nothing but what is at its best today is proven.

    `infeasible` when a baseline asked for is out of reach.
    """
    lowered = problem.lowered
    scores = lowered.scores(lowered.start)
    broken = tuple(problem.check(problem.today))
    goals = tuple(
        GoalScore(level.name, level.unit, float(s), float(s), 0.0)
        for level, s in zip(lowered.levels, scores, strict=True)
    )
    told = _report(problem.snapshot, options)
    reachable = all(each.possible for each in told.clusters) or not options.baseline
    at_best = not broken and not scores.any()
    status: Status = "infeasible" if not reachable else "optimal" if at_best else "feasible"
    return Result(
        problem, status, problem.today, goals, broken, broken, "none", run.seed,
        run.stop.wall_s,
    )  # fmt: skip


def report(result: Result, options: Options) -> EvcUpgrade:
    """What each cluster can take."""
    soft = {rule.label for rule in result.problem.rules_in_force if rule.policy == "soft"}
    broken = dict.fromkeys(each.rule for each in result.violations_before if each.rule not in soft)
    return replace(_report(result.snapshot, options), broken=tuple(broken))


def _report(snapshot: Snapshot, options: Options) -> EvcUpgrade:
    known = snapshot.clusters.position
    chosen = sorted(known[name] for name in named(options.cluster or ("*",), known))
    return EvcUpgrade(
        tuple(upgrade(snapshot, c, options.baseline) for c in chosen if len(members(snapshot, c)))
    )


def upgrade(snapshot: Snapshot, cluster: int, baseline: str = "") -> ClusterUpgrade:
    """What one cluster can take, and what a baseline asks of it."""
    hosts, vms = snapshot.hosts, snapshot.vms
    inside = members(snapshot, cluster)
    keys = [str(key) for key in hosts.evc_max[inside]]
    highest = cpu.highest_common(keys)
    target = baseline or highest
    carried = cpu.carried_keys(snapshot)
    mine = vms.on & np.isin(vms.host_idx, inside)
    why_not = ""
    if not highest:
        vendors = sorted({cpu.vendor_of(key) for key in keys} - {""})
        if len(vendors) > 1:
            why_not = f"its hosts have CPUs of {' and '.join(vendors)}, which have no baseline in common"
        else:
            unknown = [str(name) for name, key in zip(hosts.name[inside], keys, strict=True) if not key]
            why_not = (
                f"evc_max is not known of {some(unknown)}"
                if unknown
                else "its hosts have no baseline in common"
            )
    short = tuple(
        str(name) for name, key in zip(hosts.name[inside], keys, strict=True)
        if target and not (key and cpu.compatible(target, key))
    )  # fmt: skip
    in_the_way = set(cpu.blockers(snapshot, target, inside).tolist()) if target else set()
    less = [
        vm for vm in np.flatnonzero(mine).tolist()
        if target and vm not in in_the_way and not cpu.offers(target) <= cpu.offers(str(carried[vm]))
    ]  # fmt: skip
    vendor = cpu.vendor_of(target or keys[0])
    steps = {}
    for key, base in cpu.BASELINES.items():
        if base.vendor == vendor and target and cpu.offers(target) < base.features:
            steps[key] = sum(not (own and cpu.compatible(key, own)) for own in keys)
    offered = cpu.offer_keys(snapshot)[inside]
    islands = tuple(
        (str(key), tuple(str(name) for name in hosts.name[inside][offered == key]))
        for key in sorted(set(offered.tolist()))
    )
    names = vms.name
    return ClusterUpgrade(
        str(snapshot.clusters.name[cluster]), str(snapshot.clusters.evc_mode[cluster]), highest, target,
        bool(target) and not short, tuple(str(names[vm]) for vm in sorted(in_the_way)),
        tuple(str(names[vm]) for vm in less), short, islands, steps, why_not,
    )  # fmt: skip


MODE = Mode(pose, check, answer, report, replans=lambda problem: False)
