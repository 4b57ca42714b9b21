"""The nearest neighbour by dynamic time warping, for short sequences of numbers (see `compiler.warping`)."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from remanence.data.examples import Batch, Part
from remanence.errors import SettingError
from remanence.tasks.sample import spread
from remanence.tasks.task import Baseline

__all__ = ["NearestNeighbour"]

LONGEST = 512
MOST_EXAMPLES = 1_000
BAND = 0.1


@final
class NearestNeighbour(Baseline):
    """The label of the nearest training sequence.

    Its probability is how often it was right on the validation part (on half of the training part where there is none).
    Of a larger training part, 1,000 sequences spread evenly over it are kept.
    """

    name: ClassVar[str] = "nearest-dtw"

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.capped = False
        self._right = 0.5

    def fit(self, train: Part, valid: Part) -> None:
        longest = max((int(part.lengths.max()) for part in (train, valid) if len(part)), default=0)
        if longest > LONGEST:
            raise SettingError(
                f"sequences of {longest} steps are too long for nearest neighbours with DTW, which take {LONGEST}",
                name="longest",
                remedy=f"--longest {LONGEST} to see it",
            )
        self.capped = len(train) > MOST_EXAMPLES
        self._values, self._lengths, self._labels = _taken(train, MOST_EXAMPLES)
        if len(valid):
            values, lengths, labels = _taken(valid, MOST_EXAMPLES)
            found = self._search(values, lengths)
        else:
            values, lengths, labels = self._values[::2], self._lengths[::2], self._labels[::2]
            found = (
                self._labels[1::2][_nearest(values, lengths, self._values[1::2], self._lengths[1::2])]
                if len(self._values) > 1
                else labels
            )
        # One wrong answer is added, so that none is ever certain.
        self._right = max(float((found == labels).sum()) / (len(labels) + 1), 1.0 / self.classes)

    def predict(self, batch: Batch) -> Tensor:
        found = self._search(batch.inputs.data.double().numpy(), batch.inputs.lengths.numpy())
        others = max(self.classes - 1, 1)
        probabilities = np.full((len(found), self.classes), max(1 - self._right, 1e-12) / others)
        # The nearest label stays ahead of the others even where neighbours are right no more often than chance.
        probabilities[np.arange(len(found)), found] = self._right + 1e-6
        return torch.from_numpy(np.log(probabilities)).float().log_softmax(1)

    def _search(self, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return self._labels[_nearest(values, lengths, self._values, self._lengths)]


def _taken(part: Part, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers `[example, time, feature]`, lengths and labels of at most so many examples."""
    batch = part.batch(spread(len(part), most))
    assert batch.target is not None
    return batch.inputs.data.double().numpy(), batch.inputs.lengths.numpy(), batch.target.numpy()


def _nearest(values: np.ndarray, lengths: np.ndarray, known: np.ndarray, known_lengths: np.ndarray) -> np.ndarray:
    # The compiler is for those who ask: where it is broken, all else goes on.
    from remanence.compiler.warping import nearest

    return nearest(values, lengths, known, known_lengths, BAND)[0]
