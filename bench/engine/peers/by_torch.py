"""A call and its results, of whatever torch differentiates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.engine.problem import Arrays, Contender, Problem, split

__all__ = ["Tensors", "contender"]


@dataclass(frozen=True)
class Tensors:
    """What a call reads.

    Args:
        inputs: `[time, batch, input]`.
        weights: by the peer's names.
        stacks: a peer's name → ours, as in `problem.split`.
        batch_first: whether the output is `[batch, time, output]`.
    """

    inputs: Tensor
    weights: Mapping[str, Tensor]
    stacks: Mapping[str, tuple[str, ...]]
    batch_first: bool = False

    def turned(self, output: Tensor) -> Tensor:
        """The output or its gradient, time-major or as the peer has it: either from the other."""
        return output.transpose(0, 1) if self.batch_first else output


def contender(asked: Problem, tensors: Tensors, forward: Callable[[], Tensor], note: str = "") -> Contender:
    """Compute a problem.

    Args:
        asked: what to compute.
        tensors: what `forward` reads.
        forward: output of a call.
        note: the way taken, if there is something to say.
    """
    inputs, weights = tensors.inputs, tensors.weights
    gradient = tensors.turned(torch.from_numpy(asked.gradient))

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
        found = {"output": tensors.turned(call().detach()).numpy().copy()}
        if asked.trains:
            assert inputs.grad is not None
            gradients = {name: weight.grad.numpy() for name, weight in weights.items() if weight.grad is not None}
            found |= {"x": inputs.grad.numpy()} | split(gradients, tensors.stacks)
        return found

    return Contender(call, results, note)
