"""Files that are either written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drs.errors import Fault, InputError


def _parent_of(path: Path, what: str) -> Path:
    parent = path.absolute().parent
    if not parent.is_dir():
        raise InputError(
            Fault(
                str(path), f"the folder {parent} does not exist", f"a place where the {what} can be written"
            )
        )
    return parent


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def atomic_folder(path: str | Path, *, keep: bool = False) -> Iterator[Path]:
    """A folder to write into that takes the place of `path` when the block ends without an error.

    The folder that is handed out lies beside `path`, so that the change of place is a rename. After an
    error it is removed and whatever stood at `path` is untouched.

    Parameters
    ----------
    path : str or Path
        The folder to make, or to replace.
    keep : bool, default False
        Take over those entries of a replaced folder that the block did not write.

    Yields
    ------
    Path
        An empty folder.

    Raises
    ------
    InputError
        When `path` is a file, or its parent is no folder.
    """
    path = Path(path)
    parent = _parent_of(path, "folder")
    if path.exists() and not path.is_dir():
        raise InputError(Fault(str(path), "a file of that name is there already", "the name of a folder"))
    target = path.resolve() if path.is_symlink() else path.absolute()
    parent = target.parent
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=parent))
    try:
        work.chmod(0o777 & ~_umask())
        yield work
        old: Path | None = None
        if target.exists():
            if keep:
                for entry in target.iterdir():
                    copy = work / entry.name
                    if copy.exists():
                        continue
                    if entry.is_dir() and not entry.is_symlink():
                        shutil.copytree(entry, copy, symlinks=True)
                    else:
                        shutil.copy2(entry, copy, follow_symlinks=False)
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=parent))
            target.rename(old / "folder")
        try:
            work.rename(target)
        except BaseException:
            if old is not None:
                (old / "folder").rename(target)
                old.rmdir()
            raise
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


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
    _parent_of(path, "file")
    if path.is_dir():
        raise InputError(Fault(str(path), "a folder of that name is there already", "the name of a file"))
    target = path.resolve() if path.is_symlink() else path.absolute()
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
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
