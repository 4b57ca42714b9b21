"""What it costs to have every named quantity of an LSTM."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from bench.engine import ours
from bench.engine.measures import Asked, Findings
from bench.engine.plan import SHAPES, Mode
from bench.engine.problem import Problem, problem
from bench.engine.timing import interleaved
from remanence.cells import CELLS

__all__ = ["measure"]

HIDDEN = (128, 256)


def measure(asked: Asked) -> Findings:
    """The same layer with and without `trace=("*",)`, training and inference."""
    found: Findings = {}
    modes: tuple[Mode, ...] = ("train", "infer")
    for shape in (s for s in SHAPES if s.hidden in HIDDEN[: 1 if asked.quick else 2]):
        for mode in modes:
            given = problem("lstm", mode, shape, asked.threads)
            call = _call(given)
            assert len(call(("*",)).trace) == len(CELLS["lstm"].quantities)
            call(())
            timing = interleaved(partial(call, ()), partial(call, ("*",)), asked.budget)
            low, value, high = (100 * (ratio - 1) for ratio in (timing.low, timing.ratio, timing.high))
            found[f"trace/{mode}/{shape.hidden}"] = {"value": value, "low": low, "high": high}
    return found


def _call(given: Problem) -> Callable[[tuple[str, ...]], Any]:
    layer = ours.layer(given)
    data = torch.from_numpy(given.inputs).transpose(0, 1).requires_grad_(given.trains)
    gradient = torch.from_numpy(given.gradient).transpose(0, 1)

    def call(trace: tuple[str, ...]) -> Any:
        if not given.trains:
            with torch.inference_mode():
                return layer(data, trace=trace)
        layer.zero_grad(set_to_none=True)
        data.grad = None
        done = layer(data, trace=trace)
        done.output.backward(gradient)
        return done

    return call
