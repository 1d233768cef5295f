"""Files that are either written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from drs.errors import Fault, InputError

JOURNAL = "journal.sqlite"
"""What carrying out a plan leaves beside it; nothing is written over that."""

MARKER = ".drs-files"
"""The file in which drs notes what it wrote into a folder."""

MARKER_TITLE = "# drs wrote the files named below. It replaces them, and leaves every other file alone."


def _check_parent(path: Path, what: str) -> None:
    parent = path.absolute().parent
    if not parent.is_dir():
        raise InputError(
            Fault(
                str(path), f"the folder {parent} does not exist", f"a place where the {what} can be written"
            )
        )


def _beside(target: Path, suffix: str) -> Path:
    """A new hidden folder beside `target`."""
    try:
        return Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=suffix, dir=target.parent))
    except OSError as error:
        given = f"nothing can be written in {target.parent}: {error.strerror or error}"
        raise InputError(Fault(str(target), given, "a place that can be written to")) from None


def check_writable(path: Path, where: str) -> None:
    """Raise an InputError when nothing can be made at `path`, nor the folders that lead there.

    Parameters
    ----------
    path : Path
        What is to be made; the folders above it need not exist.
    where : str
        The option or field that names it.
    """
    above = path.absolute().parent
    while not above.exists() and not above.is_symlink():
        above = above.parent
    if not above.is_dir():
        raise InputError(Fault(where, f"{above} is a file", f"a folder for {path} to lie in"))
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(Fault(where, f"nothing can be written in {above}", "a place that can be written to"))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def atomic_folder(path: str | Path, replaces: Collection[str] | None = None) -> Iterator[Path]:
    """A folder to write into that takes the place of `path` when the block ends without an error.

    The folder that is handed out lies beside `path`, so that the change of place is a rename. After an
    error it is removed and whatever stood at `path` is untouched.

    Parameters
    ----------
    path : str or Path
        The folder to make, or to replace.
    replaces : collection of str, optional
        The files of the old folder that go, as paths within it; all others move over to the new one. Without
        it the old folder goes with all that it holds.

    Yields
    ------
    Path
        An empty folder.

    Raises
    ------
    InputError
        When `path` is a file, its parent is no folder, or a new file has the name of one that stays.
    """
    path = Path(path)
    _check_parent(path, "folder")
    if path.exists() and not path.is_dir():
        raise InputError(Fault(str(path), "a file of that name is there already", "the name of a folder"))
    target = path.resolve() if path.is_symlink() else path.absolute()
    work = _beside(target, ".part")
    try:
        work.chmod(0o777 & ~_umask())
        yield work
        old: Path | None = None
        kept: list[tuple[Path, Path]] = []
        try:
            if target.exists():
                if replaces is not None:
                    _move_over(target, work, frozenset(replaces), PurePosixPath(), kept)
                old = _beside(target, ".old")
                target.rename(old / "folder")
            work.rename(target)
        except BaseException:
            if old is not None:
                if (old / "folder").exists():
                    (old / "folder").rename(target)
                old.rmdir()
            for there, here in reversed(kept):
                here.rename(there)
            raise
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _move_over(
    old: Path, new: Path, replaces: frozenset[str], within: PurePosixPath, kept: list[tuple[Path, Path]]
) -> None:
    """Move what stays from the old folder to the new one; `kept` notes from where to where."""
    for entry in sorted((old / within).iterdir()):
        name = within / entry.name
        if str(name) in replaces:
            continue
        there = new / name
        if entry.is_dir() and not entry.is_symlink():
            ours = any(file.startswith(f"{name}/") for file in replaces)
            if there.is_dir() or (ours and not there.exists()):
                _move_over(old, new, replaces, name, kept)
                continue
            if ours and not any(entry.iterdir()):
                continue
        if os.path.lexists(there):
            raise InputError(
                Fault(
                    str(old / name), "a file that drs did not write", "another folder, or that file elsewhere"
                )
            )
        there.parent.mkdir(parents=True, exist_ok=True)
        entry.rename(there)
        kept.append((entry, there))


def written_by_drs(folder: Path) -> frozenset[str] | None:
    """The files of a folder that drs wrote, as paths within it; None where the folder does not bear its marker."""
    try:
        title, *names = (folder / MARKER).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # no marker, or one that is no text, or empty
        return None
    if title != MARKER_TITLE:
        return None
    inside = [name for name in names if name and ".." not in PurePosixPath(name).parts]
    return frozenset([MARKER, *(name for name in inside if not PurePosixPath(name).is_absolute())])


def check_own_folder(path: Path, where: str) -> None:
    """Raise an InputError, before any work is done, when `own_folder` could not write at `path`.

    Parameters
    ----------
    path : Path
        Nothing, an empty folder, or one that an earlier `own_folder` wrote.
    where : str
        The option or field that names it.
    """
    if path.exists() and not path.is_dir():
        raise InputError(Fault(where, f"{path} is a file", "a folder"))
    if (path / JOURNAL).exists():
        given = f"{path} holds the journal of a plan that is or was carried out"
        raise InputError(Fault(where, given, "a new folder"))
    if path.is_dir() and any(path.iterdir()) and written_by_drs(path) is None:
        raise InputError(
            Fault(
                where,
                f"the folder {path} holds something that drs did not write",
                "a new or an empty folder, or one that drs wrote before",
            )
        )
    check_writable(path, where)


@contextmanager
def own_folder(path: Path, where: str) -> Iterator[Path]:
    """As `atomic_folder`, for a folder of drs's own: it replaces what drs wrote before, and leaves the rest.

    The file `.drs-files` in it names what drs wrote. A folder with something in it and without that marker is
    never touched.

    Parameters
    ----------
    path : Path
        The folder to make, or to write anew; the folders above it are made.
    where : str
        The option or field that names it.

    Raises
    ------
    InputError
        When the folder holds something that drs did not write and no marker, or a new file has the name of
        one that drs did not write.
    """
    check_own_folder(path, where)
    path.parent.mkdir(parents=True, exist_ok=True)
    before = (written_by_drs(path) if path.is_dir() else None) or frozenset()
    with atomic_folder(path, before) as work:
        yield work
        files = sorted(file.relative_to(work).as_posix() for file in work.rglob("*") if not file.is_dir())
        (work / MARKER).write_text("\n".join([MARKER_TITLE, *files, ""]), encoding="utf-8")


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """A path to write a file at that takes the place of `path` when the block ends without an error.

    Parameters
    ----------
    path : str or Path
        The file to make, or to replace.

    Yields
    ------
    Path
        Where to write; it has the same suffix, and nothing is there yet.
    """
    path = Path(path)
    _check_parent(path, "file")
    if path.is_dir():
        raise InputError(Fault(str(path), "a folder of that name is there already", "the name of a file"))
    target = path.resolve() if path.is_symlink() else path.absolute()
    folder = _beside(target, ".part")
    try:
        work = folder / target.name
        yield work
        work.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_text_atomic(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file to make, or to replace.
    text : str
        Its content; line ends are written as they are.
    """
    with atomic_file(path) as work:
        work.write_text(text, encoding="utf-8", newline="")
