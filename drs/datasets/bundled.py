"""The bundled clusters: their folders, their cards, and copies of them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from drs.errors import UnknownNameError
from drs.model import Snapshot


@dataclass(frozen=True, slots=True)
class Card:
    """What a dataset is: the facts of its `README.md`."""

    name: str
    title: str
    source: str
    licence: str
    units: str
    shape: str
    notes: str
    text: str
    """The whole page, Markdown."""


def _root() -> Path:
    package = Path(__file__).resolve().parents[1]
    installed = package / "_datasets"
    return installed if installed.is_dir() else package.parent / "datasets"


def _is_dataset(folder: Path) -> bool:
    return any((folder / f"hosts.{suffix}").is_file() for suffix in ("csv", "parquet"))


def names() -> tuple[str, ...]:
    """Names of the bundled datasets, sorted."""
    root = _root()
    if not root.is_dir():
        return ()
    return tuple(sorted(folder.name for folder in root.iterdir() if _is_dataset(folder)))


def path(name: str) -> Path:
    """The folder of a bundled dataset.

    Raises
    ------
    UnknownNameError
        When there is no dataset of that name.
    """
    if name not in names():
        raise UnknownNameError.of("datasets", name, names(), "dataset")
    return _root() / name


def load(name: str) -> Snapshot:
    """Read a bundled dataset.

    Raises
    ------
    UnknownNameError
        When there is no dataset of that name.
    """
    from drs.io import read_folder

    return read_folder(path(name))


def copy(name: str, folder: str | Path) -> Path:
    """Copy a bundled dataset, its rules and its card to a folder, whole or not at all.

    Raises
    ------
    UnknownNameError
        When there is no dataset of that name.
    InputError
        When there is a file of that name, or a folder that holds something that drs did not write.
    """
    from drs.io.atomic import own_folder

    source, target = path(name), Path(folder)
    with own_folder(target, "folder") as work:
        for file in sorted(source.iterdir()):
            if file.is_file():
                shutil.copyfile(file, work / file.name)
    return target


def card(name: str) -> str:
    """The card of a dataset, or of the `generator`, as Markdown; its first line is the title.

    Raises
    ------
    UnknownNameError
        When there is no dataset of that name.
    """
    file = _root() / name / "README.md"
    if name not in (*names(), "generator") or not file.is_file():
        raise UnknownNameError.of("datasets", name, (*names(), "generator"), "dataset")
    return file.read_text(encoding="utf-8")


def describe(name: str) -> Card:
    """The facts on a card: title, source, licence, units, shape, notes.

    Raises
    ------
    UnknownNameError
        When there is no dataset of that name.
    """
    text = card(name)
    title, facts = "", {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("# ") and not title:
            title = line[2:].strip()
        elif line.startswith("|") and len(cells) == 2:
            facts[cells[0].lower()] = cells[1]
    known = {key: facts.get(key, "") for key in ("source", "licence", "units", "shape", "notes")}
    return Card(name, title, text=text, **known)
