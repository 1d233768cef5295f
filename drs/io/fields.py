"""A TOML table to a frozen dataclass: every field checked against its annotation, all faults collected."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeVar

from drs.io.raw import Faults

T = TypeVar("T")


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


@cache
def _adapter(cls: Any, name: str) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(_hints(cls)[name], config=ConfigDict(strict=True, allow_inf_nan=False))


def expected(hint: Any) -> str:
    """What a value of this annotation is, for an error message.

    Parameters
    ----------
    hint : Any
        A resolved annotation.

    >>> expected(Literal["host", "rack"])
    'one of host, rack'
    >>> expected(str | Sequence[str])
    'a name, a pattern such as "web-*", or a list of them'
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}"
    if origin in (typing.Union, types.UnionType):
        members = [arg for arg in args if arg is not type(None)]
        if str in members and any(
            typing.get_origin(arg) is not None and arg is not str and "str" in repr(arg)
            for arg in members
            if typing.get_origin(arg) is not Literal
        ):
            return 'a name, a pattern such as "web-*", or a list of them'
        if all(typing.get_origin(arg) is Literal for arg in members):
            return f"one of {', '.join(_choices(hint))}"
        return " or ".join(dict.fromkeys(expected(arg).removeprefix("one of ") for arg in members))
    if hint is bool:
        return "true or false"
    if hint is int:
        return "a whole number"
    if hint is float:
        return "a number"
    if hint is str:
        return "text in quotation marks"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a table, each value {expected(args[1])}"
    if isinstance(origin, type) and issubclass(origin, Collection) and args:
        return f"a list, each item {expected(args[0])}"
    return getattr(hint, "__name__", str(hint))


def _choices(hint: Any) -> list[str]:
    """The words that an annotation allows."""
    if typing.get_origin(hint) is Literal:
        return [arg for arg in typing.get_args(hint) if isinstance(arg, str)]
    return [word for arg in typing.get_args(hint) for word in _choices(arg)]


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _below(value: Any, least: float) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return value < least
    if isinstance(value, Mapping):
        return any(_below(item, least) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_below(item, least) for item in value)
    return False


def read_fields(
    cls: type[T],
    given: Mapping[str, Any],
    where: str,
    faults: Faults,
    *,
    skip: Collection[str] = (),
    positive: Collection[str] = (),
    merge: Collection[str] = (),
) -> T | None:
    """Make a dataclass of a TOML table.

    Parameters
    ----------
    cls : type
        A dataclass; the annotations of its fields say what is allowed.
    given : mapping
        The table.
    where : str
        File and table, for the faults.
    faults : Faults
        Takes what is wrong.
    skip : collection of str
        Keys that are read elsewhere.
    positive : collection of str
        Fields whose numbers must be above 0; all others must not be negative.
    merge : collection of str
        Fields that are tables: keys that are not given keep their default.

    Returns
    -------
    object or None
        None when something was wrong.
    """
    from pydantic import ValidationError

    before = len(faults)
    the_class: Any = cls
    hints = _hints(the_class)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key in skip:
            continue
        if key not in fields:
            faults.add(
                f"{where}, field {key}",
                "an unknown field",
                f"one of {', '.join(dict.fromkeys([*skip, *fields]))}",
                faults.near(key, [*skip, *fields]),
            )
            continue
        hint = hints[key]
        try:
            read = _adapter(the_class, key).validate_python(_frozen(value))
        except ValidationError:
            near = faults.near(value, _choices(hint)) if isinstance(value, str) else ""
            faults.add(f"{where}, field {key}", _toml(value), expected(hint), near)
            continue
        if key in positive and _below(read, 1e-300):
            faults.add(f"{where}, field {key}", _toml(value), f"{expected(hint)}, above 0")
            continue
        if _below(read, 0):
            faults.add(f"{where}, field {key}", _toml(value), f"{expected(hint)}, 0 or more")
            continue
        if key in merge:
            factory: Any = fields[key].default_factory
            default = factory()
            for name in read:
                if name not in default:
                    faults.add(
                        f"{where}, field {key}.{name}",
                        "an unknown field",
                        f"one of {', '.join(default)}",
                        faults.near(name, default),
                    )
            read = {**default, **read}
        values[key] = _frozen(read)
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in given:
            faults.add(where, f"the required field {name} is missing", f"{name} = {expected(hints[name])}")
    if len(faults) > before:
        return None
    return cls(**values)


def _toml(value: Any) -> str:
    """A value much as it stands in a TOML file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value)
    text = str(list(value)) if isinstance(value, Sequence) else str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
