"""Rows of plain dicts to raw tables: what readers of JSON make before `build` judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drs.io.raw import RawTable

Rows = Sequence[Mapping[str, Any]]


def raw_tables(rows: Mapping[str, Rows], source: str) -> dict[str, RawTable]:
    """A raw table of each list of rows that has any; all rows of a list have the same keys.

    Parameters
    ----------
    rows : mapping of str to sequence of mapping
        By table; None is a cell that was not given.
    source : str
        Goes before the table's name in messages: `Proxmox VE hosts`.
    """
    return {
        table: RawTable(table, f"{source} {table}", {key: [one[key] for one in found] for key in found[0]})
        for table, found in rows.items()
        if found
    }


def number(value: Any) -> float | None:
    """A JSON value as a number; None for anything else.

    Parameters
    ----------
    value : Any
        A number, or text that is one.
    """
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
