"""Between torch's matrices and what the tiles read and write: packing into panels, collecting gradients.

The right matrix of a product is packed once per call: columns, padded to whole registers, are cut into panels of
`MACHINE.vectors` registers (the last may be narrower); within a panel the inner dimension is the row: panel p starts at
p · panel_width · depth. So a tile reads memory in one stream. Gradients come from the tiles transposed, one for each
thread.

Both are driven by `tables`.
"""

from __future__ import annotations

from numba import njit

from remanence.compiler.linking import pointed
from remanence.compiler.machine import MACHINE
from remanence.compiler.tables import COLLECT, PACK

__all__ = ["collect", "pack", "padded"]

VECTORS = MACHINE.vectors
_PACK, _COLLECT = len(PACK), len(COLLECT)


def padded(size: int, itemsize: int) -> int:
    """Round a number of columns up to whole registers."""
    width = MACHINE.width(itemsize)
    return -(-size // width) * width


@njit(inline="always")
def pack(packed, table, lines, width):
    """Copy matrices into panels; `packed` is zero where no matrix comes; `width`: elements of a register."""
    panel_width = VECTORS * width
    for line in range(lines):
        first = line * _PACK
        matrix = pointed(packed, table[first])
        inner, count, at, depth, columns = (
            table[first + 1],
            table[first + 2],
            table[first + 3],
            table[first + 4],
            table[first + 5],
        )
        row_at, column_at, transposed = table[first + 6], table[first + 7], table[first + 8]
        j = 0
        while j < count:
            start = (column_at + j) // panel_width * panel_width
            wide = min(panel_width, columns - start)
            stop = min(count, start + wide - column_at)
            base = at + start * depth + row_at * wide + column_at - start
            for k in range(inner):
                if transposed:
                    for column in range(j, stop):
                        packed[base + k * wide + column] = matrix[column * inner + k]
                else:
                    for column in range(j, stop):
                        packed[base + k * wide + column] = matrix[k * count + column]
            j = stop


@njit(inline="always")
def collect(found, size, threads, table, lines):
    """Add up what threads found (`size` elements each) into torch's tensors."""
    for line in range(lines):
        first = line * _COLLECT
        to = pointed(found, table[first])
        at, width, inner, count = table[first + 1], table[first + 2], table[first + 3], table[first + 4]
        stride, adding = table[first + 5], table[first + 6]
        # Squares of a few cache lines: one side is read in order, the other written in order.
        for k_first in range(0, inner, 16):
            for j in range(count):
                for k in range(k_first, min(inner, k_first + 16)):
                    total = found[at + k * width + j]
                    for thread in range(1, threads):
                        total += found[thread * size + at + k * width + j]
                    if adding:
                        total += to[j * stride + k]
                    to[j * stride + k] = total
