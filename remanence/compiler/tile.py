"""The matrix products of a time loop: register tiles over rows that may lie anywhere.

A tile is `rows × vectors` accumulators that stay in registers while the inner dimension runs: broadcast one number,
multiply-add it to every register of a row of columns. Rows are named by lists of numbers, so that sequences of unequal
length, in any order and of any layout, are multiplied where they lie:

    a place     (pointer, list, stride)                      row m begins at pointer + list[m] * stride
    spread      c[m, :]  = start or 0 or c[m, :], + a[m, :] @ b      b packed into panels; what a step computes
    gather      c[i, :] += Σ_m a[m, i] * d[m, :]                     the gradient of a matrix
    sums        c[:]    += Σ_m d[m, :]                               the gradient of a vector

`b` is packed into panels (see `panels`). A remainder of rows or of columns uses a smaller tile, never a slower loop.
Plain loops over arrays reach about half of what these tiles do.

Numerics: each sum runs over the inner dimension in order (in up to four interleaved parts for tiles of few rows).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from llvmlite import ir

from remanence.compiler.linking import shifted
from remanence.compiler.machine import MACHINE
from remanence.compiler.staged import staged
from remanence.compiler.values import INT, Builder, Kind, Number, Pointer, Register, Value, cast, splatted
from remanence.compiler.vector import add_at, call_lanes, itemsize, load, register_at, register_of

__all__ = ["ADD", "FRESH", "START", "gather", "spread", "sums"]

ROWS, VECTORS = MACHINE.rows, MACHINE.vectors
ADD, FRESH, START = 0, 1, 2
"""What `spread` begins with: what is there, zero, or a row that all rows share."""
# Tiles with fewer accumulators than this would wait for the latency of a multiply-add; they interleave.
_BUSY = 12
Rows: TypeAlias = tuple[Value, Value, Number]
"""A place."""
Whole: TypeAlias = tuple[Number, ...]


def _number(value: int) -> ir.Constant:
    return ir.Constant(INT.type, value)


@dataclass
class _Place:
    """Rows of numbers in memory, as LLVM values: row m begins at pointer + list[m] * stride."""

    builder: Builder
    pointer: Any
    list: Any
    stride: Any

    def row(self, m: Any) -> Any:
        index = self.builder.load(self.builder.gep(self.list, [m]))
        return self.builder.gep(self.pointer, [self.builder.mul(index, self.stride)])


def _place(builder: Builder, rows: Rows) -> _Place:
    pointer, numbers, stride = rows
    return _Place(builder, pointer.ir, numbers.ir, cast(builder, stride, INT))


def _whole(builder: Builder, numbers: tuple[Number, ...]) -> list[Any]:
    return [cast(builder, number, INT) for number in numbers]


def _element(array: Value) -> Kind:
    assert isinstance(array.kind, Pointer)
    return array.kind.to


class _Tile:
    """Writes one tile as LLVM: a loop over the inner dimension with the accumulators as phi nodes.

    Args:
        kind: of an element.
        scalars: k → the addresses of the numbers to broadcast, one for each row.
        line: k → the address of the row of columns.
    """

    def __init__(
        self,
        builder: Builder,
        kind: Kind,
        shape: tuple[int, int],
        scalars: Callable[[Any], list[Any]],
        line: Callable[[Any], Any],
    ) -> None:
        self.builder, self.scalars, self.line = builder, scalars, line
        self.rows, self.vectors = shape
        self.register: Register = register_of(kind)
        self.itemsize, self.width, self.whole = itemsize(kind), self.register.width, self.register.type

    def registers(self, pointer: Any) -> list[Any]:
        """The addresses of a row's registers."""
        return [
            register_at(self.builder, self.builder.gep(pointer, [_number(v * self.width)]), self.register)
            for v in range(self.vectors)
        ]

    def load(self, pointers: list[Any]) -> list[Any]:
        return [self.builder.load(pointer, align=self.itemsize) for pointer in pointers]

    def step(self, sums: list[Any], k: Any) -> list[Any]:
        """One step of the inner dimension: sums + scalars ⊗ line."""
        row = self.load(self.registers(self.line(k)))
        result = []
        for r, scalar in enumerate(self.scalars(k)):
            wide = splatted(self.builder, self.builder.load(scalar), self.width)
            result += [self._fused(wide, row[v], sums[r * self.vectors + v]) for v in range(self.vectors)]
        return result

    def _fused(self, a: Any, b: Any, c: Any) -> Any:
        # Without the instruction, LLVM would call libm's fma for each lane.
        if MACHINE.fused:
            return call_lanes(self.builder, "fma", [a, b, c])
        return self.builder.fadd(self.builder.fmul(a, b), c)

    def loop(self, sums: list[Any], start: Any, stop: Any, parts: int) -> list[Any]:
        """Run k from start to stop (a multiple of `parts` apart); `sums` holds `parts` sets of accumulators."""
        builder = self.builder
        before = builder.block
        body, after = builder.append_basic_block("inner"), builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed("<", start, stop), body, after)
        builder.position_at_end(body)
        k = builder.phi(INT.type)
        k.add_incoming(start, before)
        phis = []
        for value in sums:
            phi = builder.phi(self.whole)
            phi.add_incoming(value, before)
            phis.append(phi)
        size = len(sums) // parts
        result = []
        for part in range(parts):
            result += self.step(phis[part * size : (part + 1) * size], builder.add(k, _number(part)))
        following = builder.add(k, _number(parts))
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

    def run(self, sums: list[Any], depth: Any) -> list[Any]:
        """The whole inner dimension."""
        parts, even = max(1, min(4, _BUSY // len(sums))), _number(0)
        if parts > 1:
            even = self.builder.sub(depth, self.builder.srem(depth, _number(parts)))
            size = len(sums)
            spread = self.loop(sums + [ir.Constant(self.whole, None)] * (size * (parts - 1)), _number(0), even, parts)
            sums = spread[:size]
            for part in range(1, parts):
                more = spread[part * size : (part + 1) * size]
                sums = [self.builder.fadd(left, right) for left, right in zip(sums, more, strict=True)]
        return self.loop(sums, even, depth, 1)

    def store(self, values: list[Any], pointers: list[Any]) -> None:
        for value, pointer in zip(values, pointers, strict=True):
            self.builder.store(value, pointer, align=self.itemsize)


def _for_each_shape(builder: Builder, rows: Any, vectors: Any, write: Callable[[int, int], None]) -> None:
    """Branch to the code of the tile that has these rows and vectors."""
    after, nowhere = builder.append_basic_block("after"), builder.append_basic_block("nowhere")
    choice = builder.switch(builder.add(builder.mul(rows, _number(VECTORS)), vectors), nowhere)
    for n_rows in range(1, ROWS + 1):
        for n_vectors in range(1, VECTORS + 1):
            block = builder.append_basic_block(f"tile_{n_rows}x{n_vectors}")
            choice.add_case(_number(n_rows * VECTORS + n_vectors), block)
            builder.position_at_end(block)
            write(n_rows, n_vectors)
            builder.branch(after)
    builder.position_at_end(nowhere)
    builder.unreachable()
    builder.position_at_end(after)


def _one_of(builder: Builder, choice: Any, ways: dict[int, Callable[[], list[Any]]]) -> list[Any]:
    """The registers that one of several ways makes, by its number."""
    after, nowhere = builder.append_basic_block("begun"), builder.append_basic_block("no_way")
    branch = builder.switch(choice, nowhere)
    made = []
    for number, make in ways.items():
        block = builder.append_basic_block(f"way_{number}")
        branch.add_case(_number(number), block)
        builder.position_at_end(block)
        made.append((make(), builder.block))
        builder.branch(after)
    builder.position_at_end(nowhere)
    builder.unreachable()
    builder.position_at_end(after)
    phis = []
    for values in zip(*(values for values, _ in made), strict=True):
        phi = builder.phi(values[0].type)
        for value, (_, block) in zip(values, made, strict=True):
            phi.add_incoming(value, block)
        phis.append(phi)
    return phis


def _spread_tile(c: Rows, a: Rows, at: tuple[Number, Number], panel: Value, start: Value, shape: Whole) -> None:
    """One tile of `spread`; `at` (first row, column of c), `shape` (depth, rows, vectors, mode)."""
    builder, kind = panel.builder, _element(panel)
    into, left = _place(builder, c), _place(builder, a)
    first, column = _whole(builder, at)
    depth, rows, vectors, mode = _whole(builder, shape)

    def write(n_rows: int, n_vectors: int) -> None:
        numbers = [builder.add(first, _number(r)) for r in range(n_rows)]
        a_rows = [left.row(m) for m in numbers]
        c_rows = [builder.gep(into.row(m), [column]) for m in numbers]
        step = _number(n_vectors * register_of(kind).width)
        work = _Tile(
            builder,
            kind,
            (n_rows, n_vectors),
            lambda k: [builder.gep(row, [k]) for row in a_rows],
            lambda k: builder.gep(panel.ir, [builder.mul(k, step)]),
        )
        places = [pointer for row in c_rows for pointer in work.registers(row)]
        shared = work.registers(builder.gep(start.ir, [column]))
        ways = {
            ADD: lambda: work.load(places),
            FRESH: lambda: [ir.Constant(work.whole, None)] * len(places),
            START: lambda: work.load(shared) * n_rows,
        }
        work.store(work.run(_one_of(builder, mode, ways), depth), places)

    _for_each_shape(builder, rows, vectors, write)


def _gather_tile(c: tuple[Value, Number], a: Rows, d: Rows, at: tuple[Number, Number], shape: Whole) -> None:
    """One tile of `gather`; c (pointer, stride), `at` (row i, column), `shape` (count, rows, vectors)."""
    builder, kind, into = c[0].builder, _element(d[0]), c[0].ir
    left, right = _place(builder, a), _place(builder, d)
    stride, row, column = _whole(builder, (c[1], *at))
    count, rows, vectors = _whole(builder, shape)

    def write(n_rows: int, n_vectors: int) -> None:
        def scalars(k: Any) -> list[Any]:
            first = builder.gep(left.row(k), [row])
            return [builder.gep(first, [_number(r)]) for r in range(n_rows)]

        work = _Tile(builder, kind, (n_rows, n_vectors), scalars, lambda k: builder.gep(right.row(k), [column]))
        places = []
        for r in range(n_rows):
            line = builder.mul(builder.add(row, _number(r)), stride)
            places += work.registers(builder.gep(into, [builder.add(line, column)]))
        work.store(work.run(work.load(places), count), places)

    _for_each_shape(builder, rows, vectors, write)


def _add_row(c: Value, d: Rows, m: Any, column: Number) -> None:
    """Add one register of row m of the place `d` to `c`."""
    row = Value(c.builder, d[0].kind, _place(c.builder, d).row(m.ir))
    add_at(c, column, load(row, column))


@staged
def spread(c, a, packed, start, width, shape):
    """Multiply rows by a packed matrix.

    Args:
        c, a: places of the results and of the left rows.
        packed: pointer to the panels.
        start: pointer to the row that all begin with, if `START`.
        width: elements of a register.
        shape: (rows, depth, columns, mode); columns are whole registers.
    """
    rows, depth, columns, mode = shape
    tiles = (rows + ROWS - 1) // ROWS
    column = 0
    while column < columns:
        vectors = min(VECTORS * width, columns - column) // width
        row = 0
        for tile in range(tiles):
            # Rows are dealt evenly: a last tile of one row would take as long as a full one.
            count = (rows - row + tiles - tile - 1) // (tiles - tile)
            _spread_tile(c, a, (row, column), shifted(packed, column * depth), start, (depth, count, vectors, mode))
            row += count
        column += VECTORS * width


@staged
def gather(c, a, d, width, shape):
    """Add up the products of rows: `c[i, :] += Σ_m a[m, i] * d[m, :]`.

    Args:
        c: (pointer, stride).
        a, d: places of the rows.
        width: elements of a register.
        shape: (count of rows m, units i, columns); columns are whole registers.
    """
    count, units, columns = shape
    tiles = (units + ROWS - 1) // ROWS
    column = 0
    while column < columns:
        vectors = min(VECTORS * width, columns - column) // width
        row = 0
        for tile in range(tiles):
            rows = (units - row + tiles - tile - 1) // (tiles - tile)
            _gather_tile(c, a, d, (row, column), (count, rows, vectors))
            row += rows
        column += VECTORS * width


@staged
def sums(c, d, width, shape):
    """Add rows up: `c[:] += Σ_m d[m, :]`; shape (count of rows, columns), columns in whole registers."""
    count, columns = shape
    for m in range(count):
        for column in range(0, columns, width):
            _add_row(c, d, m, column)
