"""Rolling maintenance: every host of a cluster in turn, and a rolling hardware refresh.

Each step empties one host, or as many together as may be missing at once, with everything that `evacuate`
checks; then the hosts come back (after a refresh with other CPUs) and the next step starts from there.

The order is chosen for the shortest total. Every VM has to move at least once; it has to move again when it
is put on a host whose turn is still to come. So VMs go to hosts that are done where there is room, and the order
is the best found of several starting orders under a quick packing model, improved by exchanging neighbours.
Every step is then planned in full; a host that cannot be emptied in its turn is put back to the end, and
reported with the reason when it cannot be emptied at all.

What a running VM carries (`drs.model.cpu`) stays what it was at the start: it does not gain features by
moving to a newer host.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drs.errors import Fault, InputError, did_you_mean
from drs.goals import Balance, Moves
from drs.model import Snapshot, cpu
from drs.model.changes import in_state
from drs.modes.base import Advise, members, named, unknown
from drs.modes.evacuate import Evacuation
from drs.modes.upgrade_evc import ClusterUpgrade, upgrade
from drs.options import Options, RollingOptions, value_faults
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.result import Given, Result
from drs.rules import NotRunOn, Rule
from drs.stop import OnProgress, Progress, Run, Stop
from drs.terms import Allowed
from drs.words import count, seconds, some

DEFAULT_TIME_S = 60.0
"""For all searches of a campaign together, where no limit is given."""
ORDER_TRIALS = 1_000
"""So many orders of the hosts are priced."""
ORDER_SHARE = 0.05
"""Of the time limit, where there is one."""
WISH = "rolling: not on a host whose turn is still to come"


@dataclass(frozen=True)
class RollingStep:
    """Hosts that are emptied together: the plan, and when it starts and ends in the campaign.

    shut_down : VMs that are shut down with their host, after the moves, and start again when it is back.
    """

    hosts: tuple[str, ...]
    result: Result
    start_s: float
    plan_s: float
    service_s: float
    shut_down: tuple[str, ...] = ()

    @property
    def end_s(self) -> float:
        """When the hosts are back."""
        return self.start_s + self.plan_s + self.service_s


@dataclass(frozen=True)
class Blocked:
    """A host that cannot be emptied, and why.

    left : the VMs that stay on it. n_moves : all others leave it with so many moves.
    """

    host: str
    reasons: tuple[str, ...]
    left: tuple[str, ...] = ()
    n_moves: int = 0


@dataclass(frozen=True)
class Rolling:
    """A campaign through a cluster.

    steps : in order. blocked : hosts that stay as they are. waiting : hosts whose turn had not come when the
        campaign was interrupted. final : the balancing after the last step, None after an interrupt.
    n_moves, n_moved_again : moves in all, and how many of them move a VM that a step has moved already.
    before, upgrade : of a refresh, the cluster's baseline before and after.
    """

    cluster: str
    steps: tuple[RollingStep, ...]
    blocked: tuple[Blocked, ...]
    final: Result | None
    total_s: float
    n_moves: int
    n_moved_again: int
    baseline: str = ""
    upgrade: ClusterUpgrade | None = None
    waiting: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every host had its turn."""
        return self.status == "feasible"

    @property
    def status(self) -> str:
        """As of a result: infeasible if a host cannot be emptied, no_solution if one had no turn."""
        if self.blocked:
            return "infeasible"
        return "no_solution" if self.waiting else "feasible"

    def sentences(self) -> list[str]:
        """In words."""
        what = f"refresh to {self.baseline}" if self.baseline else "rolling maintenance"
        n = sum(len(step.hosts) for step in self.steps)
        lines = [
            f"{self.cluster}: {what} of {n} hosts in {len(self.steps)} steps, {seconds(self.total_s)} in all, "
            f"{self.n_moves} moves, {self.n_moved_again} of them of VMs that move again"
        ]
        for number, step in enumerate(self.steps, start=1):
            moves = len(step.result.plan.moves) if step.result.plan else 0
            lines.append(
                f"{number}. {', '.join(step.hosts)}: {moves} moves in {seconds(step.plan_s)}, "
                f"back after {seconds(step.end_s)}"
            )
            lines += [f"   worse than today: {finding.sentence}" for finding in step.result.findings]
            if step.shut_down:
                lines.append(f"   shut down for {seconds(step.service_s)}: {some(step.shut_down, 20)}")
        for each in self.blocked:
            lines.append(f"{each.host} cannot be emptied: {'; '.join(each.reasons)}")
            if each.left:
                others = f"its other VMs leave with {count(each.n_moves, 'move')}; " if each.n_moves else ""
                lines.append(
                    f"   {others}where these may be shut down with it, it has its turn: {some(each.left, 20)}"
                )
        if self.waiting:
            lines.append(f"interrupted: {', '.join(self.waiting)} had no turn yet")
        if self.final is not None and self.final.plan is not None and self.final.plan.moves:
            lines.append(f"at the end {len(self.final.plan.moves)} moves even out the load")
        if self.upgrade is not None:
            lines += self.upgrade.sentences()
        return lines


def rolling(
    advise: Advise,
    snapshot: Snapshot,
    *,
    rules: Sequence[Rule] = (),
    policy: Policy | None = None,
    cluster: str = "",
    hosts: Sequence[str] = (),
    at_once: int | None = None,
    service_s: float = 0.0,
    shut_down: Sequence[str] = (),
    baseline: str = "",
    also: Sequence[str] = (),
    solver: str = "auto",
    time_s: float | None = None,
    iterations: int | None = None,
    seed: int = 0,
    stop: Stop | None = None,
    on_progress: OnProgress | None = None,
) -> Rolling:
    """Every host of a cluster in turn.

    Parameters
    ----------
    advise : `drs.advise`.
    cluster : which, a name or a pattern; may be left out where `hosts` say it, or there is only one.
    hosts : only these of its hosts, names or patterns.
    at_once : so many hosts together at most; where not given, the failures that the cluster is to tolerate
        (`ha_failover_hosts`), at least 1: while so many are away the cluster has no reserve left, but room.
    service_s : how long the hosts of one step are away once they are empty.
    shut_down : VMs, names or patterns, that are shut down with their host instead of moving, like those whose column
        `on_maintenance` says so.
    baseline : hosts come back with this as their highest EVC baseline (a hardware refresh).
    also : `balance` evens out the load of the cluster once all hosts had their turn.
    time_s : for all searches together. iterations : for the search of each step. With both, whichever comes
        first; 60 s where neither is given.
    stop : a budget in place of both; its interrupt ends the campaign with the steps that are planned.

    Raises
    ------
    InputError : for a cluster, host or baseline that is not there.
    """
    run = Run.begin(time_s, iterations, seed, stop, on_progress, default_s=DEFAULT_TIME_S)
    whole = run.stop
    time_s, iterations = whole.time_s, whole.iterations
    policy = policy or Policy()
    asked = RollingOptions(cluster, tuple(hosts), at_once, service_s, tuple(shut_down), baseline, tuple(also))
    faults = list(check(snapshot, asked))
    if faults:
        raise InputError(faults)
    which = _cluster(snapshot, asked)
    inside, usable = members(snapshot, which), _usable(snapshot, which)
    queue = _queue(snapshot, which, asked)
    most = at_once or max(1, int(snapshot.clusters.ha_failover_hosts[which]))
    most = min(most, max(1, len(usable) - 1))
    state = _frozen_features(snapshot)
    problem = Problem(state, rules, policy)
    ordering = whole.followed_by(None if time_s is None else ORDER_SHARE * time_s, ORDER_TRIALS)
    order = best_order(problem, inside, queue, most, baseline, ordering)
    per_step = None if time_s is None else max(0.5, time_s / (len(order) + 2))
    away = dataclasses.replace(policy, goals=(Moves(), Balance(target=0.0)))
    steps: list[RollingStep] = []
    blocked: list[Blocked] = []
    clock_s = 0.0
    pending = list(order)
    postponed: dict[int, tuple[str, ...]] = {}
    size = most
    while pending and not whole.interrupted:
        batch = pending[:size]
        names = [str(state.hosts.name[h]) for h in batch]
        later = [str(state.hosts.name[h]) for h in pending if h not in batch]
        part = whole.followed_by(per_step, iterations)
        result = _step(advise, state, rules, away, names, later, shut_down, solver, part, seed)
        if result.status in ("infeasible", "no_solution") or _left(result):
            if whole.interrupted:
                break
            if len(batch) > 1:
                size = len(batch) - 1
                continue
            reasons = _why(result)
            if batch[0] in postponed:
                blocked.append(_blocked(names[0], reasons, result))
                pending.pop(0)
            else:
                postponed[batch[0]] = reasons
                pending.append(pending.pop(0))
            size = most
            continue
        plan_s = result.plan.makespan_s if result.plan else 0.0
        # What the campaign itself wishes is no rule of the user's.
        found = tuple(each for each in result.findings if each.about != WISH)
        result = dataclasses.replace(result, given=Given(tuple(rules), policy), findings=found)
        down = tuple(vm for vm, _ in _emptied(result).shut_down)
        steps.append(RollingStep(tuple(names), result, clock_s, plan_s, service_s, down))
        clock_s = steps[-1].end_s
        state = _back(result.placement.apply(state), names, baseline)
        pending = pending[len(batch) :]
        # A host that waited may have its chance now that others are done.
        if postponed:
            pending = sorted(pending, key=lambda h: h in postponed)
            for host in batch:
                postponed.pop(host, None)
        size = most
        done = len(order) - len(pending)
        note = f"{done} of {len(order)} hosts"
        run.tell(Progress("rolling", whole.elapsed_s, done / len(order), float(done), note=note))
    final = None
    if "balance" in also and not whole.interrupted:
        part = whole.followed_by(per_step, iterations)
        final = _balanced(advise, state, rules, policy, which, solver, part, seed)
    plans = [step.result.plan for step in steps]
    if final is not None and final.plan is not None and final.status not in ("infeasible", "no_solution"):
        clock_s += final.plan.makespan_s
        plans.append(final.plan)
    moves = [move.vm for plan in plans if plan is not None for move in plan.moves]
    n_moves, n_again = len(moves), len(moves) - len(set(moves))
    return Rolling(
        str(snapshot.clusters.name[which]), tuple(steps), tuple(blocked), final, clock_s, n_moves, n_again,
        baseline, upgrade(state, which, baseline) if baseline else None,
        tuple(str(snapshot.hosts.name[h]) for h in pending),
    )  # fmt: skip


def check(snapshot: Snapshot, asked: RollingOptions) -> Iterator[Fault]:
    """What is wrong with what is asked of a campaign through this cluster."""
    wrong = [
        *value_faults(asked),
        *_which_faults(snapshot, asked),
        *unknown("shut_down", asked.shut_down, snapshot.vms.position, "VM"),
    ]
    if wrong:
        yield from wrong
        return
    which = _cluster(snapshot, asked)
    n, own = len(members(snapshot, which)), snapshot.clusters.name[which]
    if n < 2:
        yield Fault("cluster", f"{own} has {n} host", "2 hosts or more")
    elif asked.at_once is not None and asked.at_once >= n:
        yield Fault("at_once", str(asked.at_once), f"1 to {n - 1}: {own} has {n} hosts")
    if not len(_queue(snapshot, which, asked)):
        yield Fault("cluster", f"no host of {own} needs its turn", "hosts to empty")


def _which_faults(snapshot: Snapshot, asked: RollingOptions) -> Iterator[Fault]:
    """Names that mean nothing, or hosts and clusters that do not mean one cluster."""
    clusters = [str(name) for name in snapshot.clusters.name]
    found = clusters
    if asked.cluster:
        found = named([asked.cluster], clusters)
        yield from unknown("cluster", [asked.cluster], clusters, "cluster")
        if len(found) > 1:
            yield Fault("cluster", f"{asked.cluster!r} means {', '.join(found)}", "one cluster")
    if len(found) == 1:
        mine = _names(snapshot, members(snapshot, clusters.index(found[0])))
        for host in asked.hosts:
            if not named([host], mine):
                yield Fault("hosts", f"{host!r} is no host of {found[0]}", "one of its hosts, or a pattern",
                            did_you_mean(host, mine))  # fmt: skip
    elif asked.hosts and not asked.cluster:
        yield from unknown("hosts", asked.hosts, snapshot.hosts.position, "host")
        theirs = [clusters[which] for which in _clusters_of(snapshot, asked.hosts)]
        if len(theirs) > 1:
            yield Fault("hosts", f"hosts of {', '.join(theirs)}", "hosts of one cluster")
    elif not asked.cluster:
        yield Fault("cluster", f"{len(clusters)} clusters", f"one of {', '.join(clusters)}")


def _names(snapshot: Snapshot, hosts: NDArray[np.intp]) -> list[str]:
    return [str(name) for name in snapshot.hosts.name[hosts]]


def _clusters_of(snapshot: Snapshot, hosts: Sequence[str]) -> list[int]:
    at = [snapshot.hosts.position[host] for host in named(hosts, snapshot.hosts.position)]
    return sorted({int(which) for which in snapshot.hosts.cluster_idx[at]})


def _cluster(snapshot: Snapshot, asked: RollingOptions) -> int:
    """The cluster that is meant: the one named, that of the hosts, or the only one."""
    if asked.cluster:
        clusters = [str(name) for name in snapshot.clusters.name]
        return clusters.index(named([asked.cluster], clusters)[0])
    return _clusters_of(snapshot, asked.hosts)[0] if asked.hosts else 0


def _usable(snapshot: Snapshot, cluster: int) -> list[int]:
    """Hosts of the cluster that VMs can leave."""
    states = ("connected", "maintenance", "quarantine")
    return [int(h) for h in members(snapshot, cluster) if snapshot.hosts.state[h] in states]


def _queue(snapshot: Snapshot, cluster: int, asked: RollingOptions) -> list[int]:
    """The hosts that are to have their turn."""
    usable = _usable(snapshot, cluster)
    wanted = named(asked.hosts or ["*"], _names(snapshot, np.array(usable, dtype=np.intp)))
    queue = [h for h in usable if str(snapshot.hosts.name[h]) in set(wanted)]
    if asked.baseline:
        queue = [h for h in queue if not _has(str(snapshot.hosts.evc_max[h]), asked.baseline)]
    return queue


def _has(own: str, baseline: str) -> bool:
    return bool(own) and cpu.compatible(baseline, own)


def _frozen_features(snapshot: Snapshot) -> Snapshot:
    """The snapshot with what each running VM carries written down: it does not change with its host."""
    carried = cpu.carried_keys(snapshot)
    known = np.isin(carried, list(cpu.BASELINES))
    key = np.where(known & (snapshot.vms.evc_mode == ""), carried, snapshot.vms.evc_mode)
    return dataclasses.replace(snapshot, vms=dataclasses.replace(snapshot.vms, evc_mode=key))


def _back(snapshot: Snapshot, names: Sequence[str], baseline: str) -> Snapshot:
    """The hosts in service again, with another CPU where they were replaced."""
    changed = in_state(snapshot, names, "connected")
    if not baseline:
        return changed
    at = [changed.hosts.position[name] for name in names]
    evc_max = changed.hosts.evc_max.astype("<U40")
    vendor = changed.hosts.cpu_vendor.astype("<U8")
    evc_max[at] = baseline
    vendor[at] = cpu.vendor_of(baseline)
    return dataclasses.replace(
        changed, hosts=dataclasses.replace(changed.hosts, evc_max=evc_max, cpu_vendor=vendor)
    )


def _step(
    advise: Advise, state: Snapshot, rules: Sequence[Rule], policy: Policy, names: Sequence[str],
    later: Sequence[str], shut_down: Sequence[str], solver: str, stop: Stop, seed: int,
) -> Result:  # fmt: skip
    going = np.isin(state.hosts.name, names)
    home = state.vms.host_idx
    vms = [str(name) for name in state.vms.name[(home >= 0) & going[np.maximum(home, 0)]]]
    wish: list[Rule] = []
    if vms and later:
        wish = [NotRunOn(vms, list(later), name=WISH, policy="soft")]
    return advise(
        state, mode="evacuate", options=Options(evacuate=tuple(names), shut_down=tuple(shut_down)),
        rules=(*rules, *wish), policy=policy, solver=solver, stop=stop, seed=seed,
    )  # fmt: skip


def _balanced(
    advise: Advise, state: Snapshot, rules: Sequence[Rule], policy: Policy, cluster: int, solver: str, stop: Stop,
    seed: int,
) -> Result:  # fmt: skip
    """The load of the cluster evened out."""
    taking_part = Options(cluster=(str(state.clusters.name[cluster]),))
    return advise(state, options=taking_part, rules=rules, policy=policy, solver=solver, seed=seed, stop=stop)


def _blocked(host: str, reasons: tuple[str, ...], result: Result) -> Blocked:
    """A host that keeps some VMs, and what becomes of the others."""
    return Blocked(host, reasons, _left(result), len(result.plan.moves) if result.plan is not None else 0)


def _emptied(result: Result) -> Evacuation:
    assert isinstance(result.report, Evacuation)
    return result.report


def _left(result: Result) -> tuple[str, ...]:
    """The VMs that stay on the hosts of a step and are not to be shut down."""
    return tuple(vm for vm, _ in _emptied(result).left)


def _why(result: Result) -> tuple[str, ...]:
    told = [conflict.sentence for conflict in result.conflicts]
    if not told and result.status == "no_solution":
        told = [
            "no way was found in time, which proves nothing: give it more (time_s is for all hosts together)"
        ]
    if result.plan is not None:
        told += [f"{each.vm}: {each.reason}" for each in result.plan.stranded]
    if not told:
        told = [
            violation.sentence for violation in result.violations_after if violation.rule == "evacuation"
        ][:5]
    return tuple(told or ("no placement was found in time",))


def best_order(
    problem: Problem,
    inside: NDArray[np.intp],
    queue: Sequence[int],
    at_once: int,
    baseline: str,
    stop: Stop,
) -> list[int]:
    """The order of hosts with the least seconds of migration, under a quick packing model.

    `stop` : its iterations are orders that are priced.
    """
    model = _Packing(problem, inside)
    use = model.memory_of_host
    features = {h: len(cpu.offers(str(problem.snapshot.hosts.evc_max[h]))) for h in queue}
    light = sorted(queue, key=lambda h: (use[h], h))
    starts = [light, light[::-1], [light[0], *light[:0:-1]]]
    if baseline:
        # The oldest first: what comes back takes VMs from everywhere.
        starts.insert(0, sorted(queue, key=lambda h: (features[h], use[h], h)))
    priced = [(model.cost(order, at_once), k, order) for k, order in enumerate(starts)]
    cost, _, order = min(priced)
    trials, better = 0, True
    while better:
        better = False
        for i in range(len(order) - 1):
            if stop.reached(trials):
                return list(order)
            trials += 1
            trial = [*order[:i], order[i + 1], order[i], *order[i + 2 :]]
            new = model.cost(trial, at_once)
            if new < cost - 1e-9:
                order, cost, better = trial, new, True
    return list(order)


class _Packing:
    """A quick model of a campaign: VMs as cpu and memory, first to the roomiest host that is done."""

    def __init__(self, problem: Problem, inside: NDArray[np.intp]) -> None:
        snapshot = problem.snapshot
        self.inside = inside
        self.home = np.array(snapshot.vms.host_idx)
        self.demand = np.stack([snapshot.demand("cpu"), snapshot.demand("memory")], axis=1)
        self.limit = np.stack([snapshot.capacity("cpu"), snapshot.capacity("memory")], axis=1)
        self.seconds = problem.prices.move_s
        self.masks = [
            wall.term
            for wall in problem.lowered.walls
            if isinstance(wall.term, Allowed) and wall.origin not in ("host-state", "evc")
        ]
        self.open = np.isin(np.arange(snapshot.n_hosts), inside) & (snapshot.hosts.state != "disconnected")
        mine = np.isin(self.home, inside)
        self.memory_of_host = np.bincount(
            self.home[mine], weights=self.demand[mine, 1], minlength=snapshot.n_hosts
        )
        self._rows: dict[int, NDArray[np.bool_]] = {}

    def row(self, vm: int) -> NDArray[np.bool_]:
        """Hosts that the rules on single VMs allow."""
        if vm not in self._rows:
            row = self.open.copy()
            for term in self.masks:
                row &= term.mask[term.class_idx[vm]]
            self._rows[vm] = row
        return self._rows[vm]

    def cost(self, order: Sequence[int], at_once: int) -> float:
        """Seconds of migration of a campaign in this order; a VM that fits nowhere counts as a day."""
        home = self.home.copy()
        n = len(self.limit)
        use = np.stack(
            [np.bincount(home[home >= 0], weights=self.demand[home >= 0, r], minlength=n) for r in (0, 1)],
            axis=1,
        )
        done = ~np.isin(np.arange(n), order)
        total = 0.0
        for begin in range(0, len(order), at_once):
            batch = list(order[begin : begin + at_once])
            vms = np.flatnonzero(np.isin(home, batch))
            vms = vms[np.argsort(-self.demand[vms, 1], kind="stable")]
            for vm in vms.tolist():
                fits = self.row(vm) & (use + self.demand[vm] <= self.limit).all(axis=1)
                fits[batch] = False
                at = np.flatnonzero(fits & done)
                if not len(at):
                    at = np.flatnonzero(fits)
                if not len(at):
                    total += 86_400.0
                    continue
                host = int(at[np.argmin(use[at, 1] / self.limit[at, 1])])
                use[home[vm]] -= self.demand[vm]
                use[host] += self.demand[vm]
                home[vm] = host
                total += float(self.seconds[vm])
            done[batch] = True
        return total
