"""Between torch's matrices and what the tiles read and write: packing into panels, collecting gradients.

The right matrix of a product is packed once per call: columns, padded to whole registers, are cut into panels of
`MACHINE.vectors` registers (the last may be narrower); within a panel the inner dimension is the row: panel p starts at
p · panel_width · depth. So a tile reads memory in one stream. Gradients come from the tiles transposed, one for each
thread.

Both are driven by `tables`, and run as kernels do: every thread takes its share. Matrices are transposed in squares of
registers; a column of a matrix whose rows lie a power of two apart would meet few lines of the cache.
"""

from __future__ import annotations

from remanence.compiler.linking import shifted
from remanence.compiler.machine import MACHINE
from remanence.compiler.squares import add_square, load_square, store_square, turn_square
from remanence.compiler.staged import staged
from remanence.compiler.tables import COLLECT, PACK, TABLE_HEAD

__all__ = ["collect", "pack", "padded"]

VECTORS = MACHINE.vectors
_HEAD, _PACK, _COLLECT = len(TABLE_HEAD), len(PACK), len(COLLECT)


def padded(size: int, itemsize: int) -> int:
    """Round a number of columns up to whole registers."""
    width = MACHINE.width(itemsize)
    return -(-size // width) * width


@staged
def _turn(to, to_stride, source, stride, shape, width):
    """`to[k, j] = source[j, k]`; shape (j, k)."""
    rows, columns = shape
    for j in range(0, rows, width):
        for k in range(0, columns, width):
            if j + width <= rows and k + width <= columns:
                store_square(to, k * to_stride + j, to_stride, turn_square(load_square(source, j * stride + k, stride)))
            else:
                for a in range(j, min(j + width, rows)):
                    for b in range(k, min(k + width, columns)):
                        to[b * to_stride + a] = source[a * stride + b]


@staged
def pack(part, table, bases, width):
    """Copy matrices into panels, which are zero where no matrix comes.

    Args:
        part: of the table's; each fills panels of its own.
        table: see `tables`.
        bases: pointers to elements.
        width: elements of a register.
    """
    panel_width = VECTORS * width
    lines, parts = table[0], table[1]
    for line in range(lines):
        at = _HEAD + line * _PACK
        matrix = shifted(bases[table[at]], table[at + 1])
        packed = shifted(bases[table[at + 2]], table[at + 3])
        inner, count, depth, columns = table[at + 4], table[at + 5], table[at + 6], table[at + 7]
        row_at, column_at, transposed = table[at + 8], table[at + 9], table[at + 10]
        j = 0
        while j < count:
            panel = (column_at + j) // panel_width
            start = panel * panel_width
            wide = min(panel_width, columns - start)
            stop = min(count, start + wide - column_at)
            if panel % parts == part:
                first = start * depth + row_at * wide + column_at + j - start
                if transposed:
                    _turn(shifted(packed, first), wide, shifted(matrix, j * inner), inner, (stop - j, inner), width)
                else:
                    for k in range(inner):
                        for column in range(stop - j):
                            packed[first + k * wide + column] = matrix[k * count + j + column]
            j = stop


@staged
def collect(part, table, bases, width):
    """Add up what threads found into torch's tensors; arguments as of `pack`."""
    lines, parts = table[0], table[1]
    for line in range(lines):
        at = _HEAD + line * _COLLECT
        found = shifted(bases[table[at]], table[at + 1])
        to = shifted(bases[table[at + 2]], table[at + 3])
        size, threads, wide, inner = table[at + 4], table[at + 5], table[at + 6], table[at + 7]
        count, stride, adding = table[at + 8], table[at + 9], table[at + 10]
        for j in range(0, count, width):
            # What is added to the same place comes from the same part, in order.
            if j // width % parts != part:
                continue
            for k in range(0, inner, width):
                if j + width <= count and k + width <= inner:
                    square = load_square(found, k * wide + j, wide)
                    for thread in range(1, threads):
                        square = add_square(square, found, thread * size + k * wide + j, wide)
                    square = turn_square(square)
                    if adding:
                        square = add_square(square, to, j * stride + k, stride)
                    store_square(to, j * stride + k, stride, square)
                else:
                    for a in range(j, min(j + width, count)):
                        for b in range(k, min(k + width, inner)):
                            total = found[b * wide + a]
                            for thread in range(1, threads):
                                total += found[thread * size + b * wide + a]
                            if adding:
                                total += to[a * stride + b]
                            to[a * stride + b] = total
