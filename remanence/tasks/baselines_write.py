"""What a model that writes is measured against: one text for all, the source itself, the nearest text of the training.

Each answers as a decoder does (see `nn.written`), without costs, chances and alignment.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from remanence.data.clips import Clip
from remanence.data.encoders import PairEncoders
from remanence.data.examples import Batch, Part
from remanence.data.symbols import END, PADDING
from remanence.data.text_side import TextSide
from remanence.nn.written import Written, packed
from remanence.sequences import Sequences
from remanence.tasks.sample import thinned
from remanence.tasks.squares import mean_frame
from remanence.tasks.task import Baseline

if TYPE_CHECKING:
    from scipy import sparse

__all__ = ["CopySource", "FrequentText", "Lead", "NearestClip", "NearestText"]

MOST_EXAMPLES = 50_000
_AT_ONCE = 64


@final
class FrequentText(Baseline):
    """The commonest text of the training part, whatever is read."""

    name: ClassVar[str] = "frequent-text"
    trivial: ClassVar[bool] = True

    def __init__(self) -> None:
        self._text: tuple[int, ...] = (END,)

    def fit(self, train: Part, valid: Part) -> None:
        counts = Counter(text for batch in thinned(train, MOST_EXAMPLES) for text in _texts(batch))
        # Of equally common ones the shortest, then the first by number, so that it is the same everywhere.
        self._text = min(counts, key=lambda text: (-counts[text], len(text), text), default=(END,))

    def predict(self, batch: Batch) -> Tensor:
        return _answer([self._text] * batch.inputs.batch, batch)


class CopySource(Baseline):
    """The source as it stands: names, numbers and marks are often right.

    Args:
        encoders: both sides are texts.
    """

    name: ClassVar[str] = "copy-source"
    trivial: ClassVar[bool] = True

    def __init__(self, encoders: PairEncoders) -> None:
        self._encoders = encoders

    def fit(self, train: Part, valid: Part) -> None:
        """Nothing is learnt."""

    def predict(self, batch: Batch) -> Tensor:
        return _answer([self._written(text) for text in _read(batch.inputs)], batch)

    def _written(self, source: list[int]) -> tuple[int, ...]:
        assert isinstance(self._encoders.source, TextSide)
        target = self._encoders.target.encode(self._encoders.source.decode(source))
        return (*target.tolist()[: self._encoders.longest_answer], END)


@final
class Lead(CopySource):
    """The beginning of the source, as long as the texts of the training part are in the middle."""

    name: ClassVar[str] = "lead"
    trivial: ClassVar[bool] = True

    def __init__(self, encoders: PairEncoders) -> None:
        super().__init__(encoders)
        self._length = encoders.longest_answer

    def fit(self, train: Part, valid: Part) -> None:
        lengths = [len(text) - 1 for batch in thinned(train, MOST_EXAMPLES) for text in _texts(batch)]
        self._length = int(np.median(lengths)) if lengths else 0

    def _written(self, source: list[int]) -> tuple[int, ...]:
        return (*super()._written(source)[: self._length], END)


@final
class NearestText(Baseline):
    """The text of the training source that is most alike, by the cosine of tf-idf over tokens.

    Args:
        vocabulary: numbers of the tokens of sources.
    """

    name: ClassVar[str] = "nearest-text"

    def __init__(self, vocabulary: int) -> None:
        self._vocabulary = vocabulary
        self._sources: Any = None
        self._weights: Any = None
        self._texts: list[tuple[int, ...]] = []

    def fit(self, train: Part, valid: Part) -> None:
        from scipy import sparse
        from sklearn.feature_extraction.text import TfidfTransformer

        counts = []
        for batch in thinned(train, MOST_EXAMPLES):
            counts.append(self._counts(batch.inputs))
            self._texts += _texts(batch)
        self._weights = TfidfTransformer(sublinear_tf=True).fit(sparse.vstack(counts))
        self._sources = self._weights.transform(sparse.vstack(counts)).T.tocsr()

    def predict(self, batch: Batch) -> Tensor:
        read = self._weights.transform(self._counts(batch.inputs))
        nearest: list[int] = []
        for start in range(0, read.shape[0], _AT_ONCE):
            alike = (read[start : start + _AT_ONCE] @ self._sources).toarray()
            nearest += alike.argmax(1).tolist()
        return _answer([self._texts[place] for place in nearest], batch)

    @property
    def parameters(self) -> int:
        return 0 if self._sources is None else int(self._sources.nnz)

    def _counts(self, inputs: Sequences) -> sparse.csr_array:
        """How often each token stands in each source."""
        from scipy import sparse

        rows, columns = np.nonzero(inputs.mask().numpy())
        tokens = inputs.data.numpy()[rows, columns]
        shape = (inputs.batch, self._vocabulary)
        return sparse.csr_array((np.ones(len(rows)), (rows, tokens)), shape=shape)


@final
class NearestClip(Baseline):
    """The text of the training video whose mean frame, and mean change, is nearest; it knows no order.

    Args:
        clip: size and colours of the frames.
    """

    name: ClassVar[str] = "nearest-clip"

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._frames = np.zeros((0, 0))
        self._texts: list[tuple[int, ...]] = []

    def fit(self, train: Part, valid: Part) -> None:
        frames = []
        for batch in thinned(train, MOST_EXAMPLES):
            frames.append(mean_frame(batch.inputs, self._clip))
            self._texts += _texts(batch)
        self._frames = np.concatenate(frames)

    def predict(self, batch: Batch) -> Tensor:
        found = mean_frame(batch.inputs, self._clip)
        # |a − b|² without |a|², which is the same for every b.
        distance = (self._frames**2).sum(1) - 2 * found @ self._frames.T
        return _answer([self._texts[place] for place in distance.argmin(1).tolist()], batch)

    @property
    def parameters(self) -> int:
        return self._frames.size


def _texts(batch: Batch) -> list[tuple[int, ...]]:
    """The true texts of a batch, each with its end."""
    assert batch.target is not None
    return [tuple(token for token in row if token != PADDING) for row in batch.target.tolist()]


def _read(inputs: Sequences) -> list[list[int]]:
    return [row[:length] for row, length in zip(inputs.data.tolist(), inputs.lengths.tolist(), strict=True)]


def _answer(texts: list[tuple[int, ...]], batch: Batch) -> Tensor:
    """Texts as a decoder would have written them."""
    longest = max(map(len, texts), default=0)
    tokens = torch.tensor([[*text, *[PADDING] * (longest - len(text))] for text in texts], dtype=torch.int64)
    tokens = tokens.reshape(len(texts), longest)
    nothing = torch.zeros(len(texts), longest, batch.inputs.time)
    return packed(None, Written(tokens, nothing.new_zeros(tokens.shape), nothing))
