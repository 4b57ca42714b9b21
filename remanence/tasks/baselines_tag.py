"""What a tagger is measured against: the most frequent label, that of each word, regressions on a window, a threshold.

Each gives a lattice (see `nn.crf`) of log-probabilities, or of scores, without a word on neighbouring labels.
"""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from remanence.data.encoders import TagEncoders
from remanence.data.examples import Batch, Part
from remanence.errors import SettingError
from remanence.nn.crf import lattice_of
from remanence.tasks.sample import labels_of, thinned
from remanence.tasks.task import Baseline
from remanence.tasks.window_regression import SampleWindow, TokenWindow

__all__ = ["MajorityLabel", "Threshold", "WordLabel", "tag_baselines"]

_MOST_WINDOWS = 20_000
_THRESHOLDS = 256


def tag_baselines(encoders: TagEncoders) -> tuple[Baseline, ...]:
    """The simple taggers that suit the data."""
    classes = len(encoders.labels)
    if encoders.vocabulary is not None:
        return MajorityLabel(classes), WordLabel(classes, encoders.vocabulary.size), TokenWindow(classes)
    if encoders.clip is not None:
        # Of pixels, which are many, only those of the frame itself.
        return MajorityLabel(classes), SampleWindow(classes, reaches=())
    speeds = [name for name in encoders.features if name.startswith("speed_")]
    found: list[Baseline] = [MajorityLabel(classes), SampleWindow(classes)]
    if speeds:
        # The speed over a few samples: over one it is noise, over many a saccade is gone.
        name = min(speeds, key=lambda name: abs(int(name.removeprefix("speed_")) - 4))
        found.append(Threshold(classes, encoders.features.index(name)))
    return tuple(found)


def _log(counts: np.ndarray) -> np.ndarray:
    """Log of frequencies along the last axis; what did not occur counts as half an occurrence."""
    kept = np.maximum(counts, 0.5)
    return np.log(kept / kept.sum(-1, keepdims=True)).astype(np.float32)


@final
class MajorityLabel(Baseline):
    """The most frequent label of the training part, at every step."""

    name: ClassVar[str] = "majority"
    trivial: ClassVar[bool] = True

    def __init__(self, classes: int) -> None:
        self._counts = np.zeros(classes)

    def fit(self, train: Part, valid: Part) -> None:
        for batch in thinned(train, len(train)):
            self._counts += np.bincount(labels_of(batch)[1], minlength=len(self._counts))

    def predict(self, batch: Batch) -> Tensor:
        shape = (batch.inputs.batch, batch.inputs.time, len(self._counts))
        return lattice_of(torch.from_numpy(_log(self._counts)).expand(shape))

    @property
    def parameters(self) -> int:
        return len(self._counts)


@final
class WordLabel(Baseline):
    """The most frequent label of each token; of an unknown one, that of the tokens that training counts as unknown."""

    name: ClassVar[str] = "word-label"

    def __init__(self, classes: int, vocabulary: int) -> None:
        self._counts = np.zeros((vocabulary, classes), np.float32)

    def fit(self, train: Part, valid: Part) -> None:
        for batch in thinned(train, len(train)):
            scored, labels = labels_of(batch)
            np.add.at(self._counts, (_words(batch)[scored], labels), 1)
        every = self._counts.sum(0)
        unseen = self._counts.sum(1) == 0
        self._counts[unseen] = every / max(1.0, every.sum())

    def predict(self, batch: Batch) -> Tensor:
        return lattice_of(torch.from_numpy(_log(self._counts[_words(batch)])))

    @property
    def parameters(self) -> int:
        return int((self._counts > 0).sum())


def _words(batch: Batch) -> np.ndarray:
    """Numbers of the tokens `[batch, time]`, 0 beyond each length."""
    data = batch.inputs.data
    tokens = data if data.ndim == 2 else data[..., 0]
    return torch.where(batch.inputs.mask(), tokens, 0).numpy()


@final
class Threshold(Baseline):
    """One label where the speed is low and one where it is high (I-VT), both and the threshold from the training part.

    Args:
        classes: labels to choose from.
        column: place of the speed among the features.

    References:
        Salvucci & Goldberg 2000, Identifying fixations and saccades, doi:10.1145/355017.355028, figure 1 (I-VT).
    """

    name: ClassVar[str] = "threshold"

    def __init__(self, classes: int, column: int) -> None:
        self.classes, self.column = classes, column
        self._threshold = 0.0
        self._below, self._above = np.zeros(classes, np.float32), np.zeros(classes, np.float32)

    def fit(self, train: Part, valid: Part) -> None:
        speeds, labels = list[np.ndarray](), list[np.ndarray]()
        for batch in thinned(train, _MOST_WINDOWS):
            scored, own = labels_of(batch)
            speeds.append(batch.inputs.data[..., self.column].numpy()[scored])
            labels.append(own)
        if not speeds:
            raise SettingError("no training example", name="split")
        speed, label = np.concatenate(speeds), np.concatenate(labels)
        edges = np.unique(np.quantile(speed, np.linspace(0, 1, _THRESHOLDS + 2)[1:-1]))
        # counts[i]: labels between edge i - 1 and edge i.
        counts = np.zeros((len(edges) + 1, self.classes))
        np.add.at(counts, (np.searchsorted(edges, speed), label), 1)
        below = np.cumsum(counts, 0)[:-1]
        above = counts.sum(0) - below
        best = int(np.argmax(below.max(1) + above.max(1)))
        self._threshold = float(edges[best])
        self._below, self._above = _log(below[best]), _log(above[best])

    def predict(self, batch: Batch) -> Tensor:
        high = batch.inputs.data[..., self.column, None] > self._threshold
        return lattice_of(torch.where(high, torch.from_numpy(self._above), torch.from_numpy(self._below)))

    @property
    def parameters(self) -> int:
        return 3
