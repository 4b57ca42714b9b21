"""The weights of one layer and direction: named as in the equations."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from remanence.cells import Cell
from remanence.nn.start import Start, started

__all__ = ["CellWeights"]


class CellWeights(nn.Module):
    """Parameters of a cell for given sizes, drawn from torch's global generator.

    Every parameter is uniform in ±1/√hidden, as in torch.nn, but for those that the cell starts at a constant, and
    those that are started otherwise.

    Args:
        cell: whose equations name the parameters.
        sizes: size name → number, such as `{"input": 3, "hidden": 8}`.
        start: how they start.
    """

    def __init__(self, cell: Cell, sizes: Mapping[str, int], start: Start | None = None) -> None:
        super().__init__()
        for name, weight in started(cell, sizes, start or Start()):
            self.register_parameter(name, nn.Parameter(weight))

    def tensors(self) -> dict[str, Tensor]:
        """The weights by name."""
        return {name: parameter for name, parameter in self._parameters.items() if parameter is not None}

    def forward(self) -> dict[str, Tensor]:
        """The same as `tensors`, so that forward hooks and parametrisations see the weights."""
        return self.tensors()
