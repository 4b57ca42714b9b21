"""The weights of one layer and direction: named as in the equations, initialised as torch.nn does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from remanence.cells import Cell

__all__ = ["CellWeights"]


class CellWeights(nn.Module):
    """Parameters of a cell for given sizes, drawn from torch's global generator.

    Every parameter is uniform in ±1/√hidden, as in torch.nn, but for those that the cell starts at a constant.

    Args:
        cell: whose equations name the parameters.
        sizes: size name → number, such as `{"input": 3, "hidden": 8}`.
        forget_bias: added to the biases that `cell.forget_bias` names (1 is usual; 0 leaves them as torch does).
        recurrent: "uniform", or "orthogonal" for the matrices that multiply a state (Saxe et al. 2014,
            arXiv:1312.6120).
    """

    def __init__(
        self,
        cell: Cell,
        sizes: Mapping[str, int],
        *,
        forget_bias: float = 0.0,
        recurrent: Literal["uniform", "orthogonal"] = "uniform",
    ) -> None:
        super().__init__()
        bound = 1 / math.sqrt(sizes["hidden"])
        for parameter in cell.step.parameters:
            weight = torch.empty(parameter.shape(sizes))
            if parameter.name in cell.start:
                weight.fill_(cell.start[parameter.name])
            elif recurrent == "orthogonal" and len(parameter.axes) == 2 and parameter.axes[1] != "input":
                nn.init.orthogonal_(weight)
            else:
                weight.uniform_(-bound, bound)
            if parameter.name in cell.forget_bias:
                weight.add_(forget_bias)
            self.register_parameter(parameter.name, nn.Parameter(weight))

    def tensors(self) -> dict[str, Tensor]:
        """The weights by name."""
        return {name: parameter for name, parameter in self._parameters.items() if parameter is not None}

    def forward(self) -> dict[str, Tensor]:
        """The same as `tensors`, so that forward hooks and parametrisations see the weights."""
        return self.tensors()
