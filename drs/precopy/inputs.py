"""Checks of numbers that come from outside: every fault is found before any is reported."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drs.errors import Fault, InputError

SHOWN = 5
"""At most so many bad elements of one array are named one by one."""


class Checker:
    """Collects faults; `done` raises them together."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, where: str, given: str, expected: str, hint: str = "") -> None:
        self.faults.append(Fault(where, given, expected, hint))

    def number(
        self,
        name: str,
        value: Any,
        *,
        low: float | None = None,
        above: bool = False,
        high: float | None = None,
        infinite: bool = False,
        hint: str = "",
    ) -> NDArray[np.float64]:
        """`value` as a float array, checked against its range.

        `above`: `low` itself is not allowed. `infinite`: +inf is. `hint` is given for values above `high`.
        """
        if isinstance(value, bool | np.bool_) or value is None:
            self.fault(name, repr(value), "a number or an array of numbers")
            return np.ones(())
        try:
            array = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            self.fault(name, repr(value)[:60], "a number or an array of numbers", "units stand in the name")
            return np.ones(())
        bounds = []
        bad = np.isnan(array) if infinite else ~np.isfinite(array)
        too_high = np.zeros((), dtype=bool)
        if low is not None:
            bad = bad | (array <= low if above else array < low)
            bounds.append(f"{'above' if above else 'at least'} {low:g}")
        if high is not None:
            too_high = array > high
            if infinite:
                too_high &= ~np.isinf(array)
            bounds.append(f"at most {high:g}")
        expected = " and ".join(["a number" if infinite else "a finite number", *bounds])
        self.each(name, array, bad, expected)
        self.each(name, array, too_high & ~bad, expected, hint)
        return array

    def each(self, name: str, array: Any, bad: Any, expected: str, hint: str = "") -> None:
        """One fault for each element of `array` where `bad`, with its index."""
        if not np.any(bad):
            return
        if array.ndim == 0:
            self.fault(name, f"{array.item():g}", expected, hint)
            return
        places = np.argwhere(bad)
        for place in places[:SHOWN]:
            index = ", ".join(str(i) for i in place)
            self.fault(f"{name}[{index}]", f"{array[tuple(place)]:g}", expected, hint)
        if len(places) > SHOWN:
            self.fault(name, f"{len(places) - SHOWN} more such elements", expected, hint)

    def done(self) -> None:
        """Raise what was found.

        Raises
        ------
        InputError
            With all faults, if there is one.
        """
        if self.faults:
            raise InputError(self.faults)
