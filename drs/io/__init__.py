"""Files in and out: snapshot folders, data frames, rules, policies, and the exports of others.

Everything is imported when it is first used: `import drs.io` loads neither pandas nor pyarrow nor pydantic.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drs.io.atomic import (
        atomic_file,
        atomic_folder,
        check_own_folder,
        check_writable,
        own_folder,
        write_text_atomic,
    )
    from drs.io.folder import is_snapshot, read_folder, write_folder
    from drs.io.frames import from_frames, to_frames
    from drs.io.moves_csv import move_rows, moves_from, read_moves
    from drs.io.policy_toml import read_policy
    from drs.io.problem_file import save_problem, unpack_problem, write_policy, write_rules
    from drs.io.raw import InputWarning
    from drs.io.readers.catalogue import READERS
    from drs.io.readers.protocol import Options, Reading
    from drs.io.readers.rvtools import read_rvtools
    from drs.io.rules_toml import read_rules
    from drs.io.sources import convert, read_source
    from drs.io.toml import read_toml

__all__ = [
    "READERS",
    "InputWarning",
    "Options",
    "Reading",
    "atomic_file",
    "atomic_folder",
    "check_own_folder",
    "check_writable",
    "convert",
    "from_frames",
    "is_snapshot",
    "move_rows",
    "moves_from",
    "own_folder",
    "read_folder",
    "read_moves",
    "read_policy",
    "read_rules",
    "read_rvtools",
    "read_source",
    "read_toml",
    "save_problem",
    "to_frames",
    "unpack_problem",
    "write_folder",
    "write_policy",
    "write_rules",
    "write_text_atomic",
]

_HOME = {
    "READERS": "readers.catalogue",
    "Options": "readers.protocol",
    "Reading": "readers.protocol",
    "InputWarning": "raw",
    "atomic_file": "atomic",
    "atomic_folder": "atomic",
    "check_own_folder": "atomic",
    "check_writable": "atomic",
    "convert": "sources",
    "from_frames": "frames",
    "is_snapshot": "folder",
    "move_rows": "moves_csv",
    "moves_from": "moves_csv",
    "own_folder": "atomic",
    "read_folder": "folder",
    "read_moves": "moves_csv",
    "read_policy": "policy_toml",
    "read_rules": "rules_toml",
    "read_rvtools": "readers.rvtools",
    "read_source": "sources",
    "read_toml": "toml",
    "save_problem": "problem_file",
    "to_frames": "frames",
    "unpack_problem": "problem_file",
    "write_folder": "folder",
    "write_policy": "problem_file",
    "write_rules": "problem_file",
    "write_text_atomic": "atomic",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'drs.io' has no attribute {name!r}")
    return getattr(importlib.import_module(f"drs.io.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
