"""Videos as strips of their frames, one below the other."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from remanence.explain.style import GREY, INK, columns, styled

__all__ = ["Strip", "film_strips", "png"]

MOST = 12
"""Frames of a video that are shown, evenly spread."""
_WIDTH = 640
_WIDEST = 96


@dataclass(frozen=True)
class Strip:
    """A video and what is said of it.

    Args:
        title: shown above its frames.
        frames: uint8 `[step, channel, height, width]`, of one channel (grey) or three.
        steps: what each frame is called, such as its second.
    """

    title: str
    frames: np.ndarray
    steps: tuple[str, ...]


def film_strips(strips: Sequence[Strip]) -> Any:
    """Draw some frames of each video, from left to right, what each is called below it.

    Args:
        strips: videos of one size.
    """
    pictures, places, rows, steps = [], [], [], []
    for row, strip in enumerate(strips):
        shown = np.unique(np.linspace(0, len(strip.frames) - 1, MOST).round().astype(int))
        pictures += [f"data:image/png;base64,{base64.b64encode(png(strip.frames[at])).decode()}" for at in shown]
        places += range(len(shown))
        rows += [row] * len(shown)
        steps += [strip.steps[at] for at in shown]
    height, width = strips[0].frames.shape[2:]
    across = min(_WIDEST, _WIDTH // (max(places) + 1) - 4)
    down = max(1, round(across * height / width))
    data = columns(url=pictures, place=places, row=rows, step=steps)
    flat = alt.Chart(data).transform_flatten(["url", "place", "row", "step"])
    x, y = alt.X("place:O", axis=None), alt.Y("row:O", axis=None)
    image = flat.mark_image(width=across, height=down).encode(x=x, y=y, url="url:N")
    number = flat.mark_text(dy=down / 2 + 9, fontSize=10, color=GREY).encode(x=x, y=y, text="step:N")
    titles = alt.Chart(columns(row=list(range(len(strips))), title=[strip.title for strip in strips]))
    title = (
        titles.transform_flatten(["row", "title"])
        .mark_text(align="left", dy=-down / 2 - 11, fontSize=13, color=INK)
        .encode(x=alt.value(0), y=y, text="title:N")
    )
    size = {"width": (across + 4) * (max(places) + 1), "height": (down + 44) * len(strips)}
    return styled(alt.layer(image, number, title).properties(**size))


def png(frame: np.ndarray) -> bytes:
    """A picture file of a frame, uint8 `[channel, height, width]`.

    Example:
        >>> png(np.zeros((1, 2, 3), np.uint8))[1:4]
        b'PNG'
    """
    channels, height, width = frame.shape
    lines = np.ascontiguousarray(frame.transpose(1, 2, 0)).reshape(height, -1)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), lines], axis=1).tobytes()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(filtered)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
