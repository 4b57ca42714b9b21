"""What a regression is measured against: the mean, and a ridge regression on what does not know the order of steps.

Their features are those of the simple classifiers. Each answers in scaled units `[batch, 1]`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from remanence.data.encoders import ClassifyEncoders
from remanence.data.examples import Batch, Part
from remanence.tasks.bags import BagOfPairs, BagOfWords, SummaryStatistics
from remanence.tasks.task import Baseline

if TYPE_CHECKING:
    from sklearn.linear_model import Ridge

__all__ = ["MeanAnswer", "regress_baselines"]

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
Features = SummaryStatistics | BagOfWords | BagOfPairs


def regress_baselines(encoders: ClassifyEncoders) -> tuple[Baseline, ...]:
    """The simple models that suit the data: words for texts, statistics for numbers."""
    if encoders.vocabulary is None:
        return MeanAnswer(), _Summary(lambda: SummaryStatistics(1))
    size = encoders.vocabulary.size
    return MeanAnswer(), _Words(lambda: BagOfWords(1, size)), _Pairs(lambda: BagOfPairs(1, size))


class MeanAnswer(Baseline):
    """The mean of the training part, which is 0 in scaled units."""

    name: ClassVar[str] = "mean"
    trivial: ClassVar[bool] = True

    def fit(self, train: Part, valid: Part) -> None:
        """Nothing is left to learn: the scaler holds the mean."""

    def predict(self, batch: Batch) -> Tensor:
        return torch.zeros(batch.inputs.batch, 1)

    @property
    def parameters(self) -> int:
        return 1


class _Ridge(Baseline):
    """Features → ridge regression, its penalty chosen on the validation part by mean absolute error.

    Args:
        features: makes what turns examples into features.
    """

    def __init__(self, features: Callable[[], Features]) -> None:
        self._features = features()
        self._model: Ridge | None = None

    def fit(self, train: Part, valid: Part) -> None:
        from sklearn.linear_model import Ridge

        self._features.learn(train)
        inputs, truth = self._features.table(train)
        fitted = [Ridge(alpha=penalty).fit(inputs, truth) for penalty in (PENALTIES if len(valid) else (1.0,))]
        self._model = fitted[0]
        if len(valid):
            checked, known = self._features.table(valid)
            self._model = min(fitted, key=lambda model: float(np.abs(model.predict(checked) - known).mean()))

    def predict(self, batch: Batch) -> Tensor:
        if self._model is None or not batch.inputs.batch:
            return torch.zeros(batch.inputs.batch, 1)
        values: Any = self._model.predict(self._features.features(batch))
        return torch.from_numpy(np.asarray(values, np.float32))[:, None]

    @property
    def parameters(self) -> int:
        return 0 if self._model is None else np.size(self._model.coef_) + 1


class _Summary(_Ridge):
    """Summary statistics of each column."""

    name: ClassVar[str] = "summary"


class _Words(_Ridge):
    """Words alone."""

    name: ClassVar[str] = "bag-of-words"


class _Pairs(_Ridge):
    """Words and pairs of neighbours."""

    name: ClassVar[str] = "bag-of-pairs"
