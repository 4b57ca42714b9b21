"""Dropout by a kernel that draws while it multiplies: elements are read and written once, and no mask is kept, for the
backward pass draws the same again.

Random numbers are a hash of a seed and of an element's place, so they do not depend on registers or threads.

References:
    The hash: Steele, Lea & Flood 2014, Fast splittable pseudorandom number generators, doi:10.1145/2660193.2660195.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from remanence.compiler import threads
from remanence.compiler.by_hand import ByHand
from remanence.compiler.gradients import many_at_once

__all__ = ["CHANCES", "KERNELS", "dropped"]

KERNELS = ByHand("dropout", "x ⊙ mask, where the mask follows from a seed", "dropping_loops")
CHANCES = 1 << 16
"""Draws that an element may get; a rate is rounded to one of so many."""
_PART = 1 << 14
"""Elements that are worth a thread."""
_NONE = np.zeros(0, np.int64)


class _Dropped(torch.autograd.Function):
    """data, seed, draws that drop an element → data, dropped."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, seed: int, level: int) -> Tensor:
        ctx.drawn = seed, level
        # As it lies: what layers give has time for its first axis.
        turned = data.ndim > 1 and not data.is_contiguous() and data.transpose(0, 1).is_contiguous()
        ctx.turned = turned
        return _drop(data, seed, level, turned)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        seed, level = ctx.drawn
        if torch.is_grad_enabled() or many_at_once(gradient):
            mask = _drop(torch.ones(gradient.shape, dtype=gradient.dtype), seed, level, ctx.turned)
            return gradient * mask, None, None
        return _drop(gradient, seed, level, ctx.turned), None, None


def _drop(data: Tensor, seed: int, level: int, turned: bool) -> Tensor:
    source = (data.transpose(0, 1) if turned else data).contiguous()
    found, count = torch.empty_like(source), source.numel()
    parts = threads.parts_of(max(1, count // _PART))
    KERNELS.run("forward", [count, seed, level], _NONE, [source, found, _scale(level, source.dtype)], parts)
    return found.transpose(0, 1) if turned else found


@lru_cache(maxsize=64)
def _scale(level: int, dtype: torch.dtype) -> Tensor:
    return torch.tensor([CHANCES / (CHANCES - level)], dtype=dtype)


def dropped(data: Tensor, rate: float) -> Tensor:
    """Set elements to zero at a rate, and scale up the others.

    Args:
        data: of any shape, with elements, on the CPU, float32 or float64.
        rate: 0 … 1, to the nearest of 65,536 shares; of a rate of 1 a few are left.

    Returns:
        Of the shape of data; differentiable to any order. The seed is drawn from torch's generator.

    Example:
        >>> sorted(set(dropped(torch.ones(1000), 0.5).tolist()))
        [0.0, 2.0]
    """
    seed = int(torch.randint(-(2**63), 2**63 - 1, ()))
    return _Dropped.apply(data, seed, min(round(rate * CHANCES), CHANCES - 1))  # type: ignore[no-any-return]
