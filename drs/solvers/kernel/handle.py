"""One argument for everything: a pointer to the addresses of all arrays of a problem and its state.

Numba passes a tuple of arrays by value, field by field. With a hundred arrays that makes every call slow and
the compilation of every function slower still (measured: 15 s for one function, against 1 s). A `Handle` is
one machine word. In compiled code `h.load[k]` reads element k of the array `load`, flat, and `h.n_bins` reads
a size; no bounds are checked and no references counted, so whoever makes a handle keeps the arrays alive.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.core import types as _types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
    unbox,
)

from drs.solvers.kernel.state import State
from drs.terms.fused_arrays import Fused

types: Any = _types  # numba's own stub lacks `CPointer`

_ELEMENT = {
    "Ints": types.int32,
    "Longs": types.int64,
    "Floats": types.float64,
    "Bytes": types.uint8,
    "Words": types.uint64,
}
SIZES = (
    "n_items", "n_walls", "n_columns", "n_over", "n_free", "n_used", "n_dev", "n_fix", "n_pair", "n_pen",
    "n_counters", "n_near", "n_move", "n_group", "n_bloc", "n_reach", "most", "n_waiting",
    "n_slots", "n_slot_parts",
)  # fmt: skip

FIELDS: dict[str, Any] = {}
"""Type of each field in compiled code, in the order of the block of addresses."""
for _source in (Fused, State):
    for _name, _annotation in _source.__annotations__.items():
        _text = getattr(_annotation, "__forward_arg__", _annotation)
        FIELDS[_name] = types.CPointer(_ELEMENT[_text]) if _text in _ELEMENT else types.int64
FIELDS |= dict.fromkeys(SIZES, types.int64)
_PLACE = {name: k for k, name in enumerate(FIELDS)}


class Handle:
    """The address of a block of addresses, and the arrays that it keeps alive."""

    def __init__(self, fused: Fused, state: State) -> None:
        self.fused, self.state = fused, state
        sizes = (
            len(fused.start), fused.need.shape[1], fused.demand.shape[1], len(fused.over_col),
            len(fused.free_a), len(fused.used_col), len(fused.dev_col), len(fused.fix_level),
            len(fused.pair_level), len(fused.pen_level), len(fused.counter_map), len(fused.near_have),
            len(fused.move_level), len(fused.group_level), len(fused.bloc_ptr) - 1,
            len(fused.reach_ptr) - 1, state.members.shape[1], len(state.waiting),
            len(fused.slot_level), len(fused.slot_col),
        )  # fmt: skip
        values: dict[str, Any] = {
            **fused._asdict(),
            **state._asdict(),
            **dict(zip(SIZES, sizes, strict=True)),
        }
        self.block = np.zeros(len(FIELDS), dtype=np.int64)
        for name, kind in FIELDS.items():
            value = values[name]
            if isinstance(kind, types.CPointer):
                if not value.flags.c_contiguous or str(value.dtype) != str(kind.dtype):
                    raise TypeError(f"{name} is {value.dtype}, not a contiguous array of {kind.dtype}")
                value = value.ctypes.data
            self.block[_PLACE[name]] = value
        self.address = int(self.block.ctypes.data)


def _digest() -> str:
    """Digest of the kernel's own text.

    It is part of the type's name, and so of the key of all compiled code on disk: numba looks only at the
    file of the function that it loads, not at those of the functions that were compiled into it.
    """
    here = Path(__file__).parent
    text = b"".join(path.read_bytes() for path in sorted(here.glob("*.py")))
    return hashlib.sha256(text + repr(FIELDS).encode()).hexdigest()[:12]


class HandleType(types.Type):  # type: ignore[misc]
    """A handle in compiled code."""

    def __init__(self) -> None:
        super().__init__(name=f"DrsHandle_{_digest()}")


HANDLE = HandleType()


@typeof_impl.register(Handle)  # type: ignore[untyped-decorator]
def _typeof(value: Handle, context: object) -> HandleType:
    return HANDLE


@register_model(HandleType)  # type: ignore[untyped-decorator]
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: object, kind: HandleType) -> None:
        super().__init__(manager, kind, ir.IntType(64).as_pointer())


@unbox(HandleType)  # type: ignore[untyped-decorator]
def _unbox(kind: HandleType, value: Any, context: Any) -> NativeValue:
    number = context.pyapi.object_getattr_string(value, "address")
    address = context.pyapi.long_as_longlong(number)
    context.pyapi.decref(number)
    pointer = context.builder.inttoptr(address, ir.IntType(64).as_pointer())
    return NativeValue(pointer, is_error=cgutils.is_not_null(context.builder, context.pyapi.err_occurred()))


@infer_getattr
class _Attributes(AttributeTemplate):  # type: ignore[misc]
    key = HandleType

    def generic_resolve(self, kind: HandleType, name: str) -> types.Type | None:
        return FIELDS.get(name)


@lower_getattr_generic(HandleType)  # type: ignore[untyped-decorator]
def _lower(context: Any, builder: Any, kind: HandleType, value: Any, name: str) -> Any:
    place = ir.Constant(ir.IntType(64), _PLACE[name])
    number = builder.load(builder.gep(value, [place]))
    field = FIELDS[name]
    return (
        builder.inttoptr(number, context.get_value_type(field))
        if isinstance(field, types.CPointer)
        else number
    )
