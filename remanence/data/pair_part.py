"""What a model that writes learns from: a source, whatever its kind, and the text to write for it.

Source       gives what is read: tokens (`TextSource`), or numbers of sound, video, key points
PairPart     sources and texts side by side; the target of a batch is a text and the sign of its end
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from remanence.data.batches import order
from remanence.data.clock import Clock
from remanence.data.examples import Batch, Part
from remanence.data.text_side import TextSide, TokenStore
from remanence.sequences import Sequences

__all__ = ["PairPart", "Source", "TextSource"]

_NUMBERS = 1 << 24


class Source(ABC):
    """What is read, of all pairs of one file.

    A kind of its own gives `lengths` and `batch`; `tokens` and `unknown` where its steps have names.
    """

    lengths: np.ndarray
    """Steps of each source, int64 `[pair]`."""

    @abstractmethod
    def batch(self, places: np.ndarray) -> Sequences:
        """The sources at these places: tokens `[batch, time]`, or numbers `[batch, time, feature]`."""

    def tokens(self, place: int) -> list[str]:
        """What each step of a source is called; empty where steps are numbers."""
        return []

    def unknown(self, place: int) -> list[bool]:
        """Which steps training has not seen."""
        return []

    def clock(self) -> Clock | None:
        """When the steps of a source are; None where they are not of time, or their rate is not known."""
        return None

    def title(self, place: int) -> str:
        """What a source is called, for a person; empty where it has no name."""
        return ""


class TextSource(Source):
    """Texts, as tokens.

    Args:
        store: tokens of all texts of a file.
        side: what the tokens stand for.
        longest: tokens kept of each text, or None for all.
    """

    def __init__(self, store: TokenStore, side: TextSide, longest: int | None = None) -> None:
        self._store, self._side, self._longest = store, side, longest
        self.lengths = store.lengths if longest is None else np.minimum(store.lengths, longest)

    def batch(self, places: np.ndarray) -> Sequences:
        lengths = torch.from_numpy(np.ascontiguousarray(self.lengths[places]))
        return Sequences(self._store.padded(places, most=self._longest), lengths)

    def tokens(self, place: int) -> list[str]:
        return list(self._side.pieces(self._store.of(place)[: self.lengths[place]]))

    def unknown(self, place: int) -> list[bool]:
        return self._store.unknown(place)


class PairPart(Part):
    """Sources and the texts to write. `batch` fills inputs and target: a text, the sign of its end, then 0.

    Args:
        source: of all pairs of a file.
        answers: tokens of all texts to write, or None where they are not known.
        places: which pairs belong to this part, int64 `[pair]`.
        where: place → where a pair stands, for a person.
        vocabulary: numbers of the texts to write, which bound how many answers are held at once.
    """

    def __init__(
        self,
        source: Source,
        answers: TokenStore | None,
        places: np.ndarray,
        where: Callable[[int], str],
        vocabulary: int,
    ) -> None:
        self._source, self._answers, self._places, self._where = source, answers, places, where
        self.lengths = np.asarray(source.lengths[places], np.int64)
        self.steps_at_once = max(1, min(Part.steps_at_once, _NUMBERS // vocabulary))

    def batch(self, index: np.ndarray) -> Batch:
        """The pairs at these positions, in this order."""
        index = np.asarray(index, np.int64)
        places = self._places[index]
        return Batch(self._source.batch(places), self.targets(index), None, torch.from_numpy(index))

    def targets(self, index: np.ndarray) -> Tensor | None:
        """The texts of the pairs at these positions; no source is read for them."""
        return None if self._answers is None else self._answers.padded(self._places[index], end=True)

    def order(self, batch_size: int, seed: int, epoch: int) -> Sequence[np.ndarray]:
        """Batches of sources of like length; equal ones by the length of their texts."""
        if self._answers is None:
            return super().order(batch_size, seed, epoch)
        answers = self._answers.lengths[self._places]
        return order(self.lengths * (int(answers.max(initial=0)) + 1) + answers, batch_size, seed, epoch)

    def name(self, index: int) -> str:
        """Where a pair stands, and the names of the files that are read."""
        place = int(self._places[index])
        where, title = self._where(place), self._source.title(place)
        return f"{where} ({title})" if title and title != where else where

    def tokens(self, index: int) -> list[str]:
        """What each step of a source is called; empty where steps are numbers."""
        return self._source.tokens(int(self._places[index]))

    def unknown(self, index: int) -> list[bool]:
        """Which steps of a source training has not seen."""
        return self._source.unknown(int(self._places[index]))

    def clock(self, index: int) -> Clock | None:
        """When the steps of a source are, alike for all."""
        return self._source.clock()
