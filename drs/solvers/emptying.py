"""Empties bins one after the other, where a level counts the bins in use: a start for the search.

A search that moves one item, or a few, sees no gain until a bin's last item has left it. Here the bin whose
items need the least room for its price is emptied whole, its largest items first, each into the fullest bin
in use that takes it (best fit decreasing); where none does, one item of a bin makes way for it (an ejection).
Then comes the next bin. A bin that cannot be emptied is left as it was.
Hosts are powered down in the same way by VMware's Distributed Power Management, least loaded first (Gulati et
al., "VMware Distributed Resource Management", 2012).
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from drs.solvers import levels as order
from drs.solvers.base import Answer
from drs.solvers.kernel.search import Search
from drs.stop import Progress, Run
from drs.terms import BinsUsed, MoveCost
from drs.terms.base import Bools, Floats, Ints, Level, Lowered, Weighted
from drs.terms.fused import fuse

WALL = 1e-6
MOST_TRIED = 12
"""Bins tried for an item beyond those that a limit on their room rules out."""

Longs = NDArray[np.int64]


def solve(lowered: Lowered, start: Ints, run: Run) -> Answer:
    """Empty bins for every level that counts them, the first one first; see `drs.solvers.base.Solver`."""
    began = time.monotonic()
    with run.stop.paused():  # no search pays for compilation
        _compile()
    search = Search(fuse(lowered), np.array(start, dtype=np.int32), run.seed)
    for number, level in enumerate(lowered.levels):
        for entry in level.terms:
            if isinstance(entry.term, BinsUsed):
                _Emptying(lowered, search, number, entry.term).empty(run)
    assign = search.assign.copy()
    scores = lowered.scores(assign)
    if lowered.broken_walls(assign) or order.better(lowered, lowered.scores(start), scores):
        assign, scores = np.array(start, dtype=np.int32), lowered.scores(start)
    bounds = np.zeros(len(lowered.levels))
    status = order.status(lowered, scores, bounds)
    return Answer(status, assign, scores, bounds, "emptying", time.monotonic() - began)


def _compile() -> None:
    """Load the compiled functions that are used here."""
    start = np.zeros(2, dtype=np.int32)
    tiny = Lowered(2, 2, start, (), (Level("", (Weighted(MoveCost(np.ones(2))),)),))
    search = Search(fuse(tiny), start)
    if search.allowed(0, 1):
        search.move(0, 1)


class _Emptying:
    """One term, and the assignment under way."""

    def __init__(self, lowered: Lowered, search: Search, level: int, term: BinsUsed) -> None:
        self.lowered, self.search, self.level, self.price = lowered, search, level, term.price
        self.counted = np.zeros(lowered.n_items, dtype=np.bool_)
        self.counted[term.items] = True
        self.size = search.state.size

    def empty(self, run: Run) -> None:
        """Empty bins until none can be emptied, or the time is over."""
        emptied, stop = True, run.stop
        while emptied and not stop.reached(0):
            emptied = False
            for bin_ in self._candidates().tolist():
                if stop.reached(0):
                    return
                if self._empty(bin_):
                    emptied = True
                    score = float(self.search.cost[self.level])
                    run.tell(Progress("emptying", stop.elapsed_s, stop.fraction(0), score))

    def _candidates(self) -> Longs:
        """Bins in use at a price, those with the least to move for it first."""
        assign = self.search.assign
        inside = self.counted & (assign >= 0)
        weight = np.bincount(assign[inside], weights=self.size[inside], minlength=self.lowered.n_bins)
        used = np.bincount(assign[inside], minlength=self.lowered.n_bins) > 0
        bins = np.flatnonzero(used & (self.price > 0))
        return bins[np.argsort(weight[bins] / self.price[bins], kind="stable")]

    def _empty(self, bin_: int) -> bool:
        """Move all that counts out of a bin; whether that made the whole better (else it is undone)."""
        search = self.search
        items = np.flatnonzero(self.counted & (search.assign == bin_))
        if not len(items):
            return False
        before = search.cost[:-1].copy()
        done: list[tuple[int, int]] = []  # items and the bins that they left
        whole = True
        for item in items[np.argsort(-self.size[items], kind="stable")].tolist():
            to = self._place_for(item, bin_)
            if to < 0:
                to = self._make_way(item, bin_, done)
            if to < 0:
                whole = False
                break
            search.move(item, to)
            done.append((item, bin_))
        if whole and order.better(self.lowered, search.cost[:-1], before):
            return True
        for item, home in reversed(done):
            search.move(item, home)
        return False

    def _make_way(self, item: int, source: int, done: list[tuple[int, int]]) -> int:
        """A bin out of which one smaller item goes elsewhere, so that this one fits; -1 for none."""
        search, p = self.search, self.search.fused
        assign = search.assign
        used = self._used(source)
        short = np.maximum(0.0, p.need[item] - search.state.room)  # [bin, wall]
        ok = used & (p.allow[p.cls[item]] > 0)
        bins = np.flatnonzero(ok)
        lack = (short[bins] / np.maximum(p.limit[bins], 1e-300)).max(axis=1, initial=0.0)
        for to in bins[np.argsort(lack, kind="stable")][:MOST_TRIED].tolist():
            there = np.flatnonzero(self.counted & (assign == to) & (self.size < self.size[item]))
            enough = there[(p.need[there] >= short[to]).all(axis=1)]
            for other in enough[np.argsort(self.size[enough], kind="stable")][:MOST_TRIED].tolist():
                aside = self._place_for(other, source, but=to)
                if aside < 0:
                    continue
                search.move(other, aside)
                if self._takes(to, item):
                    done.append((other, to))
                    return int(to)
                search.move(other, to)
        return -1

    def _used(self, source: int) -> Bools:
        """Bins in use, without the one that is emptied."""
        inside = self.counted & (self.search.assign >= 0)
        used = np.bincount(self.search.assign[inside], minlength=self.lowered.n_bins) > 0
        used[source] = False
        return np.asarray(used)

    def _takes(self, to: int, item: int) -> bool:
        """Whether a bin takes an item without crossing a wall or worsening an earlier level."""
        if not self.search.allowed(item, to):
            return False
        change = self.search.delta(item, to)
        return bool(change[-1] <= WALL and (change[: self.level] <= WALL).all())

    def _place_for(self, item: int, source: int, but: int = -1) -> int:
        """The fullest bin in use that takes the item and costs no earlier level anything; -1 for none."""
        search, p = self.search, self.search.fused
        used = self._used(source)
        if but >= 0:
            used[but] = False
        left = search.state.room - p.need[item]
        fits = used & (p.allow[p.cls[item]] > 0) & (left >= 0).all(axis=1)
        bins = np.flatnonzero(fits)
        if not len(bins):
            return -1
        share: Floats = left[bins] / np.maximum(p.limit[bins], 1e-300)
        tightest = share.min(axis=1, initial=np.inf)
        for to in bins[np.argsort(tightest, kind="stable")][:MOST_TRIED].tolist():
            if self._takes(to, item):
                return int(to)
        return -1
