"""The functions of the equations on registers: what `tanh(x)` means inside a kernel, by dtype.

Numerics: float32 `tanh` is a rational polynomial of degrees 13 and 6 (the one of Eigen's `ptanh`), absolute error below
4e-7, and `sigmoid` is made from it; float64 calls the C library for each lane. `exp`, `log` and `softplus` call the C
library in both. A NaN stays a NaN: clamping is by comparison, never by an instruction that prefers the other operand.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import overload

from remanence.compiler.vector import Vector, call_lanes, intrinsic, where_positive, zero_like

__all__ = ["absolute", "exp", "log", "maximum", "minimum", "relu", "sigmoid", "softplus", "sqrt", "tanh"]

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
def relu(value: Any) -> Any: ...
def exp(value: Any) -> Any: ...
def log(value: Any) -> Any: ...
def softplus(value: Any) -> Any: ...
def absolute(value: Any) -> Any: ...
def sqrt(value: Any) -> Any: ...
def maximum(left: Any, right: Any) -> Any: ...
def minimum(left: Any, right: Any) -> Any: ...


def _rational(value):
    high = zero_like(value) + _CLAMP
    x = where_positive(value - high, high, value)
    x = where_positive(-high - x, -high, x)
    s = x * x
    p = s * _ODD[0] + _ODD[1]
    p = p * s + _ODD[2]
    p = p * s + _ODD[3]
    p = p * s + _ODD[4]
    p = p * s + _ODD[5]
    p = p * s + _ODD[6]
    q = s * _EVEN[0] + _EVEN[1]
    q = q * s + _EVEN[2]
    q = q * s + _EVEN[3]
    return x * p / q


@overload(tanh)
def _tanh_of(value):
    if not isinstance(value, Vector):
        return None
    if value.dtype == types.float64:
        return lambda value: _tanh(value)
    return _rational


@overload(sigmoid)
def _sigmoid_of(value):
    if not isinstance(value, Vector):
        return None
    if value.dtype == types.float64:
        return lambda value: 1.0 / (1.0 + _exp(-value))
    return lambda value: 0.5 * tanh(0.5 * value) + 0.5


@overload(relu)
def _relu_of(value):
    if not isinstance(value, Vector):
        return None
    # What is neither above nor below zero is 0 or NaN, and stays.
    return lambda value: where_positive(value, value, where_positive(-value, zero_like(value), value))


@overload(exp)
def _exp_of(value):
    return (lambda value: _exp(value)) if isinstance(value, Vector) else None


@overload(log)
def _log_of(value):
    return (lambda value: _log(value)) if isinstance(value, Vector) else None


@overload(softplus)
def _softplus_of(value):
    return (lambda value: relu(value) + _log1p(_exp(-_fabs(value)))) if isinstance(value, Vector) else None


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
