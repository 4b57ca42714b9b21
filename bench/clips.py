"""Frames written as a real video file, for studies, examples and tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np

__all__ = ["write_clip"]

_CODECS = {".mp4": "libx264", ".webm": "libvpx", ".avi": "mpeg4", ".mkv": "libx264"}


def write_clip(path: Path, frames: np.ndarray, rate: int, *, quality: int = 23) -> None:
    """Encode frames, uint8 `[time, height, width]` grey or `[time, height, width, 3]`, height and width even.

    Args:
        path: its ending chooses container and codec: H.264 in MP4 and MKV, VP8 in WebM, MPEG-4 in AVI.
        rate: frames a second.
        quality: of H.264, lower is better.
    """
    codec = _CODECS[path.suffix]
    with av.open(str(path), "w") as container:
        options = {"crf": str(quality), "preset": "veryfast"} if codec == "libx264" else {}
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 400_000
        stream.codec_context.thread_count = 1
        for frame in frames:
            kind = "gray" if frame.ndim == 2 else "rgb24"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=kind)))
        container.mux(stream.encode(None))
