"""How far apart two sequences are by dynamic time warping, and which known one is nearest: compiled loops.

    D(i, j) = |x_i − y_j|² + min(D(i − 1, j), D(i, j − 1), D(i − 1, j − 1)),   |i − j · n/m| ≤ band

All features of a step warp together; the band is a tenth of the longer sequence.

References:
    Sakoe & Chiba 1978, Dynamic programming algorithm optimization, doi:10.1109/TASSP.1978.1163055.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["nearest", "warping_distance"]


@njit(cache=True, nogil=True)
def warping_distance(left: np.ndarray, right: np.ndarray, band: int, most: float) -> float:
    """Sum of squared differences along the best path between `[time, feature]` arrays.

    Args:
        left, right: the sequences; neither may be empty.
        band: steps that the path may leave the diagonal by.
        most: give up, and return infinity, once no path can be below it.
    """
    n, m = len(left), len(right)
    before = np.full(m + 1, np.inf)
    after = np.full(m + 1, np.inf)
    before[0] = 0.0
    for i in range(1, n + 1):
        after[:] = np.inf
        middle = i * m // n
        best = np.inf
        for j in range(max(1, middle - band), min(m, middle + band) + 1):
            cost = 0.0
            for k in range(left.shape[1]):
                step = left[i - 1, k] - right[j - 1, k]
                cost += step * step
            after[j] = cost + min(before[j], after[j - 1], before[j - 1])
            best = min(best, after[j])
        if best > most:
            return np.inf
        before, after = after, before
    return before[m]


@njit(cache=True, nogil=True)
def nearest(
    values: np.ndarray, lengths: np.ndarray, known: np.ndarray, known_lengths: np.ndarray, band: float
) -> np.ndarray:
    """Position of the nearest known sequence of each; 0 for a sequence without steps."""
    found = np.zeros(len(values), np.int64)
    for row in range(len(values)):
        least = np.inf
        if lengths[row] == 0:
            continue
        for other in range(len(known)):
            if known_lengths[other] == 0:
                continue
            # A path must be able to go from corner to corner: at least the steps between two rows of a steep band.
            longer, shorter = max(lengths[row], known_lengths[other]), min(lengths[row], known_lengths[other])
            width = max(int(np.ceil(band * longer)), longer // shorter + 1)
            distance = warping_distance(values[row, : lengths[row]], known[other, : known_lengths[other]], width, least)
            if distance < least:
                least, found[row] = distance, other
    return found
