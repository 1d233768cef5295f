"""What is wrong with a goal's fields against a snapshot: unknown names with the near miss, numbers out of bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from numbers import Real

from drs.errors import Fault, did_you_mean
from drs.model import Snapshot
from drs.model.selector import Named, Selector, entries, is_pattern, resolve


def resources(where: str, names: Iterable[str], snapshot: Snapshot) -> Iterator[Fault]:
    """A fault for each resource that no host has."""
    for name in [names] if isinstance(names, str) else names:
        if name not in snapshot.resources:
            expected = f"one of {', '.join(snapshot.resources)}"
            yield Fault(
                where, f"unknown resource {name!r}", expected, did_you_mean(str(name), snapshot.resources)
            )


def chosen(where: str, selector: Selector, table: Named, what: str) -> Iterator[Fault]:
    """A fault for each name that is not there, and for each pattern that means nothing."""
    if not entries(selector):
        yield Fault(where, "an empty list", f"at least one {what}")
    for entry in resolve(selector, table)[1]:
        if is_pattern(entry):
            yield Fault(where, f"the pattern {entry!r} names no {what}", f"at least one {what}")
        else:
            near = did_you_mean(entry, table.position)
            yield Fault(where, f"unknown {what} {entry!r}", f"the name of a {what}", near)


def at_least(where: str, value: object, least: float = 0.0, words: str = "") -> Iterator[Fault]:
    """A fault for what is no finite number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= float(value) < math.inf:
        yield Fault(where, repr(value), words or f"a number, {least:g} or more")


def as_many(where: str, values: Sequence[object], n: int, of: str) -> Iterator[Fault]:
    """A fault for a list that has not one entry for each of something."""
    if len(values) != n:
        yield Fault(where, f"{len(values)} entries", f"{n}, one for each {of}")


def percentile(where: str, value: float | None) -> Iterator[Fault]:
    """A fault for what is no percentile; a share of one is told what it would be."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 100:
        yield Fault(where, repr(value), "a percentile from 0 to 100, such as 95")
    elif 0 < float(value) < 1:
        hint = f"{100 * float(value):g} for the {100 * float(value):g}th percentile"
        yield Fault(where, repr(value), "a percentile from 1 to 100, or 0 for the least", hint)
