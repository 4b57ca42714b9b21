"""Read sequences of unequal length from their own ends."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["reversal", "turn"]


def reversal(lengths: Tensor | None, flow: Tensor) -> Tensor:
    """Where each step goes when every sequence is read from its own end; its own inverse.

    Returns:
        int64 `[time, batch]`, or `[time]` where all sequences are as long as the time axis.
    """
    time, batch = flow.shape[:2]
    steps = torch.arange(time, device=flow.device)
    if lengths is None:
        return time - 1 - steps
    steps, ends = steps[:, None].expand(time, batch), lengths.to(flow.device)[None, :]
    return torch.where(steps < ends, ends - 1 - steps, steps)


def turn(values: Tensor, index: Tensor) -> Tensor:
    """The steps of `[time, batch, size]` in the order of a `reversal`."""
    if index.ndim == 1:
        return values.flip(0)
    return values.gather(0, index[..., None].expand(*index.shape, values.shape[-1]))
