"""A first look at a file: what kind it is by its content, before any reader takes it."""

from __future__ import annotations

import csv
import io
import json
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from drs.errors import Fault, InputError

Kind = Literal["address", "folder", "workbook", "zip", "json", "csv"]

MAX_UNPACKED = 2 << 30
"""Bytes that a zip or a workbook may hold unpacked: a small file can swell to fill all memory."""
WORKBOOKS = (".xlsx", ".xlsm")
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How a workbook with a password, and one of the old kind .xls, begin."""


@dataclass(frozen=True)
class Look:
    """What was given, and what it is.

    Parameters
    ----------
    given : str
        As it was given: a path, or an address such as `vcenter://vc01`.
    kind : Kind
        Told by the content; the name of a file may lie.
    names : tuple of str
        Sheets of a workbook, files of a folder or a zip.
    text : str
        The content of a CSV file.
    document : Any
        The content of a JSON file.
    """

    given: str
    kind: Kind
    names: tuple[str, ...] = ()
    text: str = field(default="", repr=False)
    document: Any = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        """Where it stands."""
        return Path(self.given)

    @property
    def label(self) -> str:
        """What to call it."""
        return self.path.name or self.given

    @cached_property
    def header(self) -> tuple[str, ...]:
        """The first row of a CSV file, blanks around its cells taken off."""
        first = next(csv.reader(io.StringIO(self.text, newline=""), delimiter=delimiter(self.text)), [])
        return tuple(cell.strip() for cell in first)


def delimiter(text: str) -> str:
    """What stands between the columns of a CSV text: a comma, a semicolon or a tab.

    Parameters
    ----------
    text : str
        Its content.

    >>> delimiter("Name;CPU (MHz), average\\n")
    ';'
    """
    first = text.lstrip("\r\n").partition("\n")[0]
    plain = "".join(first.split('"')[::2]) or first  # what is in quotation marks is no sign between columns
    return max(",;\t", key=plain.count)


def decode(data: bytes) -> str:
    """The text of a CSV or JSON file: UTF-8 or UTF-16 with their marks, else Windows-1252.

    Parameters
    ----------
    data : bytes
        Its content.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")  # what an older Windows writes


def look(given: str | Path) -> Look:
    """Look at what was given.

    Parameters
    ----------
    given : str or Path
        A path, or an address such as `vcenter://vc01`.

    Raises
    ------
    InputError
        When there is nothing, or nothing that any reader could read: an empty or damaged file, one with a
        password, a device or a pipe.
    """
    given = str(given)
    if "://" in given:
        return Look(given, "address")
    path = Path(given)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return Look(given, "folder", tuple(sorted(entry.name for entry in path.iterdir())))
        if not stat.S_ISREG(mode):
            raise _refused(given, "a pipe, a socket or a device", "a file or a folder")
        if path.stat().st_size == 0:
            raise _refused(given, "an empty file", "an export with something in it")
        with path.open("rb") as file:
            start = file.read(8)
        if start.startswith(b"PK"):
            return _packed(given, path)
        if start == OLE and path.suffix.lower() == ".xls":
            raise _refused(given, "a workbook of the old kind .xls", "an xlsx workbook", "save it as .xlsx")
        if start == OLE:
            raise _refused(
                given,
                "a workbook with a password, or of the old kind .xls",
                "an xlsx workbook without a password",
                "open it in the spreadsheet and save it as .xlsx without one",
            )
        if path.suffix.lower() in WORKBOOKS:
            raise _refused(given, "no readable workbook: its content is another", "an xlsx workbook")
        return _text(given, path.read_bytes())
    except FileNotFoundError:
        raise _refused(given, "no such file or folder", "an export or a snapshot folder") from None
    except OSError as error:
        raise _refused(
            given, f"it cannot be read: {error.strerror or error}", "a file that can be read"
        ) from None


def _packed(given: str, path: Path) -> Look:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = tuple(sorted(entry.filename for entry in entries if not entry.is_dir()))
            size = sum(entry.file_size for entry in entries)
            if size > MAX_UNPACKED:
                raise _refused(
                    given, f"{size / 2**30:,.1f} GiB unpacked", f"at most {MAX_UNPACKED >> 30} GiB unpacked"
                )
            if any(entry.flag_bits & 1 for entry in entries):
                raise _refused(
                    given, "a zip with a password", "a zip without one", "unpack it and give the folder"
                )
    except InputError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        what = "no readable workbook" if path.suffix.lower() in WORKBOOKS else "a damaged zip"
        raise _refused(given, f"{what}: {error}", "a whole file", "copy or export it again") from None
    if "xl/workbook.xml" in names:
        from drs.io.readers.workbook import titles

        return Look(given, "workbook", titles(path))
    if path.suffix.lower() in WORKBOOKS:
        raise _refused(given, "no readable workbook: a zip without one", "an xlsx workbook")
    return Look(given, "zip", names)


def _text(given: str, data: bytes) -> Look:
    text = decode(data)
    if "\0" in text:
        raise _refused(given, "neither text nor a workbook", "an export that drs reads")
    if not text.strip():
        raise _refused(given, "a file of blanks", "an export with something in it")
    if text.lstrip()[0] in "[{":
        try:
            return Look(given, "json", document=json.loads(text))
        except RecursionError:
            raise _refused(given, "JSON that is nested too deep", "an export as it was written") from None
        except ValueError as error:
            raise _refused(
                given, f"damaged JSON: {error}", "one whole JSON document", "export it again"
            ) from None
    return Look(given, "csv", text=text)


def files_of(seen: Look) -> Iterator[tuple[str, bytes]]:
    """The files of a folder or a zip, by name, with their content.

    Parameters
    ----------
    seen : Look
        A folder or a zip.
    """
    if seen.kind == "folder":
        for name in seen.names:
            if (seen.path / name).is_file():
                yield name, (seen.path / name).read_bytes()
        return
    try:
        with zipfile.ZipFile(seen.path) as archive:
            for name in seen.names:
                yield name, archive.read(name)
    except (zipfile.BadZipFile, RuntimeError, EOFError, OSError) as error:
        raise _refused(seen.given, f"a damaged zip: {error}", "a whole zip") from None


def _refused(where: str, given: str, expected: str, hint: str = "") -> InputError:
    return InputError(Fault(where, given, expected, hint))
