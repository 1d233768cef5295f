"""A snapshot folder, or a problem that `drs advise --save-problem` has written."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from drs.io.columns import tables
from drs.io.folder import FORMATS, read_folder
from drs.io.problem_file import unpack_problem
from drs.io.readers.look import Look
from drs.io.readers.protocol import Options, Reader, Reading
from drs.io.rules_toml import read_rules
from drs.words import some

FILES = frozenset(f"{table}.{suffix}" for table in tables() for suffix in FORMATS)
READ = FILES | {"snapshot.toml", "rules.toml"}


def recognises(seen: Look) -> bool:
    """Whether it holds a table of a snapshot.

    Parameters
    ----------
    seen : Look
        A file or folder.
    """
    return seen.kind in ("folder", "zip") and bool(FILES & set(seen.names))


def read(seen: Sequence[Look], options: Options) -> Reading:
    """Read one snapshot with its rules.

    Parameters
    ----------
    seen : sequence of Look
        One folder or zip.
    options : Options
        Not needed.
    """
    (one,) = seen
    left = [name for name in one.names if name not in READ]
    unused = (f"files {some(left, 8)}",) if left else ()
    if one.kind == "folder":
        return Reading(read_folder(one.path), read_rules(one.path), unused)
    with tempfile.TemporaryDirectory() as scratch:
        unpack_problem(one.path, Path(scratch))
        return Reading(read_folder(scratch), read_rules(scratch), unused)


READER = Reader(
    name="Snapshot of drs",
    give="its folder, or the .zip of a saved problem",
    tried="its own output",
    recognises=recognises,
    read=read,
)
