"""Storage DRS: space and latency over the datastores of a datastore cluster, and datastore maintenance.

Disks are placed on datastores as VMs are on hosts: the same terms, the same solvers. Disks of one VM that
share a datastore stay together (Storage DRS keeps VMDKs together by default), unless a rule speaks of them.
No VM changes its host, so a disk goes only where its VM's host looks.

Datastores to be emptied, and disks that are asked to a datastore (mode `move`), are a request: first as many of these
disks as possible, with no datastore made too full, then as few other disks as possible, in their own datastore cluster;
what is too full, too slow or broken elsewhere stays, unless `also` asks for it.

Else in order: rules on disks, no datastore above `space_ratio` (default
80 %), none above `latency_ms` (default 15 ms), then as few GiB copied as that needs, then even space. A disk
moves only to a datastore that is at least `min_difference_ratio` (default 5 %) emptier, or away from one that
is too slow. The defaults are vSphere's (`StorageDrsSpaceLoadBalanceConfig`, `StorageDrsIoLoadBalanceConfig`).

Latency is taken as linear in the load (Gulati, Kumar, Ahmad, Karlsson: BASIL: Automated IO Load Balancing
Across Storage Devices, FAST 2010): half the I/O operations, half of the latency. Where a datastore's
`iops_capacity` is known it rises as 1 / (1 - load) instead, an open queue's mean.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from drs import solvers
from drs.errors import Fault, InternalError
from drs.model import Placement, Snapshot
from drs.modes.base import Mode, Solve, named, scope_of, unknown
from drs.modes.targets import DiskTarget
from drs.options import Options
from drs.problem import Problem, Request, levels
from drs.problem.policy import Policy
from drs.result import GoalScore, Immovable, Result
from drs.rules import DatastoreCapacity, DatastoreState, Rule
from drs.solvers import requests
from drs.stop import Run
from drs.terms import Allowed, Deviation, Level, Lowered, MoveCost, OverTarget, Penalty, Wall, Weighted
from drs.terms.base import Floats, Ints
from drs.words import percent, some

NAME = "datastore maintenance"


@dataclass(frozen=True, slots=True)
class DatastoreLoad:
    """One datastore before and after. Latency is an estimate; None where it was not measured."""

    datastore: str
    datastore_cluster: str
    state: str
    used_ratio_before: float
    used_ratio_after: float
    latency_ms_before: float | None
    latency_ms_after: float | None
    n_disks_before: int
    n_disks_after: int


@dataclass(frozen=True)
class StorageAdvice:
    """What the moves do to each datastore.

    stuck : disks that cannot leave a datastore in maintenance, as VM and disk, and why.
    """

    datastores: tuple[DatastoreLoad, ...]
    n_disks_moved: int
    moved_gib: float
    stuck: tuple[tuple[str, str], ...]
    space_ratio: float
    latency_ms: float

    def sentences(self) -> list[str]:
        """In words."""
        lines = [f"{self.n_disks_moved} disks move, {self.moved_gib:,.0f} GiB"]
        for each in self.datastores:
            changed = each.n_disks_before != each.n_disks_after
            if not changed and each.used_ratio_after <= self.space_ratio and each.state == "connected":
                continue
            line = (
                f"{each.datastore}: {percent(each.used_ratio_before)} → {percent(each.used_ratio_after)} full"
            )
            if each.latency_ms_before is not None and each.latency_ms_after is not None:
                line += f", about {each.latency_ms_before:.1f} → {each.latency_ms_after:.1f} ms"
            line += f", {each.n_disks_before} → {each.n_disks_after} disks"
            if each.state == "maintenance":
                line += "; it can enter maintenance" if not each.n_disks_after else "; it cannot empty"
            elif each.used_ratio_after > self.space_ratio:
                line += f"; stays above {percent(self.space_ratio)}"
            lines.append(line)
        lines += [f"{disk} cannot leave: {why}" for disk, why in self.stuck[:20]]
        return lines


def check(snapshot: Snapshot, policy: Policy, options: Options) -> Iterator[Fault]:
    """Datastores that mean nothing, all of them, no disks at all; a `[storage]` that makes no sense."""
    if policy.limits.max_moves is not None:
        yield Fault("max_moves", "a limit that mode storage does not know", "no limit")
    ours = policy.storage
    if not 0 < ours.space_ratio <= 1:
        yield Fault("policy [storage], field space_ratio", str(ours.space_ratio), "above 0, at most 1")
    if not 0 <= ours.min_difference_ratio < 1:
        yield Fault("policy [storage], field min_difference_ratio", str(ours.min_difference_ratio),
                    "0 or more, below 1")  # fmt: skip
    if not ours.latency_ms > 0:
        yield Fault("policy [storage], field latency_ms", str(ours.latency_ms), "milliseconds, above 0")
    if not len(snapshot.disks):
        yield Fault("disks", "no disks", "the tables disks and datastores")
    yield from unknown("datastores", options.datastores, snapshot.datastores.position, "datastore")
    yield from unknown("to_datastores", options.to_datastores, snapshot.datastores.position, "datastore")
    if options.datastores and not (_states(snapshot, options) == "connected").any():
        yield Fault("datastores", "every usable datastore", "at least one datastore that stays")
    if options.to_datastores and not options.datastores:
        yield Fault("to_datastores", "a target without a datastore to empty", "datastores with it")
    elif options.to_datastores and not _open(snapshot, options):
        yield Fault("to_datastores", "no usable datastore that stays", "at least one that is not emptied")


def _states(snapshot: Snapshot, options: Options) -> np.ndarray:
    """The states of datastores, those to be emptied in maintenance."""
    states = snapshot.datastores.state.astype("<U12")
    known = snapshot.datastores.position
    states[[known[name] for name in named(options.datastores, known)]] = "maintenance"
    return states


def _open(snapshot: Snapshot, options: Options) -> list[str]:
    """The datastores that disks of the emptied ones may go to: those asked for, else all, without the emptied."""
    known = snapshot.datastores.position
    wanted = named(options.to_datastores, known) if options.to_datastores else list(known)
    return [name for name in wanted if _states(snapshot, options)[known[name]] == "connected"]


def _with_built_in(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules, and the built-in ones on disks that none of them replaces."""
    taken = {rule.replaces for rule in rules}
    return (*rules, *(rule for rule in (DatastoreCapacity(), DatastoreState()) if rule.replaces not in taken))


def pose(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, options: Options) -> Problem:
    """The datastores named in maintenance and to be left; the built-in rules on disks beside the user's."""
    states, request = _states(snapshot, options), None
    changed = dataclasses.replace(snapshot, datastores=dataclasses.replace(snapshot.datastores, state=states))
    if options.datastores:
        emptied = named(options.datastores, snapshot.datastores.position)
        store = snapshot.disks.datastore_idx
        leaving = (store >= 0) & np.isin(snapshot.datastores.name, emptied)[np.maximum(store, 0)]
        asked: list[Rule] = []
        if leaving.any():
            disks = tuple(np.flatnonzero(leaving).tolist())
            stores = tuple(_open(snapshot, options))
            asked.append(DiskTarget(name=NAME, policy="hard", disks=disks, stores=stores))
        request = Request(asked, also=options.also)
    return Problem(changed, _with_built_in(rules), policy, request, scope_of(snapshot, policy, options))


def move_faults(snapshot: Snapshot, policy: Policy, stores: Mapping[str, str]) -> Iterator[Fault]:
    """What is wrong with disks that are to go to datastores, by VM."""
    if policy.limits.max_moves is not None:
        yield Fault("max_moves", "a limit that moves of disks do not know", "no limit")
    first, _ = snapshot.disks_of_vm
    bare = [vm for vm in stores if first[snapshot.vms.position[vm]] == first[snapshot.vms.position[vm] + 1]]
    if bare:
        yield Fault("move", f"{some(bare)}: no disks are known", "VMs of the table disks")


def pose_moves(
    snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, options: Options, stores: Mapping[str, str]
) -> Problem:
    """Each VM's disks on the datastore that is asked for."""
    first, order = snapshot.disks_of_vm
    by_store: dict[str, list[int]] = {}
    for vm, store in stores.items():
        at = snapshot.vms.position[vm]
        by_store.setdefault(store, []).extend(order[first[at] : first[at + 1]].tolist())
    asked = [
        DiskTarget(name=f"to {store}", policy="hard", disks=tuple(disks), stores=(store,))
        for store, disks in by_store.items()
    ]
    request = Request(asked, also=options.also)
    return Problem(snapshot, _with_built_in(rules), policy, request, scope_of(snapshot, policy, options))


def speaks_of_disks(problem: Problem) -> bool:
    """Whether a request is about disks on datastores."""
    return problem.request is not None and any(isinstance(rule, DiskTarget) for rule in problem.request.rules)


class _Disks:
    """The problem of disks on datastores, lowered to terms over bundles of disks that move as one."""

    def __init__(self, problem: Problem) -> None:
        self.problem, snapshot = problem, problem.snapshot
        self.snapshot = snapshot
        disks, stores = snapshot.disks, snapshot.datastores
        self.rules = [rule for rule in problem.rules_in_force if rule.items == "disks"]
        self.terms = [(rule, term) for rule in self.rules for term in rule.lower(snapshot)]
        named: set[int] = set()
        for _, term in self.terms:
            about = term.about()
            named.update([] if about is None else about.tolist())
        apart = np.zeros(len(disks), dtype=bool)
        apart[sorted(named)] = True
        if not problem.policy.storage.together:
            apart[:] = True
        # Disks of a VM on one datastore are one item; those that a rule on groups names are one each.
        pair = disks.vm_idx.astype(np.int64) * (len(stores) + 1) + disks.datastore_idx + 1
        key = np.where(apart, -1 - np.arange(len(disks)), pair)
        _, self.first, bundle = np.unique(key, return_index=True, return_inverse=True)
        self.bundle: Ints = bundle.reshape(-1).astype(np.int32)
        self.n = len(self.first)
        self.start: Ints = np.asarray(disks.datastore_idx[self.first], dtype=np.int32)
        self.vm: Ints = np.asarray(disks.vm_idx[self.first], dtype=np.int32)
        known = np.bincount(
            disks.datastore_idx[disks.datastore_idx >= 0],
            weights=disks.used_gib[disks.datastore_idx >= 0],
            minlength=len(stores),
        )
        self.other_gib: Floats = np.maximum(0.0, stores.capacity_gib - stores.free_gib - known)
        wanted = np.zeros(len(disks), dtype=np.bool_)
        for rule in self.rules:
            if isinstance(rule, DiskTarget):
                wanted[list(rule.disks)] = True
        self.asked = wanted[self.first]
        """Which bundles are what is asked, bool[n]."""
        self.forbidden = self._forbidden()
        """Which bundles are where a rule does not allow them, bool[n]: they may leave their datastore cluster."""
        self.gib = self.sum(disks.used_gib)
        self.iops = self.sum(np.nan_to_num(disks.iops))

    def _forbidden(self) -> np.ndarray:
        wrong = np.zeros(len(self.bundle), dtype=np.bool_)
        home = self.snapshot.disks.datastore_idx
        for _, term in self.terms:
            if isinstance(term, Allowed):
                bad = ~term.mask[term.class_idx, np.maximum(home, 0)] & (home >= 0)
                wrong |= bad if term.stay is None else bad & (term.stay != home)
        return np.bincount(self.bundle, weights=wrong, minlength=self.n) > 0

    def sum(self, of_disk: Floats) -> Floats:
        """Of disks to bundles."""
        return np.bincount(self.bundle, weights=of_disk, minlength=self.n).astype(np.float64)

    def used_ratio(self, datastore_idx: Ints) -> Floats:
        """Use over capacity of every datastore, under a placement of the disks."""
        disks, stores = self.snapshot.disks, self.snapshot.datastores
        there = datastore_idx >= 0
        used = np.bincount(datastore_idx[there], weights=disks.used_gib[there], minlength=len(stores))
        return np.asarray((used + self.other_gib) / np.maximum(stores.capacity_gib, 1e-9))

    def load_iops(self, datastore_idx: Ints) -> Floats:
        """I/O operations per second of every datastore."""
        there = datastore_idx >= 0
        iops = np.nan_to_num(self.snapshot.disks.iops)
        return np.bincount(
            datastore_idx[there], weights=iops[there], minlength=len(self.snapshot.datastores)
        ).astype(np.float64)

    def latency_ms(self, datastore_idx: Ints) -> Floats:
        """Estimated latency of every datastore; NaN where it was not measured."""
        stores = self.snapshot.datastores
        before, after = self.load_iops(self.snapshot.disks.datastore_idx), self.load_iops(datastore_idx)
        bounded = np.isfinite(stores.iops_capacity)
        top = np.where(bounded, stores.iops_capacity, 1.0)
        idle = stores.latency_ms * (1.0 - np.minimum(before / top, 0.99))
        queue = idle / (1.0 - np.minimum(after / top, 0.99))
        straight = np.where(
            before > 0, stores.latency_ms * after / np.maximum(before, 1e-9), stores.latency_ms
        )
        return np.asarray(np.where(bounded, queue, straight))

    def target_iops(self, limit_ms: float) -> Floats:
        """The load at which each datastore reaches a latency; inf where that is not known."""
        stores = self.snapshot.datastores
        load = self.load_iops(self.snapshot.disks.datastore_idx)
        bounded = np.isfinite(stores.iops_capacity)
        top = np.where(bounded, stores.iops_capacity, 1.0)
        idle = stores.latency_ms * (1.0 - np.minimum(load / top, 0.99))
        queue = top * np.maximum(0.0, 1.0 - idle / limit_ms)
        straight = np.where(
            stores.latency_ms > 0, load * limit_ms / np.maximum(stores.latency_ms, 1e-9), np.inf
        )
        target = np.where(bounded, queue, straight)
        return np.where(np.isnan(stores.latency_ms) | ((load <= 0) & ~bounded), np.inf, target)

    def reachable(self) -> np.ndarray:
        """Where each bundle may go, bool[n, n_datastores]: seen, usable, and worth it."""
        snapshot, policy = self.snapshot, self.problem.policy.storage
        stores, host = snapshot.datastores, snapshot.vms.host_idx[self.vm]
        mask = np.where((host >= 0)[:, None], snapshot.mounts[np.maximum(host, 0)], True)
        mask = mask & stores.usable[None, :]
        here = np.maximum(self.start, 0)
        moving_out = (self.start < 0) | (stores.state[here] == "maintenance") | self.asked | self.forbidden
        pod = stores.datastore_cluster
        same_pod = (pod[here][:, None] == pod[None, :]) & (pod[here] != "")[:, None]
        used = self.used_ratio(snapshot.disks.datastore_idx)
        slow = np.nan_to_num(self.latency_ms(snapshot.disks.datastore_idx)) > policy.latency_ms
        emptier = used[None, :] <= used[here][:, None] - policy.min_difference_ratio
        faster = slow[here][:, None] & ~slow[None, :]
        request = self.problem.request
        worth = emptier | faster | (request is not None and not request.also)
        mask = np.asarray(mask & (moving_out[:, None] | (same_pod & worth)))
        mask = mask & self.problem.taking_part[self.vm][:, None]
        # Whoever moves a disk is its VM's host, and one that is away moves nothing.
        away = np.isin(snapshot.hosts.state[np.maximum(host, 0)], ("disconnected", "standby")) & (host >= 0)
        mask = mask & ~away[:, None]
        stays = (self.start >= 0) & (away | (stores.state[here] != "maintenance"))
        mask[np.flatnonzero(stays), self.start[stays]] = True
        return mask

    def lowered(self) -> Lowered:
        """The problem as a solver sees it."""
        snapshot, policy = self.snapshot, self.problem.policy.storage
        stores, start = snapshot.datastores, self.start
        reachable = self.reachable()
        kinds, class_idx = np.unique(reachable, axis=0, return_inverse=True)
        reach = Allowed(class_idx.reshape(-1).astype(np.int32), kinds).relaxed(start)
        usable = stores.usable.astype(np.float64)
        full = np.maximum(0.0, policy.space_ratio * stores.capacity_gib - self.other_gib)
        space = OverTarget("space", self.gib, full, usable)
        urgent = [Level("space", (Weighted(space, 1.0, "space"),), unit="GiB above")]
        target = self.target_iops(policy.latency_ms)
        timed = np.isfinite(target)
        if timed.any():
            late = OverTarget("iops", self.iops, np.where(timed, target, 0.0), usable * timed)
            urgent.append(Level("latency", (Weighted(late, 1.0, "latency"),), unit="IOPS above"))
        away = stores.datastore_cluster[np.maximum(start, 0)][:, None] != stores.datastore_cluster[None, :]
        soft = []
        if (away & reachable).any():
            item = np.arange(self.n, dtype=np.int32)
            soft.append(Weighted(Penalty(item, away * 1.0), 1.0, "datastore cluster"))
        copied = Weighted(MoveCost(self.gib + 1.0), 1.0, "copied")
        goals = [Level("copied", (copied,), unit="GiB", slack_ratio=0.05)]
        even = tuple(self._even())
        if even:
            goals.append(Level("space spread", even, unit="std"))
        return levels.lower(
            snapshot,
            ((rule, of_disks.grouped(self.bundle, self.n)) for rule, of_disks in self.terms),
            start,
            len(stores),
            walls=(Wall(reach, "reach"),),
            request=self.problem.request,
            urgent=urgent,
            soft=soft,
            goals=goals,
            item_names=[
                f"{snapshot.vms.name[vm]}/{snapshot.disks.name[d]}"
                for vm, d in zip(self.vm, self.first, strict=True)
            ],
            bin_names=stores.name.tolist(),
        )

    def _even(self) -> Iterator[Weighted]:
        stores = self.snapshot.datastores
        room = np.maximum(stores.capacity_gib - self.other_gib, 1e-6)
        for pod in sorted(set(stores.datastore_cluster.tolist()) - {""}):
            bins = np.flatnonzero((stores.datastore_cluster == pod) & stores.usable).astype(np.int32)
            if len(bins) > 1:
                yield Weighted(Deviation("space", self.gib, room, bins), 1.0, f"space of {pod}")

    def placement(self, assign: Ints) -> Placement:
        """Where the disks are under an assignment of the bundles."""
        return Placement(self.snapshot.vms.host_idx, assign[self.bundle])


def answer(
    problem: Problem,
    *,
    solve: Solve,
    options: Options,
    solver: str,
    run: Run,
) -> Result:
    """The best placement of the disks, re-checked by the rules themselves."""
    disks = _Disks(problem)
    lowered = disks.lowered()
    found = requests.solve(lowered, np.array(lowered.start), run, solvers.find(solver))
    placement = disks.placement(found.assign)
    before = lowered.scores(lowered.start)
    goals = tuple(
        GoalScore(level.name, level.unit, float(old), float(new), float(min(bound, new)))
        for level, old, new, bound in zip(lowered.levels, before, found.scores, found.bounds, strict=True)
    )
    broken = tuple(problem.check(problem.today))
    left = tuple(problem.check(placement))
    soft = {rule.label for rule in problem.rules_in_force if rule.policy == "soft"}
    total: dict[str, float] = {}
    for sign, violations in ((-1.0, broken), (1.0, left)):
        for violation in violations:
            total[violation.rule] = total.get(violation.rule, 0.0) + sign * violation.amount
    worse = sorted(name for name, change in total.items() if change > 1e-3 and name not in soft)
    if worse:
        raise InternalError(f"the solver {found.solver!r} made {', '.join(worse)} worse than today")
    status = found.status
    if status == "no_solution" and _stuck(disks):
        status = "infeasible"
    return Result(
        problem, status, placement, goals, broken, left, found.solver, run.seed, found.elapsed_s, found.iterations,
        found.interrupted, immovable=tuple(Immovable(vm, why) for vm, why in _stuck(disks)), stats=dict(found.stats),
    )  # fmt: skip


def _stuck(disks: _Disks) -> list[tuple[str, str]]:
    """Disks that are to leave and that no other datastore takes, by themselves."""
    snapshot = disks.snapshot
    stores = snapshot.datastores
    mask, found = disks.reachable(), []
    for rule, term in disks.terms:
        if isinstance(rule, DiskTarget) and isinstance(term, Allowed):
            grouped = term.grouped(disks.bundle, disks.n)
            mask = mask & grouped.mask[grouped.class_idx]
    leaving = (
        disks.asked
        if speaks_of_disks(disks.problem)
        else stores.state[np.maximum(disks.start, 0)] == "maintenance"
    )
    for item in np.flatnonzero((disks.start >= 0) & leaving):
        if mask[item, disks.start[item]]:
            continue  # it is there
        who = f"{snapshot.vms.name[disks.vm[item]]}/{snapshot.disks.name[disks.first[item]]}"
        seen = np.flatnonzero(mask[item])
        host = int(snapshot.vms.host_idx[disks.vm[item]])
        if not len(seen):
            where = snapshot.hosts.name[host] if host >= 0 else "its host"
            if not disks.problem.takes_part(int(disks.vm[item])):
                found.append((who, f"{where} is in a cluster that takes no part"))
                continue
            found.append((who, f"{where} sees no usable datastore that it may go to"))
        elif float(stores.free_gib[seen].max()) < float(disks.gib[item]) and not _can_grow(
            disks, seen, int(item)
        ):
            found.append(
                (who, f"{disks.gib[item]:,.0f} GiB fit on none of the {len(seen)} datastores it may go to")
            )
    return found


def _can_grow(disks: _Disks, seen: np.ndarray, item: int) -> bool:
    """Whether a datastore is large enough when all else leaves it."""
    room = disks.snapshot.datastores.capacity_gib - disks.other_gib
    return bool((room[seen] >= disks.gib[item]).any())


def report(result: Result, options: Options) -> StorageAdvice:
    """Every datastore before and after."""
    disks = _Disks(result.problem)
    snapshot, policy = result.snapshot, result.problem.policy.storage
    stores = snapshot.datastores
    today = snapshot.disks.datastore_idx
    then = np.asarray(
        result.placement.datastore_idx if result.plan is None else result.plan.placement.datastore_idx
    )
    used = disks.used_ratio(today), disks.used_ratio(then)
    late = disks.latency_ms(today), disks.latency_ms(then)
    count = [np.bincount(each[each >= 0], minlength=len(stores)) for each in (today, then)]
    rows = tuple(
        DatastoreLoad(
            str(stores.name[d]), str(stores.datastore_cluster[d]), str(stores.state[d]),
            float(used[0][d]), float(used[1][d]), _known(late[0][d]), _known(late[1][d]),
            int(count[0][d]), int(count[1][d]),
        )
        for d in range(len(stores))
    )  # fmt: skip
    moved = today != then
    return StorageAdvice(
        rows, int(moved.sum()), float(snapshot.disks.used_gib[moved].sum()), tuple(_stuck(disks)),
        policy.space_ratio, policy.latency_ms,
    )  # fmt: skip


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def scores(problem: Problem, placement: Placement) -> tuple[Lowered, Floats]:
    """The levels of this mode, and what they are of a placement of the disks."""
    disks = _Disks(problem)
    lowered = disks.lowered()
    return lowered, lowered.scores(np.asarray(placement.datastore_idx[disks.first], dtype=np.int32))


MODE = Mode(pose, check, answer, report, replans=lambda problem: False, scores=scores)
