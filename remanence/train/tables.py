"""AdamW for large tables of vectors, of which a batch reads a few rows: what it does to the others is done to a row all
at once when it is read again.

Where the gradient g is 0, AdamW's update s makes of a weight w, its moments m and v, and its moving mean a

    m ← β₁ m,   v ← β₂ v,   w ← (1 − λ η_s) w − η_s √(1 − β₂ˢ) / (1 − β₁ˢ) · m / (√v + ε √(1 − β₂ˢ))
    a ← d_s a + (1 − d_s) w

The quotient r = m / (√v + …) becomes β₁/√β₂ times as large each time (ε, which only guards against dividing by 0, is
that of the first such update). So any number of updates is linear in w, r and a, and its factors follow from the rates
alone: they are the same for all rows that were read last at the same time. Rows that are read catch up with them first;
so what a model reads, and learns, is what it would with every row updated every time, up to rounding.

References:
    Adam: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; decay apart: Loshchilov & Hutter 2019, arXiv:1711.05101,
    algorithm 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from remanence.nn import fused
from remanence.nn.model import SequenceModel, Table

__all__ = ["Tables", "large_tables"]

LEAST = 2**18
"""Numbers of a table from which it is worth while."""
BETAS, EPSILON = (0.9, 0.999), 1e-8
MOST_AGES = 1024
"""Updates after which every row catches up: factors are held of each."""


def large_tables(model: SequenceModel) -> dict[str, Table]:
    """The tables of a model that are large and read row by row alone, by the name of their weights; none where no
    kernel can run."""
    large = {name: table for name, table in model.tables().items() if table.weight.numel() >= LEAST}
    return {name: table for name, table in large.items() if fused.learns_rows(table.weight)}


class Tables:
    """Weights of tables whose gradient is kept by row, and their optimiser.

    Args:
        tables: by the name of their weights; rows are read by calling them, and by nothing else.
        means: name → the moving mean of weights, changed in place; empty for none.
        decay: weight decay λ.
    """

    def __init__(self, tables: Mapping[str, Table], means: Mapping[str, Tensor], decay: float) -> None:
        self.each = {name: _Rows(table, means.get(name), decay) for name, table in tables.items()}

    def __contains__(self, name: str) -> bool:
        """Whether these weights are learnt here."""
        return name in self.each

    def gradients(self) -> list[Tensor]:
        """Gradients of the rows that were read, `[row, feature]` each, to be clipped in place."""
        return [found for rows in self.each.values() if (found := rows.gradient()) is not None]

    def learn(self, rate: float, kept: float = 0.0) -> None:
        """Update with the gradients, and forget them. A table that was not read at all stays as it is.

        Args:
            rate: learning rate η.
            kept: share d of the moving mean that stays.
        """
        for rows in self.each.values():
            rows.learn(rate, kept)

    def forget(self) -> None:
        """Drop the gradients."""
        for rows in self.each.values():
            rows.forget()

    def catch_up(self) -> None:
        """Bring every row up to date."""
        for rows in self.each.values():
            rows.catch_up()

    def release(self) -> None:
        """Leave the tables as any other: up to date, and read without anyone looking."""
        for rows in self.each.values():
            rows.release()

    def tensors(self) -> dict[str, Tensor]:
        """All that must be held, beside weights and means, to go on as if nothing had happened."""
        return {f"{name}.{part}": held for name, rows in self.each.items() for part, held in rows.tensors().items()}

    def load(self, held: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        for name, rows in self.each.items():
            rows.load({part: held[f"{name}.{part}"] for part in rows.tensors()})


class _Rows:
    """One table.

    A row's age counts the updates from when all rows were up to date to when it was; `factors` has a row for each age,
    as `compiler.adam` takes them, float64, the last one that of now.
    """

    def __init__(self, table: Table, mean: Tensor | None, decay: float) -> None:
        from remanence.compiler import adam

        weights = table.weight.detach()
        self.table, self.decay, self.updates = table, decay, 0
        self.moments = adam.Moments(weights, torch.zeros_like(weights), torch.zeros_like(weights), mean)
        self.ages, self.places = np.zeros(len(weights), np.int64), np.zeros(len(weights), np.int64)
        self.factors = np.array([self._fresh()])
        table.sparse = True
        self.watching = table.register_forward_pre_hook(lambda _, given: self._read(given[0].numpy().ravel()))
        self.forget()

    def _fresh(self) -> list[float]:
        """Factors of no update."""
        floor = EPSILON * math.sqrt(1 - BETAS[1] ** (self.updates + 1))
        return [1.0, 0.0, floor, 1.0, 1.0, 1.0, 0.0, 0.0]

    @property
    def now(self) -> int:
        """The age of a row that is up to date."""
        return len(self.factors) - 1

    def forget(self) -> None:
        self.table.weight.grad = None
        self.learnt = self.ages[:0]
        self.found: Tensor | None = None

    def release(self) -> None:
        self.catch_up()
        self.forget()
        self.watching.remove()
        self.table.sparse = False

    def catch_up(self) -> None:
        self._read(np.arange(len(self.ages)))
        self.factors = np.array([self._fresh()])
        self.ages[:] = 0

    def _read(self, rows: np.ndarray) -> None:
        """Bring rows up to date."""
        rows = rows[self.ages[rows] < self.now]
        if not len(rows):
            return
        rows = rows[self._each_once(rows)[0]]
        factors = torch.from_numpy(self.factors).to(self.moments.weights.dtype)
        self.moments.catch_up(rows, self.ages[rows], factors)
        self.ages[rows] = self.now

    def _each_once(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of some numbers of rows come for the last time, bool; and the place of each number among these."""
        count = np.arange(len(rows))
        self.places[rows] = count
        last = self.places[rows]
        kept = last == count
        return kept, (np.cumsum(kept) - 1)[last]

    def gradient(self) -> Tensor | None:
        """The gradient of each row that was read; None where none was."""
        given = self.table.weight.grad
        if given is not None and self.found is None:
            rows = given._indices()[0].numpy()
            kept, place = self._each_once(rows)
            self.learnt = rows[kept]
            self.found = torch.ops.aten.embedding_dense_backward(
                given._values(), torch.from_numpy(place), len(self.learnt), -1, False
            )
        return self.found

    def learn(self, rate: float, kept: float) -> None:
        gradient = self.gradient()
        if gradient is None:
            self._age(1.0, 0.0, 1.0, 1.0, kept)
        else:
            self.updates += 1
            (one, two), shrunk = BETAS, 1 - rate * self.decay
            root = math.sqrt(1 - two**self.updates)
            step = rate / (1 - one**self.updates)
            given = torch.tensor([shrunk, step, 1 / root, EPSILON, one, two, kept], dtype=gradient.dtype)
            self.moments.learn(self.learnt, gradient, given)
            self._age(shrunk, step * root, one, two, kept)
        self.ages[self.learnt] = self.now
        self.forget()
        if self.now >= MOST_AGES:
            self.catch_up()

    def _age(self, shrunk: float, step: float, one: float, two: float, kept: float) -> None:
        """What an update without a gradient does to rows of each age; then there is an age more."""
        factors = self.factors
        factors[:, 3] *= one
        factors[:, 4] *= two
        # The move after as many updates, ε left as it was.
        move = factors[:, 3] / np.sqrt(factors[:, 4])
        factors[:, 0] *= shrunk
        factors[:, 1] = shrunk * factors[:, 1] - step * move
        factors[:, 5] *= kept
        factors[:, 6] = kept * factors[:, 6] + (1 - kept) * factors[:, 0]
        factors[:, 7] = kept * factors[:, 7] + (1 - kept) * factors[:, 1]
        self.factors = np.concatenate([factors, [self._fresh()]])

    def tensors(self) -> dict[str, Tensor]:
        held = {"first": self.moments.first, "second": self.moments.second, "updates": torch.tensor(self.updates)}
        return held | {"factors": torch.from_numpy(self.factors), "ages": torch.from_numpy(self.ages)}

    def load(self, held: Mapping[str, Tensor]) -> None:
        self.moments.first.copy_(held["first"])
        self.moments.second.copy_(held["second"])
        self.updates, self.factors = int(held["updates"]), held["factors"].numpy().copy()
        self.ages[:] = held["ages"].numpy()
