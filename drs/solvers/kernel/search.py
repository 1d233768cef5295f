"""A problem with an assignment, held for compiled code."""

from __future__ import annotations

import numpy as np

from drs.solvers.kernel import delta
from drs.solvers.kernel.handle import Handle
from drs.solvers.kernel.state import SPARE, State, clear, empty_state, rebuild
from drs.terms.base import Floats, Ints
from drs.terms.fused import Fused


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
        if fullest + 2 * SPARE > self.state.members.shape[1] and self.state.members.shape[1] < len(assign):
            random = self.state.random
            self.state = empty_state(self.fused, assign, 0)._replace(random=random)
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
        delta.put(self.handle, item, bin_)
