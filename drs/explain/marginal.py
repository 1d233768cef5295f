"""What a term would cost if one moved item had stayed: the share of one move in a plan's gain."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from drs.terms import (
    Allowed,
    BinsUsed,
    Capacity,
    Deviation,
    MoveCost,
    OverTarget,
    Penalty,
    Slots,
    Term,
    Unplaced,
)
from drs.terms.base import Floats, Ints
from drs.terms.costs import SLOT_ROUNDING
from drs.terms.limits import usage


class Marginal:
    """One term of a level, ready to be asked about many moves.

    `without(item)` is the term's cost with this one item back in its bin of today, less its cost after the
    plan: positive where the move pays. A constant number of numpy operations for the terms that touch every
    item; the law itself (`Term.cost`) for those of small groups.
    """

    def __init__(self, term: Term, start: Ints, after: Ints, n_bins: int) -> None:
        self.term, self.start, self.after = term, start, after
        self.cost_after = term.cost(after, start)
        self.cost_start = term.cost(start, start)
        self._use: Floats | None = None
        self._members: set[int] | None = None
        if isinstance(term, Deviation) and len(term.bins):
            self._spread = _Spread(term, usage(after, term.demand, n_bins))
        if isinstance(term, Slots):
            self._free = term.limits - np.array(
                [usage(after, demand, n_bins) for demand in term.demands]
            ).reshape(len(term.sizes), n_bins)
        elif isinstance(term, (Capacity, OverTarget)):
            self._use = usage(after, term.demand, n_bins)
            if isinstance(term, Capacity) and term.when == "at_once":
                self._use = None
        elif isinstance(term, BinsUsed):
            counted = after[term.items]
            self._use = np.bincount(counted[counted >= 0], minlength=n_bins).astype(np.float64)
            self._members = set(term.items.tolist())
        elif not isinstance(term, (Allowed, MoveCost, Penalty, Unplaced)):
            parts = [getattr(term, name) for name in ("items", "needs") if hasattr(term, name)]
            if parts:
                self._members = set(np.concatenate(parts).tolist())

    def without(self, item: int) -> float:
        """By how much the cost rises when this move is left out."""
        old, new = int(self.start[item]), int(self.after[item])
        term = self.term
        if old == new or old < 0:
            return 0.0
        if self._members is not None and item not in self._members:
            return 0.0
        match term:
            case Allowed():
                row = term.mask[term.class_idx[item]]
                stay = -1 if term.stay is None else int(term.stay[item])
                return float(not row[old] and old != stay) - float(not row[new] and new != stay)
            case MoveCost():
                moved = float(term.per_item[item])
                if term.pair is not None and term.bin_class is not None:
                    pair = float(term.pair[term.bin_class[old], term.bin_class[new]])
                    moved += pair * (1.0 if term.scale is None else float(term.scale[item]))
                return -moved
            case Penalty():
                row = term.penalty[term.class_idx[item]]
                return float(row[old] - row[new])
            case Unplaced():
                return 0.0
            case Slots():
                return self._slots(term, item, old, new)
            case BinsUsed():
                assert self._use is not None
                opened = float(term.price[old]) if self._use[old] == 0 else 0.0
                return opened - (float(term.price[new]) if self._use[new] == 1 else 0.0)
            case OverTarget():
                return self._at_two_bins(item, old, new, term.target, term.weight)
            case Capacity() if self._use is not None:
                return self._at_two_bins(item, old, new, term.limit, None)
            case Deviation():
                return self._deviation(term, item, old, new)
            case _:
                put_back = np.array(self.after)
                put_back[item] = old
                return term.cost(put_back, self.start) - self.cost_after

    def _at_two_bins(self, item: int, old: int, new: int, limit: Floats, weight: Floats | None) -> float:
        need = float(self.term.demand[item])  # type: ignore[attr-defined]
        use = self._use
        assert use is not None
        change = 0.0
        for bin_, amount in ((old, need), (new, -need)):
            excess = max(0.0, use[bin_] + amount - limit[bin_]) - max(0.0, use[bin_] - limit[bin_])
            change += excess * (1.0 if weight is None else float(weight[bin_]))
        return float(change)

    def _deviation(self, term: Deviation, item: int, old: int, new: int) -> float:
        need = float(term.demand[item])
        if need == 0.0 or not len(term.bins):
            return 0.0
        value = self._spread.put_back(need, old, new)
        return max(0.0, value - term.target) - self.cost_after

    def _slots(self, term: Slots, item: int, old: int, new: int) -> float:
        need = term.demands[:, item]
        change = 0.0
        for bin_, amount in ((old, need), (new, -need)):
            now, then = (
                min(
                    float(term.most[bin_]),
                    float(np.floor(left / term.sizes + SLOT_ROUNDING).min(initial=math.inf)),
                )
                for left in (self._free[:, bin_], self._free[:, bin_] - amount)
            )
            change += max(0.0, now) - max(0.0, then)
        return change


class _Spread:
    """The spread of loads after the plan, and what it is when one item is put back."""

    def __init__(self, term: Deviation, use: Floats) -> None:
        self.term = term
        self.load = use[term.bins] / term.capacity[term.bins]
        self.place = {int(bin_): k for k, bin_ in enumerate(term.bins)}
        # Around the mean of before, so that the differences of squares keep their digits.
        self.mean = float(self.load.mean())
        self.squares = float(((self.load - self.mean) ** 2).sum())
        order = np.argsort(self.load, kind="stable")
        self.ends = order[:3].tolist(), order[::-1][:3].tolist()

    def put_back(self, need: float, old: int, new: int) -> float:
        """The measure with an item that needs so much on `old` again instead of on `new`."""
        changed: dict[int, float] = {}
        for bin_, amount in ((old, need), (new, -need)):
            k = self.place.get(bin_)
            if k is not None:
                changed[k] = float(self.load[k]) + amount / float(self.term.capacity[bin_])
        n = len(self.load)
        match self.term.measure:
            case "std":
                shift = sum(x - float(self.load[k]) for k, x in changed.items()) / n
                squares = self.squares + sum(
                    (x - self.mean) ** 2 - (float(self.load[k]) - self.mean) ** 2 for k, x in changed.items()
                )
                return math.sqrt(max(0.0, squares / n - shift * shift))
            case "mad":
                x = self.load.copy()
                for k, value in changed.items():
                    x[k] = value
                return float(np.abs(x - x.mean()).mean())
            case "max":
                return self._extreme(max, self.ends[1], changed)
            case "range":
                return self._extreme(max, self.ends[1], changed) - self._extreme(min, self.ends[0], changed)

    def _extreme(
        self, pick: Callable[[list[float]], float], ends: list[int], changed: dict[int, float]
    ) -> float:
        """The largest or smallest load: of the three at that end, two of which may have changed."""
        return pick([*(float(self.load[k]) for k in ends if k not in changed), *changed.values()])
