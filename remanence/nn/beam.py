"""Beam search: the likeliest text under a model that gives one token after the other.

The `width` best beginnings of every text are followed side by side. A beginning that ends is kept by

    score = Σ log p / ((5 + length) / 6)^α          Wu et al. 2016, arXiv:1609.08144, eq. 14

and a text is done once `width` beginnings have ended. Width 1 is greedy: the likeliest token at each step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from remanence.data.symbols import END, PADDING
from remanence.nn.written import Written

__all__ = ["Carried", "Step", "search"]

Carried = dict[str, Tensor]
"""All that a beginning knows, each `[batch, width, …]`."""
Step = Callable[[Tensor, Carried], tuple[Tensor, Tensor, Carried]]
"""Tokens `[batch, width]` and what was carried → log p `[batch, width, vocab]`, weights `[batch, width, source]`, and
what is carried on."""


@dataclass
class _Ended:
    """The best text that has ended, of each of a batch: its score, its last step and candidate, how many ended."""

    score: Tensor
    step: Tensor
    candidate: Tensor
    count: Tensor

    def take(self, scores: Tensor, step: int) -> None:
        """Look at candidates that end now: scores `[batch, candidate]`, −∞ for those that do not."""
        best, at = scores.max(1)
        better = best > self.score
        self.score = torch.where(better, best, self.score)
        self.step = torch.where(better, step, self.step)
        self.candidate = torch.where(better, at, self.candidate)
        self.count = self.count + (scores > -torch.inf).sum(1)


@dataclass(frozen=True)
class _Chosen:
    """One step: candidates `[batch, candidate]` by the beginning they go on from, their tokens and chances; the weights
    of each beginning `[batch, width, source]`; and which candidates are the next beginnings `[batch, width]`."""

    parents: Tensor
    tokens: Tensor
    chances: Tensor
    weights: Tensor
    following: Tensor


def search(step: Step, carried: Carried, *, width: int, longest: int, penalty: float = 0.0) -> Written:
    """Write the text of best score for each of a batch.

    Args:
        step: one step of the model; only tokens of finite log p are written.
        carried: what each of a batch begins with, `[batch, width, …]`, alike in all places.
        width: beginnings followed.
        longest: tokens of a text at most, its end included.
        penalty: α; 0 takes the likeliest text, more prefers longer ones.
    """
    some = next(iter(carried.values()))
    batch, device = len(some), some.device
    rows = torch.arange(batch, device=device)[:, None]
    tokens = torch.full((batch, width), END, device=device)
    # At the start all places are alike: only the first counts, or all would follow one beginning.
    totals = torch.full((batch, width), -torch.inf, device=device, dtype=some.dtype)
    totals[:, 0] = 0.0
    none = torch.zeros(batch, dtype=torch.int64, device=device)
    ended = _Ended(torch.full((batch,), -torch.inf, device=device, dtype=some.dtype), none, none, none)
    steps: list[_Chosen] = []
    for at in range(longest):
        chances, weights, carried = step(tokens, carried)
        vocabulary = chances.shape[2]
        values, codes = (totals[..., None] + chances).flatten(1).topk(min(2 * width, width * vocabulary), dim=1)
        parents, found = codes // vocabulary, codes % vocabulary
        ends = (found == END) | (at + 1 == longest)
        # Of twice as many candidates as beginnings at least half go on; the others only say what else ended.
        ends[:, width:] = False
        ends &= (ended.count < width)[:, None]
        ended.take(torch.where(ends, values / ((6 + at) / 6) ** penalty, -torch.inf), at)
        totals, following = torch.where(found == END, -torch.inf, values).topk(width, dim=1)
        steps.append(_Chosen(parents, found, chances[rows, parents, found], weights, following))
        if bool((ended.count >= width).all()):
            break
        tokens, places = found.gather(1, following), parents.gather(1, following)
        carried = {name: value[rows, places] for name, value in carried.items()}
    return _traced(steps, ended)


def _traced(steps: list[_Chosen], ended: _Ended) -> Written:
    """Follow the best texts from their ends back to their beginnings."""
    most = int(ended.step.max()) + 1 if len(ended.step) else 0
    batch, device = len(ended.step), ended.step.device
    rows = torch.arange(batch, device=device)
    tokens = torch.full((batch, most), PADDING, device=device)
    chances = torch.zeros(batch, most, device=device, dtype=ended.score.dtype)
    alignment = torch.zeros(batch, most, steps[0].weights.shape[2], device=device, dtype=ended.score.dtype)
    candidate = ended.candidate
    for at in range(most - 1, -1, -1):
        inside, one = at <= ended.step, steps[at]
        place = one.parents[rows, candidate]
        tokens[:, at] = torch.where(inside, one.tokens[rows, candidate], PADDING)
        chances[:, at] = torch.where(inside, one.chances[rows, candidate], 0.0)
        alignment[:, at] = torch.where(inside[:, None], one.weights[rows, place], 0.0)
        if at:
            candidate = torch.where(inside, steps[at - 1].following[rows, place], candidate)
    return Written(tokens, chances, alignment)
