"""A snapshot from a folder of CSV or Parquet files, and as one."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import tomllib
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from drs.errors import Fault, InputError
from drs.io.atomic import atomic_folder
from drs.io.build import build
from drs.io.columns import TABLES_REQUIRED, Column, open_column, tables
from drs.io.frames import to_columns
from drs.io.raw import Faults, InputWarning, RawTable, read_csv, read_parquet
from drs.io.toml import is_file
from drs.model.provenance import Provenance
from drs.model.snapshot import Snapshot

FORMATS = ("csv", "parquet")
META = ("name", "taken_at", "description", "source")


def is_snapshot(path: str | Path) -> bool:
    """Whether a folder holds the required tables of a snapshot.

    Parameters
    ----------
    path : str or Path
        Any path.
    """
    folder = Path(path)
    return all(
        any((folder / f"{table}.{suffix}").is_file() for suffix in FORMATS) for table in TABLES_REQUIRED
    )


def read_folder(path: str | Path) -> Snapshot:
    """Read a snapshot folder.

    Parameters
    ----------
    path : str or Path
        A folder with a CSV or a Parquet file for each table, and perhaps a `snapshot.toml`.

    Returns
    -------
    Snapshot
        With every default filled in; its name is the folder's where `snapshot.toml` gives none.

    Raises
    ------
    InputError
        With all faults of all files.
    """
    folder = Path(path)
    faults = Faults()
    _check_folder(folder, faults)
    faults.raise_if_any()
    raw: dict[str, RawTable] = {}
    unread: set[str] = set()
    for table in tables():
        found = []
        for file in (folder / f"{table}.{suffix}" for suffix in FORMATS):
            try:
                found += [file] if is_file(file) else []
            except InputError as error:
                faults.extend(error.faults)
                unread.add(table)
        if len(found) > 1:
            faults.add(
                str(folder),
                f"both {table}.csv and {table}.parquet",
                f"one file of the table {table}",
                "remove the older one",
            )
        if not found:
            continue
        reader = read_csv if found[0].suffix == ".csv" else read_parquet
        one = reader(found[0], table, faults)
        if one is None:
            unread.add(table)
        else:
            raw[table] = one
    _check_files(folder, raw.keys() | unread, faults)
    meta = _read_meta(folder / "snapshot.toml", faults)
    # A table that is there but unreadable would make every reference to it a fault as well: tell what is
    # known so far, and of the cells only those that can be judged.
    if unread or any(table not in raw for table in TABLES_REQUIRED):
        _judge_alone(raw, faults)
        faults.raise_if_any()
    meta.setdefault("name", folder.resolve().name)
    return build(raw, faults, **meta)


def _judge_alone(raw: dict[str, RawTable], faults: Faults) -> None:
    from drs.io.reader import check_cells

    for table in raw.values():
        check_cells(table, faults)


def _check_folder(folder: Path, faults: Faults) -> None:
    expected = "a snapshot folder"
    try:
        if folder.is_dir():
            return
        if folder.exists():
            hint = ""
            if folder.suffix.lower() in (".xlsx", ".xlsm"):
                hint = f"first: drs convert {folder} FOLDER"
            elif folder.stem in tables():
                hint = f"did you mean the folder {folder.parent}?"
            faults.add(str(folder), "a file", expected, hint)
            return
        siblings: list[str] = []
        if folder.parent.is_dir():
            siblings = [entry.name for entry in folder.parent.iterdir() if entry.is_dir()]
        faults.add(str(folder), "no such folder", expected, faults.near(folder.name, siblings))
    except OSError as error:
        faults.add(str(folder), f"it cannot be read: {error.strerror or error}", expected)


def _check_files(folder: Path, found: Iterable[str], faults: Faults) -> None:
    """Required tables that are missing, files that look like a table and are none."""
    found = set(found)
    wanted = {f"{table}.{suffix}": table for table in tables() for suffix in FORMATS}
    others = [
        entry.name
        for entry in sorted(folder.iterdir())
        if entry.name not in wanted and entry.suffix.lower() in (".csv", ".parquet", ".tsv", ".txt", ".xlsx")
    ]
    for table in TABLES_REQUIRED:
        if table not in found:
            faults.add(
                str(folder),
                f"there is no {table}.csv or {table}.parquet",
                f"a snapshot folder with {' and '.join(TABLES_REQUIRED)}",
                faults.near(f"{table}.csv", others),
            )
    for name in others:
        free = [file for file, table in wanted.items() if table not in found]
        hint = faults.near(name, free)
        if hint:
            warnings.warn(
                f"{folder / name} is no table of a snapshot and is ignored; {hint}",
                InputWarning,
                stacklevel=3,
            )


def _read_meta(path: Path, faults: Faults) -> dict[str, Any]:
    from drs.io.toml import read_toml

    try:
        if not is_file(path):
            return {}
        given = read_toml(path)
    except InputError as error:
        faults.extend(error.faults)
        return {}
    meta: dict[str, Any] = {}
    for key, value in given.items():
        if key == "provenance" and isinstance(value, dict):
            meta[key] = _read_provenance(value, f"{path.name}, [provenance]", faults)
        elif key not in META:
            hint = faults.near(key, [*META, "provenance"])
            warnings.warn(
                f"{path.name}: the key {key!r} is unknown and ignored{f'; {hint}' if hint else ''}",
                InputWarning,
                stacklevel=3,
            )
        elif key == "taken_at":
            from drs.io.reader import epoch_s

            if epoch_s(value) is None:
                faults.add(
                    f"{path.name}, field {key}", repr(value), "an ISO 8601 time such as 2026-01-31T14:05:00Z"
                )
            else:
                meta[key] = value if isinstance(value, str) else value.isoformat()
        elif isinstance(value, str):
            meta[key] = value
        else:
            faults.add(f"{path.name}, field {key}", repr(value), "text in quotation marks")
    return meta


def _read_provenance(given: dict[str, Any], where: str, faults: Faults) -> Provenance:
    from drs.io.fields import read_fields

    return read_fields(Provenance, given, where, faults) or Provenance()


def write_folder(snapshot: Snapshot, path: str | Path, format: Literal["csv", "parquet"] = "csv") -> Path:
    """Write a snapshot as a folder, whole or not at all.

    Columns that hold only their default are left out. A snapshot folder that is there already is replaced;
    files of it that are no table (rules, policy, notes) are kept.

    Parameters
    ----------
    snapshot : Snapshot
        The snapshot.
    path : str or Path
        The folder to make, or a snapshot folder to replace.
    format : {"csv", "parquet"}, default "csv"
        How the tables are written.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        When there is a file of that name, or a folder that holds something else than a snapshot.
    """
    folder = Path(path)
    check_target(folder)
    if format not in FORMATS:
        raise InputError(Fault("format", repr(format), f"one of {', '.join(FORMATS)}"))
    replaced = {f"{table}.{suffix}" for table in tables() for suffix in FORMATS} | {"snapshot.toml"}
    with atomic_folder(folder, replaced) as work:
        write_tables(snapshot, work, format)
    return folder


def check_target(path: str | Path) -> None:
    """Raise an InputError unless a snapshot folder can be written there.

    Parameters
    ----------
    path : str or Path
        The folder to make: nothing, an empty folder, or a snapshot folder.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise InputError(Fault(str(folder), "a file of that name is there already", "the name of a folder"))
    if folder.is_dir() and any(folder.iterdir()) and not is_snapshot(folder):
        raise InputError(
            Fault(
                str(folder),
                "a folder that holds something else than a snapshot",
                "a new name, an empty folder or a snapshot to replace",
            )
        )
    if not folder.absolute().parent.is_dir():
        raise InputError(
            Fault(
                str(folder),
                f"the folder {folder.absolute().parent} does not exist",
                "a place where the folder can be written",
            )
        )


def write_tables(snapshot: Snapshot, folder: Path, format: str = "csv") -> None:
    """Write the files of a snapshot into a folder that is there.

    Parameters
    ----------
    snapshot : Snapshot
        The snapshot.
    folder : Path
        An existing folder.
    format : {"csv", "parquet"}, default "csv"
        How the tables are written.
    """
    for table, columns in to_columns(snapshot).items():
        spoken = {name: values for name, values in columns.items() if not _says_nothing(table, name, values)}
        if format == "csv":
            _write_csv(folder / f"{table}.csv", spoken)
        else:
            _write_parquet(folder / f"{table}.parquet", table, spoken)
    lines = [f"{key} = {_toml_text(getattr(snapshot, key))}\n" for key in META if getattr(snapshot, key)]
    said = {key: value for key, value in dataclasses.asdict(snapshot.provenance).items() if value}
    if said:
        lines += ["\n[provenance]\n", *(f"{key} = {_toml_text(value)}\n" for key, value in said.items())]
    if lines:
        (folder / "snapshot.toml").write_text("".join(lines), encoding="utf-8", newline="")


def _column(table: str, name: str) -> Column:
    column = tables()[table].get(name) or open_column(table, name)
    assert column is not None, (table, name)
    return column


def _says_nothing(table: str, name: str, values: Any) -> bool:
    """Whether leaving the column out reads back as the same."""
    column = _column(table, name)
    if column.required or column.key or column.default.startswith("="):
        return False
    if not isinstance(values, np.ndarray):
        return all(value is None for value in values)  # names of another table
    if "<" not in name and name not in tables()[table]:
        return False  # a resource exists because its column does
    if column.numeric:
        return bool(np.array_equal(values, np.full(len(values), column.default_number), equal_nan=True))
    return bool((values == column.default_text).all())


def _cells(values: Any) -> list[Any]:
    """Python values of a column; None for an empty cell."""
    if not isinstance(values, np.ndarray):
        return list(values)
    if values.dtype.kind == "f":
        if values.dtype == np.float32:  # as short as a float32 can be told
            return [
                float(text) if math.isfinite(float(text)) else None for text in values.astype(str).tolist()
            ]
        return [value if math.isfinite(value) else None for value in values.tolist()]
    return [None if value == "" else value for value in values.tolist()]


def _write_csv(path: Path, columns: dict[str, Any]) -> None:
    def text(value: Any) -> Any:
        if isinstance(value, float):
            return int(value) if value.is_integer() and abs(value) < 1e15 else repr(value)
        return value

    cells = [[text(value) for value in _cells(values)] for values in columns.values()]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*cells, strict=True))
    path.write_text(buffer.getvalue(), encoding="utf-8", newline="")


def _write_parquet(path: Path, table: str, columns: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {}
    for name, values in columns.items():
        kind = _column(table, name).kind
        if isinstance(values, np.ndarray) and values.dtype.kind in "fi":
            arrays[name] = pa.array(values, mask=~np.isfinite(values))
        elif kind == "time":
            arrays[name] = pa.array(_cells(values), pa.string()).cast(pa.timestamp("s", tz="UTC"))
        else:
            arrays[name] = pa.array(_cells(values), pa.string())
    pq.write_table(pa.table(arrays), path)


def _toml_text(text: str) -> str:
    """A TOML basic string.

    >>> _toml_text('a "b"')
    '"a \\\\"b\\\\""'
    """
    escaped = "".join(
        f"\\{sign}"
        if sign in '"\\'
        else f"\\u{ord(sign):04X}"
        if ord(sign) < 0x20 or ord(sign) == 0x7F
        else sign
        for sign in text
    )
    line = f'"{escaped}"'
    assert tomllib.loads(f"x = {line}")["x"] == text
    return line
