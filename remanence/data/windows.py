"""Windows over a panel: `context` steps seen, `horizon` steps to forecast."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from remanence.data.encoders import ForecastEncoders
from remanence.data.examples import Part
from remanence.data.parts import DataParts
from remanence.settings import DataSettings

__all__ = ["ForecastPart", "prepare_forecast", "reopen_forecast"]


class ForecastPart(Part):
    """Windows of one side of a split. `batch` fills inputs, target, future, index and series."""

    encoders: ForecastEncoders

    def series(self, index: int) -> str:
        """Name of the series of a window; empty where the file holds one."""
        raise NotImplementedError

    def times(self, index: int) -> list[str]:
        """The `horizon` times that a window forecasts, as text."""
        raise NotImplementedError

    def past(self, index: np.ndarray, steps: int) -> np.ndarray:
        """Scaled targets `[example, steps, target]` float32 right before the origin, NaN where there are none."""
        raise NotImplementedError


def prepare_forecast(path: str | Path, settings: DataSettings) -> DataParts[ForecastEncoders, ForecastPart]:
    """Read a file, split it by time, fit the scaler on the training rows, make windows."""
    raise NotImplementedError


def reopen_forecast(
    path: str | Path, settings: DataSettings, encoders: ForecastEncoders, *, answers: bool = True
) -> ForecastPart:
    """Read a new file through fitted encoders: every window of it, or without `answers` the one after each series' end."""
    raise NotImplementedError
