"""Vectors of a fixed width as values inside Numba kernels: `load`, `store`, arithmetic, comparison by `where`.

Loops over arrays leave it to LLVM whether a step is vectorised; it gives up once a cell reads more than a few
arrays, for it cannot prove that they do not overlap. A `Vector` is one machine register (or a few) by type, so
every cell's pointwise part runs at full width. No bounds are checked: an offset counts elements from the start of a
C-contiguous array.

The width is that of `machine.MACHINE`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from llvmlite import ir
from numba import extending
from numba.core import cgutils, types
from numba.core.typing import templates
from numba.core.typing.templates import AbstractTemplate, signature
from numba.extending import lower_builtin, models, register_model

from remanence.compiler.machine import MACHINE

# Numba's decorator turns a typing rule into a function of other arguments, which no type checker can follow.
intrinsic: Any = extending.intrinsic
infer_global: Any = templates.infer_global
# llvmlite's builder is annotated as returning None for most of what it builds; numba's types lack their attributes.
Builder: TypeAlias = Any
Value: TypeAlias = Any
Kind: TypeAlias = Any

__all__ = [
    "Builder",
    "Kind",
    "Value",
    "Vector",
    "add_at",
    "add_square",
    "address",
    "at_least",
    "at_most",
    "call_lanes",
    "claim",
    "element_ir",
    "exponent_of",
    "fetch",
    "intrinsic",
    "lane_sum",
    "lanes_below",
    "load",
    "load_square",
    "reciprocal",
    "scale_by",
    "scale_once",
    "splat",
    "splat_value",
    "store",
    "store_square",
    "turn_square",
    "vector_of",
    "vector_pointer",
    "where_positive",
    "zero_like",
]


class Vector(types.Type):
    """Numba's type of a register: `dtype` float32 or float64, `width` lanes."""

    def __init__(self, dtype: Kind, width: int) -> None:
        self.dtype, self.width = dtype, width
        super().__init__(name=f"Vector({dtype}, {width})")


def element_ir(dtype: Kind) -> ir.Type:
    """The LLVM type of one lane."""
    return ir.DoubleType() if dtype == types.float64 else ir.FloatType()


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, ir.VectorType(element_ir(kind.dtype), kind.width))


def vector_of(dtype: Kind) -> Vector:
    """The register type of this machine for a dtype."""
    return Vector(dtype, MACHINE.width(dtype.bitwidth // 8))


def splat_value(builder: Builder, scalar: Value, width: int) -> Value:
    """LLVM: the scalar in every lane."""
    whole = ir.VectorType(scalar.type, width)
    first = builder.insert_element(ir.Constant(whole, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), width), None)
    return builder.shuffle_vector(first, ir.Constant(whole, ir.Undefined), zeros)


def call_lanes(builder: Builder, name: str, args: list[Value]) -> Value:
    """LLVM: one of its own functions (`fma`, `sqrt`, `fabs`) on registers."""
    kind = args[0].type
    letter = "f64" if isinstance(kind.element, ir.DoubleType) else "f32"
    function = ir.FunctionType(kind, [kind] * len(args))
    called = cgutils.get_or_insert_function(builder.module, function, f"llvm.{name}.v{kind.count}{letter}")
    return builder.call(called, args)


def address(context: Any, builder: Builder, kind: types.Type, array: Value, offset: Value) -> Value:
    """LLVM: a pointer to the element `offset` places after the first of an array, or of what a pointer points to."""
    data = array if isinstance(kind, types.CPointer) else context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [offset], inbounds=True)


def vector_pointer(builder: Builder, pointer: Value, kind: ir.Type) -> Value:
    """LLVM: the same address, as a pointer to a register's worth of elements."""
    return builder.bitcast(pointer, kind.as_pointer())


@intrinsic
def load(typing_context: Any, array: Any, offset: Any) -> Any:
    """`load(array, offset)`: one register from the array."""
    kind = vector_of(array.dtype)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        whole = context.get_value_type(kind)
        pointer = address(context, builder, sig.args[0], args[0], args[1])
        return builder.load(vector_pointer(builder, pointer, whole), align=kind.dtype.bitwidth // 8)

    return kind(array, types.intp), generate


@intrinsic
def store(typing_context: Any, array: Any, offset: Any, value: Any) -> Any:
    """`store(array, offset, value)`: one register into the array."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = address(context, builder, sig.args[0], args[0], args[1])
        builder.store(args[2], vector_pointer(builder, pointer, args[2].type), align=value.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def add_at(typing_context: Any, array: Any, offset: Any, value: Any) -> Any:
    """`add_at(array, offset, value)`: add one register to the array."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = address(context, builder, sig.args[0], args[0], args[1])
        whole = vector_pointer(builder, pointer, args[2].type)
        align = value.dtype.bitwidth // 8
        builder.store(builder.fadd(builder.load(whole, align=align), args[2]), whole, align=align)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


def _prefetch(writes: int) -> Any:
    @intrinsic
    def apply(typing_context: Any, array: Any, offset: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            pointer = address(context, builder, sig.args[0], args[0], args[1])
            number, byte = ir.IntType(32), ir.IntType(8).as_pointer()
            kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
            called = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            builder.call(called, [builder.bitcast(pointer, byte), *(number(n) for n in (writes, 3, 1))])
            return context.get_dummy_value()

        return types.void(array, types.intp), generate

    return apply


fetch, claim = _prefetch(0), _prefetch(1)
"""`fetch(array, offset)`, `claim(array, offset)`: bring what will soon be read or written into the cache; the
place need not exist."""


@intrinsic
def splat(typing_context: Any, array: Any, scalar: Any) -> Any:
    """`splat(array, scalar)`: the scalar in every lane, in the array's dtype."""
    kind = vector_of(array.dtype)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = context.cast(builder, args[1], scalar, kind.dtype)
        return splat_value(builder, value, kind.width)

    return kind(array, scalar), generate


@intrinsic
def zero_like(typing_context: Any, value: Any) -> Any:
    """`zero_like(value)`: a register of zeros."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(args[0].type, None)

    return value(value), generate


@intrinsic
def lanes_below(typing_context: Any, value: Any, count: Any) -> Any:
    """`lanes_below(value, count)`: the value's first `count` lanes, zero in the rest (count may be any integer)."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        index = ir.VectorType(ir.IntType(64), value.width)
        lanes = ir.Constant(index, [ir.Constant(ir.IntType(64), lane) for lane in range(value.width)])
        below = builder.icmp_signed("<", lanes, splat_value(builder, args[1], value.width))
        return builder.select(below, args[0], ir.Constant(args[0].type, None))

    return value(value, types.int64), generate


@intrinsic
def lane_sum(typing_context: Any, value: Any) -> Any:
    """`lane_sum(value)`: the sum of all lanes, as a scalar."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        (rest,) = args
        width = value.width
        # Halving keeps the order of additions fixed, so a result does not depend on the compiler's mood.
        while width > 1:
            width //= 2
            undefined = ir.Constant(rest.type, ir.Undefined)
            low, high = (
                builder.shuffle_vector(rest, undefined, _indices(range(start, start + width))) for start in (0, width)
            )
            rest = builder.fadd(low, high)
        return builder.extract_element(rest, ir.Constant(ir.IntType(32), 0))

    return value.dtype(value), generate


def _indices(numbers: Any) -> ir.Constant:
    listed = [ir.Constant(ir.IntType(32), number) for number in numbers]
    return ir.Constant(ir.VectorType(ir.IntType(32), len(listed)), listed)


@intrinsic
def where_positive(typing_context: Any, test: Any, yes: Any, no: Any) -> Any:
    """`where_positive(test, yes, no)`: lane by lane `yes` where test > 0, else `no` (also where test is NaN)."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        above = builder.fcmp_ordered(">", args[0], ir.Constant(args[0].type, None))
        return builder.select(above, args[1], args[2])

    return test(test, test, test), generate


def _limit(predicate: str) -> Any:
    @intrinsic
    def apply(typing_context: Any, value: Any, limit: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            bound = splat_value(builder, context.cast(builder, args[1], limit, value.dtype), value.width)
            return builder.select(builder.fcmp_ordered(predicate, args[0], bound), bound, args[0])

        return value(value, limit), generate

    return apply


at_most, at_least = _limit(">"), _limit("<")
"""`at_most(value, limit)`, `at_least(value, limit)`: clamped; a NaN stays (one instruction on x86)."""


@intrinsic
def reciprocal(typing_context: Any, value: Any) -> Any:
    """`reciprocal(value)`: 1 / value, to a unit in the last place; the value neither 0 nor infinite nor subnormal."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        (whole,) = args
        one = splat_value(builder, ir.Constant(element_ir(value.dtype), 1.0), value.width)
        if MACHINE.name != "avx512" or value.dtype != types.float32:
            return builder.fdiv(one, whole)
        # 14 bits by table, doubled by a step of Newton's: a division keeps the unit busy for longer.
        mask = ir.IntType(16)
        kind = ir.FunctionType(whole.type, [whole.type, whole.type, mask])
        table = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.rcp14.ps.512")
        rough = builder.call(table, [whole, ir.Constant(whole.type, None), ir.Constant(mask, -1)])
        error = call_lanes(builder, "fma", [builder.fneg(whole), rough, one])
        return call_lanes(builder, "fma", [rough, error, rough])

    return value(value), generate


_MANTISSA, _BIAS = 23, 127
"""Bits of a float32's fraction, and what its exponent is shifted by."""


def _lanes_of(value: Vector, number: int) -> ir.Constant:
    kind = ir.IntType(32)
    return ir.Constant(ir.VectorType(kind, value.width), [ir.Constant(kind, number)] * value.width)


@intrinsic
def scale_by(typing_context: Any, value: Any, power: Any) -> Any:
    """`scale_by(value, power)`: value · 2^(power - 1.5 · 2^23), float32.

    The power is a whole number that was rounded by adding 1.5 · 2^23 to it, and at most 254 from zero.
    """

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        whole, rounded = args
        lanes = ir.VectorType(ir.IntType(32), value.width)
        number = builder.sub(builder.bitcast(rounded, lanes), _lanes_of(value, 0x4B400000))
        # In two steps, for what is larger or smaller than any power of two that a float32 holds.
        half = builder.ashr(number, _lanes_of(value, 1))
        for part in (half, builder.sub(number, half)):
            bits = builder.shl(builder.add(part, _lanes_of(value, _BIAS)), _lanes_of(value, _MANTISSA))
            whole = builder.fmul(whole, builder.bitcast(bits, whole.type))
        return whole

    return value(value, value), generate


@intrinsic
def scale_once(typing_context: Any, value: Any, power: Any) -> Any:
    """`scale_once(value, power)`: the same in two instructions, where value and result are positive and normal; what is
    less comes out as something that is less than any normal number."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        whole, rounded = args
        lanes = ir.VectorType(ir.IntType(32), value.width)
        # Of what was added to the power, no bit is left.
        moved = builder.shl(builder.bitcast(rounded, lanes), _lanes_of(value, _MANTISSA))
        return builder.bitcast(builder.add(builder.bitcast(whole, lanes), moved), whole.type)

    return value(value, value), generate


@intrinsic
def exponent_of(typing_context: Any, value: Any) -> Any:
    """`exponent_of(value)`: (fraction, exponent) with value = fraction · 2^exponent, fraction in [√½, √2); float32.

    The value is positive, finite and not subnormal; both come as registers of float32.
    """
    pair = types.UniTuple(value, 2)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        (whole,) = args
        bits = builder.bitcast(whole, ir.VectorType(ir.IntType(32), value.width))
        above = builder.sub(bits, _lanes_of(value, 0x3F3504F3))
        exponent = builder.ashr(above, _lanes_of(value, _MANTISSA))
        fraction = builder.sub(bits, builder.shl(exponent, _lanes_of(value, _MANTISSA)))
        found = [builder.bitcast(fraction, whole.type), builder.sitofp(exponent, whole.type)]
        return context.make_tuple(builder, sig.return_type, found)

    return pair(value), generate


# --- squares: as many registers as a register has lanes ---------------------------------------------------------------


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
            upper = _indices(lane if not lane & half else width + lane - half for lane in range(width))
            lower = _indices(lane + half if not lane & half else width + lane for lane in range(width))
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


# --- arithmetic: +, -, *, / between registers and numbers ------------------------------------------------------------

_CONTRACT = ("contract",)
_ARITHMETIC: dict[Callable[..., Any], str] = {
    operator.add: "fadd",
    operator.sub: "fsub",
    operator.mul: "fmul",
    operator.truediv: "fdiv",
}


def _register(function: Callable[..., Any], instruction: str) -> None:
    @infer_global(function)
    class _Typing(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if kws or len(args) != 2:
                return None
            kinds = [kind for kind in args if isinstance(kind, Vector)]
            others = [kind for kind in args if not isinstance(kind, Vector)]
            if not kinds or any(kind != kinds[0] for kind in kinds):
                return None
            if not all(isinstance(kind, types.Number | types.IntegerLiteral) for kind in others):
                return None
            return signature(kinds[0], *args)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = sig.return_type
        both = []
        for value, came in zip(args, sig.args, strict=True):
            if not isinstance(came, Vector):
                value = splat_value(builder, context.cast(builder, value, came, kind.dtype), kind.width)
            both.append(value)
        return getattr(builder, instruction)(*both, flags=_CONTRACT)

    for left, right in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(function, left, right)(generate)


for _function, _instruction in _ARITHMETIC.items():
    _register(_function, _instruction)


@infer_global(operator.neg)
class _NegTyping(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        return signature(args[0], args[0]) if len(args) == 1 and isinstance(args[0], Vector) else None


@lower_builtin(operator.neg, Vector)
def _negate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.fneg(args[0])
