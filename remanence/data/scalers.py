"""Standardise columns by the mean and standard deviation of the training rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

__all__ = ["Moments", "Scaler"]


class Scaler(BaseModel):
    """Mean and scale of each column: `scaled = (value - mean) / scale`. JSON keeps the floats exactly.

    A column that is constant on the training rows has scale 1, so it becomes 0 and stays finite elsewhere.

    Example:
        >>> scaler = Scaler(columns=("load",), mean=(10.0,), scale=(2.0,))
        >>> scaler.unscale(scaler.apply(np.array([[14.0]])), ("load",)).tolist()
        [[14.0]]
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @model_validator(mode="after")
    def _same_length(self) -> Scaler:
        if not len(self.columns) == len(self.mean) == len(self.scale):
            raise ValueError("columns, mean and scale must be of one length")
        if any(scale <= 0 for scale in self.scale):
            raise ValueError("every scale must be positive")
        return self

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Scale `[..., column]` in float64 and return float32; NaN stays NaN."""
        scaled = (np.asarray(values, np.float64) - np.array(self.mean)) / np.array(self.scale)
        return scaled.astype(np.float32)

    def unscale(self, values: np.ndarray, columns: Sequence[str]) -> np.ndarray:
        """Bring scaled `[..., column]` of these columns back to the user's units, float64."""
        at = [self.columns.index(column) for column in columns]
        return np.asarray(values, np.float64) * np.array(self.scale)[at] + np.array(self.mean)[at]


class Moments:
    """Mean and variance of columns, chunk by chunk, NaN left out.

    Chunks are merged by Chan's formula, so the result is stable for values far from zero.

    References:
        Chan, Golub & LeVeque 1979, Updating formulae and a pairwise algorithm for computing sample variances, eq. 2.1.
    """

    def __init__(self, columns: int) -> None:
        self.count = np.zeros(columns)
        self.mean = np.zeros(columns)
        self.squares = np.zeros(columns)
        self.low = np.full(columns, np.inf)
        self.high = np.full(columns, -np.inf)

    def update(self, values: np.ndarray) -> None:
        """Take in rows `[row, column]`."""
        if not len(values):
            return
        there = ~np.isnan(values)
        count = there.sum(0).astype(np.float64)
        known = np.where(there, values, 0.0)
        mean = known.sum(0) / np.maximum(count, 1)
        squares = np.where(there, (values - mean) ** 2, 0.0).sum(0)
        total = np.maximum(self.count + count, 1)
        shift = mean - self.mean
        self.squares += squares + shift**2 * self.count * count / total
        self.mean += shift * count / total
        self.count += count
        self.low = np.minimum(self.low, np.where(there, values, np.inf).min(0))
        self.high = np.maximum(self.high, np.where(there, values, -np.inf).max(0))

    def constant(self) -> np.ndarray:
        """Which columns hold one value only (or none): bool `[column]`."""
        return ~(self.high > self.low)

    def scaler(self, columns: Sequence[str], groups: Sequence[str] | None = None) -> Scaler:
        """The scaler of these columns (population standard deviation, as in Zhou et al. 2021).

        Args:
            groups: of each column; columns of one group share a scale, the root mean square of theirs, in which
                constant columns have no part. None: each column has its own.
        """
        scale = np.sqrt(self.squares / np.maximum(self.count, 1))
        constant = self.constant() | ~(scale > 0)
        scale[constant] = 1.0
        for group in set(groups or ()):
            alike = np.array([other == group for other in groups or ()])
            if (alike & ~constant).any():
                scale[alike] = np.sqrt(np.mean(scale[alike & ~constant] ** 2))
        mean = np.where(constant & (self.count > 0), np.where(np.isfinite(self.low), self.low, 0.0), self.mean)
        return Scaler(
            columns=tuple(columns),
            mean=tuple(mean.tolist()),
            scale=tuple(scale.tolist()),
        )
