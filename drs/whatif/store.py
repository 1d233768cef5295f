"""Results on disk while they come: a Parquet dataset, one file for each few seconds of work.

The dataset is a folder that any reader of Parquet takes as one table, also while the batch runs. Its first file,
`00000000.parquet`, has no rows: it holds all columns seen so far, so that readers find them whichever scenario had
them first. Files are written under another name and renamed: a crash leaves whole files only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drs.errors import Fault, InputError
from drs.frame import DataFrame, frame

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 1000
"""So many rows are kept in memory at most."""
EVERY_S = 5.0
"""Rows are written after so many seconds at the latest: what a crash of this process loses."""
TEXT = {"scenario", "error", "notes", "status", "audit", "key"}
FIRST = ("number", "scenario", "error", "notes", "status")
ABOUT = "_batch.json"
"""Readers of Parquet pass over names that begin with `_`."""


def _kind(column: str, value: Any) -> str:
    if column in TEXT or isinstance(value, str):
        return "string"
    if isinstance(value, (bool, np.bool_)):
        return "bool"
    if column == "number" or column.startswith(("n_", "violations_")) or column == "survives":
        return "int64"
    return "double"


class Store:
    """The dataset of one batch.

    Parameters
    ----------
    folder : where; made where it is not there.
    resume : whether to go on with the results that it holds.
    about : what the batch is: digest of its base, and whatever a reader wants to know.

    Raises
    ------
    InputError : where it holds results and is not to go on with them, or no results of drs at all.
    """

    def __init__(self, folder: Path, *, resume: bool, about: Mapping[str, Any]) -> None:
        self.folder = folder
        self.kinds: dict[str, str] = {}
        self.rows: list[dict[str, Any]] = []
        self.written_s = time.monotonic()
        held = sorted(folder.glob("*.parquet")) if folder.is_dir() else []
        if folder.exists() and (
            not folder.is_dir() or (any(folder.iterdir()) and not (folder / ABOUT).is_file())
        ):
            given = f"{folder} is there and holds no results of drs what-if"
            raise InputError(Fault("out", given, "a name that is not taken"))
        if held and not resume:
            given = f"{folder} holds results of an earlier run"
            raise InputError(Fault("out", given, "a name that is not taken, or resume"))
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".*.tmp"):
            left.unlink()
        if held:
            import pyarrow.parquet as pq

            for field in pq.read_schema(held[0]):
                self.kinds[field.name] = str(field.type)
        self.next = 1 + (int(held[-1].stem) if held else 0)
        self._write_text(ABOUT, json.dumps(dict(about), indent=2))

    def keys(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """The keys of what is done, sorted, u8[n]: 8 bytes a scenario."""
        import pyarrow.parquet as pq

        found = [
            np.array(
                [int(key, 16) for key in pq.read_table(path, columns=["key"])["key"].to_pylist()],
                dtype=np.uint64,
            )
            for path in self._parts()
        ]
        return np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.uint64)

    def add(self, row: dict[str, Any]) -> None:
        """One more row; written now or within seconds."""
        mixed = {
            column for column, value in row.items() if isinstance(value, str) and self._is_number(column)
        }
        if mixed:  # two grids that call different things by one name
            row = {f"{column}_text" if column in mixed else column: value for column, value in row.items()}
        self.rows.append(row)
        if len(self.rows) >= ROWS or time.monotonic() - self.written_s >= EVERY_S:
            self.flush()

    def _is_number(self, column: str) -> bool:
        """Whether a column holds numbers already, in what is written or what waits."""
        if column in self.kinds:
            return self.kinds[column] != "string"
        first = next((row[column] for row in self.rows if row.get(column) is not None), "")
        return not isinstance(first, str)

    def flush(self) -> None:
        """Write what is in memory."""
        self.written_s = time.monotonic()
        if not self.rows:
            return
        new = [
            (column, value) for row in self.rows for column, value in row.items() if column not in self.kinds
        ]
        for column, value in new:
            if value is not None:
                self.kinds.setdefault(column, _kind(column, value))
        if new:
            self._write([], 0)
        self._write(self.rows, self.next)
        self.next += 1
        self.rows = []

    def _schema(self) -> pa.Schema:
        import pyarrow as pa

        order = [
            *(name for name in FIRST if name in self.kinds),
            *(name for name in self.kinds if name not in FIRST),
        ]
        return pa.schema([pa.field(name, pa.type_for_alias(self.kinds[name])) for name in order])

    def _write(self, rows: list[dict[str, Any]], number: int) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = self._schema()
        columns = {
            field.name: [_as(self.kinds[field.name], row.get(field.name)) for row in rows] for field in schema
        }
        table = pa.table(columns, schema=schema)
        new = self.folder / f".{number:08d}.tmp"
        pq.write_table(table, new)
        new.replace(self.folder / f"{number:08d}.parquet")

    def _write_text(self, name: str, text: str) -> None:
        new = self.folder / f".{name}.tmp"
        new.write_text(text, encoding="utf-8")
        new.replace(self.folder / name)

    def _parts(self) -> list[Path]:
        return [path for path in sorted(self.folder.glob("*.parquet")) if int(path.stem)]

    def parts(self) -> Iterator[DataFrame]:
        """The rows that are written, a table at a time, in the order in which they came, all columns in each."""
        import pyarrow.parquet as pq

        schema = self._schema()
        for path in self._parts():
            yield pq.read_table(path, schema=schema).to_pandas()


def _as(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind == "string":
        return str(value)
    if kind == "bool":
        return bool(value)
    if kind == "int64":
        return None if isinstance(value, float) and np.isnan(value) else int(value)
    return float(value) if isinstance(value, (int, float, np.number)) else None


def read(folder: Path | str) -> DataFrame:
    """The results of a batch as one table, in the order of the scenarios.

    Raises
    ------
    InputError : where there are none.
    """
    folder = Path(folder)
    if not (folder / ABOUT).is_file():
        raise InputError(
            Fault("results", f"{folder} holds no results of drs what-if", "a folder that it wrote")
        )
    if not any(folder.glob("*.parquet")):
        return frame([], columns=FIRST)
    import pyarrow.parquet as pq

    table: DataFrame = pq.read_table(folder).to_pandas()
    return table.sort_values("number", kind="stable").reset_index(drop=True)
