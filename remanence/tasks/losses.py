"""Losses of numbers, and of a text whose place in a sequence nobody knows."""

from __future__ import annotations

import torch
from torch import Tensor

from remanence.nn import fused

__all__ = ["point_loss", "text_loss"]


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


def text_loss(logits: Tensor, texts: Tensor, steps: Tensor) -> Tensor:
    """−log p of the true text by connectionist temporal classification, by symbol, the mean over a batch; a sequence
    with fewer steps than its text needs has no say.

    Args:
        logits: `[batch, time, symbol]`, the blank first.
        texts: numbers of symbols, the blank's (0) behind each text, int64 `[batch, symbol]`.
        steps: of each sequence that count, int64 `[batch]`.

    References:
        Graves et al. 2006, doi:10.1145/1143844.1143891, equation 12.

    Example:
        >>> round(float(text_loss(torch.zeros(1, 2, 2), torch.tensor([[1]]), torch.tensor([2]))), 3)
        0.288
    """
    counts = (texts != 0).sum(1)
    found = fused.log_probability(logits, texts, steps, counts)
    if found is not None:
        lost = torch.where(found == -torch.inf, 0.0, -found)
    else:
        chances = logits.log_softmax(2).transpose(0, 1)
        lost = torch.nn.functional.ctc_loss(chances, texts, steps, counts, reduction="none", zero_infinity=True)
    return (lost / counts.clamp(min=1)).mean()
