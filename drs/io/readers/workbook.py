"""Sheets of a workbook: columns by their label, read up to where the data ends."""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from drs.errors import Fault, InputError

MAX_GAP = 200
"""A sheet ends where so many rows in a row are empty; some exports declare 1,048,575."""


DATABASE_NAMES = {
    ("vHost", "name"): "host",
    ("vHost", "cpumhz"): "speed",
    ("vHost", "numcpu"): "#cpu",
    ("vHost", "numcpucores"): "#cores",
    ("vHost", "memorysize"): "#memory",
    ("vHost", "overallcpuusage"): "cpuusage%",
    ("vHost", "overallmemoryusage"): "memoryusage%",
    ("vHost", "maintenancemode"): "inmaintenancemode",
    ("vHost", "quarantinemode"): "inquarantinemode",
    ("vMemory", "sizemib"): "size",
    ("vDisk", "capacitymib"): "capacity",
    ("vDatastore", "capacitymib"): "capacity",
    ("vDatastore", "freemib"): "free",
    ("vInfo", "inusemib"): "inuse",
}
"""Headers that RVTools writes with `-DBColumnNames`, without the sheet's name, where it says another word."""


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
            short = DATABASE_NAMES.get((self.name, short), short)
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
    with path.open("rb") as start:
        if start.read(8) == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":  # an OLE file: encrypted, or of the old kind
            raise InputError(
                Fault(
                    str(path),
                    "a workbook with a password, or of the old kind .xls",
                    "an xlsx workbook without a password",
                    "open it in the spreadsheet and save it as .xlsx without one",
                )
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
    return _sheet_of(enumerate(sheet.iter_rows(values_only=True), start=1), name)


def _sheet_of(lines: Iterable[tuple[int, tuple[Any, ...]]], name: str) -> Sheet | None:
    """A sheet of numbered rows: the first that is not empty is the header."""
    header: list[str] | None = None
    rows: list[tuple[int, tuple[Any, ...]]] = []
    gap = 0
    for number, cells in lines:
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


def is_tab_export(path: str | Path) -> bool:
    """Whether it is a folder or a zip with a CSV file for each tab, such as `RVTools_tabvInfo.csv`.

    Parameters
    ----------
    path : str or Path
        Any path.
    """
    path = Path(path)
    if path.is_dir():
        return any(_tab(each.name) == "vinfo" for each in path.iterdir())
    if path.suffix.lower() != ".zip" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(_tab(name) == "vinfo" for name in archive.namelist())


def _tab(name: str) -> str | None:
    """The tab that a file is of, squashed; None for another file."""
    found = re.fullmatch(r"(?:rvtools_)?tab([a-z]+)\.csv", Path(name).name.casefold())
    return found.group(1) if found else None


def read_tabs(path: str | Path, wanted: frozenset[str]) -> dict[str, Sheet]:
    """Read the CSV files of an export, commas, semicolons or tabs between the columns.

    Parameters
    ----------
    path : str or Path
        A folder or a zip.
    wanted : frozenset of str
        Names of the tabs.

    Returns
    -------
    dict of str to Sheet
        By name as in `wanted`; those that are not there or are empty are left out.

    Raises
    ------
    InputError
        When a tab is there twice or is no text in UTF-8, UTF-16 or Windows-1252.
    """
    path = Path(path)
    names = {squash(name): name for name in wanted}
    found: dict[str, Sheet] = {}
    for label, data in _files(path):
        name = names.get(_tab(label) or "")
        if name is None:
            continue
        if name in found:
            raise InputError(Fault(f"{path}: {label}", f"a second file of the tab {name}", "one file a tab"))
        sheet = _sheet_of(_lines(data), name)
        if sheet is not None:
            found[name] = sheet
    return found


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for each in sorted(path.iterdir()):
            if _tab(each.name) is not None:
                yield each.name, each.read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if _tab(name) is not None:
                try:
                    yield name, archive.read(name)
                except (RuntimeError, zipfile.BadZipFile) as error:
                    raise InputError(
                        Fault(f"{path}: {name}", f"it cannot be read: {error}", "a zip without a password")
                    ) from None


def _lines(data: bytes) -> Iterator[tuple[int, tuple[Any, ...]]]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252", "replace")  # what an older Windows writes
    first = text.partition("\n")[0]
    sign = max(",;\t", key=first.count)
    for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=sign), start=1):
        yield number, tuple(cell if cell.strip() else None for cell in row)
