"""Kernels compiled from a cell's own equations, for the CPU. Numba is imported, and a cell compiled, at first use."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from remanence.cells import Cell
from remanence.compiler.emit_torch import Run
from remanence.nn.twin import transformed

__all__ = ["choose", "run"]


def choose(weight: Tensor | None, data: Tensor | None) -> tuple[str, str]:
    """The path of a call that asks for a fused kernel, and why."""
    if weight is None:
        return "eager", "the cell has no parameters"
    if weight.device.type != "cpu":
        return "eager", f"fused kernels are for the CPU, the layer is on {weight.device.type}"
    if weight.dtype not in (torch.float32, torch.float64):
        return "eager", f"fused kernels are for float32 and float64, the layer is {weight.dtype}"
    if data is not None and 0 in data.shape:
        return "eager", "an axis is empty"
    if transformed():
        return "eager", "fused kernels do not run under torch.func transforms"
    if torch.is_autocast_enabled("cpu"):
        return "eager", "fused kernels do not run under autocast"
    return "cpu-fused", "one time loop, compiled from the equations"


def run(
    cell: Cell, weights: Mapping[str, Tensor], inputs: Tensor, state: Mapping[str, Tensor], lengths: Tensor | None
) -> Run:
    """Run one layer in one direction; arguments as `emit_torch.run`."""
    from remanence.compiler import kernel, run_cpu

    return run_cpu.run(kernel.build(cell.step), weights, inputs, state, lengths=lengths)
