"""Compiled code is kept on disk where it can be, and made again wherever something is wrong with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import drs

MODULE = """
from drs.compiled import compiled

@compiled
def inner(x):
    return x + 1

@compiled(nogil=True)
def outer(x):
    return 2 * inner(x)

print(outer(20), outer.stats.cache_hits)
"""


def run(folder: Path, cache: Path) -> str:
    """What the module above prints in a process of its own."""
    (folder / "kernels.py").write_text(MODULE)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "HOME": str(cache / "none"),
                   "PYTHONPATH": str(Path(drs.__file__).parents[1])}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "kernels.py"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_it_is_kept_where_the_variable_says(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert run(tmp_path, cache) == "42 Counter()"
    assert list(cache.rglob("*.nbc"))
    assert run(tmp_path, cache).startswith("42 Counter({")


@pytest.mark.parametrize("kind", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("damage", [b"", b"\x80\x04garbage", b"(i__nothing\nhere\n."])
def test_damaged_files_are_made_anew(tmp_path: Path, kind: str, damage: bytes) -> None:
    cache = tmp_path / "cache"
    run(tmp_path, cache)
    files = list(cache.rglob(kind))
    assert files
    for file in files:
        file.write_bytes(damage)
    assert run(tmp_path, cache) == "42 Counter()"


def test_there_is_one_decorator() -> None:
    """A bare `njit` of one file would end on a read-only system in "cannot cache function"."""
    root = Path(drs.__file__).parent
    found = [
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        if re.search(r"\b(njit|vectorize|guvectorize)\b|numba\.jit", file.read_text())
        and file.name not in ("compiled.py",)
    ]
    assert found == []
