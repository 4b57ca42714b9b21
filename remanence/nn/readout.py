"""An answer at every step: one linear layer over what the recurrent layers give, or the tokens' own vectors.

References:
    Press & Wolf 2017, Using the output embedding to improve language models, arXiv:1608.05859 (tied vectors).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from remanence.nn.dropout import keep_units
from remanence.sequences import Sequences

__all__ = ["Readout"]


class Readout(nn.Module):
    """Steps → logits `[batch, time, answer]`.

    Args:
        size: features of a step.
        answers: logits of a step.
        dropout: rate of dropout before it, alike at all steps, in training.
        tied: size of the vectors that are given to `forward` as the matrix of answers; None for a matrix of its own.
            Where it differs from `size`, a linear layer leads from one to the other.
        bias: logits before anything is learnt, where the matrix is its own; None for small random ones.
    """

    def __init__(
        self, size: int, answers: int, *, dropout: float = 0.0, tied: int | None = None, bias: float | None = None
    ) -> None:
        super().__init__()
        self.dropout, self.tied = dropout, tied is not None
        self.linear = None if self.tied else nn.Linear(size, answers)
        self.bias = nn.Parameter(torch.zeros(answers)) if self.tied else None
        if self.linear is not None and bias is not None:
            nn.init.constant_(self.linear.bias, bias)
        self.project = nn.Linear(size, tied, bias=False) if tied not in (None, size) else None

    def forward(self, steps: Sequences, vectors: Tensor | None = None) -> Tensor:
        """Answer at each step; `vectors` `[answer, feature]` where they are tied."""
        data = steps.data
        if self.training and self.dropout:
            data = data * keep_units(self.dropout, (len(data), 1, data.shape[2]), data)
        if self.linear is not None:
            return self.linear(data)
        assert vectors is not None
        data = data if self.project is None else self.project(data)
        return nn.functional.linear(data, vectors, self.bias)
