"""The columns of a snapshot: `columns.csv` as objects.

That one table drives the reader, the writer, the validation and the documentation
(`docs/snapshot-format.md`); a column is added there and nowhere else. Code finds it in the `more` of its table, or
under its name once the table's dataclass in `drs.model.snapshot` has a field of its `attribute`.
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, get_args

Kind = Literal["name", "number", "integer", "choice", "evc", "time"]

OPEN_COLUMNS = {"hosts": "_capacity", "vms": "_demand"}
"""Suffix of the columns that a user names; `<name>_capacity` and `<name>_demand` belong together."""

RESERVED_RESOURCES = {"cpu": "cpu_mhz", "memory": "memory_mib"}
"""Resources that have columns of their own."""

TABLES_REQUIRED = ("hosts", "vms")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of one table.

    Parameters
    ----------
    table, column : str
        Where it stands in the files.
    attribute : str
        What it becomes in the in-memory table.
    key : bool
        Part of the key of its table.
    required : {"yes", "column", ""}
        `yes`: the column and each of its cells; `column`: a cell may be empty; "": all optional.
    kind : Kind
        How a cell is read.
    unit : str
        For people; the unit stands in the name as well.
    default : str
        A value, `none` (no text), `unknown` (NaN), `unlimited` (inf) or `= how it is derived`.
    bounds : str
        `>0`, `>=0` or `low..high`.
    choices : tuple of str
        The allowed values of a `choice`.
    refers_to : str
        The table whose key it names.
    meaning : str
        One line for the documentation.
    """

    table: str
    column: str
    attribute: str
    key: bool
    required: str
    kind: Kind
    unit: str
    default: str
    bounds: str
    choices: tuple[str, ...]
    refers_to: str
    meaning: str

    @property
    def numeric(self) -> bool:
        """Whether its cells are numbers."""
        return self.kind in ("number", "integer")

    @property
    def limits(self) -> tuple[float, float, bool]:
        """(low, high, whether low itself is excluded)."""
        if ".." in self.bounds:
            low, high = self.bounds.split("..")
            return float(low), float(high), False
        if self.bounds.startswith(">="):
            return float(self.bounds[2:]), math.inf, False
        if self.bounds.startswith(">"):
            return float(self.bounds[1:]), math.inf, True
        return -math.inf, math.inf, False

    @property
    def default_number(self) -> float:
        """The default of a numeric column; NaN when it is unknown or derived."""
        if self.default == "unlimited":
            return math.inf
        if self.default in ("", "unknown") or self.default.startswith("="):
            return math.nan
        return float(self.default)

    @property
    def default_text(self) -> str:
        """The default of a text column; "" when there is none or it is derived."""
        return "" if self.default in ("", "none") or self.default.startswith("=") else self.default

    @property
    def expected(self) -> str:
        """What should stand in a cell, for an error message."""
        if self.numeric:
            what = "a whole number" if self.kind == "integer" else "a number"
            low, high, open_low = self.limits
            bound = f"above {low:g}" if open_low else f"of {low:g} or more"
            if math.isfinite(high):
                bound = f"from {low:g} to {high:g}"
            return f"{what} {bound}, in {self.unit}" if self.unit else f"{what} {bound}"
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        if self.kind == "evc":
            return "the key of an EVC baseline such as intel-broadwell"
        if self.kind == "time":
            return "an ISO 8601 time such as 2026-01-31T14:05:00Z"
        if self.refers_to == "portgroups":
            return "a network of the table portgroups"
        if self.refers_to and self.table != "hosts":
            return f"a {self.refers_to.removesuffix('s')} of the table {self.refers_to}"
        return "a name without blanks around it"


@cache
def columns() -> tuple[Column, ...]:
    """Every column, in the order of the file."""
    text = resources.files("drs.io").joinpath("columns.csv").read_text(encoding="utf-8")
    found = []
    for row in csv.DictReader(text.splitlines()):
        kind = row["type"]
        if kind not in get_args(Kind):
            raise ValueError(f"columns.csv: unknown type {kind!r}")
        found.append(
            Column(
                table=row["table"],
                column=row["column"],
                attribute=row["attribute"],
                key=row["key"] == "yes",
                required=row["required"],
                kind=kind,  # type: ignore[arg-type]
                unit=row["unit"],
                default=row["default"],
                bounds=row["bounds"],
                choices=tuple(row["choices"].split()),
                refers_to=row["refers_to"],
                meaning=row["meaning"],
            )
        )
    return tuple(found)


@cache
def tables() -> dict[str, dict[str, Column]]:
    """Table to its columns by name, in the order of the file; without the open `<name>_…` columns."""
    found: dict[str, dict[str, Column]] = {}
    for column in columns():
        table = found.setdefault(column.table, {})
        if not column.column.startswith("<"):
            table[column.column] = column
    return found


def keys(table: str) -> tuple[str, ...]:
    """Names of the key columns of a table."""
    return tuple(column.column for column in tables()[table].values() if column.key)


@cache
def open_column(table: str, name: str) -> Column | None:
    """The column that `name` is in a table with open columns, such as `vgpu_capacity` of hosts."""
    suffix = OPEN_COLUMNS.get(table)
    if suffix is None or not re.fullmatch(rf"[a-z][a-z0-9_]*{suffix}", name):
        return None
    for column in columns():
        if column.table == table and column.column.startswith("<"):
            return Column(**{**{f: getattr(column, f) for f in Column.__slots__}, "column": name})
    raise AssertionError(table)  # pragma: no cover
