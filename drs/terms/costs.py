"""Costs: terms to be made small."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from drs.terms.base import Floats, Ints, Term
from drs.terms.limits import grouped_sum, usage

Measure = Literal["std", "mad", "max", "range"]

SLOT_ROUNDING = 1e-9
"""A slot that lacks no more than this part of its size is one: sums of demands are rounded."""


def measured(x: Floats, measure: Measure) -> float:
    """How uneven the loads x, f8[n] with n > 0, are by a measure of `Deviation`."""
    match measure:
        case "std":
            return float(x.std())
        case "mad":
            return float(np.abs(x - x.mean()).mean())
        case "max":
            return float(x.max())
        case "range":
            return float(x.max() - x.min())


class _Cost:
    """A cost is no limit: there is nothing to relax, and nothing to hold on the way."""

    def cost(self, assign: Ints, start: Ints) -> float:
        raise NotImplementedError

    def relaxed(self, start: Ints) -> Term:
        return self

    def about(self) -> Ints | None:
        return None

    def grouped(self, group: Ints, n_groups: int) -> Term:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class OverTarget(_Cost):
    """Sum over bins of weight x max(0, use - target): load above a safety level, or undelivered demand."""

    resource: str
    demand: Floats
    """f8[n_items]"""
    target: Floats
    """f8[n_bins]"""
    weight: Floats
    """f8[n_bins]"""

    def cost(self, assign: Ints, start: Ints) -> float:
        use = usage(assign, self.demand, len(self.target))
        return float((self.weight * np.maximum(0.0, use - self.target)).sum())

    def grouped(self, group: Ints, n_groups: int) -> OverTarget:
        return replace(self, demand=grouped_sum(self.demand, group, n_groups))


@dataclass(frozen=True, eq=False)
class Deviation(_Cost):
    """How unevenly a resource is loaded over some bins, above a target: max(0, measure - target).

    Over x_b = use_b / capacity_b of the bins named: `std` the population standard deviation (the DRS
    imbalance, "current host load standard deviation"), `mad` the mean absolute deviation from the mean,
    `max` the largest, `range` largest minus smallest.
    """

    resource: str
    demand: Floats
    """f8[n_items]"""
    capacity: Floats
    """f8[n_bins], above 0 in the bins named"""
    bins: Ints
    """i4[n]: the bins that are compared (a cluster's hosts)"""
    measure: Measure = "std"
    target: float = 0.0

    def loads(self, assign: Ints) -> Floats:
        """Use over capacity of the bins named, f8[n]."""
        use = usage(assign, self.demand, len(self.capacity))
        return np.asarray(use[self.bins] / self.capacity[self.bins])

    def cost(self, assign: Ints, start: Ints) -> float:
        if not len(self.bins):
            return 0.0
        return max(0.0, measured(self.loads(assign), self.measure) - self.target)

    def grouped(self, group: Ints, n_groups: int) -> Deviation:
        return replace(self, demand=grouped_sum(self.demand, group, n_groups))


@dataclass(frozen=True, eq=False)
class FreeBalance(_Cost):
    """Sum over bins of weight x max(0, ratio x free_a - free_b), free = limit - use.

    Free room of one resource is useless without some of the other (ROADEF/EURO 2012, balance cost).
    """

    demand_a: Floats
    limit_a: Floats
    demand_b: Floats
    limit_b: Floats
    ratio: float
    weight: Floats
    """f8[n_bins]"""

    def cost(self, assign: Ints, start: Ints) -> float:
        free_a = self.limit_a - usage(assign, self.demand_a, len(self.limit_a))
        free_b = self.limit_b - usage(assign, self.demand_b, len(self.limit_b))
        return float((self.weight * np.maximum(0.0, self.ratio * free_a - free_b)).sum())

    def grouped(self, group: Ints, n_groups: int) -> FreeBalance:
        a, b = (grouped_sum(demand, group, n_groups) for demand in (self.demand_a, self.demand_b))
        return replace(self, demand_a=a, demand_b=b)


@dataclass(frozen=True, eq=False)
class Slots(_Cost):
    """Sum over bins of `most` less its free slots: things of one size that its free room would take.

    A bin has floor(min over resources of free / size) free slots, free = limit - use, no fewer than 0 and no more
    than `most` (VMR2L, EuroSys 2025: VMs of 16 cores that fit on a NUMA node).
    """

    demands: Floats
    """f8[n_resources, n_items], 0 or more"""
    limits: Floats
    """f8[n_resources, n_bins]"""
    sizes: Floats
    """f8[n_resources], above 0"""
    most: Floats
    """f8[n_bins]: whole numbers, slots of the bin at best; 0 where none counts"""

    def free(self, assign: Ints) -> Floats:
        """Free slots of every bin, f8[n_bins]."""
        n_bins = len(self.most)
        fits = self.most.astype(np.float64).copy()
        for demand, limit, size in zip(self.demands, self.limits, self.sizes, strict=True):
            left = limit - usage(assign, demand, n_bins)
            fits = np.minimum(fits, np.floor(left / size + SLOT_ROUNDING))
        return np.maximum(0.0, fits)

    def cost(self, assign: Ints, start: Ints) -> float:
        return float((self.most - self.free(assign)).sum())

    def grouped(self, group: Ints, n_groups: int) -> Slots:
        demands = [grouped_sum(demand, group, n_groups) for demand in self.demands]
        return replace(self, demands=np.array(demands).reshape(len(self.sizes), n_groups))


@dataclass(frozen=True, eq=False)
class MoveCost(_Cost):
    """Sum over moved items of per_item + scale x pair[class of the old bin, class of the new bin]."""

    per_item: Floats
    """f8[n_items]"""
    bin_class: Ints | None = None
    """i4[n_bins]"""
    pair: Floats | None = None
    """f8[n_classes, n_classes]"""
    scale: Floats | None = None
    """f8[n_items], 1 where not given"""

    def cost(self, assign: Ints, start: Ints) -> float:
        moved = np.flatnonzero((assign != start) & (start >= 0) & (assign >= 0))
        total = float(self.per_item[moved].sum())
        if self.pair is not None and self.bin_class is not None:
            pair = self.pair[self.bin_class[start[moved]], self.bin_class[assign[moved]]]
            total += float((pair if self.scale is None else pair * self.scale[moved]).sum())
        return total

    def grouped(self, group: Ints, n_groups: int) -> MoveCost:
        scale = np.ones(len(group)) if self.scale is None else self.scale
        return replace(
            self,
            per_item=grouped_sum(self.per_item, group, n_groups),
            scale=None if self.pair is None else grouped_sum(scale, group, n_groups),
        )


@dataclass(frozen=True, eq=False)
class GroupMoves(_Cost):
    """The largest number of moved items in any one group."""

    group: Ints
    """i4[n_items], -1 for none"""
    n_groups: int

    def cost(self, assign: Ints, start: Ints) -> float:
        moved = self.group[(assign != start) & (start >= 0) & (self.group >= 0)]
        return float(np.bincount(moved, minlength=self.n_groups).max(initial=0))

    def about(self) -> Ints | None:
        return np.flatnonzero(self.group >= 0).astype(np.int32)

    def grouped(self, group: Ints, n_groups: int) -> GroupMoves:
        of_group = np.full(n_groups, -1, dtype=np.int32)
        members = np.flatnonzero(self.group >= 0)
        of_group[group[members]] = self.group[members]
        return replace(self, group=of_group)


@dataclass(frozen=True, eq=False)
class Penalty(_Cost):
    """Sum over placed items of cost[class of the item, bin]: preferences for or against bins."""

    class_idx: Ints
    """i4[n_items]"""
    penalty: Floats
    """f8[n_classes, n_bins]"""

    def cost(self, assign: Ints, start: Ints) -> float:
        placed = assign >= 0
        return float(self.penalty[self.class_idx[placed], assign[placed]].sum())

    def grouped(self, group: Ints, n_groups: int) -> Penalty:
        rows = np.zeros((n_groups, self.penalty.shape[1]))
        np.add.at(rows, group, self.penalty[self.class_idx])
        penalty, class_idx = np.unique(rows, axis=0, return_inverse=True)
        return Penalty(class_idx.reshape(-1).astype(np.int32), penalty)


@dataclass(frozen=True, eq=False)
class BinsUsed(_Cost):
    """Sum of the price of every bin that holds at least one of the items that count."""

    price: Floats
    """f8[n_bins]"""
    items: Ints
    """i4[n]"""

    def cost(self, assign: Ints, start: Ints) -> float:
        bins = assign[self.items]
        used = np.bincount(bins[bins >= 0], minlength=len(self.price)) > 0
        return float(self.price[used].sum())

    def about(self) -> Ints | None:
        return self.items

    def grouped(self, group: Ints, n_groups: int) -> BinsUsed:
        return replace(self, items=np.unique(group[self.items]).astype(np.int32))


@dataclass(frozen=True, eq=False)
class Unplaced(_Cost):
    """Sum of the weights of the items that are nowhere."""

    weight: Floats
    """f8[n_items]"""

    def cost(self, assign: Ints, start: Ints) -> float:
        return float(self.weight[assign < 0].sum())

    def grouped(self, group: Ints, n_groups: int) -> Unplaced:
        return replace(self, weight=grouped_sum(self.weight, group, n_groups))
