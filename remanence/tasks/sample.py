"""A part in batches, thinned where it is large, and its labels: what baselines and defaults look at."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from remanence.data.batches import pieces
from remanence.data.examples import Batch, Part

__all__ = ["labels_of", "spread", "thinned"]

BATCH = 512


def spread(examples: int, most: int) -> np.ndarray:
    """At most so many positions, spread evenly over `0 … examples - 1`, rising.

    Example:
        >>> spread(5, 3).tolist()
        [0, 2, 4]
    """
    return np.unique(np.linspace(0, examples - 1, min(most, examples)).astype(np.int64))


def thinned(part: Part, most: int, index: np.ndarray | None = None) -> Iterator[Batch]:
    """Batches of at most so many examples, in order: of the whole part, or of those at `index`."""
    places = spread(len(part) if index is None else len(index), most)
    if index is not None:
        places = index[places]
    for start in range(0, len(places), BATCH):
        for piece in pieces(part.lengths, places[start : start + BATCH]):
            yield part.batch(piece)


def labels_of(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Which steps have an answer of their own, bool `[batch, time]`, and their labels `[step]`."""
    assert batch.target is not None and batch.scored is not None
    scored = batch.scored.numpy() & (batch.target.numpy() >= 0)
    return scored, batch.target.numpy()[scored]
