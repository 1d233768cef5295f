"""Limits: terms whose cost says by how much they are broken, 0 when they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from drs.terms.base import Bools, Floats, Ints

When = Literal["after", "during", "at_once"]


def domains(domain: Ints, bins: Ints) -> Ints:
    """The domain of each of some bins, i4[n]; -1 for nowhere and for a bin without one."""
    return np.asarray(np.where(bins >= 0, domain[np.maximum(bins, 0)], -1), dtype=np.int32)


def grouped_sum(values: Floats, group: Ints, n_groups: int) -> Floats:
    """Values of items as values of the groups that they move in, f8[n_groups]."""
    return np.bincount(group, weights=values, minlength=n_groups).astype(np.float64)


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

    def bad(self, assign: Ints) -> Bools:
        """The items that are where they may not be, bool[n_items]."""
        placed = assign >= 0
        bad = placed & ~self.mask[self.class_idx, np.where(placed, assign, 0)]
        if self.stay is not None:
            bad &= assign != self.stay
        return np.asarray(bad)

    def cost(self, assign: Ints, start: Ints) -> float:
        return float(self.bad(assign).sum())

    def relaxed(self, start: Ints) -> Allowed:
        return replace(self, stay=start)

    def about(self) -> Ints | None:
        return None

    def grouped(self, group: Ints, n_groups: int) -> Allowed:
        own = self.mask[self.class_idx].copy()
        if self.stay is not None:
            held = np.flatnonzero(self.stay >= 0)
            own[held, self.stay[held]] = True
        rows = np.ones((n_groups, self.mask.shape[1]), dtype=np.bool_)
        np.logical_and.at(rows, group, own)
        mask, class_idx = np.unique(rows, axis=0, return_inverse=True)
        return Allowed(class_idx.reshape(-1).astype(np.int32), mask)

    def worst_cost(self, here: Ints, there: Ints, start: Ints) -> float:
        return float(np.count_nonzero(self.bad(here) | self.bad(there)))


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

    def about(self) -> Ints | None:
        return None

    def grouped(self, group: Ints, n_groups: int) -> Capacity:
        return replace(self, demand=grouped_sum(self.demand, group, n_groups))

    def worst_cost(self, here: Ints, there: Ints, start: Ints) -> float:
        arriving = np.where(there != here, there, -1).astype(np.int32)
        use = usage(here, self.demand, len(self.limit)) + usage(arriving, self.demand, len(self.limit))
        if self.when == "at_once":
            # An item counts in its bin of today as well, once it has left or is about to leave it.
            left = np.where((here != start) & (there != start), start, -1).astype(np.int32)
            use = use + usage(left, self.demand, len(self.limit))
        return float(np.maximum(0.0, use - self.limit).sum())


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

    def about(self) -> Ints | None:
        return self.items

    def grouped(self, group: Ints, n_groups: int) -> AtMost:
        return replace(self, items=np.unique(group[self.items]).astype(np.int32))

    def worst_cost(self, here: Ints, there: Ints, start: Ints) -> float:
        one, two = domains(self.domain, here[self.items]), domains(self.domain, there[self.items])
        where = np.concatenate([one, two[two != one]])
        n = np.bincount(where[where >= 0], minlength=len(self.limit))
        return float(np.maximum(0.0, n - self.limit).sum())


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

    def about(self) -> Ints | None:
        return self.items

    def grouped(self, group: Ints, n_groups: int) -> AtLeast:
        return replace(self, items=np.unique(group[self.items]).astype(np.int32))

    def worst_cost(self, here: Ints, there: Ints, start: Ints) -> float:
        """Domains in use whatever happens: those of settled items, and one of each two that share no domain."""
        one, two = domains(self.domain, here[self.items]), domains(self.domain, there[self.items])
        used = set(one[(one == two) & (one >= 0)].tolist())
        n_used = len(used)
        for a, b in zip(one.tolist(), two.tolist(), strict=True):
            if a != b and a >= 0 and b >= 0 and a not in used and b not in used:
                used |= {a, b}
                n_used += 1
        return float(max(0, self.at_least - n_used))


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

    def about(self) -> Ints | None:
        return self.items

    def grouped(self, group: Ints, n_groups: int) -> Within:
        return replace(self, items=np.unique(group[self.items]).astype(np.int32))

    def worst_cost(self, here: Ints, there: Ints, start: Ints) -> float:
        one, two = domains(self.domain, here[self.items]), domains(self.domain, there[self.items])
        both = np.union1d(one, two)
        return max(0.0, float(np.count_nonzero(both >= 0)) - self.at_most)


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

    def about(self) -> Ints | None:
        return self.items

    def grouped(self, group: Ints, n_groups: int) -> Together:
        return replace(self, items=np.unique(group[self.items]).astype(np.int32))

    def worst_cost(self, here: Ints, there: Ints, start: Ints) -> float:
        one, two = domains(self.domain, here[self.items]), domains(self.domain, there[self.items])
        settled = one[(one == two) & (one >= 0)]
        largest = int(np.bincount(settled, minlength=self.n_domains).max(initial=0))
        n_placed = np.count_nonzero((one >= 0) | (two >= 0))
        return max(0.0, float(n_placed - largest) - self.allowance)


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

    def about(self) -> Ints | None:
        return np.union1d(self.items, self.needs).astype(np.int32)

    def grouped(self, group: Ints, n_groups: int) -> Near:
        items, needs = np.unique(group[self.items]), np.unique(group[self.needs])
        return replace(self, items=items.astype(np.int32), needs=needs.astype(np.int32))

    def worst_cost(self, here: Ints, there: Ints, start: Ints) -> float:
        one, two = domains(self.domain, here[self.needs]), domains(self.domain, there[self.needs])
        have = np.zeros(self.n_domains + 1, dtype=np.bool_)
        have[one[one == two]] = True
        have[-1] = True
        one, two = domains(self.domain, here[self.items]), domains(self.domain, there[self.items])
        alone = ~have[one] | ~have[two]
        return float(max(0.0, np.count_nonzero(alone) - self.allowance))


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

    def about(self) -> Ints | None:
        return None

    def grouped(self, group: Ints, n_groups: int) -> MoveLimit:
        return replace(self, weight=grouped_sum(self.weight, group, n_groups))

    def worst_cost(self, here: Ints, there: Ints, start: Ints) -> float:
        moved = ((here != start) | (there != start)) & (start >= 0)
        return float(max(0.0, self.weight[moved].sum() - self.limit))
