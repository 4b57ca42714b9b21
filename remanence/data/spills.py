"""Arrays that grow row by row and move to a temporary file once they are large, so that memory stays bounded.

Temporary files lie in the system's temporary folder (TMPDIR), have no name once open where the system allows it, and
vanish with the process, however it ends.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from remanence.errors import MachineError

__all__ = ["THRESHOLD", "Spill", "drop_pages", "full_disk", "gather", "reordered", "side_by_side", "slabs", "trim_heap"]

THRESHOLD = 32 << 20
"""Bytes of one array that stay in memory."""

_SLAB = 32 << 20
_ROWS = 32


@contextmanager
def full_disk() -> Iterator[None]:
    """Tell a full temporary folder in one line.

    Raises:
        MachineError: with what to try.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise MachineError(
            f"the disk of the temporary folder {tempfile.gettempdir()} is full",
            remedy="free some space, or set TMPDIR to a larger disk",
        ) from None


class Spill:
    """Rows appended in order, read back as one array.

    Args:
        dtype: of the numbers.
        width: columns of a row; 0 for a flat array.

    Example:
        >>> spill = Spill(np.int32)
        >>> spill.append(np.arange(3)); spill.append(np.arange(2))
        >>> spill.finish().tolist()
        [0, 1, 2, 0, 1]
    """

    def __init__(self, dtype: Any, width: int | None = None, *, threshold: int | None = None) -> None:
        self.dtype, self.width = np.dtype(dtype), width
        self.rows = 0
        self._threshold = THRESHOLD if threshold is None else threshold
        self._blocks: list[np.ndarray] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def append(self, block: np.ndarray) -> None:
        """Add rows; they are copied unless they already have the right type."""
        block = np.ascontiguousarray(block, self.dtype)
        self.rows += len(block)
        self._bytes += block.nbytes
        self._blocks.append(block)
        if self._file is None and self._bytes > self._threshold:
            self._file = tempfile.TemporaryFile(prefix="remanence-")  # noqa: SIM115 — closed by finish
        if self._file is not None:
            self._flush(self._file)

    def finish(self) -> np.ndarray:
        """All rows as one array, mapped from the file where they were spilled."""
        shape = (self.rows,) if self.width is None else (self.rows, self.width)
        if self._file is None:
            blocks, self._blocks = self._blocks, []
            return np.concatenate(blocks).reshape(shape) if blocks else np.zeros(shape, self.dtype)
        # The map keeps the nameless file alive after its handle is closed.
        with self._file as file:
            file.flush()
            return np.memmap(file, self.dtype, mode="r+", shape=shape)

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def _flush(self, file: IO[bytes]) -> None:
        with full_disk():
            for block in self._blocks:
                file.write(block.data)
        self._blocks = []


def drop_pages(array: np.ndarray) -> None:
    """Give back the memory of a mapped array's pages; they are read again when needed. No effect on other arrays."""
    base = _map(array)
    if base is not None and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def gather(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Take the rows `[example, step]` of an array; of a mapped one, pages are dropped as it goes.

    A page that is touched may bring 2 MB with it, where the system caches files in large pieces.

    Example:
        >>> gather(np.array([5, 6, 7]), np.array([[0, 1], [1, 2]])).tolist()
        [[5, 6], [6, 7]]
    """
    if _map(array) is None:
        return array[rows]
    found = np.empty(rows.shape + array.shape[1:], array.dtype)
    for start in range(0, len(rows), _ROWS):
        found[start : start + _ROWS] = array[rows[start : start + _ROWS]]
        drop_pages(array)
    return found


def side_by_side(flat: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Sequences cut out of rows that stand one after the other, zeros behind the end of each.

    Args:
        flat: rows of all sequences, `[row]` or `[row, number]`.
        starts, lengths: the first row of each sequence, and how many rows it has, int64 `[sequence]`.

    Example:
        >>> side_by_side(np.array([5, 6, 7]), np.array([1, 0]), np.array([2, 1])).tolist()
        [[6, 7], [5, 0]]
    """
    steps = np.arange(int(lengths.max(initial=0)))
    rows = np.minimum(starts[:, None] + steps, max(len(flat) - 1, 0))
    found = gather(flat, rows) if len(flat) else np.zeros((*rows.shape, *flat.shape[1:]), flat.dtype)
    inside = (steps < lengths[:, None]).reshape(*rows.shape, *[1] * (flat.ndim - 1))
    return np.where(inside, found, flat.dtype.type(0))


def _map(array: np.ndarray) -> mmap.mmap | None:
    base: Any = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    return base


def trim_heap() -> None:
    """Give what is free inside the heap back to the system, where its C library can (glibc).

    Batches of ever other lengths leave the heap in pieces, which it keeps: hundreds of megabytes, after a while.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def slabs(array: np.ndarray):
    """Cut `[row, …]` into slices of about 32 MB, in order; pages of a mapped array are dropped behind."""
    row = max(1, array.nbytes // max(1, len(array)))
    size = max(1, _SLAB // row)
    for start in range(0, len(array), size):
        yield slice(start, min(start + size, len(array)))
        drop_pages(array)


def reordered(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The rows `[row, column]` in another order, spilled where they are many."""
    spill = Spill(values.dtype, values.shape[1])
    for start in range(0, len(order), 1 << 18):
        spill.append(values[order[start : start + (1 << 18)]])
        drop_pages(values)
    return spill.finish()
