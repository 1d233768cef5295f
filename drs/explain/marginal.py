"""What a term would cost if one moved item had stayed: the share of one move in a plan's gain."""

from __future__ import annotations

import numpy as np

from drs.terms import (
    Allowed,
    BinsUsed,
    Capacity,
    Deviation,
    MoveCost,
    OverTarget,
    Penalty,
    Term,
    Unplaced,
)
from drs.terms.base import Floats, Ints
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
        if isinstance(term, (Capacity, OverTarget, Deviation)):
            self._use = usage(after, term.demand, n_bins)
            if isinstance(term, Capacity) and term.when == "at_once":
                self._use = None
            if isinstance(term, Deviation):
                self._inverse = np.zeros(n_bins)
                self._inverse[term.bins] = 1.0 / term.capacity[term.bins]
                load = usage(after, term.demand, n_bins) * self._inverse
                mean = float(load[term.bins].mean()) if len(term.bins) else 0.0
                self._centred = load - mean
                self._square_sum = float((self._centred[term.bins] ** 2).sum())
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
        need, inverse = float(term.demand[item]), self._inverse
        if need == 0.0 or not (inverse[old] or inverse[new]):
            return 0.0
        if term.measure == "std":
            # around the mean, so that the difference of the two moments loses no digits
            n = len(term.bins)
            first = second = 0.0
            for bin_, more in ((old, need * inverse[old]), (new, -need * inverse[new])):
                first += more
                second += more * (2.0 * self._centred[bin_] + more)
            value = float(np.sqrt(max(0.0, (self._square_sum + second) / n - (first / n) ** 2)))
            return max(0.0, value - term.target) - self.cost_after
        assert self._use is not None
        use = self._use.copy()
        use[old] += need
        use[new] -= need
        x = use[term.bins] * inverse[term.bins]
        match term.measure:
            case "mad":
                value = float(np.abs(x - x.mean()).mean())
            case "max":
                value = float(x.max())
            case "range":
                value = float(x.max() - x.min())
        return max(0.0, value - term.target) - self.cost_after
