"""Workbooks, by the parser of python-calamine: it reads the cells of 20,000 VMs in seconds."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

from drs.errors import Fault, InputError

MAX_GAP = 200
"""A sheet ends where so many rows in a row are empty; some exports declare 1,048,575."""
MAX_STRAY = 10_000
"""So many rows that a sheet claims and does not have are read; beyond, it is cut at its first gap."""


class Opened:
    """A workbook, read by the parser of python-calamine; what it cannot read is a fault."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Any:
        from python_calamine import CalamineError, CalamineWorkbook

        try:
            self.book = CalamineWorkbook.from_object(_trimmed(self.path) or self.path)
        except (CalamineError, zipfile.BadZipFile, OSError, ValueError) as error:
            raise self._fault(error) from None
        return self.book

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from python_calamine import CalamineError

        self.book.close()
        if isinstance(error, CalamineError):
            raise self._fault(error) from None

    def _fault(self, error: BaseException) -> InputError:
        return InputError(
            Fault(str(self.path), f"a damaged workbook: {error}", "a whole xlsx workbook", "export it again")
        )


def titles(path: Path) -> tuple[str, ...]:
    """The names of a workbook's sheets.

    Parameters
    ----------
    path : Path
        The workbook.
    """
    with Opened(path) as book:
        return tuple(book.sheet_names)


def _trimmed(path: Path) -> io.BytesIO | None:
    """The workbook without stray cells far below its sheets; None where there are none.

    The parser lays a sheet out whole, and a blank in row 1,048,575 would take gigabytes.
    """
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist() if name.startswith("xl/worksheets/")}
        cut = {name: short for name, xml in parts.items() if (short := _cut(xml)) is not None}
        if not cut:
            return None
        new = io.BytesIO()
        with zipfile.ZipFile(new, "w") as written:
            for name in archive.namelist():
                written.writestr(name, cut[name] if name in cut else archive.read(name))
    new.seek(0)
    return new


def _cut(xml: bytes) -> bytes | None:
    """The rows of a sheet up to its first gap, where it claims far more than it has; None where it does not."""
    last = max(xml.rfind(b"<row "), xml.rfind(b":row "))
    claimed = re.search(rb'\br="(\d+)"', xml[last : last + 1000]) if last >= 0 else None
    if claimed is None or int(claimed[1]) - xml.count(b"row>") - xml.count(b"<row ") < MAX_STRAY:
        return None
    rows = [
        (found.start(), int(found[2]), found[1])
        for found in re.finditer(rb'<(\w+:)?row\b[^>]*?\br="(\d+)"', xml)
    ]
    before = 0
    for start, number, prefix in rows:
        if number - before > MAX_GAP:
            space = prefix or b""
            return xml[:start] + b"</" + space + b"sheetData></" + space + b"worksheet>"
        before = number
    return None
