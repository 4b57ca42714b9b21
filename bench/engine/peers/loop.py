"""A Python loop over a cell in torch, as people write it for a cell that has no kernel; autograd step by step."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from bench.engine.peers.by_torch import Tensors, contender
from bench.engine.plain import PLAIN
from bench.engine.problem import Contender, Problem, joined

__all__ = ["make"]


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
    cell = PLAIN[asked.cell]
    weights = {
        name: torch.from_numpy(array).requires_grad_(asked.trains)
        for name, array in joined(asked.weights, cell.stacks).items()
    }
    inputs = torch.from_numpy(asked.inputs).requires_grad_(asked.trains)
    sizes = [asked.gradient.shape[-1]] + [asked.shape.hidden] * (cell.states - 1)

    def forward() -> Tensor:
        state = tuple(torch.zeros(asked.shape.batch, size) for size in sizes)
        outputs = []
        for a in functional.linear(inputs, weights["W"], weights.get("b")):
            state = cell.step(_Torch, weights, a, state)
            outputs.append(state[0])
        return torch.stack(outputs)

    return contender(asked, Tensors(inputs, weights, cell.stacks), forward)
