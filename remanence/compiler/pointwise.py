"""The functions of the equations on registers: what `tanh(x)` means inside a kernel, by dtype.

Numerics of float32: `tanh` is a rational polynomial of degrees 13 and 6 (the one of Eigen's `ptanh`), absolute error
below 4e-7, and `sigmoid` the same of half its argument; `exp` is a polynomial on [-ln 2 / 2, ln 2 / 2] and a power of
two, `fine_sigmoid` is made of it, `log` and `softplus` are the series of the inverse hyperbolic tangent, all four
within 3e-7 of the value. float64 calls the C library for each lane. A NaN stays a NaN: clamping is by comparison, never
by an instruction that prefers the other operand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from llvmlite import ir

from remanence.compiler.bits import exponent_of, reciprocal, scale_by, scale_once
from remanence.compiler.values import FLOAT64, Register, Value
from remanence.compiler.vector import at_least, at_most, call_lanes, declared, where_positive, zero_like

__all__ = [
    "absolute", "exp", "fine_sigmoid", "log", "maximum", "minimum", "relu", "sigmoid", "softplus", "sqrt", "tanh",
]  # fmt: skip

Constants: TypeAlias = tuple[float, ...]
_STEEP = 87.0
"""Beyond this a sigmoid is 1, or next to nothing: 2e-38."""
_CLAMP = 7.90531110763549805
_ODD = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
_EVEN = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)


# Of half the argument, and half the value: powers of two, so nothing is rounded.
_HALF_ODD = tuple(c * 0.25 ** (7 - place) for place, c in enumerate(_ODD))
_HALF_EVEN = tuple(c * 0.25 ** (3 - place) for place, c in enumerate(_EVEN))
_LOG2_E = math.log2(math.e)
_LN2_HIGH = 0.693359375
_LN2_LOW = math.log(2) - _LN2_HIGH
_ROUND = 1.5 * 2**23
"""Adding it rounds a small number to a whole one."""
# (exp(r) - 1 - r) / r², fitted to the least relative error of exp(r), 3e-9.
_EXP = (0.0013814534759148955, 0.00836874544620514, 0.04166839271783829, 0.1666652113199234, 0.4999999403953552)
_ATANH = tuple(2 / odd for odd in range(15, 2, -2))
_LEAST_NORMAL, _LARGEST = 2.0**-126, 3.4028234663852886e38


def _lanewise(name: str) -> Callable[[Value], Value]:
    """A function of C's mathematics library, called for each lane of float64."""

    def apply(value: Value) -> Value:
        builder, whole, kind = value.builder, value.ir, value.kind
        assert isinstance(kind, Register)
        called = declared(builder, name, ir.FunctionType(kind.dtype.type, [kind.dtype.type]))
        result: Any = ir.Constant(whole.type, ir.Undefined)
        for lane in range(kind.width):
            place = ir.Constant(ir.IntType(32), lane)
            one = builder.call(called, [builder.extract_element(whole, place)])
            result = builder.insert_element(result, one, place)
        return Value(builder, kind, result)

    return apply


_tanh, _exp, _log, _log1p = (_lanewise(name) for name in ("tanh", "exp", "log", "log1p"))


def _double(value: Value) -> bool:
    return isinstance(value.kind, Register) and value.kind.dtype == FLOAT64


def _quotient(s: Value, odd: Constants, even: Constants) -> tuple[Value, Value]:
    """Numerator and reciprocal denominator of tanh(x) / x, of a clamped x's square."""
    p = s * odd[0] + odd[1]
    p = p * s + odd[2]
    p = p * s + odd[3]
    p = p * s + odd[4]
    p = p * s + odd[5]
    p = p * s + odd[6]
    q = s * even[0] + even[1]
    q = q * s + even[2]
    q = q * s + even[3]
    return p, reciprocal(q)


def _single_tanh(value: Value) -> Value:
    x = at_least(at_most(value, _CLAMP), -_CLAMP)
    p, q = _quotient(x * x, _ODD, _EVEN)
    return x * p * q


def _exp_in_parts(x: Value) -> tuple[Value, Value]:
    """exp(x) = fraction · 2^power, the fraction near 1, the power rounded by `_ROUND`."""
    power = x * _LOG2_E + _ROUND
    n = power - _ROUND
    r = n * -_LN2_HIGH + x
    r = n * -_LN2_LOW + r
    p = r * _EXP[0] + _EXP[1]
    p = p * r + _EXP[2]
    p = p * r + _EXP[3]
    p = p * r + _EXP[4]
    return p * (r * r) + r + 1.0, power


def _single_exp(value: Value) -> Value:
    fraction, power = _exp_in_parts(at_least(at_most(value, 89.0), -104.0))
    return scale_by(fraction, power)


def _single_sigmoid(value: Value) -> Value:
    x = at_least(at_most(value, 2 * _CLAMP), -2 * _CLAMP)
    p, q = _quotient(x * x, _HALF_ODD, _HALF_EVEN)
    return x * p * q + 0.5


def _single_fine_sigmoid(value: Value) -> Value:
    fraction, power = _exp_in_parts(-at_least(at_most(value, _STEEP), -_STEEP))
    return reciprocal(1.0 + scale_once(fraction, power))


def _log_of_ratio(s: Value) -> Value:
    """log((1 + s) / (1 - s)) for |s| ≤ 1/3: twice the inverse hyperbolic tangent's series."""
    z = s * s
    p = z * _ATANH[0] + _ATANH[1]
    p = p * z + _ATANH[2]
    p = p * z + _ATANH[3]
    p = p * z + _ATANH[4]
    p = p * z + _ATANH[5]
    p = p * z + _ATANH[6]
    return p * z * s + 2.0 * s


def _single_log(value: Value) -> Value:
    small = where_positive(_LEAST_NORMAL - value, zero_like(value) + 8388608.0, zero_like(value) + 1.0)
    fraction, n = exponent_of(value * small)
    n = where_positive(_LEAST_NORMAL - value, n - 23.0, n)
    found = n * _LN2_HIGH + (n * _LN2_LOW + _log_of_ratio((fraction - 1.0) / (fraction + 1.0)))
    # Of infinity itself; of zero, of what is negative or not a number, the quotient that is.
    found = where_positive(value - _LARGEST, value, found)
    return where_positive(
        value, found, where_positive(-value, (value - value) / (value - value), -1.0 / (value * value))
    )


def _single_softplus(value: Value) -> Value:
    u = _single_exp(-absolute(value))
    return relu(value) + _log_of_ratio(u / (u + 2.0))


def tanh(value: Value) -> Value:
    return _tanh(value) if _double(value) else _single_tanh(value)


def sigmoid(value: Value) -> Value:
    return 1.0 / (1.0 + _exp(-value)) if _double(value) else _single_sigmoid(value)


def fine_sigmoid(value: Value) -> Value:
    return sigmoid(value) if _double(value) else _single_fine_sigmoid(value)


def relu(value: Value) -> Value:
    # What is neither above nor below zero is 0 or NaN, and stays.
    return where_positive(value, value, where_positive(-value, zero_like(value), value))


def exp(value: Value) -> Value:
    return _exp(value) if _double(value) else _single_exp(value)


def log(value: Value) -> Value:
    return _log(value) if _double(value) else _single_log(value)


def softplus(value: Value) -> Value:
    return relu(value) + _log1p(_exp(-absolute(value))) if _double(value) else _single_softplus(value)


def absolute(value: Value) -> Value:
    return Value(value.builder, value.kind, call_lanes(value.builder, "fabs", [value.ir]))


def sqrt(value: Value) -> Value:
    """Of a register or of a number."""
    return Value(value.builder, value.kind, call_lanes(value.builder, "sqrt", [value.ir]))


def maximum(left: Value, right: Value) -> Value:
    """Of two of which one is no number, that one."""
    return Value(left.builder, left.kind, call_lanes(left.builder, "maximum", [left.ir, right.ir]))


def minimum(left: Value, right: Value) -> Value:
    """Of two of which one is no number, that one."""
    return Value(left.builder, left.kind, call_lanes(left.builder, "minimum", [left.ir, right.ir]))
