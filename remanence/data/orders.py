"""One order in which a model reads the steps of all sequences: what was near is far apart.

References:
    Permuted pixels: Le, Jaitly & Hinton 2015, section 4.2, arXiv:1504.00941.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from remanence.data.encoders import ClassifyEncoders
from remanence.errors import DataError, SettingError

__all__ = ["drawn_order", "refuse_other_lengths", "with_order"]


def drawn_order(seed: int, steps: int) -> tuple[int, ...]:
    """A permutation of so many steps, from a seed.

    Example:
        >>> sorted(drawn_order(0, 5))
        [0, 1, 2, 3, 4]
    """
    return tuple(np.random.default_rng(seed).permutation(steps).tolist())


def refuse_other_lengths(path: Path, offsets: np.ndarray, encoders: ClassifyEncoders) -> None:
    """Refuse sequences that are longer or shorter than the order.

    Args:
        offsets: first step of each sequence of a file, and the number of steps.

    Raises:
        DataError: the first one that differs.
    """
    lengths, steps = _lengths(offsets, encoders), len(encoders.order)
    if steps and (lengths != steps).any():
        place = int(np.argmax(lengths != steps))
        raise DataError(
            f"--permute needs sequences of one length: {steps} steps, but number {place + 1} has {lengths[place]}",
            path=path,
            remedy="cut them with --longest, or leave --permute out",
        )


def with_order(encoders: ClassifyEncoders, seed: int | None, offsets: Mapping[Path, np.ndarray]) -> ClassifyEncoders:
    """The same encoders with an order drawn from a seed; as they are without one.

    Args:
        offsets: of each file, as `refuse_other_lengths`; the first one's first sequence gives the length.

    Raises:
        SettingError: texts, whose tokens no fixed order suits.
        DataError: sequences of unequal lengths.
    """
    if seed is None:
        return encoders
    if encoders.vocabulary is not None:
        raise SettingError("permutes sequences of numbers, not texts", name="permute", remedy="leave it out")
    first = _lengths(next(iter(offsets.values())), encoders)[0]
    encoders = encoders.model_copy(update={"order": drawn_order(seed, int(first))})
    for path, each in offsets.items():
        refuse_other_lengths(path, each, encoders)
    return encoders


def _lengths(offsets: np.ndarray, encoders: ClassifyEncoders) -> np.ndarray:
    lengths = np.diff(offsets)
    return lengths if encoders.longest is None else np.minimum(lengths, encoders.longest)
