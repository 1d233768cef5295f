"""TOML files: syntax errors with line and column."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from drs.errors import Fault, InputError


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    InputError
        When it is missing, not UTF-8, or no TOML (with line and column).
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        given = (
            "no such file" if isinstance(error, FileNotFoundError) else f"it cannot be read: {error.strerror}"
        )
        raise InputError(Fault(str(path), given, "a TOML file", _near_file(path))) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            Fault(
                f"{path.name}, line {line}",
                f"the byte 0x{data[error.start]:02x} is not UTF-8",
                "TOML in UTF-8",
            )
        ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"^(.*) \(at (?:line (\d+), column (\d+)|end of document)\)$", str(error))
        message, line_no, column = found.groups() if found else (str(error), None, None)
        where = f"{path.name}, line {line_no}, column {column}" if line_no else f"{path.name}, at its end"
        lines = text.splitlines()
        shown = f" in {lines[int(line_no) - 1].strip()!r}" if line_no and int(line_no) <= len(lines) else ""
        raise InputError(
            Fault(where, f"no valid TOML: {message}{shown}", "TOML", _toml_hint(message))
        ) from None


def _toml_hint(message: str) -> str:
    if message.startswith("Invalid value"):
        return "text stands in quotation marks"
    if message.startswith("Cannot overwrite a value"):
        return "each key once; another rule needs another [[rule]] line"
    return ""


def _near_file(path: Path) -> str:
    from drs.errors import did_you_mean

    if not path.parent.is_dir():
        return ""
    return did_you_mean(path.name, [entry.name for entry in path.parent.iterdir() if entry.is_file()])
