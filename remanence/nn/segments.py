"""Sequences cut where a new one begins inside them: each part becomes a row of its own, and goes back to its place.

A time loop that knows unequal lengths needs nothing more to forget: exact, and differentiable as a copy is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Segments", "cut"]


@dataclass(frozen=True)
class Segments:
    """Where the parts of a batch of sequences stand.

    Args:
        row: sequence of each part, `[part]`; parts of one sequence follow one another.
        start: its first step, `[part]`.
        length: its valid steps, `[part]`; 0 only for a sequence without any.
        first, last: the first and the last part of each sequence, `[batch]`.
        steps: of the longest part.
        time: of the whole batch.
    """

    row: Tensor
    start: Tensor
    length: Tensor
    first: Tensor
    last: Tensor
    steps: int
    time: int

    def take(self, values: Tensor) -> Tensor:
        """`[batch, time, …]` → `[part, steps, …]`; what stands beyond a part's length is padding."""
        offsets = torch.arange(self.steps, device=self.row.device)
        at = self.start[:, None] + offsets
        at = torch.where(offsets < self.length[:, None], self.row[:, None] * self.time + at, 0)
        return self._picked(values, at)

    def put_back(self, values: Tensor) -> Tensor:
        """`[part, steps, …]` → `[batch, time, …]`; zero beyond a sequence's length."""
        times = torch.arange(self.time, device=self.row.device).expand(len(self.first), -1)
        begins = torch.zeros_like(times)
        begins[self.row, self.start.clamp(max=max(self.time - 1, 0))] = 1
        begins[:, 0] = 0
        part = self.first[:, None] + begins.cumsum(1)
        offset = times - self.start[part]
        valid = offset < self.length[part]
        picked = self._picked(values, torch.where(valid, part * self.steps + offset, 0))
        return picked.masked_fill(~valid.view(*valid.shape, *[1] * (values.ndim - 2)), 0)

    @staticmethod
    def _picked(values: Tensor, at: Tensor) -> Tensor:
        rest = values.shape[2:]
        flat = values.reshape(values.shape[0] * values.shape[1], *rest)
        return flat.index_select(0, at.reshape(-1)).view(*at.shape, *rest)


def cut(resets: Tensor, lengths: Tensor | None) -> Segments:
    """Cut each sequence before every step that `resets` marks.

    Args:
        resets: bool `[batch, time]`; the first step begins a part anyway.
        lengths: valid steps of each sequence, `[batch]`; None: all.

    Example:
        >>> parts = cut(torch.tensor([[False, False, True, False], [False, True, True, False]]), torch.tensor([4, 2]))
        >>> parts.row.tolist(), parts.start.tolist(), parts.length.tolist()
        ([0, 0, 1, 1], [0, 2, 0, 1], [2, 2, 1, 1])
    """
    batch, time = resets.shape
    steps = torch.arange(time, device=resets.device)
    ends = torch.full((batch,), time, device=resets.device) if lengths is None else lengths.to(resets.device)
    begins = resets & (steps < ends[:, None])
    begins = torch.cat([torch.ones_like(begins[:, :1]), begins[:, 1:]], 1)
    row, start = begins.nonzero(as_tuple=True)
    last = begins.sum(1).cumsum(0) - 1
    first = torch.cat([last.new_zeros(1), last[:-1] + 1])
    until = torch.cat([start[1:], start.new_zeros(1)])
    until[last] = ends
    length = until - start
    longest = int(length.max()) if length.numel() else 0
    return Segments(row, start, length, first, last, longest, time)
