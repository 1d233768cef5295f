"""A lowered problem cut into parts that have nothing to do with each other.

Two bins belong together when an item may go from one to the other, or when a term looks at both at once (the
spread over a cluster's hosts, VMs to keep in one site). What a term adds up over bins or items, such as
capacity or the price of moves, joins nothing. A wall on all moves would join everything: it is left out of the
parts, and who solves them has to share it out.

Every cost of the whole is the sum of the parts' costs, so bounds of the parts add up to a bound of the whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from drs.terms.base import Bools, Ints, Lowered, Term, Wall, Weighted
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
    all_of,
)

Longs = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """Some items and some bins of a problem, and the problem that they are by themselves."""

    items: Longs
    """i8[n]: positions in the whole, ascending"""
    bins: Longs
    """i8[n]: positions in the whole, ascending"""
    lowered: Lowered
    free: Bools
    """bool[n]: which of its items have more than one place to be"""

    def of(self, assign: Ints) -> Ints:
        """This part of an assignment of the whole."""
        position = np.full(int(max(assign.max(initial=0), self.bins.max(initial=0))) + 2, -1, dtype=np.int32)
        position[self.bins] = np.arange(len(self.bins), dtype=np.int32)
        return position[assign[self.items]]

    def into(self, whole: Ints, assign: Ints) -> None:
        """Write an assignment of this part into one of the whole."""
        bins = np.append(self.bins, -1).astype(np.int32)
        whole[self.items] = bins[assign]


class _Reach:
    """Where each item may be at all, by class, as far as the walls on items alone say."""

    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered
        limits = [wall.term for wall in lowered.walls if isinstance(wall.term, Allowed)]
        self.class_idx, self.mask = all_of(limits, lowered.n_items, lowered.n_bins)
        self.kept = _kept(limits, lowered.start)
        n = self.mask.sum(axis=1)[self.class_idx]
        home = np.maximum(lowered.start, 0)
        elsewhere = n - self.mask[self.class_idx, home] * (lowered.start >= 0)
        self.free = np.where(lowered.start >= 0, elsewhere > 0, n > 0)
        self.free[[item for item, _ in self.kept]] = True

    def bins(self, items: Ints) -> Longs:
        """The bins that any of these items may be in."""
        seen = self.mask[np.unique(self.class_idx[items[self.free[items]]])].any(axis=0)
        start = self.lowered.start[items]
        seen[start[start >= 0]] = True
        asked = set(items.tolist())
        seen[[bin_ for item, bin_ in self.kept if item in asked]] = True
        return np.flatnonzero(seen)


def _kept(limits: Sequence[Allowed], start: Ints) -> list[tuple[int, int]]:
    """Items that may be in a bin whatever their class says, where that is not the bin of today: (item, bin)."""
    found: list[tuple[int, int]] = []
    for limit in limits:
        if limit.stay is not None:
            items = np.flatnonzero((limit.stay >= 0) & (limit.stay != start))
            found += zip(items.tolist(), limit.stay[items].tolist(), strict=True)
    return found


@singledispatch
def joined(term: Term, reach: _Reach) -> Iterator[Longs]:
    """Sets of bins that a term looks at together."""
    raise TypeError(f"no parts of the term {type(term).__name__}")


@joined.register(Allowed)
@joined.register(Capacity)
@joined.register(OverTarget)
@joined.register(FreeBalance)
@joined.register(Slots)
@joined.register(MoveCost)
@joined.register(Penalty)
@joined.register(BinsUsed)
@joined.register(Unplaced)
def _(term: Term, reach: _Reach) -> Iterator[Longs]:
    return iter(())


@joined.register
def _(term: Deviation, reach: _Reach) -> Iterator[Longs]:
    yield np.asarray(term.bins, dtype=np.int64)


@joined.register
def _(term: GroupMoves, reach: _Reach) -> Iterator[Longs]:
    yield reach.bins(np.flatnonzero(term.group >= 0).astype(np.int32))


@joined.register
def _(term: MoveLimit, reach: _Reach) -> Iterator[Longs]:
    yield reach.bins(np.flatnonzero(reach.free & (term.weight != 0)).astype(np.int32))


@joined.register(AtLeast)
@joined.register(Within)
@joined.register(Together)
def _(term: AtLeast | Within | Together, reach: _Reach) -> Iterator[Longs]:
    yield reach.bins(term.items)


@joined.register
def _(term: AtMost, reach: _Reach) -> Iterator[Longs]:
    bins = reach.bins(term.items)
    yield from _by_domain(bins, term.domain)


@joined.register
def _(term: Near, reach: _Reach) -> Iterator[Longs]:
    bins = reach.bins(np.concatenate([term.items, term.needs]).astype(np.int32))
    if term.allowance:
        yield bins
    else:
        yield from _by_domain(bins, term.domain)


def _by_domain(bins: Longs, domain: Ints) -> Iterator[Longs]:
    where = domain[bins]
    order = np.argsort(where, kind="stable")
    bins, where = bins[order], where[order]
    for group in np.split(bins, np.flatnonzero(np.diff(where)) + 1):
        if len(group) > 1 and domain[group[0]] >= 0:
            yield group


@dataclass(frozen=True)
class _Cut:
    """Some items and bins of the whole, and where they stand in the part."""

    items: Longs
    bins: Longs
    item_at: Longs
    bin_at: Longs
    rest: bool
    """Whether nothing can move here: items that stay nowhere, bins that stay empty."""

    def members(self, items: Ints) -> Ints:
        found = self.item_at[items]
        return found[found >= 0].astype(np.int32)


@singledispatch
def cut(term: Term, to: _Cut) -> Term | None:
    """The same term of a part; None where it says nothing there."""
    raise TypeError(f"no parts of the term {type(term).__name__}")


def _classes(class_idx: Ints, table: NDArray[np.generic], to: _Cut) -> tuple[Ints, NDArray[np.generic]]:
    used, index = np.unique(class_idx[to.items], return_inverse=True)
    return index.astype(np.int32), table[np.ix_(used, to.bins)]


@cut.register
def _(term: Allowed, to: _Cut) -> Term | None:
    index, mask = _classes(term.class_idx, term.mask, to)
    if mask.all():
        return None
    stay = None
    if term.stay is not None:
        home = term.stay[to.items]
        stay = np.where(home >= 0, to.bin_at[np.maximum(home, 0)], -1).astype(np.int32)
    return Allowed(index, mask.astype(np.bool_), stay)


@cut.register
def _(term: Capacity, to: _Cut) -> Term | None:
    return replace(term, demand=term.demand[to.items], limit=term.limit[to.bins])


@cut.register
def _(term: OverTarget, to: _Cut) -> Term | None:
    return replace(
        term, demand=term.demand[to.items], target=term.target[to.bins], weight=term.weight[to.bins]
    )


@cut.register
def _(term: FreeBalance, to: _Cut) -> Term | None:
    return replace(
        term,
        demand_a=term.demand_a[to.items],
        demand_b=term.demand_b[to.items],
        limit_a=term.limit_a[to.bins],
        limit_b=term.limit_b[to.bins],
        weight=term.weight[to.bins],
    )


@cut.register
def _(term: Slots, to: _Cut) -> Term | None:
    most = term.most[to.bins]
    if not most.any():
        return None
    return replace(term, demands=term.demands[:, to.items], limits=term.limits[:, to.bins], most=most)


@cut.register
def _(term: Deviation, to: _Cut) -> Term | None:
    bins = to.bin_at[term.bins]
    if not (bins >= 0).any():
        return None
    return replace(
        term,
        demand=term.demand[to.items],
        capacity=term.capacity[to.bins],
        bins=bins[bins >= 0].astype(np.int32),
    )


@cut.register
def _(term: MoveCost, to: _Cut) -> Term | None:
    return replace(
        term,
        per_item=term.per_item[to.items],
        bin_class=None if term.bin_class is None else term.bin_class[to.bins],
        scale=None if term.scale is None else term.scale[to.items],
    )


@cut.register
def _(term: GroupMoves, to: _Cut) -> Term | None:
    group = term.group[to.items]
    return replace(term, group=group) if (group >= 0).any() else None


@cut.register
def _(term: Penalty, to: _Cut) -> Term | None:
    index, penalty = _classes(term.class_idx, term.penalty, to)
    return Penalty(index, np.asarray(penalty, dtype=np.float64)) if penalty.any() else None


@cut.register
def _(term: BinsUsed, to: _Cut) -> Term | None:
    return BinsUsed(term.price[to.bins], to.members(term.items))


@cut.register
def _(term: Unplaced, to: _Cut) -> Term | None:
    return Unplaced(term.weight[to.items])


@cut.register
def _(term: AtMost, to: _Cut) -> Term | None:
    items = to.members(term.items)
    if not len(items):
        return None
    used, domain = _domains(term.domain, to)
    return AtMost(items, domain, term.limit[used]) if len(used) else None


@cut.register(AtLeast)
@cut.register(Within)
@cut.register(Together)
def _(term: AtLeast | Within | Together, to: _Cut) -> Term | None:
    items = to.members(term.items)
    if not len(items) or (to.rest and len(items) < len(term.items)):  # its part is that of the others
        return None
    used, domain = _domains(term.domain, to)
    return replace(term, items=items, domain=domain, n_domains=max(1, len(used)))


@cut.register
def _(term: Near, to: _Cut) -> Term | None:
    items = to.members(term.items)
    if not len(items):
        return None
    used, domain = _domains(term.domain, to)
    return replace(
        term, items=items, needs=to.members(term.needs), domain=domain, n_domains=max(1, len(used))
    )


@cut.register
def _(term: MoveLimit, to: _Cut) -> Term | None:
    return replace(term, weight=term.weight[to.items])


def _domains(domain: Ints, to: _Cut) -> tuple[Longs, Ints]:
    """The domains of the part's bins, numbered anew: (their old numbers, i4[n_bins])."""
    here = domain[to.bins]
    used, index = np.unique(here[here >= 0], return_inverse=True)
    out = np.full(len(here), -1, dtype=np.int32)
    out[here >= 0] = index
    return used.astype(np.int64), out


def move_limits(lowered: Lowered) -> list[MoveLimit]:
    """The limits on all moves together, which no part knows of."""
    return [wall.term for wall in lowered.walls if isinstance(wall.term, MoveLimit)]


def split(lowered: Lowered) -> list[Part]:
    """The independent parts of a problem, the largest first; items that stay nowhere and bins that stay empty
    are the last."""
    reach = _Reach(lowered)
    label = _labels(lowered, reach)
    n_bins, n_items = lowered.n_bins, lowered.n_items
    # An item's part is that of its bin of today, or of any that it may go to.
    first = np.argmax(reach.mask, axis=1)[reach.class_idx]
    home = np.where(lowered.start >= 0, lowered.start, first)
    for item, bin_ in reach.kept:
        home[item] = bin_ if lowered.start[item] < 0 else home[item]
    nowhere = (lowered.start < 0) & ~reach.free
    of_item = np.where(nowhere, -1, label[home]) if n_bins else np.full(n_items, -1)
    parts = []
    items_of = _groups(of_item, int(label.max(initial=-1)) + 1)
    bins_of = _groups(label, len(items_of))
    empty = [np.zeros(0, dtype=np.int64)]
    for items, bins in zip(items_of, bins_of, strict=True):
        if len(items):
            parts.append(_part(lowered, items, bins, reach))
        else:
            empty.append(bins)
    stay_nowhere, unused = np.flatnonzero(of_item < 0), np.sort(np.concatenate(empty))
    if len(stay_nowhere) or len(unused):
        parts.append(_part(lowered, stay_nowhere, unused, reach, rest=True))
    return [_with_slack(part, 1.0 / len(parts)) for part in sorted(parts, key=lambda part: -len(part.items))]


def _with_slack(part: Part, share: float) -> Part:
    """The part with its share of what later levels may spoil: a share of a cost needs none, a number does."""
    if not any(level.slack for level in part.lowered.levels):
        return part
    levels = tuple(replace(level, slack=share * level.slack) for level in part.lowered.levels)
    return replace(part, lowered=replace(part.lowered, levels=levels))


def _groups(label: NDArray[np.generic], n: int) -> list[Longs]:
    """The positions of each label from 0 to n - 1."""
    order = np.argsort(label, kind="stable")
    edges = np.searchsorted(label[order], np.arange(n + 1))
    return [order[a:b].astype(np.int64) for a, b in itertools.pairwise(edges)]


def _labels(lowered: Lowered, reach: _Reach) -> Longs:
    """The part of each bin, i8[n_bins]."""
    n_bins, n_classes = lowered.n_bins, len(reach.mask)
    free = np.flatnonzero(reach.free)
    in_use = np.zeros(n_classes, dtype=np.bool_)
    in_use[reach.class_idx[free]] = True
    rows, columns = np.nonzero(reach.mask & in_use[:, None])
    ends_a: list[Longs] = [rows + n_bins]
    ends_b: list[Longs] = [columns]
    placed = free[lowered.start[free] >= 0]
    ends_a.append(reach.class_idx[placed].astype(np.int64) + n_bins)
    ends_b.append(lowered.start[placed].astype(np.int64))
    for item, bin_ in reach.kept:
        ends_a.append(np.array([reach.class_idx[item] + n_bins]))
        ends_b.append(np.array([bin_]))
    terms = [wall.term for wall in lowered.walls if not isinstance(wall.term, MoveLimit)]
    terms += [entry.term for level in lowered.levels for entry in level.terms if entry.weight]
    for term in terms:
        for bins in joined(term, reach):
            ends_a.append(np.full(len(bins), bins[0] if len(bins) else 0))
            ends_b.append(bins)
    a, b = np.concatenate(ends_a), np.concatenate(ends_b)
    n = n_bins + n_classes
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    return np.unique(label[:n_bins], return_inverse=True)[1].astype(np.int64)


def _part(lowered: Lowered, items: Longs, bins: Longs, reach: _Reach, rest: bool = False) -> Part:
    item_at = np.full(lowered.n_items, -1, dtype=np.int64)
    bin_at = np.full(lowered.n_bins, -1, dtype=np.int64)
    item_at[items], bin_at[bins] = np.arange(len(items)), np.arange(len(bins))
    to = _Cut(items, bins, item_at, bin_at, rest)
    walls = []
    for wall in lowered.walls:
        limited = isinstance(wall.term, MoveLimit)
        term = cut(wall.term, to) if len(bins) and not limited else None
        if term is not None:
            walls.append(Wall(term, wall.origin))
    levels = []
    for level in lowered.levels:
        entries = []
        for entry in level.terms:
            found = cut(entry.term, to)
            if found is not None:
                entries.append(Weighted(found, entry.weight, entry.origin))
        levels.append(replace(level, terms=tuple(entries)))
    start = lowered.start[items]
    start = np.where(start >= 0, bin_at[np.maximum(start, 0)] if len(bin_at) else -1, -1).astype(np.int32)
    names = [lowered.item_names[i] for i in items] if len(lowered.item_names) else ()
    hosts = [lowered.bin_names[b] for b in bins] if len(lowered.bin_names) else ()
    small = Lowered(len(items), len(bins), start, tuple(walls), tuple(levels), (), tuple(names), tuple(hosts))
    return Part(items, bins, small, reach.free[items])
