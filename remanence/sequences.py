"""The one batch type, and the names of the axes.

Glossary of axis names, used alike in annotations, errors, documents and plots:

    batch     sequences side by side
    time      steps of a sequence, oldest first
    feature   numbers of one step that enter a layer
    hidden    units of a recurrent state
    proj      units of a projected output (LSTMP)
    gate      one named quantity of a cell, of size `hidden` unless said otherwise
    vocab     tokens known to a vocabulary
    class     labels of a classifier
    horizon   future steps of a forecast
    target    columns that are forecast
    quantile  levels of a probabilistic forecast
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from remanence.errors import ShapeError

__all__ = ["Sequences"]


@dataclass(frozen=True)
class Sequences:
    """A batch of sequences of unequal length, padded at the end.

    Args:
        data: numbers `[batch, time, feature]` (floating) or tokens `[batch, time]` (int64).
        lengths: valid steps of each sequence, int64 `[batch]` on the CPU, each in `0 … time`.

    What stands beyond a sequence's length is padding; no result may depend on it.

    Example:
        >>> import torch
        >>> pair = Sequences(torch.zeros(2, 5, 3), torch.tensor([5, 2]))
        >>> pair.mask().sum(1).tolist()
        [5, 2]
    """

    data: Tensor
    lengths: Tensor

    def __post_init__(self) -> None:
        if self.data.ndim < 2:
            raise ShapeError("Sequences.data", axis="number of axes", expected="at least 2", came=self.data.ndim)
        batch, time = self.data.shape[:2]
        if self.lengths.shape != (batch,):
            raise ShapeError("Sequences.lengths", axis="batch", expected=batch, came=tuple(self.lengths.shape))
        if self.lengths.dtype != torch.int64:
            raise ShapeError("Sequences.lengths", axis="dtype", expected=torch.int64, came=self.lengths.dtype)
        if torch.compiler.is_compiling():
            # A graph cannot ask for the value of a number.
            return
        # By Python, which asks torch once: a batch is a few numbers, and there are several of these in a step.
        known = self.lengths.tolist()
        if known and (min(known) < 0 or max(known) > time):
            raise ShapeError(
                "Sequences.lengths",
                axis="time",
                expected=f"lengths in 0 … {time}",
                came=f"{min(known)} … {max(known)}",
            )

    @property
    def batch(self) -> int:
        return self.data.shape[0]

    @property
    def time(self) -> int:
        return self.data.shape[1]

    def mask(self) -> Tensor:
        """True where a step is valid: bool `[batch, time]`, on the device of `data`."""
        steps = torch.arange(self.time, device=self.data.device)
        return steps < self.lengths.to(self.data.device)[:, None]

    def chunk(self, start: int, stop: int) -> Sequences:
        """Steps `start … stop - 1` of every sequence, their lengths cut to match (0 where it had ended)."""
        return Sequences(self.data[:, start:stop], (self.lengths - start).clamp(0, stop - start))
