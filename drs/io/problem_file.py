"""A whole problem in one file: the snapshot folder, rules and policy, zipped. First thing of a bug report."""

from __future__ import annotations

import dataclasses
import errno
import tempfile
import zipfile
import zlib
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

    from drs.precopy.profiles import Profile, to_tables

    document = plain(policy)
    if isinstance(policy.profile, Profile):
        document["profile"] = plain(to_tables(policy.profile))
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


MOST_UNPACKED = 4 << 30
"""Bytes of a saved problem, unpacked: twice what 20,000 VMs with a month of load history need."""


def unpack_problem(path: Path, folder: Path) -> None:
    """Unpack the files of a saved problem that drs reads into a folder.

    Raises
    ------
    InputError
        When the file is no whole zip archive, asks for a password, holds anything but the files of a snapshot,
        or more of them than `MOST_UNPACKED` bytes.
    """
    from drs.io.columns import tables

    known = {f"{table}.{suffix}" for table in tables() for suffix in ("csv", "parquet")}
    known |= {"snapshot.toml", "rules.toml", "policy.toml"}
    expected = "a problem that drs has saved"
    try:
        with zipfile.ZipFile(path) as archive:
            faults = []
            for entry in archive.infolist():
                where = f"{path.name}, entry {entry.filename}"
                if entry.filename not in known:
                    faults.append(Fault(where, "no file of a snapshot", expected))
                elif entry.flag_bits & 1:
                    faults.append(Fault(where, "it is encrypted", "a zip archive without a password"))
                elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    faults.append(Fault(where, "packed in an unusual way", expected))
            size = sum(entry.file_size for entry in archive.infolist())
            if size > MOST_UNPACKED:
                given = f"{size / 2**30:,.1f} GiB when unpacked"
                faults.append(Fault(path.name, given, f"at most {MOST_UNPACKED / 2**30:,.0f} GiB"))
            if faults:
                raise InputError(faults)
            left = MOST_UNPACKED
            for entry in archive.infolist():
                with archive.open(entry) as packed, (folder / entry.filename).open("wb") as new:
                    while block := packed.read(1 << 20):  # an archive may lie about its size
                        left -= len(block)
                        if left < 0:
                            raise InputError(Fault(path.name, "more than it says", expected))
                        new.write(block)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError) as error:
        # A place before the file's beginning is damage as well; every other OSError is the machine's.
        if isinstance(error, InputError) or (isinstance(error, OSError) and error.errno != errno.EINVAL):
            raise
        raise InputError(Fault(path.name, f"no whole zip archive: {error}", expected)) from None
