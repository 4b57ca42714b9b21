"""From what the recurrent layers give to an answer: a class, a label a step, or a forecast, whole or step by step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from remanence.nn.crf import Chain, lattice_of
from remanence.nn.dropout import Dropout
from remanence.nn.pool import Pool, State
from remanence.sequences import Sequences

__all__ = ["ClassifyHead", "ForecastHead", "StepHead", "TagHead"]

Between = tuple[int | None, int | None]
"""The quantiles, from 0, that a point forecast lies between once it is learnt; None: open to that side."""
_READ = "pool.read."
_OPEN: Between = (None, None)


class ClassifyHead(nn.Module):
    """Pool the steps, drop out, one linear layer: logits `[batch, class]`.

    Args:
        size: features of a step.
        classes: labels to choose from.
        pool: see `Pool`.
        dropout: rate before the linear layer.
        backward: features, at the end, of the backward direction.
        beside: features of a vector that comes from beside the recurrent layers.
        read: features of what the recurrent layers read, pooled like what they give; 0 to leave it out.
    """

    def __init__(
        self,
        size: int,
        classes: int,
        *,
        pool: str = "last",
        dropout: float = 0.0,
        backward: int = 0,
        beside: int = 0,
        read: int = 0,
    ) -> None:
        super().__init__()
        self.pool = Pool(pool, size, backward=backward)
        self.read_pool = Pool(pool, read) if read else None
        self.dropout = Dropout(dropout)
        width = self.pool.output_size + beside + (self.read_pool.output_size if self.read_pool else 0)
        self.linear = nn.Linear(width, classes)

    def forward(
        self,
        steps: Sequences,
        state: State,
        *,
        read: Sequences,
        beside: Tensor | None = None,
        last: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Steps `[batch, time, size]`, what was `read`, a vector `[batch, beside]` → logits, and the pools' state;
        `last` as of `Pool`."""
        mine = {name: value for name, value in state.items() if not name.startswith(_READ)}
        pooled, carried = self.pool(steps, mine, last)
        if self.read_pool is not None:
            before = {name.removeprefix(_READ): value for name, value in state.items() if name.startswith(_READ)}
            also, after = self.read_pool(read, before)
            pooled = torch.cat([pooled, also], dim=1)
            carried |= {_READ + name: value for name, value in after.items()}
        if beside is not None:
            pooled = torch.cat([pooled, beside], dim=1)
        return self.linear(self.dropout(pooled)), carried


class TagHead(nn.Module):
    """A score for each label at each step, as a lattice `[batch, class + 2 + time, class]` (see `nn.crf`).

    Args:
        size: features of a step.
        classes: labels to choose from.
        chain: scores of neighbouring labels; None where each step answers for itself.
        dropout: rate before the linear layer.
        calibrated: each label has an offset, 0 until `offsets` is written after the training.
    """

    offsets: Tensor | None

    def __init__(
        self, size: int, classes: int, *, chain: Chain | None = None, dropout: float = 0.0, calibrated: bool = False
    ) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.linear = nn.Linear(size, classes)
        self.chain = chain
        self.register_buffer("offsets", torch.zeros(classes) if calibrated else None)

    def forward(self, steps: Sequences) -> Tensor:
        """Steps `[batch, time, size]` → lattice."""
        emissions = self.linear(self.dropout(steps.data))
        if self.offsets is not None:
            emissions = emissions + self.offsets
        return lattice_of(emissions) if self.chain is None else self.chain(emissions)


class _Values(nn.Module):
    """A vector → targets × (point forecast, quantiles); the quantiles are sorted, so that they never cross."""

    def __init__(self, size: int, steps: int, targets: int, quantiles: int) -> None:
        super().__init__()
        self.shape = (steps, targets, 1 + quantiles)
        self.linear = nn.Linear(size, steps * targets * (1 + quantiles))

    def forward(self, vector: Tensor) -> Tensor:
        return self.linear(vector).reshape(len(vector), *self.shape)


def _finish(values: Tensor, between: Between) -> Tensor:
    if values.shape[-1] == 1:
        return values[..., 0]
    point, quantiles = values[..., :1], values[..., 1:].sort(dim=-1).values
    low, high = between
    if low is not None:
        point = torch.maximum(point, quantiles[..., low : low + 1])
    if high is not None:
        point = torch.minimum(point, quantiles[..., high : high + 1])
    return torch.cat([point, quantiles], dim=-1)


class ForecastHead(nn.Module):
    """All steps of the horizon at once, from the last step and what is known of the future.

    Args:
        size: features of a step.
        horizon: future steps.
        targets: columns forecast.
        quantiles: how many quantiles beside the point forecast.
        known: features known ahead of time.
        dropout: rate before the linear layers.
        backward: features, at the end, of the backward direction.
        between: in evaluation mode the point forecast is moved to the nearest of these quantiles where it lies outside.

    What is known of a future step enters through a layer shared by all steps, so a holiday acts alike on each of them.
    """

    def __init__(
        self,
        size: int,
        horizon: int,
        targets: int,
        *,
        quantiles: int = 0,
        known: int = 0,
        dropout: float = 0.0,
        backward: int = 0,
        between: Between = _OPEN,
    ) -> None:
        super().__init__()
        self.pool = Pool("last", size, backward=backward)
        self.dropout = Dropout(dropout)
        self.between = between
        self.values = _Values(size, horizon, targets, quantiles)
        self.mix = nn.Linear(size + known, max(16, size // 2)) if known else None
        self.step_values = _Values(max(16, size // 2), 1, targets, quantiles) if known else None

    def forward(
        self, steps: Sequences, state: State, future: Tensor | None, last: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Steps and `future` `[batch, horizon, known]` → `[batch, horizon, target]`, or `[…, target, 1 + quantile]`;
        `last` as of `Pool`."""
        pooled, state = self.pool(steps, state, last)
        vector = self.dropout(pooled)
        values = self.values(vector)
        if self.mix is not None and self.step_values is not None and future is not None:
            joined = torch.cat([vector[:, None].expand(-1, future.shape[1], -1), future], dim=-1)
            hidden = torch.relu(self.mix(joined))
            values = values + self.step_values(hidden.flatten(0, 1)).reshape(values.shape)
        return _finish(values, _OPEN if self.training else self.between), state


class StepHead(nn.Module):
    """One step of a forecast, from the last step and what is known of the next: `[batch, target(, 1 + quantile)]`.

    The quantiles of later steps are those of one step ahead, given the point forecasts fed back before it.
    """

    def __init__(
        self,
        size: int,
        horizon: int,
        targets: int,
        *,
        quantiles: int = 0,
        known: int = 0,
        dropout: float = 0.0,
        between: Between = _OPEN,
    ) -> None:
        super().__init__()
        self.horizon, self.between = horizon, between
        self.pool = Pool("last", size)
        self.dropout = Dropout(dropout)
        self.values = _Values(size + known, 1, targets, quantiles)

    def forward(self, vector: Tensor, future: Tensor | None) -> Tensor:
        """A vector `[batch, size]` and the known features of one step `[batch, known]` → one step."""
        vector = self.dropout(vector)
        values = self.values(vector if future is None else torch.cat([vector, future], dim=-1))
        return _finish(values, _OPEN if self.training else self.between)[:, 0]
