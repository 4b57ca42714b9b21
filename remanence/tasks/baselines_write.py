"""What a model that writes is measured against: one text for all, the source itself, the nearest text of the training.

Each answers as a decoder does (see `nn.written`), without costs, chances and alignment.
"""

from __future__ import annotations

from abc import abstractmethod
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


class _Nearest(Baseline):
    """The text of the training source that is nearest, by what a batch of sources is told by."""

    def __init__(self) -> None:
        self._known: Any = None
        self._texts: list[tuple[int, ...]] = []

    def fit(self, train: Part, valid: Part) -> None:
        told = []
        for batch in thinned(train, MOST_EXAMPLES):
            told.append(self._told(batch.inputs))
            self._texts += _texts(batch)
        self._keep(told)

    def predict(self, batch: Batch) -> Tensor:
        return _answer([self._texts[place] for place in self._places(self._told(batch.inputs))], batch)

    @abstractmethod
    def _told(self, inputs: Sequences) -> Any:
        """What sources are compared by, a row each."""

    @abstractmethod
    def _keep(self, told: list[Any]) -> None:
        """Keep what training sources are told by, batch by batch."""

    @abstractmethod
    def _places(self, told: Any) -> list[int]:
        """The nearest training source of each."""


@final
class NearestText(_Nearest):
    """The text of the training source that is most alike, by the cosine of tf-idf over tokens.

    Args:
        vocabulary: numbers of the tokens of sources.
    """

    name: ClassVar[str] = "nearest-text"

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self._vocabulary = vocabulary
        self._weights: Any = None

    @property
    def parameters(self) -> int:
        return 0 if self._weights is None else self._vocabulary

    def _told(self, inputs: Sequences) -> sparse.csr_array:
        """How often each token stands in each source."""
        from scipy import sparse

        rows, columns = np.nonzero(inputs.mask().numpy())
        tokens = inputs.data.numpy()[rows, columns]
        shape = (inputs.batch, self._vocabulary)
        return sparse.csr_array((np.ones(len(rows)), (rows, tokens)), shape=shape)

    def _keep(self, told: list[Any]) -> None:
        from scipy import sparse
        from sklearn.feature_extraction.text import TfidfTransformer

        counts = sparse.vstack(told)
        self._weights = TfidfTransformer(sublinear_tf=True).fit(counts)
        self._known = self._weights.transform(counts).T.tocsr()

    def _places(self, told: Any) -> list[int]:
        read = self._weights.transform(told)
        slabs = (read[start : start + _AT_ONCE] for start in range(0, read.shape[0], _AT_ONCE))
        return [place for slab in slabs for place in (slab @ self._known).toarray().argmax(1).tolist()]


@final
class NearestClip(_Nearest):
    """The text of the training video whose mean frame, and mean change, is nearest; it knows no order.

    Args:
        clip: size and colours of the frames.
    """

    name: ClassVar[str] = "nearest-clip"

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self._clip = clip

    def _told(self, inputs: Sequences) -> np.ndarray:
        return mean_frame(inputs, self._clip)

    def _keep(self, told: list[Any]) -> None:
        self._known = np.concatenate(told)

    def _places(self, told: Any) -> list[int]:
        # |a − b|² without |a|², which is the same for every b.
        distance = (self._known**2).sum(1) - 2 * told @ self._known.T
        return distance.argmin(1).tolist()


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
