"""In which order examples are seen: a function of seed and epoch alone, so that a resumed run sees the same."""

from __future__ import annotations

import numpy as np

__all__ = ["order"]


def order(
    lengths: np.ndarray, batch_size: int, seed: int, epoch: int, *, shuffle: bool = True, bucket: int = 50
) -> list[np.ndarray]:
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
        Index arrays, int64, each example exactly once.

    Example:
        >>> [batch.tolist() for batch in order(np.array([3, 3, 3]), 2, seed=0, epoch=0, shuffle=False)]
        [[0, 1], [2]]
    """
    examples = len(lengths)
    if not shuffle:
        return _cut(np.arange(examples), batch_size)
    random = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    places = random.permutation(examples)
    if not examples or lengths.min() == lengths.max():
        return _cut(places, batch_size)
    batches: list[np.ndarray] = []
    for pool in _cut(places, batch_size * bucket):
        batches.extend(_cut(pool[np.argsort(lengths[pool], kind="stable")], batch_size))
    return [batches[place] for place in random.permutation(len(batches))]


def _cut(places: np.ndarray, size: int) -> list[np.ndarray]:
    return [places[start : start + size] for start in range(0, len(places), size)]
