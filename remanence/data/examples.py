"""What a model is fed: examples in a part of the data, and batches of them.

    Part      train, valid or test: how many examples, how long each, and `batch(index)`
    Batch     inputs, and what the answer should be

A `Part` may lie on disk: `batch` reads what it needs. Nothing here knows of models.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from remanence.data.batches import STEPS_AT_ONCE, order
from remanence.data.clock import Clock
from remanence.sequences import Sequences

__all__ = ["SCORED_STEPS", "Batch", "Part"]

SCORED_STEPS = 10_000_000
"""Steps that scoring a part reads, unless more are asked for: of a larger part, examples spread evenly are scored."""


@dataclass(frozen=True)
class Batch:
    """Examples side by side.

    Args:
        inputs: what the recurrent network reads, step by step. Forecast: scaled numbers `[batch, context, feature]`
            whose first `target` features are the targets. Classify: tokens `[batch, time]` or numbers
            `[batch, time, feature]`. Tag: these, or for each token its number and those of its characters
            `[batch, time, 1 + character]`. Generate: tokens, or frames of 0 and 1 `[batch, time, key]`.
        target: the answer, or None where it is not known. Forecast: scaled future `[batch, horizon, target]`
            (NaN where missing: not scored). Classify: class indices int64 `[batch]`. Tag: `[batch, time]`.
            Generate: what comes next at each step, `[batch, time]` or `[batch, time, key]`.
        future: inputs known ahead of time `[batch, horizon, known]` (forecast), or None.
        index: positions of the examples in their part, int64 `[batch]`.
        series: which of `encoders.series_names` each window belongs to, int64 `[batch]`, -1 for a series that training
            did not see (forecast), or of which recording it is a window (tag); None.
        scored: which steps have an answer of their own, bool `[batch, time]` (tag, generate), or None.
        ends: whether nothing follows; False of a chunk that others come after.
        past: what was read just before the inputs, tokens int64 `[batch, 16]`, 0 where nothing was (generate), or None.
    """

    inputs: Sequences
    target: Tensor | None
    future: Tensor | None
    index: Tensor
    series: Tensor | None = None
    scored: Tensor | None = None
    past: Tensor | None = None
    ends: bool = True

    def chunk(self, start: int, stop: int) -> Batch:
        """Steps `start … stop - 1`; the answer too, where each step has its own."""
        inputs, ends = self.inputs.chunk(start, stop), self.ends and stop >= self.inputs.time
        if self.scored is None:
            return replace(self, inputs=inputs, ends=ends)
        target = None if self.target is None else self.target[:, start:stop]
        return replace(self, inputs=inputs, target=target, scored=self.scored[:, start:stop], ends=ends)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with its tensors on a device (lengths stay on the CPU)."""
        return replace(
            self,
            inputs=Sequences(self.inputs.data.to(device), self.inputs.lengths),
            target=None if self.target is None else self.target.to(device),
            future=None if self.future is None else self.future.to(device),
            scored=None if self.scored is None else self.scored.to(device),
        )


class Part(ABC):
    """One side of a split."""

    lengths: np.ndarray
    """Steps of each example, int64 `[examples]`: batches are made of examples of like length."""
    stream: ClassVar[bool] = False
    """Whether each example goes on where the one before it ends, so that a state is carried between them."""
    steps_at_once: int = STEPS_AT_ONCE
    """Steps read at once without learning: fewer where the answer to a step is large."""
    held_at_once: int = 4096
    """Examples whose answers are held at once to be put in order: fewer where an answer is large."""
    notes: tuple[str, ...] = ()
    """What a person should know of a file that was opened to be answered, before reading the answers."""

    def __len__(self) -> int:
        return len(self.lengths)

    def order(self, batch_size: int, seed: int, epoch: int) -> Sequence[np.ndarray]:
        """In which batches the examples are learnt from: a function of seed and epoch alone."""
        return order(self.lengths, batch_size, seed, epoch)

    @abstractmethod
    def batch(self, index: np.ndarray) -> Batch:
        """The examples at these positions, in this order."""

    def targets(self, index: np.ndarray) -> Tensor | None:
        """The answers of the examples at these positions, as `batch` gives them."""
        return self.batch(index).target

    @abstractmethod
    def name(self, index: int) -> str:
        """Where an example stands, for a person: `data.csv:812`, or `series A, 2016-07-01 00:00`."""

    def tokens(self, index: int) -> list[str]:
        """What each step of an example is called; empty where steps are numbers."""
        return []

    def unknown(self, index: int) -> list[bool]:
        """Which tokens of an example training has not seen: to a model they are all alike; empty for numbers."""
        return []

    def first(self, index: int) -> int:
        """Where in its sequence an example begins to be read, from 0."""
        return 0

    def clock(self, index: int) -> Clock | None:
        """When the steps of an example are; None where they are not of time, or their rate is not known."""
        return None
