"""Batch normalisation over the steps of sequences of unequal length, and the positive part of it, by kernels.

Written out in PyTorch it is two dozen passes over what a convolution gives, forward and backward.

References:
    Ioffe & Szegedy 2015, Batch normalization, arXiv:1502.03167, algorithm 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from remanence.compiler import threads
from remanence.compiler.by_hand import ByHand

__all__ = ["KERNELS", "normalised"]

KERNELS = ByHand("batch norm", "max(0, w (x − μ) / √(σ² + ε) + b) over the steps of a channel", "norm_loops")


def _run(name: str, lengths: np.ndarray, arrays: list[Tensor]) -> None:
    batch, channels, time = arrays[0].shape
    KERNELS.run(name, [batch, channels, time], lengths, arrays, threads.parts_of(channels))


class _Normalised(torch.autograd.Function):
    """data, weight, bias, lengths, ε → the positive part, mean, variance."""

    @staticmethod
    def forward(
        ctx: Any, data: Tensor, weight: Tensor, bias: Tensor, lengths: np.ndarray, floor: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        data, weight, bias = (each.contiguous() for each in (data, weight, bias))
        small = data.new_tensor([floor])
        found, mean, variance = torch.empty_like(data), torch.empty_like(weight), torch.empty_like(weight)
        _run("forward", lengths, [data, weight, bias, found, mean, variance, small])
        ctx.lengths = lengths
        ctx.save_for_backward(data, weight, bias, found, mean, variance, small)
        ctx.mark_non_differentiable(mean, variance)
        return found, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        data, weight = ctx.saved_tensors[:2]
        found = torch.empty_like(data), torch.empty_like(weight), torch.empty_like(weight)
        _run("backward", ctx.lengths, [*ctx.saved_tensors, gradient.contiguous(), *found])
        return *found, None, None


def normalised(
    data: Tensor, weight: Tensor, bias: Tensor, lengths: Tensor, floor: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise each channel by its moments over all valid steps, and take the positive part.

    Args:
        data: `[batch, channel, time]`, with steps; on the CPU, float32 or float64.
        weight, bias: `[channel]`, of the same dtype.
        lengths: int64 `[batch]`, each in 0 … time, not all of them 0.
        floor: ε, which is added to a variance.

    Returns:
        `[batch, channel, time]`, zeros beyond a sequence's length; mean and variance `[channel]`, without a gradient.
        It has a first derivative alone.

    Example:
        >>> data = torch.tensor([[[1.0, 3.0, 9.0]]])
        >>> found = normalised(data, torch.ones(1), torch.zeros(1), torch.tensor([2]), 0.0)
        >>> [each.flatten().tolist() for each in found]
        [[0.0, 1.0, 0.0], [2.0], [1.0]]
    """
    return _Normalised.apply(data, weight, bias, lengths.numpy().copy(), floor)  # type: ignore[no-any-return]
