"""The sheets of one export, with what every part of the conversion asks of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drs.io.raw import Faults, RawTable
from drs.io.readers.numbers import decimal_marks, is_unclear, parse_number
from drs.io.readers.protocol import Options
from drs.io.readers.sheets import Sheet

NUMBERS = (
    "Overall",
    "Size",
    "Capacity",
    "Free",
    "In Use",
    "Memory",
    "Active",
    "Consumed",
    "Speed",
    "# Memory",
)
"""Columns whose text proves the decimal mark of the export."""


class Book:
    """The sheets of one export.

    Parameters
    ----------
    sheets : mapping of str to Sheet
        By the name that RVTools gives them.
    faults : Faults
        Takes what is wrong.
    options : Options
        How to read.
    """

    def __init__(self, sheets: Mapping[str, Sheet], faults: Faults, options: Options) -> None:
        self.faults, self.options = faults, options
        self._sheets = sheets
        self._vcenter_of_uuid = {
            str(uuid): str(server)
            for sheet in sheets.values()
            for uuid, server in zip(sheet.column("VI SDK UUID"), sheet.column("VI SDK Server"), strict=True)
            if uuid is not None and server is not None
        }
        marks = decimal_marks(
            cell for sheet in sheets.values() for label in NUMBERS for cell in sheet.column(label)
        )
        self._decimal = next(iter(marks)) if len(marks) == 1 else None
        self._vcenters: dict[str, list[str]] = {}

    def __getitem__(self, name: str) -> Sheet:
        """A sheet, or an empty one."""
        found = self._sheets.get(name)
        return Sheet.empty(name) if found is None else found

    def vcenters(self, sheet: Sheet) -> list[str]:
        """The vCenter of each row; "" where the row does not say it."""
        if sheet.name not in self._vcenters:
            pairs = zip(sheet.column("VI SDK Server"), sheet.column("VI SDK UUID"), strict=True)
            self._vcenters[sheet.name] = [
                str(server) if server is not None else self._vcenter_of_uuid.get(str(uuid), str(uuid or ""))
                for server, uuid in pairs
            ]
        return self._vcenters[sheet.name]

    def where(self, sheet: Sheet, row: int, label: str) -> str:
        """`sheet vHost, row 3, column Speed`."""
        return f"sheet {sheet.name}, row {sheet.numbers[row]}, column {sheet.label(label)}"

    def numbers(self, sheet: Sheet, label: str, factor: float = 1.0, *, no_limit: bool = False) -> list[Any]:
        """A column times a factor; what is no number stays as it is, for `build` to find fault with.

        no_limit : 0 and less mean that there is none.
        """
        found: list[Any] = []
        factor *= sheet.factor(label)
        for row, value in enumerate(sheet.column(label)):
            number = parse_number(value, self._decimal)
            if number is None:
                if is_unclear(value, self._decimal):
                    self.faults.add(
                        self.where(sheet, row, label),
                        f"{value!r}, text that may be read in two ways",
                        "a number, or text whose decimal mark another cell proves",
                        "make the column one of numbers in the spreadsheet",
                    )
                    value = None
                found.append(value)
            else:
                found.append(None if no_limit and number <= 0 else number * factor)
        return found

    def table(
        self,
        table: str,
        sheet: Sheet,
        columns: Mapping[str, tuple[str, list[Any]]],
        keep: Sequence[int] | None = None,
    ) -> RawTable:
        """A raw table of columns (label in the sheet, cells), of some of its rows."""
        rows = range(len(sheet)) if keep is None else keep
        return RawTable(
            table,
            f"sheet {sheet.name}",
            {name: [cells[row] for row in rows] for name, (_, cells) in columns.items()},
            [sheet.numbers[row] for row in rows],
            {name: (f"sheet {sheet.name}", sheet.label(label)) for name, (label, _) in columns.items()},
            other_unit=frozenset(
                name
                for name, (label, _) in columns.items()
                if name.endswith("_gib") or sheet.factor(label) != 1.0
            ),
        )
