"""The matrix product inside a time loop: register tiles over packed column panels.

A tile is `rows × vectors` accumulators that stay in registers while the inner dimension runs: broadcast one number
of the left matrix, multiply-add it to every register of the panel's row. The right matrix is packed once per call:

    columns, padded to whole registers, are cut into panels of `MACHINE.vectors` registers (the last may be narrower);
    within a panel, the inner dimension is the row: panel p starts at p · panel_width · depth, its row k at k · width(p)

so that the tile reads memory in one stream. A remainder of rows or of columns uses a smaller tile, never a slower loop.
Loops over arrays in plain Numba reach about half of what these tiles do.

    accumulate(c, c_at, c_stride, a, a_at, a_stride, rows, packed, packed_at, depth, columns, fresh)     c += a @ b

Numerics: each sum runs over the inner dimension in order (in up to four interleaved parts for tiles of few rows).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit
from numba.core import types

from remanence.compiler.vector import (
    MACHINE,
    Builder,
    Kind,
    Value,
    address,
    call_lanes,
    element_ir,
    intrinsic,
    splat_value,
    vector_pointer,
)

__all__ = ["LAUNCH", "TILES", "accumulate", "call_part", "multiply", "pack", "packed_size", "padded", "tile"]

ROWS, VECTORS, MACHINE_BYTES = MACHINE.rows, MACHINE.vectors, MACHINE.bytes
# Tiles with fewer accumulators than this would wait for the latency of a multiply-add; they interleave.
_BUSY = 10


def padded(size: int, itemsize: int) -> int:
    """Round a number of columns up to whole registers."""
    width = MACHINE.width(itemsize)
    return -(-size // width) * width


def packed_size(columns: int, depth: int, itemsize: int) -> int:
    """Elements of a packed matrix with `columns` columns (before padding) and inner dimension `depth`."""
    return padded(columns, itemsize) * depth


@njit(nogil=True, error_model="numpy")
def pack(matrix, packed, packed_at, depth, columns, row_at, column_at, transposed):
    """Copy a matrix into panels, its inner dimension from `row_at` on, its columns from `column_at` on.

    Args:
        matrix: `[inner, column]`, or `[column, inner]` if `transposed` (as torch keeps weights); any strides.
        packed: flat, zeroed before the first call; `columns` (padded) × `depth` elements from `packed_at` on.
    """
    panel_width = VECTORS * (MACHINE_BYTES // packed.itemsize)
    inner = matrix.shape[1] if transposed else matrix.shape[0]
    count = matrix.shape[0] if transposed else matrix.shape[1]
    for j in range(count):
        column = column_at + j
        panel = column // panel_width
        start = panel * panel_width
        width = min(panel_width, columns - start)
        base = packed_at + start * depth + (column - start) + row_at * width
        if transposed:
            for k in range(inner):
                packed[base + k * width] = matrix[j, k]
        else:
            for k in range(inner):
                packed[base + k * width] = matrix[k, j]


def _fused(builder: Builder, a: Value, b: Value, c: Value) -> Value:
    # Without the instruction, LLVM would call libm's fma for each lane.
    return call_lanes(builder, "fma", [a, b, c]) if MACHINE.fused else builder.fadd(builder.fmul(a, b), c)


class _Tile:
    """Writes one tile as LLVM: a loop over the inner dimension with the accumulators as phi nodes."""

    def __init__(self, builder: Builder, kind: Kind, rows: int, vectors: int) -> None:
        self.builder, self.rows, self.vectors = builder, rows, vectors
        self.itemsize = kind.bitwidth // 8
        self.width = MACHINE.width(self.itemsize)
        self.whole = ir.VectorType(element_ir(kind), self.width)
        self.index = ir.IntType(64)

    def constant(self, number: int) -> Value:
        return ir.Constant(self.index, number)

    def load(self, pointer: Value, offset: Value) -> Value:
        place = vector_pointer(self.builder, self.builder.gep(pointer, [offset], inbounds=True), self.whole)
        return self.builder.load(place, align=self.itemsize)

    def cells(self) -> list[tuple[int, int]]:
        return [(r, v) for r in range(self.rows) for v in range(self.vectors)]

    def row_pointers(self, pointer: Value, stride: Value) -> list[Value]:
        return [
            self.builder.gep(pointer, [self.builder.mul(stride, self.constant(r))], inbounds=True)
            for r in range(self.rows)
        ]

    def multiply(self, sums: list[Value], a_rows: list[Value], panel: Value, k: Value) -> list[Value]:
        """One step of the inner dimension: sums + a[:, k] ⊗ panel[k, :]."""
        builder = self.builder
        start = builder.mul(k, self.constant(self.vectors * self.width))
        row = [self.load(panel, builder.add(start, self.constant(v * self.width))) for v in range(self.vectors)]
        result = []
        for r in range(self.rows):
            one = builder.load(builder.gep(a_rows[r], [k], inbounds=True))
            wide = splat_value(builder, one, self.width)
            result += [_fused(builder, wide, row[v], sums[r * self.vectors + v]) for v in range(self.vectors)]
        return result

    def loop(
        self, sums: list[Value], a_rows: list[Value], panel: Value, start: Value, stop: Value, parts: int
    ) -> list[Value]:
        """Run k from start to stop (a multiple of `parts` apart); `sums` holds `parts` sets of accumulators."""
        builder = self.builder
        before = builder.block
        body, after = builder.append_basic_block("inner"), builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed("<", start, stop), body, after)
        builder.position_at_end(body)
        k = builder.phi(self.index)
        k.add_incoming(start, before)
        phis = []
        for value in sums:
            phi = builder.phi(self.whole)
            phi.add_incoming(value, before)
            phis.append(phi)
        size = len(sums) // parts
        result = []
        for part in range(parts):
            step = builder.add(k, self.constant(part))
            result += self.multiply(phis[part * size : (part + 1) * size], a_rows, panel, step)
        following = builder.add(k, self.constant(parts))
        k.add_incoming(following, builder.block)
        for phi, value in zip(phis, result, strict=True):
            phi.add_incoming(value, builder.block)
        last = builder.block
        builder.cbranch(builder.icmp_signed("<", following, stop), body, after)
        builder.position_at_end(after)
        ends = []
        for value, final in zip(sums, result, strict=True):
            phi = builder.phi(self.whole)
            phi.add_incoming(value, before)
            phi.add_incoming(final, last)
            ends.append(phi)
        return ends

    def run(self, c_rows: list[Value], a_rows: list[Value], panel: Value, depth: Value, fresh: Value) -> None:
        """The whole tile: load the accumulators (zero if `fresh`), run the inner dimension, store them."""
        builder = self.builder
        places = [
            vector_pointer(builder, builder.gep(c_rows[r], [self.constant(v * self.width)], inbounds=True), self.whole)
            for r, v in self.cells()
        ]
        nothing = ir.Constant(self.whole, None)
        sums = [builder.select(fresh, nothing, builder.load(place, align=self.itemsize)) for place in places]
        parts, even = max(1, min(4, _BUSY // len(sums))), depth
        if parts > 1:
            zero = ir.Constant(self.whole, None)
            even = builder.sub(depth, builder.srem(depth, self.constant(parts)))
            spread = sums + [zero] * (len(sums) * (parts - 1))
            spread = self.loop(spread, a_rows, panel, self.constant(0), even, parts)
            sums = spread[: len(places)]
            for part in range(1, parts):
                more = spread[part * len(places) : (part + 1) * len(places)]
                sums = [builder.fadd(left, right) for left, right in zip(sums, more, strict=True)]
        sums = self.loop(sums, a_rows, panel, even if parts > 1 else self.constant(0), depth, 1)
        for place, value in zip(places, sums, strict=True):
            builder.store(value, place, align=self.itemsize)


@intrinsic
def tile(typing_context, c, c_at, c_stride, a, a_at, a_stride, packed, packed_at, depth, rows, vectors, fresh):
    """`c[rows, vectors registers] += a[rows, depth] @ panel` (`=` if `fresh`), for every smaller tile too."""
    size = types.intp

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        c_first = address(context, builder, c, args[0], args[1])
        a_first = address(context, builder, a, args[3], args[4])
        panel = address(context, builder, packed, args[6], args[7])
        after, nowhere = builder.append_basic_block("after"), builder.append_basic_block("nowhere")
        count = ir.Constant(args[9].type, VECTORS)
        choice = builder.switch(builder.add(builder.mul(args[9], count), args[10]), nowhere)
        for n_rows in range(1, ROWS + 1):
            for n_vectors in range(1, VECTORS + 1):
                block = builder.append_basic_block(f"tile_{n_rows}x{n_vectors}")
                choice.add_case(ir.Constant(args[9].type, n_rows * VECTORS + n_vectors), block)
                builder.position_at_end(block)
                work = _Tile(builder, c.dtype, n_rows, n_vectors)
                work.run(
                    work.row_pointers(c_first, args[2]), work.row_pointers(a_first, args[5]), panel, args[8], args[11]
                )
                builder.branch(after)
        builder.position_at_end(nowhere)
        builder.unreachable()
        builder.position_at_end(after)
        return context.get_dummy_value()

    return types.void(c, size, size, a, size, size, packed, size, size, size, size, types.boolean), generate


@intrinsic
def multiply(
    typing_context, tiles, c, c_at, c_stride, a, a_at, a_stride, rows, packed, packed_at, depth, columns, fresh
):
    """`accumulate`, by the address that it was compiled to (an integer, `tiles`).

    The tiles are most of the machine code; kernels that call them by address need not compile them again.
    """
    size = types.intp

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        element, index = element_ir(c.dtype).as_pointer(), ir.IntType(64)
        kinds = [element, index, element, index, index, element, index, index, index]
        function = builder.inttoptr(args[0], ir.FunctionType(ir.VoidType(), kinds).as_pointer())
        places = [address(context, builder, kind, args[i], args[i + 1]) for i, kind in ((1, c), (4, a), (8, packed))]
        whether = builder.zext(args[12], index)
        builder.call(
            function, [places[0], args[3], places[1], args[6], args[7], places[2], args[10], args[11], whether]
        )
        return context.get_dummy_value()

    return types.void(size, c, size, size, a, size, size, size, packed, size, size, size, types.boolean), generate


@intrinsic
def call_part(typing_context, kernel, part, numbers, arrays):
    """Call a kernel by its address: `kernel(part, numbers, arrays)`, all given as integers."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        index, byte = ir.IntType(64), ir.IntType(8).as_pointer()
        kinds = [index, index.as_pointer(), byte.as_pointer()]
        function = builder.inttoptr(args[0], ir.FunctionType(ir.VoidType(), kinds).as_pointer())
        builder.call(function, [args[1], builder.inttoptr(args[2], kinds[1]), builder.inttoptr(args[3], kinds[2])])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), generate


TILES = '''"""Written by remanence: the tiles of matrix products in one dtype, compiled once for all kernels."""

from numba import carray, cfunc, types

from remanence.compiler.tile import accumulate, pack

POINTER = types.CPointer(types.{dtype})
LONG = types.int64


@cfunc(types.void(POINTER, LONG, POINTER, LONG, LONG, POINTER, LONG, LONG, LONG), cache=True, error_model="numpy")
def tiles(c, c_stride, a, a_stride, rows, packed, depth, columns, fresh):
    accumulate(
        carray(c, 1), 0, c_stride, carray(a, 1), 0, a_stride, rows, carray(packed, 1), 0, depth, columns, fresh != 0
    )


@cfunc(types.void(POINTER, LONG, LONG, POINTER, LONG, LONG, LONG, LONG, LONG, LONG), cache=True, error_model="numpy")
def pack_panels(matrix, rows, columns, packed, at, depth, wide, row_at, column_at, transposed):
    pack(carray(matrix, (rows, columns)), carray(packed, 1), at, depth, wide, row_at, column_at, transposed != 0)
'''
"""Source of the module of what all kernels of a dtype share."""

LAUNCH = '''"""Written by remanence: a kernel over all threads of the pool, compiled once for all kernels."""

from numba import njit, prange, types

from remanence.compiler.tile import call_part


@njit(types.void(types.int64, types.int64, types.int64, types.int64), parallel=True, nogil=True, cache=True)
def launch(kernel, numbers, arrays, parts):
    for part in prange(parts):
        call_part(kernel, part, numbers, arrays)
'''
"""Source of the launcher."""


@njit(nogil=True, error_model="numpy")
def accumulate(c, c_at, c_stride, a, a_at, a_stride, rows, packed, packed_at, depth, columns, fresh):
    """Add `a @ b` to `c` (set it if `fresh`): rows `rows`, inner dimension `depth`, `columns` of the packed `b`.

    `c_at`, `a_at` count elements to the first one of each; `c_stride`, `a_stride` from one row to the next.
    """
    width = MACHINE_BYTES // packed.itemsize
    panel_width = VECTORS * width
    column = 0
    while column < columns:
        vectors = min(panel_width, columns - column) // width
        row = 0
        while row < rows:
            count = min(ROWS, rows - row)
            c_here, a_here = c_at + row * c_stride + column, a_at + row * a_stride
            tile(
                c,
                c_here,
                c_stride,
                a,
                a_here,
                a_stride,
                packed,
                packed_at + column * depth,
                depth,
                count,
                vectors,
                fresh,
            )
            row += count
        column += panel_width
