"""The search's functions as plain Python, over arrays that refuse every index below 0 or beyond their end.

Compiled code reads the arrays through bare pointers (`drs.solvers.kernel.handle`), so numba's own check of bounds
sees nothing of them. Run by `test_few_moves` with NUMBA_DISABLE_JIT=1.
"""

from __future__ import annotations

import sys

import numpy as np

from drs.solvers.kernel import search as kernel
from drs.solvers.kernel.handle import FIELDS, SIZES, Handle
from drs.solvers.kernel.search import Search
from drs.solvers.localsearch import SHARE, SHARE_BLOCS
from drs.terms import MoveCost, fused
from drs.terms.base import Level, Lowered, Weighted
from drs.terms.fused import fuse
from drs.testing.problems import random_lowered


class Flat:
    """One array as compiled code sees it, flat."""

    def __init__(self, name: str, array: np.ndarray) -> None:
        self.name, self.array = name, array.reshape(-1)
        assert np.shares_memory(self.array, array) or not array.size

    def _checked(self, at: int) -> int:
        if not 0 <= at < len(self.array):
            raise IndexError(f"{self.name}[{at}] of {len(self.array)}")
        return int(at)

    def __getitem__(self, at: int) -> object:
        return self.array[self._checked(at)]

    def __setitem__(self, at: int, value: object) -> None:
        self.array[self._checked(at)] = value


class Checked(Handle):
    """A handle whose fields are read as in compiled code, every index checked."""

    def __init__(self, problem: fused.Fused, state: kernel.State) -> None:
        super().__init__(problem, state)
        for name, value in {**problem._asdict(), **state._asdict()}.items():
            setattr(self, name, Flat(name, value) if isinstance(value, np.ndarray) else value)
        for name in SIZES:
            setattr(self, name, int(self.block[list(FIELDS).index(name)]))


def searched(lowered: Lowered, seed: int) -> None:
    """Every act of the search, a little of each."""
    problem = fuse(lowered)
    search = Search(problem, lowered.start, seed)
    n = len(lowered.levels)
    search.aim(np.ones(n), np.full(n, np.inf), np.zeros(n))
    share = SHARE_BLOCS if len(problem.bloc_ptr) > 1 else SHARE
    search.place_waiting(np.flatnonzero(lowered.start < 0))
    if not (lowered.n_items and lowered.n_bins):
        return
    search.rises(3)
    for heat in (20.0, 0.0):
        search.find_hot()
        search.anneal_moves(40, heat)
        search.anneal(40, heat, heat, share, 8)
        search.neighbourhoods(2, heat, 1.0, 128)
        search.neighbourhoods(2, heat, 1.0, 8, 0.01)
        search.force_hot(4, 32, 100)
    search.send_home(np.flatnonzero(search.assign != problem.start))
    search.return_to_best()
    search.refresh()
    np.testing.assert_allclose(search.cost[:-1], lowered.scores(search.assign.copy()), rtol=1e-7, atol=1e-7)


def without(n_items: int, n_bins: int) -> Lowered:
    start = np.full(n_items, -1, dtype=np.int32)
    return Lowered(n_items, n_bins, start, (), (Level("moves", (Weighted(MoveCost(np.ones(n_items))),)),))


def main() -> None:
    """Random problems with every kind of term, and those that have nothing in them."""
    kernel.Handle = Checked  # type: ignore[misc]
    with np.errstate(over="ignore"):
        for seed in range(24):
            fused.MOST_DENSE = 2.0 if seed % 2 else 0.0
            searched(random_lowered(seed, levels=3, place_all=None if seed % 3 else True), seed)
        for n_items, n_bins in ((0, 0), (0, 3), (3, 0), (1, 1), (4, 1)):
            for fused.MOST_DENSE in (0.0, 2.0):
                searched(without(n_items, n_bins), 0)
    sys.stdout.write("checked\n")


if __name__ == "__main__":
    main()
