"""Losses of numbers."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["point_loss"]


def point_loss(kind: str, error: Tensor) -> Tensor:
    """The loss of each error: squared, absolute, or Huber's with its turn at one scaled unit.

    Example:
        >>> point_loss("huber", torch.tensor([0.5, -3.0])).tolist()
        [0.125, 2.5]
    """
    if kind == "mse":
        return error**2
    if kind == "mae":
        return error.abs()
    return torch.where(error.abs() < 1, 0.5 * error**2, error.abs() - 0.5)
