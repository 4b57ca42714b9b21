"""Frames of sound for a model that transcribes: masked in training, fewer steps, a look ahead, an answer a step.

References:
    Park, Chan, Zhang, Chiu, Zoph, Cubuk & Le 2019, SpecAugment, arXiv:1904.08779 (masks of time and frequency);
    Amodei et al. 2016, Deep Speech 2, arXiv:1512.02595, §3.7 (row convolution, here `LookAhead`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from remanence.nn.dropout import Dropout
from remanence.nn.encoders import NumberEncoder
from remanence.nn.pool import State
from remanence.sequences import Sequences

__all__ = ["CTCHead", "Masks", "SoundEncoder", "stacked_lengths"]

_MOST_MASKED = 0.4
"""Share of a sound that one mask of time may cover."""


@dataclass(frozen=True)
class Masks:
    """What is hidden from a sound in training; 0 hides nothing.

    Args:
        time: masks, and most frames of one.
        features: masks, and most neighbouring features of one.
        width: features of a frame without deltas, which are hidden along with them.
    """

    time: tuple[int, int] = (0, 0)
    features: tuple[int, int] = (0, 0)
    width: int = 1

    def hide(self, data: Tensor, lengths: Tensor) -> Tensor:
        """Put 0, the mean of scaled features, in place of frames and features drawn for each sound."""
        batch, time, size = data.shape
        limits = (lengths.to(data.device) * _MOST_MASKED).long()
        kept = torch.ones(batch, time, 1, dtype=torch.bool, device=data.device)
        for _ in range(self.time[0]):
            kept = kept & ~_spans(limits.clamp(max=self.time[1]), lengths.to(data.device), time)[..., None]
        whole = torch.full((batch,), self.width, device=data.device)
        for _ in range(self.features[0]):
            span = _spans(torch.full_like(whole, self.features[1]), whole, self.width)
            kept = kept & ~span.repeat(1, -(-size // self.width))[:, None, :size]
        return data * kept


def _spans(most: Tensor, ends: Tensor, size: int) -> Tensor:
    """A run of 0 … `most` neighbours inside `ends` for each row: bool `[row, size]`."""
    width = (torch.rand(len(ends), device=ends.device) * (most + 1)).long().clamp(max=most)
    start = (torch.rand(len(ends), device=ends.device) * (ends - width + 1)).long()
    place = torch.arange(size, device=ends.device)
    return (place >= start[:, None]) & (place < (start + width)[:, None])


def stacked_lengths(lengths: Tensor, stack: int) -> Tensor:
    """Steps of sequences whose steps are read so many at a time; the last may be filled up.

    Example:
        >>> stacked_lengths(torch.tensor([0, 1, 6, 7]), 3).tolist()
        [0, 1, 2, 3]
    """
    return (lengths + stack - 1) // stack


class SoundEncoder(nn.Module):
    """Scaled frames, `stack` of them at a time as one step, then what a `NumberEncoder` does.

    Args:
        numbers: reads the stacked frames.
        stack: frames of a step.
        masks: what is hidden in training.
        noise: standard deviation of Gaussian noise added in training.
    """

    def __init__(self, numbers: NumberEncoder, *, stack: int = 1, masks: Masks | None = None) -> None:
        super().__init__()
        self.numbers, self.stack, self.masks = numbers, stack, masks
        self.output_size = numbers.output_size

    def forward(self, inputs: Sequences, state: State) -> tuple[Sequences, State]:
        """Encode `[batch, time, feature]` to `[batch, ⌈time / stack⌉, …]`; chunks before the last are whole stacks."""
        data = torch.where(inputs.mask()[..., None], inputs.data, 0.0)
        if self.training and self.masks is not None:
            data = self.masks.hide(data, inputs.lengths)
        if self.stack > 1:
            data = nn.functional.pad(data, (0, 0, 0, -inputs.time % self.stack))
            data = data.reshape(inputs.batch, -1, self.stack * data.shape[2])
        return self.numbers(Sequences(data, stacked_lengths(inputs.lengths, self.stack)), state)


class CTCHead(nn.Module):
    """Steps → logits `[batch, time, answer]`, the first answer being the blank; a step may wait for later ones.

    `search` finds the text of logits (of the task, which knows the language); `decoding` are the numbers it weighs a
    language with, chosen once the weights are trained: −1 before.

    Args:
        size: features of a step.
        answers: logits of a step.
        ahead: later steps that each answer waits for: of them and its own a weighted sum is taken, feature by feature.
        dropout: rate before the linear layer, in training.
    """

    decoding: Tensor

    def __init__(self, size: int, answers: int, *, ahead: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.search: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
        self.register_buffer("decoding", torch.full((2,), -1.0))
        self.ahead, self.dropout = ahead, Dropout(dropout)
        self.weights = nn.Parameter(torch.zeros(ahead + 1, size)) if ahead else None
        if self.weights is not None:
            # At first every step answers for itself.
            nn.init.normal_(self.weights, std=0.01)
            nn.init.ones_(self.weights[0])
        self.linear = nn.Linear(size, answers)

    def forward(self, steps: Sequences, state: State, *, ends: bool) -> tuple[Tensor, State]:
        """Answer at each step.

        Args:
            steps: `[batch, time, size]`.
            state: what the chunk before returned.
            ends: whether these steps are the last; otherwise the last `ahead` answers come with the next chunk.
        """
        data, carried = torch.where(steps.mask()[..., None], steps.data, 0.0), {}
        if self.weights is not None:
            if "pool.ahead" in state:
                data = torch.cat([state["pool.ahead"].transpose(0, 1), data], dim=1)
            if ends:
                data = nn.functional.pad(data, (0, 0, 0, self.ahead))
            time = max(0, data.shape[1] - self.ahead)
            carried["pool.ahead"] = data[:, time:].transpose(0, 1)
            waited = [self.weights[after] * data[:, after : after + time] for after in range(self.ahead + 1)]
            data = torch.stack(waited).sum(0)
        return self.linear(self.dropout(data)), carried

    def with_text(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """The logits of whole sounds, and the text of each as one more column (0 while the model learns)."""
        if self.training or self.search is None:
            return nn.functional.pad(logits, (0, 1))
        return torch.cat([logits, self.search(logits, lengths, self.decoding)], dim=-1)
