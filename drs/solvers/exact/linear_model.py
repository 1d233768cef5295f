"""Columns, rows and expressions of a linear integer model, and the units in which its numbers come whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drs.terms.base import Floats

Columns = NDArray[np.int64]
Define = Callable[[Floats], float]

FINE = 2.0**30
"""Steps into which the mean use of a bin is cut when demands are no decimal numbers."""


@dataclass(frozen=True)
class Linear:
    """const + coefs . columns, at least the true cost less `error` at every solution."""

    cols: Columns
    coefs: Floats
    const: float = 0.0
    error: float = 0.0

    @classmethod
    def of(
        cls, cols: Sequence[int], coefs: Sequence[float], const: float = 0.0, error: float = 0.0
    ) -> Linear:
        return cls(np.asarray(cols, dtype=np.int64), np.asarray(coefs, dtype=np.float64), const, error)

    def __add__(self, other: Linear) -> Linear:
        return Linear(
            np.concatenate([self.cols, other.cols]),
            np.concatenate([self.coefs, other.coefs]),
            self.const + other.const,
            self.error + other.error,
        )

    def times(self, factor: float) -> Linear:
        return Linear(self.cols, self.coefs * factor, self.const * factor, self.error * abs(factor))

    def plus(self, const: float) -> Linear:
        return Linear(self.cols, self.coefs, self.const + const, self.error)

    def merged(self) -> Linear:
        """The same with every column once."""
        cols, inverse = np.unique(self.cols, return_inverse=True)
        coefs = np.bincount(inverse, weights=self.coefs, minlength=len(cols))
        return Linear(cols.astype(np.int64), coefs.astype(np.float64), self.const, self.error)

    def value(self, values: Floats) -> float:
        return float(self.const + self.coefs @ values[self.cols]) if len(self.cols) else self.const


ZERO = Linear(np.empty(0, dtype=np.int64), np.empty(0))


@dataclass(frozen=True)
class Row:
    """low <= coefs . columns <= high. `unit`: coefs x steps are whole multiples of it (0: not known)."""

    cols: Columns
    coefs: Floats
    low: float
    high: float
    unit: float = 0.0


@dataclass
class LinearModel:
    """Columns with bounds and a step (an integer column has step 1), and rows."""

    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)
    integer: list[bool] = field(default_factory=list)
    rounding: list[float] = field(default_factory=list)
    """How far `define` may be above the least value that the rows allow."""
    define: list[Define | None] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def integer_column(self, low: float, high: float, define: Define | None = None) -> int:
        return self._column(low, high, 1.0, True, define)

    def real_column(self, low: float, high: float, step: float, define: Define, exact: bool = False) -> int:
        """A continuous column; CP-SAT sees multiples of `step`, and `define` is rounded up to one.

        `exact`: every value is a multiple anyway, so nothing is rounded.
        """
        col = self._column(low, high, step, False, define)
        self.rounding[col] = 0.0 if exact else 4 * step
        return col

    def _column(self, low: float, high: float, step: float, integer: bool, define: Define | None) -> int:
        self.lower.append(low)
        self.upper.append(high)
        self.step.append(step)
        self.integer.append(integer)
        self.rounding.append(0.0)
        self.define.append(define)
        return len(self.lower) - 1

    def row(self, expr: Linear, low: float, high: float, unit: float = 0.0) -> None:
        """low <= expr <= high, the constant of `expr` taken to the bounds."""
        self.rows.append(Row(expr.cols, expr.coefs, low - expr.const, high - expr.const, unit))

    def span(self, expr: Linear) -> tuple[float, float]:
        """The least and largest value of an expression by the columns' bounds."""
        if not len(expr.cols):
            return expr.const, expr.const
        low = np.array([self.lower[c] for c in expr.cols])
        high = np.array([self.upper[c] for c in expr.cols])
        a, b = expr.coefs * low, expr.coefs * high
        return expr.const + float(np.minimum(a, b).sum()), expr.const + float(np.maximum(a, b).sum())


def round_up(value: float, step: float) -> float:
    """The next multiple of a step, forgiving rounding noise below."""
    return math.ceil(value / step - 1e-6) * step


def decimal_unit(values: Floats) -> float:
    """The largest 1, 0.1, ... 1e-6 (times a common divisor) of which all values are whole multiples, or 0."""
    values = np.abs(values[(values != 0) & np.isfinite(values)])
    if not len(values):
        return 1.0
    if values.max() > 1e15:
        return 0.0
    for power in range(7):
        scaled = values * 10.0**power
        whole = np.rint(scaled)
        if whole.max() < 2.0**50 and bool((np.abs(scaled - whole) <= 1e-12 * np.maximum(whole, 1.0)).all()):
            return float(np.gcd.reduce(whole.astype(np.int64)) / 10.0**power)
    return 0.0


def common_unit(coefs: Floats) -> float:
    """A unit of which all coefficients are whole multiples, also where they are fractions of powers of two."""
    unit = decimal_unit(coefs)
    size = np.abs(coefs[coefs != 0])
    if unit or not len(size):
        return unit
    base = 2.0 ** math.floor(math.log2(float(size.min())))
    return decimal_unit(coefs / base) * base


def dyadic(value: float) -> float:
    """The largest power of two that is no more than a value."""
    return float(2.0 ** math.floor(math.log2(value)))
