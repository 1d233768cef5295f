"""Typed fields: the annotation of a rule's field says what it may hold, and the base class checks it.

::

    vms: Vms                 # drs.rules.selecting: VMs that exist
    scope: Scope = "host"    # drs.rules.scopes: a scope of which hosts have labels
    at_most: Count = 1       # here: a whole number, 1 or more
    level: Literal["a", "b"] # one of these words
"""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from drs.errors import Fault, did_you_mean
from drs.model import Snapshot


@runtime_checkable
class FieldType(Protocol):
    """What a field may hold, beside its Python type; it stands in the field's `Annotated`."""

    @property
    def words(self) -> str:
        """The type in the table of a rule's page."""
        ...

    @property
    def meaning(self) -> str:
        """What such a field means where the rule's docstring says no more; "" where only the rule knows."""
        ...

    def faults(self, where: str, value: object, snapshot: Snapshot) -> Iterator[Fault]:
        """What is wrong with a value, against this snapshot."""
        ...


@dataclass(frozen=True)
class Number:
    """A finite number within bounds. `above`: the lower bound itself is not allowed."""

    words: str
    least: float = 0.0
    most: float = math.inf
    above: bool = False
    whole: bool = False
    meaning: str = ""

    def faults(self, where: str, value: object, snapshot: Snapshot) -> Iterator[Fault]:
        kind = Integral if self.whole else Real
        if not isinstance(value, kind) or isinstance(value, bool):
            yield Fault(where, repr(value), f"a whole number, {self.words}" if self.whole else self.words)
            return
        number = float(value)
        if (
            not self.least <= number <= self.most
            or math.isinf(number)
            or (self.above and number == self.least)
        ):
            yield Fault(where, str(value), self.words)


@dataclass(frozen=True)
class Resource:
    """The name of a resource that a host of the snapshot has."""

    words: str = "resource"
    meaning: str = "`cpu`, `memory` or the name of a further resource"

    def faults(self, where: str, value: object, snapshot: Snapshot) -> Iterator[Fault]:
        known = snapshot.resources
        if value not in known:
            near = did_you_mean(str(value), known)
            yield Fault(where, f"unknown resource {value!r}", f"one of {', '.join(known)}", near)


@dataclass(frozen=True)
class Word:
    """One of a few words: every field whose annotation is a `Literal`."""

    choices: tuple[str, ...]
    name: str
    meaning: str = ""

    @property
    def words(self) -> str:
        return ", ".join(f"`{choice}`" for choice in self.choices)

    def faults(self, where: str, value: object, snapshot: Snapshot) -> Iterator[Fault]:
        if value not in self.choices:
            near = did_you_mean(str(value), self.choices)
            yield Fault(where, f"unknown {self.name} {value!r}", f"one of {', '.join(self.choices)}", near)


Count = Annotated[int, Number("1 or more", least=1, whole=True)]
Whole = Annotated[int, Number("0 or more", whole=True)]
Amount = Annotated[float, Number("0 or more")]
Factor = Annotated[float, Number("a number above 0", above=True)]
Share = Annotated[float, Number("a share from 0 to 1", most=1)]
PartShare = Annotated[float, Number("a share above 0, at most 1", most=1, above=True)]
ResourceName = Annotated[str, Resource()]


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


@cache
def _all_types(cls: Any) -> dict[str, tuple[FieldType, ...]]:
    return {name: tuple(_types(hint, name)) for name, hint in _hints(cls).items()}


def types_of(cls: type, field: str) -> tuple[FieldType, ...]:
    """The types of a field of a rule's class; none where any value of its Python type will do."""
    return _all_types(cls)[field]


def may_be_none(cls: type, field: str) -> bool:
    """Whether a field may be left open."""
    return type(None) in _members(_hints(cls)[field])


def _members(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) is Literal or typing.get_origin(hint) is Annotated:
        return ()
    return typing.get_args(hint)


def _types(hint: Any, name: str) -> Iterator[FieldType]:
    if typing.get_origin(hint) is Annotated:
        yield from (extra for extra in typing.get_args(hint)[1:] if isinstance(extra, FieldType))
    elif typing.get_origin(hint) is Literal:
        yield Word(typing.get_args(hint), name)
    else:
        for member in _members(hint):
            yield from _types(member, name)


def field_faults(rule: Any, snapshot: Snapshot) -> Iterator[Fault]:
    """What is wrong with each field of a rule by itself."""
    cls = rule.__class__
    for field in fields(cls):
        value = getattr(rule, field.name)
        if value is None and may_be_none(cls, field.name):
            continue
        for each in types_of(cls, field.name):
            yield from each.faults(rule.field(field.name), value, snapshot)
