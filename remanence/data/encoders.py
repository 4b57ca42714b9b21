"""What was fitted on the training part, as frozen models that go to JSON and back without losing a bit."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from remanence.data.runs import Runs
from remanence.data.scalers import Scaler
from remanence.data.times import Frequency
from remanence.data.tokens import Vocabulary

__all__ = ["ClassifyEncoders", "ForecastEncoders"]

Names = tuple[str, ...]


class _Encoders(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ForecastEncoders(_Encoders):
    """Everything a forecast needs to read a new file.

    Args:
        time: column of times, or None where the order of rows is the time.
        series: columns that name a series.
        target, observed, known: number columns by role.
        calendar: names of calendar inputs, such as `hour_sin`.
        missing: how empty cells are treated; `mask` adds one flag input for each number column.
        scaler: of targets, observed and known columns, in this order.
        time_format: how times are written (see `times.parse`).
        frequency: step between two rows.
        season: steps of one season, at least 1.
        context, horizon: steps seen, steps forecast.
        series_names: series of the training part.
        naive_scale: mean absolute seasonal difference in the user's units, `[series][target]`: the scale of MASE.
        naive_scale_all: the same over all series `[target]`, for series that training did not see.
    """

    kind: Literal["forecast"] = "forecast"
    time: str | None
    series: Names
    target: Names
    observed: Names
    known: Names
    calendar: Names
    missing: Literal["refuse", "mask", "fill"]
    scaler: Scaler
    time_format: str
    frequency: Frequency
    season: int
    context: int
    horizon: int
    series_names: Names
    naive_scale: tuple[tuple[float, ...], ...]
    naive_scale_all: tuple[float, ...]

    @property
    def columns(self) -> Names:
        """Number columns: targets, observed, known."""
        return self.target + self.observed + self.known

    @property
    def features(self) -> Names:
        """Names of the inputs of one step, in order: targets, observed, known, calendar, flags of missing values."""
        flags = tuple(f"{column} missing" for column in self.columns) if self.missing == "mask" else ()
        return self.columns + self.calendar + flags

    @property
    def future_features(self) -> Names:
        """Names of what is known ahead of time: known, calendar, flags of missing known values."""
        flags = tuple(f"{column} missing" for column in self.known) if self.missing == "mask" else ()
        return self.known + self.calendar + flags


class ClassifyEncoders(_Encoders):
    """Everything a classifier needs to read a new file.

    Args:
        input: the text column, or the number columns of a step (named `dim0`, `dim1`, … for .ts and .arff).
        label: column of the class.
        sequence, time: columns that name and order the steps of a sequence (a row a step).
        labels: names of the classes, sorted; a class index points here.
        vocabulary: tokens of texts, or None for numbers.
        runs: runs of tokens that training texts share, or None.
        scaler: of number columns, or None for texts.
        missing: how empty cells are treated; `mask` adds one flag input for each number column.
        longest: steps kept of each sequence, or None for all.
    """

    kind: Literal["classify"] = "classify"
    input: Names
    label: str
    sequence: Names = ()
    time: str | None = None
    labels: Names
    vocabulary: Vocabulary | None = None
    runs: Runs | None = None
    scaler: Scaler | None = None
    missing: Literal["refuse", "mask", "fill"] = "refuse"
    longest: int | None = None

    @property
    def features(self) -> Names:
        """Names of the inputs of one step; empty for texts."""
        if self.scaler is None:
            return ()
        flags = tuple(f"{column} missing" for column in self.input) if self.missing == "mask" else ()
        return self.input + flags
