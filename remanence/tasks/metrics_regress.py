"""Metrics of numbers that sequences are answered with, in the user's units; e is truth minus answer.

mae     mean |e|; the verdict's
mse     mean e²
rmse    its root
r2      1 − Σ e² / Σ (truth − mean truth)²: 1 is perfect, 0 is no better than the mean of this part
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from remanence.data.encoders import ClassifyEncoders
from remanence.data.examples import Batch
from remanence.data.scalers import Moments
from remanence.tasks.task import Meter, Scores

__all__ = ["RegressMeter"]


class RegressMeter(Meter):
    """Scores of numbers; see the module for what each metric is.

    Args:
        encoders: how scaled numbers become the user's.
    """

    def __init__(self, encoders: ClassifyEncoders) -> None:
        assert encoders.answer is not None
        self._scaler, self._column = encoders.answer, encoders.label
        self._truth, self._squares = Moments(1), 0.0
        self._errors: list[np.ndarray] = []
        self._index: list[np.ndarray] = []

    def update(self, output: Tensor, batch: Batch) -> None:
        assert batch.target is not None
        scaled = output.detach().cpu().double().numpy()
        answer, truth = (
            self._scaler.unscale(values, (self._column,))[:, 0]
            for values in (scaled, batch.target.detach().cpu().double().numpy()[:, None])
        )
        self._truth.update(truth[:, None])
        self._squares += float(((truth - answer) ** 2).sum())
        self._errors.append(np.abs(truth - answer))
        self._index.append(batch.index.cpu().numpy())

    def scores(self) -> Scores:
        errors = np.concatenate([np.zeros(0), *self._errors])
        order = np.argsort(np.concatenate([np.zeros(0, int), *self._index]), kind="stable")
        if not len(errors):
            return Scores({"mae": float("nan")}, errors, 1)
        mse, spread = self._squares / len(errors), float(self._truth.squares[0])
        metrics = {"mae": float(errors.mean()), "mse": mse, "rmse": math.sqrt(mse)}
        if spread > 0:
            metrics["r2"] = 1 - self._squares / spread
        return Scores(metrics, errors[order], 1)
