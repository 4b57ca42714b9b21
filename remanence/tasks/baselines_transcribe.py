"""What a model that transcribes is measured against: one text for all, the text of the nearest training sound."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, final

import numpy as np
from torch import Tensor

from remanence.data.examples import Batch, Part
from remanence.data.symbols import END, PADDING
from remanence.errors import SettingError
from remanence.sequences import Sequences
from remanence.tasks.sample import spread
from remanence.tasks.task import Baseline
from remanence.tasks.transcript import as_answer

__all__ = ["FrequentTranscript", "NearestTranscript", "texts_of"]

LONGEST = 512
"""Joined frames of the longest sound that is compared."""
MOST_KNOWN = 400
"""Training sounds that are kept, spread evenly."""
_COUNTED = 50_000
_JOINED = 4
_BAND = 0.1


@final
class FrequentTranscript(Baseline):
    """The commonest text of the training part, whatever is heard.

    Args:
        size: numbers of symbols in use.
    """

    name: ClassVar[str] = "frequent-text"
    trivial: ClassVar[bool] = True

    def __init__(self, size: int) -> None:
        self._size = size
        self._text: tuple[int, ...] = ()

    def fit(self, train: Part, valid: Part) -> None:
        counts = Counter(map(tuple, texts_of(train, spread(len(train), _COUNTED))))
        # Of equally common ones the shortest, then the first by number, so that it is the same everywhere.
        self._text = min(counts, key=lambda text: (-counts[text], len(text), text), default=())

    def predict(self, batch: Batch) -> Tensor:
        return as_answer([self._text] * batch.inputs.batch, self._size)


@final
class NearestTranscript(Baseline):
    """The text of the training sound that is nearest under dynamic time warping, of every four frames their mean.

    Args:
        size: numbers of symbols in use.
    """

    name: ClassVar[str] = "nearest-dtw"

    def __init__(self, size: int) -> None:
        self._size = size
        self._texts: list[tuple[int, ...]] = []
        self._known, self._lengths = np.zeros((0, 0, 0)), np.zeros(0, np.int64)

    def fit(self, train: Part, valid: Part) -> None:
        longest = -(-max(int(part.lengths.max(initial=0)) for part in (train, valid)) // _JOINED)
        if longest > LONGEST:
            raise SettingError(
                f"sounds of {longest * _JOINED} frames are too long for nearest neighbours with DTW, which take "
                f"{LONGEST * _JOINED}",
                name="longest",
                remedy=f"--longest {LONGEST * _JOINED} to see it",
            )
        batch = train.batch(spread(len(train), MOST_KNOWN))
        self._known, self._lengths = _joined(batch.inputs)
        self._texts = texts_of(train, batch.index.numpy())

    def predict(self, batch: Batch) -> Tensor:
        # The compiler is for those who ask: where it is broken, all else goes on.
        from remanence.compiler.warping import nearest

        found, _ = nearest(*_joined(batch.inputs), self._known, self._lengths, _BAND)
        return as_answer([self._texts[place] for place in found.tolist()], self._size)


def _joined(inputs: Sequences) -> tuple[np.ndarray, np.ndarray]:
    """The mean of every four frames `[sound, joined, feature]`, and how many there are of each sound."""
    lengths = inputs.lengths.numpy()
    data = np.where(inputs.mask()[..., None].numpy(), inputs.data.double().numpy(), 0.0)
    count = -(-lengths // _JOINED)
    padded = np.pad(data, ((0, 0), (0, -data.shape[1] % _JOINED), (0, 0)))
    sums = padded.reshape(len(data), -1, _JOINED, data.shape[2]).sum(2)
    inside = np.minimum(_JOINED, lengths[:, None] - _JOINED * np.arange(sums.shape[1]))
    return sums / np.maximum(inside, 1)[..., None], count


def texts_of(part: Part, places: np.ndarray) -> list[tuple[int, ...]]:
    """The true texts of the sounds at these places, as numbers without their end."""
    targets = part.targets(places)
    assert targets is not None
    return [tuple(number for number in row if number not in (PADDING, END)) for row in targets.tolist()]
