"""A table of results in a file, .parquet or .csv."""

from __future__ import annotations

from pathlib import Path

from drs.errors import Fault, InputError
from drs.frame import DataFrame
from drs.io.atomic import atomic_file, check_writable
from drs.io.spreadsheet import csv_of


def check_table_path(path: Path) -> None:
    """Raises InputError when a table cannot be written there, before any work is done."""
    if path.suffix not in (".parquet", ".csv"):
        raise InputError(Fault("out", f"{path.name!r}", "a name that ends in .parquet or .csv"))
    if not path.parent.is_dir():
        raise InputError(Fault("out", f"no folder {path.parent}", "an existing folder"))
    if path.is_dir():
        raise InputError(Fault("out", f"{path} is a folder", "the name of a file"))
    check_writable(path, "out")


def write_table(table: DataFrame, path: Path) -> None:
    """Writes a .parquet or .csv file whole or not at all; the CSV is safe in a spreadsheet."""
    with atomic_file(path) as new:
        if path.suffix == ".parquet":
            table.to_parquet(new, index=False)
        else:
            new.write_text(csv_of(table), encoding="utf-8", newline="")
