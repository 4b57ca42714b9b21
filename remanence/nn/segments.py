"""Sequences cut where a new one begins inside them: each part becomes a row of its own, and goes back to its place.

A time loop that knows unequal lengths needs nothing more to forget: exact, and differentiable as a copy is. Where one
part is long and many are short, parts of like length run together, so that no batch is mostly padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Segments", "cut"]

_WASTE = 5
"""A batch may be this many times as large as what stands in it; a compiled loop does not compute the rest."""


@dataclass(frozen=True)
class Segments:
    """Where the parts of a batch of sequences stand.

    Args:
        row: sequence of each part, `[part]`; parts of one sequence follow one another.
        start: its first step, `[part]`.
        length: its valid steps, `[part]`; 0 only for a sequence without any.
        first, last: the first and the last part of each sequence, `[batch]`.
        groups: parts that run together, as indices; each part stands in one of them.
        time: steps of the whole batch.
    """

    row: Tensor
    start: Tensor
    length: Tensor
    first: Tensor
    last: Tensor
    groups: tuple[Tensor, ...]
    time: int

    def take(self, values: Tensor, group: Tensor) -> Tensor:
        """`[batch, time, …]` → `[part, steps, …]` of a group; what stands beyond a part's length is padding."""
        length = self.length[group, None]
        # At least one step, so that there is something to pick from where no sequence has any.
        offsets = torch.arange(max(int(length.max()), 1), device=length.device)
        at = torch.where(offsets < length, self.row[group, None] * self.time + self.start[group, None] + offsets, 0)
        return _picked(values.reshape(-1, *values.shape[2:]), at)

    def put_back(self, values: Sequence[Tensor]) -> Tensor:
        """`[part, steps, …]` of each group → `[batch, time, …]`; zero beyond a sequence's length."""
        place, begin = torch.zeros_like(self.length), 0
        for group, held in zip(self.groups, values, strict=True):
            place[group] = begin + held.shape[1] * torch.arange(len(group), device=place.device)
            begin += held.shape[0] * held.shape[1]
        times = torch.arange(self.time, device=self.row.device).expand(len(self.first), -1)
        begins = torch.zeros_like(times)
        begins[self.row, self.start] = 1
        begins[:, 0] = 0
        part = self.first[:, None] + begins.cumsum(1)
        offset = times - self.start[part]
        valid = offset < self.length[part]
        flat = torch.cat([held.reshape(-1, *held.shape[2:]) for held in values])
        picked = _picked(flat, torch.where(valid, place[part] + offset, 0))
        return picked.masked_fill(~valid.view(*valid.shape, *[1] * (picked.ndim - 2)), 0)


def _picked(flat: Tensor, at: Tensor) -> Tensor:
    return flat.index_select(0, at.reshape(-1)).view(*at.shape, *flat.shape[1:])


def cut(resets: Tensor, lengths: Tensor | None) -> Segments:
    """Cut each sequence before every step that `resets` marks.

    Args:
        resets: bool `[batch, time]`, neither of them 0; the first step begins a part anyway.
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
    return Segments(row, start, length, first, last, _groups(length), time)


def _groups(length: Tensor) -> tuple[Tensor, ...]:
    """Parts that run together: all, or those whose lengths lie between two powers of two."""
    if int(length.max()) * len(length) <= _WASTE * int(length.sum()):
        return (torch.arange(len(length), device=length.device),)
    level = length.clamp(min=1).double().log2().ceil()
    return tuple((level == one).nonzero()[:, 0] for one in level.unique())
