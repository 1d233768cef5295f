"""Where the app's clusters come from: bundled datasets, the folder given at the start, uploads."""

from __future__ import annotations

import dataclasses
import io as bytesio
import os
import tempfile
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import streamlit as st

from drs import api, datasets, explain, io, words
from drs.errors import DrsError, Fault, InputError
from drs.io.readers.sheets import tab_of
from drs.model import Snapshot
from drs.model.load import metrics
from drs.model.pools import Pool, pools
from drs.model.vm_score import Happiness, happiness
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.result import Immovable
from drs.rules import Rule, Violation
from drs.ui import SNAPSHOT_VARIABLE

MOST_BYTES = 2**30
"""An upload that unpacks to more is refused."""
MOST_FILES = 200
SUFFIXES = (".csv", ".parquet", ".toml")
EXPORTS = (".xlsx", ".xlsm", ".json")
"""Suffixes of what other tools write."""


@dataclass(frozen=True, eq=False)
class Cluster:
    """A snapshot with its rules and policy, and what is found by looking at it."""

    label: str
    snapshot: Snapshot
    rules: tuple[Rule, ...]
    policy: Policy
    violations: tuple[Violation, ...]
    immovable: tuple[Immovable, ...]
    metrics: dict[str, dict[str, float]]
    happy: Happiness
    pools: tuple[Pool, ...]
    warnings: tuple[str, ...]
    stamp: str = ""
    """What the files were when they were read; see `stamp_of`."""
    files_of: float = 0.0
    """When the newest of its files was written, seconds since 1970; 0 where there is no file."""


@dataclass(frozen=True)
class Upload:
    """A file as the browser sent it."""

    name: str
    content: bytes


def given() -> str | None:
    """The snapshot that `drs ui SNAPSHOT` was started with."""
    return os.environ.get(SNAPSHOT_VARIABLE) or None


def choices() -> tuple[str, ...]:
    """What can be opened without an upload: the snapshot given at the start, and the bundled datasets."""
    start = given()
    bundled = datasets.names()
    order = sorted(bundled, key=lambda name: ({"small": 0, "medium": 1}.get(name, 2), name))
    return tuple(dict.fromkeys([*([start] if start else []), *order]))


def stamp_of(source: str) -> str:
    """What the files of a source are now: it changes when one of them does; "" for what is no file."""
    found = [f"{file.name}:{file.stat().st_mtime_ns}:{file.stat().st_size}" for file in _files(source)]
    return ";".join(found)


def _files(source: str) -> list[Path]:
    path = Path(source)
    if path.is_file():
        return [path]
    if not path.is_dir():
        return []
    return sorted(
        file for file in path.iterdir() if file.suffix.lower() in (*SUFFIXES, *EXPORTS) and file.is_file()
    )


def opened(source: str) -> Cluster:
    """The cluster of a folder, a saved problem or a dataset, read again where a file of it has changed.

    Raises
    ------
    InputError
        With every fault of the input.
    """
    return _opened(source, stamp_of(source))


@st.cache_resource(max_entries=4, show_spinner="Reading the cluster …")
def _opened(source: str, stamp: str) -> Cluster:
    """Shared between sessions: all of it is immutable."""
    files = [file.stat().st_mtime for file in _files(source)]
    return dataclasses.replace(_looked_at(source), stamp=stamp, files_of=max(files, default=0.0))


def age_of(cluster: Cluster, now: datetime) -> str:
    """How old the data of a cluster is, in words, and how that is known."""
    taken = cluster.snapshot.taken_at
    how = "taken"
    try:
        when = datetime.fromisoformat(taken) if taken else None
    except ValueError:
        return f"taken at {taken}"
    if when is None and cluster.files_of:
        when, how = datetime.fromtimestamp(cluster.files_of, UTC), "files written"
    if when is None:
        return "nobody said when the data was taken"
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    gone_s = (now - when).total_seconds()
    if gone_s < 0:
        return f"{how} {when:%Y-%m-%d %H:%M} UTC, which is to come"
    for size_s, unit in ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute")):
        if gone_s >= size_s:
            return f"{how} {words.count(int(gone_s / size_s), unit)} ago"
    return f"{how} just now"


def _looked_at(source: str | Sequence[Path], label: str = "") -> Cluster:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", io.InputWarning)
        if isinstance(source, str):
            snapshot, rules, policy = api.read(source), api.read_rules(source), api.read_policy(source)
        else:
            reading = io.read_source(source)
            if reading.snapshot is None:
                raise InputError(Fault("upload", "a load history alone", "an inventory with it"))
            snapshot, rules, policy = reading.snapshot, reading.rules, Policy()
    problem = Problem(snapshot, rules, policy)
    return Cluster(
        label or snapshot.name or str(source),
        snapshot,
        rules,
        policy,
        tuple(problem.check(problem.today)),
        explain.immovable(problem),
        metrics(snapshot, problem.today),
        happiness(snapshot, problem.today),
        pools(snapshot),
        tuple(str(item.message) for item in caught if issubclass(item.category, io.InputWarning)),
    )


def from_uploads(uploads: Sequence[Upload]) -> Cluster:
    """The cluster of uploaded files: one zip of a snapshot folder, its tables one by one, or exports of others.

    Raises
    ------
    InputError
        With every fault of the input.
    """
    if not uploads:
        raise InputError(
            Fault("upload", "no file", "a zip, or hosts.csv and vms.csv with what else there is")
        )
    with tempfile.TemporaryDirectory(prefix="drs-upload-") as temporary:
        folder = Path(temporary)
        first = uploads[0]
        suffix = PurePosixPath(first.name).suffix.lower()
        label = PurePosixPath(first.name).stem if suffix in (".zip", *EXPORTS) else "upload"
        if any(_is_export(upload) for upload in uploads):
            files = []
            for upload in uploads:
                files.append(folder / PurePosixPath(upload.name.replace("\\", "/")).name)
                files[-1].write_bytes(upload.content)
            tabs = [file for file in files if tab_of(file.name)]
            return _without_folder([*(file for file in files if file not in tabs), *([folder] if tabs else [])],
                                   label, Path(temporary))  # fmt: skip
        if len(uploads) == 1 and suffix == ".zip":
            folder = _unpack(first, folder)
        else:
            faults = []
            for upload in uploads:
                name = PurePosixPath(upload.name.replace("\\", "/")).name
                if PurePosixPath(name).suffix.lower() in SUFFIXES:
                    (folder / name).write_bytes(upload.content)
                else:
                    faults.append(Fault("upload", name, "tables as .csv or .parquet, and .toml files"))
            if faults:
                raise InputError(faults)
        return _without_folder(folder, label, Path(temporary))


def _is_export(upload: Upload) -> bool:
    """Whether it is the export of another tool, or a part of one: a workbook, JSON, or a tab of RVTools."""
    if PurePosixPath(upload.name).suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(bytesio.BytesIO(upload.content)) as archive:
                return any(tab_of(name) for name in archive.namelist())
        except zipfile.BadZipFile:
            return False
    return PurePosixPath(upload.name).suffix.lower() in EXPORTS or bool(tab_of(upload.name))


def _without_folder(path: Path | Sequence[Path], label: str, temporary: Path) -> Cluster:
    """Read it; faults name the uploaded file, not where it lay for a moment."""
    try:
        return _looked_at(str(path) if isinstance(path, Path) else path, label)
    except InputError as error:
        places = {str(temporary)} | ({str(path)} if isinstance(path, Path) else set())
        hide = sorted(places | {f"{place}/" for place in places}, key=len, reverse=True)

        def clean(words: str) -> str:
            for part in hide:
                words = words.replace(part, "" if part.endswith("/") else "upload")
            return words

        raise InputError(
            [Fault(clean(f.where), clean(f.given), clean(f.expected), clean(f.hint)) for f in error.faults]
        ) from None


def _unpack(upload: Upload, folder: Path) -> Path:
    """Unpack a zip's tables into `folder`; returns the folder within that holds the hosts."""
    try:
        archive = zipfile.ZipFile(bytesio.BytesIO(upload.content))
    except zipfile.BadZipFile:
        raise InputError(Fault(upload.name, "not a zip file", "a zip of a snapshot folder")) from None
    with archive:
        entries = [
            item
            for item in archive.infolist()
            if not item.is_dir()
            and not item.filename.startswith("__MACOSX/")
            and PurePosixPath(item.filename).suffix.lower() in SUFFIXES
        ]
        if len(entries) > MOST_FILES or sum(item.file_size for item in entries) > MOST_BYTES:
            raise InputError(
                Fault(
                    upload.name,
                    "too large",
                    f"at most {MOST_FILES} files and {MOST_BYTES // 2**30} GiB unpacked",
                )
            )
        homes: dict[str, list[zipfile.ZipInfo]] = {}
        for item in entries:
            homes.setdefault(str(PurePosixPath(item.filename).parent), []).append(item)
        with_hosts = [
            home
            for home, items in homes.items()
            if any(PurePosixPath(i.filename).stem.lower() == "hosts" for i in items)
        ]
        if not with_hosts:
            raise InputError(
                Fault(upload.name, "no hosts.csv or hosts.parquet in it", "a zip of a snapshot folder")
            )
        home = min(with_hosts, key=lambda name: (len(PurePosixPath(name).parts), name))
        # Only the bare names are used, so an entry such as ../../x cannot leave the folder.
        left = MOST_BYTES
        for item in homes[home]:
            try:
                with archive.open(item) as stream:
                    content = stream.read(left + 1)
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, ValueError) as error:
                raise InputError(
                    Fault(upload.name, f"{item.filename}: {error}", "a readable zip file")
                ) from None
            left -= len(content)
            if left < 0:
                raise InputError(
                    Fault(upload.name, "too large", f"at most {MOST_BYTES // 2**30} GiB unpacked")
                )
            (folder / PurePosixPath(item.filename).name).write_bytes(content)
    return folder


def words_of(error: Exception) -> list[str]:
    """An error as lines for people: each fault of an input, or the error's own words."""
    if isinstance(error, InputError):
        return [str(fault) for fault in error.faults]
    if isinstance(error, DrsError):
        return [str(error)]
    return [f"This is a bug in drs, please report it: {type(error).__name__}: {error}"]


__all__ = [
    "Cluster",
    "Upload",
    "age_of",
    "choices",
    "from_uploads",
    "given",
    "opened",
    "stamp_of",
    "words_of",
]
