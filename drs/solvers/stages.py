"""The moves of a solution in the order in which they are worth making: what matters first, then by gain for price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from drs.terms.base import Floats, Ints, Lowered

if TYPE_CHECKING:
    from drs.solvers.kernel.search import Search

LOOKS = 48
"""All gains are looked at anew each time that this share (1 / LOOKS) of what is left has been put in order."""

ROUNDING = 1e-9
"""A change below this, relative to a level's cost, is none."""

WALL = 1e-6
"""What is beyond a wall by no more than this is rounding."""


@dataclass(frozen=True, eq=False)
class Stages:
    """The moves of a solution in order.

    items : i4[n_moves]. scores : f8[n_moves + 1, n_levels], today's first, then after each move.
    may_end : bool[n_moves + 1], whether a plan may end there: no wall is crossed.
    """

    items: Ints
    scores: Floats
    may_end: NDArray[np.bool_]


def stages(lowered: Lowered, after: Ints, price: Floats) -> Stages:
    """Put the moves from today's assignment to `after` in order.

    Greedy: next goes a move that helps the first level that any move helps now, the one that helps it most for its
    price. A move that crosses a wall waits until others have made its room; where every one does (an exchange), the
    next goes all the same, and the plan may not end there.

    Parameters
    ----------
    after : i4[n_items], bins of the solution. price : f8[n_items], what moving each costs, above 0.
    """
    from drs.solvers.kernel.search import Search
    from drs.terms.fused import fuse

    search = Search(fuse(lowered), np.array(lowered.start, dtype=np.int32))
    left = np.flatnonzero(np.asarray(after) != lowered.start).tolist()
    n, n_levels = len(left), len(lowered.levels)
    scores = np.empty((n + 1, n_levels))
    may_end = np.ones(n + 1, dtype=np.bool_)
    order: list[int] = []

    def note(*, forced: bool = False) -> None:
        scores[len(order)] = search.cost[:n_levels]
        # A move that crosses no wall mends none either, so the law is asked for only after one that does.
        if forced or not may_end[len(order) - 1]:
            may_end[len(order)] = not lowered.broken_walls(search.assign)

    note()
    while left:
        gains = {item: _key(search, item, int(after[item]), float(price[item])) for item in left}
        ranked = sorted(left, key=lambda item: (gains[item], item))
        most, made = max(1, len(left) // LOOKS), 0
        for item in ranked:
            if made == most:
                break
            if not _fits(search, item, int(after[item])):
                continue
            if made and _key(search, item, int(after[item]), float(price[item]))[0] > gains[item][0]:
                continue  # what went before has taken its gain
            search.move(item, int(after[item]))
            order.append(item)
            made += 1
            note()
        if not made:
            item = ranked[0]
            search.move(item, int(after[item]))
            order.append(item)
            note(forced=True)
        gone = set(order[-max(1, made) :])
        left = [item for item in left if item not in gone]
    return Stages(np.array(order, dtype=np.int32), scores, may_end)


def _fits(search: Search, item: int, bin_: int) -> bool:
    """Whether a move crosses no wall further than now."""
    beyond = search.delta(item, bin_)[search.fused.n_levels]
    return bool(beyond <= WALL and search.allowed(item, bin_))


def _key(search: Search, item: int, bin_: int, price: float) -> tuple[int, float]:
    """How early a move goes: the first level that it changes, one that it helps before one that it harms."""
    change = search.delta(item, bin_)
    cost, n = search.cost, search.fused.n_levels
    for level in range(n):
        x = float(change[level])
        if abs(x) > ROUNDING * (1.0 + abs(float(cost[level]))):
            return (level, x / price) if x < 0.0 else (2 * n - level, x / price)
    return n, 0.0


__all__ = ["Stages", "stages"]
