"""Linear-chain conditional random field: scores of whole label sequences, in log space.

score(y)  = start[y_1] + Σ_t emission[t, y_t] + Σ_t transition[y_{t-1}, y_t] + end[y_n]
log p(y)  = score(y) − log Σ_y' exp score(y')

Scores travel as one tensor, a *lattice* `[batch, class + 2 + time, class]`: the transitions `[before, class]`, the row
of `start`, the row of `end`, then the emission of each step. So a loss and a decoder need no model, and simple models
can answer with the same. Only steps where a mask holds are part of the chain; the others are passed over.

References:
    Lafferty, McCallum & Pereira 2001, Conditional random fields, ICML; Lample et al. 2016, arXiv:1603.01360, §2.2 (the
    chain over a bidirectional LSTM); Viterbi 1967, doi:10.1109/TIT.1967.1054010.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["FORBIDDEN", "Chain", "Lattice", "lattice_of", "log_likelihood", "log_partition", "path_score", "viterbi"]

FORBIDDEN = -1e4
"""Score of a transition that may not be: small enough to leave no probability in float32, and finite, so that a label
sequence of the data that breaks the rules has a large loss and no infinite one."""


class Lattice(NamedTuple):
    """The parts of a lattice.

    Args:
        transitions: `[batch, class before, class]`.
        start, end: `[batch, class]`.
        emissions: `[batch, time, class]`.
    """

    transitions: Tensor
    start: Tensor
    end: Tensor
    emissions: Tensor

    @classmethod
    def read(cls, packed: Tensor, time: int) -> Lattice:
        """Take apart what `pack` gave; of the emissions the first `time` steps."""
        count = packed.shape[2]
        return cls(packed[:, :count], packed[:, count], packed[:, count + 1], packed[:, count + 2 : count + 2 + time])

    def pack(self) -> Tensor:
        """One tensor `[batch, class + 2 + time, class]`."""
        return torch.cat([self.transitions, self.start[:, None], self.end[:, None], self.emissions], dim=1)


def lattice_of(emissions: Tensor) -> Tensor:
    """The lattice of emissions alone `[batch, time, class]`: nothing is said of neighbours."""
    batch, _, count = emissions.shape
    return torch.cat([emissions.new_zeros(batch, count + 2, count), emissions], dim=1)


class Chain(nn.Module):
    """Transitions, start and end scores, learnt where they are allowed.

    Args:
        follow: which label may follow which, bool `[class before, class]`.
        begin, end: which may begin and end a sequence, bool `[class]`.
    """

    barrier: Tensor

    def __init__(self, follow: np.ndarray, begin: np.ndarray, end: np.ndarray) -> None:
        super().__init__()
        open_ways = torch.from_numpy(np.concatenate([follow, begin[None], end[None]]))
        # Follows from the labels, so it is no part of the weights.
        self.register_buffer("barrier", torch.where(open_ways, 0.0, FORBIDDEN), persistent=False)
        self.scores = nn.Parameter(torch.zeros(open_ways.shape))

    def forward(self, emissions: Tensor) -> Tensor:
        """Emissions `[batch, time, class]` → lattice."""
        scores = self.scores + self.barrier
        return torch.cat([scores.expand(len(emissions), -1, -1), emissions], dim=1)


def path_score(lattice: Lattice, labels: Tensor, mask: Tensor) -> Tensor:
    """Score of given labels `[batch, time]`, where `mask` `[batch, time]` holds: `[batch]`."""
    batch, time = labels.shape
    labels = torch.where(mask, labels, 0)
    total = torch.where(mask, lattice.emissions.gather(2, labels[..., None])[..., 0], 0.0).sum(1)
    rows = torch.arange(batch, device=labels.device)
    before, begun = labels.new_zeros(batch), mask.new_zeros(batch)
    for t in range(time):
        now = labels[:, t]
        step = torch.where(begun, lattice.transitions[rows, before, now], lattice.start[rows, now])
        total = total + torch.where(mask[:, t], step, 0.0)
        before = torch.where(mask[:, t], now, before)
        begun = begun | mask[:, t]
    return total + torch.where(begun, lattice.end[rows, before], 0.0)


def log_partition(lattice: Lattice, mask: Tensor) -> Tensor:
    """Log of the sum over all label sequences `[batch]`; 0 for a sequence without a step.

    Numerics: in log space. Of each sum over the labels before, the largest score is taken out, what is left is a
    product with the exponentials of the transitions. A label that is e^87 times (float32) less likely than the
    likeliest one counts as that unlikely.
    """
    emissions = lattice.emissions
    batch, time, count = emissions.shape
    alpha, begun = emissions.new_zeros(batch, count), mask.new_zeros(batch)
    highest = lattice.transitions.detach().amax(dim=1, keepdim=True)
    ways, least = (lattice.transitions - highest).exp(), torch.finfo(emissions.dtype).tiny
    for t in range(time):
        peak = alpha.detach().amax(dim=1, keepdim=True)
        total = torch.bmm((alpha - peak).exp()[:, None], ways)[:, 0]
        inner = total.clamp(min=least).log() + peak + highest[:, 0]
        following = torch.where(begun[:, None], inner, lattice.start) + emissions[:, t]
        alpha = torch.where(mask[:, t, None], following, alpha)
        begun = begun | mask[:, t]
    return torch.where(begun, torch.logsumexp(alpha + lattice.end, dim=1), 0.0)


def log_likelihood(lattice: Lattice, labels: Tensor, mask: Tensor) -> Tensor:
    """Log-probability of the labels of each sequence `[batch]`.

    Example:
        >>> emissions = torch.zeros(1, 3, 2)
        >>> mask = torch.ones(1, 3, dtype=torch.bool)
        >>> chance = log_likelihood(Lattice.read(lattice_of(emissions), 3), torch.zeros(1, 3, dtype=torch.int64), mask)
        >>> round(float(chance.exp()), 4)
        0.125
    """
    return path_score(lattice, labels, mask) - log_partition(lattice, mask)


def viterbi(lattice: Lattice, mask: Tensor) -> Tensor:
    """The best label sequence, int64 `[batch, time]`; 0 where `mask` does not hold."""
    emissions = lattice.emissions.detach()
    batch, time, count = emissions.shape
    best, begun = emissions.new_zeros(batch, count), mask.new_zeros(batch)
    arrows = torch.zeros(batch, time, count, dtype=torch.int64, device=emissions.device)
    stay = torch.arange(count, device=emissions.device).expand(batch, count)
    for t in range(time):
        inner, origin = (best[:, :, None] + lattice.transitions.detach()).max(dim=1)
        following = torch.where(begun[:, None], inner, lattice.start.detach()) + emissions[:, t]
        # At a step that is passed over, and at the first, each label comes from itself.
        arrows[:, t] = torch.where((mask[:, t] & begun)[:, None], origin, stay)
        best = torch.where(mask[:, t, None], following, best)
        begun = begun | mask[:, t]
    now = (best + lattice.end.detach()).argmax(dim=1)
    labels = torch.zeros(batch, time, dtype=torch.int64, device=emissions.device)
    for t in range(time - 1, -1, -1):
        labels[:, t] = torch.where(mask[:, t], now, 0)
        now = arrows[:, t].gather(1, now[:, None])[:, 0]
    return labels
