"""Files that are either written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drs.errors import Fault, InputError


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
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A folder to write into that takes the place of `path` when the block ends without an error.

    The folder that is handed out lies beside `path`, so that the change of place is a rename. After an
    error it is removed and whatever stood at `path` is untouched.

    Parameters
    ----------
    path : str or Path
        The folder to make, or to replace.

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
    _check_parent(path, "folder")
    if path.exists() and not path.is_dir():
        raise InputError(Fault(str(path), "a file of that name is there already", "the name of a folder"))
    target = path.resolve() if path.is_symlink() else path.absolute()
    work = _beside(target, ".part")
    try:
        work.chmod(0o777 & ~_umask())
        yield work
        old: Path | None = None
        if target.exists():
            old = _beside(target, ".old")
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
