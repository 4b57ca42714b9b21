"""Tables of integers that drive `panels`, one line a matrix, so that a call has one foreign call for all of them."""

from __future__ import annotations

__all__ = ["COLLECT", "PACK"]

PACK = ("address", "inner", "count", "at", "depth", "columns", "row", "column", "transposed")
"""A line of `pack`'s table: the matrix, its inner dimension and its other one; then where its panels begin, their depth
and columns, and from which row and column on it fills them. Transposed: `[count, inner]` in memory, as torch keeps
weights; else `[inner, count]`."""
COLLECT = ("address", "at", "width", "inner", "count", "stride", "adding")
"""A line of `collect`'s table: `to[j * stride + k] = Σ_thread from[at + k * width + j]`, j < count, k < inner; adding:
on top of what is there."""
