"""torch.nn's own layers: padded, and packed where lengths differ."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from bench.engine.problem import Arrays, Contender, Problem, joined, split
from remanence.cells import CELLS

__all__ = ["make", "stacks"]

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


def make(asked: Problem) -> Contender:
    """Compute a problem with nn.LSTM, nn.GRU or nn.RNN."""
    names = stacks(asked.cell)
    size = asked.gradient.shape[-1] if asked.cell == "lstmp" else 0
    layer = LAYERS[asked.cell](asked.shape.input, asked.shape.hidden, **({"proj_size": size} if size else {}))
    parameters = dict(layer.named_parameters())
    with torch.no_grad():
        for name, weight in joined(asked.weights, names).items():
            parameters[name].copy_(torch.from_numpy(weight))
    inputs = torch.from_numpy(asked.inputs).requires_grad_(asked.trains)
    gradient = torch.from_numpy(asked.gradient)
    lengths = None if asked.lengths is None else torch.from_numpy(asked.lengths)

    def forward() -> torch.Tensor:
        if lengths is None:
            return layer(inputs)[0]
        packed = pack_padded_sequence(inputs, lengths, enforce_sorted=False)
        return pad_packed_sequence(layer(packed)[0], total_length=asked.shape.time)[0]

    def infer() -> torch.Tensor:
        with torch.inference_mode():
            return forward()

    def train() -> torch.Tensor:
        inputs.grad = None
        layer.zero_grad(set_to_none=True)
        output = forward()
        output.backward(gradient)
        return output

    call = train if asked.trains else infer

    def results() -> Arrays:
        found = {"output": call().detach().numpy().copy()}
        if asked.trains:
            assert inputs.grad is not None
            gradients = {name: weight.grad.numpy() for name, weight in parameters.items() if weight.grad is not None}
            found |= {"x": inputs.grad.numpy()} | split(gradients, names)
        return found

    return Contender(call, results)
