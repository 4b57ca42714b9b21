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

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from remanence.nn import fused

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
    if time == 0:
        return lattice.emissions.new_zeros(batch)
    labels = torch.where(mask, labels, 0)
    steps = torch.arange(time, device=labels.device)
    # The last step that counts up to each one, and before each one: -1 where there is none.
    latest = torch.where(mask, steps, -1).cummax(dim=1).values
    before = torch.nn.functional.pad(latest[:, :-1], (1, 0), value=-1)
    pairs = labels.gather(1, before.clamp(min=0)) * lattice.start.shape[1] + labels
    follow = lattice.transitions.flatten(1).gather(1, pairs)
    step = torch.where(before < 0, lattice.start.gather(1, labels), follow)
    step = step + lattice.emissions.gather(2, labels[..., None])[..., 0]
    last = latest[:, -1:]
    end = lattice.end.gather(1, labels.gather(1, last.clamp(min=0)))
    return torch.where(mask, step, 0.0).sum(1) + torch.where(last < 0, 0.0, end)[:, 0]


def log_partition(lattice: Lattice, mask: Tensor) -> Tensor:
    """Log of the sum over all label sequences `[batch]`; 0 for a sequence without a step.

    By a kernel where one can run; else few labels over many steps are summed in pairs of neighbours, then pairs of
    pairs, others step by step.
    """
    if lattice.emissions.shape[1] == 0:
        return lattice.emissions.new_zeros(len(mask))
    if (found := fused.log_partition(lattice, mask)) is not None:
        return found
    few = lattice.emissions.shape[2] <= _FEW and lattice.emissions.shape[1] > _MANY
    total = torch.logsumexp(_by_pairs(lattice, mask) + lattice.end, dim=1) if few else _by_steps(lattice, mask)
    return torch.where(mask.any(1), total, 0.0)


_FEW, _MANY = 6, 32
_LARGEST_EXPONENT = 87.0


def _by_steps(lattice: Lattice, mask: Tensor) -> Tensor:
    """Log of the sum over all label sequences `[batch]`, one step after the other; has a first derivative alone."""
    return _StepByStep.apply(*lattice, mask)  # type: ignore[no-any-return]


class _StepByStep(torch.autograd.Function):
    """Log of the sum over all label sequences, and how likely each label and each pair of neighbours is: its gradient.

    Where a gradient is asked for, the chain is read from its end, too, in the same steps: as more rows of the batch,
    with its transitions the other way round.
    """

    @staticmethod
    def forward(ctx: Any, transitions: Tensor, start: Tensor, end: Tensor, emissions: Tensor, mask: Tensor) -> Tensor:
        highest = transitions.amax(dim=(1, 2), keepdim=True)
        ways = (transitions - highest).exp()
        if not any(ctx.needs_input_grad):
            return torch.logsumexp(_sums(ways, highest, start, emissions, mask)[-1] + end, dim=1)
        sums = _sums(
            torch.cat([ways, ways.mT]), highest.repeat(2, 1, 1), torch.cat([start, end]),
            torch.cat([emissions, emissions.flip(1)]), torch.cat([mask, mask.flip(1)]),
        )  # fmt: skip
        total = torch.logsumexp(sums[-1, : len(mask)] + end, dim=1)
        ctx.save_for_backward(ways, highest, start, end, emissions, mask, sums, total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        ways, highest, start, end, emissions, mask, sums, total = ctx.saved_tensors
        before, after = sums[:, : len(mask)].transpose(0, 1), sums[:, len(mask) :].flip(0).transpose(0, 1)
        # A sequence without a step has no gradient.
        weight = torch.where(mask.any(1), gradient, 0.0)[:, None]
        whole = total[:, None]
        labels = torch.where(mask[..., None], (before + after - emissions - whole[..., None]).exp(), 0.0)
        paired = mask[:, 1:] & (mask.cumsum(1) > 0)[:, :-1]
        peak = before[:, :-1].amax(dim=2, keepdim=True)
        left = torch.where(paired[..., None], (before[:, :-1] - peak).exp(), 0.0)
        # Beyond this float32 has no number; a label before it then counts as impossible in the sum as well.
        right = (after[:, 1:] + peak + highest - whole[..., None]).clamp(max=_LARGEST_EXPONENT).exp()
        pairs = torch.bmm(left.mT, right) * ways
        return (
            pairs * weight[..., None],
            (sums[-1, len(mask) :] + start - whole).exp() * weight,
            (sums[-1, : len(mask)] + end - whole).exp() * weight,
            labels * weight[..., None],
            None,
        )


def _sums(ways: Tensor, highest: Tensor, start: Tensor, emissions: Tensor, mask: Tensor) -> Tensor:
    """Log of the sum over the sequences that end in each label, after each step `[time, batch, class]`.

    Numerics: in log space. Of each sum over the labels before, the largest score is taken out, what is left is a
    product with the exponentials of the transitions `ways`, out of which their largest `highest` `[batch, 1, 1]` is
    taken. A label that is e^87 times (float32) less likely than the likeliest one counts as that unlikely.
    """
    least = torch.finfo(ways.dtype).tiny
    emissions = emissions.transpose(0, 1)[:, :, None]
    begun = mask.cumsum(1) - mask.to(torch.int64) > 0
    moves = (mask & begun).T[..., None, None]
    # Before the first step that counts nothing has been read; it takes the scores of the start.
    stays = (~mask).T[..., None, None]
    rows, alpha = list[Tensor](), torch.zeros_like(emissions[0])
    first = emissions + start[:, None]
    emissions = emissions + highest
    for t in range(len(emissions)):
        peak = alpha.amax(dim=2, keepdim=True)
        inner = torch.bmm((alpha - peak).exp_(), ways).clamp_(min=least).log_().add_(peak).add_(emissions[t])
        alpha = torch.where(stays[t], alpha, torch.where(moves[t], inner, first[t]))
        rows.append(alpha)
    return torch.stack(rows)[:, :, 0]


def _by_pairs(lattice: Lattice, mask: Tensor) -> Tensor:
    """Log of the sum over the sequences that end in each label, after the last step `[batch, class]`.

    By the products of neighbouring steps, each a matrix of scores `[class before, class]`.
    """
    emissions = lattice.emissions
    batch, _, count = emissions.shape
    begun = mask.cumsum(1) > 1
    own = torch.where(begun[..., None, None], lattice.transitions[:, None], lattice.start[:, None, None])
    # A step that is passed over leaves every label what it was.
    stay = torch.where(torch.eye(count, dtype=torch.bool, device=mask.device), 0.0, FORBIDDEN).to(emissions)
    chain = torch.where(mask[..., None, None], own + emissions[:, :, None], stay)
    while chain.shape[1] > 1:
        odd = chain[:, -1:] if chain.shape[1] % 2 else None
        left, right = chain[:, 0 : chain.shape[1] // 2 * 2 : 2], chain[:, 1::2]
        chain = torch.logsumexp(left[..., None] + right[:, :, None], dim=3)
        chain = chain if odd is None else torch.cat([chain, odd], dim=1)
    # All rows are alike where there was a step: it began from the scores of the start.
    return chain[:, 0, 0].reshape(batch, count)


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
