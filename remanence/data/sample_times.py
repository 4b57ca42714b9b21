"""How the times of samples are given, so that a file whose times are of another kind or unit is not taken for alike."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict

from remanence.data.step_records import StepRecords
from remanence.errors import DataError

__all__ = ["SampleTimes", "compare_times", "times_of"]

_FAR = 10**2.5
"""A usual step so many times as long or as short is rather of another unit than of another device."""


class SampleTimes(BaseModel):
    """The times of the training file.

    Args:
        dated: they are dates, and not numbers.
        step: how far two samples of a recording are usually apart, in the unit of the column (of dates in seconds);
            0 where no recording has two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dated: bool
    step: float

    @property
    def kind(self) -> str:
        """What the column holds, for a person."""
        return "dates" if self.dated else "numbers"


def times_of(records: StepRecords, places: np.ndarray) -> SampleTimes | None:
    """The times of the recordings at these places; None where the file tells none."""
    if records.times is None:
        return None
    chosen = np.zeros(len(records), bool)
    chosen[places] = True
    lengths = np.diff(records.offsets)
    inside = np.repeat(chosen, lengths)[:-1]
    inside[records.offsets[1:-1] - 1] = False
    steps = np.diff(records.times)[inside]
    return SampleTimes(dated=records.dated, step=float(np.median(steps)) if len(steps) else 0.0)


def compare_times(records: StepRecords, column: str, expected: SampleTimes | None) -> tuple[str, ...]:
    """A note where the steps of a file are far from those of the training file, as in another unit.

    Args:
        records: the file.
        column: where its times stand.
        expected: the times of the training file, or None where these are not known.

    Raises:
        DataError: dates where training had numbers, or the other way round.
    """
    found = times_of(records, np.arange(len(records)))
    if found is None or expected is None:
        return ()
    if found.dated != expected.dated:
        raise DataError(
            f"{found.kind}, where the training file has {expected.kind}",
            path=records.path,
            column=column,
            remedy=f"write the times of this file as {expected.kind}, in the same unit",
        )
    if not found.step or not expected.step:
        return ()
    ratio = found.step / expected.step
    if 1 / _FAR < ratio < _FAR:
        return ()
    times = f"{ratio:.4g} times as long" if ratio > 1 else f"{1 / ratio:.4g} times as short"
    unit = " (milliseconds beside seconds?)" if math.isclose(abs(math.log10(ratio)), 3, abs_tol=0.5) else ""
    return (
        f"time: a step of '{column}' is usually {found.step:.4g} in {records.path.name}, {expected.step:.4g} in "
        f"training, {times}{unit}: are they in one unit?",
    )
