"""How far apart two sequences are by dynamic time warping, and which known one is nearest, by a kernel.

    D(i, j) = |x_i − y_j|² + min(D(i − 1, j), D(i, j − 1), D(i − 1, j − 1)),   |j − ⌊i · m/n⌋| ≤ band

All features of a step warp together; the band is a share of the longer sequence.

References:
    Sakoe & Chiba 1978, Dynamic programming algorithm optimization, doi:10.1109/TASSP.1978.1163055.
"""

from __future__ import annotations

import numpy as np
import torch

from remanence.compiler import threads
from remanence.compiler.by_hand import ByHand

__all__ = ["KERNELS", "nearest"]

KERNELS = ByHand("time warping", "the least D(n, m) over known sequences", "warping_loops")


def nearest(
    values: np.ndarray, lengths: np.ndarray, known: np.ndarray, known_lengths: np.ndarray, band: float
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest known sequence of each.

    Args:
        values, known: float64 `[sequence, time, feature]`.
        lengths, known_lengths: steps of each.
        band: the share of the longer sequence that a path may leave the diagonal by.

    Returns:
        Its place, and the sum of squared differences along the best path; 0 and infinity where a sequence has no steps.

    Example:
        >>> lines = np.arange(6.0).reshape(2, 3, 1)
        >>> place, apart = nearest(lines[:1] + 1, np.array([3]), lines, np.array([3, 3]), 0.1)
        >>> place.tolist(), apart.tolist()
        ([0], [2.0])
    """
    time, others, features = values.shape[1], known.shape[1], values.shape[2]
    # Of the longer of two sequences: steps that a path may leave the diagonal by.
    widths = np.ceil(band * np.arange(max(time, others) + 1)).astype(np.int64)
    place, apart = torch.zeros(len(values), dtype=torch.float64), torch.zeros(len(values), dtype=torch.float64)
    parts = threads.parts_of(len(values))
    room = torch.empty(parts * 2 * (others + 1), dtype=torch.float64)
    if len(values):
        sizes = [len(values), len(known), time, others, features]
        whole = np.concatenate([lengths, known_lengths, widths]).astype(np.int64)
        data = [torch.from_numpy(np.ascontiguousarray(array, np.float64)) for array in (values, known)]
        KERNELS.run("forward", sizes, whole, [*data, room, place, apart], parts)
    return place.numpy().astype(np.int64), apart.numpy()
