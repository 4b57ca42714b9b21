"""A video as one vector that knows nothing of the order of its frames."""

from __future__ import annotations

import numpy as np
import torch

from remanence.data.clips import ClipForm
from remanence.sequences import Sequences

__all__ = ["mean_frame"]

_SQUARES = 16


def mean_frame(inputs: Sequences, form: ClipForm) -> np.ndarray:
    """The mean of a video's frames, and how much each place changes from frame to frame, in 16 × 16 squares at most.

    Args:
        inputs: uint8 `[batch, time, channel × height × width]`.

    Returns:
        float64 `[batch, 2 × channel × square]`.
    """
    channels, height, width = form.shape
    data = torch.where(inputs.mask()[..., None], inputs.data, 0).to(torch.float64) / 255
    moves = torch.where(inputs.mask()[:, 1:, None], (data[:, 1:] - data[:, :-1]).abs(), 0.0)
    count = inputs.lengths.clamp(min=1)[:, None]
    both = torch.stack([data.sum(1) / count, moves.sum(1) / count], dim=1)
    size = (min(height, _SQUARES), min(width, _SQUARES))
    squares = torch.nn.functional.adaptive_avg_pool2d(both.reshape(-1, channels, height, width), size)
    return squares.reshape(inputs.batch, -1).numpy()
