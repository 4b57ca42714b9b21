"""Labelled sequences of one side of a split, as a model reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from remanence.data.arrow import compute
from remanence.data.clock import Clock
from remanence.data.diagnose import line_of_row
from remanence.data.encoders import ClassifyEncoders
from remanence.data.examples import Batch, Part
from remanence.data.records import Records
from remanence.data.spills import side_by_side
from remanence.data.tables import chunks
from remanence.data.tokens import UNKNOWN
from remanence.errors import DataError
from remanence.sequences import Sequences

__all__ = ["ClassifyPart", "LabelStore", "texts_of"]


@dataclass(frozen=True)
class LabelStore:
    """Every sequence of one file as a model reads it: tokens `[step]` or float32 numbers `[step, feature]`."""

    records: Records
    flat: np.ndarray
    offsets: np.ndarray
    classes: np.ndarray


class ClassifyPart(Part):
    """Sequences of one side of a split. `batch` fills inputs (tokens or numbers), target and index.

    Args:
        store: the sequences of a file.
        encoders: what was fitted.
        places: which of the file's sequences belong to this part, int64 `[sequence]`.
        answers: whether labels are known.
    """

    def __init__(
        self, store: LabelStore, encoders: ClassifyEncoders, places: np.ndarray, *, answers: bool = True
    ) -> None:
        self.encoders = encoders
        self._store, self._places, self._answers = store, places, answers
        lengths = store.offsets[1:][places] - store.offsets[:-1][places]
        self.lengths = lengths if encoders.longest is None else np.minimum(lengths, encoders.longest)

    def batch(self, index: np.ndarray) -> Batch:
        """The sequences at these positions, in this order."""
        index = np.asarray(index, np.int64)
        lengths = np.ascontiguousarray(self.lengths[index])
        flat = self._store.flat
        data = torch.from_numpy(side_by_side(flat, self._store.offsets[self._places[index]], lengths))
        data = data.long() if flat.ndim == 1 else data
        if self.encoders.order:
            data = data[:, list(self.encoders.order)]
        return Batch(Sequences(data, torch.from_numpy(lengths)), self.targets(index), None, torch.from_numpy(index))

    def targets(self, index: np.ndarray) -> torch.Tensor | None:
        """The classes or scaled numbers of the sequences at these positions; no sequence is read for them."""
        return torch.from_numpy(self._store.classes[self._places[index]]) if self._answers else None

    def at(self, index: np.ndarray) -> ClassifyPart:
        """A part of the sequences at these positions."""
        return ClassifyPart(self._store, self.encoders, self._places[index], answers=self._answers)

    def name(self, index: int) -> str:
        """Where a sequence stands: `data.csv:812`, or `data.csv, sequence A`."""
        return self._store.records.where(int(self._places[index]))

    def label(self, index: int) -> str | None:
        """Name of the class of a sequence, or its number; None where it is not known."""
        if self.encoders.answer is not None:
            value = self._store.classes[self._places[index]][None]
            number = self.encoders.answer.unscale(value, (self.encoders.label,))[0]
            return f"{number:g}" if self._answers else None
        code = int(self._store.classes[self._places[index]])
        return self.encoders.labels[code] if self._answers and code >= 0 else None

    def tokens(self, index: int) -> list[str]:
        """Tokens of a text, unknown ones in the text's own letters; empty for numbers."""
        vocabulary, place = self.encoders.vocabulary, int(self._places[index])
        if vocabulary is None:
            return []
        numbers = self._numbers(index)
        if not (numbers == UNKNOWN).any():
            return [vocabulary.name(int(number)) for number in numbers]
        return vocabulary.pieces(_text(self._store.records, self.encoders.input[0], place))[: len(numbers)]

    def unknown(self, index: int) -> list[bool]:
        """Which tokens of a text training did not see: to a model they are all alike; empty for numbers."""
        return [] if self.encoders.vocabulary is None else (self._numbers(index) == UNKNOWN).tolist()

    def clock(self, index: int) -> Clock | None:
        """When the frames of a sound or a video are."""
        form = self.encoders.sound or self.encoders.clip
        return None if form is None else form.clock

    def _numbers(self, index: int) -> np.ndarray:
        start = int(self._store.offsets[self._places[index]])
        return self._store.flat[start : start + int(self.lengths[index])]


def texts_of(records: Records, column: str) -> Iterator[pa.Array]:
    """Texts of a file without white space at their ends; an empty one is refused."""
    if records.table is None:
        raise DataError("no table of texts", path=records.path, remedy="check --input")
    row = 0
    for chunk in chunks(records.table, {column: "text"}):
        texts = compute.utf8_trim_whitespace(chunk[column])
        if compute.any(empty := compute.equal(compute.binary_length(texts), 0)).as_py():
            at = row + int(np.argmax(empty.to_numpy(zero_copy_only=False)))
            raise DataError(
                "an empty text",
                path=records.path,
                line=line_of_row(records.table, at),
                column=column,
                remedy="remove the row",
            )
        row += len(texts)
        yield texts


def _text(records: Records, column: str, place: int) -> str:
    """One text of a file, which is read up to there."""
    for texts in texts_of(records, column):
        if place < len(texts):
            return texts[place].as_py()
        place -= len(texts)
    raise DataError("is shorter than it was", path=records.path, remedy="leave the file alone while it is read")
