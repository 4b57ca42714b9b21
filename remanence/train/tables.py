"""AdamW for large tables of vectors, of which a batch reads a few rows: what it does to the others is done to a row all
at once when it is read again.

Where the gradient g is 0, AdamW's update s makes of a weight w, its moments m and v, and its moving mean a

    m ← β₁ m,   v ← β₂ v,   w ← (1 − λ η_s) w − η_s √(1 − β₂ˢ) / (1 − β₁ˢ) · m / (√v + ε √(1 − β₂ˢ))
    a ← d_s a + (1 − d_s) w

The quotient r = m / (√v + …) becomes β₁/√β₂ times as large each time, but for ε, which counts only where √v is hardly
larger, and of which the mean over these updates stands in. So any number of updates is linear in w, r and a, and its
factors follow from the rates alone: they are the same for all rows that were read last at the same time. Rows that are
read catch up with them first; so what a model reads, and learns, is what it would with every row updated every time, up
to rounding and that mean.

References:
    Adam: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; decay apart: Loshchilov & Hutter 2019, arXiv:1711.05101,
    algorithm 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from remanence.errors import RunError
from remanence.nn import fused
from remanence.nn.model import SequenceModel, Table
from remanence.train.weights import EPSILON, FIRST, SECOND, factors_of

__all__ = ["Tables", "large_tables"]

LEAST = 2**19
"""Numbers of a table from which it is worth while."""
FRESH = np.array([[1.0, 0.0, EPSILON, 1.0, 1.0, 1.0, 0.0, 0.0]])
"""Factors of no update, as `compiler.adam` takes them."""
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
        """Gradients of the rows that were read, `[row, feature]` each; of all backward passes since the last update."""
        return [rows.gradient for rows in self.each.values() if rows.gradient is not None]

    def learn(self, rate: float, kept: float = 0.0, scale: float = 1.0) -> None:
        """Update with the gradients, and forget them. Of rows that were not read the gradient is 0.

        Args:
            rate: learning rate η.
            kept: share d of the moving mean that stays.
            scale: of the gradients.
        """
        for rows in self.each.values():
            rows.learn(rate, kept, scale)

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
        """Take back what `tensors` gave.

        Raises:
            RunError: other tables were learnt by row there.
        """
        if set(held) != set(self.tensors()):
            raise RunError(
                "the checkpoint was written where kernels for tables could be built, and here they cannot, or the other"
                " way round",
                remedy="go on where it was written, or start again with --overwrite",
            )
        for name, rows in self.each.items():
            rows.load({part: held[f"{name}.{part}"] for part in rows.tensors()})


class _Rows:
    """One table.

    A row's age counts the updates from when all rows were up to date to when it was; `factors` has a row for each age,
    float64, the last one that of now.
    """

    def __init__(self, table: Table, mean: Tensor | None, decay: float) -> None:
        from remanence.compiler import adam

        weights = table.weight.detach()
        self.table, self.decay, self.updates = table, decay, 0
        self.moments = adam.Moments(weights, torch.zeros_like(weights), torch.zeros_like(weights), mean)
        self.ages, self.places = np.zeros(len(weights), np.int64), np.zeros(len(weights), np.int64)
        self.factors = FRESH.copy()
        table.sparse = True
        self.watching = [
            table.register_forward_pre_hook(lambda _, given: self._read(given[0].numpy().ravel())),
            table.weight.register_post_accumulate_grad_hook(lambda _: self._gather()),
        ]
        self.forget()

    @property
    def now(self) -> int:
        """The age of a row that is up to date."""
        return len(self.factors) - 1

    def forget(self) -> None:
        self.learnt = self.ages[:0]
        self.gradient: Tensor | None = None

    def release(self) -> None:
        self.catch_up()
        self.forget()
        for each in self.watching:
            each.remove()
        self.table.sparse = False

    def catch_up(self) -> None:
        self._read(np.arange(len(self.ages)))
        self.factors = FRESH.copy()
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

    def _gather(self) -> None:
        """Add what a backward pass found to the gradient of each row that was read."""
        given, self.table.weight.grad = self.table.weight.grad, None
        assert given is not None
        rows, values = given._indices()[0].numpy(), given._values()
        if self.gradient is not None:
            rows, values = np.concatenate([self.learnt, rows]), torch.cat([self.gradient, values])
        kept, place = self._each_once(rows)
        self.learnt = rows[kept]
        self.gradient = torch.ops.aten.embedding_dense_backward(
            values, torch.from_numpy(place), len(self.learnt), -1, False
        )

    def learn(self, rate: float, kept: float, scale: float) -> None:
        self.updates += 1
        factors = factors_of(self.updates, rate, self.decay, kept, scale)
        if self.gradient is not None:
            self.moments.learn(self.learnt, self.gradient, torch.tensor(factors, dtype=self.gradient.dtype))
        shrunk, step, widened = factors[:3]
        self._age(shrunk, step / widened, 1 / widened, kept)
        self.ages[self.learnt] = self.now
        self.forget()
        if self.now >= MOST_AGES:
            self.catch_up()

    def _age(self, shrunk: float, step: float, root: float, kept: float) -> None:
        """What an update without a gradient does to rows of each age; then there is an age more."""
        of_weight, moved, floor, first, second, mean, weight_in_mean, moved_in_mean = self.factors.T
        first *= FIRST
        second *= SECOND
        # ε beside the root of the second moment as it was; its mean is that by the moves which are left in the weight.
        shorter = np.sqrt(second)
        move = step * first / shorter
        of_weight *= shrunk
        moved *= shrunk
        moved -= move
        share = np.divide(move, np.maximum(move, -moved), out=np.zeros_like(move), where=move > 0)
        floor += share * (EPSILON * root / shorter - floor)
        mean *= kept
        weight_in_mean += (1 - kept) * (of_weight - weight_in_mean)
        moved_in_mean += (1 - kept) * (moved - moved_in_mean)
        self.factors = np.concatenate([self.factors, FRESH])

    def tensors(self) -> dict[str, Tensor]:
        held = {"first": self.moments.first, "second": self.moments.second, "updates": torch.tensor(self.updates)}
        return held | {"factors": torch.from_numpy(self.factors), "ages": torch.from_numpy(self.ages)}

    def load(self, held: Mapping[str, Tensor]) -> None:
        self.moments.first.copy_(held["first"])
        self.moments.second.copy_(held["second"])
        self.updates, self.factors = int(held["updates"]), held["factors"].numpy().copy()
        self.ages[:] = held["ages"].numpy()
