"""Random sizes, options, inputs and losses: each drop-in beside torch's layer."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import remanence.nn as ours

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning")


def drawn(draw: random.Random) -> tuple[str, int, int, dict[str, Any]]:
    """Kind, input and hidden size, options."""
    kind, hidden = draw.choice(["LSTM", "LSTM", "GRU", "RNN"]), draw.choice([1, 2, 5, 16, 17, 33])
    options: dict[str, Any] = {
        "num_layers": draw.choice([1, 2, 3]),
        "dropout": draw.choice([0.0, 0.4]),
        "dtype": draw.choice([torch.float32, torch.float64]),
        **{name: draw.random() < 0.5 for name in ("bias", "batch_first", "bidirectional")},
    }
    if options["num_layers"] == 1:
        options["dropout"] = 0.0
    if kind == "LSTM" and hidden > 1 and draw.random() < 0.5:
        options["proj_size"] = draw.randint(1, hidden - 1)
    if kind == "RNN":
        options["nonlinearity"] = draw.choice(["tanh", "relu"])
    return kind, draw.choice([1, 3, 8, 17]), hidden, options


def call(layer: nn.RNNBase, data: Tensor, lengths: Tensor | None, start: list[Tensor], weights: str) -> list[Tensor]:
    """Output and final states, and the gradients of a loss over those that `weights` names."""
    layer.zero_grad()
    leaves = [leaf.detach().requires_grad_() for leaf in (data, *start)]
    flow = leaves[0]
    inputs: Any = flow if layer.batch_first else flow.transpose(0, 1)
    if lengths is not None:
        inputs = pack_padded_sequence(flow, lengths, batch_first=True, enforce_sorted=False)
    torch.manual_seed(7)
    output, last = layer(inputs, tuple(leaves[1:]) if len(start) > 1 else leaves[1] if start else None)
    found = [output if lengths is None else output.data, *(last if isinstance(last, tuple) else (last,))]
    torch.manual_seed(8)
    parts = [(value * torch.randn_like(value)).sum() for value in found]
    sum({"output": parts[:1], "state": parts[1:], "both": parts}[weights]).backward()  # type: ignore[union-attr]
    gradients = [leaf.grad for leaf in (*leaves, *layer.parameters())]
    like = [*leaves, *layer.parameters()]
    zeros = [torch.zeros_like(leaf) if grad is None else grad for grad, leaf in zip(gradients, like, strict=True)]
    return [*(value.detach() for value in found), *zeros]


@pytest.mark.parametrize("seed", range(60))
def test_random_layer_gives_what_torch_gives(seed: int) -> None:
    draw = random.Random(seed)
    kind, features, hidden, options = drawn(draw)
    torch.manual_seed(seed)
    theirs, layer = getattr(nn, kind)(features, hidden, **options), getattr(ours, kind)(features, hidden, **options)
    layer.load_state_dict(theirs.state_dict())
    time, batch = draw.choice([8, 9, 20, 63]), draw.choice([1, 2, 3, 7])
    data = torch.randn(batch, features, time, dtype=options["dtype"]).transpose(1, 2)
    lengths = torch.randint(1, time + 1, (batch,)) if draw.random() < 0.5 else None
    rows = theirs.num_layers * (2 if theirs.bidirectional else 1)
    sizes = [theirs.proj_size or hidden, hidden][: 2 if kind == "LSTM" else 1] if draw.random() < 0.6 else []
    start = [torch.randn(rows, batch, size, dtype=options["dtype"]) for size in sizes]
    weights = draw.choice(["output", "state", "both"])
    expected, came = (call(one, data, lengths, start, weights) for one in (theirs, layer))
    precise = options["dtype"] == torch.float64
    for one, other in zip(came, expected, strict=True):
        largest = max(1.0, float(other.abs().max()))
        torch.testing.assert_close(one, other, rtol=1e-9, atol=(1e-10 if precise else 3e-5) * largest)
