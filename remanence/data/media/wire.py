"""What a decoding child and its parent say to each other: a header of fixed size, and plain bytes after it.

    request    one line of JSON: {"path": …, "options": {…}}
    answer     header: magic, kind, type of the numbers, number of axes, rate, four sizes; then
               kind ARRAY: the numbers, little-endian, in C order
               kind REFUSED: two UTF-8 texts of the first two sizes: what is wrong, and what to try
               kind READY: nothing; the child has loaded its decoder

The parent trusts nothing of an answer: unknown types, sizes over its limit and texts that are no UTF-8 are refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite, prod
from typing import IO, Any

import numpy as np

__all__ = [
    "NO_FILE",
    "Decode",
    "Decoded",
    "Refusal",
    "UndecodableError",
    "WireError",
    "read_answer",
    "write_array",
    "write_ready",
    "write_refusal",
]

_HEADER = struct.Struct("<4sBBBxd4Q")
_MAGIC = b"RMED"
_READY, _ARRAY, _REFUSED = range(3)
_TYPES = ("|u1", "<i2", "<f4")
_LONGEST_TEXT = 1000
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Decoded:
    """What a file holds.

    Args:
        values: uint8, int16 or float32 numbers of up to four axes, time first.
        rate: samples or frames per second.
    """

    values: np.ndarray
    rate: float


@dataclass(frozen=True)
class Refusal:
    """Why a file could not be decoded.

    Args:
        message: what is wrong, without the file's name.
        remedy: what to try.
    """

    message: str
    remedy: str = field(default="")


NO_FILE = Refusal("no such file", "check the path, or name its folder with --folder")


class UndecodableError(Exception):
    """A file that a decoder refuses: raised in the child, a `Refusal` in the parent."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


Decode = Callable[[str, Mapping[str, Any]], Decoded]
"""A decoder: a path and its options → what the file holds."""


class WireError(Exception):
    """The child's answer is none: it ended, or its bytes make no sense."""


def write_ready(stream: IO[bytes]) -> None:
    """Say that the decoder is loaded."""
    _write(stream, _header(_READY))


def write_array(stream: IO[bytes], decoded: Decoded) -> None:
    """Answer with an array."""
    values = np.ascontiguousarray(decoded.values)
    kind = _TYPES.index(values.dtype.newbyteorder("<").str.replace("<u1", "|u1"))
    _write(stream, _header(_ARRAY, kind, values.ndim, decoded.rate, values.shape))
    _write(stream, memoryview(values.data).cast("B") if values.size else b"")


def write_refusal(stream: IO[bytes], refusal: Refusal) -> None:
    """Answer that the file cannot be decoded, and why."""
    texts = [text.encode("utf-8", "replace")[:_LONGEST_TEXT] for text in (refusal.message, refusal.remedy)]
    _write(stream, _header(_REFUSED, sizes=tuple(map(len, texts))) + b"".join(texts))


def read_answer(stream: IO[bytes], most_bytes: int) -> Decoded | Refusal | None:
    """Read one answer; None stands for READY.

    Args:
        most_bytes: an array that is larger is refused, before memory is taken for it.

    Raises:
        WireError: the stream ends, or what comes is no answer.
    """
    magic, kind, code, axes, rate, *sizes = _HEADER.unpack(_exactly(stream, _HEADER.size))
    if magic != _MAGIC or kind > _REFUSED or code >= len(_TYPES) or axes > len(sizes):
        raise WireError("no answer")
    if kind == _READY:
        return None
    if kind == _REFUSED:
        if max(sizes[:2]) > _LONGEST_TEXT:
            raise WireError("a text too long")
        texts = [_exactly(stream, size).decode("utf-8", "replace") for size in sizes[:2]]
        return Refusal(*texts)
    dtype, shape = np.dtype(_TYPES[code]), tuple(sizes[:axes])
    needed = prod(shape) * dtype.itemsize
    if not isfinite(rate) or needed > most_bytes:
        raise WireError(f"{needed / 1e6:,.0f} MB, at most {most_bytes / 1e6:,.0f} are taken")
    values = np.empty(shape, dtype)
    if values.size:
        _fill(stream, memoryview(values.data).cast("B"))
    return Decoded(values, rate)


def _header(kind: int, code: int = 0, axes: int = 0, rate: float = 0.0, sizes: tuple[int, ...] = ()) -> bytes:
    return _HEADER.pack(_MAGIC, kind, code, axes, rate, *sizes, *[0] * (4 - len(sizes)))


def _write(stream: IO[bytes], data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[stream.write(view) or 0 :]
    stream.flush()


def _exactly(stream: IO[bytes], size: int) -> bytes:
    block = bytearray(size)
    _fill(stream, memoryview(block))
    return bytes(block)


def _fill(stream: IO[bytes], view: memoryview) -> None:
    while view:
        count = stream.readinto(view[:_BLOCK])  # type: ignore[attr-defined]
        if not count:
            raise WireError("the child ended")
        view = view[count:]
