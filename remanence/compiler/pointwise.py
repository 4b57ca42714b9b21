"""The functions of the equations on registers: what `tanh(x)` means inside a kernel, by dtype.

Numerics of float32: `tanh` is a rational polynomial of degrees 13 and 6 (the one of Eigen's `ptanh`), absolute error
below 4e-7, and `sigmoid` the same of half its argument; `exp` is a polynomial on [-ln 2 / 2, ln 2 / 2] and a power of
two, `fine_sigmoid` is made of it, `log` and `softplus` are the series of the inverse hyperbolic tangent, all four
within 3e-7 of the value. float64 calls the C library for each lane. A NaN stays a NaN: clamping is by comparison, never
by an instruction that prefers the other operand.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import overload, register_jitable

from remanence.compiler.bits import exponent_of, reciprocal, scale_by, scale_once
from remanence.compiler.vector import (
    Vector,
    at_least,
    at_most,
    call_lanes,
    intrinsic,
    where_positive,
    zero_like,
)

__all__ = [
    "absolute", "exp", "fine_sigmoid", "log", "maximum", "minimum", "relu", "sigmoid", "softplus", "sqrt", "tanh",
]  # fmt: skip

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


def _lanewise(name: str) -> Any:
    """A function of C's mathematics library, called for each lane."""

    @intrinsic
    def apply(typing_context: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            (whole,) = args
            element = whole.type.element
            symbol = name if value.dtype == types.float64 else f"{name}f"
            called = cgutils.get_or_insert_function(builder.module, ir.FunctionType(element, [element]), symbol)
            result = ir.Constant(whole.type, ir.Undefined)
            for lane in range(value.width):
                place = ir.Constant(ir.IntType(32), lane)
                one = builder.call(called, [builder.extract_element(whole, place)])
                result = builder.insert_element(result, one, place)
            return result

        return value(value), generate

    return apply


_tanh, _exp, _log, _log1p = (_lanewise(name) for name in ("tanh", "exp", "log", "log1p"))


def _llvm(name: str) -> Any:
    @intrinsic
    def apply(typing_context: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return call_lanes(builder, name, [args[0]])

        return value(value), generate

    return apply


_sqrt, _fabs = _llvm("sqrt"), _llvm("fabs")


# Stubs: their meaning inside a kernel is given by the overloads below.
def tanh(value: Any) -> Any: ...
def sigmoid(value: Any) -> Any: ...
def fine_sigmoid(value: Any) -> Any: ...
def relu(value: Any) -> Any: ...
def exp(value: Any) -> Any: ...
def log(value: Any) -> Any: ...
def softplus(value: Any) -> Any: ...
def absolute(value: Any) -> Any: ...
def sqrt(value: Any) -> Any: ...
def maximum(left: Any, right: Any) -> Any: ...
def minimum(left: Any, right: Any) -> Any: ...


@register_jitable
def _quotient(s, odd, even):
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


def _single_tanh(value):
    x = at_least(at_most(value, _CLAMP), -_CLAMP)
    p, q = _quotient(x * x, _ODD, _EVEN)
    return x * p * q


@register_jitable
def _exp_in_parts(x):
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


@register_jitable
def _single_exp(value):
    fraction, power = _exp_in_parts(at_least(at_most(value, 89.0), -104.0))
    return scale_by(fraction, power)


def _single_sigmoid(value):
    x = at_least(at_most(value, 2 * _CLAMP), -2 * _CLAMP)
    p, q = _quotient(x * x, _HALF_ODD, _HALF_EVEN)
    return x * p * q + 0.5


def _single_fine_sigmoid(value):
    fraction, power = _exp_in_parts(-at_least(at_most(value, _STEEP), -_STEEP))
    return reciprocal(1.0 + scale_once(fraction, power))


@register_jitable
def _log_of_ratio(s):
    """log((1 + s) / (1 - s)) for |s| ≤ 1/3: twice the inverse hyperbolic tangent's series."""
    z = s * s
    p = z * _ATANH[0] + _ATANH[1]
    p = p * z + _ATANH[2]
    p = p * z + _ATANH[3]
    p = p * z + _ATANH[4]
    p = p * z + _ATANH[5]
    p = p * z + _ATANH[6]
    return p * z * s + 2.0 * s


def _single_log(value):
    small = where_positive(_LEAST_NORMAL - value, zero_like(value) + 8388608.0, zero_like(value) + 1.0)
    fraction, n = exponent_of(value * small)
    n = where_positive(_LEAST_NORMAL - value, n - 23.0, n)
    found = n * _LN2_HIGH + (n * _LN2_LOW + _log_of_ratio((fraction - 1.0) / (fraction + 1.0)))
    # Of infinity itself; of zero, of what is negative or not a number, the quotient that is.
    found = where_positive(value - _LARGEST, value, found)
    return where_positive(
        value, found, where_positive(-value, (value - value) / (value - value), -1.0 / (value * value))
    )


def _single_softplus(value):
    u = _single_exp(-_fabs(value))
    return relu(value) + _log_of_ratio(u / (u + 2.0))


@overload(tanh)
def _tanh_of(value):
    if not isinstance(value, Vector):
        return None
    return (lambda value: _tanh(value)) if value.dtype == types.float64 else _single_tanh


@overload(sigmoid)
def _sigmoid_of(value):
    if not isinstance(value, Vector):
        return None
    if value.dtype == types.float64:
        return lambda value: 1.0 / (1.0 + _exp(-value))
    return _single_sigmoid


@overload(fine_sigmoid)
def _fine_sigmoid_of(value):
    if not isinstance(value, Vector):
        return None
    return (lambda value: sigmoid(value)) if value.dtype == types.float64 else _single_fine_sigmoid


@overload(relu)
def _relu_of(value):
    if not isinstance(value, Vector):
        return None
    # What is neither above nor below zero is 0 or NaN, and stays.
    return lambda value: where_positive(value, value, where_positive(-value, zero_like(value), value))


@overload(exp)
def _exp_of(value):
    if not isinstance(value, Vector):
        return None
    return (lambda value: _exp(value)) if value.dtype == types.float64 else _single_exp


@overload(log)
def _log_of(value):
    if not isinstance(value, Vector):
        return None
    return (lambda value: _log(value)) if value.dtype == types.float64 else _single_log


@overload(softplus)
def _softplus_of(value):
    if not isinstance(value, Vector):
        return None
    if value.dtype == types.float64:
        return lambda value: relu(value) + _log1p(_exp(-_fabs(value)))
    return _single_softplus


@overload(absolute)
def _absolute_of(value):
    return (lambda value: _fabs(value)) if isinstance(value, Vector) else None


@overload(sqrt)
def _sqrt_of(value):
    return (lambda value: _sqrt(value)) if isinstance(value, Vector) else None


@overload(maximum)
def _maximum_of(left, right):
    return (lambda left, right: where_positive(left - right, left, right)) if isinstance(left, Vector) else None


@overload(minimum)
def _minimum_of(left, right):
    return (lambda left, right: where_positive(right - left, left, right)) if isinstance(left, Vector) else None
