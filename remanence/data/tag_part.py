"""What a tagger is fed: sequences of tokens or numbers, cut into windows where they are long, a label for each step.

A window is scored on its own steps only; `margin` steps on either side are read for what comes before and after, and
scored in the windows they belong to. So every label counts once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from remanence.data.clock import Clock
from remanence.data.encoders import TagEncoders
from remanence.data.examples import Batch, Part
from remanence.data.spills import gather
from remanence.data.step_records import StepRecords
from remanence.sequences import Sequences

__all__ = ["TagPart", "TagStore", "Windows", "cut"]


_HELD = 1 << 22
"""Numbers of answers that are held at once to be put in order (16 MB)."""


@dataclass(frozen=True)
class TagStore:
    """Every step of one file as a model reads it.

    Args:
        records: the file; its `values` are let go.
        flat: code of each token's form `[step]`, float32 numbers `[step, feature]`, or uint8 pixels `[step, pixel]`.
        labels: number of each step's label in `encoders.labels`, int16 `[step]`; -1 where it has none; their count
            where it is an unknown one, and one more where that goes on a span.
        mended: steps whose label broke the scheme and was written as the scorer reads it, int64, rising.
        words: number of each form in the vocabulary, int32 `[form]`; empty for numbers.
        characters, ends: numbers of the characters of all forms, one after the other, int32; and where each form ends,
            int64 `[form + 1]`; empty where characters are not read.
        usage: how texts without labels use each form, int32 `[form]`; None where there are none.
    """

    records: StepRecords
    flat: np.ndarray
    labels: np.ndarray
    mended: np.ndarray
    words: np.ndarray
    characters: np.ndarray
    ends: np.ndarray
    usage: np.ndarray | None = None


@dataclass(frozen=True)
class Windows:
    """Examples: which sequence, from where to where it is read, and which of it is scored; int64 `[example]` each."""

    sequence: np.ndarray
    low: np.ndarray
    high: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def at(self, index: np.ndarray) -> Windows:
        """Those at these positions."""
        return Windows(self.sequence[index], self.low[index], self.high[index], self.start[index], self.stop[index])


def cut(lengths: np.ndarray, places: np.ndarray, window: int, margin: int) -> Windows:
    """Cut sequences into windows of at most so many steps, of like length within a sequence.

    Args:
        lengths: steps of every sequence, int64 `[sequence]`.
        places: which of them.
        window: most steps of a window; 0 to leave sequences whole.
        margin: steps read before and after it, as far as there are some.

    Example:
        >>> found = cut(np.array([5, 2]), np.array([0, 1]), window=3, margin=1)
        >>> found.sequence.tolist(), found.start.tolist(), found.stop.tolist(), found.low.tolist(), found.high.tolist()
        ([0, 0, 1], [0, 2, 0], [2, 5, 2], [0, 1, 0], [3, 5, 2])
    """
    own = lengths[places].astype(np.int64)
    pieces = np.maximum(1, -(-own // window)) if window else np.ones(len(own), np.int64)
    sequence = np.repeat(places, pieces).astype(np.int64)
    number = np.arange(len(sequence)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    length, count = np.repeat(own, pieces), np.repeat(pieces, pieces)
    start, stop = number * length // count, (number + 1) * length // count
    return Windows(sequence, np.maximum(start - margin, 0), np.minimum(stop + margin, length), start, stop)


class TagPart(Part):
    """Windows of one side of a split. `batch` fills inputs, target, scored, series (the recording) and index.

    Args:
        store: the steps of a file.
        encoders: what was fitted.
        windows: the examples.
        answers: whether labels are known.
    """

    def __init__(self, store: TagStore, encoders: TagEncoders, windows: Windows, *, answers: bool = True) -> None:
        self.encoders, self.windows = encoders, windows
        self._store, self._answers = store, answers
        self.lengths = windows.high - windows.low
        classes = len(encoders.labels)
        row = (classes + 2 + int(self.lengths.max(initial=0))) * classes
        self.held_at_once = max(16, min(Part.held_at_once, _HELD // row))

    def batch(self, index: np.ndarray) -> Batch:
        """The windows at these positions, in this order."""
        index = np.asarray(index, np.int64)
        chosen, store = self.windows.at(index), self._store
        lengths = np.ascontiguousarray(self.lengths[index])
        steps = np.arange(int(lengths.max(initial=0)))
        first = store.records.offsets[chosen.sequence] + chosen.low
        rows = np.minimum(first[:, None] + steps, max(len(store.labels) - 1, 0))
        inside = steps < lengths[:, None]
        data = self._inputs(rows, inside)
        own = (steps >= (chosen.start - chosen.low)[:, None]) & (steps < (chosen.stop - chosen.low)[:, None])
        target = np.where(inside, gather(store.labels, rows), -1).astype(np.int64) if self._answers else None
        return Batch(
            Sequences(torch.from_numpy(data), torch.from_numpy(lengths)),
            None if target is None else torch.from_numpy(target),
            None,
            torch.from_numpy(index),
            torch.from_numpy(chosen.sequence),
            torch.from_numpy(own),
        )

    def _inputs(self, rows: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """Numbers, or tokens with their use and their characters, zero beyond each length."""
        store = self._store
        values = gather(store.flat, rows)
        if store.flat.ndim == 2:
            return np.where(inside[..., None], values, values.dtype.type(0))
        words = np.where(inside, store.words[values], 0).astype(np.int64)
        if self.encoders.characters is None:
            return words
        forms, place = np.unique(np.where(inside, values, values.flat[0] if values.size else 0), return_inverse=True)
        sizes = store.ends[forms + 1] - store.ends[forms]
        letters = np.arange(int(sizes.max(initial=0)))
        at = np.minimum(store.ends[forms][:, None] + letters, max(len(store.characters) - 1, 0))
        table = np.where(letters < sizes[:, None], store.characters[at], 0).astype(np.int64)
        spelt = table[place.reshape(values.shape)] * inside[..., None]
        used = [] if store.usage is None else [np.where(inside, store.usage[values], 0).astype(np.int64)[..., None]]
        return np.concatenate([words[..., None], *used, spelt], axis=-1)

    def at(self, index: np.ndarray) -> TagPart:
        """A part of the windows at these positions."""
        return TagPart(self._store, self.encoders, self.windows.at(index), answers=self._answers)

    def name(self, index: int) -> str:
        """Where a window stands: `data.conllu:812`, or `data.csv, sequence A, steps 257–512`."""
        sequence = int(self.windows.sequence[index])
        where = self._store.records.where(sequence)
        start, stop = int(self.windows.start[index]), int(self.windows.stop[index])
        offsets = self._store.records.offsets
        if stop - start == offsets[sequence + 1] - offsets[sequence]:
            return where
        return f"{where}, steps {start + 1}–{stop}"

    def tokens(self, index: int) -> list[str]:
        """Tokens of a window as they stand in the file; empty for numbers."""
        records = self._store.records
        if records.forms is None:
            return []
        first = int(records.offsets[self.windows.sequence[index]] + self.windows.low[index])
        codes = self._store.flat[first : first + int(self.lengths[index])]
        return [records.form_names[int(code)] for code in codes]

    def first(self, index: int) -> int:
        """The first step of a window, its margin included."""
        return int(self.windows.low[index])

    def clock(self, index: int) -> Clock | None:
        """When the frames of a window of a sound or a video are."""
        form = self.encoders.sound or self.encoders.clip
        clock = None if form is None else form.clock
        return clock and clock._replace(first=clock.apart * self.first(index))

    def heads(self, index: int) -> list[dict[str, Any]]:
        """What leads each row of a prediction, for the steps of a window that are its own."""
        records, windows = self._store.records, self.windows
        sequence = int(windows.sequence[index])
        start, stop = int(windows.start[index]), int(windows.stop[index])
        if records.forms is not None:
            words = self.tokens(index)[start - int(windows.low[index]) :]
            return [
                {"sequence": sequence + 1, "token": step + 1, "text": word}
                for step, word in zip(range(start, stop), words, strict=False)
            ]
        name = "+".join(self.encoders.sequence) or "sequence"
        head: dict[str, Any] = {name: records.names[sequence]}
        if records.times is None or self.encoders.time is None:
            return [head | {"step": step + 1} for step in range(start, stop)]
        first = int(records.offsets[sequence])
        return [head | {self.encoders.time: time} for time in records.shown_times(first + start, first + stop)]
