"""The nearest neighbour by dynamic time warping, for short sequences of numbers.

    D(i, j) = |x_i − y_j|² + min(D(i − 1, j), D(i, j − 1), D(i − 1, j − 1)),   |i − j · n/m| ≤ band

All features of a step warp together; the band is a tenth of the longer sequence.

References:
    Sakoe & Chiba 1978, Dynamic programming algorithm optimization, doi:10.1109/TASSP.1978.1163055.
"""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import torch
from numba import njit
from torch import Tensor

from remanence.data.examples import Batch, Part
from remanence.errors import SettingError
from remanence.tasks.sample import spread
from remanence.tasks.task import Baseline

__all__ = ["NearestNeighbour", "warping_distance"]

LONGEST = 512
MOST_EXAMPLES = 1_000
BAND = 0.1


@njit(cache=True, nogil=True)
def warping_distance(left: np.ndarray, right: np.ndarray, band: int, most: float) -> float:
    """Sum of squared differences along the best path between `[time, feature]` arrays.

    Args:
        left, right: the sequences; neither may be empty.
        band: steps that the path may leave the diagonal by.
        most: give up, and return infinity, once no path can be below it.
    """
    n, m = len(left), len(right)
    before = np.full(m + 1, np.inf)
    after = np.full(m + 1, np.inf)
    before[0] = 0.0
    for i in range(1, n + 1):
        after[:] = np.inf
        middle = i * m // n
        best = np.inf
        for j in range(max(1, middle - band), min(m, middle + band) + 1):
            cost = 0.0
            for k in range(left.shape[1]):
                step = left[i - 1, k] - right[j - 1, k]
                cost += step * step
            after[j] = cost + min(before[j], after[j - 1], before[j - 1])
            best = min(best, after[j])
        if best > most:
            return np.inf
        before, after = after, before
    return before[m]


@njit(cache=True, nogil=True)
def _nearest(
    values: np.ndarray, lengths: np.ndarray, known: np.ndarray, known_lengths: np.ndarray, band: float
) -> np.ndarray:
    """Position of the nearest known sequence of each; 0 for a sequence without steps."""
    found = np.zeros(len(values), np.int64)
    for row in range(len(values)):
        nearest = np.inf
        if lengths[row] == 0:
            continue
        for other in range(len(known)):
            if known_lengths[other] == 0:
                continue
            # A path must be able to go from corner to corner: at least the steps between two rows of a steep band.
            longer, shorter = max(lengths[row], known_lengths[other]), min(lengths[row], known_lengths[other])
            width = max(int(np.ceil(band * longer)), longer // shorter + 1)
            distance = warping_distance(
                values[row, : lengths[row]], known[other, : known_lengths[other]], width, nearest
            )
            if distance < nearest:
                nearest, found[row] = distance, other
    return found


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
                self._labels[1::2][_nearest(values, lengths, self._values[1::2], self._lengths[1::2], BAND)]
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

    @property
    def parameters(self) -> int:
        return int(self._values.size)

    def _search(self, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return self._labels[_nearest(values, lengths, self._values, self._lengths, BAND)]


def _taken(part: Part, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers `[example, time, feature]`, lengths and labels of at most so many examples."""
    batch = part.batch(spread(len(part), most))
    assert batch.target is not None
    return batch.inputs.data.double().numpy(), batch.inputs.lengths.numpy(), batch.target.numpy()
