"""Events: runs of samples with one label, found or missed, in two readings.

    votes      each true event is given the label most often answered within it, and is then scored like a sample: what
               the true borders are is taken as known, so cutting an event into pieces costs nothing
    overlaps   answered events count, too: a true event is found where an answered one of its label shares at least half
               of their union (IoU ≥ 0.5); answered events without a true one are false

References:
    votes: as the code of Elmadjian, Gonzales, Costa & Morimoto 2022, Online eye-movement classification with temporal
    convolutional networks, doi:10.3758/s13428-022-01978-2, scores GazeCom; here no event runs over the end of a
    recording, and the first sample of an event is its own. overlaps: Startsev, Agtzidis & Dorr 2019,
    doi:10.3758/s13428-018-1144-2.
"""

from __future__ import annotations

import numpy as np

__all__ = ["class_f1", "overlaps", "votes"]

_SHARE = 0.5


def _runs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where runs of one label start, and where each stops, int64 `[run]`."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1])
    return starts, np.append(starts[1:], len(labels))


def votes(truth: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """Count the true events of one recording by the label most often answered in them, int64 `[true, answered]`.

    Args:
        truth, found: a label each sample, int `[step]`.

    Example:
        >>> votes(np.array([0, 0, 0, 1, 1, 0]), np.array([0, 0, 1, 1, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    counts = np.zeros((classes, classes), np.int64)
    if len(truth):
        starts, stops = _runs(truth)
        answered = np.zeros((len(starts), classes), np.int64)
        np.add.at(answered, (np.repeat(np.arange(len(starts)), stops - starts), found), 1)
        np.add.at(counts, (truth[starts], answered.argmax(1)), 1)
    return counts


def overlaps(truth: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """Count the hits, the answered and the true events of each label in one recording, int64 `[class, 3]`.

    Example:
        >>> overlaps(np.array([0, 0, 0, 1, 1, 0]), np.array([0, 0, 1, 1, 1, 1]), 2).tolist()
        [[1, 1, 2], [1, 1, 1]]
    """
    counts = np.zeros((classes, 3), np.int64)
    if not len(truth):
        return counts
    (starts, stops), (begins, ends) = _runs(truth), _runs(found)
    np.add.at(counts[:, 2], truth[starts], 1)
    np.add.at(counts[:, 1], found[begins], 1)
    # An answered event that shares half of the union covers the middle of one of the two: at most a few can.
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        first = int(np.searchsorted(ends, start, "right"))
        last = int(np.searchsorted(begins, stop, "left"))
        own = np.arange(first, last)[found[begins[first:last]] == truth[start]]
        shared = np.minimum(ends[own], stop) - np.maximum(begins[own], start)
        union = np.maximum(ends[own], stop) - np.minimum(begins[own], start)
        counts[truth[start], 0] += bool((shared >= _SHARE * union).any())
    return counts


def class_f1(hits: np.ndarray, answered: np.ndarray, true: np.ndarray) -> float:
    """Mean F1 over the labels that occur or are answered, from counts `[class]`; NaN without any.

    Example:
        >>> class_f1(np.array([1, 0, 0]), np.array([1, 1, 0]), np.array([2, 1, 0]))
        0.3333333333333333
    """
    seen = (answered + true) > 0
    return float((2 * hits[seen] / (answered + true)[seen]).mean()) if seen.any() else float("nan")
