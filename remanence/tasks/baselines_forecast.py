"""What a forecast is measured against: last value, last season, drift, mean, and ridge regression on the past.

Each gives what the task's own model gives, in scaled units. Where quantiles are asked for, they are the point forecast
plus the quantiles of its errors on the validation part (the training part where there is no other), step by step.

References:
    Hyndman & Athanasopoulos 2021, Forecasting: principles and practice, §5.2 (mean, naive, seasonal naive, drift).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, final

import torch
from torch import Tensor

from remanence.data.encoders import ForecastEncoders
from remanence.data.examples import Batch, Part
from remanence.errors import SettingError
from remanence.nn.window import InputLayout, window_state
from remanence.settings import Settings
from remanence.tasks.layout import input_layout
from remanence.tasks.ridge import Ridge
from remanence.tasks.sample import thinned
from remanence.tasks.task import Baseline

__all__ = ["Drift", "Mean", "Naive", "RidgeAutoregression", "SeasonalNaive", "forecast_baselines"]

_RESIDUAL_WINDOWS = 5_000


def forecast_baselines(encoders: ForecastEncoders, settings: Settings) -> tuple[Baseline, ...]:
    """The simple forecasts that suit the data: without a season there is no seasonal one."""
    kinds = [Naive, SeasonalNaive, Drift, Mean, RidgeAutoregression]
    if encoders.season <= 1:
        kinds.remove(SeasonalNaive)
    return tuple(kind(encoders, settings) for kind in kinds)


class _ForecastBaseline(Baseline):
    """Point forecasts, and the quantiles of their errors."""

    def __init__(self, encoders: ForecastEncoders, settings: Settings) -> None:
        self.encoders = encoders
        self.layout: InputLayout = input_layout(encoders)
        self.levels = settings.model.quantiles
        self.normalise = settings.model.normalise or "last"
        self._spread: Tensor | None = None

    @abstractmethod
    def point(self, batch: Batch) -> Tensor:
        """Forecast `[batch, horizon, target]` in scaled units."""

    def learn(self, train: Part, valid: Part) -> None:
        """Fit what the point forecast needs; most need nothing."""

    @final
    def fit(self, train: Part, valid: Part) -> None:
        self.learn(train, valid)
        if self.levels:
            self._spread = self._error_quantiles(valid if len(valid) else train)

    @final
    def predict(self, batch: Batch) -> Tensor:
        point = self.point(batch)
        if self._spread is None:
            return point
        return torch.cat([point[..., None], point[..., None] + self._spread.to(point)], dim=-1)

    def _error_quantiles(self, part: Part) -> Tensor:
        """Quantiles of truth − forecast `[horizon, target, quantile]`, 0 where a column has no truth at all."""
        errors = [
            (batch.target - self.point(batch)) for batch in thinned(part, _RESIDUAL_WINDOWS) if batch.target is not None
        ]
        found = torch.nanquantile(torch.cat(errors).double(), torch.tensor(self.levels, dtype=torch.float64), dim=0)
        return torch.nan_to_num(found.permute(1, 2, 0), nan=0.0)

    def last(self, batch: Batch) -> Tensor:
        """The last value of each target `[batch, target]`, 0 where a window has none."""
        return window_state("last", batch.inputs, self.layout)["window.level"][0]


@final
class Naive(_ForecastBaseline):
    """The last value, again and again: the best forecast of a random walk."""

    name: ClassVar[str] = "naive"
    trivial: ClassVar[bool] = True

    def point(self, batch: Batch) -> Tensor:
        return self.last(batch)[:, None].repeat(1, self.encoders.horizon, 1)


@final
class SeasonalNaive(_ForecastBaseline):
    """The value one season before; the last value where that is missing."""

    name: ClassVar[str] = "seasonal-naive"
    trivial: ClassVar[bool] = True

    def learn(self, train: Part, valid: Part) -> None:
        if self.encoders.context < self.encoders.season:
            raise SettingError(
                f"a season of {self.encoders.season} steps does not fit into {self.encoders.context} steps of context",
                name="context",
                remedy=f"--context {self.encoders.season}",
            )

    def point(self, batch: Batch) -> Tensor:
        targets = self.layout.targets
        values, valid = batch.inputs.data[..., :targets], self.layout.valid(batch.inputs)
        steps = torch.arange(self.encoders.horizon) % self.encoders.season - self.encoders.season
        at = batch.inputs.lengths[:, None] + steps
        there = (at >= 0).to(values.device)[..., None]
        at = at.clamp(min=0).to(values.device)[..., None].expand(-1, -1, targets)
        return torch.where(valid.gather(1, at) & there, values.gather(1, at), self.last(batch)[:, None])


@final
class Drift(_ForecastBaseline):
    """The straight line through the first and the last value of the context, drawn on."""

    name: ClassVar[str] = "drift"
    trivial: ClassVar[bool] = True

    def point(self, batch: Batch) -> Tensor:
        values, valid = batch.inputs.data[..., : self.layout.targets], self.layout.valid(batch.inputs)
        steps = torch.arange(batch.inputs.time, device=values.device)[:, None].expand(-1, self.layout.targets)
        first_at = torch.where(valid, steps, batch.inputs.time - 1).amin(1)
        last_at = torch.where(valid, steps, 0).amax(1)
        first = values.gather(1, first_at[:, None])[:, 0]
        last = self.last(batch)
        slope = torch.where(last_at > first_at, (last - first) / (last_at - first_at).clamp(min=1), 0.0)
        ahead = torch.arange(1, self.encoders.horizon + 1, device=values.device)[:, None]
        # Steps without a value after the last one belong to the way, too.
        ahead = ahead + (batch.inputs.lengths.to(values.device)[:, None] - 1 - last_at)[:, None]
        return last[:, None] + slope[:, None] * ahead


@final
class Mean(_ForecastBaseline):
    """The mean of the context."""

    name: ClassVar[str] = "mean"
    trivial: ClassVar[bool] = True

    def point(self, batch: Batch) -> Tensor:
        level = window_state("window", batch.inputs, self.layout)["window.level"][0]
        return level[:, None].repeat(1, self.encoders.horizon, 1)


@final
class RidgeAutoregression(_ForecastBaseline):
    """Each future value a linear function of the context and of what is known of the future: the honest rival."""

    name: ClassVar[str] = "ridge"

    def learn(self, train: Part, valid: Part) -> None:
        self._ridge = Ridge(self.encoders, self.layout, self.normalise)
        self._ridge.fit(train, valid)

    def point(self, batch: Batch) -> Tensor:
        return self._ridge.predict(batch)

    @property
    def parameters(self) -> int:
        return self._ridge.weights.size + self._ridge.bias.size
