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

NODES = np.sqrt(3.0) * np.array([-1.0, 0.0, 1.0])
NODE_SHARES = np.array([1.0, 4.0, 1.0]) / 6.0
"""Three classes stand for pages whose rates spread log-normally: Gauss-Hermite quadrature."""

SPREAD_OF_TWO = 1.0
"""Spread (1 sigma, log) of the rates at which the pages of a guest are written, where only a rate and a working
set are known: about 1 in real guests, and measured ones with hot and cold pages fit best with it."""

UNIFORM = (0.15, 0.4)
"""The spread falls to 0 between these shares of the working set dirtied within a second: a guest whose rates
spread leaves its cold pages alone for longer, so one that dirties two fifths of its set at once is uniform."""

SPREAD_OF_SAMPLES = 0.5
"""Two samples show the spread between one second and ten; this is left for what goes on within a second."""

MEDIANS = np.geomspace(1e-7, 1e3, 2048)
"""Median rates (1/s) of the tables below: what a median rate does has an inverse without a closed form."""


def _dirtied(spread: ArrayLike, window_s: float) -> NDArray[np.float64]:
    """Share of a set that is dirtied in a window, for each of `MEDIANS`."""
    rates = MEDIANS[:, None] * np.exp(np.asarray(spread) * NODES)
    return np.asarray(-np.expm1(-rates * window_s) @ NODE_SHARES)


def _two_numbers_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log of the share dirtied within a second, and log of the rates of the three classes at that share."""
    share = np.concatenate(
        [np.geomspace(1e-6, 0.5, 4096)[:-1], 1.0 - np.geomspace(0.5, 1.0 - SATURATED, 4096)]
    )
    spread = SPREAD_OF_TWO * np.interp(share, UNIFORM, (1.0, 0.0))
    low, high = np.full(share.shape, -20.0), np.full(share.shape, 10.0)
    for _ in range(60):  # bisection: the spread differs from row to row
        middle = 0.5 * (low + high)
        rates = np.exp(middle[:, None] + spread[:, None] * NODES)
        above = -np.expm1(-rates) @ NODE_SHARES > share
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.log(share), (0.5 * (low + high))[:, None] + spread[:, None] * NODES


LOG_SHARES, LOG_RATES = _two_numbers_table()
DIRTIED_1S = _dirtied(SPREAD_OF_SAMPLES, 1.0)
GROWTH = _dirtied(SPREAD_OF_SAMPLES, 10.0) / DIRTIED_1S
"""D(10 s) / D(1 s), falling to 1."""
GROWING = GROWTH > 1.0 + 1e-9


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

        Pages are written at rates that spread log-normally (`SPREAD_OF_TWO`), ``D(t) = W E[1 - exp(-l t)]``;
        the median rate is the one with D(1 s) as given. A rate at or above the working set means that the
        whole set is dirtied within the second.
        """
        rate, size = np.broadcast_arrays(
            np.asarray(dirty_rate_mibps, dtype=float), np.asarray(working_set_mib, dtype=float)
        )
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            share = np.where(rate > 0, np.minimum(rate / size, SATURATED), 0.0)
        least = np.exp(LOG_SHARES[0])
        at = np.log(np.maximum(share, least))
        scale = np.minimum(share / least, 1.0)  # below the table rates and shares are proportional
        rates = np.stack(
            [scale * np.exp(np.interp(at, LOG_SHARES, LOG_RATES[:, k])) for k in range(len(NODES))], axis=-1
        )
        return cls._plain(size[..., None] * NODE_SHARES, rates, np.zeros(1, dtype=bool))

    @classmethod
    def two_samples(
        cls, dirtied_1s_mib: ArrayLike, dirtied_10s_mib: ArrayLike, most_mib: ArrayLike
    ) -> DirtyModel:
        """MiB dirtied in windows of one and of ten seconds; at most `most_mib` are ever dirtied.

        Rates spread as in `two_numbers`, but less (`SPREAD_OF_SAMPLES`): ``D(10 s) / D(1 s)`` gives the median
        rate, D(1 s) then the size of the set. Where that exceeds `most_mib`, the set is `most_mib` and
        D(10 s) holds.
        """
        one, ten, most = np.broadcast_arrays(
            *(np.asarray(a, dtype=float) for a in (dirtied_1s_mib, dirtied_10s_mib, most_mib))
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            growth = np.where(one > 0, ten / one, 10.0)
            median = np.interp(growth, GROWTH[GROWING][::-1], MEDIANS[GROWING][::-1])
            size = np.where(one > 0, one / np.interp(median, MEDIANS, DIRTIED_1S), 0.0)
            bounded = size > most
            of_most = np.interp(np.minimum(ten / most, SATURATED), DIRTIED_1S, MEDIANS) / 10.0
        median = np.where(one > 0, np.where(bounded, of_most, median), 0.0)
        rates = median[..., None] * np.exp(SPREAD_OF_SAMPLES * NODES)
        return cls._plain(
            np.where(bounded, most, size)[..., None] * NODE_SHARES, rates, np.zeros(1, dtype=bool)
        )

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
