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
    if deep := _deepest(text):
        line, depth = deep
        raise InputError(
            Fault(f"{path.name}, line {line}", f"{depth} levels within each other", f"{MOST_LEVELS} at most")
        )
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


MOST_LEVELS = 40
"""Tables within tables and lists within lists: far more than any file of drs has."""


def _deepest(text: str) -> tuple[int, int] | None:
    """The first line whose brackets or dotted keys are too many within each other, with how many; None for none.

    The parser of the standard library would run out of stack on brackets, and out of time on dots.
    """
    depth = 0
    for number, line in enumerate(text.split("\n"), start=1):
        plain = _QUOTED.sub("", line)
        for sign in plain:
            if sign == "#":
                break
            depth = depth + 1 if sign in "[{" else max(0, depth - 1) if sign in "]}" else depth
            if depth > MOST_LEVELS:
                return number, plain.count("[") + plain.count("{")
        if plain.partition("=")[0].count(".") > MOST_LEVELS:
            return number, plain.partition("=")[0].count(".") + 1
    return None


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')


def is_file(path: Path) -> bool:
    """Whether a file is to be read there: True for an ordinary one, False where nothing is.

    Raises
    ------
    InputError
        When something else is there, which would be passed over in silence or wait for ever: a folder, a link
        that leads nowhere, a pipe.
    """
    if path.is_file():
        return True
    if path.is_dir():
        given = "a folder"
    elif path.is_symlink() and not path.exists():
        given = f"a link to {path.readlink()}, which does not exist"
    elif path.exists():
        given = "neither a file nor a folder"
    else:
        return False
    raise InputError(Fault(str(path), given, "an ordinary file, or nothing of that name"))


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
