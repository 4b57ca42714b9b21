"""The rows of a panel as a model reads them, and the rows at which windows begin to forecast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from remanence.data import times as timing
from remanence.data.encoders import ForecastEncoders
from remanence.data.examples import SCORED_STEPS
from remanence.data.panel import Panel
from remanence.data.spills import Spill, drop_pages

__all__ = ["Origins", "Steps", "scaled_steps", "stride_of"]

_SLAB_ROWS = 1 << 18


@dataclass(frozen=True)
class Steps:
    """Every row of every series as a model reads it.

    Args:
        inputs: float32 `[row, feature]`, scaled, without NaN.
        absent: bool `[row, target]`, True where a target is missing, or None where none is.
        panel: where the rows come from.
        codes: place of each series of the panel in `encoders.series_names`, -1 for an unknown one.
    """

    inputs: np.ndarray
    absent: np.ndarray | None
    panel: Panel
    codes: np.ndarray


class Origins:
    """Rows at which windows start to forecast, computed when asked for: millions of them need no array.

    Args:
        ranges: one for each series.
    """

    def __init__(self, ranges: Sequence[range]) -> None:
        ranges = [span for span in ranges if len(span)] or [range(0)]
        self._first = np.array([span.start for span in ranges], np.int64)
        self._stride = ranges[0].step
        self._ends = np.cumsum([len(span) for span in ranges])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        place = np.searchsorted(self._ends, index, "right")
        before = np.concatenate([[0], self._ends])[place]
        return self._first[place] + (np.asarray(index) - before) * self._stride


def stride_of(windows: int, encoders: ForecastEncoders, given: int | None) -> int:
    """Steps between windows that are scored: as given, or as few as keep the steps to read below `SCORED_STEPS`.

    A stride that was not given shares no factor with the season, so that every phase of it is scored.
    """
    if given is not None:
        return given
    stride = max(1, -(-windows * encoders.context // SCORED_STEPS))
    while math.gcd(stride, encoders.season) > 1:
        stride += 1
    return stride


def scaled_steps(panel: Panel, encoders: ForecastEncoders) -> Steps:
    """Scale, fill or mask, and add the calendar, slab by slab."""
    inputs, flags = Spill(np.float32, len(encoders.features)), Spill(np.bool_, len(encoders.target))
    known = {name: code for code, name in enumerate(encoders.series_names)}
    codes = np.array([known.get(name, -1) for name in panel.names], np.int64)
    targets, any_absent = len(encoders.target), False
    for start, stop in zip(panel.starts[:-1].tolist(), panel.starts[1:].tolist(), strict=True):
        # Before its first value a filled column holds the mean of the training part, which is 0 once scaled.
        last = np.zeros(len(panel.columns), np.float32)
        for row in range(start, stop, _SLAB_ROWS):
            rows = slice(row, min(row + _SLAB_ROWS, stop))
            scaled = encoders.scaler.apply(panel.values[rows])
            absent = np.isnan(scaled)
            any_absent |= bool(absent[:, :targets].any())
            filled = np.where(absent, np.float32(0), scaled) if encoders.missing == "mask" else _forward(scaled, last)
            last = filled[-1]
            parts = [filled, timing.calendar_values(panel.times[rows], encoders.calendar)]
            inputs.append(np.concatenate([*parts, absent] if encoders.missing == "mask" else parts, 1))
            flags.append(absent[:, :targets])
            drop_pages(panel.values)
            drop_pages(panel.times)
    return Steps(inputs.finish(), flags.finish() if any_absent else None, panel, codes)


def _forward(values: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Fill NaN with the value above, and `last` at the top."""
    values = np.concatenate([last[None], values])
    rows = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(rows, 0), 0)[1:]
