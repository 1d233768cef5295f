"""A whole problem in one file: the snapshot folder, rules and policy, zipped. First thing of a bug report."""

from __future__ import annotations

import dataclasses
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drs.errors import Fault, InputError

if TYPE_CHECKING:
    from drs.model import Snapshot
    from drs.problem.policy import Policy
    from drs.rules import Rule


def plain(value: Any) -> Any:
    """A dataclass as TOML can hold it: tables, lists and scalars; what is None is left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        given = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return {name: plain(item) for name, item in given.items() if item is not None}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def write_rules(rules: Sequence[Rule]) -> str:
    """Rules as the text of a `rules.toml`."""
    import tomli_w

    return tomli_w.dumps({"rule": [{"type": rule.type, **plain(rule)} for rule in rules]})


def write_policy(policy: Policy) -> str:
    """A policy as the text of a `policy.toml`."""
    import tomli_w

    document = plain(policy)
    goals = document.pop("goals")
    document["goal"] = [{"type": goal.type, **table} for goal, table in zip(policy.goals, goals, strict=True)]
    return tomli_w.dumps(document)


def save_problem(path: str | Path, snapshot: Snapshot, rules: Sequence[Rule], policy: Policy) -> None:
    """Write a problem to a .zip file, which every command takes in place of a snapshot folder.

    Raises
    ------
    InputError
        When the name does not end in .zip or its folder does not exist.
    """
    from drs.io.atomic import atomic_file, check_writable
    from drs.io.folder import write_folder

    path = Path(path)
    if path.suffix != ".zip":
        raise InputError(Fault(str(path), f"the name {path.name!r}", "a name that ends in .zip"))
    if not path.parent.is_dir():
        raise InputError(Fault(str(path), f"no folder {path.parent}", "an existing folder"))
    check_writable(path, str(path))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "problem"
        write_folder(snapshot, folder)
        (folder / "rules.toml").write_text(write_rules(rules), encoding="utf-8")
        (folder / "policy.toml").write_text(write_policy(policy), encoding="utf-8")
        with atomic_file(path) as new, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, file.name)


def unpack_problem(path: Path, folder: Path) -> None:
    """Unpack a saved problem into a folder.

    Raises
    ------
    InputError
        When the file is no zip archive, or holds anything but plain files.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            odd = [name for name in archive.namelist() if "/" in name or "\\" in name or name.startswith(".")]
            if odd:
                raise InputError(Fault(f"{path.name}, entry {odd[0]}", "a path", "plain file names"))
            archive.extractall(folder)
    except zipfile.BadZipFile:
        raise InputError(Fault(path.name, "no zip archive", "a problem that drs has saved")) from None
