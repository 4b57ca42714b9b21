"""A Python loop in torch for a cell that has no kernel, the input's product of all steps taken before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from bench.engine.peers.by_torch import Tensors, contender
from bench.engine.plain import PLAIN
from bench.engine.problem import Contender, Problem, joined

__all__ = ["in_steps", "make"]

Product = Callable[[Tensor], Tensor]
Parts = Callable[[Tensor, Product], Iterator[Tensor]]


class _Torch:
    """torch's functions under the names that `plain` uses."""

    sigmoid = staticmethod(torch.sigmoid)
    tanh = staticmethod(torch.tanh)
    exp = staticmethod(torch.exp)
    relu = staticmethod(torch.relu)
    maximum = staticmethod(torch.maximum)
    log_sigmoid = staticmethod(functional.logsigmoid)
    linear = staticmethod(functional.linear)

    @staticmethod
    def split(a: Tensor, parts: int) -> tuple[Tensor, ...]:
        return a.chunk(parts, -1)

    @staticmethod
    def normalise(a: Tensor, gain: Tensor) -> Tensor:
        return functional.layer_norm(a, a.shape[-1:], gain)


def make(asked: Problem) -> Contender:
    """Compute a problem step by step. The input's product of all steps is one, before the loop: the faster way."""
    return in_steps(asked, lambda x, product: iter(product(x)))


def in_steps(asked: Problem, parts: Parts) -> Contender:
    """Compute a problem step by step.

    Args:
        asked: what to compute.
        parts: from the input `[time, batch, input]` and its product, a function of any number of steps, the product of
            each step.
    """
    cell = PLAIN[asked.cell]
    weights = {
        name: torch.from_numpy(array).requires_grad_(asked.trains)
        for name, array in joined(asked.weights, cell.stacks).items()
    }
    inputs = torch.from_numpy(asked.inputs).requires_grad_(asked.trains)
    sizes = [asked.gradient.shape[-1]] + [asked.shape.hidden] * (cell.states - 1)

    def product(x: Tensor) -> Tensor:
        return functional.linear(x, weights["W"], weights.get("b"))

    def forward() -> Tensor:
        state = tuple(torch.zeros(asked.shape.batch, size) for size in sizes)
        outputs = []
        for a in parts(inputs, product):
            state = cell.step(_Torch, weights, a, state)
            outputs.append(state[0])
        return torch.stack(outputs)

    return contender(asked, Tensors(inputs, weights, cell.stacks), forward)
