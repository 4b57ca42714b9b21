"""Registers by their bits: reciprocals, powers of two, exponents."""

from __future__ import annotations

from llvmlite import ir

from remanence.compiler.machine import MACHINE
from remanence.compiler.values import FLOAT32, Register, Value, splatted
from remanence.compiler.vector import call_lanes, declared

__all__ = ["exponent_of", "reciprocal", "scale_by", "scale_once"]

_MANTISSA, _BIAS = 23, 127
"""Bits of a float32's fraction, and what its exponent is shifted by."""


def reciprocal(value: Value) -> Value:
    """1 / value, to a unit in the last place; the value neither 0 nor infinite nor subnormal."""
    builder, kind, whole = value.builder, value.kind, value.ir
    assert isinstance(kind, Register)
    one = splatted(builder, ir.Constant(kind.dtype.type, 1.0), kind.width)
    if MACHINE.name != "avx512" or kind.dtype != FLOAT32:
        return Value(builder, kind, builder.fdiv(one, whole))
    # 14 bits by table, doubled by a step of Newton's: a division keeps the unit busy for longer.
    mask = ir.IntType(16)
    signature = ir.FunctionType(whole.type, [whole.type, whole.type, mask])
    table = declared(builder, "llvm.x86.avx512.rcp14.ps.512", signature)
    rough = builder.call(table, [whole, ir.Constant(whole.type, None), ir.Constant(mask, -1)])
    error = call_lanes(builder, "fma", [builder.fneg(whole), rough, one])
    return Value(builder, kind, call_lanes(builder, "fma", [rough, error, rough]))


def _lanes_of(value: Value, number: int) -> ir.Constant:
    kind = ir.IntType(32)
    assert isinstance(value.kind, Register)
    return ir.Constant(ir.VectorType(kind, value.kind.width), [ir.Constant(kind, number)] * value.kind.width)


def scale_by(value: Value, power: Value) -> Value:
    """value · 2^(power - 1.5 · 2^23), float32.

    The power is a whole number that was rounded by adding 1.5 · 2^23 to it, and at most 254 from zero.
    """
    builder, whole = value.builder, value.ir
    bias, mantissa = _lanes_of(value, _BIAS), _lanes_of(value, _MANTISSA)
    number = builder.sub(builder.bitcast(power.ir, bias.type), _lanes_of(value, 0x4B400000))
    # In two steps, for what is larger or smaller than any power of two that a float32 holds.
    half = builder.ashr(number, _lanes_of(value, 1))
    for part in (half, builder.sub(number, half)):
        bits = builder.shl(builder.add(part, bias), mantissa)
        whole = builder.fmul(whole, builder.bitcast(bits, whole.type))
    return Value(builder, value.kind, whole)


def scale_once(value: Value, power: Value) -> Value:
    """The same in two instructions, where value and result are positive and normal; what is less comes out as something
    that is less than any normal number."""
    builder, mantissa = value.builder, _lanes_of(value, _MANTISSA)
    # Of what was added to the power, no bit is left.
    moved = builder.shl(builder.bitcast(power.ir, mantissa.type), mantissa)
    added = builder.add(builder.bitcast(value.ir, mantissa.type), moved)
    return Value(builder, value.kind, builder.bitcast(added, value.ir.type))


def exponent_of(value: Value) -> tuple[Value, Value]:
    """(fraction, exponent) with value = fraction · 2^exponent, fraction in [√½, √2); float32.

    The value is positive, finite and not subnormal; both come as registers of float32.
    """
    builder, mantissa = value.builder, _lanes_of(value, _MANTISSA)
    bits = builder.bitcast(value.ir, mantissa.type)
    above = builder.sub(bits, _lanes_of(value, 0x3F3504F3))
    exponent = builder.ashr(above, mantissa)
    fraction = builder.sub(bits, builder.shl(exponent, mantissa))
    found = builder.bitcast(fraction, value.ir.type), builder.sitofp(exponent, value.ir.type)
    return Value(builder, value.kind, found[0]), Value(builder, value.kind, found[1])
