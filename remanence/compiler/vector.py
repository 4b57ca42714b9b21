"""What kernels do with registers: `load`, `store`, lanes, comparison by `where_positive`.

Loops over arrays leave it to LLVM whether a step is vectorised; it gives up once a cell reads more than a few
arrays, for it cannot prove that they do not overlap. A register is one by its kind, so every cell's pointwise part runs
at full width. No bounds are checked: an offset counts elements from where a pointer points to.

The width is that of `machine.MACHINE`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llvmlite import ir

from remanence.compiler.machine import MACHINE
from remanence.compiler.values import (
    FLOAT32,
    FLOAT64,
    INT,
    Builder,
    Kind,
    Number,
    Pointer,
    Register,
    Value,
    cast,
    splatted,
)

__all__ = [
    "add_at",
    "at_least",
    "at_most",
    "call_lanes",
    "claim",
    "declared",
    "fetch",
    "itemsize",
    "lane_sum",
    "lanes_at",
    "lanes_below",
    "load",
    "register_at",
    "register_of",
    "splat",
    "store",
    "where_positive",
    "zero_like",
]


def itemsize(kind: Kind) -> int:
    """Bytes of a floating number."""
    return 8 if kind == FLOAT64 else 4


def register_of(dtype: Kind) -> Register:
    """The register of this machine for a dtype.

    Raises:
        TypeError: it is none of floating numbers.
    """
    if dtype not in (FLOAT32, FLOAT64):
        raise TypeError(f"no register of {dtype.name}")
    return Register.of(dtype, MACHINE.width(itemsize(dtype)))


def declared(builder: Builder, name: str, kind: ir.FunctionType) -> Any:
    """A function of LLVM's, or of C's library, in the module that is being written."""
    known = builder.module.globals.get(name)
    return known if known is not None else ir.Function(builder.module, kind, name)


def call_lanes(builder: Builder, name: str, args: list[Any]) -> Any:
    """LLVM: one of its own functions (`fma`, `sqrt`, `fabs`) on registers or numbers."""
    kind = args[0].type
    element = getattr(kind, "element", kind)
    letters = "f64" if isinstance(element, ir.DoubleType) else "f32"
    lanes = f"v{kind.count}" if isinstance(kind, ir.VectorType) else ""
    return builder.call(
        declared(builder, f"llvm.{name}.{lanes}{letters}", ir.FunctionType(kind, [kind] * len(args))), args
    )


def register_at(builder: Builder, pointer: Any, kind: Register) -> Any:
    """LLVM: the same address, as a pointer to a register's worth of elements."""
    return builder.bitcast(pointer, kind.type.as_pointer())


def _element(array: Value) -> Kind:
    assert isinstance(array.kind, Pointer)
    return array.kind.to


def load(array: Value, offset: Number) -> Value:
    """One register from the array."""
    kind = register_of(_element(array))
    pointer = register_at(array.builder, array.at(offset), kind)
    return Value(array.builder, kind, array.builder.load(pointer, align=itemsize(kind.dtype)))


def store(array: Value, offset: Number, value: Value) -> None:
    """One register into the array."""
    kind = register_of(_element(array))
    pointer = register_at(array.builder, array.at(offset), kind)
    array.builder.store(cast(array.builder, value, kind), pointer, align=itemsize(kind.dtype))


def add_at(array: Value, offset: Number, value: Value) -> None:
    """Add one register to the array."""
    builder, kind = array.builder, register_of(_element(array))
    pointer, align = register_at(builder, array.at(offset), kind), itemsize(kind.dtype)
    builder.store(builder.fadd(builder.load(pointer, align=align), value.ir), pointer, align=align)


def _prefetched(array: Value, offset: Number, writes: int) -> None:
    builder, number, byte = array.builder, ir.IntType(32), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    given = [builder.bitcast(array.at(offset), byte), *(number(n) for n in (writes, 3, 1))]
    builder.call(declared(builder, "llvm.prefetch.p0", kind), given)


def fetch(array: Value, offset: Number) -> None:
    """Bring what will soon be read into the cache; the place need not exist."""
    _prefetched(array, offset, 0)


def claim(array: Value, offset: Number) -> None:
    """Bring what will soon be written into the cache; the place need not exist."""
    _prefetched(array, offset, 1)


def splat(array: Value, scalar: Number) -> Value:
    """The scalar in every lane, in the array's dtype."""
    kind = register_of(_element(array))
    return Value(array.builder, kind, splatted(array.builder, cast(array.builder, scalar, kind.dtype), kind.width))


def zero_like(value: Value) -> Value:
    """A register of zeros."""
    return Value(value.builder, value.kind, ir.Constant(value.kind.type, None))


def lanes_below(value: Value, count: Number) -> Value:
    """The value's first `count` lanes, zero in the rest (count may be any whole number)."""
    builder, kind = value.builder, value.kind
    assert isinstance(kind, Register)
    index = ir.VectorType(INT.type, kind.width)
    lanes = ir.Constant(index, [ir.Constant(INT.type, lane) for lane in range(kind.width)])
    below = builder.icmp_signed("<", lanes, splatted(builder, cast(builder, count, INT), kind.width))
    return Value(builder, kind, builder.select(below, value.ir, ir.Constant(kind.type, None)))


def lane_sum(value: Value) -> Value:
    """The sum of all lanes, as a scalar."""
    builder, kind, rest = value.builder, value.kind, value.ir
    assert isinstance(kind, Register)
    width = kind.width
    # Halving keeps the order of additions fixed, so a result does not depend on the compiler's mood.
    while width > 1:
        width //= 2
        undefined = ir.Constant(rest.type, ir.Undefined)
        low, high = (
            builder.shuffle_vector(rest, undefined, lanes_at(range(start, start + width))) for start in (0, width)
        )
        rest = builder.fadd(low, high)
    return Value(builder, kind.dtype, builder.extract_element(rest, ir.Constant(ir.IntType(32), 0)))


def lanes_at(numbers: Iterable[int]) -> ir.Constant:
    """LLVM: which lanes a shuffle takes."""
    listed = [ir.Constant(ir.IntType(32), number) for number in numbers]
    return ir.Constant(ir.VectorType(ir.IntType(32), len(listed)), listed)


def where_positive(test: Value, yes: Value, no: Value) -> Value:
    """Lane by lane `yes` where test > 0, else `no` (also where test is NaN)."""
    above = test.builder.fcmp_ordered(">", test.ir, ir.Constant(test.kind.type, None))
    return Value(test.builder, test.kind, test.builder.select(above, yes.ir, no.ir))


def _limited(sign: str, value: Value, limit: Number) -> Value:
    builder, kind = value.builder, value.kind
    assert isinstance(kind, Register)
    bound = splatted(builder, cast(builder, limit, kind.dtype), kind.width)
    return Value(builder, kind, builder.select(builder.fcmp_ordered(sign, value.ir, bound), bound, value.ir))


def at_most(value: Value, limit: Number) -> Value:
    """Clamped from above; a NaN stays (one instruction on x86)."""
    return _limited(">", value, limit)


def at_least(value: Value, limit: Number) -> Value:
    """Clamped from below; a NaN stays (one instruction on x86)."""
    return _limited("<", value, limit)
