"""Which rows of a table are meant: a name, a pattern (`web-*`), for hosts a label (`site:B`, `rack:r1*`), or a list of
them; `*` is everything."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from drs.model.snapshot import Ints, Names

Selector = str | Sequence[str]
"""A name, a pattern, or a list of either."""


LABELS = ("site", "rack", "vcenter")
"""Columns of hosts by which they can be named together: `site:B`, `rack:r1*`."""


class Named(Protocol):
    """A table of named rows, as far as selectors need it."""

    @property
    def name(self) -> Names: ...

    @property
    def position(self) -> Mapping[str, int]: ...


def cached(table: object, key: Hashable, make: Callable[[], Any]) -> Any:
    """What `make` gives, made once for an immutable table."""
    store = table.__dict__.setdefault("_cache", {})
    if key not in store:
        store[key] = make()
    return store[key]


def is_pattern(text: str) -> bool:
    """Whether a selector's entry means many names."""
    return any(sign in text for sign in "*?[")


def entries(selector: Selector) -> tuple[str, ...]:
    """The entries of a selector."""
    return (selector,) if isinstance(selector, str) else tuple(selector)


def labelled(entry: str, table: Named) -> tuple[str, str]:
    """The label and its value where an entry means all rows with a label (`site:B`), else empty."""
    label, colon, value = entry.partition(":")
    if colon and label in LABELS and hasattr(table, label) and entry not in table.position:
        return label, value
    return "", ""


def _matches(entry: str, table: Named) -> Sequence[int]:
    at = table.position.get(entry)
    if at is not None:
        return (at,)
    if entry == "*":
        return range(len(table.name))
    label, value = labelled(entry, table)
    if label:
        of_row = getattr(table, label).tolist()
        meant = set(fnmatch.filter(set(of_row) - {""}, value)) | ({value} - {""})
        return [row for row, own in enumerate(of_row) if own in meant]
    if not is_pattern(entry):
        return ()
    return [table.position[name] for name in fnmatch.filter(table.position, entry)]


def resolve(selector: Selector, table: Named) -> tuple[Ints, tuple[str, ...]]:
    """What a selector means: (positions, ascending and read-only, i4[n]; its entries that name nothing).

    Kept with the table, since many rules name one group: a service, in each that depends on it.
    """
    named = entries(selector)

    def make() -> tuple[Ints, tuple[str, ...]]:
        found = {entry: _matches(entry, table) for entry in named}
        rows = np.array(sorted(set().union(*found.values())), dtype=np.int32)
        rows.flags.writeable = False
        return rows, tuple(entry for entry, at in found.items() if not len(at) and entry != "*")

    resolved: tuple[Ints, tuple[str, ...]] = cached(table, ("selector", named), make)
    return resolved


def select(selector: Selector, table: Named) -> Ints:
    """Positions of the rows that a selector means, ascending, i4[n]; unknown names left out."""
    return resolve(selector, table)[0]
