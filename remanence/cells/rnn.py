"""The simple recurrent network of Elman, with tanh or relu."""

from __future__ import annotations

from remanence.cells.cell import Cell, TorchTwin

__all__ = ["CELLS"]

_SOURCE = "Elman 1990, Finding structure in time, doi:10.1207/s15516709cog1402_1"

CELLS = (
    Cell(
        name="rnn",
        title="Elman RNN (tanh)",
        state=("h",),
        output="h",
        equations="h = tanh(W @ x + U @ h + b)",
        source=f"{_SOURCE}; tanh in place of the logistic function",
        bounded=True,
        torch_twin=TorchTwin("RNN_TANH", ("W",), ("U",), ("b",), ("",)),
    ),
    Cell(
        name="rnn-relu",
        title="Elman RNN (relu)",
        state=("h",),
        output="h",
        equations="h = relu(W @ x + U @ h + b)",
        source=f"{_SOURCE}; relu as in Le, Jaitly & Hinton 2015, arXiv:1504.00941",
        torch_twin=TorchTwin("RNN_RELU", ("W",), ("U",), ("b",), ("",)),
    ),
)
