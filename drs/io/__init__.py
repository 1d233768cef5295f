"""Files in and out: snapshot folders, data frames, rules, policies, RVTools workbooks, vCenter.

Everything is imported when it is first used: `import drs.io` loads neither pandas nor pyarrow nor pydantic.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drs.io.atomic import atomic_file, atomic_folder, write_text_atomic
    from drs.io.folder import is_snapshot, read_folder, write_folder
    from drs.io.frames import from_frames, to_frames
    from drs.io.policy_toml import read_policy
    from drs.io.raw import InputWarning
    from drs.io.rules_toml import read_rules
    from drs.io.rvtools import read_rvtools
    from drs.io.sources import convert, read_source
    from drs.io.toml import read_toml
    from drs.io.vcenter import read_vcenter

__all__ = [
    "InputWarning",
    "atomic_file",
    "atomic_folder",
    "convert",
    "from_frames",
    "is_snapshot",
    "read_folder",
    "read_policy",
    "read_rules",
    "read_rvtools",
    "read_source",
    "read_toml",
    "read_vcenter",
    "to_frames",
    "write_folder",
    "write_text_atomic",
]

_HOME = {
    "InputWarning": "raw",
    "atomic_file": "atomic",
    "atomic_folder": "atomic",
    "convert": "sources",
    "from_frames": "frames",
    "is_snapshot": "folder",
    "read_folder": "folder",
    "read_policy": "policy_toml",
    "read_rules": "rules_toml",
    "read_rvtools": "rvtools",
    "read_source": "sources",
    "read_toml": "toml",
    "read_vcenter": "vcenter",
    "to_frames": "frames",
    "write_folder": "folder",
    "write_text_atomic": "atomic",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'drs.io' has no attribute {name!r}")
    return getattr(importlib.import_module(f"drs.io.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
