"""Which items no term tells apart, and which bins the walls leave open to each.

Interchangeable items share their columns, which removes the symmetry between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from drs.terms import (
    Allowed,
    AtLeast,
    AtMost,
    BinsUsed,
    Capacity,
    Deviation,
    FreeBalance,
    GroupMoves,
    Lowered,
    MoveCost,
    MoveLimit,
    Near,
    OverTarget,
    Penalty,
    Slots,
    Term,
    Together,
    Unplaced,
    Within,
)
from drs.terms.base import Bools, Ints


@dataclass(frozen=True)
class Seen:
    """What a term sees of an item: `values`, each of length n_items, and whether it is in each of `members`."""

    values: Sequence[NDArray[np.generic]] = ()
    members: Sequence[Ints] = ()


@singledispatch
def sees(term: Term) -> Seen:
    """What tells one item from another in a term. Raises TypeError for a term that is not known."""
    raise TypeError(f"no linear form of the term {type(term).__name__}")


@sees.register
def _(term: Allowed) -> Seen:
    return Seen([term.class_idx] if term.stay is None else [term.class_idx, term.stay])


@sees.register(Capacity)
@sees.register(OverTarget)
@sees.register(Deviation)
def _(term: Capacity | OverTarget | Deviation) -> Seen:
    return Seen([term.demand])


@sees.register
def _(term: FreeBalance) -> Seen:
    return Seen([term.demand_a, term.demand_b])


@sees.register
def _(term: Slots) -> Seen:
    return Seen(list(term.demands))


@sees.register(AtMost)
@sees.register(AtLeast)
@sees.register(Within)
@sees.register(Together)
@sees.register(BinsUsed)
def _(term: AtMost | AtLeast | Within | Together | BinsUsed) -> Seen:
    return Seen(members=[term.items])


@sees.register
def _(term: Near) -> Seen:
    return Seen(members=[term.items, term.needs])


@sees.register(MoveLimit)
@sees.register(Unplaced)
def _(term: MoveLimit | Unplaced) -> Seen:
    return Seen([term.weight])


@sees.register
def _(term: MoveCost) -> Seen:
    return Seen([term.per_item] if term.scale is None else [term.per_item, term.scale])


@sees.register
def _(term: GroupMoves) -> Seen:
    return Seen([term.group])


@sees.register
def _(term: Penalty) -> Seen:
    return Seen([term.class_idx])


def interchangeable(lowered: Lowered) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Groups of items that every term sees alike: i8[n_items] group of each, i8[n_groups] its first item."""
    features: list[NDArray[np.generic]] = [lowered.start]
    random = np.random.default_rng(0)
    member = np.zeros(lowered.n_items, dtype=np.uint64)

    terms: list[Term] = [wall.term for wall in lowered.walls]
    terms += [entry.term for level in lowered.levels for entry in level.terms]
    for term in terms:
        seen = sees(term)
        features += [each for each in seen.values if each is not lowered.start]
        for items in seen.members:
            member[np.unique(items)] += random.integers(1, 2**63, dtype=np.uint64)
    features.append(member)
    if not lowered.n_items:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    code = np.zeros(lowered.n_items, dtype=np.int64)
    for feature in features:
        _, inverse = np.unique(feature, return_inverse=True)
        _, code = np.unique(code * (int(inverse.max()) + 1) + inverse, return_inverse=True)
    _, first, group = np.unique(code, return_index=True, return_inverse=True)
    return group.astype(np.int64), first.astype(np.int64)


def candidates(lowered: Lowered, items: NDArray[np.int64]) -> Bools:
    """Bins that the walls leave open to each item alone, bool[n, n_bins]."""
    allowed = np.ones((len(items), lowered.n_bins), dtype=np.bool_)
    home = lowered.start[items]
    for wall in lowered.walls:
        term = wall.term
        if isinstance(term, Allowed):
            mask = term.mask[term.class_idx[items]]
            if term.stay is not None:
                stay = term.stay[items]
                mask = mask.copy()
                mask[stay >= 0, stay[stay >= 0]] = True
            allowed &= mask
        elif isinstance(term, Capacity):
            limit = np.where(
                np.isinf(term.limit), term.limit, term.limit + 1e-6 * np.maximum(1.0, term.limit)
            )
            if (term.demand >= 0).all():
                fits = term.demand[items][:, None] <= limit[None, :]
                fits[home >= 0, home[home >= 0]] = True
                allowed &= fits
    return allowed
