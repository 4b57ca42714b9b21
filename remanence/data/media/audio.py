"""Sounds to numbers, in the child: WAV, FLAC, OGG through libsndfile; one channel, one rate.

A file that holds less than its header says is refused, not shortened in silence.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import soundfile

from remanence.data.media.wire import Decoded, UndecodableError

__all__ = ["decode_audio"]

_BLOCK = 1 << 16
_MOST_CHANNELS = 64
_HIGHEST_RATE = 768_000
_UNKNOWN_SIZE = 0xFFFF_0000
"""Sizes from here on stand in headers that were written before the length was known."""


def decode_audio(path: str, options: Mapping[str, Any]) -> Decoded:
    """Read a sound as float32 `[sample]` in -1 … 1: the mean of its channels.

    Args:
        options: `rate`, samples per second to resample to (None: as in the file); `longest_seconds`, beyond which a
            file is refused.

    Raises:
        UndecodableError: no sound, cut short, without a sample, too long, or of a rate that is none.
    """
    _check_wave(path)
    try:
        return _decoded(path, options)
    except soundfile.LibsndfileError as error:
        raise UndecodableError(
            f"no sound that can be read ({error.error_string.rstrip('. ')})", "give a WAV, FLAC or OGG file"
        ) from None


def _decoded(path: str, options: Mapping[str, Any]) -> Decoded:
    with soundfile.SoundFile(path) as file:
        rate, frames, channels = file.samplerate, file.frames, file.channels
        if not 0 < rate <= _HIGHEST_RATE:
            raise UndecodableError(f"a sample rate of {rate}", "write the file again with the rate it was recorded at")
        if not 0 < channels <= _MOST_CHANNELS:
            raise UndecodableError(f"{channels} channels, at most {_MOST_CHANNELS} are mixed")
        if frames > (longest := options["longest_seconds"]) * rate:
            raise UndecodableError(
                f"lasts {_duration(frames / rate)}, at most {_duration(longest)} are read",
                "cut it into pieces, or raise --longest-seconds",
            )
        if not frames:
            raise UndecodableError("0 samples", "record it again, or remove the row")
        samples = _mono(file, frames)
    if len(samples) < frames:
        raise UndecodableError(f"cut short: {frames:,} samples expected, {len(samples):,} came", "copy the file again")
    if not np.isfinite(samples).all():
        raise UndecodableError("holds a sample that is not finite", "write the file again")
    wanted = options.get("rate") or rate
    return Decoded(_resampled(samples, rate, wanted), float(wanted))


def _mono(file: soundfile.SoundFile, frames: int) -> np.ndarray:
    samples, count = np.empty(frames, np.float32), 0
    while count < frames:
        block = file.read(min(_BLOCK, frames - count), dtype="float32", always_2d=True)
        if not len(block):
            break
        samples[count : count + len(block)] = block.mean(1)
        count += len(block)
    return samples[:count]


def _resampled(samples: np.ndarray, rate: int, wanted: float) -> np.ndarray:
    """The sound at another rate, through a low-pass filter of zero phase (polyphase, Kaiser window)."""
    if wanted == rate:
        return samples
    from scipy.signal import resample_poly

    ratio = Fraction(wanted).limit_denominator(1000) / rate
    return resample_poly(samples, ratio.numerator, ratio.denominator).astype(np.float32)


def _check_wave(path: str) -> None:
    """Compare what a WAV's chunk of samples says with what follows; libsndfile takes what there is."""
    size = os.stat(path).st_size
    with open(path, "rb") as file:
        head = file.read(12)
        if not size:
            raise UndecodableError("the file is empty", "copy the file again")
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return
        at = 12
        while len(chunk := file.read(8)) == 8:
            length = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"fmt " and length >= 16:
                form = file.read(16)
                if len(form) == 16 and not int.from_bytes(form[4:8], "little"):
                    raise UndecodableError(
                        "a sample rate of 0", "write the file again with the rate it was recorded at"
                    )
            if chunk[:4] == b"data":
                if length < _UNKNOWN_SIZE and at + 8 + length > size:
                    there = size - at - 8
                    raise UndecodableError(
                        f"cut short: {length:,} bytes of samples expected, {there:,} came", "copy the file again"
                    )
                return
            at += 8 + length + length % 2
            file.seek(at)
    raise UndecodableError("a WAV without samples: cut short in its header", "copy the file again")


def _duration(seconds: float) -> str:
    """A time for a person."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.1f} seconds"
