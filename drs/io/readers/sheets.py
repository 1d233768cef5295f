"""Sheets of a workbook or of CSV files: columns by their label, read up to where the data ends."""

from __future__ import annotations

import copy
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drs.errors import Fault, InputError
from drs.io.readers.look import Look, decode, delimiter, files_of
from drs.io.readers.workbook import MAX_GAP, Opened

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
    ("vHost", "vcpus"): "#vcpus",
    ("vHost", "vms"): "#vms",
    ("vHost", "vmstotal"): "#vmstotal",
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


@dataclass(frozen=True)
class From:
    """A column under another label.

    label : what it is called in the export; several are tried in order.
    factor : what its numbers are times, to be in our unit.
    """

    label: str | tuple[str, ...]
    factor: float = 1.0


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
        self._labels = list(header)
        self._own = len(header)
        self._factors: dict[str, float] = {}
        self._used: set[int] = set()
        self._tidied: dict[int, list[Any]] = {}
        for i, label in enumerate(header):
            if label:
                self._at.setdefault(self._short(label), i)
        self._rows = [cells for _, cells in rows]

    @classmethod
    def empty(cls, name: str) -> Sheet:
        """A sheet that the export does not have."""
        return cls(name, [], [])

    def _short(self, label: str) -> str:
        """RVTools before 3.9 and its command line wrote `vInfoVMName` for `VM`."""
        short = squash(label)
        rest = short.removeprefix(squash(self.name))
        if rest not in ("", "s", short):  # `vCPUs` of the sheet vCPU is a word of its own
            short = DATABASE_NAMES.get((self.name, rest), rest)
        return {"vmname": "vm"}.get(short, short)

    def __len__(self) -> int:
        return len(self._rows)

    def has(self, label: str) -> bool:
        """Whether there is such a column."""
        return squash(label) in self._at

    def label(self, label: str) -> str:
        """The label as it stands in the sheet."""
        return self._labels[self._at[squash(label)]] if self.has(label) else label

    def factor(self, label: str) -> float:
        """What the numbers of a column are times, to be in the unit of RVTools."""
        return self._factors.get(squash(label), 1.0)

    def column(self, label: str) -> list[Any]:
        """Cells of a column, None for empty; of a column that is not there, all None."""
        at = self._at.get(squash(label))
        if at is None:
            return [None] * len(self)
        self._used.add(at)
        if at not in self._tidied:
            self._tidied[at] = [tidy(cells[at]) if at < len(cells) else None for cells in self._rows]
        return self._tidied[at]

    def first(self, *labels: str) -> list[Any]:
        """Cells of the first of these columns that is there."""
        return self.column(next((label for label in labels if self.has(label)), labels[0]))

    @property
    def labels(self) -> list[str]:
        """The labels of the header."""
        return [label for label in self._labels if label]

    @property
    def unused(self) -> list[str]:
        """Labels of the columns that nobody has read."""
        own = enumerate(self._labels[: self._own])
        return [label for i, label in own if label and i not in self._used]

    def renamed(self, columns: Mapping[str, From]) -> Sheet:
        """The same rows, where each column is found under another label; other columns are not found.

        Parameters
        ----------
        columns : mapping of str to From
            By the label that is asked for.
        """
        found = copy.copy(self)
        found._at, found._labels = {}, list(self._labels)
        for ours, theirs in columns.items():
            for label in (theirs.label,) if isinstance(theirs.label, str) else theirs.label:
                if self._short(label) in self._at:
                    found._at.setdefault(squash(ours), self._at[self._short(label)])
        found._factors = {squash(ours): theirs.factor for ours, theirs in columns.items()}
        return found

    def add(self, label: str, said: str, cells: list[Any]) -> None:
        """Add a column that stands elsewhere.

        Parameters
        ----------
        label, said : str
            What it is asked for by, and what to call it.
        cells : list
            A cell for each row.
        """
        at = len(self._labels)
        self._labels.append(said)
        self._at[squash(label)] = at
        self._tidied[at] = cells


def tidy(value: Any) -> Any:
    """A cell without blanks around it; None for nothing; a whole number as an int.

    Parameters
    ----------
    value : Any
        As the workbook has it.
    """
    if isinstance(value, str):
        return " ".join(value.split()) or None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def sheet_name(title: str) -> str:
    """The title of a sheet without what RVTools 3.x puts before it.

    Parameters
    ----------
    title : str
        As the workbook has it.

    >>> sheet_name("RVTools_tabvInfo"), sheet_name("tabvInfo"), sheet_name("vInfo")
    ('vInfo', 'vInfo', 'vInfo')
    """
    return re.sub(r"^(RVTools_)?tab(?=[dv][A-Z])", "", title.strip())


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
        When it is damaged.
    """
    names = {squash(name): name for name in wanted}
    found: dict[str, Sheet] = {}
    with Opened(Path(path)) as book:
        for title in book.sheet_names:
            name = names.get(squash(sheet_name(title)))
            if name is None or name in found:
                continue
            rows = book.get_sheet_by_name(title).to_python(skip_empty_area=False)
            read = _sheet_of(enumerate(map(tuple, rows), start=1), name)
            if read is not None:
                found[name] = read
    return found


def _sheet_of(lines: Iterable[tuple[int, tuple[Any, ...]]], name: str) -> Sheet | None:
    """A sheet of numbered rows: the first that is not empty is the header."""
    header: list[str] | None = None
    rows: list[tuple[int, tuple[Any, ...]]] = []
    gap = 0
    for number, cells in lines:
        if not any(cell is not None and cell != "" for cell in cells):
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


def tab_of(name: str) -> str | None:
    """The tab that a CSV file is of, squashed, such as `vinfo` for `RVTools_tabvInfo.csv`; None for another file.

    Parameters
    ----------
    name : str
        Name of the file.
    """
    found = re.fullmatch(r"(?:rvtools_)?tab([a-z]+)\.csv", Path(name).name.casefold())
    return found.group(1) if found else None


def read_tabs(seen: Look, wanted: frozenset[str]) -> dict[str, Sheet]:
    """Read the CSV files of an export, commas, semicolons or tabs between the columns.

    Parameters
    ----------
    seen : Look
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
        When a tab is there twice.
    """
    names = {squash(name): name for name in wanted}
    found: dict[str, Sheet] = {}
    for label, data in files_of(seen):
        name = names.get(tab_of(label) or "")
        if name is None:
            continue
        if name in found:
            raise InputError(
                Fault(f"{seen.given}: {label}", f"a second file of the tab {name}", "one file a tab")
            )
        sheet = _sheet_of(csv_lines(decode(data)), name)
        if sheet is not None:
            found[name] = sheet
    return found


def csv_lines(text: str) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """The numbered rows of a CSV text, None for an empty cell.

    Parameters
    ----------
    text : str
        Its content.
    """
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter(text))
    try:
        for number, row in enumerate(rows, start=1):
            yield number, tuple(cell if cell.strip() else None for cell in row)
    except csv.Error as error:
        where = f"CSV, line {rows.line_num}"
        raise InputError(Fault(where, f"no readable CSV: {error}", "a CSV file as it was written")) from None


def csv_sheet(text: str, name: str) -> Sheet:
    """One CSV text as a sheet.

    Parameters
    ----------
    text : str
        Its content.
    name : str
        What to call it.
    """
    return _sheet_of(csv_lines(text), name) or Sheet.empty(name)
