"""A problem with all but a few items frozen: the neighbourhood that an exact solver searches.

Every cost of the small problem equals that of the whole, constant parts and all, so scores, slack and
ceilings mean the same in both. Bins keep their numbers; what is frozen in a bin becomes one pinned item that
carries its demand, and members of groups that must be counted one by one stay as pinned items.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from drs.terms.base import Bools, Floats, Ints, Lowered, Term, Wall, Weighted
from drs.terms.costs import (
    BinsUsed,
    Deviation,
    FreeBalance,
    GroupMoves,
    MoveCost,
    OverTarget,
    Penalty,
    Slots,
    Unplaced,
)
from drs.terms.limits import (
    Allowed,
    AtLeast,
    AtMost,
    Capacity,
    MoveLimit,
    Near,
    Together,
    Within,
    counts,
    usage,
)

Longs = NDArray[np.int64]


@dataclass(frozen=True)
class Restricted:
    """`lowered` is the small problem, `assign` where its items are now; the first items are the free ones."""

    lowered: Lowered
    assign: Ints
    free: Longs
    """i8[n_free]: the items of the whole problem that may move"""
    whole: Ints
    """i4[n_items]: the assignment of the whole problem that was frozen"""

    def expand(self, assign: Ints) -> Ints:
        """The assignment of the whole problem that one of the small problem stands for."""
        full = self.whole.copy()
        full[self.free] = assign[: len(self.free)]
        return full


class _View:
    """What a term needs to see of the restriction."""

    def __init__(self, lowered: Lowered, assign: Ints, free: Longs, bins: Bools) -> None:
        self.lowered, self.assign, self.free = lowered, assign, free
        self.open = bins
        self.start = lowered.start
        self.is_free = np.zeros(lowered.n_items, dtype=np.bool_)
        self.is_free[free] = True
        self.frozen = np.where(self.is_free, -1, assign).astype(np.int32)
        terms = [wall.term for wall in lowered.walls]
        terms += [entry.term for level in lowered.levels for entry in level.terms]
        singles: set[int] = set()
        for term in terms:
            if isinstance(term, (Together, Near, GroupMoves)):
                singles.update(self._counted(term))
        self.singles = np.array(sorted(singles), dtype=np.int64)
        self.carriers = np.arange(lowered.n_bins)
        """one pinned item per bin, after the free and the single ones"""
        self.n_free, self.n_singles = len(free), len(self.singles)
        self.n = self.n_free + self.n_singles + lowered.n_bins
        self.members = np.concatenate([free, self.singles])
        self.position = np.full(lowered.n_items, -1, dtype=np.int64)
        self.position[self.members] = np.arange(len(self.members))

    def _counted(self, term: Together | Near | GroupMoves) -> list[int]:
        if isinstance(term, GroupMoves):
            moved = (self.assign != self.start) & (self.start >= 0) & (term.group >= 0) & ~self.is_free
            return [int(i) for i in np.flatnonzero(moved)]
        items = term.items if isinstance(term, Together) else np.concatenate([term.items, term.needs])
        items = np.unique(items)
        if not self.is_free[items].any():
            return []
        return [int(i) for i in items if not self.is_free[i]]

    def spread(self, demand: Floats, frozen_use: Floats) -> Floats:
        """Demand of the small problem's items when carriers carry the frozen use."""
        out = np.zeros(self.n)
        out[: self.n_free] = demand[self.free]
        out[self.n_free + self.n_singles :] = frozen_use
        return out

    def demand(self, demand: Floats) -> Floats:
        return self.spread(demand, usage(self.frozen, demand, self.lowered.n_bins))

    def per_item(self, values: Floats) -> Floats:
        """Values of free items, 0 for pinned ones."""
        out = np.zeros(self.n)
        out[: self.n_free] = values[self.free]
        return out

    def index(self, values: Ints, other: int) -> Ints:
        """Class numbers of free items, `other` for pinned ones."""
        out = np.full(self.n, other, dtype=np.int32)
        out[: self.n_free] = values[self.free]
        return out

    def items(self, items: Ints) -> Ints:
        """Positions of those items that are in the small problem."""
        found = self.position[items]
        return found[found >= 0].astype(np.int32)

    def free_items(self, items: Ints) -> Ints:
        """Positions of those items that are free."""
        found = self.position[items]
        return found[(found >= 0) & (found < self.n_free)].astype(np.int32)

    def only_free(self, term: Term) -> float:
        """Cost of the frozen items alone (free ones nowhere)."""
        return term.cost(self.frozen, np.where(self.is_free, -1, self.start).astype(np.int32))


Pair = tuple[Term | None, float]


@singledispatch
def restrict_term(term: Term, view: _View) -> Pair:
    """The same term over the small problem (or nothing) and the constant that it leaves out."""
    raise TypeError(f"no restriction of the term {type(term).__name__}")


def _classes(view: _View, class_idx: Ints, mask: NDArray[np.generic], other: float) -> tuple[Ints, Floats]:
    rows = np.vstack([mask, np.full((1, mask.shape[1]), other)])
    return view.index(class_idx, len(mask)), rows


@restrict_term.register
def _(term: Allowed, view: _View) -> Pair:
    index, mask = _classes(view, term.class_idx, term.mask, 1.0)
    stay = None if term.stay is None else view.index(term.stay, -1)
    return Allowed(index, mask.astype(np.bool_), stay), view.only_free(term)


@restrict_term.register
def _(term: Capacity, view: _View) -> Pair:
    if term.when != "at_once":
        return replace(term, demand=view.demand(term.demand)), 0.0
    use = usage(view.frozen, term.demand, len(term.limit))
    left = np.where(~view.is_free & (view.assign != view.start), view.start, -1).astype(np.int32)
    use = use + usage(left, term.demand, len(term.limit))
    return replace(term, demand=view.spread(term.demand, use)), 0.0


@restrict_term.register
def _(term: AtMost, view: _View) -> Pair:
    n = counts(view.frozen, term.items, term.domain, len(term.limit))
    items = view.free_items(term.items)
    if not len(items):
        return None, view.only_free(term)
    limit = term.limit - n
    # a domain that frozen items alone overfill costs that much at least
    excess = float(np.maximum(0.0, -limit).sum())
    return AtMost(items, term.domain, np.maximum(limit, 0.0)), excess


@restrict_term.register
def _(term: AtLeast, view: _View) -> Pair:
    have = counts(view.frozen, term.items, term.domain, term.n_domains) > 0
    domain = term.domain.copy()
    taken = (domain >= 0) & have[np.maximum(domain, 0)]
    domain[taken] = -1
    missing = int(term.at_least - have.sum())
    if missing <= 0:
        return None, 0.0
    return AtLeast(view.free_items(term.items), domain, term.n_domains, missing), 0.0


@restrict_term.register
def _(term: Within, view: _View) -> Pair:
    items = view.free_items(term.items)
    if not len(items):
        return None, view.only_free(term)
    have = counts(view.frozen, term.items, term.domain, term.n_domains) > 0
    domain = term.domain.copy()
    domain[(domain >= 0) & have[np.maximum(domain, 0)]] = -1  # in use anyway: what else is there is free
    left = int(term.at_most - have.sum())
    return Within(items, domain, term.n_domains, max(0, left)), float(max(0, -left))


@restrict_term.register
def _(term: Together, view: _View) -> Pair:
    if not view.is_free[term.items].any():
        return None, term.cost(view.assign, view.start)
    return replace(term, items=view.items(term.items)), 0.0


@restrict_term.register
def _(term: Near, view: _View) -> Pair:
    if not view.is_free[np.concatenate([term.items, term.needs])].any():
        return None, term.cost(view.assign, view.start)
    return replace(term, items=view.items(term.items), needs=view.items(term.needs)), 0.0


@restrict_term.register
def _(term: MoveLimit, view: _View) -> Pair:
    moved = (view.assign != view.start) & (view.start >= 0) & ~view.is_free
    limit = term.limit - float(term.weight[moved].sum())
    excess = max(0.0, -limit)
    return MoveLimit(view.per_item(term.weight), max(0.0, limit)), excess


@restrict_term.register
def _(term: OverTarget, view: _View) -> Pair:
    return replace(term, demand=view.demand(term.demand)), 0.0


@restrict_term.register
def _(term: Deviation, view: _View) -> Pair:
    return replace(term, demand=view.demand(term.demand)), 0.0


@restrict_term.register
def _(term: FreeBalance, view: _View) -> Pair:
    return (
        replace(term, demand_a=view.demand(term.demand_a), demand_b=view.demand(term.demand_b)),
        0.0,
    )


@restrict_term.register
def _(term: Slots, view: _View) -> Pair:
    demands = np.array([view.demand(demand) for demand in term.demands]).reshape(len(term.sizes), view.n)
    return replace(term, demands=demands), 0.0


@restrict_term.register
def _(term: MoveCost, view: _View) -> Pair:
    scale = None
    if term.pair is not None:
        scale = view.per_item(np.ones(view.lowered.n_items) if term.scale is None else term.scale)
    return replace(term, per_item=view.per_item(term.per_item), scale=scale), view.only_free(term)


@restrict_term.register
def _(term: GroupMoves, view: _View) -> Pair:
    group = np.full(view.n, -1, dtype=np.int32)
    group[: len(view.members)] = term.group[view.members]
    return replace(term, group=group), 0.0


@restrict_term.register
def _(term: Penalty, view: _View) -> Pair:
    index, penalty = _classes(view, term.class_idx, term.penalty, 0.0)
    return Penalty(index, penalty), view.only_free(term)


@restrict_term.register
def _(term: BinsUsed, view: _View) -> Pair:
    bins = view.frozen[term.items]
    used = np.bincount(bins[bins >= 0], minlength=len(term.price)) > 0
    items = view.free_items(term.items)
    return BinsUsed(np.where(used, 0.0, term.price), items), float(term.price[used].sum())


@restrict_term.register
def _(term: Unplaced, view: _View) -> Pair:
    frozen = float(term.weight[(view.assign < 0) & ~view.is_free].sum())
    return Unplaced(view.per_item(term.weight)), frozen


def restrict(lowered: Lowered, assign: Ints, free: Longs, bins: Longs) -> Restricted:
    """The problem in which only `free` items may move, and only to `bins` (or stay where they are).

    Parameters
    ----------
    assign : i4[n_items], where everything is now
    free : items that may move
    bins : bins that they may go to, besides the one where each is now
    """
    free = np.unique(np.asarray(free, dtype=np.int64))
    open_ = np.zeros(lowered.n_bins, dtype=np.bool_)
    open_[bins] = True
    view = _View(lowered, np.asarray(assign, dtype=np.int32), free, open_)
    n_members = len(view.members)
    start = np.empty(view.n, dtype=np.int32)
    start[:n_members] = lowered.start[view.members]
    start[n_members:] = view.carriers
    now = start.copy()
    now[:n_members] = view.assign[view.members]

    walls = []
    for wall in lowered.walls:
        term, _ = restrict_term(wall.term, view)
        if term is not None:
            walls.append(Wall(term, wall.origin))
    walls.append(Wall(_where(view, now), "restriction"))
    levels = []
    for level in lowered.levels:
        entries: list[Weighted] = []
        constant = 0.0
        for entry in level.terms:
            term, rest = restrict_term(entry.term, view)
            constant += entry.weight * rest
            if term is not None:
                entries.append(Weighted(term, entry.weight, entry.origin))
        if constant:
            entries.append(Weighted(_constant(view, constant), 1.0, "frozen"))
        levels.append(replace(level, terms=tuple(entries)))
    small = Lowered(view.n, lowered.n_bins, start, tuple(walls), tuple(levels))
    return Restricted(small, now, free, view.assign.copy())


def _where(view: _View, now: Ints) -> Allowed:
    """Free items in open bins or where they are, pinned ones where they are."""
    mask = np.vstack([view.open, np.zeros_like(view.open)])
    index = np.ones(view.n, dtype=np.int32)
    index[: view.n_free] = 0
    return Allowed(index, mask, now)


def _constant(view: _View, value: float) -> Penalty:
    """A cost that the carrier of bin 0 always pays."""
    index = np.zeros(view.n, dtype=np.int32)
    index[len(view.members)] = 1
    penalty = np.zeros((2, view.lowered.n_bins))
    penalty[1, 0] = value
    return Penalty(index, penalty)
