"""AdamW on single rows of a table, by kernels: what updates without a gradient do to a row, all at once, and one update
with a gradient. What the factors are, `train.tables` says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from remanence.compiler import threads
from remanence.compiler.by_hand import ByHand

__all__ = ["KERNELS", "Moments"]

KERNELS = ByHand("rows of a table", "AdamW on the rows of a table that are read", "adam_loops")


@dataclass(frozen=True)
class Moments:
    """A table `[row, feature]`, one row behind the other, and what its optimiser remembers of it, all of its shape and
    changed in place.

    Args:
        weights: the table.
        first, second: moving means of the gradient and of its square.
        mean: the moving mean of the weights; None where none is kept.
    """

    weights: Tensor
    first: Tensor
    second: Tensor
    mean: Tensor | None

    def catch_up(self, rows: np.ndarray, ages: np.ndarray, factors: Tensor) -> None:
        """Do to rows what a few updates without a gradient do.

        Args:
            rows: int64, each once.
            ages: int64, which row of factors each takes.
            factors: `[age, 8]`: of weight and move (the first moment over the root of the second one, to which the
                third is added) in the weight; of the two moments; of mean, weight and move in the mean.
        """
        self._run("forward", np.concatenate([rows, ages]), len(rows), [factors])

    def learn(self, rows: np.ndarray, gradients: Tensor, factors: Tensor) -> None:
        """One update of rows with a gradient.

        Args:
            rows: int64, each once.
            gradients: `[row, feature]`, contiguous.
            factors: `[10]`: of the weight; of the move; of the root of the second moment, and what is added to it; of
                the first moment and of its gradient, of the second one and of the gradient's square; of the mean and of
                the weight in it.
        """
        self._run("backward", rows, len(rows), [gradients, factors])

    def _run(self, name: str, numbers: np.ndarray, count: int, arrays: list[Tensor]) -> None:
        averaged = self.mean is not None
        own = [self.weights, self.first, self.second, self.mean if averaged else self.weights]
        sizes = [count, self.weights.shape[1], int(averaged)]
        KERNELS.run(name, sizes, numbers, [*own, *arrays], threads.parts_of(count))
