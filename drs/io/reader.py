"""The cells of one table, read column by column: each cell checked, each reference resolved."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from drs.io.columns import TABLES_REQUIRED, Column, keys, open_column, tables
from drs.io.raw import Faults, RawTable
from drs.model.snapshot import Bools, Floats, Ints, Names

T = TypeVar("T")

NAME_PATTERN = r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
"""No blanks around a name and no control characters in it."""

LARGEST = 1e15
"""No number may be larger: sums and products of such numbers stay exact enough, and finite."""

TARGETS = {"hosts": "host", "vms": "vm", "pools": "pool", "datastores": "datastore", "portgroups": "network"}
"""The column of a table that others refer to."""


@cache
def _adapter(kind: str, bounds: str, choices: tuple[str, ...]) -> Any:
    """Pydantic's validator of a whole column; None is allowed everywhere."""
    from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter

    item: Any
    if kind in ("number", "integer"):
        low, high, open_low = Column("", "", "", False, "", "number", "", "", bounds, (), "", "").limits
        limits: dict[str, Any] = {}
        if math.isfinite(low):
            limits["gt" if open_low else "ge"] = low
        limits["le"] = min(high, LARGEST)
        if kind == "integer":
            item = Annotated[int, Field(**limits)]
        else:
            item = Annotated[float, Field(allow_inf_nan=False, **limits)]
    elif kind == "choice":
        item = Literal[choices]
    else:
        item = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    return TypeAdapter(list[item | None], config=ConfigDict(coerce_numbers_to_str=True))


def _is_odd(value: Any) -> bool:
    """Whether only Python takes a cell for a number: True, and 8_192."""
    return (isinstance(value, str) and "_" in value) or isinstance(value, bool | np.bool_)


def _given(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _hint_for(column: Column, value: object, faults: Faults) -> str:
    """The likely cure for a cell that cannot be read."""
    text = str(value).strip()
    if column.numeric:
        if re.fullmatch(r"[+-]?\d{1,3}([.,' _]\d{3})*[.,]?\d*", text) and re.search(r"[,' _]", text):
            return "a point before the decimals, and nothing between the thousands"
        if re.fullmatch(r"[+-]?[\d.]+\s*[A-Za-z%/]+", text):
            return "the number alone: the unit is the one of the column"
        if column.default == "unlimited" and re.fullmatch(r"-1(\.0*)?|[+]?inf(inity)?", text, re.IGNORECASE):
            return "leave the cell empty for no limit"
        if re.fullmatch(r"[+-]?(nan|inf|infinity)|n/?a|null|none|-|\?", text, re.IGNORECASE):
            return "leave the cell empty when it is not known" if not column.required else ""
        try:
            return f"nothing is above {LARGEST:g}" if LARGEST < float(text) < math.inf else ""
        except ValueError:
            return ""
    if column.kind == "choice":
        return faults.near(value, column.choices)
    if isinstance(value, str) and value != text:
        return f"did you mean {text!r}?" if text else ""
    return "is a quotation mark not closed?" if "\n" in text else ""


class Reader:
    """The typed columns of one table; a cell that is at fault counts as not given from there on."""

    def __init__(self, raw: RawTable, faults: Faults, *, given: bool = True) -> None:
        self.raw, self.faults, self.n, self.given = raw, faults, raw.n_rows, given
        self._bad: dict[str, list[int]] = {}
        self._text: dict[str, list[str]] = {}
        self._number: dict[str, Floats] = {}

    def _expected(self, column: Column) -> str:
        """What a cell should hold; without the unit where its origin has another one."""
        if column.column in self.raw.other_unit:
            return column.expected.removesuffix(f", in {column.unit}")
        return column.expected

    def _clean(self, column: Column) -> list[Any]:
        cells = self.raw.columns.get(column.column)
        if cells is None:
            return [None] * self.n
        if column.kind == "time":
            return self._times(column, cells)
        from pydantic import ValidationError

        adapter = _adapter(column.kind, column.bounds, column.choices)
        wrong = [row for row, value in enumerate(cells) if _is_odd(value)] if column.numeric else []
        cured = list(cells) if wrong else cells
        for row in wrong:
            cured[row] = None
        try:
            read = adapter.validate_python(cured)
        except ValidationError as error:
            told = error.errors(include_url=False, include_context=False, include_input=False)
            wrong = sorted({*wrong, *(int(one["loc"][0]) for one in told)})
            cured = list(cells)
            for row in wrong:
                cured[row] = None
            read = adapter.validate_python(cured)
        for row in wrong:
            self._bad.setdefault(column.column, []).append(row)
            self.faults.add(
                self.raw.where(row, column.column),
                _given(cells[row]),
                self._expected(column),
                _hint_for(column, cells[row], self.faults),
            )
        if column.required == "yes":
            for row, value in enumerate(cells):
                if value is None:
                    self._bad.setdefault(column.column, []).append(row)
                    self.faults.add(
                        self.raw.where(row, column.column), "an empty cell", self._expected(column)
                    )
        return list(read)

    def _times(self, column: Column, cells: Sequence[Any]) -> list[Any]:
        """Times as seconds since 1970; each distinct text is read once."""
        times = [value if isinstance(value, str | date) else None for value in cells]
        known = {value: epoch_s(value) for value in dict.fromkeys(times)}
        read = [known[value] for value in times]
        for row, (value, seconds) in enumerate(zip(cells, read, strict=True)):
            if seconds is None:
                hint = ""
                if value is not None and re.fullmatch(r"\d{9,13}(\.\d*)?", str(value)):
                    hint = "it looks like Unix time"
                elif isinstance(value, str) and "/" in value:
                    hint = "year-month-day, with hyphens"
                given = "an empty cell" if value is None else _given(value)
                self.faults.add(self.raw.where(row, column.column), given, column.expected, hint)
        return read

    def text(self, name: str) -> list[str]:
        """A text column, the default filled in."""
        if name not in self._text:
            column = tables()[self.raw.table][name]
            default = column.default_text
            self._text[name] = [default if value is None else value for value in self._clean(column)]
        return self._text[name]

    def names(self, name: str) -> Names:
        """A text column as a numpy array."""
        return as_names(self.text(name))

    def number(self, name: str) -> Floats:
        """A numeric column, the default filled in; NaN where it is derived or unknown."""
        if name not in self._number:
            column = tables()[self.raw.table].get(name) or open_column(self.raw.table, name)
            assert column is not None, name
            values = np.array(self._clean(column), dtype=np.float64).reshape(self.n) + 0.0
            default = column.default_number
            if not math.isnan(default):
                values = np.where(np.isnan(values), default, values)
                values[self._bad.get(name, [])] = np.nan  # so that no other check stumbles over it again
            self._number[name] = values
        return self._number[name]

    def seconds(self, name: str) -> NDArray[np.int64]:
        """A column of times as seconds since 1970; -1 where it is at fault."""
        read = self._clean(tables()[self.raw.table][name])
        return np.array([-1 if value is None else value for value in read], dtype=np.int64).reshape(self.n)

    def refer(self, name: str, target: Reader) -> Ints:
        """Positions of the names of a column in another table; -1 for an empty cell.

        An unknown name is a fault, unless the other table has its own fault where the name may have been.
        """
        column = tables()[self.raw.table][name]
        what, values = TARGETS[column.refers_to], self.text(name)
        if not target.given and self.n:
            if column.refers_to not in TABLES_REQUIRED:
                self.faults.add(
                    self.raw.where(None, name),
                    f"there is no table {column.refers_to} to look them up in",
                    f"a table {column.refers_to} that names each {what}",
                )
            return np.full(self.n, -1, dtype=np.int32)
        known, lost = target.positions, target.lost_names
        found = np.array([known.get(value, -1) for value in values], dtype=np.int32).reshape(self.n)
        for row in np.flatnonzero(found < 0).tolist():
            if values[row] and lost is not None and values[row] not in lost:
                self.faults.add(
                    self.raw.where(row, name),
                    f"unknown {what} {values[row]!r}",
                    column.expected,
                    self.faults.near(values[row], known),
                )
        return found

    @property
    def positions(self) -> dict[str, int]:
        """Position of each name that other tables refer to."""
        names = self.text(TARGETS[self.raw.table])
        if self.raw.table == "portgroups":  # a network has a row for each host
            names = [name for name in dict.fromkeys(names) if name]
        return positions(names)

    @property
    def lost_names(self) -> set[str] | None:
        """Names that stand in this table but cannot be read; None when nobody can say which."""
        column = TARGETS[self.raw.table]
        cells = self.raw.columns.get(column)
        if not cells or (self.n > 0 and self._bad.get(column) and any(cell is None for cell in cells)):
            return None
        return self.raw.lost | {str(cells[row]).strip() for row in self._bad.get(column, ())}

    def unique(self) -> None:
        """A fault for every row whose key stood before."""
        names = keys(self.raw.table)
        if any(name not in self.raw.columns for name in names):
            return
        cells = list(zip(*(self.text(name) for name in names), strict=True))
        if len(set(cells)) == len(cells):
            return
        first: dict[tuple[str, ...], int] = {}
        for row, key in enumerate(cells):
            if all(key[i] == "" for i in range(len(key))) or first.setdefault(key, row) == row:
                continue
            before = self.raw.where(first[key]).split(", ")[-1].split(" (")[0]
            self.faults.add(
                self.raw.where(row, names[-1] if len(names) == 1 else None),
                f"a duplicate {' and '.join(names)}: {', '.join(map(repr, key))}",
                f"each {' and '.join(names)} once",
                f"it stood in {before} before",
            )

    def require(self, holds: Bools, column: str, given: Any, expected: Any, hint: str = "") -> None:
        """A fault for each row where a condition does not hold; `given` and `expected` take a row."""
        for row in np.flatnonzero(~holds).tolist():
            self.faults.add(self.raw.where(row, column), given(row), expected(row), hint)

    def not_above(
        self, low: str, high: str, values: Floats | None = None, bound: Floats | None = None
    ) -> None:
        """A fault for each row where the column `low` is above the column `high`."""
        less = self.number(low) if values is None else values
        more = self.number(high) if bound is None else bound
        with np.errstate(invalid="ignore"):
            holds = ~(less > more)
        self.require(
            holds, low, lambda row: f"{less[row]:.10g}", lambda row: f"at most its {high} of {more[row]:.10g}"
        )


def table_of(cls: type[T], read: Mapping[str, Reader], name: str, **made: Any) -> T:
    """A table of the snapshot of all the columns that `columns.csv` has of it.

    Parameters
    ----------
    cls : type
        The table's dataclass; a column whose attribute is no field of it goes to its `more`.
    read : mapping of str to Reader
        The columns of all tables.
    name : str
        Which table it is.
    **made : Any
        Values that are made elsewhere, by attribute.

    Returns
    -------
    object
        The table.
    """
    reader = read[name]
    own = {each.name for each in dataclasses.fields(cls)}  # type: ignore[arg-type]
    found: dict[str, Any] = {}
    for column in tables()[name].values():
        if column.attribute in made:
            continue
        if column.attribute.endswith("_idx"):
            found[column.attribute] = reader.refer(column.column, read[column.refers_to])
        elif column.numeric:
            found[column.attribute] = reader.number(column.column)
        else:
            found[column.attribute] = reader.names(column.column)
    more = more_of(name, found, own)
    make: Any = cls
    table: T = make(**made, **{key: value for key, value in found.items() if key in own}, more=more)
    return table


def more_of(table: str, found: Mapping[str, Any], own: set[str]) -> dict[str, Any]:
    """The columns without a field that hold anything but their default: a table that is written and read again has the
    same ones."""
    said = {}
    for column in tables()[table].values():
        values = found.get(column.attribute)
        if values is None or column.attribute in own:
            continue
        if column.numeric:
            plain = np.array_equal(values, np.full(len(values), column.default_number), equal_nan=True)
        else:
            plain = bool((values == column.default_text).all())
        if not plain:
            said[column.attribute] = values
    return said


def epoch_s(value: object) -> int | None:
    """Seconds since 1970 of an ISO 8601 text, a datetime or a date; None when it is none."""
    moment: datetime
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day)
    elif isinstance(value, str) and re.match(r"\d{4}-?\d{2}-?\d{2}(\D|$)", value):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
    else:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = math.floor(moment.timestamp())
    return seconds if seconds >= 0 else None


def as_names(values: Iterable[str]) -> Names:
    """A numpy string array, also of nothing."""
    listed = list(values)
    return np.array(listed, dtype=np.str_) if listed else np.empty(0, dtype="<U1")


def positions(names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for i, name in enumerate(names):
        found.setdefault(name, i)
    return found


def check_cells(raw: RawTable, faults: Faults) -> None:
    """Note what is wrong with the cells of one table by itself, without the others.

    Parameters
    ----------
    raw : RawTable
        The table.
    faults : Faults
        Takes what is wrong.
    """
    reader = Reader(raw, faults)
    for column in tables()[raw.table].values():
        if column.numeric:
            reader.number(column.column)
        elif column.kind == "time":
            reader.seconds(column.column)
        else:
            reader.text(column.column)
    if raw.table != "loads":
        reader.unique()
