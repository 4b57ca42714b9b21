"""Functions on registers against numpy in float64, and what they do with NaN and infinities."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import pytest

from remanence.compiler.kernel import functions_of
from remanence.compiler.machine import MACHINE

SOURCE = """
from remanence.compiler.compiling import compiled
from remanence.compiler.pointwise import {name}
from remanence.compiler.values import {dtype}, INT, Pointer
from remanence.compiler.vector import load, store


@compiled(Pointer.of({dtype}), Pointer.of({dtype}), INT)
def run(x, y, size):
    for j in range(0, size, {width}):
        store(y, j, {name}(load(x, j)))
"""
# Largest absolute error, float32 then float64.
BOUNDS = {
    "tanh": (np.tanh, 4e-7, 1e-15),
    "sigmoid": (lambda a: 1 / (1 + np.exp(-a)), 4e-7, 1e-15),
    "fine_sigmoid": (lambda a: 1 / (1 + np.exp(-a)), 4e-7, 1e-15),
    "relu": (lambda a: np.maximum(a, 0), 0.0, 0.0),
    "softplus": (lambda a: np.logaddexp(0, a), 2e-6, 1e-14),
}
# Largest error relative to the value itself.
RELATIVE = {
    "exp": (np.exp, np.concatenate([np.linspace(-87, 88.5, 64_000), np.linspace(-1e-3, 1e-3, 6_400)])),
    "log": (np.log, np.concatenate([np.geomspace(1.2e-38, 3e38, 64_000), np.linspace(0.5, 2, 6_400)])),
    "softplus": (lambda a: np.logaddexp(0, a), np.linspace(-85, 85, 64_000)),
    "fine_sigmoid": (lambda a: 1 / (1 + np.exp(-a)), np.linspace(-87, 100, 64_000)),
}


def _over(name: str) -> Callable[[np.ndarray, np.ndarray], None]:
    def run(x: np.ndarray, y: np.ndarray) -> None:
        source = SOURCE.format(name=name, dtype=x.dtype.name.upper(), width=MACHINE.width(x.itemsize))
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
        kind(functions_of(source, "pointwise", ("run",))["run"])(x.ctypes.data, y.ctypes.data, x.size)

    return run


@pytest.mark.parametrize("name", BOUNDS)
def test_function_is_close_and_keeps_nan(name: str) -> None:
    reference, single, double = BOUNDS[name]
    run = _over(name)
    for dtype, bound in ((np.float32, single), (np.float64, double)):
        x = np.concatenate([np.linspace(-20, 20, 64_000), np.linspace(-1e-3, 1e-3, 6_400)]).astype(dtype)
        y = np.empty_like(x)
        run(x, y)
        assert np.abs(y - reference(x.astype(np.float64))).max() <= bound
        odd = np.zeros(64, dtype)
        odd[:3] = np.nan, np.inf, -np.inf
        y = np.empty_like(odd)
        run(odd, y)
        with np.errstate(all="ignore"):
            expected = reference(odd[:3].astype(np.float64))
        assert np.isnan(y[0])
        assert np.allclose(y[1:3], expected[1:3], atol=4e-7)


@pytest.mark.parametrize("name", RELATIVE)
def test_function_is_close_relative_to_its_value(name: str) -> None:
    reference, points = RELATIVE[name]
    run = _over(name)
    for dtype, bound in ((np.float32, 3e-7), (np.float64, 4e-15)):
        x = points.astype(dtype)
        y = np.empty_like(x)
        run(x, y)
        expected = reference(x.astype(np.float64))
        # Near 1 a logarithm is as exact as 1 itself is.
        apart = np.abs(y - expected) / np.maximum(np.abs(expected), 0.1 if name == "log" else 0)
        assert apart.max() <= bound


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_and_log_know_the_ends_of_the_line(dtype: type) -> None:
    tiny = float(np.finfo(dtype).smallest_subnormal)
    exp_of = [0.0, -0.0, 1000.0, -1000.0, np.inf, -np.inf, np.nan]
    log_of = [0.0, -0.0, -1.0, -np.inf, np.inf, np.nan, 1.0, 1000 * tiny, float(np.finfo(dtype).max)]
    for function, values in ((np.exp, exp_of), (np.log, log_of)):
        x = np.ones(64, dtype)
        x[: len(values)] = values
        y = np.empty_like(x)
        _over(function.__name__)(x, y)
        with np.errstate(all="ignore"):
            expected = function(x.astype(np.float64))
        expected[np.abs(expected) < tiny] = 0
        np.testing.assert_allclose(y, expected, rtol=3e-7)


PAIRED = """
from remanence.compiler.compiling import compiled
from remanence.compiler.pointwise import {name}
from remanence.compiler.values import {dtype}, Pointer
from remanence.compiler.vector import load, store


@compiled(Pointer.of({dtype}), Pointer.of({dtype}), Pointer.of({dtype}))
def run(x, y, z):
    store(z, 0, {name}(load(x, 0), load(y, 0)))
"""


@pytest.mark.parametrize("name", ["maximum", "minimum"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_two_that_which_is_no_number_stays(name: str, dtype: type) -> None:
    odd = [np.nan, 1.0, np.inf, -np.inf, -3.0]
    pairs = np.array([(a, b) for a in odd for b in odd], dtype)
    source = PAIRED.format(name=name, dtype=np.dtype(dtype).name.upper())
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(functions_of(source, "pointwise", ("run",))["run"])
    for a, b in pairs:
        x, y, z = np.full(16, a, dtype), np.full(16, b, dtype), np.empty(16, dtype)
        run(x.ctypes.data, y.ctypes.data, z.ctypes.data)
        np.testing.assert_equal(z[0], getattr(np, name)(a, b))
