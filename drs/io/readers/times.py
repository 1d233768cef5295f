"""Times as people's tools write them, to seconds since 1970."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

Order = Literal["day", "month"]

_CLOCK = r"(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d+)?)?\s*([AaPp]\.?[Mm]\.?)?"
_FIGURES = re.compile(rf"(\d{{1,2}})[/.-](\d{{1,2}})[/.-](\d{{4}}|\d\d),?\s+{_CLOCK}")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def order_of(cells: Iterable[object]) -> Order | None:
    """Whether days or months stand first in times such as `9/7/2026 13:00`; None where no cell proves it.

    Parameters
    ----------
    cells : iterable of object
        The cells of a column of times.

    >>> order_of(["9/7/2026 13:00", "9/17/2026 13:00"])
    'month'
    """
    for cell in cells:
        found = _FIGURES.fullmatch(str(cell).strip())
        if found and int(found[1]) > 12:
            return "day"
        if found and int(found[2]) > 12:
            return "month"
    return None


def seconds_of(cell: object, order: Order | None) -> int | None:
    """Seconds since 1970 of a time, read as UTC where it names no zone; None for what is no clear time.

    Parameters
    ----------
    cell : object
        ISO 8601, a month by its English name (`12:00 AM 7 September 2026`, `Sep 7, 2026 1:00:00 PM`), or figures.
    order : {"day", "month"} or None
        Which of two figures comes first.

    >>> seconds_of("12:00 AM 1 January 1970", None), seconds_of("Jan 1, 1970 01:00:00 AM", None)
    (0, 3600)
    """
    if isinstance(cell, datetime):
        moment: datetime | None = cell
    else:
        text = " ".join(str(cell).split())
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = _named(text) or _figures(text, order)
    if moment is None:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _named(text: str) -> datetime | None:
    """A time whose month has a name."""
    clock = re.search(_CLOCK, text)
    word = re.search(r"[A-Za-z]{3,}", re.sub(r"\b(AM|PM|UTC|GMT)\b", "", text, flags=re.IGNORECASE))
    if clock is None or word is None or word[0][:3].casefold() not in _MONTHS:
        return None
    rest = text[: clock.start()] + " " + text[clock.end() :]
    year = re.search(r"\b(\d{4})\b", rest)
    day = re.search(r"\b(\d{1,2})(?:st|nd|rd|th)?\b", rest)
    if year is None or day is None:
        return None
    month = _MONTHS.index(word[0][:3].casefold()) + 1
    return _moment(int(year[1]), month, int(day[1]), clock.groups())


def _figures(text: str, order: Order | None) -> datetime | None:
    found = _FIGURES.fullmatch(text)
    if found is None or order is None:
        return None
    first, second = int(found[1]), int(found[2])
    day, month = (first, second) if order == "day" else (second, first)
    year = int(found[3]) + (2000 if len(found[3]) == 2 else 0)
    return _moment(year, month, day, found.groups()[3:])


def _moment(year: int, month: int, day: int, clock: tuple[str | None, ...]) -> datetime | None:
    hour, minute, second, half = clock
    hours = int(hour or 0)
    if half:
        hours = hours % 12 + (12 if half.casefold().startswith("p") else 0)
    try:
        return datetime(year, month, day, hours, int(minute or 0), int(second or 0))
    except ValueError:
        return None
