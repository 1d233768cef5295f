"""A problem with an assignment, held for compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drs.solvers.kernel import delta
from drs.solvers.kernel.acceptance import sample_rises
from drs.solvers.kernel.anneal import anneal, find_hot, force_hot, place_waiting, send_home
from drs.solvers.kernel.few_moves import anneal_moves
from drs.solvers.kernel.handle import Handle
from drs.solvers.kernel.neighbourhood import search_neighbourhoods
from drs.solvers.kernel.state import AROUND, SPARE, State, clear, empty_state, put, rebuild, recount
from drs.terms.base import Floats, Ints
from drs.terms.fused_arrays import Fused

NONE = 1e300
"""Energy of the best assignment while there is none within the ceilings."""


class Search:
    """One assignment of a fused problem, which compiled code changes in place.

    Not to be shared between threads; the fused problem may be.
    """

    def __init__(self, fused: Fused, assign: Ints, seed: int = 0) -> None:
        self.fused = fused
        self.state: State = empty_state(fused, assign, seed)
        self.handle = Handle(fused, self.state)
        self._rebuild()

    def _rebuild(self) -> None:
        clear(self.fused, self.state)
        rebuild(self.handle)

    @property
    def assign(self) -> Ints:
        """The assignment (live: copy it to keep it)."""
        return self.state.assign

    @property
    def cost(self) -> Floats:
        """Cost of every level, and last of the walls (live)."""
        return self.state.cost

    def load(self, assign: Ints) -> None:
        """Take another assignment."""
        fullest = int(np.bincount(assign[assign >= 0], minlength=1).max(initial=0))
        if fullest + 2 * SPARE > self.state.members.shape[1]:
            bigger = empty_state(self.fused, assign, 0)
            self.state = self.state._replace(members=bigger.members)
            self.handle = Handle(self.fused, self.state)
        self.state.assign[:] = assign
        self._rebuild()

    def allowed(self, item: int, bin_: int) -> bool:
        """Whether a shift crosses no wall (dependencies between items aside: see `delta`)."""
        here = int(self.state.assign[item])
        return bool(delta.fits(self.handle, item, bin_) and delta.counts_fit(self.handle, item, here, bin_))

    def delta(self, item: int, bin_: int) -> Floats:
        """Change of every level's cost, and last of the walls, if an item went to a bin (-1: nowhere)."""
        out = np.zeros(self.fused.n_levels + 1)
        delta.shift_delta(self.handle, item, bin_, out)
        return out

    def move(self, item: int, bin_: int) -> None:
        """Move an item, whatever the walls say."""
        self.state.cost[:] += self.delta(item, bin_)
        put(self.handle, item, bin_)

    def aim(self, weight: Floats, ceiling: Floats, steep: Floats) -> None:
        """Set what is minimised from now on; the best assignment so far is today's of this search.

        weight : f8[n_levels], of each level's cost in the energy
        ceiling, steep : f8[n_levels], cost beyond which a level is charged, and the price per unit; an
            assignment beyond a ceiling is passed through but never kept as the best
        """
        s, p = self.state, self.fused
        s.weight[:], s.ceiling[:], s.steep[:] = weight, ceiling, steep
        hard = p.n_levels
        soft = [*p.feature_level[p.feature_level < hard], *p.near_level[p.near_level < hard],
                *p.move_level[p.move_level < hard]]  # fmt: skip
        s.soft[0] = float(2 * (weight[p.group_level] * p.group_weight).sum())
        if steep.any() or any(weight[level] for level in soft):
            s.soft[0] = np.inf
        s.energy[0] = delta.energy(self.handle)
        self._mark_best()

    def beyond(self, limits: Floats) -> bool:
        """Whether a cost is above its limit, f8[n_levels]."""
        return bool((self.state.cost[:-1] > limits).any())

    def steepen(self, steep: Floats) -> None:
        """Change the price of what is beyond the ceilings (the best assignment is never beyond any)."""
        self.state.steep[:] = steep
        self.state.energy[0] = delta.energy(self.handle)

    def _mark_best(self) -> None:
        s = self.state
        s.energy[1] = s.energy[0] if (s.cost[:-1] <= s.ceiling).all() else NONE
        s.best[:] = s.assign
        s.is_dirty[:] = 0
        s.n_dirty[0] = 0

    def refresh(self) -> None:
        """Take rounding out of the costs."""
        recount(self.handle)
        self.state.energy[0] = delta.energy(self.handle)

    def return_to_best(self) -> None:
        """Go back to the best assignment."""
        self.load(self.state.best.copy())
        self.state.energy[0] = delta.energy(self.handle)
        self._mark_best()

    def rises(self, n: int) -> Floats:
        """Rises of energy of random shifts, ascending."""
        rises = np.zeros(n)
        found = sample_rises(self.handle, self.state.out[0], 200 * n, rises)
        return np.sort(rises[:found])

    def anneal(self, n: int, hot: float, cold: float, share: Floats, tries: int) -> int:
        """Propose moves, see `anneal.anneal`."""
        return int(anneal(self.handle, self.state.out[0], n, hot, cold, share, tries))

    def anneal_moves(self, n: int, temperature: float) -> int:
        """Propose moves that know that few are wanted, see `few_moves.anneal_moves`."""
        if not hasattr(self, "_moved"):
            n_items = len(self.state.assign)
            self._moved = np.zeros(n_items + 1, dtype=np.int32), np.zeros(n_items, dtype=np.int32)
        return int(anneal_moves(self.handle, self.state.out[0], n, temperature, *self._moved))

    def neighbourhoods(
        self, n: int, temperature: float, failures_ratio: float, most_bins: int, blink: float = -1.0
    ) -> int:
        """Rearrange neighbourhoods, see `neighbourhood.search_neighbourhoods`."""
        most_bins = min(most_bins, AROUND - 16)
        return int(
            search_neighbourhoods(
                self.handle, self.state.out[0], n, temperature, failures_ratio, blink, most_bins
            )
        )

    def find_hot(self) -> None:
        """Find the items that cost most where they are: proposals begin at them more often."""
        s = self.state
        worth = np.zeros(len(s.assign))
        find_hot(self.handle, s.out[0], worth)
        order = np.argsort(-worth, kind="stable")
        n = min(max(16, len(order) // 10), int(np.count_nonzero(worth > 0)))
        s.hot[:n] = order[:n]
        s.n_hot[0] = n

    def place_waiting(self, order: NDArray[np.integer[Any]], tries: int = 30) -> int:
        """Place items that are nowhere."""
        return int(place_waiting(self.handle, self.state.out[0], order.astype(np.int64), tries))

    def force_hot(self, n: int, most: int, longest: int) -> int:
        """Force dear items to where only a long chain of others makes room, see `anneal.force_hot`."""
        return int(force_hot(self.handle, self.state.out[0], n, most, longest))

    def send_home(self, order: NDArray[np.integer[Any]], ties: float = 0.0) -> int:
        """Undo moves that are not worth it."""
        return int(send_home(self.handle, self.state.out[0], order.astype(np.int64), ties))

    def adopt(self, assign: Ints) -> None:
        """Take another search's assignment, as the best one too."""
        self.load(assign)
        self.state.energy[0] = delta.energy(self.handle)
        self._mark_best()

    def continue_from(self, other: Search) -> None:
        """Go on from another search's assignment; its best one counts for this one too."""
        own, best = float(self.state.energy[1]), self.state.best.copy()
        if other.state.energy[1] < own:
            own, best = float(other.state.energy[1]), other.state.best.copy()
        self.load(other.assign)
        s = self.state
        s.energy[0], s.energy[1] = delta.energy(self.handle), own
        s.best[:] = best
        dirty = np.flatnonzero(s.best != s.assign)
        s.is_dirty[:] = 0
        s.is_dirty[dirty] = 1
        s.dirty[: len(dirty)] = dirty
        s.n_dirty[0] = len(dirty)
