"""Sheets of a workbook: columns by their label, read up to where the data ends."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

from drs.errors import Fault, InputError

MAX_GAP = 200
"""A sheet ends where so many rows in a row are empty; some exports declare 1,048,575."""


def squash(label: str) -> str:
    """A label for comparison: case, blanks, signs and the units MB and MiB (both binary) do not count.

    Parameters
    ----------
    label : str
        As it stands in the header.

    >>> squash("Capacity MiB"), squash("Capacity MB"), squash("# Cores")
    ('capacity', 'capacity', '#cores')
    """
    return re.sub(r"[^a-z0-9#%]", "", re.sub(r"\b(MiB|MB)\b", "", label).casefold())


class Sheet:
    """One sheet: columns of cells, and where each stood.

    Parameters
    ----------
    name : str
        Name of the sheet.
    header : list of str
        Labels; "" for none.
    rows : list of (row number, cells)
        The rows that are not empty.
    """

    def __init__(self, name: str, header: list[str], rows: list[tuple[int, tuple[Any, ...]]]) -> None:
        self.name = name
        self.numbers = [number for number, _ in rows]
        self._at: dict[str, int] = {}
        self._labels = header
        for i, label in enumerate(header):
            if label:
                self._at.setdefault(self._short(label), i)
        self._rows = [cells for _, cells in rows]

    def _short(self, label: str) -> str:
        """RVTools before 3.9 and its command line wrote `vInfoVMName` for `VM`."""
        short = squash(label)
        prefix = squash(self.name)
        if short.startswith(prefix) and len(short) > len(prefix):
            short = short.removeprefix(prefix)
        return {"vmname": "vm"}.get(short, short)

    def __len__(self) -> int:
        return len(self._rows)

    def has(self, label: str) -> bool:
        """Whether there is such a column."""
        return squash(label) in self._at

    def label(self, label: str) -> str:
        """The label as it stands in the sheet."""
        return self._labels[self._at[squash(label)]] if self.has(label) else label

    def column(self, label: str) -> list[Any]:
        """Cells of a column, None for empty; of a column that is not there, all None."""
        at = self._at.get(squash(label))
        if at is None:
            return [None] * len(self)
        return [tidy(cells[at]) if at < len(cells) else None for cells in self._rows]

    @property
    def labels(self) -> list[str]:
        """The labels of the header."""
        return [label for label in self._labels if label]


def tidy(value: Any) -> Any:
    """A cell without blanks around it; None for nothing.

    Parameters
    ----------
    value : Any
        As the workbook has it.
    """
    if isinstance(value, str):
        value = re.sub(r"\s+", " ", value).strip()
        return value or None
    return value


def read_workbook(path: str | Path, wanted: frozenset[str]) -> dict[str, Sheet]:
    """Read some sheets of an xlsx workbook.

    Parameters
    ----------
    path : str or Path
        The file.
    wanted : frozenset of str
        Names of the sheets, in any case.

    Returns
    -------
    dict of str to Sheet
        By name as in `wanted`; those that are not there or are empty are left out.

    Raises
    ------
    InputError
        When it is missing or no workbook.
    """
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    path = Path(path)
    if not path.is_file():
        raise InputError(
            Fault(str(path), "a folder" if path.is_dir() else "no such file", "an xlsx workbook")
        )
    names = {squash(name): name for name in wanted}
    found: dict[str, Sheet] = {}
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # openpyxl warns of every extension that it does not know
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            for sheet in book.worksheets:
                name = names.get(squash(sheet.title.removeprefix("RVTools_tab")))
                if name is None or name in found:
                    continue
                read = _read_sheet(sheet, name)
                if read is not None:
                    found[name] = read
            book.close()
    except (
        zipfile.BadZipFile,
        InvalidFileException,
        KeyError,
        ValueError,
        EOFError,
        OSError,
        SyntaxError,
    ) as error:
        hint = "save it as .xlsx" if path.suffix.lower() == ".xls" else ""
        raise InputError(
            Fault(str(path), f"no readable workbook: {error}", "an xlsx workbook", hint)
        ) from None
    return found


def _read_sheet(sheet: Any, name: str) -> Sheet | None:
    sheet.reset_dimensions()
    header: list[str] | None = None
    rows: list[tuple[int, tuple[Any, ...]]] = []
    gap = 0
    for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
        if all(cell is None or cell == "" for cell in cells):
            gap += 1
            if gap > MAX_GAP:
                break
            continue
        gap = 0
        if header is None:
            header = ["" if cell is None else str(cell).strip() for cell in cells]
        else:
            rows.append((number, cells))
    return None if header is None else Sheet(name, header, rows)
