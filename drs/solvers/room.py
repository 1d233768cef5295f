"""Room for what is nowhere yet, by counts: items that nothing tells apart are counted and not named.

How many items of each kind leave a bin, and how many arrive, is a far smaller question than where each item
goes: 2,000 VMs of a dozen kinds on 500 hosts are some thousand whole numbers in place of a million. HiGHS
answers it: what can be placed within the limit on moves, and how much at most whatever else is tried. Then
names are given back, the cheapest items first. Free slots of a size (the term `Slots`) are counted in the same
way, as if things of that size were to be placed that nobody sees.

Two items are of one kind when they have the same demand of every resource, may be in the same bins, weigh the
same in every limit on moves, and no other limit names them. Where there are too many kinds, demands that
differ by a few percent count as one: as the larger for what arrives and the smaller for what leaves, so that
the plan keeps the limits; and the other way round for the bound, so that it stays one. An item of a group that
keeps apart (`AtMost`) is like any other in the counts, and is given a name that its group lets go
(`drs.solvers.naming`). One that another limit names stays where it is for the plan, and is like any other for the
bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drs.solvers import levels as order
from drs.solvers import naming
from drs.solvers.base import Answer
from drs.solvers.exact.highs import NODE_ITERATIONS, Worker
from drs.solvers.exact.highs_worker import Outcome, Task
from drs.solvers.room_columns import MOST_COLUMNS as MOST_CHANGES
from drs.solvers.room_columns import Columns, Room
from drs.stop import Run
from drs.terms import Allowed, AtMost, Capacity, MoveCost, MoveLimit, Slots, Unplaced
from drs.terms.base import Floats, Ints, Level, Lowered
from drs.terms.limits import all_of, usage

MOST_COLUMNS = 30_000
"""Whole numbers of a model; beyond, demands are rounded to fewer kinds."""
GRIDS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Demands within such a share of each other are of one kind."""
MOST_KINDS = 64
"""Kinds that move, up to which whole changes of bins are looked at; with more of them each has too few VMs."""
COLUMNS_SHARE = 0.35
"""Of the time, for answers by whole changes of bins."""
START_SHARE = 0.3
"""Of the time for a model, for starting its process and handing it over."""
CHEAP = 0.2
"""All prices of moves together weigh less than this part of one item placed."""

Flags = NDArray[np.bool_]


def applies(lowered: Lowered, scores: Floats) -> bool:
    """Whether items wait that could be placed, or slots are lost: some level of theirs is not at zero."""
    return _first(lowered, scores) is not None


def _first(lowered: Lowered, scores: Floats) -> int | None:
    """The first level that counts can answer."""
    for k, (level, score) in enumerate(zip(lowered.levels, scores, strict=True)):
        slots = bool(level.terms) and all(isinstance(entry.term, Slots) for entry in level.terms)
        if (level.role == "placed" or slots) and score > 0:
            return k
    return None


def solve(lowered: Lowered, start: Ints, run: Run, worker: Worker | None = None) -> Answer:
    """Place as many waiting items as possible, or free as many slots; see `drs.solvers.base.Solver`.

    Only one level is bounded, the first of the role `placed` or of slots that is not at zero; the others' bounds
    are 0. The moves are few, then cheap, as the first level that prices them says. Raises ValueError where there
    is no such level. `worker`: a process for HiGHS that has started; it is ended.
    """
    today = lowered.scores(lowered.start)
    first = _first(lowered, today)
    if first is None:
        raise ValueError("nothing waits, and no slot is lost")
    call = _Search(lowered, start, run, worker or Worker())
    bounds = np.zeros(len(lowered.levels))
    try:
        plan = _Counts(lowered, first, plan=True)
        room = plan.room()
        columns = Columns(room) if 0 < len(room.here) <= MOST_KINDS and plan.n_columns else None
        if columns is not None and 0 < len(columns) <= MOST_CHANGES:
            outcome = call.ask(columns.task(CHEAP * plan.least, *call.limits(COLUMNS_SHARE)), COLUMNS_SHARE)
            if outcome.values is not None:
                call.take(plan.named(*columns.chosen(outcome.values)))
        outcome = Outcome("empty")
        least = plan
        if plan.n_columns:
            share = 1.0 if plan.tight else 0.5  # the same model bounds what it plans where it is tight
            outcome = call.ask(plan.task(*call.limits(share), hint=plan.hint(call.best)), share)
            if outcome.values is not None:
                call.take(plan.named(*plan.chosen(outcome.values)))
        if not plan.tight:
            least = _Counts(lowered, first, plan=False)
            outcome = call.ask(least.task(*call.limits(1.0)), 1.0) if least.n_columns else Outcome("empty")
        bounds[first] = min(call.scores[first], least.left(outcome))
    finally:
        call.worker.close()
    stop = run.stop
    return Answer(
        order.status(lowered, call.scores, bounds), call.best, call.scores, bounds, "room", stop.elapsed_s,
        call.nodes * NODE_ITERATIONS, stop.interrupted,
        {"kinds": plan.n_kinds, "columns": 0 if columns is None else len(columns)},
    )  # fmt: skip


class _Search:
    """The best assignment so far, and the process that is asked for better ones."""

    def __init__(self, lowered: Lowered, start: Ints, run: Run, worker: Worker) -> None:
        self.lowered, self.run, self.worker, self.nodes = lowered, run, worker, 0
        self.best = np.asarray(start, dtype=np.int32)
        self.scores = lowered.scores(self.best)

    def limits(self, share: float) -> tuple[float | None, int | None, int]:
        """Seconds and nodes of a model that may take a share of what is left, and the seed."""
        stop = self.run.stop
        nodes = None if stop.iterations is None else max(1, int(share * stop.iterations) // NODE_ITERATIONS)
        time_s = None if stop.time_s is None else (1.0 - START_SHARE) * share * stop.remaining_s
        return time_s, nodes, self.run.seed

    def ask(self, task: Task, share: float) -> Outcome:
        """What HiGHS answers, in a share of what is left."""
        stop = self.run.stop
        grace_s = START_SHARE * share * stop.remaining_s if stop.time_s is not None else 0.0
        outcome = self.worker.solve(task, stop, grace_s + 1.0)
        self.nodes += outcome.nodes + 1
        return outcome

    def take(self, assign: Ints) -> None:
        """Keep an assignment that is better, after what crosses a wall in it has gone back."""
        assign = naming.mended(self.lowered, assign)
        if not order.misplaced(self.lowered, assign) and not self.lowered.broken_walls(assign):
            scores = self.lowered.scores(assign)
            if order.better(self.lowered, scores, self.scores):
                self.best, self.scores = assign, scores


@dataclass(frozen=True)
class _Kinds:
    """Items that are alike: `of` is the kind of each item, -1 for one that stays out of the model."""

    of: Ints
    low: Floats
    """f8[n_kinds, n_resources]: what an item of the kind takes at least."""
    high: Floats
    mask: Flags
    """bool[n_kinds, n_bins]"""
    weight: Floats
    """f8[n_kinds, n_limits]: in each limit on moves, the least in a bound and the most in a plan."""
    groups: tuple[tuple[int, ...], ...]
    """The limits that name the kind's waiting items."""
    worth: Floats
    """f8[n_kinds]: what placing one brings; 0 for what has a place."""


@dataclass(frozen=True)
class _Resource:
    """What a limit, or a kind of slot, counts in every bin."""

    demand: Floats
    """f8[n_items]"""
    free: Floats
    """f8[n_bins], 0 or more; inf where nothing limits it"""
    sizes: Floats
    """f8[n_slots]: what one slot of each kind takes"""
    returns: bool = True
    """Whether what leaves a bin makes room there."""


class _Counts:
    """The model: columns `arrive[kind, bin]`, `leave[kind, bin]` and `placed[waiting kind, bin]`."""

    def __init__(self, lowered: Lowered, first: int, *, plan: bool) -> None:
        self.lowered, self.start, self.plan = lowered, lowered.start, plan
        self.level = lowered.levels[first]
        self.slots = [
            (entry.weight, entry.term) for entry in self.level.terms if isinstance(entry.term, Slots)
        ]
        self.resources = self._resources([w.term for w in lowered.walls if isinstance(w.term, Capacity)])
        self.moves = [w.term for w in lowered.walls if isinstance(w.term, MoveLimit)]
        self.apart = [w.term for w in lowered.walls if isinstance(w.term, AtMost)]
        self.class_idx, self.mask = all_of(
            [w.term for w in lowered.walls if isinstance(w.term, Allowed)], lowered.n_items, lowered.n_bins
        )
        named = np.zeros(lowered.n_items, dtype=np.bool_)
        for wall in lowered.walls:
            about = wall.term.about()
            if about is not None and not isinstance(wall.term, AtMost):
                named[about] = True
        self.waits = (self.start < 0) & (_worth(self.level, lowered.n_items) > 0)
        free = self.mask.sum(axis=1)[self.class_idx] > (self.start >= 0)
        self.may_move = (self.start >= 0) & free & ~(named & plan)
        self.price = _price(lowered, first)
        for grid in GRIDS:
            self.kinds = self._kinds(grid)
            self._columns()
            if self.n_columns <= MOST_COLUMNS:
                break
        exact = bool((self.kinds.low == self.kinds.high).all()) and not self.loose
        # A group of which some wait and some could make way is counted too strictly by the plan.
        mixed = any(
            bool(self.waits[term.items].any() and self.may_move[term.items].any()) for term in self.apart
        )
        self.tight = exact and not mixed and not bool(named[self.start >= 0].any())

    def _resources(self, limits: list[Capacity]) -> list[_Resource]:
        """What the limits count, then what the slots do.

        A bin may be used beyond a slot's own limit, and has no slot then. The plan does not use it so; the bound
        takes the slot's limit to be as wide as the walls', which is told in `loose`.
        """
        none = np.zeros(len(self.slots))
        found = [
            _Resource(
                term.demand,
                np.maximum(0.0, term.limit - term.use(self.start, self.start)),
                none,
                term.when != "at_once",
            )
            for term in limits
        ]
        self.loose = False
        for k, (_, term) in enumerate(self.slots):
            for demand, limit, size in zip(term.demands, term.limits, term.sizes, strict=True):
                wall = np.full(self.lowered.n_bins, np.inf)
                for other in limits:
                    if np.array_equal(other.demand, demand):
                        wall = np.minimum(wall, other.limit)
                wide = (wall > limit * (1 + 1e-9)) & (term.most > 0)
                self.loose |= bool(wide.any())
                if not self.plan:
                    limit = np.where(wide, wall, limit)
                sizes = none.copy()
                sizes[k] = size
                free = np.maximum(0.0, limit - usage(self.start, demand, self.lowered.n_bins))
                found.append(_Resource(demand, free, sizes))
        return found

    @property
    def n_kinds(self) -> int:
        """How many kinds of items there are."""
        return len(self.kinds.mask)

    def _kinds(self, grid: float) -> _Kinds:
        """Kinds of the items that move or wait, demands within `grid` of each other taken as one."""
        lowered = self.lowered
        items = np.flatnonzero(self.may_move | self.waits)
        demand = np.stack([each.demand for each in self.resources] or [np.zeros(lowered.n_items)], axis=1)
        items = items[self.waits[items] | demand[items].any(axis=1)]
        demand = demand[items]
        step = demand
        if grid > 0:
            step = np.where(demand > 0, np.floor(np.log(np.maximum(demand, 1e-12)) / np.log1p(grid)), -np.inf)
        weights = np.stack([term.weight for term in self.moves] or [np.zeros(lowered.n_items)], axis=1)[items]
        member = np.zeros((len(items), len(self.apart)))
        for k, group in enumerate(self.apart):  # only what waits is told apart by the limits that name it
            member[:, k] = np.isin(items, group.items) & self.waits[items]
        worth = np.where(self.waits, _worth(self.level, lowered.n_items), -1.0)[items]
        key = np.column_stack([step, weights, member, worth, self.class_idx[items]])
        _, first, kind = np.unique(key, axis=0, return_index=True, return_inverse=True)
        kind = kind.reshape(-1)
        n = len(first)
        low, high = np.full((n, demand.shape[1]), np.inf), np.zeros((n, demand.shape[1]))
        np.minimum.at(low, kind, demand)
        np.maximum.at(high, kind, demand)
        of = np.full(lowered.n_items, -1, dtype=np.int32)
        of[items] = kind
        groups = tuple(tuple(np.flatnonzero(row).tolist()) for row in member[first])
        groups += ((),) * len(self.slots)
        mask = [self.mask[self.class_idx[items[first]]], *(term.most[None] > 0 for _, term in self.slots)]
        sizes = np.array([each.sizes for each in self.resources]).reshape(len(self.resources), -1).T
        if len(self.slots):  # a slot is one more kind, of which nothing is there
            low, high = np.vstack([low, sizes]), np.vstack([high, sizes])
            weights = np.vstack([weights[first], np.zeros((len(self.slots), weights.shape[1]))])
        else:
            weights = weights[first]
        gain = [weight for weight, _ in self.slots]
        return _Kinds(
            of, low, high, np.vstack(mask), weights, groups, np.append(np.maximum(0.0, worth[first]), gain)
        )

    def _columns(self) -> None:
        """Which columns there are: (kind, bin) each, and their upper limits."""
        kinds, n_bins = self.kinds, self.lowered.n_bins
        n = self.n_kinds
        inside = np.flatnonzero((kinds.of >= 0) & (self.start >= 0))
        self.here = np.zeros((n, n_bins), dtype=np.int64)
        np.add.at(self.here, (kinds.of[inside], self.start[inside]), 1)
        waiting = np.flatnonzero((kinds.of >= 0) & (self.start < 0))
        self.waiting = np.bincount(kinds.of[waiting], minlength=n)
        self.arriving, self.leaving = (kinds.low, kinds.high) if not self.plan else (kinds.high, kinds.low)
        self.leaving = self.leaving * ([each.returns for each in self.resources] or [True])
        self.free = np.stack([each.free for each in self.resources] or [np.full(n_bins, np.inf)], axis=1)
        # What a bin has free once all that may leave has left bounds what can arrive.
        room = self.free + self.here.T @ self.leaving
        with np.errstate(divide="ignore", invalid="ignore"):
            most = np.where(
                self.arriving[:, None, :] > 0, (room[None] + 1e-9) / self.arriving[:, None, :], np.inf
            )
        fits = np.floor(np.nan_to_num(most.min(axis=2), nan=0.0, posinf=1e9)).astype(np.int64)
        fits = np.where(kinds.mask, np.maximum(fits, 0), 0)
        total = self.here.sum(axis=1)
        moving = np.minimum(fits, (total[:, None] - self.here))
        self.arrive = np.argwhere(moving > 0)
        self.leave = np.argwhere(self.here > 0)
        placed = np.minimum(fits, self.waiting[:, None])
        for k, (_, term) in enumerate(self.slots, start=n - len(self.slots)):
            placed[k] = np.minimum(fits[k], term.most.astype(np.int64))
            self.waiting[k] = placed[k].sum()
        self.place = np.argwhere(placed > 0)
        if not len(self.place):
            self.arrive, self.leave = self.arrive[:0], self.leave[:0]
        self.upper = np.concatenate(
            [moving[tuple(self.arrive.T)], self.here[tuple(self.leave.T)], placed[tuple(self.place.T)]]
        ).astype(np.float64)
        self.n_columns = len(self.upper)
        self.n_arrive, self.n_leave = len(self.arrive), len(self.leave)

    def _rows(self) -> Iterator[tuple[NDArray[np.int64], Floats, float, float]]:
        """Each row: columns, coefficients, least, most."""
        kind = np.concatenate([self.arrive[:, 0], self.leave[:, 0], self.place[:, 0]])
        where = np.concatenate([self.arrive[:, 1], self.leave[:, 1], self.place[:, 1]])
        columns = np.arange(self.n_columns)
        leaves = (columns >= self.n_arrive) & (columns < self.n_arrive + self.n_leave)
        places = columns >= self.n_arrive + self.n_leave
        for k in range(self.n_kinds):
            own = columns[kind == k]
            moved = own[~places[own]]
            if len(moved):  # what leaves arrives somewhere
                yield moved, np.where(leaves[moved], -1.0, 1.0), 0.0, 0.0
            waiting = own[places[own]]
            if len(waiting):
                yield waiting, np.ones(len(waiting)), 0.0, float(self.waiting[k])
        by_bin = np.argsort(where, kind="stable")
        for at in np.split(by_bin, np.flatnonzero(np.diff(where[by_bin])) + 1):
            b = int(where[at[0]])
            for r in range(self.free.shape[1]):
                take = np.where(leaves[at], -self.leaving[kind[at], r], self.arriving[kind[at], r])
                if take.any() and np.isfinite(self.free[b, r]):
                    size = max(1.0, float(np.abs(take).max()))
                    yield at, take / size, -np.inf, float(max(0.0, self.free[b, r])) / size
        for limit, term in enumerate(self.moves):
            at = columns[leaves]
            weight = self.kinds.weight[kind[at], limit]
            if weight.any():
                yield at, weight, -np.inf, term.limit
        said = sorted({k for groups in self.kinds.groups for k in groups})
        for k in said:
            group = self.apart[k]
            of_kind = np.array([k in groups for groups in self.kinds.groups], dtype=np.bool_)
            mine = places & of_kind[kind]
            held = np.isin(np.arange(self.lowered.n_items), group.items) & (self.start >= 0)
            if not self.plan:
                held &= ~self.may_move  # what may move away bars nobody in a bound
            there = group.domain[np.maximum(self.start, 0)]
            for d in np.unique(group.domain[where[mine]]).tolist():
                at = columns[mine & (group.domain[where] == d)]
                n_held = int(np.count_nonzero(held & (there == d)))
                if d >= 0:
                    yield at, np.ones(len(at)), -np.inf, max(0.0, float(group.limit[d]) - n_held)

    def task(self, time_s: float | None, nodes: int | None, seed: int, hint: Floats | None = None) -> Task:
        """The model for HiGHS: minus what is placed, plus a little for each move."""
        one = self.kinds.worth
        objective = np.zeros(self.n_columns)
        objective[self.n_arrive + self.n_leave :] = -one[self.place[:, 0]]
        if self.plan and self.n_leave:
            price = self._prices()
            least = float(one[one > 0].min(initial=np.inf))
            most = float((price * self.upper[self.n_arrive : self.n_arrive + self.n_leave]).sum())
            for term in self.moves:  # no more is ever paid than the limit on moves lets
                weight = self.kinds.weight[self.leave[:, 0], self.moves.index(term)]
                if (weight > 0).all():
                    most = min(most, float((price / weight).max()) * term.limit)
            objective[self.n_arrive : self.n_arrive + self.n_leave] = price * (
                CHEAP * least / max(most, 1e-9)
            )
        rows = list(self._rows())
        lengths = [len(columns) for columns, *_ in rows]
        return Task(
            low=np.zeros(self.n_columns),
            high=self.upper,
            integer=np.ones(self.n_columns, dtype=np.bool_),
            objective_cols=np.arange(self.n_columns),
            objective=objective,
            begin=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            cols=np.concatenate([columns for columns, *_ in rows]).astype(np.int64),
            coefs=np.concatenate([coefs for _, coefs, *_ in rows]),
            row_low=np.array([low for *_, low, _ in rows]),
            row_high=np.array([high for *_, high in rows]),
            hint=hint,
            seed=seed,
            time_s=time_s,
            nodes=nodes,
        )

    def _prices(self) -> Floats:
        """What one item of a kind costs that leaves a bin: the cheapest of them, f8[n_leave]."""
        cheapest = np.full(self.here.shape, np.inf)
        inside = np.flatnonzero((self.kinds.of >= 0) & (self.start >= 0))
        np.minimum.at(cheapest, (self.kinds.of[inside], self.start[inside]), self.price[inside])
        return np.asarray(cheapest[tuple(self.leave.T)])

    def left(self, outcome: Outcome) -> float:
        """The least that stays unplaced, by the bound of an answer; 0 without one."""
        total = float(_worth(self.level, self.lowered.n_items)[self.waits].sum())
        total += float(sum(weight * term.most.sum() for weight, term in self.slots))
        if not self.n_columns:
            return total
        if outcome.bound is None:
            return 0.0
        # Prices of moves only lower what the bound says is placed: it holds without them.
        worth = self.kinds.worth[self.kinds.worth > 0]
        step = float(worth.min())
        most = -outcome.bound + (CHEAP * step if self.plan else 0.0)
        if bool((worth == step).all()):
            most = np.floor(most / step + 1e-6) * step
        return max(0.0, total - most)

    @property
    def least(self) -> float:
        """The least that placing something is worth."""
        return float(self.kinds.worth[self.kinds.worth > 0].min(initial=np.inf))

    def room(self) -> Room:
        """What the columns of whole changes are made of: the kinds that move, and what is to be placed."""
        kinds, n = self.kinds, self.n_kinds
        moving = np.flatnonzero(self.here.sum(axis=1) > 0)
        wanted = np.arange(n - len(self.slots), n) if self.slots else np.flatnonzero(self.waiting > 0)
        takes = np.zeros((n, self.lowered.n_bins), dtype=np.int64)
        takes[tuple(self.arrive.T)] = self.upper[: self.n_arrive]
        most = np.zeros_like(takes)
        most[tuple(self.place.T)] = self.upper[self.n_arrive + self.n_leave :]
        self.moving, self.wanted = moving, wanted
        limits = np.array([term.limit for term in self.moves])
        return Room(
            self.here[moving], takes[moving], np.where(np.isfinite(self.free), self.free, 1e15),
            self.arriving[moving], self.leaving[moving], kinds.weight[moving][:, : len(limits)],
            limits, self.arriving[wanted], kinds.worth[wanted], most[wanted], self.waiting[wanted], bool(self.slots),
        )  # fmt: skip

    def chosen(self, values: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What a solution means: (more of each moving kind, what is placed of each wanted kind), by bin."""
        counts = np.rint(values).astype(np.int64)
        net, placed = np.zeros_like(self.here), np.zeros_like(self.here)
        np.add.at(net, tuple(self.arrive.T), counts[: self.n_arrive])
        np.add.at(net, tuple(self.leave.T), -counts[self.n_arrive : self.n_arrive + self.n_leave])
        placed[tuple(self.place.T)] = counts[self.n_arrive + self.n_leave :]
        return net[self.moving], placed[self.wanted]

    def hint(self, assign: Ints) -> Floats:
        """The solution that an assignment stands for, as far as counts tell; slots as many as are free."""
        net, placed = np.zeros_like(self.here), np.zeros_like(self.here)
        kind = self.kinds.of
        for item in np.flatnonzero((kind >= 0) & (assign != self.start) & (assign >= 0)).tolist():
            if self.start[item] < 0:
                placed[kind[item], assign[item]] += 1
            else:
                net[kind[item], self.start[item]] -= 1
                net[kind[item], assign[item]] += 1
        for k, (_, term) in enumerate(self.slots, start=self.n_kinds - len(self.slots)):
            placed[k] = term.free(assign).astype(np.int64)
        return np.concatenate([
            np.maximum(net[tuple(self.arrive.T)], 0), np.maximum(-net[tuple(self.leave.T)], 0),
            placed[tuple(self.place.T)],
        ]).astype(np.float64)  # fmt: skip

    def named(self, net: NDArray[np.int64], placed: NDArray[np.int64]) -> Ints:
        """The assignment of these counts: of a kind the cheapest leave that the groups let go.

        Parameters
        ----------
        net : i8[n moving kinds, n_bins], how many more of each kind a bin is to hold.
        placed : i8[n wanted kinds, n_bins]
        """
        groups = naming.Groups(self.apart, self.start)
        for k, change in zip(self.moving.tolist(), net, strict=True):
            if change.any():
                mine = np.flatnonzero((self.kinds.of == k) & (self.start >= 0))
                of_bin = {b: mine[self.start[mine] == b] for b in np.flatnonzero(change < 0).tolist()}
                naming.move(groups, of_bin, change, self.price)
        if not self.slots:  # a slot is not placed
            for k, number in zip(self.wanted.tolist(), placed, strict=True):
                waiting = np.flatnonzero((self.kinds.of == k) & (self.start < 0)).tolist()
                naming.place(groups, waiting, np.repeat(np.arange(len(number)), number).tolist())
        return groups.at


def _worth(level: Level, n_items: int) -> Floats:
    """What placing each item brings in a level, f8[n_items]."""
    worth = np.zeros(n_items)
    for entry in level.terms:
        if isinstance(entry.term, Unplaced):
            worth += entry.weight * entry.term.weight
    return worth


def _price(lowered: Lowered, first: int) -> Floats:
    """What moving each item costs, by the first later level that says so; 1 each where none does, f8[n_items]."""
    for level in lowered.levels[first + 1 :]:
        price = np.zeros(lowered.n_items)
        for entry in level.terms:
            if isinstance(entry.term, MoveCost):
                price += entry.weight * entry.term.per_item
        if price.any():
            return price
    return np.ones(lowered.n_items)
