"""Repairs by one pass: every item that a single move helps takes its best bin, the most useful move first.

Where moves are limited, broken rules come first, and a VM that stands where a rule forbids it needs one move,
not a search. Levels of goals are left to the search.
"""

from __future__ import annotations

import numpy as np

from drs.solvers import levels as order
from drs.solvers.greedy import MAX_PAIRS, _State, level_delta, open_pairs
from drs.solvers.kernel.search import Search
from drs.terms.base import Ints, Lowered
from drs.terms.fused import fuse

BINS_TRIED = 8
"""So many of an item's best bins are tried, since other moves may have filled the first."""


def mended(lowered: Lowered, start: Ints) -> Ints:
    """A plan no worse than `start` at any level before the goals, and that crosses no wall; i4[n_items]."""
    scores = lowered.scores(start)
    if not any(
        score > 0 and level.role != "goal" for level, score in zip(lowered.levels, scores, strict=True)
    ):
        return np.array(start, dtype=np.int32)
    search = Search(fuse(lowered), np.array(start, dtype=np.int32))
    for k, level in enumerate(lowered.levels):
        if level.role != "goal" and float(search.cost[k]) > order.close(float(search.cost[k])):
            _mend(lowered, k, search)
    return np.array(search.assign, dtype=np.int32)


def _mend(lowered: Lowered, k: int, search: Search) -> None:
    """One pass for level `k`, without worsening the levels before it."""
    state = _State(lowered, np.array(search.assign))
    least = order.close(float(search.cost[k]))
    chunk = max(1, MAX_PAIRS // max(1, lowered.n_bins))
    waiting: list[tuple[float, int, list[int]]] = []
    for first in range(0, lowered.n_items, chunk):
        items = np.arange(first, min(first + chunk, lowered.n_items), dtype=np.intp)
        gain = level_delta(lowered, k, state, items)
        rows = np.flatnonzero((gain < -least).any(axis=1))
        if not len(rows):
            continue
        items, gain = items[rows], gain[rows]
        fine = (gain < -least) & open_pairs(lowered, state, items)
        after = np.zeros(gain.shape)  # between bins that help as much, the later levels decide
        for later in range(k + 1, len(lowered.levels)):
            unit = max(float(search.cost[later]), 1e-12)
            after += level_delta(lowered, later, state, items) / unit
        for row, item in enumerate(items.tolist()):
            bins = np.flatnonzero(fine[row])
            if len(bins):
                ranked = bins[np.lexsort((after[row, bins], gain[row, bins]))][:BINS_TRIED]
                waiting.append((float(gain[row, ranked[0]]), item, ranked.tolist()))
    for _, item, best in sorted(waiting):
        for b in best:
            if not search.allowed(item, b):
                continue
            change = search.delta(item, b)
            if change[-1] <= 1e-9 and (change[:k] <= 1e-9).all() and change[k] < -least:
                search.move(item, b)
                break
