"""Sequences with a label a step, as they stand in a file, before anything is fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from remanence.data.clips import ClipForm
from remanence.data.media.sounds import SoundForm
from remanence.data.notation import Notation
from remanence.data.spills import Spill
from remanence.errors import DataError
from remanence.settings_use import Read

__all__ = ["Sentence", "StepRecords", "gather_sentences"]

_ALIKE = ("(all)",)
_BLOCK = 1 << 16


@dataclass(frozen=True)
class StepRecords:
    """Labelled steps of one file: tokens, or numbers.

    Args:
        path: the file.
        offsets: first step of each sequence, and the number of steps: int64 `[sequence + 1]`.
        steps: code of each step's label, int32 `[step]`; -1 where it has none.
        step_names: what the codes stand for, in order of appearance.
        line_of_step: step → its line in the file (a second, slow look).
        lines: line at which each sequence starts, int64 `[sequence]`.
        names: of the sequences, or empty.
        forms: code of each token, int32 `[step]`, or None for numbers; `form_names` are the distinct tokens.
        values: float64 `[step, column]`, NaN where missing, or None for tokens; `columns` are their names.
        times: when each sample was taken, float64 `[step]`, or None; of dates in seconds since 1970.
        notation: how the file writes dates; None where times are numbers.
        groups, marks: code of `group` and `split_column` of each sequence, or None; `mark_names` say what marks mean.
        notes: what was guessed or mended.
        form: how frames were taken of sounds or videos, or None; `values` are then theirs (of videos uint8).
        media: files that were read beside the table.
    """

    path: Path
    offsets: np.ndarray
    steps: np.ndarray
    step_names: tuple[str, ...]
    line_of_step: Callable[[int], int]
    lines: np.ndarray
    names: tuple[str, ...] = ()
    forms: np.ndarray | None = None
    form_names: tuple[str, ...] = ()
    values: np.ndarray | None = None
    columns: tuple[str, ...] = ()
    times: np.ndarray | None = None
    notation: Notation | None = None
    groups: np.ndarray | None = None
    marks: np.ndarray | None = None
    mark_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    form: SoundForm | ClipForm | None = None
    media: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def dated(self) -> bool:
        """Whether the file gives dates."""
        return self.notation is not None

    def shown_times(self, start: int, stop: int) -> list[Any]:
        """The times of some steps as the file writes them: numbers, or dates."""
        assert self.times is not None
        times: list[float] = self.times[start:stop].tolist()
        return times if self.notation is None else list(map(self.notation.show_seconds, times))

    @property
    def reads(self) -> Read:
        """What a step is of."""
        if self.forms is not None:
            return "texts"
        if self.form is None:
            return "numbers"
        return "sounds" if isinstance(self.form, SoundForm) else "videos"

    @property
    def labels(self) -> np.ndarray:
        """For a split, every sequence is alike: int32 `[sequence]` of zeros."""
        return np.zeros(len(self), np.int32)

    @property
    def label_names(self) -> tuple[str, ...]:
        """What `labels` stand for."""
        return _ALIKE

    def where(self, place: int) -> str:
        """Where a sequence stands, for a person."""
        if self.names:
            return f"{self.path.name}, sequence {self.names[place]}"
        return f"{self.path.name}:{self.lines[place]}"


class Sentence(NamedTuple):
    """One sequence of tokens as it was read.

    Args:
        line: where it starts.
        tokens: at least one.
        labels: one for each token, or None.
        group, mark: of `group` and `split_column`, or empty.
    """

    line: int
    tokens: list[str]
    labels: list[str] | None
    group: str = ""
    mark: str = ""


class _Names(dict[str, int]):
    """Names to numbers, in order of appearance."""

    def __missing__(self, name: str) -> int:
        self[name] = code = len(self)
        return code


class _Column:
    """Numbers that come a few at a time, gathered so that each spilled block holds many."""

    def __init__(self, dtype: type[np.signedinteger]) -> None:
        self._spill, self._held = Spill(dtype), list[int]()

    def extend(self, numbers: list[int]) -> None:
        self._held += numbers
        if len(self._held) >= _BLOCK:
            self._flush()

    def finish(self) -> np.ndarray:
        self._flush()
        return self._spill.finish()

    def _flush(self) -> None:
        self._spill.append(np.array(self._held, self._spill.dtype))
        self._held = []


def gather_sentences(
    path: Path, sentences: Iterable[Sentence], line_of_step: Callable[[int], int], notes: tuple[str, ...] = ()
) -> StepRecords:
    """Gather sentences as they come; tokens and labels become numbers, large arrays go to temporary files.

    Raises:
        DataError: there is no sentence.
    """
    forms, labels, groups, marks = _Names(), _Names(), _Names(), _Names()
    columns = {name: _Column(np.int32) for name in ("forms", "labels", "groups", "marks")}
    columns |= {name: _Column(np.int64) for name in ("lengths", "lines")}
    for sentence in sentences:
        columns["forms"].extend([forms[token] for token in sentence.tokens])
        known = sentence.labels
        columns["labels"].extend([-1] * len(sentence.tokens) if known is None else [labels[label] for label in known])
        columns["groups"].extend([groups[sentence.group]])
        columns["marks"].extend([marks[sentence.mark]])
        columns["lengths"].extend([len(sentence.tokens)])
        columns["lines"].extend([sentence.line])
    arrays = {name: column.finish() for name, column in columns.items()}
    lengths = arrays["lengths"]
    if not len(lengths):
        raise DataError("no sequence of tokens", path=path, remedy="expected a token a line, a blank line between two")
    return StepRecords(
        path,
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        arrays["labels"],
        tuple(labels),
        line_of_step,
        arrays["lines"],
        forms=arrays["forms"],
        form_names=tuple(forms),
        groups=arrays["groups"] if any(groups) else None,
        marks=arrays["marks"] if any(marks) else None,
        mark_names=tuple(marks),
        notes=notes,
    )
