"""How fast a guest dirties its memory: pages that saturate, hot and cold, cyclic, in bursts.

The distinct pages dirtied in a window of t seconds are ``D(t) = sum_k N_k (1 - exp(-l_k t))`` for random
writers and ``N_k min(1, l_k t)`` for sequential ones, N_k being the size of a class and l_k the writes that
each of its pages gets a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drs.errors import Fault, InputError
from drs.precopy.inputs import Checker

SATURATED = 0.999
"""A one-second window that shows the whole working set (or more) is read as showing this share of it."""


@dataclass(frozen=True, slots=True, eq=False)
class DirtyModel:
    """A dirty-page model for one migration or an array of them.

    Attributes
    ----------
    size_mib, writes_per_page_s : float arrays, shape (..., k)
        The classes: their size, and writes a second on each of their pages (1/s).
    cyclic : bool array, shape (..., k)
        True for a class written in sequence, over and over.
    busy_s, quiet_s, quiet_ratio, offset_s : float arrays, shape (...)
        Bursts: `busy_s` at the full rate, then `quiet_s` at `quiet_ratio` of it, starting `offset_s` into a
        cycle. `quiet_s` 0: no bursts.
    """

    size_mib: NDArray[np.float64]
    writes_per_page_s: NDArray[np.float64]
    cyclic: NDArray[np.bool_]
    busy_s: NDArray[np.float64]
    quiet_s: NDArray[np.float64]
    quiet_ratio: NDArray[np.float64]
    offset_s: NDArray[np.float64]

    @classmethod
    def two_numbers(cls, dirty_rate_mibps: ArrayLike, working_set_mib: ArrayLike) -> DirtyModel:
        """What an operator knows: MiB dirtied in one second, and where that saturates.

        One class of ``N = W`` with ``l = -ln(1 - d_1 / W)``. A rate at or above the working set means that
        the whole set is dirtied within the second.
        """
        rate, size = np.broadcast_arrays(
            np.asarray(dirty_rate_mibps, dtype=float), np.asarray(working_set_mib, dtype=float)
        )
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            share = np.where(rate > 0, np.minimum(rate / size, SATURATED), 0.0)
        return cls._plain(size[..., None], -np.log1p(-share)[..., None], np.zeros((1,), dtype=bool))

    @classmethod
    def classes(
        cls,
        size_mib: Sequence[float] | ArrayLike,
        writes_per_page_s: Sequence[float] | ArrayLike,
        cyclic: Sequence[bool] | ArrayLike = False,
    ) -> DirtyModel:
        """Classes of pages, along the last axis: hot and cold, random and cyclic.

        Raises
        ------
        InputError
            For a negative or non-finite size or rate, or shapes that do not fit.
        """
        check = Checker()
        size = check.number("size_mib", size_mib, low=0.0)
        rate = check.number("writes_per_page_s", writes_per_page_s, low=0.0)
        check.done()
        try:
            size, rate, turns = np.broadcast_arrays(
                np.atleast_1d(size), np.atleast_1d(rate), np.asarray(cyclic, dtype=bool)
            )
        except ValueError as error:
            raise InputError(Fault("classes", str(error), "as many sizes as rates")) from error
        return cls._plain(size, rate, turns)

    @classmethod
    def samples(cls, window_s: ArrayLike, dirtied_mib: ArrayLike, *, half_life: float = np.inf) -> DirtyModel:
        """Fit classes to samples of D(t): how much was dirtied in windows of different length.

        Rates lie on a logarithmic grid in ``[0.02 / t_max, 1.5 / t_min]``, sizes come from non-negative least
        squares of relative errors. Windows below 0.8 s are ignored where longer ones exist: a short pass
        holds left-over pages rather than dirtying.

        Parameters
        ----------
        window_s, dirtied_mib : float array, shape (n,)
        half_life : float
            For samples in the order of time: how many samples later one counts for half, because a program
            changes what it does. Default: all count alike.

        Raises
        ------
        InputError
            For samples that are not positive finite numbers, or not as many windows as values.
        """
        from scipy.optimize import nnls

        check = Checker()
        t = np.atleast_1d(check.number("window_s", window_s, low=0.0, above=True))
        d = np.atleast_1d(check.number("dirtied_mib", dirtied_mib, low=0.0))
        check.number("half_life", half_life, low=0.0, above=True, infinite=True)
        if not check.faults and (t.ndim != 1 or t.shape != d.shape):
            check.fault("samples", f"shapes {t.shape} and {d.shape}", "one value for each window")
        check.done()
        if (t >= 0.8).any():
            t, d = t[t >= 0.8], d[t >= 0.8]
        rates = np.geomspace(0.02 / t.max(), 1.5 / t.min(), 24)
        age = np.arange(len(t))[::-1]
        weight = 0.5 ** (0.5 * age / half_life) / np.maximum(d, 0.01 * d.max(initial=1e-3))
        sizes, _ = nnls(-np.expm1(-np.outer(t, rates)) * weight[:, None], d * weight)
        used = sizes > 0
        if not used.any():
            return cls._plain(np.zeros(1), np.zeros(1), np.zeros(1, dtype=bool))
        return cls._plain(sizes[used], rates[used], np.zeros(int(used.sum()), dtype=bool))

    @classmethod
    def _plain(cls, size: Any, rate: Any, cyclic: Any) -> DirtyModel:
        zero, one = np.zeros(()), np.ones(())
        return cls(size, rate, np.broadcast_to(cyclic, size.shape), one, zero, one, zero)

    def bursts(
        self, busy_s: ArrayLike, quiet_s: ArrayLike, quiet_ratio: ArrayLike = 0.0, offset_s: ArrayLike = 0.0
    ) -> DirtyModel:
        """The same guest writing in bursts; the classes' rates are those of the busy phase.

        Raises
        ------
        InputError
            For a phase that is negative or not finite, or a ratio below 0.
        """
        check = Checker()
        changes: dict[str, Any] = {
            "busy_s": check.number("busy_s", busy_s, low=0.0, above=True),
            "quiet_s": check.number("quiet_s", quiet_s, low=0.0),
            "quiet_ratio": check.number("quiet_ratio", quiet_ratio, low=0.0),
            "offset_s": check.number("offset_s", offset_s, low=0.0),
        }
        check.done()
        return replace(self, **changes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array of migrations that this model describes."""
        return np.broadcast_shapes(
            self.size_mib.shape[:-1],
            self.busy_s.shape,
            self.quiet_s.shape,
            self.quiet_ratio.shape,
            self.offset_s.shape,
        )

    def spread(self, shape: tuple[int, ...]) -> DirtyModel:
        """The model for an array of `shape`, flattened: classes (n, k) or (1, k), bursts (n,) or ()."""
        k = self.size_mib.shape[-1]
        lead = shape if self.size_mib.ndim > 1 else ()

        def classes(array: NDArray[Any]) -> NDArray[Any]:
            return np.broadcast_to(array, (*lead, k)).flatten().reshape(-1, k)

        def each(array: NDArray[Any]) -> NDArray[Any]:
            return np.broadcast_to(array, shape).reshape(-1) if array.ndim else array

        return DirtyModel(
            classes(self.size_mib),
            classes(self.writes_per_page_s),
            classes(self.cyclic),
            each(self.busy_s),
            each(self.quiet_s),
            each(self.quiet_ratio),
            each(self.offset_s),
        )

    def part(self, part: slice | NDArray[np.int64]) -> DirtyModel:
        """Some migrations (a slice or their positions) of a one-dimensional array of them."""

        def cut(array: NDArray[Any]) -> NDArray[Any]:
            return array[part] if array.ndim else array

        def classes(array: NDArray[Any]) -> NDArray[Any]:
            return array[part] if array.ndim > 1 and array.shape[0] > 1 else array

        return DirtyModel(
            classes(self.size_mib),
            classes(self.writes_per_page_s),
            classes(self.cyclic),
            cut(self.busy_s),
            cut(self.quiet_s),
            cut(self.quiet_ratio),
            cut(self.offset_s),
        )

    @property
    def working_set_mib(self) -> NDArray[np.float64]:
        """Memory that is ever dirtied, shape (...)."""
        return np.asarray(np.where(self.writes_per_page_s > 0, self.size_mib, 0.0).sum(axis=-1))

    def dirtied_mib(self, window_s: ArrayLike) -> NDArray[np.float64]:
        """D(t) of the busy phase; `window_s` broadcasts with the migrations."""
        x = self.writes_per_page_s * np.asarray(window_s, dtype=float)[..., None]
        share = np.where(self.cyclic, np.minimum(x, 1.0), -np.expm1(-x))
        return np.asarray((self.size_mib * share).sum(axis=-1))
