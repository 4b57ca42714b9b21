"""A Python loop over a cell in torch, as people write it for a cell that has no kernel; autograd step by step."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from bench.engine.plain import PLAIN
from bench.engine.problem import Arrays, Contender, Problem, joined, split

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
    gradient = torch.from_numpy(asked.gradient)
    sizes = [asked.gradient.shape[-1]] + [asked.shape.hidden] * (cell.states - 1)

    def forward() -> Tensor:
        state = tuple(torch.zeros(asked.shape.batch, size) for size in sizes)
        outputs = []
        for a in functional.linear(inputs, weights["W"], weights.get("b")):
            state = cell.step(_Torch, weights, a, state)
            outputs.append(state[0])
        return torch.stack(outputs)

    def infer() -> Tensor:
        with torch.inference_mode():
            return forward()

    def train() -> Tensor:
        inputs.grad = None
        for weight in weights.values():
            weight.grad = None
        output = forward()
        output.backward(gradient)
        return output

    call = train if asked.trains else infer

    def results() -> Arrays:
        found = {"output": call().detach().numpy().copy()}
        if asked.trains:
            assert inputs.grad is not None
            gradients = {name: weight.grad.numpy() for name, weight in weights.items() if weight.grad is not None}
            found |= {"x": inputs.grad.numpy()} | split(gradients, cell.stacks)
        return found

    return Contender(call, results)
