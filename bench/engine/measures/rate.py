"""The rate of the LSTM's time loop beside the machine's own matrix product and beside the tile alone.

The machine's own is the best of torch.mm and NumPy's matmul on square matrices of three sizes.

The loop's time is the layer's less that of the input's product, which stands before it, timed by turns with it as torch
computes it. Its work is the product with the state alone. So what the layer spends on copies, on Python and on gates
counts against the loop.
"""

from __future__ import annotations

import ctypes
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from bench.engine import ours
from bench.engine.compare import PAUSE
from bench.engine.measures import Asked, Findings
from bench.engine.plan import SHAPES, Shape
from bench.engine.problem import joined, problem
from bench.engine.timing import turns

__all__ = ["measure", "tile_call"]

SQUARES = (512, 1024, 2048)
DEPTH, ROWS = 256, 96


def measure(asked: Asked) -> Findings:
    """Shares for every shape of the plan with 256 hidden units or more."""
    found: Findings = {}
    for shape in SHAPES:
        if shape.hidden >= 256 and not (asked.quick and shape.hidden > 256):
            found |= _shares(shape, asked)
    return found


def _shares(shape: Shape, asked: Asked) -> Findings:
    given = problem("lstm", "infer", shape, asked.threads)
    layer = ours.make(given, "recurrent").call
    stacked = joined(given.weights, {"W": ("W_i", "W_f", "W_g", "W_o"), "b": ("b_i", "b_f", "b_g", "b_o")})
    inputs, weight, bias = (torch.from_numpy(array) for array in (given.inputs, stacked["W"], stacked["b"]))
    tile, tile_work = tile_call()
    squares = _squares()

    def before() -> Any:
        with torch.inference_mode():
            return functional.linear(inputs, weight, bias)

    calls: list[Callable[[], Any]] = [layer, before, tile, *squares]
    for call in calls:
        call()
    # The layer and the product before it are not to be known as a ratio: use the budget.
    rounds = turns(calls, replace(asked.budget, narrow=0.0, pause=PAUSE if asked.threads > 1 else 0.0))
    work = 2.0 * shape.batch * shape.time * 4 * shape.hidden**2
    loop, sgemm, alone = [], [], []
    for whole, product, one_tile, *products in rounds:
        loop.append(work / max(whole - product, 1e-9) / 1e9)
        sgemm.append(max(w / spent for w, spent in zip(squares.values(), products, strict=True)) / 1e9)
        alone.append(tile_work / one_tile / 1e9 * asked.threads)
    note = f"{shape}: loop {statistics.median(loop):.0f} GFLOP/s"
    return {
        f"rate/sgemm/{shape.hidden}": _share(loop, sgemm) | {"note": note},
        f"rate/tile/{shape.hidden}": _share(loop, alone) | {"note": note},
        "rate/sgemm": {"value": statistics.median(sgemm)},
        "rate/tile": {"value": statistics.median(alone), "note": "of one thread, times the threads"},
    }


def _share(loop: list[float], of: list[float]) -> dict[str, Any]:
    """Per cent, round by round: both met the same noise."""
    low, middle, high = statistics.quantiles([100 * a / b for a, b in zip(loop, of, strict=True)], method="inclusive")
    return {"value": middle, "low": low, "high": high}


def _squares() -> dict[Callable[[], Any], float]:
    """Products of square matrices by torch's library and by NumPy's, the faster on some processors; their work."""
    found: dict[Callable[[], Any], float] = {}
    for size in SQUARES:
        a, b, into = (torch.randn(size, size) for _ in range(3))
        found[partial(torch.mm, a, b, out=into)] = 2.0 * size**3
        found[partial(np.matmul, a.numpy(), b.numpy(), out=into.numpy())] = 2.0 * size**3
    return found


def tile_call() -> tuple[Callable[[], Any], float]:
    """A call that multiplies through the engine's own tile, packed panels in cache; and its operations."""
    from remanence.compiler import kernel
    from remanence.compiler.tile import packed_size
    from remanence.compiler.vector import MACHINE

    columns = MACHINE.vectors * MACHINE.width(4)
    a = np.ones((ROWS, DEPTH), np.float32)
    packed = np.ones(packed_size(columns, DEPTH, 4), np.float32)
    c = np.zeros((ROWS, columns), np.float32)
    place, number = ctypes.c_void_p, ctypes.c_int64
    kinds = [place, number, place, number, number, place, number, number, number]
    multiply = ctypes.CFUNCTYPE(None, *kinds)(kernel.tiles("float32").multiply)

    def call() -> Any:
        multiply(c.ctypes.data, columns, a.ctypes.data, DEPTH, ROWS, packed.ctypes.data, DEPTH, columns, 1)

    call()
    assert (c == DEPTH).all(), "the tile is called with other arguments now: mend this measure"
    return call, 2.0 * ROWS * columns * DEPTH
