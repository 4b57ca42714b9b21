"""Metrics of forecasts and of classifiers, gathered batch by batch in bounded memory.

Forecast, e = truth − forecast, a mean over the valid values of each window, then over the windows:

    mae, mse            |e| and e² in scaled units (the training part has deviation 1), as tables in papers have it
    mae_units           |e| in the units of the column; with several targets one each, `mae_units_<column>`
    smape               200 |e| / (|truth| + |forecast|), percent, 0 where both are 0        (M4 competition)
    mase                |e| / mean |y_t − y_{t−season}| of the training part                 (Hyndman & Koehler 2006)
    pinball_<q>         max(q e, (q − 1) e) in scaled units, and `pinball`, their mean       (Koenker & Bassett 1978)
    coverage_<width>    share of truths between the lowest and the highest quantile, which should be `width`

The verdict rests on `mae`: a few spikes do not decide it as they decide a mean of squares, whose bootstrap interval is
as wide as the worst windows make it; and a share of it ("23 % better") reads the same in scaled units and the user's.

Classify: error (the verdict's), accuracy, macro_f1 (mean over the classes that occur or are predicted), log_loss (nat).
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from remanence.data.encoders import ForecastEncoders
from remanence.data.examples import Batch
from remanence.tasks.task import Meter, Scores

__all__ = ["ClassifyMeter", "ForecastMeter"]


class ForecastMeter(Meter):
    """Scores of forecasts; see the module for what each metric is.

    Args:
        encoders: how scaled numbers become the user's, and the scale of MASE for each series.
        quantiles: levels that follow the point forecast in the output.
    """

    def __init__(self, encoders: ForecastEncoders, quantiles: tuple[float, ...] = ()) -> None:
        self.encoders, self.quantiles = encoders, quantiles
        # The last row serves a series that training did not see: its position is -1.
        self._naive = np.array([*encoders.naive_scale, encoders.naive_scale_all], np.float64)
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._errors: list[np.ndarray] = []
        self._index: list[np.ndarray] = []

    def update(self, output: Tensor, batch: Batch) -> None:
        assert batch.target is not None
        values = output.detach().cpu().double().numpy()
        truth = batch.target.detach().cpu().double().numpy()
        point = values[..., 0] if self.quantiles else values
        absolute = self._add("mae", np.abs(truth - point))
        scored = ~np.isnan(absolute)
        self._errors.append(absolute[scored])
        self._index.append(batch.index.cpu().numpy()[scored])
        self._add("mse", (truth - point) ** 2)
        self._add_in_units(truth, point, batch.series)
        if self.quantiles:
            self._add_quantiles(truth, values[..., 1:])

    def scores(self) -> Scores:
        metrics = {name: total / self._counts[name] for name, total in self._sums.items() if self._counts[name]}
        if self.quantiles and metrics:
            levels = [metrics[f"pinball_{level:g}"] for level in self.quantiles]
            metrics["pinball"] = float(np.mean(levels))
        errors = np.concatenate([np.zeros(0), *self._errors])
        order = np.argsort(np.concatenate([np.zeros(0, int), *self._index]), kind="stable")
        return Scores(metrics or {"mae": float("nan")}, errors[order], self.encoders.horizon)

    def _add(self, name: str, values: np.ndarray) -> np.ndarray:
        """Add the mean of each window's valid values `[batch, …]`, and return it (NaN where a window has none)."""
        values = values.reshape(len(values), -1)
        valid = ~np.isnan(values)
        count = valid.sum(1)
        means = np.where(count > 0, np.where(valid, values, 0.0).sum(1) / np.maximum(count, 1), np.nan)
        self._sums[name] += float(np.nansum(means))
        self._counts[name] += int((count > 0).sum())
        return means

    def _add_in_units(self, truth: np.ndarray, point: np.ndarray, series: Tensor | None) -> None:
        rows = np.zeros(len(truth), int) if series is None else series.cpu().numpy()
        truth, point = (self.encoders.scaler.unscale(values, self.encoders.target) for values in (truth, point))
        absolute = np.abs(truth - point)
        if len(self.encoders.target) == 1:
            self._add("mae_units", absolute)
        else:
            for position, name in enumerate(self.encoders.target):
                self._add(f"mae_units_{name}", absolute[..., position])
        size = np.abs(truth) + np.abs(point)
        self._add("smape", np.where(size == 0, 0.0, 200 * absolute / np.where(size == 0, 1.0, size)))
        naive = self._naive[rows][:, None, :]
        self._add("mase", absolute / np.where(naive > 0, naive, np.nan))

    def _add_quantiles(self, truth: np.ndarray, values: np.ndarray) -> None:
        for position, level in enumerate(self.quantiles):
            error = truth - values[..., position]
            self._add(f"pinball_{level:g}", np.maximum(level * error, (level - 1) * error))
        if len(self.quantiles) > 1:
            inside = (values[..., 0] <= truth) & (truth <= values[..., -1])
            width = self.quantiles[-1] - self.quantiles[0]
            self._add(f"coverage_{width:.3g}", np.where(np.isnan(truth), np.nan, inside))


class ClassifyMeter(Meter):
    """Scores of a classifier; see the module for what each metric is."""

    def __init__(self, classes: int) -> None:
        self._confusion = np.zeros((classes, classes), dtype=np.int64)
        self._log_loss = 0.0
        self._errors: list[np.ndarray] = []
        self._index: list[np.ndarray] = []

    def update(self, output: Tensor, batch: Batch) -> None:
        assert batch.target is not None
        logits, truth = output.detach().cpu().double(), batch.target.cpu()
        predicted = logits.argmax(1)
        np.add.at(self._confusion, (truth.numpy(), predicted.numpy()), 1)
        self._log_loss += float(torch.nn.functional.cross_entropy(logits, truth, reduction="sum"))
        self._errors.append((predicted != truth).numpy().astype(np.float64))
        self._index.append(batch.index.cpu().numpy())

    def scores(self) -> Scores:
        confusion = self._confusion
        count = int(confusion.sum())
        errors = np.concatenate([np.zeros(0), *self._errors])
        order = np.argsort(np.concatenate([np.zeros(0, int), *self._index]), kind="stable")
        if count == 0:
            return Scores({"error": float("nan")}, errors, 1, confusion)
        right = np.diag(confusion)
        seen = confusion.sum(0) + confusion.sum(1)
        metrics = {
            "error": 1 - float(right.sum()) / count,
            "accuracy": float(right.sum()) / count,
            "macro_f1": float((2 * right[seen > 0] / seen[seen > 0]).mean()),
            "log_loss": self._log_loss / count,
        }
        return Scores(metrics, errors[order], 1, confusion)
