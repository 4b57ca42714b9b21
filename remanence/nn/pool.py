"""How the steps of a sequence become one vector: last, mean, max, attention.

Every pool is an accumulator: what it has seen of a sequence stands in a few tensors of the model's state, so that a
long sequence may come in chunks, and one that has ended is left as it was. A sequence without steps pools to zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from remanence.errors import SettingError
from remanence.nn import fused
from remanence.sequences import Sequences

__all__ = ["POOLS", "Pool", "State", "latest"]

State = dict[str, Tensor]
POOLS = ("last", "mean", "max", "mean-max", "attention")


def latest(steps: Sequences, before: Tensor, *, backward: int = 0) -> Tensor:
    """The last valid step of each sequence `[batch, feature]`; `before` where a sequence has no step.

    Args:
        steps: `[batch, time, feature]`.
        before: `[batch, feature]`.
        backward: of so many features, at the end, the first step is the last: they were read from the other end.

    Example:
        >>> steps = Sequences(torch.arange(6.0).reshape(2, 3, 1), torch.tensor([2, 0]))
        >>> latest(steps, torch.full((2, 1), 9.0)).flatten().tolist()
        [1.0, 9.0]
    """
    if steps.time == 0:
        return before
    size, lengths = steps.data.shape[2], steps.lengths.to(steps.data.device)[:, None]
    forward = torch.arange(size, device=lengths.device) < size - backward
    # All features at once: behind each choice backward fills a tensor as large as the steps.
    at = torch.where(forward, (lengths - 1).clamp(min=0), 0)
    return torch.where(lengths > 0, steps.data.gather(1, at[:, None])[:, 0], before)


class Pool(nn.Module):
    """Gather the steps of each sequence into one vector of `output_size`: that of a step, twice for `mean-max`.

    Args:
        kind: `last` (the last valid step; of the backward direction its first), `mean`, `max`, `mean-max` (both) or
            `attention` (a mean whose weights are a softmax over time of a learnt score of each step: equations 9–11 of
            Zhou et al. 2016).
        size: features of a step.
        backward: how many of the features, at the end, come from the backward direction.

    References:
        Zhou, Shi, Tian et al. 2016, Attention-based bidirectional LSTM for relation classification,
        doi:10.18653/v1/P16-2034.
    """

    def __init__(self, kind: str, size: int, *, backward: int = 0) -> None:
        super().__init__()
        if kind not in POOLS:
            raise SettingError(f"no such pool '{kind}'", name="pool", remedy=f"one of {', '.join(POOLS)}")
        self.kind, self.size, self.backward = kind, size, backward
        self.output_size = 2 * size if kind == "mean-max" else size
        self.score = nn.Linear(size, 1, bias=False) if kind == "attention" else None

    def forward(self, steps: Sequences, state: State, last: Tensor | None = None) -> tuple[Tensor, State]:
        """Pool steps after what was seen before.

        Args:
            steps: `[batch, time, size]`.
            state: what the call before returned.
            last: the last valid step of each sequence `[batch, size]` where it is known: a layer's final state. Picked
                from the steps, its gradient would be a tensor of zeros as large as they.

        Returns:
            `[batch, output_size]`, and the new state.
        """
        data = steps.data
        if self.kind == "last":
            if last is None:
                before = state["pool.last"][0] if state else data.new_zeros(steps.batch, self.size)
                last = latest(steps, before, backward=self.backward)
            return last, {"pool.last": last[None]}
        if self.kind == "attention":
            return self._attention(steps, state)
        total, highest = fused.sum_and_highest(data, steps.lengths)
        if self.kind == "mean":
            return self._mean(total, steps, state)
        if self.kind == "max":
            return self._max(highest, state)
        (mean, seen), (highest, peak) = self._mean(total, steps, state), self._max(highest, state)
        return torch.cat([mean, highest], dim=1), seen | peak

    def _mean(self, total: Tensor, steps: Sequences, state: State) -> tuple[Tensor, State]:
        count = steps.lengths.to(total)[:, None]
        if state:
            total, count = total + state["pool.sum"][0], count + state["pool.count"][0]
        return total / count.clamp(min=1), {"pool.sum": total[None], "pool.count": count[None]}

    def _max(self, highest: Tensor, state: State) -> tuple[Tensor, State]:
        if state:
            highest = torch.maximum(highest, state["pool.max"][0])
        return torch.where(highest == -torch.inf, 0.0, highest), {"pool.max": highest[None]}

    def _attention(self, steps: Sequences, state: State) -> tuple[Tensor, State]:
        """A softmax over all steps so far: the mean of earlier chunks is one more step, its score their log-sum-exp."""
        assert self.score is not None
        mask = steps.mask()
        score = torch.where(mask, self.score(torch.tanh(steps.data))[..., 0], -torch.inf)
        values = torch.where(mask[..., None], steps.data, 0.0)
        mean = steps.data.new_zeros(steps.batch, self.size)
        weight = steps.data.new_full((steps.batch, 1), -torch.inf)
        if state:
            mean, weight = state["pool.mean"][0], state["pool.weight"][0]
        score, values = torch.cat([weight, score], dim=1), torch.cat([mean[:, None], values], dim=1)
        # A row without any step would be 0/0: give it one step of zeros, and weigh nothing in what is carried on.
        empty = (score == -torch.inf).all(1)
        safe = torch.where(empty[:, None], 0.0, score)
        pooled = (torch.softmax(safe, dim=1)[..., None] * values).sum(1)
        total = torch.where(empty, -torch.inf, torch.logsumexp(safe, dim=1))
        return pooled, {"pool.mean": pooled[None], "pool.weight": total[None, :, None]}
