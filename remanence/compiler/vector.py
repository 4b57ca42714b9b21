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
    "address",
    "at_least",
    "at_most",
    "call_lanes",
    "claim",
    "element_ir",
    "fetch",
    "intrinsic",
    "lane_sum",
    "lanes_at",
    "lanes_below",
    "load",
    "splat",
    "splat_value",
    "store",
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
                builder.shuffle_vector(rest, undefined, lanes_at(range(start, start + width))) for start in (0, width)
            )
            rest = builder.fadd(low, high)
        return builder.extract_element(rest, ir.Constant(ir.IntType(32), 0))

    return value.dtype(value), generate


def lanes_at(numbers: Any) -> ir.Constant:
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
