"""In which order examples are seen: a function of seed and epoch alone, so that a resumed run sees the same."""

from __future__ import annotations

import numpy as np

__all__ = ["order", "pieces"]

_STEPS = 1 << 14
_LEAST = 8


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


def pieces(lengths: np.ndarray, index: np.ndarray) -> list[np.ndarray]:
    """Cut a batch evenly until no piece has more than 16,384 steps, padding included, or is down to 8 examples.

    What reads without learning reads long sequences fewer at a time, so that its memory does not grow with them.

    Args:
        lengths: steps of every example of the part, int64 `[examples]`.
        index: positions of the batch's examples.

    Example:
        >>> [len(piece) for piece in pieces(np.full(100, 1000), np.arange(100))]
        [15, 15, 14, 14, 14, 14, 14]
    """
    padded = len(index) * int(lengths[index].max(initial=0))
    return np.array_split(index, max(1, min(-(-padded // _STEPS), len(index) // _LEAST)))


def _cut(places: np.ndarray, size: int) -> list[np.ndarray]:
    return [places[start : start + size] for start in range(0, len(places), size)]
