"""`rules.toml`: `[[rule]]` tables to rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drs.errors import InputError
from drs.io.fields import read_fields
from drs.io.raw import Faults
from drs.io.toml import is_file, read_toml

if TYPE_CHECKING:
    from drs.rules import Rule


def read_rules(path: str | Path) -> tuple[Rule, ...]:
    """Read the rules of a TOML file.

    Parameters
    ----------
    path : str or Path
        A file of `[[rule]]` tables, each with a `type`, and perhaps `name`, `policy`, `when`, and the fields
        of its type. Of a folder, its `rules.toml`; a folder without one has no rules.

    Returns
    -------
    tuple of Rule
        In the order of the file. Whether the VMs and hosts that they name exist is checked by `Problem`.

    Raises
    ------
    InputError
        With all faults: unknown types and fields (with the near miss), values of the wrong kind.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "rules.toml"
        if not is_file(path):
            return ()
    faults = Faults()
    rules = rules_of(read_toml(path), path.name, faults)
    try:
        faults.raise_if_any()
    except InputError as error:
        error.partial = rules  # what is wrong with these can be told together with it
        raise
    return rules


def rules_of(document: Mapping[str, Any], label: str, faults: Faults) -> tuple[Rule, ...]:
    """The rules of a TOML document that is read already.

    Parameters
    ----------
    document : mapping
        Its content: `rule` is a list of tables.
    label : str
        What people know it as.
    faults : Faults
        Takes what is wrong.
    """
    from drs.rules import RULES

    for key in document:
        if key != "rule":
            faults.add(
                f"{label}, key {key}",
                "an unknown key",
                "[[rule]] tables and nothing else",
                faults.near(key, ["rule"])
                or (
                    "each rule begins with a line [[rule]]"
                    if not isinstance(document[key], dict | list)
                    else ""
                ),
            )
    tables = document.get("rule", [])
    if isinstance(tables, dict):
        faults.add(
            f"{label}, [rule]", "a single table", "[[rule]] tables", "write [[rule]] in double brackets"
        )
        return ()
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        faults.add(f"{label}, key rule", "no table", "[[rule]] tables")
        return ()
    rules: list[Rule] = []
    first: dict[str, int] = {}
    for number, table in enumerate(tables, start=1):
        name = table.get("name")
        where = f"{label}, [[rule]] {number}" + (f' ("{name}")' if isinstance(name, str) and name else "")
        kind = table.get("type")
        if kind is None:
            faults.add(
                where,
                "the required field type is missing",
                f"type = one of {', '.join(sorted(RULES))}",
                faults.near("type", [key for key in table if key != "name"]),
            )
            continue
        if not isinstance(kind, str) or kind not in RULES:
            faults.add(
                f"{where}, field type",
                f"unknown rule type {kind!r}",
                f"one of {', '.join(sorted(RULES))}",
                faults.near(str(kind).replace("_", "-"), RULES),
            )
            continue
        read = read_fields(RULES[kind], table, where, faults, skip=("type",))
        if isinstance(name, str) and name and first.setdefault(name, number) != number:
            faults.add(
                f"{where}, field name",
                f"a duplicate name {name!r}",
                "each name once",
                f"[[rule]] {first[name]} has it too",
            )
        if read is not None:
            rules.append(read)
    return tuple(rules)
