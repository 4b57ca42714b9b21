"""Forecast the next `horizon` steps of one or several targets, of one or several series."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from pydantic import BaseModel
from torch import Tensor

from remanence.data.encoders import ForecastEncoders
from remanence.data.examples import Batch, Part
from remanence.data.windows import ForecastPart, prepare_forecast, reopen_forecast
from remanence.nn.heads import ForecastHead, StepHead
from remanence.nn.model import SequenceModel
from remanence.settings import DataSettings, Settings
from remanence.tasks.baselines_forecast import forecast_baselines
from remanence.tasks.choices import Choices
from remanence.tasks.defaults import forecast_choices
from remanence.tasks.layout import input_layout
from remanence.tasks.losses import point_loss
from remanence.tasks.metrics import ForecastMeter
from remanence.tasks.stack import number_encoder, recurrent_stack
from remanence.tasks.task import Baseline, Meter, Prepared, Task

__all__ = ["Forecast"]


@final
class Forecast(Task):
    """Several targets, several series, known and observed covariates; direct or recursive; quantiles if asked."""

    name: ClassVar[str] = "forecast"
    encoders_type: ClassVar[type[BaseModel]] = ForecastEncoders
    scored_early: ClassVar[bool] = False
    answers_by_mean: ClassVar[bool] = True

    def prepare(self, path: Path, data: DataSettings) -> Prepared:
        return prepare_forecast(path, data)

    def reopen(self, path: Path, data: DataSettings, encoders: BaseModel, *, answers: bool) -> Part:
        assert isinstance(encoders, ForecastEncoders)
        return reopen_forecast(path, data, encoders, answers=answers)

    def choices(self, prepared: Prepared) -> Choices:
        return forecast_choices(prepared)

    def model(self, encoders: BaseModel, settings: Settings) -> SequenceModel:
        assert isinstance(encoders, ForecastEncoders)
        chosen = settings.model
        layout = input_layout(encoders)
        bidirectional, dropout = bool(chosen.bidirectional), chosen.dropout or 0.0
        encoder = number_encoder(layout.features, settings)
        recurrent = recurrent_stack(encoder.output_size, settings)
        sizes = recurrent.output_size, encoders.horizon, layout.targets
        known, quantiles = len(layout.known), len(chosen.quantiles)
        between = _around_median(chosen.quantiles) if settings.train.loss == "mae" else (None, None)
        shared: Any = {"quantiles": quantiles, "known": known, "dropout": dropout, "between": between}
        if chosen.strategy == "recursive":
            head = StepHead(*sizes, **shared)
        else:
            backward = recurrent.output_size // 2 if bidirectional else 0
            head = ForecastHead(*sizes, backward=backward, **shared)
        return SequenceModel(encoder, recurrent, head, layout=layout, normalise=chosen.normalise or "none")

    def remarks(self, settings: Settings) -> tuple[str, ...]:
        """A mean may lie outside quantiles, however well both are learnt; a median does not."""
        kind = {"mae": "", "huber": "lies between the median and the mean"}.get(
            settings.train.loss or "mse", "is a mean"
        )
        if not settings.model.quantiles or not kind:
            return ()
        return (f"the point forecast {kind}, which may lie outside the quantiles; --loss mae learns the median",)

    def loss(self, output: Tensor, batch: Batch, settings: Settings) -> Tensor:
        """Mean over the values that are there: the point forecast's loss, plus the quantiles' mean pinball loss."""
        assert batch.target is not None
        levels = settings.model.quantiles
        point = output[..., 0] if levels else output
        valid = ~torch.isnan(batch.target)
        truth = torch.where(valid, batch.target, 0.0)
        each = point_loss(settings.train.loss or "mse", point - truth)
        if levels:
            error = truth[..., None] - output[..., 1:]
            level = torch.tensor(levels, dtype=error.dtype, device=error.device)
            each = each + torch.maximum(level * error, (level - 1) * error).mean(-1)
        return torch.where(valid, each, 0.0).sum() / valid.sum().clamp(min=1)

    def meter(self, encoders: BaseModel, settings: Settings) -> Meter:
        assert isinstance(encoders, ForecastEncoders)
        return ForecastMeter(encoders, settings.model.quantiles)

    def rows(
        self, output: Tensor, batch: Batch, part: Part, encoders: BaseModel, settings: Settings
    ) -> Iterator[dict[str, Any]]:
        """A row for each future step: series, time, one column a target, and one a quantile (`load_q0.1`)."""
        assert isinstance(encoders, ForecastEncoders) and isinstance(part, ForecastPart)
        levels = settings.model.quantiles
        values = output.detach().cpu().double()
        values = values if levels else values[..., None]
        table = encoders.scaler.unscale(values.transpose(-1, -2).numpy(), encoders.target)
        suffixes = ("", *(f"_q{level:g}" for level in levels))
        for row, index in enumerate(batch.index.tolist()):
            series = {"series": part.series(index)} if encoders.series else {}
            for step, time in enumerate(part.times(index)):
                yield (
                    series
                    | {encoders.time or "step": time}
                    | {
                        f"{name}{suffix}": float(table[row, step, value, position])
                        for position, name in enumerate(encoders.target)
                        for value, suffix in enumerate(suffixes)
                    }
                )

    def baselines(self, prepared: Prepared, settings: Settings) -> tuple[Baseline, ...]:
        assert isinstance(prepared.encoders, ForecastEncoders)
        return forecast_baselines(prepared.encoders, settings)


def _around_median(levels: tuple[float, ...]) -> tuple[int | None, int | None]:
    """Places of the nearest quantiles that are no higher, and no lower, than the median.

    Example:
        >>> _around_median((0.1, 0.5, 0.9)), _around_median((0.1, 0.2)), _around_median((0.2, 0.8))
        ((1, 1), (1, None), (0, 1))
    """
    below = [place for place, level in enumerate(levels) if level <= 0.5]
    above = [place for place, level in enumerate(levels) if level >= 0.5]
    return below[-1] if below else None, above[0] if above else None
