"""What varies in a batch: values along the axes of a grid, and random draws, put in the place of `$name`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from drs.errors import Fault, did_you_mean
from drs.model import Snapshot
from drs.model.selector import resolve

Value = bool | int | float | str | list[Any] | dict[str, Any]

RANGE = ("from", "to", "step")
OF_SNAPSHOT = ("hosts", "vms", "clusters")


def axis(given: Any, snapshot: Snapshot | None, where: str, faults: list[Fault]) -> list[Any]:
    """The values of an axis: a list, a range `{ from, to, step }` with both ends, or the names of hosts, VMs or
    clusters of the snapshot: `{ hosts = "esx-*" }`."""
    if isinstance(given, list):
        if not given:
            faults.append(Fault(where, "no value", "a list of values"))
        if len({isinstance(value, str) for value in given}) > 1:
            faults.append(Fault(where, repr(given), "values of one kind, all texts or none"))
        return given
    if isinstance(given, dict) and set(given) <= set(RANGE) and {"from", "to"} <= set(given):
        numbers = [given["from"], given["to"], given.get("step", 1)]
        if all(isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n) for n in numbers):
            first, last, step = numbers
            if step > 0 and last >= first and (last - first) / step < 1e6:
                n = math.floor((last - first) / step + 1e-9) + 1
                return [
                    round(first + k * step, 12) if isinstance(step, float) else first + k * step
                    for k in range(n)
                ]
        faults.append(Fault(where, repr(given), "numbers from <= to, and a step above 0"))
        return []
    if isinstance(given, dict) and len(given) == 1 and next(iter(given)) in OF_SNAPSHOT:
        ((table, names),) = given.items()
        if snapshot is None:
            return []
        rows = getattr(snapshot, table)
        found, unknown = resolve(names if isinstance(names, str) else tuple(names), rows)
        for name in unknown:
            faults.append(
                Fault(where, f"{name!r} names none of the {table}", "names or patterns",
                      did_you_mean(name, rows.name.tolist()))
            )  # fmt: skip
        return [str(rows.name[k]) for k in found]
    near = ""
    if isinstance(given, dict):
        near = next((did_you_mean(key, [*RANGE, *OF_SNAPSHOT]) for key in given if key not in RANGE), "")
    faults.append(
        Fault(where, repr(given), "a list, { from, to, step }, or { hosts | vms | clusters = names }", near)
    )
    return []


class Grid:
    """The product of axes, those that are zipped as one; the last axis varies fastest."""

    def __init__(self, axes: Mapping[str, Sequence[Any]], zipped: Sequence[Sequence[str]] = ()) -> None:
        self.groups: list[tuple[tuple[str, ...], list[tuple[Any, ...]]]] = []
        done: set[str] = set()
        for name in axes:
            if name in done:
                continue
            names = next((tuple(group) for group in zipped if name in group), (name,))
            done.update(names)
            self.groups.append((names, list(zip(*(axes[each] for each in names), strict=True))))

    def __len__(self) -> int:
        return math.prod(len(values) for _, values in self.groups)

    def at(self, number: int) -> dict[str, Any]:
        """The values of one point."""
        found: dict[str, Any] = {}
        for names, values in reversed(self.groups):
            number, k = divmod(number, len(values))
            found = dict(zip(names, values[k], strict=True)) | found
        return found

    def corners(self) -> Iterator[int]:
        """Points that together show each value of each axis: the first of all, and each axis alone moved on."""
        sizes = [len(values) for _, values in self.groups]
        yield 0
        for which, size in enumerate(sizes):
            step = math.prod(sizes[which + 1 :])
            yield from (k * step for k in range(1, size))


Draw = Callable[[np.random.Generator], Any]

DISTRIBUTIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "normal": (("mean", "std"), ("min", "max")),
    "lognormal": (("mean", "std"), ("min", "max")),
    "uniform": (("low", "high"), ()),
    "triangular": (("low", "mode", "high"), ()),
    "choice": (("values",), ("weights",)),
    "integers": (("low", "high"), ()),
}
"""What each distribution needs, and what it takes besides."""


def distribution(given: Any, where: str, faults: list[Fault]) -> Draw:
    """A draw from a distribution, as a function of a generator. `min` and `max` cut it: it is drawn again.

    The mean and standard deviation of `lognormal` are those of the quantity, not of its logarithm.
    """
    nothing: Draw = lambda rng: 0.0  # noqa: E731
    if not isinstance(given, dict) or given.get("dist") not in DISTRIBUTIONS:
        said = given.get("dist") if isinstance(given, dict) else given
        near = did_you_mean(str(said), DISTRIBUTIONS)
        faults.append(Fault(f"{where}.dist", repr(said), f"one of {', '.join(DISTRIBUTIONS)}", near))
        return nothing
    kind = given["dist"]
    needs, takes = DISTRIBUTIONS[kind]
    known = ("dist", *needs, *takes)
    found = [Fault(f"{where}.{key}", f"unknown for {kind}", f"one of {', '.join(known)}", did_you_mean(key, known))
             for key in given if key not in known]  # fmt: skip
    found += [Fault(where, f"{kind} without {key}", f"a {key}") for key in needs if key not in given]
    if kind == "choice":
        values, weights = given.get("values"), given.get("weights")
        if not isinstance(values, list) or not values:
            found.append(Fault(f"{where}.values", repr(values), "a list of values"))
        elif weights is not None and (len(weights) != len(values) or min(weights) < 0 or sum(weights) <= 0):
            found.append(Fault(f"{where}.weights", repr(weights), f"{len(values)} weights of 0 or more"))
    else:
        for key in (*needs, *takes):
            value = given.get(key, 0.0)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
                found.append(Fault(f"{where}.{key}", repr(value), "a number"))
        if not found:
            found += _shape_faults(kind, given, where)
    faults += found
    if found:
        return nothing
    return _draw_of(kind, given)


def _shape_faults(kind: str, given: Mapping[str, Any], where: str) -> Iterator[Fault]:
    if kind in ("normal", "lognormal"):
        if given["std"] < 0:
            yield Fault(f"{where}.std", repr(given["std"]), "0 or more")
        if kind == "lognormal" and given["mean"] <= 0:
            yield Fault(f"{where}.mean", repr(given["mean"]), "above 0 for a lognormal distribution")
        low, high = given.get("min", -math.inf), given.get("max", math.inf)
        spread = 6 * given["std"]
        if low >= high or low > given["mean"] + spread or high < given["mean"] - spread:
            yield Fault(
                where, f"hardly any draw lies between {low} and {high}", "min and max around the mean"
            )
    elif not given["low"] <= given.get("mode", given["low"]) <= given["high"]:
        yield Fault(where, repr(dict(given)), "low <= mode <= high")


def _draw_of(kind: str, given: Mapping[str, Any]) -> Draw:
    low, high = given.get("low", 0), given.get("high", 0)
    if kind == "uniform":
        return lambda rng: float(rng.uniform(low, high))
    if kind == "triangular":
        mode = given["mode"]
        return lambda rng: float(rng.triangular(low, mode, high)) if low < high else float(low)
    if kind == "integers":
        return lambda rng: int(rng.integers(low, high, endpoint=True))
    if kind == "choice":
        values = given["values"]
        weights = np.array(given.get("weights", [1.0] * len(values)), dtype=np.float64)
        return lambda rng: values[int(rng.choice(len(values), p=weights / weights.sum()))]
    mean, std = float(given["mean"]), float(given["std"])
    least, most = given.get("min", -math.inf), given.get("max", math.inf)
    sigma2 = math.log1p((std / mean) ** 2) if kind == "lognormal" else 0.0

    def draw(rng: np.random.Generator) -> float:
        for _ in itertools.repeat(None, 10_000):
            if kind == "normal":
                value = float(rng.normal(mean, std))
            else:
                value = float(rng.lognormal(math.log(mean) - sigma2 / 2, math.sqrt(sigma2)))
            if least <= value <= most:
                return value
        return float(min(max(mean, least), most))

    return draw


def lowest(given: Mapping[str, Any]) -> float:
    """The least value that a distribution can give; -inf for none."""
    kind = given.get("dist")
    if kind == "normal":
        return float(given.get("min", -math.inf if given.get("std") else given.get("mean", 0.0)))
    if kind == "lognormal":
        return float(given.get("min", 0.0))
    if kind == "choice":
        numbers: list[float] = [float(v) for v in given.get("values", []) if isinstance(v, (int, float))]
        return min(numbers, default=0.0)
    return float(given.get("low", 0.0))


def filled(table: Any, values: Mapping[str, Any], missing: set[str]) -> Any:
    """A table with values in the place of `$name`: the value itself where the text is nothing else, its text within
    a longer one (`${name}` where a letter follows). Names that are not there are gathered in `missing`."""
    if isinstance(table, dict):
        return {key: filled(value, values, missing) for key, value in table.items()}
    if isinstance(table, list):
        return [filled(value, values, missing) for value in table]
    if not isinstance(table, str) or "$" not in table:
        return table
    import re

    alone = re.fullmatch(r"\$(?:(\w+)|\{(\w+)\})", table)
    if alone:
        name = alone[1] or alone[2]
        if name not in values:
            missing.add(name)
            return table
        return values[name]

    def text(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in values:
            missing.add(name)
            return found[0]
        value = values[name]
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", text, table)


def used(table: Any) -> set[str]:
    """The names that a table asks for."""
    missing: set[str] = set()
    filled(table, {}, missing)
    return missing
