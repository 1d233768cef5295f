"""Every rule by the type that it has in `rules.toml`: those of `drs`, and those of other packages.

A package offers a rule by an entry point in the group `drs.rules`, named as the type::

    [project.entry-points."drs.rules"]
    licence-pool = "my_package.rules:LicencePool"

Such rules are loaded when a type is asked for that `drs` does not have, or when the catalogue is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from drs.errors import Fault, InputError
from drs.rules.base import Rule

GROUP = "drs.rules"

R = TypeVar("R", bound=type[Rule])


class Catalogue(Mapping[str, type[Rule]]):
    """Rules by type.

    Raises
    ------
    InputError : an entry point that cannot be loaded, is no rule, or has the type of another rule; each with
        the name of its package. Raised whenever such rules would be needed.
    """

    def __init__(self) -> None:
        self._rules: dict[str, type[Rule]] = {}
        self._has_all = False

    def add(self, type_: str, cls: type[Rule]) -> None:
        """Put a rule under its type."""
        cls.type = type_
        self._rules[type_] = cls

    def __getitem__(self, type_: str) -> type[Rule]:
        if type_ not in self._rules:
            self._load()
        return self._rules[type_]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(self._rules)

    def __len__(self) -> int:
        self._load()
        return len(self._rules)

    def _load(self) -> None:
        """Load the rules of other packages, once."""
        if self._has_all:
            return
        own, faults, loaded = set(self._rules), [], {}
        for point in entry_points(group=GROUP):
            where = f"entry point {point.name!r} of the package {_package(point)}, group {GROUP}"
            if point.name in own or point.name in loaded:
                faults.append(Fault(where, f"the type {point.name!r}, which exists", "a type of its own"))
                continue
            try:
                cls = point.load()
            except Exception as error:
                given = f"{point.value} cannot be loaded: {type(error).__name__}: {error}"
                faults.append(
                    Fault(where, given, "a class that can be imported", "update or remove the package")
                )
                continue
            if not (isinstance(cls, type) and issubclass(cls, Rule)):
                faults.append(Fault(where, f"{point.value} is no rule", "a subclass of drs.rules.Rule"))
                continue
            loaded[point.name] = cls
        if faults:
            raise InputError(faults)
        for name, cls in loaded.items():
            self.add(name, cls)
        self._has_all = True


def _package(point: EntryPoint) -> str:
    return repr(point.dist.name) if point.dist is not None else "that has no name"


RULES = Catalogue()
"""Every rule by its type, as it stands in `rules.toml`."""


def rule(type_: str) -> Callable[[R], R]:
    """Register a rule under the name that it has in `rules.toml`."""

    def register(cls: R) -> R:
        RULES.add(type_, cls)
        return cls

    return register
