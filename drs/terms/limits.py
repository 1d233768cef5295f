"""Limits: terms whose cost says by how much they are broken, 0 when they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from drs.terms.base import Bools, Floats, Ints

When = Literal["after", "during", "at_once"]


def usage(assign: Ints, demand: Floats, n_bins: int) -> Floats:
    """Sum of the demand in each bin, f8[n_bins]."""
    placed = assign >= 0
    return np.bincount(assign[placed], weights=demand[placed], minlength=n_bins).astype(np.float64)


def counts(assign: Ints, items: Ints, domain: Ints, n_domains: int) -> Ints:
    """How many of `items` are in each domain, i4[n_domains]; bins with domain -1 do not count."""
    bins = assign[items]
    where = domain[bins[bins >= 0]]
    return np.bincount(where[where >= 0], minlength=n_domains).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Allowed:
    """Every item in a bin that its class allows. Cost: how many items are elsewhere."""

    class_idx: Ints
    """i4[n_items]"""
    mask: Bools
    """bool[n_classes, n_bins]"""
    stay: Ints | None = None
    """i4[n_items]: a bin that is allowed to the item whatever its class says, -1 for none."""

    def cost(self, assign: Ints, start: Ints) -> float:
        placed = assign >= 0
        bad = placed & ~self.mask[self.class_idx, np.where(placed, assign, 0)]
        if self.stay is not None:
            bad &= assign != self.stay
        return float(bad.sum())

    def relaxed(self, start: Ints) -> Allowed:
        return replace(self, stay=start)


def all_of(limits: Sequence[Allowed], n_items: int, n_bins: int) -> tuple[Ints, Bools]:
    """Several limits as one, `stay` aside: (class of each item, i4[n_items]; mask, bool[n_classes, n_bins])."""
    class_idx = np.zeros(n_items, dtype=np.int64)
    masks = [np.ones(n_bins, dtype=np.bool_)]
    for limit in limits:
        # Most limits speak of few items; the others stay in their class and cost nothing.
        free = np.asarray(limit.mask.all(axis=1))
        items = np.flatnonzero(~free[limit.class_idx])
        pairs = class_idx[items] * len(limit.mask) + limit.class_idx[items]
        kinds, kind_idx = np.unique(pairs, return_inverse=True)
        class_idx[items] = len(masks) + kind_idx
        masks += [masks[kind // len(limit.mask)] & limit.mask[kind % len(limit.mask)] for kind in kinds]
    used, class_idx = np.unique(class_idx, return_inverse=True)
    mask = np.array([masks[k] for k in used], dtype=np.bool_).reshape(len(used), n_bins)
    return class_idx.astype(np.int32), mask


@dataclass(frozen=True, eq=False)
class Capacity:
    """Use of a resource in every bin within its limit. Cost: the sum of the excess, in the resource's unit.

    With `when="at_once"` an item that moved counts in its old bin too, as if all moves ran at one instant
    (ROADEF/EURO 2012 calls such a resource transient).
    """

    resource: str
    demand: Floats
    """f8[n_items]"""
    limit: Floats
    """f8[n_bins]"""
    when: When = "after"

    def use(self, assign: Ints, start: Ints) -> Floats:
        use = usage(assign, self.demand, len(self.limit))
        if self.when == "at_once":
            left = np.where(assign != start, start, -1).astype(np.int32)
            use = use + usage(left, self.demand, len(self.limit))
        return use

    def cost(self, assign: Ints, start: Ints) -> float:
        return float(np.maximum(0.0, self.use(assign, start) - self.limit).sum())

    def relaxed(self, start: Ints) -> Capacity:
        return replace(self, limit=np.maximum(self.limit, self.use(start, start)))


@dataclass(frozen=True, eq=False)
class AtMost:
    """No more than `limit[d]` of the items in domain d. Cost: the number in excess."""

    items: Ints
    """i4[n]"""
    domain: Ints
    """i4[n_bins]: the domain (host, rack, cluster, site) of each bin, -1 for none"""
    limit: Floats
    """f8[n_domains]"""

    def cost(self, assign: Ints, start: Ints) -> float:
        n = counts(assign, self.items, self.domain, len(self.limit))
        return float(np.maximum(0.0, n - self.limit).sum())

    def relaxed(self, start: Ints) -> AtMost:
        n = counts(start, self.items, self.domain, len(self.limit))
        return replace(self, limit=np.maximum(self.limit, n))


@dataclass(frozen=True, eq=False)
class AtLeast:
    """The items spread over at least so many domains. Cost: the number of domains missing."""

    items: Ints
    domain: Ints
    n_domains: int
    at_least: int

    def cost(self, assign: Ints, start: Ints) -> float:
        used = int(np.count_nonzero(counts(assign, self.items, self.domain, self.n_domains)))
        return float(max(0, self.at_least - used))

    def relaxed(self, start: Ints) -> AtLeast:
        return replace(self, at_least=int(self.at_least - self.cost(start, start)))


@dataclass(frozen=True, eq=False)
class Within:
    """The items in no more than so many domains. Cost: the number of domains too many."""

    items: Ints
    domain: Ints
    n_domains: int
    at_most: int

    def cost(self, assign: Ints, start: Ints) -> float:
        used = int(np.count_nonzero(counts(assign, self.items, self.domain, self.n_domains)))
        return float(max(0, used - self.at_most))

    def relaxed(self, start: Ints) -> Within:
        return replace(self, at_most=int(self.at_most + self.cost(start, start)))


@dataclass(frozen=True, eq=False)
class Together:
    """All items in one domain. Cost: the placed items outside the largest part, less `allowance`."""

    items: Ints
    domain: Ints
    n_domains: int
    allowance: float = 0.0

    def cost(self, assign: Ints, start: Ints) -> float:
        n = counts(assign, self.items, self.domain, self.n_domains)
        return max(0.0, float(n.sum()) - float(n[np.argmax(n)] if len(n) else 0) - self.allowance)

    def relaxed(self, start: Ints) -> Together:
        return replace(self, allowance=self.allowance + self.cost(start, start))


@dataclass(frozen=True, eq=False)
class Near:
    """Where an item runs, one that it needs runs too, in the same domain (a neighbourhood).

    Cost: the items in domains without any of `needs`, less `allowance`.
    """

    items: Ints
    needs: Ints
    domain: Ints
    n_domains: int
    allowance: float = 0.0

    def cost(self, assign: Ints, start: Ints) -> float:
        have = counts(assign, self.items, self.domain, self.n_domains)
        need = counts(assign, self.needs, self.domain, self.n_domains)
        return float(max(0.0, have[need == 0].sum() - self.allowance))

    def relaxed(self, start: Ints) -> Near:
        return replace(self, allowance=self.allowance + self.cost(start, start))


@dataclass(frozen=True, eq=False)
class MoveLimit:
    """The weights of the items that leave their bin sum to at most `limit`. Cost: the excess."""

    weight: Floats
    """f8[n_items]"""
    limit: float

    def cost(self, assign: Ints, start: Ints) -> float:
        moved = (assign != start) & (start >= 0)
        return float(max(0.0, self.weight[moved].sum() - self.limit))

    def relaxed(self, start: Ints) -> MoveLimit:
        return self
