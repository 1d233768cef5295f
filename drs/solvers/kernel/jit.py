"""Compilation with numba: without the interpreter's lock, kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])

OPTIONS = {"nogil": True, "error_model": "numpy", "boundscheck": False}


def jit(function: F) -> F:
    """Compile a function; its code is cached on disk, or compiled again where no disk can be written."""
    try:
        return numba.njit(cache=True, **OPTIONS)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # numba found no directory to write to
        return numba.njit(**OPTIONS)(function)  # type: ignore[no-any-return]


def inline(function: F) -> F:
    """Compile a small function into its callers."""
    try:
        return numba.njit(cache=True, forceinline=True, **OPTIONS)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        return numba.njit(forceinline=True, **OPTIONS)(function)  # type: ignore[no-any-return]
