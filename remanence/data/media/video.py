"""Videos to frames, in the child: MP4, WebM or Matroska, AVI, GIF through FFmpeg's libraries.

Which demuxer reads a file is told by its first bytes, never guessed by the library: some of those it has follow names
of other files, or addresses, that stand in the file. A file that ends before its header says is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import av
import av.error
import numpy as np

from remanence.data.media.wire import Decoded, UndecodableError

__all__ = ["decode_video"]

_MOST_PIXELS = 1 << 26
"""Of a frame as it is stored."""
_HASTE = 1e-4
"""Seconds by which a frame may come late: times in a file are rounded."""
_COLOURS = {"grey": "gray", "rgb": "rgb24"}


def decode_video(path: str, options: Mapping[str, Any]) -> Decoded:
    """Read frames as uint8 `[time, channel, height, width]`: what is on the screen at 0, 1/rate, 2/rate, … seconds.

    Args:
        options: `rate`, frames a second; `height`, `width`; `colour`, grey or rgb; `most`, frames after which reading
            stops (None: never); `longest_seconds`, beyond which a file is refused.

    Raises:
        UndecodableError: no video, cut short or damaged, without a frame, too long or too large.
    """
    with open(path, "rb") as file:
        form = _form(file.read(16))
        if (needed := _declared(file, form)) > (size := os.stat(path).st_size):
            raise UndecodableError(f"cut short: {needed:,} bytes expected, {size:,} came", "copy the file again")
        file.seek(0)
        try:
            with av.open(file, format=form, metadata_errors="replace") as container:
                frames = _sampled(container, options)
        except av.error.FFmpegError as error:
            raise UndecodableError(
                f"cut short or damaged ({error.strerror or type(error).__name__})", "copy or write the file again"
            ) from None
    return Decoded(frames, float(options["rate"]))


def _form(start: bytes) -> str:
    """The demuxer for a file that starts so."""
    if not start:
        raise UndecodableError("the file is empty", "copy the file again")
    if start[4:8] == b"ftyp":
        return "mp4"
    if start[:4] == b"\x1aE\xdf\xa3":
        return "matroska"
    if start[:4] == b"RIFF" and start[8:11] == b"AVI":
        return "avi"
    if start[:4] == b"GIF8":
        return "gif"
    raise UndecodableError("no video that can be read", "give an MP4, WebM, Matroska, AVI or GIF file")


def _declared(file: IO[bytes], form: str) -> int:
    """Bytes that a file has by its own headers: of a whole file no more than are there."""
    if form == "avi":
        file.seek(4)
        return 8 + int.from_bytes(file.read(4), "little")
    end = 0
    if form == "mp4":
        # Boxes one after the other, each headed by its size; 1: the size follows, 0: up to the end of the file.
        while len(head := _at(file, end, 16)) >= 8:
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:16], "big") if size == 1 else size
            if size < 8:
                break
            end += size
    if form == "matroska":
        for _ in range(2):
            # An identity of four bytes, then a size whose leading zeros say in how many bytes it stands.
            head = _at(file, end, 12)[4:]
            width = 9 - head[0].bit_length() if head and head[0] else 0
            size = int.from_bytes(head[:width], "big") & ((1 << 7 * width) - 1)
            if not width or size == (1 << 7 * width) - 1:
                break
            end += 4 + width + size
    return end


def _at(file: IO[bytes], place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


@dataclass
class _Seen:
    """How far a stream was read: packets, frames that were decoded, and when the last one began."""

    packets: int = 0
    frames: int = 0
    last: float = 0.0


def _sampled(container: Any, options: Mapping[str, Any]) -> np.ndarray:
    if not container.streams.video:
        what = "holds no video, only sound" if container.streams.audio else "holds no video"
        raise UndecodableError(what, "record it again, or remove the row")
    stream = container.streams.video[0]
    _check_size(container, stream, options["longest_seconds"])
    # Threads would each hold frames of their own.
    stream.codec_context.thread_count = 1
    seen, most = _Seen(), options.get("most")
    form = {"width": options["width"], "height": options["height"], "format": _COLOURS[options["colour"]]}
    frames: list[np.ndarray] = []
    for frame in _shown(_timed(container, stream, seen, options), 1.0 / options["rate"]):
        small = frame.reformat(**form, interpolation="AREA").to_ndarray()
        frames.append(small[None] if small.ndim == 2 else small.transpose(2, 0, 1))
        if len(frames) == most:
            return np.stack(frames)
    if not frames:
        raise UndecodableError("no frame", "record it again, or remove the row")
    if stream.frames and seen.packets < stream.frames:
        raise UndecodableError(
            f"cut short: {stream.frames} frames expected, {seen.packets} came", "copy the file again"
        )
    return np.stack(frames)


def _check_size(container: Any, stream: Any, longest: float) -> None:
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > _MOST_PIXELS:
        raise UndecodableError(f"frames of {width} × {height} pixels", "scale the video down")
    seconds = _seconds(container, stream)
    if seconds is not None and seconds > longest:
        raise _too_long(seconds, longest)


def _too_long(seconds: float, longest: float) -> UndecodableError:
    return UndecodableError(
        f"lasts {seconds:,.0f} seconds, at most {longest:,.0f} are read", "cut it into pieces, or --longest-seconds"
    )


def _seconds(container: Any, stream: Any) -> float | None:
    """How long the header says the video lasts."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _timed(container: Any, stream: Any, seen: _Seen, options: Mapping[str, Any]) -> Iterator[tuple[float, Any]]:
    """Every frame with the seconds since the first one."""
    step, first = 1.0 / float(stream.average_rate or options["rate"]), None
    for packet in container.demux(stream):
        seen.packets += packet.size > 0
        for frame in packet.decode():
            now = frame.time if frame.time is not None else seen.last + step * (seen.frames > 0)
            first = now if first is None else first
            seen.frames, seen.last = seen.frames + 1, max(seen.last, now - first)
            if seen.last > options["longest_seconds"]:
                raise _too_long(seen.last, options["longest_seconds"])
            yield seen.last, frame


def _shown(timed: Iterator[tuple[float, Any]], every: float) -> Iterator[Any]:
    """The frame that is on the screen at each multiple of `every` seconds, up to the beginning of the last one."""
    count, before, last = 0, None, 0.0
    for now, frame in timed:
        while before is not None and count * every < now - _HASTE:
            yield before
            count += 1
        before, last = frame, now
    while before is not None and count * every <= last + _HASTE:
        yield before
        count += 1
