"""Tensors that do not fit each other never reach a kernel."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from remanence.errors import ShapeError
from remanence.nn import Recurrent, RecurrentOptions
from remanence.sequences import Sequences

WRONG = {
    "input": ("W_r", torch.zeros(5, 4)),
    "hidden": ("U_n", torch.zeros(5, 6)),
    "number of axes": ("b_z", torch.zeros(5, 1)),
    "dtype, device": ("U_z", torch.zeros(5, 5, dtype=torch.float64)),
}


@pytest.mark.parametrize("axis", WRONG)
def test_parameter_that_does_not_fit_is_named(axis: str) -> None:
    layer = Recurrent("gru-before", 3, 5, options=RecurrentOptions(path="cpu-fused"))
    name, tensor = WRONG[axis]
    setattr(layer.layer0_forward, name, nn.Parameter(tensor))
    with pytest.raises(ShapeError, match=name) as found:
        layer(torch.zeros(2, 9, 3))
    assert found.value.axis == axis


def test_lengths_beyond_the_input_never_reach_a_kernel() -> None:
    layer = Recurrent("gru-before", 3, 5, bidirectional=True)

    def run(data: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return layer(Sequences(data, lengths)).output

    compiled = torch.compile(run, backend="eager")
    for run_ in (run, compiled):
        with pytest.raises(ShapeError, match="0 … 9"):
            run_(torch.zeros(2, 9, 3), torch.tensor([4, 90]))
