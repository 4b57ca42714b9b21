"""Many videos as frames of pixels, one after the other, spilled to disk where they are many.

.mp4 .webm .mkv .avi .mov .gif   decoded in child processes: frames at a rate, in a size, grey or in colours
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from remanence.data.clips import Clip, ClipForm
from remanence.data.media.listing import Bad
from remanence.data.media.sounds import FrameStore
from remanence.data.media.wire import Refusal
from remanence.data.media.workers import Limits, decode_all
from remanence.data.spills import Spill, drop_pages
from remanence.errors import DataError, SettingError
from remanence.settings import DataSettings

__all__ = ["Complain", "fit_clip", "form_of", "read_films"]

Complain = Callable[[int, str, str], DataError]
_LIMITS = Limits(memory_bytes=2 << 30, cpu_seconds=300, wall_seconds=900.0, answer_bytes=1 << 30)
_SLAB_FRAMES = 1 << 12


def form_of(settings: DataSettings) -> ClipForm:
    """What is taken of each video, as the settings say.

    Raises:
        SettingError: a size that is not one number or two.
    """
    size = settings.frame_size
    if len(size) not in (1, 2):
        raise SettingError(
            f"expected height,width, came {len(size)} numbers", name="frame_size", remedy="such as 32,48"
        )
    return ClipForm(rate=settings.frame_rate, height=size[0], width=size[-1], colour=settings.colour)


def read_films(
    films: Sequence[Path], form: ClipForm, settings: DataSettings, complain: Complain, bad: Bad
) -> FrameStore:
    """Read all videos; memory is that of the frames of a few of them.

    Args:
        films: a file each.
        form: what is taken of each.
        complain: place of a video, what is wrong, what to try → the error.
        bad: takes what cannot be read.

    Returns:
        Frames, uint8 `[frame, channel × height × width]`; a video that is left out has none.
    """
    options: dict[str, Any] = form.model_dump(include={"rate", "height", "width", "colour"}) | {
        "most": settings.longest, "longest_seconds": settings.longest_seconds,
    }  # fmt: skip
    spill, lengths = Spill(np.uint8, form.pixels), np.zeros(len(films), np.int64)
    # Closed at once where a video is refused, so that no child outlives it.
    with closing(decode_all("video", ((path, options) for path in films), limits=_LIMITS)) as answers:
        for place, (path, answer) in enumerate(zip(films, answers, strict=True)):
            if isinstance(answer, Refusal):
                bad.add(place, complain(place, f"{path.name}: {answer.message}", answer.remedy))
                continue
            spill.append(answer.values.reshape(len(answer.values), -1))
            lengths[place] = len(answer.values)
    return FrameStore(spill.finish(), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def fit_clip(form: ClipForm, values: np.ndarray, inside: np.ndarray) -> Clip:
    """Mean and deviation of the pixels of each channel, as fractions of 255.

    Args:
        form: what was taken of each video.
        values: frames of all videos, uint8 `[frame, channel × height × width]`.
        inside: which frames belong to the training part, bool `[frame]`.
    """
    channels = form.shape[0]
    total, squares, count = np.zeros(channels), np.zeros(channels), 0
    for start in range(0, len(values), _SLAB_FRAMES):
        chosen = values[start : start + _SLAB_FRAMES][inside[start : start + _SLAB_FRAMES]]
        pixels = chosen.reshape(len(chosen), channels, form.height * form.width).astype(np.float64) / 255
        total, squares = total + pixels.sum((0, 2)), squares + (pixels**2).sum((0, 2))
        count += len(chosen) * pixels.shape[2]
        drop_pages(values)
    mean = total / max(count, 1)
    # Pixels lie in 0 … 1, so the difference of squares loses nothing that matters; a black film keeps scale 1.
    deviation = np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0))
    scale = np.where(deviation > 1e-6, deviation, 1.0)
    return Clip(**form.model_dump(), mean=tuple(mean.tolist()), scale=tuple(scale.tolist()))
