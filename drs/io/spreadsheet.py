"""CSV that people open in a spreadsheet, which takes a cell that begins with = + - @ for a formula."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drs.frame import DataFrame

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""

SIGN = "'"
"""Before a cell it says that the cell is text; spreadsheets do not show it."""


def as_text(cell: str) -> str:
    """A cell that no spreadsheet computes.

    >>> as_text("=1+2"), as_text("web-01"), as_text("'=x")
    ("'=1+2", 'web-01', "''=x")
    """
    return f"{SIGN}{cell}" if cell.startswith((*FORMULA, SIGN)) else cell


def from_text(cell: str) -> str:
    """What `as_text` was given.

    >>> from_text("'=1+2"), from_text("'tis")
    ('=1+2', "'tis")
    """
    return cell[1:] if cell.startswith(SIGN) and cell[1:].startswith((*FORMULA, SIGN)) else cell


def csv_of(table: DataFrame) -> str:
    """A table as CSV, its texts safe in a spreadsheet."""
    safe = table.copy()
    for name in safe.columns:
        if any(isinstance(cell, str) for cell in safe[name]):
            safe[name] = [as_text(cell) if isinstance(cell, str) else cell for cell in safe[name]]
    return str(safe.to_csv(index=False))


def joined(names: Iterable[str]) -> str:
    """Names in one cell, blanks between them; a name with a blank or a quotation mark stands in such marks.

    >>> joined(["SAN 01", "ds-2"])
    '"SAN 01" ds-2'
    """
    return " ".join(_quoted(name) if '"' in name or " " in name else name for name in names)


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def split(cell: str) -> Sequence[str]:
    """The names that `joined` put into a cell.

    >>> split('"SAN 01" ds-2')
    ['SAN 01', 'ds-2']
    """
    names: list[str] = []
    rest = cell.strip()
    while rest:
        if rest.startswith('"'):
            name, end = "", 1
            while (mark := rest.find('"', end)) >= 0:
                name += rest[end:mark]
                end = mark + 1
                if not rest.startswith('"', end):
                    break
                name += '"'
                end += 1
            else:  # a mark that nothing closes: it belongs to the name
                name, end = rest, len(rest)
        else:
            end = rest.find(" ") if " " in rest else len(rest)
            name = rest[:end]
        names.append(name)
        rest = rest[end:].strip()
    return names
