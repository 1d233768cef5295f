"""How much room there is for VMs of given sizes: today, exactly, and with so many moves at most.

A VM of the size is put beside the others without a host, and the rules in force say what it would need of every
host and which hosts it may use; nothing is assumed of rules by name. On each host so many fit as its scarcest
resource allows. The fragment rate of a resource is the share of the free room that no VM of the size can use:
sum over the hosts of (free - slots x size) / sum of free, which for one resource is the sum of (free mod size) over
free of "Towards VM Rescheduling Optimization Through Deep Reinforcement Learning" (EuroSys 2025).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from drs.errors import Fault, InputError
from drs.goals import Moves, Prices, Slots
from drs.model import Placement, Snapshot
from drs.model.flavour import EXPECTED, Flavour, core_mhz, flavours, misfit, with_vms
from drs.modes.base import Advise
from drs.options import Options
from drs.problem import Problem
from drs.result import Result
from drs.solvers.exact.highs import Worker
from drs.solvers.exact.highs_worker import Task
from drs.stop import Run, Stop
from drs.terms import Allowed, AtLeast, AtMost, Capacity, MoveLimit
from drs.terms import Slots as Term
from drs.terms.base import Bools, Floats, Ints
from drs.words import amount, count, number, percent

MIX_S = 10.0
"""Time to find how many whole mixes fit, at most."""
MOST_SLOTS = 1e6
"""Of one host, where nothing that is known limits them."""


@dataclass(frozen=True)
class Probed:
    """What the rules in force say of VMs of some sizes.

    terms : for each size, its slots. keys : for each size, what each row of its term counts. left_out : rules
    that count new VMs over several hosts together, and are not counted here.
    """

    terms: tuple[Term, ...]
    keys: tuple[tuple[str, ...], ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class RoomFor(Slots):
    """The goal `slots` under the rules in force, as they were found by `probe`."""

    found: tuple[Term, ...] = field(default=(), repr=False, compare=False)

    def parts(self, snapshot: Snapshot) -> list[tuple[Flavour, Term]]:
        """Each size with its term."""
        return list(zip(self.wanted(), self.found, strict=True))

    def _most(self, snapshot: Snapshot, wanted: Flavour) -> Floats:
        return self.found[[each.name for each in self.wanted()].index(wanted.name)].most

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        total = 0.0
        for each, term in self.parts(snapshot):
            for host in np.flatnonzero(term.most).tolist():
                there = np.flatnonzero(placement.host_idx == host)
                free = float(term.most[host])
                for r, size in enumerate(term.sizes.tolist()):
                    left = float(term.limits[r, host]) - float(sum(term.demands[r, there]))
                    free = min(free, math.floor(left / size + 1e-9) if math.isfinite(left) else math.inf)
                total += each.weight * (float(term.most[host]) - max(0.0, free))
        return total


def read_flavours(texts: str | Sequence[str], snapshot: Snapshot | None, where: str) -> tuple[Flavour, ...]:
    """The sizes that are asked for.

    Raises
    ------
    InputError : for a text that is no size, or that this cluster cannot count.
    """
    try:
        wanted = flavours(texts)
    except ValueError as error:
        raise InputError(Fault(where, str(error), EXPECTED)) from None
    reasons = [misfit(each, snapshot) for each in wanted] if snapshot is not None else []
    faults = [Fault(where, reason, EXPECTED) for reason in reasons if reason]
    if faults:
        raise InputError(faults)
    return wanted


def probe(problem: Problem, wanted: Sequence[Flavour]) -> Probed:
    """What the rules in force say of VMs of these sizes; a size that some rule lets on no host has no slots."""
    snapshot, n = problem.snapshot, problem.snapshot.n_vms
    policy = dataclasses.replace(problem.policy, goals=())
    # Held rules are in force like the user's, and are not asked again whether every VM suits them.
    larger = dataclasses.replace(
        problem, snapshot=with_vms(snapshot, wanted), rules=(), policy=policy, held=(*problem.rules, *problem.held)
    )  # fmt: skip
    lowered = larger.lowered
    terms, keys, left_out = [], [], []
    for vm in range(n, n + len(wanted)):
        rows: list[tuple[str, Floats, Floats, float]] = []
        usable = np.ones(snapshot.n_hosts, dtype=np.bool_)
        for number_, wall in enumerate(lowered.walls):
            term, key = wall.term, f"{wall.origin} ({number_})"
            if isinstance(term, Capacity):
                if term.demand[vm] > 0:
                    rows.append((key, term.demand[:n], term.limit, float(term.demand[vm])))
            elif isinstance(term, Allowed):
                usable &= term.mask[term.class_idx[vm]]
            elif isinstance(term, MoveLimit | AtLeast):  # no VM more can break these
                continue
            elif (about := term.about()) is not None and vm in about:
                own = _own_limit(term, n, snapshot.n_hosts)
                if own is None:
                    left_out.append(wall.origin)
                else:
                    rows.append((key, *own, 1.0))
        terms.append(_term(rows, usable, n))
        keys.append(tuple(key for key, *_ in rows))
    return Probed(tuple(terms), tuple(keys), tuple(dict.fromkeys(left_out)))


def _own_limit(term: object, n_vms: int, n_hosts: int) -> tuple[Floats, Floats] | None:
    """A limit on the number of VMs of each host by itself: what each VM counts, and the limits; None for others."""
    if not isinstance(term, AtMost):
        return None
    domains, sizes = np.unique(term.domain[term.domain >= 0], return_counts=True)
    if len(domains) and sizes.max() > 1:
        return None
    counted = np.zeros(n_vms)
    counted[term.items[term.items < n_vms]] = 1.0
    limit = np.where(term.domain >= 0, term.limit[np.maximum(term.domain, 0)], np.inf)
    return counted, np.asarray(limit)


def _term(rows: list[tuple[str, Floats, Floats, float]], usable: Bools, n: int) -> Term:
    demands = np.array([demand for _, demand, _, _ in rows]).reshape(len(rows), n)
    limits = np.array([limit for _, _, limit, _ in rows]).reshape(len(rows), len(usable))
    sizes = np.array([size for *_, size in rows])
    most = np.full(len(usable), MOST_SLOTS if rows else 0.0)
    for limit, size in zip(limits, sizes, strict=True):
        most = np.minimum(most, np.floor(limit / size + 1e-9))
    return Term(demands, limits, sizes, np.where(usable, np.maximum(0.0, most), 0.0))


@dataclass(frozen=True)
class Within:
    """What so many moves at most bring: slots found, and no more than `at_most` whatever is tried.

    moves : (vm, from_host, to_host) in the order in which they can be made.
    """

    max_moves: int
    slots: int
    at_most: int
    fragment_rate: Mapping[str, float]
    moves: tuple[tuple[str, str, str], ...]

    @property
    def proven(self) -> bool:
        """Whether no more is possible with so many moves."""
        return self.slots >= self.at_most


@dataclass(frozen=True)
class FlavourRoom:
    """Room for VMs of one size, which has all the room for itself.

    needs : what one takes of each resource of hosts. slots : so many the cluster takes today, exactly.
    by_cluster : the same by cluster. fragment_rate : by resource, the share of the free room that no such VM can use.
    within : what moves bring, where it was asked.
    """

    flavour: str
    weight: float
    needs: Mapping[str, float]
    slots: int
    by_cluster: Mapping[str, int]
    fragment_rate: Mapping[str, float]
    within: Within | None = None

    def sentences(self) -> list[str]:
        """In words."""
        needs = ", ".join(f"{resource} {amount(resource, need)}" for resource, need in self.needs.items())
        line = f"{self.flavour} ({needs}): the cluster takes {count(self.slots, 'VM')} today"
        line += unusable(self.fragment_rate)
        lines = [line]
        if self.within is not None:
            made = self.within
            bound = "proven, no more is possible" if made.proven else f"at most {made.at_most:,}"
            line = f"{self.flavour}: {made.slots:,} with {count(len(made.moves), 'move')}"
            line += f" of {made.max_moves:,} ({bound})"
            lines.append(line + unusable(made.fragment_rate))
        return lines


@dataclass(frozen=True)
class RoomReport:
    """Room for VMs of some sizes.

    mixes : so many times the sizes fit together, each as often as its weight says; `mixes_at_most`: no more.
    fragment_rate : by resource, the mean over the sizes by their weights (FGD, USENIX ATC 2023, counts a mix so).
    notes : what to know of these figures.
    """

    flavours: tuple[FlavourRoom, ...]
    mixes: int
    mixes_at_most: int
    fragment_rate: Mapping[str, float]
    notes: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """In words."""
        lines = [line for each in self.flavours for line in each.sentences()]
        if len(self.flavours) > 1:
            what = " with ".join(f"{each.weight:g} × {each.flavour}" for each in self.flavours)
            bound = "" if self.mixes >= self.mixes_at_most else f" or more, at most {self.mixes_at_most:,}"
            times = "once" if self.mixes == 1 and not bound else f"{self.mixes:,} times"
            lines.append(f"together, {what}: {times}{bound}{unusable(self.fragment_rate)}")
        return lines + list(self.notes)


def unusable(rates: Mapping[str, float]) -> str:
    """The fragment rates as the end of a sentence."""
    said = " and ".join(f"{percent(rate, 1)} of the free {resource}" for resource, rate in rates.items())
    return f"; {said} is of no use to it" if said else ""


def fragment_rates(
    snapshot: Snapshot, wanted: Flavour, term: Term, host_idx: Ints, usable: Floats
) -> dict[str, float]:
    """By resource of the size, the share of the free room of the `usable` hosts that no VM of the size can use."""
    slots, rates = term.free(host_idx), {}
    for resource, size in wanted.demand(snapshot).items():
        matching = [
            r for r in range(len(term.sizes))
            if term.sizes[r] == size and np.array_equal(term.demands[r], snapshot.demand(resource))
        ]  # fmt: skip
        if not matching:
            continue
        use = np.bincount(
            host_idx[host_idx >= 0], snapshot.demand(resource)[host_idx >= 0], minlength=snapshot.n_hosts
        )
        free = np.maximum(0.0, term.limits[matching].min(axis=0) - use) * usable
        total = float(free.sum())
        rates[resource] = float((free - slots * size).clip(0.0).sum()) / total if total > 0 else 0.0
    return rates


def usable_hosts(problem: Problem) -> Floats:
    """1 for each host that is connected and takes part, f8[n_hosts]."""
    usable = problem.snapshot.hosts.state == "connected"
    return np.asarray(usable if problem.scope is None else usable & problem.scope, dtype=np.float64)


def room(
    problem: Problem,
    wanted: str | Sequence[str],
    *,
    max_moves: int | None = None,
    cluster: Sequence[str] = (),
    advise: Advise | None = None,
    run: Run | None = None,
) -> RoomReport:
    """How many VMs of each size the hosts that take part take today, and with so many moves at most.

    Parameters
    ----------
    wanted : sizes such as `16c/32g`, with `=3` behind one for its weight in a mix; one text with commas, or a list.
    max_moves : find what so many moves make of it, with `advise`, for each size by itself.
    cluster : the clusters that take part, as `problem.scope` says; for `advise`.
    advise : `drs.advise`. run : the budget for the search, shared by the sizes.

    Raises
    ------
    InputError : for what is no size.
    """
    snapshot = problem.snapshot
    asked = read_flavours(wanted, snapshot, "room")
    probed = probe(problem, asked)
    host_idx = np.asarray(problem.today.host_idx, dtype=np.int32)
    usable = usable_hosts(problem)
    run = run or Run(Stop(30.0))
    found = []
    for k, (each, term) in enumerate(zip(asked, probed.terms, strict=True)):
        slots = term.free(host_idx)
        by_cluster = {
            str(name): int(slots[snapshot.hosts.cluster_idx == c].sum())
            for c, name in enumerate(snapshot.clusters.name)
            if (usable[snapshot.hosts.cluster_idx == c] > 0).any()
        }
        rates = fragment_rates(snapshot, each, term, host_idx, usable)
        within = None
        if max_moves is not None and advise is not None:
            part = run.followed_by(
                None if run.stop.time_s is None else run.stop.remaining_s / (len(asked) - k),
                None if run.stop.iterations is None else run.stop.iterations // len(asked),
            )
            within = _within(problem, each, max_moves, cluster, advise, part)
        found.append(
            FlavourRoom(
                each.name, each.weight, each.demand(snapshot), int(slots.sum()), by_cluster, rates, within
            )
        )
    total = sum(each.weight for each in asked)
    of_all = list(dict.fromkeys(resource for each in found for resource in each.fragment_rate))
    mean = {
        resource: sum(
            each.weight * each.fragment_rate.get(resource, 0.0) for each in found
        )
        / total
        for resource in of_all
    }  # fmt: skip
    mixes, at_most = _mixes(asked, probed, host_idx, run)
    notes = [
        f"{rule} counts new VMs over several hosts together; it is not counted here"
        for rule in probed.left_out
    ]
    if any(each.cpu_mhz is None and each.vcpus for each in asked):
        clock = core_mhz(snapshot)
        whole = f"a vCPU counts as a whole core of {number(clock or 0.0)} MHz"
        notes.append(f"{whole}; 16c/32g/9000mhz says how many MHz such a VM needs")
    return RoomReport(tuple(found), mixes, at_most, mean, tuple(notes))


def _within(
    problem: Problem, wanted: Flavour, max_moves: int, cluster: Sequence[str], advise: Advise, run: Run
) -> Within:
    limits = dataclasses.replace(problem.policy.limits, max_moves=max_moves)
    result = advise(
        problem.snapshot,
        mode="defragment",
        options=Options(flavours=(wanted.name,), cluster=tuple(cluster)),
        rules=problem.rules,
        policy=dataclasses.replace(problem.policy, limits=limits),
        seed=run.seed,
        stop=run.stop,
        on_progress=run.on_progress,
    )
    (made,) = made_of(result)
    moves = sorted(result.plan.moves, key=lambda move: move.step) if result.plan else []
    return Within(
        max_moves, made.slots_after, made.at_most or made.slots_after, made.fragment_rate_after,
        tuple((move.vm, move.from_host, move.to_host) for move in moves),
    )  # fmt: skip


@dataclass(frozen=True)
class Made:
    """Room for VMs of one size before and after a plan; `at_most` None where several sizes share one bound."""

    flavour: str
    weight: float
    slots_before: int
    slots_after: int
    at_most: int | None
    fragment_rate_before: Mapping[str, float]
    fragment_rate_after: Mapping[str, float]


def made_of(result: Result) -> tuple[Made, ...]:
    """What a plan made of the room, for each size of its goal `slots`."""
    problem, snapshot = result.problem, result.problem.snapshot
    usable, after = usable_hosts(problem), result.plan.placement if result.plan else result.placement
    here, there = (np.asarray(each.host_idx, dtype=np.int32) for each in (problem.today, after))
    found: list[Made] = []
    scores = result.goals[len(result.goals) - len(problem.goals) :]
    for goal, score in zip(problem.goals, scores, strict=True):
        if not isinstance(goal, Slots):
            continue
        parts = goal.parts(snapshot)
        for each, term in parts:
            at_most = None
            if len(parts) == 1:
                at_most = math.floor(float(term.most.sum()) - score.bound / each.weight + 1e-6)
            found.append(
                Made(
                    each.name, each.weight, int(term.free(here).sum()), int(term.free(there).sum()), at_most,
                    fragment_rates(snapshot, each, term, here, usable),
                    fragment_rates(snapshot, each, term, there, usable),
                )
            )  # fmt: skip
    return tuple(found)


def _mixes(asked: Sequence[Flavour], probed: Probed, host_idx: Ints, run: Run) -> tuple[int, int]:
    """How often the sizes fit together, each as often as its weight says: (found, at most), by whole counts."""
    free = [term.free(host_idx).astype(int) for term in probed.terms]
    if len(asked) == 1:
        n = int(free[0].sum() / asked[0].weight + 1e-9)
        return n, n
    columns = [(f, b) for f in range(len(asked)) for b in np.flatnonzero(free[f]).tolist()]
    most = min(int(each.sum() / wish.weight + 1e-9) for each, wish in zip(free, asked, strict=True))
    if not most:
        return 0, 0
    rows: list[tuple[list[int], list[float], float, float]] = []
    for f, wish in enumerate(asked):  # as many of each size as the mixes need
        own = [k for k, (g, _) in enumerate(columns) if g == f]
        rows.append(([*own, len(columns)], [*([1.0] * len(own)), -wish.weight], 0.0, np.inf))
    of_host: dict[tuple[str, int], list[tuple[int, float]]] = {}
    left: dict[tuple[str, int], float] = {}
    for k, (f, b) in enumerate(columns):
        term = probed.terms[f]
        for r, key in enumerate(probed.keys[f]):
            of_host.setdefault((key, b), []).append((k, float(term.sizes[r])))
            if (key, b) not in left:
                use = float(term.demands[r, host_idx == b].sum())
                left[key, b] = float(term.limits[r, b]) - use
    for at, parts in of_host.items():
        if math.isfinite(left[at]):
            size = max(amount for _, amount in parts)
            rows.append(
                ([k for k, _ in parts], [amount / size for _, amount in parts], -np.inf, left[at] / size)
            )
    n = len(columns) + 1
    objective = np.zeros(n)
    objective[-1] = -1.0
    task = Task(
        low=np.zeros(n),
        high=np.array([*(free[f][b] for f, b in columns), most], dtype=np.float64),
        integer=np.ones(n, dtype=np.bool_),
        objective_cols=np.arange(n),
        objective=objective,
        begin=np.cumsum([0, *(len(cols) for cols, *_ in rows)]),
        cols=np.array([col for cols, *_ in rows for col in cols], dtype=np.int64),
        coefs=np.array([coef for _, coefs, *_ in rows for coef in coefs]),
        row_low=np.array([low for *_, low, _ in rows]),
        row_high=np.array([high for *_, high in rows]),
        hint=None,
        seed=run.seed,
        time_s=MIX_S,
        nodes=None,
    )
    worker = Worker()
    try:
        outcome = worker.solve(task, run.followed_by(2 * MIX_S).stop)
    finally:
        worker.close()
    found = 0 if outcome.values is None else round(float(outcome.values[-1]))
    at_most = most if outcome.bound is None else min(most, math.floor(-outcome.bound + 1e-6))
    return found, max(found, at_most)


def goals_for(problem: Problem, wanted: str | Sequence[str]) -> tuple[RoomFor | Moves, ...]:
    """The goals of mode `defragment`: slots under the rules in force, then few and cheap moves."""
    probed = probe(problem, flavours(wanted))
    names = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    moves = next((goal for goal in problem.policy.goals if isinstance(goal, Moves)), Moves())
    return RoomFor(flavours=names, found=probed.terms), moves
