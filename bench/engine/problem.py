"""One case's numbers, the same for everybody: input, gradient of the output, weights under the names of our equations.

Data are time-major and contiguous; who reads another layout turns it before the clock starts. A training step is a
forward pass and the gradients of all weights and of the input, from a given gradient of the output; no optimiser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.engine.plan import Mode, Shape

__all__ = ["Contender", "Problem", "flops", "joined", "problem", "split"]

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Problem:
    """What is computed.

    Args:
        cell: name in `remanence.cells.CELLS`.
        mode: "infer"; "train"; "lengths": training on sequences of unequal length.
        shape: sizes.
        threads: of the process.
        inputs: float32 `[time, batch, input]`.
        gradient: of the output, float32 `[time, batch, output]`; zero beyond a sequence's end.
        weights: by our names, float32.
        lengths: int64 `[batch]`, uniform in [time/2, time], or None.
    """

    cell: str
    mode: Mode
    shape: Shape
    threads: int
    inputs: np.ndarray
    gradient: np.ndarray
    weights: Arrays
    lengths: np.ndarray | None

    @property
    def trains(self) -> bool:
        """Whether gradients are wanted."""
        return self.mode != "infer"


@dataclass(frozen=True)
class Contender:
    """Somebody who computes a problem.

    Args:
        call: compute it once, for the clock.
        results: compute it once and return "output" `[time, batch, output]` and, in training, "x" (the input's
            gradient) and the gradient of each weight by our names.
        note: the way taken, if there is something to say.
    """

    call: Callable[[], Any]
    results: Callable[[], Arrays]
    note: str = ""


def problem(cell: str, mode: Mode, shape: Shape, threads: int) -> Problem:
    """Draw a case's numbers; the same arguments give the same ones."""
    import torch

    from remanence.nn.recurrent import Recurrent

    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    layer = Recurrent(cell, shape.input, shape.hidden)
    weights = {name.rpartition(".")[2]: tensor.detach().numpy() for name, tensor in layer.named_parameters()}
    for name, constant in layer.cell.start.items():
        # Gains of a layer norm, all 1 at the start: drawn around a half, so that none can stand in another's place.
        # With 1 the gradients of 100 steps grow until float32 keeps three digits of them, whoever computes them.
        weights[name] = draw.uniform(constant / 2 - 0.1, constant / 2 + 0.1, weights[name].shape).astype(np.float32)
    inputs = draw.standard_normal((shape.time, shape.batch, shape.input), np.float32)
    gradient = draw.standard_normal((shape.time, shape.batch, layer.unit_size), np.float32)
    lengths = None
    if mode == "lengths":
        lengths = draw.integers(-(-shape.time // 2), shape.time + 1, shape.batch)
        gradient *= (np.arange(shape.time)[:, None] < lengths)[..., None]
    return Problem(cell, mode, shape, threads, inputs, gradient, weights, lengths)


def flops(asked: Problem) -> float:
    """Multiplications and additions of the matrix products; three times as many in training."""
    steps = asked.shape.batch * asked.shape.time if asked.lengths is None else int(asked.lengths.sum())
    products = sum(weight.size for weight in asked.weights.values() if weight.ndim == 2)
    return 2.0 * products * steps * (3 if asked.trains else 1)


def joined(weights: Mapping[str, np.ndarray], stacks: Mapping[str, tuple[str, ...]]) -> Arrays:
    """Weights under a peer's names, each several of ours one upon another; the empty name stands for zeros."""
    like = {name: next(weights[part] for part in parts if part) for name, parts in stacks.items() if any(parts)}
    blank = next(weight for weight in weights.values() if weight.ndim == 1)
    return {
        name: np.concatenate([weights[p] if p else np.zeros_like(like.get(name, blank)) for p in parts])
        for name, parts in stacks.items()
    }


def split(gradients: Mapping[str, np.ndarray], stacks: Mapping[str, tuple[str, ...]]) -> Arrays:
    """The inverse of `joined`, for gradients."""
    found: Arrays = {}
    for name, parts in stacks.items():
        for part, gradient in zip(parts, np.split(np.asarray(gradients[name]), len(parts)), strict=True):
            if part:
                found[part] = gradient
    return found
