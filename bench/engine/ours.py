"""Remanence, through its public layers."""

from __future__ import annotations

import numpy as np
import torch

from bench.engine.problem import Arrays, Contender, Problem
from remanence.nn.recurrent import Recurrent, RecurrentOptions
from remanence.sequences import Sequences

__all__ = ["layer", "make", "parameters"]


def layer(asked: Problem) -> Recurrent:
    """The layer of a problem, with its weights."""
    options = RecurrentOptions(path="cpu-fused")
    made = Recurrent(asked.cell, asked.shape.input, asked.shape.hidden, options=options)
    with torch.no_grad():
        for name, tensor in parameters(made).items():
            tensor.copy_(torch.from_numpy(asked.weights[name]))
    return made


def parameters(made: Recurrent) -> dict[str, torch.nn.Parameter]:
    """The weights of a layer of one direction by the names of the equations."""
    return {name.rpartition(".")[2]: tensor for name, tensor in made.named_parameters()}


def make(asked: Problem) -> Contender:
    """Compute a problem with `Recurrent(cell)` on the compiled path."""
    made = layer(asked)
    weights = parameters(made)
    inputs = torch.from_numpy(asked.inputs).requires_grad_(asked.trains)
    gradient = torch.from_numpy(asked.gradient).transpose(0, 1)
    lengths = None if asked.lengths is None else torch.from_numpy(asked.lengths)

    def forward() -> torch.Tensor:
        data = inputs.transpose(0, 1)
        return made(data if lengths is None else Sequences(data, lengths)).output

    def infer() -> torch.Tensor:
        with torch.inference_mode():
            return forward()

    def train() -> torch.Tensor:
        inputs.grad = None
        for weight in weights.values():
            weight.grad = None
        output = forward()
        output.backward(gradient)
        return output

    call = train if asked.trains else infer

    def results() -> Arrays:
        output = call().detach().transpose(0, 1)
        found = {"output": output.numpy().copy()}
        if asked.trains:
            found["x"] = np.asarray(inputs.grad)
            found |= {name: np.asarray(weight.grad) for name, weight in weights.items()}
        return found

    return Contender(call, results, made.path)
