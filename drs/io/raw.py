"""Tables as they come: columns of unread cells, from CSV, Parquet or anything else.

Nothing is interpreted here. A cell is None when it was not given; row 1 is the first row of data.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drs.errors import Fault, InputError, did_you_mean
from drs.io.columns import OPEN_COLUMNS, keys, open_column, tables

MAX_LOOKUPS = 40
"""Near misses are looked for this often in one input: a search through 20,000 names takes a while."""


class InputWarning(UserWarning):
    """Something odd in an input that does not keep it from being read."""


class Faults(list[Fault]):
    """Collects what is wrong with one input."""

    def __init__(self) -> None:
        super().__init__()
        self._lookups = 0

    def add(self, where: str, given: str, expected: str, hint: str = "") -> None:
        """Note a fault."""
        self.append(Fault(where, given, expected, hint))

    def near(self, name: object, known: Iterable[str]) -> str:
        """`did you mean …?`, blind to case; "" when nothing is near or too much was asked."""
        self._lookups += 1
        if self._lookups > MAX_LOOKUPS:
            return ""
        known = list(known)
        folded = str(name).strip().casefold()
        for candidate in known:
            if candidate.casefold() == folded:
                return f"did you mean {candidate}?"
        return did_you_mean(str(name).strip(), known)

    def raise_if_any(self) -> None:
        """Raise one InputError with all of them, file by file and row by row."""
        if self:
            raise InputError(sorted(self, key=_place))


def _place(fault: Fault) -> tuple[int, int]:
    """Where a fault of a table stands among others; other faults stay in order, before them."""
    order = list(tables())
    table = re.split(r"[.,: ]", fault.where.removeprefix("vCenter "), maxsplit=1)[0]
    row = re.search(r", row (\d+)", fault.where)
    return (order.index(table) if table in order else -1, int(row.group(1)) if row else 0)


@dataclass
class RawTable:
    """Unread cells of one table.

    Parameters
    ----------
    table : str
        Which table it is.
    label : str
        What people know it as: `vms.csv`.
    columns : dict of str to list
        Cells by column; None where nothing was given.
    rows : list of int, optional
        Number of each row at its origin; 1, 2, … when not given.
    origins : mapping of str to (label, column), optional
        Columns that come from elsewhere, such as a sheet of a workbook, and their name there.
    """

    table: str
    label: str
    columns: dict[str, list[Any]]
    rows: list[int] | None = None
    origins: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    rows_by_label: Mapping[str, Sequence[int | None]] = field(default_factory=dict)
    """Row numbers at the other origins, by their label."""
    other_unit: frozenset[str] = frozenset()
    """Columns that had another unit at their origin."""
    lost: set[str] = field(default_factory=set)
    """Cells of rows that could not be read."""

    @property
    def n_rows(self) -> int:
        """How many rows."""
        return len(next(iter(self.columns.values()), ()))

    def key_of(self, row: int) -> str:
        """The key of a row for people: `web-03`, or `web-03/disk-1`; "" when it is not readable."""
        cells = [self.columns.get(key) for key in keys(self.table)]
        given = [str(column[row]) for column in cells if column is not None and column[row] is not None]
        return "/".join(given)

    def where(self, row: int | None = None, column: str | None = None) -> str:
        """`vms.csv, row 17 (web-03), field memory_mib`."""
        label, name, word = self.label, column, "field"
        if column is not None and column in self.origins:
            label, name = self.origins[column]
            word = "column"
        parts = [label]
        if row is not None:
            numbers: Sequence[int | None] | None = self.rows_by_label.get(label, self.rows)
            number = numbers[row] if numbers is not None else row + 1
            key = self.key_of(row)
            if number is None:
                parts.append(key)
            else:
                parts.append(f"row {number} ({key})" if key else f"row {number}")
        if name is not None:
            parts.append(f"{word} {name}")
        return ", ".join(parts)


def drop_empty_tail(columns: dict[str, list[Any]]) -> None:
    """Take wholly empty rows off the end, as spreadsheets leave them there."""
    cells = list(columns.values())
    n = len(cells[0]) if cells else 0
    end = n
    while end and all(column[end - 1] is None for column in cells):
        end -= 1
    if end < n:
        for column in cells:
            del column[end:]


def check_header(table: RawTable, header: Sequence[str], faults: Faults) -> None:
    """Note required columns that are missing; warn of columns that are unknown."""
    known = tables()[table.table]
    given = Counter(header)
    for name, count in given.items():
        if count > 1:
            faults.add(
                f"{table.label}, header",
                f"the column {name!r} stands there {count} times",
                "each column once",
            )
    spare = [name for name in given if name not in known and open_column(table.table, name) is None]
    missing = [column.column for column in known.values() if column.required and column.column not in given]
    for name in missing:
        faults.add(
            f"{table.label}, header",
            f"the required column {name} is missing",
            f"the columns {', '.join(c.column for c in known.values() if c.required)}",
            faults.near(name, spare),
        )
    for name in spare:
        table.columns.pop(name, None)
        hint = faults.near(name, [known_name for known_name in known if known_name not in given])
        suffix = OPEN_COLUMNS.get(table.table)
        if not hint and suffix and name.endswith(suffix):
            hint = f"a resource is named like gpu_slots{suffix}: small letters, digits and _"
        warnings.warn(
            f"{table.label}: the column {name!r} is unknown and ignored{f'; {hint}' if hint else ''}",
            InputWarning,
            stacklevel=2,
        )


def csv_text(path: Path, label: str, header: str, faults: Faults) -> str | None:
    """The text of a CSV file from its header on; None, and a fault, when it is none that can be read.

    Parameters
    ----------
    path : Path
        The file.
    label : str
        What to call it.
    header : str
        What it begins with, for the fault of an empty file.
    faults : Faults
        Takes what is wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        faults.add(label, f"it cannot be read: {error.strerror or error}", "a CSV file")
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        faults.add(label, "text in UTF-16", "CSV in UTF-8", "save it as “CSV UTF-8”")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        faults.add(
            f"{label}, line {line}",
            f"the byte 0x{data[error.start]:02x} is not UTF-8",
            "CSV in UTF-8",
            "save it as “CSV UTF-8”",
        )
        return None
    if "\0" in text:
        faults.add(
            f"{label}, line {text.count(chr(10), 0, text.index(chr(0))) + 1}",
            "a NUL character",
            "CSV in UTF-8",
            "is it another kind of file?",
        )
        return None
    if "\n" not in text:
        text = text.replace("\r", "\n")
    text = text.lstrip("\r\n")
    if not text.strip():
        faults.add(label, "an empty file", header)
        return None
    first = next(csv.reader(io.StringIO(text, newline="")))
    for sign, what in ((";", "semicolons"), ("\t", "tabs")):
        if len(first) == 1 and sign in first[0]:
            faults.add(
                f"{label}, header",
                f"columns that are separated by {what}",
                "columns separated by commas",
                "save it with commas between the columns and points in the numbers",
            )
            return None
    return text


def read_csv(path: Path, table: str, faults: Faults, label: str = "") -> RawTable | None:
    """Read a CSV file; None when it is too broken to go on with.

    Parameters
    ----------
    path : Path
        The file.
    table : str
        Which table it is.
    faults : Faults
        Takes what is wrong.
    label : str, optional
        What to call it; the file's name by default.
    """
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    label = label or path.name
    text = csv_text(path, label, f"a header row with the columns of {table}", faults)
    if text is None:
        return None
    header = next(csv.reader(io.StringIO(text, newline="")))
    _, _, rest = text.partition("\n")
    if not rest.strip():
        cells: dict[str, list[Any]] = {name: [] for name in header}
        raw = RawTable(table, label, cells)
        check_header(raw, header, faults)
        return raw

    if text.count('"') % 2 and (line := _open_quote(text)):
        faults.add(
            f"{label}, line {line}",
            "a quotation mark that is never closed",
            "a second one at the end of the cell",
            "a quotation mark inside a cell is written twice",
        )
        return None
    ragged: list[int] = []
    lost: set[str] = set()

    def on_ragged(row: Any) -> str:
        ragged.append(row.number - 1)
        lost.update(row.text.replace('"', "").split(","))
        faults.add(
            f"{label}, row {row.number - 1}",
            f"{row.actual_columns} cells: {_shorten(row.text)}",
            f"{row.expected_columns} cells as in the header",
            "a name with a comma needs quotation marks" if row.actual_columns > row.expected_columns else "",
        )
        return "skip"

    names = [str(i) for i in range(len(header))]
    data = text.encode()
    read = pa_csv.read_csv(
        pa.py_buffer(data),
        read_options=pa_csv.ReadOptions(
            use_threads=False,
            column_names=names,
            skip_rows=1,
            block_size=min(max(len(data) + 1, 1 << 20), 2**31 - 1),
        ),
        parse_options=pa_csv.ParseOptions(invalid_row_handler=on_ragged, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    )
    cells = {name: read.column(i).to_pylist() for i, name in enumerate(header)}
    rows = None
    if ragged:
        skip = set(ragged)
        rows = [number for number in range(1, read.num_rows + len(skip) + 1) if number not in skip]
    drop_empty_tail(cells)
    raw = RawTable(table, label, cells, rows, lost=lost)
    check_header(raw, header, faults)
    return raw


def _open_quote(text: str) -> int:
    """The line where a quoted cell begins that never ends; 0 when there is none."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error:
        return line
    return 0


def _shorten(text: str, n: int = 60) -> str:
    return repr(text if len(text) <= n else text[: n - 1] + "…")


def read_parquet(path: Path, table: str, faults: Faults) -> RawTable | None:
    """Read a Parquet file; None when it is too broken to go on with.

    Parameters
    ----------
    path : Path
        The file.
    table : str
        Which table it is.
    faults : Faults
        Takes what is wrong.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    label = path.name
    try:
        with path.open("rb") as file:
            read = pq.ParquetFile(file).read()
    except OSError as error:
        faults.add(label, f"it cannot be read: {error.strerror or error}", "a Parquet file")
        return None
    except pa.ArrowException as error:
        faults.add(label, f"no readable Parquet: {str(error).splitlines()[0]}", "a whole Parquet file")
        return None
    header = [name for name in read.column_names if not name.startswith("__index_level_")]
    cells: dict[str, list[Any]] = {}
    for name in header:
        index = read.column_names.index(name)
        column = read.column(index)
        kind = column.type
        if pa.types.is_nested(kind):
            faults.add(f"{label}, field {name}", f"cells of the type {kind}", "text or numbers")
            continue
        if pa.types.is_timestamp(kind):  # few are different: make each one once
            coded = column.cast(pa.timestamp("us", kind.tz), safe=False).combine_chunks().dictionary_encode()
            times = coded.dictionary.to_pylist()
            cells[name] = [None if i is None else times[i] for i in coded.indices.to_pylist()]
        else:
            cells[name] = column.to_pylist()
    raw = RawTable(table, label, cells)
    check_header(raw, header, faults)
    return raw
