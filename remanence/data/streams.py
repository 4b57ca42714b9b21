"""What a language model reads: one stream in windows that go on from each other, or documents; the next is the answer.

StreamPart      a long text: window i + 1 goes on where window i ends, and the state is carried between them
DocumentPart    many texts: each begins afresh with the sign of an end, and ends with it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch

from remanence.data.examples import Batch, Part
from remanence.data.spills import gather
from remanence.data.symbols import END, SHOWN_END, Symbols
from remanence.sequences import Sequences

__all__ = ["PAST", "DocumentPart", "StreamPart", "parallel", "steps_at_once"]

_NUMBERS = 1 << 24
PAST = 16
"""Tokens before a window that a batch tells, for models that see a fixed number of them."""


def steps_at_once(symbols: Symbols) -> int:
    """Steps whose answers, a number for each symbol, take some 64 MB; as many as usual where symbols are few."""
    return max(1, min(Part.steps_at_once, _NUMBERS // symbols.size))


def parallel(windows: int, streams: int) -> Sequence[np.ndarray]:
    """Read windows in so many streams side by side: batch k holds the k-th window of every stream.

    Example:
        >>> [batch.tolist() for batch in parallel(5, 2)]
        [[0, 3], [1, 4], [2]]
    """
    each = -(-windows // max(1, min(streams, windows))) if windows else 0
    starts = np.arange(0, windows, max(each, 1))
    ends = np.minimum(starts + each, windows)
    return [starts[starts + k < ends] + k for k in range(each)]


class StreamPart(Part):
    """Windows of one text. `batch` fills inputs, target (the token after each) and past.

    Args:
        tokens: of the whole part, int32 `[token]`.
        symbols: what they stand for.
        window: tokens of a window.
        title: of the file.
    """

    stream: ClassVar[bool] = True

    def __init__(self, tokens: np.ndarray, symbols: Symbols, window: int, title: str) -> None:
        self._tokens, self._symbols, self._window, self._title = tokens, symbols, window, title
        self.steps_at_once = steps_at_once(symbols)
        count = -(-len(tokens) // window)
        self.lengths = np.full(count, window, np.int64)
        if count:
            self.lengths[-1] = len(tokens) - (count - 1) * window

    def batch(self, index: np.ndarray) -> Batch:
        """The windows at these positions: what stands before each token is read, the token is the answer."""
        index = np.asarray(index, np.int64)
        lengths = self.lengths[index]
        steps = np.arange(-PAST - 1, int(lengths.max(initial=0)))
        rows = index[:, None] * self._window + steps
        tokens = gather(self._tokens, np.clip(rows, 0, len(self._tokens) - 1)).astype(np.int64)
        tokens[rows < 0] = 0
        tokens[rows == -1] = END
        tokens[steps >= lengths[:, None]] = 0
        inputs = np.where(steps[PAST:-1] < lengths[:, None] - 1, tokens[:, PAST:-1], 0)
        read = Sequences(torch.from_numpy(inputs), torch.from_numpy(lengths))
        return Batch(
            read,
            torch.from_numpy(tokens[:, PAST + 1 :].copy()),
            None,
            torch.from_numpy(index),
            scored=read.mask(),
            past=torch.from_numpy(tokens[:, :PAST].copy()),
        )

    def order(self, batch_size: int, seed: int, epoch: int) -> Sequence[np.ndarray]:
        """The text in `batch_size` streams side by side, always in its own order."""
        return parallel(len(self), batch_size)

    def name(self, index: int) -> str:
        """Where a window stands."""
        return f"{self._title}, token {index * self._window + 1:,}"

    def tokens(self, index: int) -> list[str]:
        """What is read at each step of a window."""
        return [self._symbols.name(token) for token in self.batch(np.array([index])).inputs.data[0].tolist()]


class DocumentPart(Part):
    """Texts that begin and end. `batch` fills inputs (an end, then the text) and target (the text, then an end).

    Args:
        tokens: of all documents of a file, int32 `[token]`.
        offsets: where each begins, and where the last one ends, int64 `[document + 1]`.
        places: which documents belong to this part, int64 `[document]`.
        symbols: what the tokens stand for.
        title: of the file.
        longest: tokens kept of each document, or None for all.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        offsets: np.ndarray,
        places: np.ndarray,
        symbols: Symbols,
        title: str,
        longest: int | None = None,
    ) -> None:
        self._tokens, self._offsets, self._places = tokens, offsets, places
        self._symbols, self._title = symbols, title
        self.steps_at_once = steps_at_once(symbols)
        lengths = offsets[1:][places] - offsets[:-1][places]
        self._whole = lengths if longest is None else np.minimum(lengths, longest)
        self.lengths = self._whole + 1
        self.held_at_once = max(1, self.steps_at_once // int(self.lengths.max(initial=1)))

    def batch(self, index: np.ndarray) -> Batch:
        """The documents at these positions, in this order."""
        index = np.asarray(index, np.int64)
        whole = self._whole[index][:, None]
        steps = np.arange(int(whole.max(initial=0)))
        rows = np.minimum(self._offsets[self._places[index]][:, None] + steps, max(len(self._tokens) - 1, 0))
        found = gather(self._tokens, rows) if len(self._tokens) else np.zeros(rows.shape, np.int32)
        text = np.where(steps < whole, found, 0).astype(np.int64)
        ends = np.full((len(index), 1), END, np.int64)
        target = np.concatenate([text, np.zeros_like(ends)], axis=1)
        np.put_along_axis(target, whole, END, axis=1)
        inputs = torch.from_numpy(np.concatenate([ends, text], axis=1))
        lengths = torch.from_numpy(np.ascontiguousarray(self.lengths[index]))
        read = Sequences(inputs, lengths)
        return Batch(read, torch.from_numpy(target), None, torch.from_numpy(index), scored=read.mask())

    def at(self, index: np.ndarray) -> DocumentPart:
        """A part of the documents at these positions."""
        part = DocumentPart(self._tokens, self._offsets, self._places[index], self._symbols, self._title)
        part._whole, part.lengths = self._whole[index], self.lengths[index]
        return part

    def name(self, index: int) -> str:
        """Where a document stands."""
        return f"{self._title}, text {int(self._places[index]) + 1:,}"

    def tokens(self, index: int) -> list[str]:
        """What is read at each step of a document."""
        start = int(self._offsets[self._places[index]])
        numbers = self._tokens[start : start + int(self._whole[index])].tolist()
        return [SHOWN_END, *map(self._symbols.name, numbers)]
