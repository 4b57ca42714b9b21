"""In which order examples are seen: a function of seed and epoch alone, so that a resumed run sees the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np

__all__ = ["STEPS_AT_ONCE", "order", "pieces"]

STEPS_AT_ONCE = 1 << 14
"""Steps, padding included, that are read at once by what does not learn."""
_LEAST = 8


def order(
    lengths: np.ndarray, batch_size: int, seed: int, epoch: int, *, shuffle: bool = True, bucket: int = 50
) -> Sequence[np.ndarray]:
    """Cut examples into batches of like length.

    Examples are shuffled, sorted by length inside pools of `bucket` batches, cut, and the batches are shuffled.
    The result depends on nothing but the arguments.

    Args:
        lengths: steps of each example, int64 `[examples]`.
        batch_size: examples a batch; the last one may be smaller.
        seed, epoch: name the shuffle.
        shuffle: False keeps the order of the part (evaluation).
        bucket: batches whose examples are sorted together; more gives less padding and less shuffling.

    Returns:
        Index arrays, each example exactly once.

    Example:
        >>> [batch.tolist() for batch in order(np.array([3, 3, 3]), 2, seed=0, epoch=0, shuffle=False)]
        [[0, 1], [2]]
    """
    examples = len(lengths)
    if not shuffle:
        return _Cut(np.arange(examples), batch_size)
    random = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    places = random.permutation(examples)
    if examples < 1 << 31:
        places = places.astype(np.int32)
    if not examples or lengths.min() == lengths.max():
        return _Cut(places, batch_size)
    batches: list[np.ndarray] = []
    for pool in _Cut(places, batch_size * bucket):
        batches.extend(_Cut(pool[np.argsort(lengths[pool], kind="stable")], batch_size))
    return [batches[place] for place in random.permutation(len(batches))]


def pieces(lengths: np.ndarray, index: np.ndarray, most: int = STEPS_AT_ONCE) -> list[np.ndarray]:
    """Cut a batch evenly until no piece has more than `most` steps, padding included, or is down to 8 examples.

    What reads without learning reads long sequences fewer at a time, so that its memory does not grow with them.

    Args:
        lengths: steps of every example of the part, int64 `[examples]`.
        index: positions of the batch's examples.
        most: steps of a piece.

    Example:
        >>> [len(piece) for piece in pieces(np.full(100, 1000), np.arange(100))]
        [15, 15, 14, 14, 14, 14, 14]
    """
    padded = len(index) * int(lengths[index].max(initial=0))
    return np.array_split(index, max(1, min(-(-padded // most), len(index) // _LEAST)))


class _Cut(Sequence[np.ndarray]):
    """Slices of so many places, made when asked for: a list of a million small arrays takes 100 MB."""

    def __init__(self, places: np.ndarray, size: int) -> None:
        self._places, self._size = places, size

    def __len__(self) -> int:
        return -(-len(self._places) // self._size)

    @overload
    def __getitem__(self, at: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[np.ndarray]: ...

    def __getitem__(self, at: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        start = range(len(self))[at] * self._size
        return self._places[start : start + self._size]
