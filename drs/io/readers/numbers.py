"""Numbers that are text: decimal points, decimal commas, and what cannot be told apart."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Literal

Mark = Literal[".", ","]

_PLAIN = re.compile(r"[+-]?\d+")
_BLANKS = re.compile(r"(?<=\d)[\s'’\u00a0\u202f](?=\d{3}(?!\d))")
_ONE_MARK = re.compile(r"[+-]?(\d+)([.,])(\d+)")
_GROUPS = re.compile(r"[+-]?\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*(?:([.,])(\d+))?")


def decimal_mark(text: str) -> Mark | None:
    """The decimal mark that a number proves by itself; None when it proves none.

    Parameters
    ----------
    text : str
        A cell.

    >>> decimal_mark("1234,5"), decimal_mark("1,234.5"), decimal_mark("1.234.567"), decimal_mark("8.192")
    (',', '.', ',', None)
    """
    text = _BLANKS.sub("", text.strip())
    if one := _ONE_MARK.fullmatch(text):
        whole, mark, rest = one.groups()
        if len(rest) != 3 or len(whole) > 3 or whole.startswith("0"):
            return "." if mark == "." else ","
        return None
    many = _GROUPS.fullmatch(text)
    if many is None or many.group(1) == many.group(2):
        return None
    return "," if many.group(1) == "." else "."


def decimal_marks(cells: Iterable[object]) -> set[Mark]:
    """All decimal marks that the text among some cells proves.

    Parameters
    ----------
    cells : iterable of object
        Cells of columns that hold numbers.
    """
    found = (decimal_mark(cell) for cell in cells if isinstance(cell, str))
    return {mark for mark in found if mark is not None}


def parse_number(value: object, mark: Mark | None) -> float | None:
    """A cell as a number; None for nothing, for text that is none or is not clear, and for what is not finite.

    Parameters
    ----------
    value : object
        The cell.
    mark : {".", ","} or None
        The decimal mark of its file; None when the file proves none, or both.

    >>> parse_number("8.192", ","), parse_number("8.192", "."), parse_number("8.192", None)
    (8192.0, 8.192, None)
    """
    if isinstance(value, str):
        text = _BLANKS.sub("", value.strip())
        own = decimal_mark(text) or mark
        if own is None and not _PLAIN.fullmatch(text):
            return None
        if own is not None:
            text = text.replace("," if own == "." else ".", "").replace(own, ".")
        if not re.fullmatch(r"[+-]?\d+(\.\d+)?", text):
            return None
        return float(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def is_unclear(value: object, mark: Mark | None) -> bool:
    """Whether a cell is a number that may be read in two ways, such as `8.192`.

    Parameters
    ----------
    value : object
        The cell.
    mark : {".", ","} or None
        The decimal mark of its file, if it is known.
    """
    return (
        mark is None
        and isinstance(value, str)
        and decimal_mark(value) is None
        and _ONE_MARK.fullmatch(_BLANKS.sub("", value.strip())) is not None
    )
