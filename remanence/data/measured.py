"""Sequences with a number each to be answered, where a classifier's have a class: read, scaled, and told again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from remanence.data.encoders import ClassifyEncoders
from remanence.data.records import Records
from remanence.data.rows import as_number
from remanence.data.scalers import Moments, Scaler
from remanence.errors import DataError

__all__ = ["answer_scaler", "measured", "scaled_answers"]

_ALIKE = ("(all)",)


def measured(records: Records, column: str, *, answers: bool = True) -> Records:
    """The same records, their labels read as numbers; for a split, every sequence is alike.

    Args:
        column: where the labels stand, for errors.
        answers: they must be there.

    Raises:
        DataError: a label that is no number, with its line.
    """
    if not answers:
        return records
    values = [as_number(name) for name in records.label_names]
    wrong = [code for code, value in enumerate(values) if value is None or not np.isfinite(value)]
    if wrong:
        place = int(np.argmax(np.isin(records.labels, wrong)))
        raise DataError(
            f"expected a number to answer with, came '{records.label_names[records.labels[place]][:40]}'",
            path=records.path,
            line=records.line(place),
            column=column,
            remedy="mend it, or --task classify",
        )
    numbers = np.array(values, np.float64)[records.labels]
    return replace(records, labels=np.zeros(len(records), np.int32), label_names=_ALIKE, numbers=numbers)


def answer_scaler(records: Records, places: np.ndarray, column: str) -> Scaler:
    """Mean and deviation of the numbers of the training sequences.

    Raises:
        DataError: they are all one number.
    """
    assert records.numbers is not None
    moments = Moments(1)
    moments.update(records.numbers[places][:, None])
    if moments.constant()[0]:
        raise DataError(
            f"one number only ({records.numbers[places[0]]:g}) in the training part: there is nothing to learn",
            path=records.path,
            column=column,
            remedy="check --label, or the --split",
        )
    return moments.scaler((column,))


def scaled_answers(records: Records, encoders: ClassifyEncoders) -> np.ndarray:
    """The number of each sequence in scaled units, float32 `[sequence]`; NaN where it is not known."""
    assert encoders.answer is not None
    if records.numbers is None:
        return np.full(len(records), np.nan, np.float32)
    return encoders.answer.apply(records.numbers[:, None])[:, 0]
