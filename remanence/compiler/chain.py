"""The sum over all label sequences of a linear chain, and how likely each label is, by kernels (see `nn.crf`).

Written out in PyTorch each step is a dozen operations on a few numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from remanence.compiler import threads
from remanence.compiler.by_hand import ByHand
from remanence.compiler.machine import MACHINE

__all__ = ["HEAD", "KERNELS", "ROWS", "SQUARES", "log_partition"]

KERNELS = ByHand(
    "chain", "log Σ_y exp(start[y_1] + Σ_t emission[t, y_t] + Σ_t transition[y_{t-1}, y_t] + end[y_n])", "chain_loops"
)
HEAD = (
    *("parts", "batch", "classes", "row", "time"),
    *("transitions_batch", "transitions_row", "start_batch", "end_batch", "emissions_batch", "emissions_step"),
)
"""The kernels' first integers: sizes (`row`: classes in whole registers), then strides."""
SQUARES, ROWS = 2, 4
"""What each thread has for itself, of padded rows: squares of classes, and rows."""


def _call(name: str, parts: list[Tensor], where: np.ndarray, others: list[Tensor]) -> None:
    """Run a kernel.

    Args:
        name: "forward" or "backward".
        parts: transitions, start, end, emissions; their last axis in order.
        where: places of sequences among their steps `[batch + 1]`, then these steps.
        others: the total, the states, and, backward, the weight and the four gradients.
    """
    transitions, start, end, emissions = parts
    batch, time, classes = emissions.shape
    row, count = others[1].shape[2], threads.parts_of(batch)
    strides = [*transitions.stride()[:2], start.stride(0), end.stride(0), *emissions.stride()[:2]]
    room = emissions.new_empty(count * (SQUARES * classes + ROWS) * row)
    KERNELS.run(name, [batch, classes, row, time, *strides], where, [*parts, room, *others], count)


class _Chain(torch.autograd.Function):
    """transitions, start, end, emissions, which steps count → log of the sum."""

    @staticmethod
    def forward(ctx: Any, transitions: Tensor, start: Tensor, end: Tensor, emissions: Tensor, mask: Tensor) -> Tensor:
        parts = [part if part.stride(-1) == 1 else part.contiguous() for part in (transitions, start, end, emissions)]
        batch, time, classes = emissions.shape
        width = MACHINE.width(emissions.element_size())
        counted = mask.numpy()
        begins = np.concatenate([[0], counted.sum(1).cumsum()]).astype(np.int64)
        ctx.where = np.concatenate([begins, counted.nonzero()[1]])
        total, states = emissions.new_empty(batch), emissions.new_empty(batch, time, -(-classes // width) * width)
        _call("forward", parts, ctx.where, [total, states])
        ctx.save_for_backward(*parts, total, states)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        *parts, total, states = ctx.saved_tensors
        found = [torch.empty(part.shape, dtype=part.dtype) for part in parts]
        _call("backward", parts, ctx.where, [total, states, gradient.contiguous(), *found])
        return *found, None


def log_partition(parts: tuple[Tensor, Tensor, Tensor, Tensor], mask: Tensor) -> Tensor:
    """Log of the sum over all label sequences `[batch]`; 0 for one without a step. It has a first derivative alone.

    Args:
        parts: as of `nn.crf.Lattice`: transitions `[batch, class before, class]`, start and end `[batch, class]`,
            emissions `[batch, time, class]`; on the CPU, float32 or float64.
        mask: which steps count, bool `[batch, time]`.

    Numerics: in log space; a label that is e^87 times less likely than the likeliest one counts as that unlikely.

    Example:
        >>> zeros = torch.zeros(1, 2, 2), torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 3, 2)
        >>> round(float(log_partition(zeros, torch.ones(1, 3, dtype=torch.bool)).exp()), 3)
        8.0
    """
    return _Chain.apply(*parts, mask)  # type: ignore[no-any-return]
