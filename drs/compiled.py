"""The one decorator of all that numba compiles: compiled code is kept on disk where that is possible.

Numba keeps it beside the source, or in the folder that the environment variable `NUMBA_CACHE_DIR` names. Where
neither can be written, as in a read-only installation without a home folder, every process compiles again. A
file of kept code that is damaged is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, overload

import numba
from numba.core.caching import FunctionCache

F = TypeVar("F", bound=Callable[..., Any])


class _Kept(FunctionCache):  # type: ignore[misc]
    """Compiled code on disk; whatever is wrong with it, the code is compiled anew."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # a damaged pickle raises anything
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(Exception):  # a full disk, a damaged index
            super().save_overload(sig, data)


@overload
def compiled(function: F, /) -> F: ...
@overload
def compiled(*, kept: bool = ..., **options: Any) -> Callable[[F], F]: ...
def compiled(function: Any = None, /, *, kept: bool = True, **options: Any) -> Any:
    """Compile a function when it is first called.

    Parameters
    ----------
    kept : whether its code is kept on disk.
    options : numba's.
    """
    if function is None:
        return lambda later: compiled_with(later, kept, options)
    return compiled_with(function, kept, options)


def compiled_with(function: F, kept: bool, options: dict[str, Any]) -> F:
    """See `compiled`."""
    made: Any = numba.njit(**options)(function)
    if kept and made is not function:  # with NUMBA_DISABLE_JIT nothing is compiled
        with suppress(RuntimeError):  # numba found no folder to write to
            made._cache = _Kept(made.py_func)
    return made  # type: ignore[no-any-return]
