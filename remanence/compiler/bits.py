"""Registers inside Numba kernels by their bits: reciprocals, powers of two, exponents."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from remanence.compiler.machine import MACHINE
from remanence.compiler.vector import Vector, call_lanes, element_ir, intrinsic, splat_value

__all__ = ["exponent_of", "reciprocal", "scale_by", "scale_once"]


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
