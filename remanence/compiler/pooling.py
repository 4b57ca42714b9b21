"""The sum and the highest value of the steps of each sequence, by kernels that read every step once.

Written out in PyTorch the steps are copied twice, without what stands beyond an end, and passed over a dozen times
behind that; a layer that reads texts of a thousand words spends less time on its equations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from remanence.compiler import threads
from remanence.compiler.arena import borrow
from remanence.compiler.by_hand import ByHand
from remanence.compiler.gradients import many_at_once
from remanence.compiler.machine import MACHINE

__all__ = ["KERNELS", "able", "sum_and_highest"]

KERNELS = ByHand("pooling", "Σ_t x_tk and max_t x_tk of each sequence's own steps", "pooling_loops")
_COUNTED = 2**24
"""Steps that float32 counts one by one."""


def able(data: Tensor) -> bool:
    """Whether steps `[batch, time, size]` lie as the kernels read them: in whole registers."""
    whole = data.shape[2] % MACHINE.width(data.dtype.itemsize) == 0
    return whole and data.stride(2) == 1 and data.shape[1] <= _COUNTED


def _run(name: str, steps: Tensor, lengths: np.ndarray, others: list[Tensor]) -> None:
    batch, time, size = steps.shape
    numbers = [batch, size, steps.stride(1), steps.stride(0), time]
    KERNELS.run(name, numbers, lengths, [steps, *others], threads.parts_of(batch))


class _Pooled(torch.autograd.Function):
    """steps, lengths → sum, highest."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, lengths: np.ndarray) -> tuple[Tensor, Tensor]:
        total, highest, place = (data.new_empty(len(data), data.shape[2]) for _ in range(3))
        _run("forward", data, lengths, [total, highest, place])
        ctx.save_for_backward(place)
        ctx.lengths, ctx.like = lengths, (data.shape, data.stride(1) > data.stride(0), data.dtype)
        return total, highest

    @staticmethod
    def backward(ctx: Any, of_total: Tensor, of_highest: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (place,), ((batch, time, size), first, dtype) = ctx.saved_tensors, ctx.like
        if torch.is_grad_enabled() or many_at_once(of_total) or many_at_once(of_highest):
            steps = torch.arange(time)[:, None]
            inside = steps < torch.from_numpy(ctx.lengths)[:, None, None]
            there = inside & (steps == place[:, None])
            return torch.where(inside, of_total[:, None], 0.0) + torch.where(there, of_highest[:, None], 0.0), None
        # As the steps lie themselves: of a layer, one step of all sequences behind the other.
        found = borrow((time, batch, size), dtype).transpose(0, 1) if first else borrow((batch, time, size), dtype)
        _run("backward", found, ctx.lengths, [of_total.contiguous(), of_highest.contiguous(), place])
        return found, None


def sum_and_highest(data: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Sum the steps of each sequence, and find the highest value of each feature.

    Args:
        data: `[batch, time, size]`, of which `able` holds, on the CPU, float32 or float64; beyond a sequence's length
            anything may stand.
        lengths: int64 `[batch]`, each in 0 … time.

    Returns:
        Both `[batch, size]`; without steps 0 and -inf. Of equal values the first gets the gradient.

    Example:
        >>> steps = torch.zeros(1, 3, 16)
        >>> steps[0, :, 0] = torch.tensor([1.0, 4.0, 9.0])
        >>> [found[0, 0].item() for found in sum_and_highest(steps, torch.tensor([2]))]
        [5.0, 4.0]
    """
    return _Pooled.apply(data, lengths.numpy().copy())  # type: ignore[no-any-return]
