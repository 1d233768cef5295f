"""Compilation of the search: without the interpreter's lock, kept on disk (`drs.compiled`)."""

from __future__ import annotations

from typing import Any

from drs.compiled import F, compiled

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}


def jit(function: F) -> F:
    """Compile a function."""
    return compiled(**OPTIONS)(function)


def inline(function: F) -> F:
    """Compile a small function into its callers."""
    return compiled(forceinline=True, **OPTIONS)(function)
