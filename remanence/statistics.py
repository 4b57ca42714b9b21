"""How sure a difference is: paired bootstrap intervals over units and seeds.

Two models are scored on the same units (windows of a forecast, sequences of a classifier). Neighbouring windows share
most of their future, so units are drawn in blocks (Künsch 1989, doi:10.1214/aos/1176347265; wrapped around at the end,
as in Politis & Romano 1992). A model trained with several seeds has its seeds drawn too, so that a lucky one widens the
interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["LEVEL", "REPLICATES", "Difference", "Interval", "difference", "mean_interval"]

REPLICATES = 2000
LEVEL = 0.95
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate with its bootstrap interval (percentiles, level 0.95)."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How much smaller the error of one model is than another's.

    Args:
        absolute: error of the reference minus error of the model: above 0, the model is better.
        relative: the same as a share of the reference's error (0.23: an error 23 % smaller); NaN where that error is 0.
    """

    absolute: Interval
    relative: Interval

    @property
    def better(self) -> bool:
        """The interval lies above 0."""
        return self.absolute.low > 0

    @property
    def worse(self) -> bool:
        """The interval lies below 0."""
        return self.absolute.high < 0


def mean_interval(errors: np.ndarray, block: int, seed: int = 0) -> Interval:
    """Give the mean of `errors` `[seed, unit]` with its interval.

    Example:
        >>> interval = mean_interval(np.ones((3, 50)), block=5)
        >>> (interval.estimate, interval.low, interval.high)
        (1.0, 1.0, 1.0)
    """
    errors = _checked(errors)
    draws = _replicates(errors, _starts(errors.shape[1], block, seed), block, np.random.default_rng([seed, 1]))
    return _interval(float(errors.mean()), draws)


def difference(model: np.ndarray, reference: np.ndarray, block: int, seed: int = 0) -> Difference:
    """Compare two models scored on the same units.

    Args:
        model: errors `[seed, unit]`.
        reference: errors `[seed, unit]` of the model it is measured against; the same units, any number of seeds.
        block: neighbouring units drawn together, at least 1.
        seed: of the bootstrap; the same seed gives the same interval.

    Raises:
        ValueError: different units, or none.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(1, 400))
        >>> found = difference(0.8 + 0.1 * noise, 1.0 + 0.1 * noise, block=1)
        >>> found.better, round(found.relative.estimate, 2)
        (True, 0.2)
    """
    model, reference = _checked(model), _checked(reference)
    if model.shape[1] != reference.shape[1]:
        raise ValueError(f"{model.shape[1]} units of the model, {reference.shape[1]} of the reference")
    starts = _starts(model.shape[1], block, seed)
    ours = _replicates(model, starts, block, np.random.default_rng([seed, 1]))
    theirs = _replicates(reference, starts, block, np.random.default_rng([seed, 2]))
    gap, base = float(reference.mean() - model.mean()), float(reference.mean())
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(theirs > 0, (theirs - ours) / theirs, np.nan)
    return Difference(
        absolute=_interval(gap, theirs - ours),
        relative=_interval(gap / base, shares) if base > 0 else Interval(np.nan, np.nan, np.nan),
    )


def _checked(errors: np.ndarray) -> np.ndarray:
    errors = np.atleast_2d(np.asarray(errors, dtype=np.float64))
    if errors.ndim != 2 or errors.size == 0:
        raise ValueError(f"errors should be [seed, unit] and not empty, came {errors.shape}")
    return errors


def _starts(units: int, block: int, seed: int) -> np.ndarray:
    """First units of the blocks of every replicate, `[replicate, block]`."""
    blocks = max(1, -(-units // max(1, block)))
    return np.random.default_rng([seed, 0]).integers(0, units, size=(REPLICATES, blocks))


def _replicates(errors: np.ndarray, starts: np.ndarray, block: int, generator: np.random.Generator) -> np.ndarray:
    """Mean error of each replicate, `[replicate]`: blocks summed from running totals, seeds drawn anew."""
    seeds, units = errors.shape
    block = min(max(1, block), units)
    wrapped = np.concatenate([errors, errors[:, : block - 1]], axis=1)
    totals = np.concatenate([np.zeros((seeds, 1)), np.cumsum(wrapped, axis=1)], axis=1)
    sums = (totals[:, block:] - totals[:, :-block])[:, :units]
    rows = max(1, _CHUNK // starts.shape[1])
    means = np.concatenate(
        [sums[:, starts[first : first + rows]].mean(axis=2) for first in range(0, len(starts), rows)], axis=1
    )
    chosen = generator.integers(0, seeds, size=(seeds, len(starts)))
    return means[chosen, np.arange(len(starts))].mean(axis=0) / block


def _interval(estimate: float, draws: np.ndarray) -> Interval:
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return Interval(estimate, np.nan, np.nan)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Interval(estimate, float(low), float(high))
