"""The idx files of MNIST and its kin: images that are read pixel by pixel, each with a class from a second file.

    bytes 0–1       zero
    byte 2          type of a number: 08 unsigned byte, 09 byte, 0B short, 0C int, 0D float, 0E double; big-endian
    byte 3          how many axes
    4 bytes each    length of each axis, big-endian; then the numbers, the last axis fastest

The first axis counts the images. An image of 28 rows and 28 columns is a sequence of 784 steps of one number.

References:
    LeCun, Cortes & Burges 1998, http://yann.lecun.com/exdb/mnist (the format stands at its end).
"""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path
from typing import IO

import numpy as np

from remanence.data.archive import Archive
from remanence.data.sources import open_binary, reading
from remanence.data.spills import Spill
from remanence.errors import DataError

__all__ = ["labels_beside", "read_images"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 4
_SLAB_STEPS = 1 << 20
_LONGEST = 1 << 24
"""Numbers of an image: a header that asks for more is taken for damaged."""


def labels_beside(path: Path) -> Path:
    """Where the classes of a file of images stand: `train-images-idx3-ubyte` → `train-labels-idx1-ubyte`."""
    return path.with_name(re.sub(r"idx\d", "idx1", path.name.replace("images", "labels")))


def read_images(path: Path, *, answers: bool) -> Archive:
    """Read images as sequences of pixels, and the classes from the file beside them.

    Args:
        answers: the classes must be there; otherwise they are not looked for.

    Raises:
        DataError: a header that is none, a file cut short or too long, no classes, or not one for each image.
    """
    with reading(path), open_binary(path) as file:
        kind, shape = _header(path, file)
        if len(shape) < 2:
            raise DataError(
                "one number for each sequence: these are classes, expected images", path=path, remedy=_pair(path)
            )
        count, steps = shape[0], math.prod(shape[1:])
        if steps > _LONGEST:
            raise DataError(f"images of {steps:,} numbers each", path=path, remedy=f"expected at most {_LONGEST:,}")
        spill = Spill(np.float64, 1)
        most = max(1, _SLAB_STEPS // steps)
        for first in range(0, count, most):
            images = min(most, count - first)
            numbers = _take(path, file, kind, images * steps, f"image {first + 1:,} of {count:,}")
            spill.append(numbers.astype(np.float64)[:, None])
        _refuse_more(path, file)
    labels = _labels(path, count) if answers else ()
    names = tuple(str(place + 1) for place in range(count))
    return Archive(path, spill.finish(), np.arange(count + 1) * steps, labels, None, names)


def _labels(images: Path, count: int) -> tuple[str, ...]:
    path = labels_beside(images)
    if path == images or not path.exists():
        raise DataError(f"no file of classes beside these images ({path.name})", path=images, remedy=_pair(images))
    with reading(path), open_binary(path) as file:
        kind, shape = _header(path, file)
        if shape != (count,):
            raise DataError(
                f"expected {count:,} classes, one for each image of {images.name}, came {' × '.join(map(str, shape))}",
                path=path,
                remedy="give files that belong together",
            )
        numbers = _take(path, file, kind, count, "the classes")
        _refuse_more(path, file)
    return tuple(f"{number:g}" for number in numbers.tolist())


def _pair(path: Path) -> str:
    return f"expected a pair of files such as {path.with_name('train-images-idx3-ubyte')} and train-labels-idx1-ubyte"


def _header(path: Path, file: IO[bytes]) -> tuple[np.dtype, tuple[int, ...]]:
    """Type of a number, and the length of each axis."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES or not 1 <= start[3] <= _MOST_AXES:
        raise DataError(
            f"not an idx file: it begins with {start.hex(' ') or 'nothing'}",
            path=path,
            remedy="expected 00 00, a type (08 for bytes) and 1 to 4 axes; see docs/data.md",
        )
    lengths = file.read(4 * start[3])
    if len(lengths) < 4 * start[3]:
        raise DataError("the header is cut short", path=path, remedy="copy or download it again")
    shape = struct.unpack(f">{start[3]}I", lengths)
    if 0 in shape:
        raise DataError(
            f"an axis of length 0: {' × '.join(map(str, shape))}", path=path, remedy="give a file of images"
        )
    return np.dtype(_TYPES[start[2]]), shape


def _take(path: Path, file: IO[bytes], kind: np.dtype, count: int, where: str) -> np.ndarray:
    block = file.read(count * kind.itemsize)
    if len(block) < count * kind.itemsize:
        raise DataError(
            f"cut short after {where} begins: expected {count * kind.itemsize:,} bytes more, came {len(block):,}",
            path=path,
            remedy="copy or download it again",
        )
    numbers = np.frombuffer(block, kind)
    if kind.kind == "f" and np.isinf(numbers).any():
        raise DataError(f"an infinite number in the block where {where} begins", path=path, remedy="mend the file")
    return numbers


def _refuse_more(path: Path, file: IO[bytes]) -> None:
    if file.read(1):
        raise DataError("more bytes than the header says", path=path, remedy="copy or download it again")
