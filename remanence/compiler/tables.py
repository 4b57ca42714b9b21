"""Tables of integers that drive `panels`, one line a matrix: numbers of one shape, made once; a call has its addresses.

A table begins with `TABLE_HEAD`; where something lies is a base, which is a place in the call's list of addresses, and
so many elements behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["COLLECT", "PACK", "TABLE_HEAD", "Packing", "table_of"]

TABLE_HEAD = ("lines", "parts")
"""How many lines, and on how many threads."""
PACK = ("base", "behind", "to", "to_behind", "inner", "count", "depth", "columns", "row", "column", "transposed")
"""A line of `pack`'s table: where the matrix is, where its panels begin, its inner dimension and its other one; the
panels' depth and columns, and from which row and column on it fills them. Transposed: `[count, inner]` in memory, as
torch keeps weights; else `[inner, count]`."""
COLLECT = ("base", "behind", "to", "to_behind", "size", "threads", "width", "inner", "count", "stride", "adding")
"""A line of `collect`'s table: `to[j * stride + k] = Σ_thread from[thread * size + k * width + j]`, j < count, k <
inner; adding: on top of what is there."""
_MANY = 32768
"""Elements that are worth a second thread: they take about ten microseconds."""


def table_of(lines: Sequence[Sequence[int]], elements: int, threads: int) -> np.ndarray:
    """A table of these lines, which move so many elements."""
    parts = threads if elements > _MANY else 1
    return np.array([len(lines), parts, *(number for line in lines for number in line)], np.int64)


@dataclass(frozen=True, eq=False)
class Packing:
    """What is packed where.

    Args:
        parts: (parameter tensor, elements before the matrix in it, elements before its panels, the rest of a line of
            `PACK`) of each matrix.
        size: elements in all.
        filled: those that matrices fill.
        lines: rows of lanes behind the matrices, array → (begin, width); none where they must be computed.
    """

    parts: list[tuple[int, ...]]
    size: int
    filled: int
    lines: dict[str, tuple[int, int]]

    def table(self, first: int, to: tuple[int, int], threads: int) -> np.ndarray:
        """The table of `panels.pack`.

        Args:
            first: base of the first parameter tensor.
            to: base of the panels, and elements behind it.
            threads: that may share the work.
        """
        base, begin = to
        lines = [(first + tensor, behind, base, begin + at, *rest) for tensor, behind, at, *rest in self.parts]
        return table_of(lines, self.filled, threads)
