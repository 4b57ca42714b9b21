"""Events: runs of samples with one label, found or missed.

A true event is found where more than half of its samples carry its label. Each other label that occurs within it counts
as one false event of that label, so that short flickers cost precision. F1 of a label = 2 found / (2 found + missed +
false); the score of all is the mean over the labels that occur in the truth.

References:
    The matching that Elmadjian, Gonzales, Costa & Morimoto 2022, Online eye-movement classification with temporal
    convolutional networks, doi:10.3758/s13428-022-01978-2, score GazeCom with; here no event runs over the end of a
    recording, and one begins exactly where the label changes.
"""

from __future__ import annotations

import numpy as np

__all__ = ["count_events", "event_f1"]


def count_events(truth: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """Count found, missed and false events of one recording, int64 `[class, 3]`.

    Args:
        truth, found: a label each sample, int `[step]`.

    Example:
        >>> truth, found = np.array([0, 0, 0, 1, 1, 0]), np.array([0, 0, 1, 1, 0, 1])
        >>> count_events(truth, found, 2).tolist()
        [[1, 1, 1], [0, 1, 2]]
    """
    counts = np.zeros((classes, 3), np.int64)
    if not len(truth):
        return counts
    starts = np.concatenate([[0], np.flatnonzero(np.diff(truth)) + 1])
    sizes = np.diff(np.append(starts, len(truth)))
    labels = truth[starts]
    event = np.repeat(np.arange(len(starts)), sizes)
    # How often each label was answered within each event.
    answered = np.zeros((len(starts), classes), np.int64)
    np.add.at(answered, (event, found), 1)
    own = answered[np.arange(len(starts)), labels]
    hit = 2 * own > sizes
    np.add.at(counts, (labels, np.where(hit, 0, 1)), 1)
    other = answered > 0
    other[np.arange(len(starts)), labels] = False
    counts[:, 2] = other.sum(0)
    return counts


def event_f1(counts: np.ndarray) -> float:
    """Mean F1 over the labels that occur in the truth, from counts `[class, 3]`; NaN without an event."""
    there = counts[:, :2].sum(1) > 0
    if not there.any():
        return float("nan")
    found, missed, false = counts[there].T
    return float((2 * found / (2 * found + missed + false)).mean())
