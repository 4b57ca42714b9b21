"""Attention: how much of each step of a source goes into each step of an answer.

    additive         e_ts = vᵀ tanh(W q_t + U m_s)   Bahdanau, Cho & Bengio 2015, arXiv:1409.0473, §A.1.2
    multiplicative   e_ts = q_tᵀ W m_s               Luong, Pham & Manning 2015, arXiv:1508.04025, eq. 8 ("general")
    a_t = softmax over the source's own steps,   c_t = Σ_s a_ts m_s

With coverage the score also knows how much each step was attended to before: additive scores gain w k_ts inside the
tanh (See, Liu & Manning 2017, arXiv:1704.04368, eq. 11), multiplicative ones w k_ts, with k_t = Σ_{t' < t} a_t'.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from remanence.errors import SettingError
from remanence.nn import fused
from remanence.sequences import Sequences

__all__ = ["ATTENTIONS", "Attention", "Memory"]

ATTENTIONS = ("none", "additive", "multiplicative")


class Memory(NamedTuple):
    """What is attended to.

    Args:
        values: `[batch, source, feature]`.
        keys: what queries are compared with, `[batch, source, size]`.
        mask: the steps that a source has, bool `[batch, source]`.
    """

    values: Tensor
    keys: Tensor
    mask: Tensor


class Attention(nn.Module):
    """Weights of the steps of a source for each query, all queries at once.

    Args:
        kind: `additive` or `multiplicative`.
        query: features of a query.
        memory: features of a step of the source.
        size: features of the comparison (additive).
        coverage: scores know what was attended to before.
    """

    def __init__(self, kind: str, query: int, memory: int, size: int, *, coverage: bool = False) -> None:
        super().__init__()
        if kind not in ATTENTIONS[1:]:
            raise SettingError(f"no such attention '{kind}'", name="attention", remedy=", ".join(ATTENTIONS))
        self.kind = kind
        additive = kind == "additive"
        self.keys = nn.Linear(memory, size if additive else query, bias=False)
        self.query = nn.Linear(query, size) if additive else None
        self.score = nn.Linear(size, 1, bias=False) if additive else None
        # At the start what was covered changes nothing.
        self.covered = nn.Parameter(torch.zeros(size if additive else 1)) if coverage else None

    def remember(self, steps: Sequences) -> Memory:
        """Make ready what will be attended to; computed once a source."""
        return Memory(steps.data, self.keys(steps.data), steps.mask())

    def forward(self, queries: Tensor, memory: Memory, covered: Tensor | None = None) -> Tensor:
        """Weigh the steps of each source.

        Args:
            queries: `[batch, query, feature]`.
            memory: see `remember`.
            covered: the sum of earlier weights, `[batch, query, source]`; needed where scores know it.

        Returns:
            Weights `[batch, query, source]`, which sum to 1 over the source's own steps; zeros where it has none.
        """
        if self.query is not None and self.score is not None:
            compared, weight = self.query(queries), self.score.weight[0]
            if self.covered is not None and covered is not None:
                told = compared[:, :, None] + memory.keys[:, None] + covered[..., None] * self.covered
                scores = torch.tanh(told) @ weight
            else:
                scores = fused.additive(compared, memory.keys, weight, memory.mask.sum(1))
        else:
            scores = queries @ memory.keys.transpose(1, 2)
            if self.covered is not None and covered is not None:
                scores = scores + covered * self.covered
        return _over_own_steps(scores, memory.mask)


def _over_own_steps(scores: Tensor, mask: Tensor) -> Tensor:
    """A softmax over the steps that a source has."""
    inside = mask[:, None]
    # A source without steps would be 0/0: its weights are zeros.
    empty = ~mask.any(1)[:, None, None]
    scores = torch.where(inside | empty, scores, -torch.inf)
    return torch.where(inside, torch.softmax(scores, dim=-1), 0.0)
