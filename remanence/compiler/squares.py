"""Squares inside Numba kernels: as many registers as a register has lanes."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from remanence.compiler.vector import Builder, Value, Vector, address, intrinsic, lanes_at, vector_of, vector_pointer

__all__ = ["add_square", "load_square", "store_square", "turn_square"]


def _square(context: Any, builder: Builder, sig: Any, args: Any, kind: Vector) -> list[Value]:
    """LLVM: the addresses of the rows of a square: (array, offset, stride) → one register each."""
    array, offset, stride = args
    rows = [builder.add(offset, builder.mul(stride, ir.Constant(stride.type, row))) for row in range(kind.width)]
    whole = context.get_value_type(kind)
    return [vector_pointer(builder, address(context, builder, sig, array, row), whole) for row in rows]


@intrinsic
def load_square(typing_context: Any, array: Any, offset: Any, stride: Any) -> Any:
    """`load_square(array, offset, stride)`: rows that lie `stride` elements apart, a register each."""
    kind = vector_of(array.dtype)
    square = types.UniTuple(kind, kind.width)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        places = _square(context, builder, sig.args[0], args, kind)
        rows = [builder.load(place, align=kind.dtype.bitwidth // 8) for place in places]
        return context.make_tuple(builder, sig.return_type, rows)

    return square(array, types.intp, types.intp), generate


@intrinsic
def add_square(typing_context: Any, square: Any, array: Any, offset: Any, stride: Any) -> Any:
    """`add_square(square, array, offset, stride)`: the square plus one in memory."""
    kind = square.dtype

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        places = _square(context, builder, sig.args[1], args[1:], kind)
        rows = cgutils.unpack_tuple(builder, args[0])
        more = [builder.load(place, align=kind.dtype.bitwidth // 8) for place in places]
        return context.make_tuple(builder, square, [builder.fadd(a, b) for a, b in zip(rows, more, strict=True)])

    return square(square, array, types.intp, types.intp), generate


@intrinsic
def turn_square(typing_context: Any, square: Any) -> Any:
    """`turn_square(square)`: transposed."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        rows = cgutils.unpack_tuple(builder, args[0])
        width = half = len(rows)
        # Blocks off the diagonal change places, of half the square, of a quarter, …
        while half > 1:
            half //= 2
            upper = lanes_at(lane if not lane & half else width + lane - half for lane in range(width))
            lower = lanes_at(lane + half if not lane & half else width + lane for lane in range(width))
            for row in range(width):
                if not row & half:
                    both = rows[row], rows[row + half]
                    rows[row], rows[row + half] = (builder.shuffle_vector(*both, lanes) for lanes in (upper, lower))
        return context.make_tuple(builder, square, rows)

    return square(square), generate


@intrinsic
def store_square(typing_context: Any, array: Any, offset: Any, stride: Any, square: Any) -> Any:
    """`store_square(array, offset, stride, square)`: rows that will lie `stride` elements apart."""
    kind = square.dtype

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        places = _square(context, builder, sig.args[0], args[:3], kind)
        for place, row in zip(places, cgutils.unpack_tuple(builder, args[3]), strict=True):
            builder.store(row, place, align=kind.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, square), generate
