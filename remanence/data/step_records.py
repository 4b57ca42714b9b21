"""Sequences with a label a step, as they stand in a file, before anything is fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from remanence.data.spills import Spill
from remanence.errors import DataError

__all__ = ["Sentence", "StepRecords", "gather_sentences"]

_ALIKE = ("(all)",)


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
        times: when each sample was taken, float64 `[step]`, or None.
        groups, marks: code of `group` and `split_column` of each sequence, or None; `mark_names` say what marks mean.
        notes: what was guessed or mended.
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
    groups: np.ndarray | None = None
    marks: np.ndarray | None = None
    mark_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.offsets) - 1

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


def gather_sentences(
    path: Path, sentences: Iterable[Sentence], line_of_step: Callable[[int], int], notes: tuple[str, ...] = ()
) -> StepRecords:
    """Gather sentences as they come; tokens and labels become numbers, large arrays go to temporary files.

    Raises:
        DataError: there is no sentence.
    """
    forms, labels, groups, marks = _Names(), _Names(), _Names(), _Names()
    spills = {name: Spill(np.int32) for name in ("forms", "labels", "groups", "marks")}
    lengths, lines = Spill(np.int64), Spill(np.int64)
    for sentence in sentences:
        count = len(sentence.tokens)
        spills["forms"].append(np.fromiter(map(forms.__getitem__, sentence.tokens), np.int32, count))
        known = sentence.labels
        codes = np.full(count, -1, np.int32)
        if known is not None:
            codes = np.fromiter(map(labels.__getitem__, known), np.int32, count)
        spills["labels"].append(codes)
        spills["groups"].append(np.array([groups[sentence.group]]))
        spills["marks"].append(np.array([marks[sentence.mark]]))
        lengths.append(np.array([count]))
        lines.append(np.array([sentence.line]))
    if not lengths.rows:
        raise DataError("no sequence of tokens", path=path, remedy="expected a token a line, a blank line between two")
    return StepRecords(
        path,
        np.concatenate([[0], np.cumsum(lengths.finish())]).astype(np.int64),
        spills["labels"].finish(),
        tuple(labels),
        line_of_step,
        lines.finish(),
        forms=spills["forms"].finish(),
        form_names=tuple(forms),
        groups=spills["groups"].finish() if any(groups) else None,
        marks=spills["marks"].finish() if any(marks) else None,
        mark_names=tuple(marks),
        notes=notes,
    )
