"""Remanence, through its public layers.

LSTM, GRU and RNN run as `remanence.nn.LSTM` and its like in the very program of the torch peer, whatever way these
layers choose; `through="recurrent"` takes `Recurrent(cell)` instead, as all other cells do.
"""

from __future__ import annotations

from typing import Literal

import torch

from bench.engine.peers import torch_nn
from bench.engine.peers.by_torch import Tensors, contender
from bench.engine.problem import Contender, Problem
from remanence import nn
from remanence.nn.recurrent import Recurrent, RecurrentOptions
from remanence.sequences import Sequences

__all__ = ["Path", "Through", "layer", "make", "parameters"]

Through = Literal["dropin", "recurrent"]
Path = Literal["cpu-fused", "eager"]
DROPINS = {"lstm": nn.LSTM, "lstmp": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


def make(asked: Problem, through: Through = "dropin", path: Path = "cpu-fused") -> Contender:
    """Compute a problem; `path` is that of `Recurrent`."""
    if through == "dropin" and asked.cell in DROPINS:
        if asked.mode != "lengths":
            return torch_nn.make(asked, DROPINS[asked.cell])
        return torch_nn.make(asked, DROPINS[asked.cell], _padded)
    return _recurrent(asked, path)


def _padded(layer: torch.nn.Module, inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Unequal lengths need no packing here."""
    return layer(Sequences(inputs.transpose(0, 1), lengths))[0].data.transpose(0, 1)


def layer(asked: Problem, path: Path = "cpu-fused") -> Recurrent:
    """The layer of any cell, with the weights of a problem."""
    options = RecurrentOptions(path=path)
    made = Recurrent(asked.cell, asked.shape.input, asked.shape.hidden, options=options)
    with torch.no_grad():
        for name, tensor in parameters(made).items():
            tensor.copy_(torch.from_numpy(asked.weights[name]))
    return made


def parameters(made: Recurrent) -> dict[str, torch.nn.Parameter]:
    """The weights of a layer of one direction by the names of the equations."""
    return {name.rpartition(".")[2]: tensor for name, tensor in made.named_parameters()}


def _recurrent(asked: Problem, path: Path) -> Contender:
    made = layer(asked, path).train(asked.trains)
    weights = parameters(made)
    inputs = torch.from_numpy(asked.inputs).requires_grad_(asked.trains)
    lengths = None if asked.lengths is None else torch.from_numpy(asked.lengths)

    def forward() -> torch.Tensor:
        data = inputs.transpose(0, 1)
        return made(data if lengths is None else Sequences(data, lengths)).output

    stacks = {name: (name,) for name in weights}
    return contender(asked, Tensors(inputs, weights, stacks, batch_first=True), forward, made.path)
