"""torch.nn's own layers: padded, and packed where lengths differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from bench.engine.peers.by_torch import Tensors, contender
from bench.engine.problem import Contender, Problem, joined
from remanence.cells import CELLS

__all__ = ["make", "packed", "stacks"]

Ragged = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
LAYERS = {"lstm": nn.LSTM, "lstmp": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


def stacks(cell: str) -> dict[str, tuple[str, ...]]:
    """torch's name of each weight → ours, in its order of gates."""
    twin = CELLS["lstm" if cell == "lstmp" else cell].torch_twin
    assert twin is not None
    found = {
        "weight_ih_l0": twin.input,
        "weight_hh_l0": twin.recurrent,
        "bias_ih_l0": twin.bias,
        "bias_hh_l0": twin.recurrent_bias,
    }
    return found | ({"weight_hr_l0": ("V",)} if cell == "lstmp" else {})


def packed(layer: nn.Module, inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Run a layer on a batch of unequal lengths, time first, and pad its output again."""
    output = layer(pack_padded_sequence(inputs, lengths, enforce_sorted=False))[0]
    return pad_packed_sequence(output, total_length=inputs.shape[0])[0]


def make(asked: Problem, kind: type[nn.RNNBase] | None = None, ragged: Ragged | None = None) -> Contender:
    """Compute a problem with nn.LSTM, nn.GRU or nn.RNN.

    Args:
        asked: what to compute.
        kind: a class to put in their place.
        ragged: how it reads unequal lengths; None: packed.
    """
    names = stacks(asked.cell)
    size = asked.gradient.shape[-1] if asked.cell == "lstmp" else 0
    sizes: list[Any] = [asked.shape.input, asked.shape.hidden]
    wanted: dict[str, Any] = {"proj_size": size} if size else {}
    layer = (kind or LAYERS[asked.cell])(*sizes, **wanted)
    by_length = ragged or packed
    # oneDNN saves less for a layer that is in evaluation mode.
    layer.train(asked.trains)
    parameters = dict(layer.named_parameters())
    with torch.no_grad():
        for name, weight in joined(asked.weights, names).items():
            parameters[name].copy_(torch.from_numpy(weight))
    inputs = torch.from_numpy(asked.inputs).requires_grad_(asked.trains)
    lengths = None if asked.lengths is None else torch.from_numpy(asked.lengths)

    def forward() -> torch.Tensor:
        return layer(inputs)[0] if lengths is None else by_length(layer, inputs, lengths)

    return contender(asked, Tensors(inputs, parameters, names), forward, getattr(layer, "path", ""))
