"""What a classifier is measured against: the most frequent class, what occurs in any order, the nearest neighbour.

Each gives log-probabilities in place of logits.
"""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from remanence.data.encoders import ClassifyEncoders
from remanence.data.examples import Batch, Part
from remanence.settings import Settings
from remanence.tasks.bags import BagOfPairs, BagOfWords, MeanFrame, SummaryStatistics
from remanence.tasks.neighbours import NearestNeighbour
from remanence.tasks.task import Baseline

__all__ = [
    "BagOfPairs",
    "BagOfWords",
    "Majority",
    "MeanFrame",
    "NearestNeighbour",
    "SummaryStatistics",
    "classify_baselines",
]

_BATCH = 1 << 16


def classify_baselines(encoders: ClassifyEncoders, settings: Settings) -> tuple[Baseline, ...]:
    """The simple classifiers that suit the data: words for texts, statistics and neighbours for numbers."""
    classes = len(encoders.labels)
    if encoders.vocabulary is not None:
        size = encoders.vocabulary.size
        return Majority(classes), BagOfWords(classes, size), BagOfPairs(classes, size)
    if encoders.clip is not None:
        return Majority(classes), MeanFrame(classes, encoders.clip)
    return Majority(classes), SummaryStatistics(classes), NearestNeighbour(classes)


@final
class Majority(Baseline):
    """The most frequent class; its probabilities are the frequencies of the training part."""

    name: ClassVar[str] = "majority"
    trivial: ClassVar[bool] = True

    def __init__(self, classes: int) -> None:
        self._counts = np.zeros(classes)

    def fit(self, train: Part, valid: Part) -> None:
        for start in range(0, len(train), _BATCH):
            target = train.targets(np.arange(start, min(start + _BATCH, len(train))))
            assert target is not None
            self._counts += np.bincount(target.numpy(), minlength=len(self._counts))

    def predict(self, batch: Batch) -> Tensor:
        # A class that the training part lacks keeps a small probability: half an example.
        frequency = np.maximum(self._counts, 0.5) / np.maximum(self._counts, 0.5).sum()
        return torch.from_numpy(np.log(frequency)).float().expand(batch.inputs.batch, -1).clone()

    @property
    def parameters(self) -> int:
        return len(self._counts)
