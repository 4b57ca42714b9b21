"""The rate of an LSTM layer beside the machine's own matrix product, and beside the engine's tile alone.

The work is that of the products alone, with the input and with the state; the time is that of the whole call, so gates,
copies and Python count against the rate. The machine's own is the best of torch.mm and NumPy's matmul on square
matrices of three sizes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from bench.engine import ours
from bench.engine.compare import PAUSE
from bench.engine.measures import Asked, Findings
from bench.engine.measures.tile import tile_call
from bench.engine.plan import SHAPES, Shape
from bench.engine.problem import flops, problem
from bench.engine.timing import turns

__all__ = ["measure"]

SQUARES = (512, 1024, 2048)


def measure(asked: Asked) -> Findings:
    """Shares for every shape of the plan with 256 hidden units or more."""
    found: Findings = {}
    for shape in SHAPES:
        if shape.hidden >= 256 and not (asked.quick and shape.hidden > 256):
            found |= _shares(shape, asked)
    return found


def _shares(shape: Shape, asked: Asked) -> Findings:
    given = problem("lstm", "infer", shape, asked.threads)
    tile, tile_work = tile_call()
    squares = _squares()
    calls = [ours.make(given, "recurrent").call, tile, *squares]
    for call in calls:
        call()
    budget = replace(asked.budget, narrow=0.0, pause=PAUSE if asked.threads > 1 else 0.0)
    layer, sgemm, alone = [], [], []
    for whole, one_tile, *products in turns(calls, budget):
        layer.append(flops(given) / whole / 1e9)
        sgemm.append(max(work / spent for work, spent in zip(squares.values(), products, strict=True)) / 1e9)
        alone.append(tile_work / one_tile / 1e9 * asked.threads)
    note = f"{shape}: {statistics.median(layer):.0f} GFLOP/s"
    return {
        f"rate/sgemm/{shape.hidden}": _share(layer, sgemm) | {"note": note},
        f"rate/tile/{shape.hidden}": _share(layer, alone) | {"note": note},
        "rate/sgemm": {"value": statistics.median(sgemm)},
        "rate/tile": {"value": statistics.median(alone), "note": "of one thread, times the threads"},
    }


def _share(layer: list[float], of: list[float]) -> dict[str, Any]:
    """Per cent, round by round: both met the same noise."""
    low, middle, high = statistics.quantiles([100 * a / b for a, b in zip(layer, of, strict=True)], method="inclusive")
    return {"value": middle, "low": low, "high": high}


def _squares() -> dict[Callable[[], Any], float]:
    """Products of square matrices by torch's library and by NumPy's, the faster on some processors; their work."""
    found: dict[Callable[[], Any], float] = {}
    for size in SQUARES:
        a, b, into = (torch.randn(size, size) for _ in range(3))
        found[partial(torch.mm, a, b, out=into)] = 2.0 * size**3
        found[partial(np.matmul, a.numpy(), b.numpy(), out=into.numpy())] = 2.0 * size**3
    return found
