"""Compiled functions that call each other by address: what all kernels share is compiled once, not in each of them.

The tiles are most of the machine code. `TILES` is the module of one dtype's tiles as C functions, `LAUNCH` that of the
loop over threads; a kernel is given their addresses as integers.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from remanence.compiler.vector import intrinsic

__all__ = ["LAUNCH", "TILES", "call", "pointed", "shifted"]


@intrinsic
def call(typing_context: Any, address: Any, arguments: Any) -> Any:
    """`call(address, arguments)`: a C function that returns nothing; tuples inside the arguments are laid flat."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        flat: list[Any] = []

        def lay(kind: Any, value: Any) -> None:
            if isinstance(kind, types.BaseTuple):
                for place, inner in enumerate(kind):  # pyright: ignore[reportArgumentType] (numba's tuples are iterable)
                    lay(inner, builder.extract_value(value, place))
            else:
                wide = isinstance(kind, types.CPointer)
                flat.append(value if wide else context.cast(builder, value, kind, types.int64))

        lay(arguments, args[1])
        function = ir.FunctionType(ir.VoidType(), [value.type for value in flat])
        builder.call(builder.inttoptr(args[0], function.as_pointer()), flat)
        return context.get_dummy_value()

    return types.void(types.int64, arguments), generate


@intrinsic
def shifted(typing_context: Any, pointer: Any, count: Any) -> Any:
    """`shifted(pointer, count)`: the pointer, `count` elements further on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.intp), generate


@intrinsic
def pointed(typing_context: Any, like: Any, address: Any) -> Any:
    """`pointed(like, address)`: a pointer to an address, of the type of another pointer."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.inttoptr(args[1], args[0].type)

    return like(like, types.int64), generate


TILES = '''"""Written by remanence: the tiles of matrix products in one dtype, compiled once for all kernels."""

from numba import cfunc, types

from remanence.compiler import panels, rows, tile

DATA, LIST, LONG = types.CPointer(types.{dtype}), types.CPointer(types.int64), types.int64
WIDTH = {width}


@cfunc(types.void(DATA, LIST, LONG, DATA, LIST, LONG, DATA, DATA, *[LONG] * 4), cache=True, error_model="numpy")
def spread(c, c_list, c_stride, a, a_list, a_stride, packed, start, count, depth, columns, mode):
    tile.spread((c, c_list, c_stride), (a, a_list, a_stride), packed, start, WIDTH, (count, depth, columns, mode))


@cfunc(types.void(DATA, LONG, DATA, LIST, LONG, DATA, LIST, LONG, *[LONG] * 3), cache=True, error_model="numpy")
def gather(c, c_stride, a, a_list, a_stride, d, d_list, d_stride, count, units, columns):
    tile.gather((c, c_stride), (a, a_list, a_stride), (d, d_list, d_stride), WIDTH, (count, units, columns))


@cfunc(types.void(DATA, DATA, LIST, LONG, LONG, LONG), cache=True, error_model="numpy")
def sums(c, d, d_list, d_stride, count, columns):
    tile.sums(c, (d, d_list, d_stride), WIDTH, (count, columns))


@cfunc(types.void(LIST, LONG, LONG, LONG, LONG), cache=True, error_model="numpy")
def fill(numbers, bounds, part, first, last):
    rows.fill(numbers, bounds, part, first, last)


@cfunc(types.void(DATA, LIST, LONG), cache=True, error_model="numpy")
def pack(packed, table, lines):
    panels.pack(packed, table, lines, WIDTH)


@cfunc(types.void(DATA, LONG, LONG, LIST, LONG), cache=True, error_model="numpy")
def collect(found, size, threads, table, lines):
    panels.collect(found, size, threads, table, lines)
'''
"""Source of the module of what all kernels of a dtype share."""

LAUNCH = '''"""Written by remanence: a kernel over all threads of the pool, compiled once for all kernels."""

from numba import njit, prange, types

from remanence.compiler.linking import call


@njit(types.void(types.int64, types.int64, types.int64, types.int64), parallel=True, nogil=True, cache=True)
def launch(kernel, numbers, arrays, parts):
    for part in prange(parts):
        call(kernel, (part, numbers, arrays))
'''
"""Source of the launcher."""
