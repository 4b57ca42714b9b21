"""Squares of registers: as many as a register has lanes."""

from __future__ import annotations

from typing import Any, TypeAlias

from remanence.compiler.values import Number, Value
from remanence.compiler.vector import lanes_at, load, register_of, store

__all__ = ["add_square", "load_square", "store_square", "turn_square"]

Square: TypeAlias = tuple[Value, ...]


def load_square(array: Value, offset: Number, stride: Number) -> Square:
    """Rows that lie `stride` elements apart, a register each."""
    width = register_of(array.kind.to).width  # type: ignore[attr-defined]
    return tuple(load(array, offset + stride * row) for row in range(width))


def add_square(square: Square, array: Value, offset: Number, stride: Number) -> Square:
    """The square plus one in memory."""
    return tuple(row + load(array, offset + stride * place) for place, row in enumerate(square))


def turn_square(square: Square) -> Square:
    """The square, transposed."""
    builder, kind = square[0].builder, square[0].kind
    rows: list[Any] = [row.ir for row in square]
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
    return tuple(Value(builder, kind, row) for row in rows)


def store_square(array: Value, offset: Number, stride: Number, square: Square) -> None:
    """Rows that will lie `stride` elements apart."""
    for place, row in enumerate(square):
        store(array, offset + stride * place, row)
