"""Memory that is used again: tensors whose memory comes back when nothing refers to it any more.

What a program asks of its system for the first time costs more than computing on it: a page that is touched first is
zeroed and mapped, 4 KB at a time. A training step asks for the same arrays again and again, so their memory is kept
between calls, up to `MOST_BYTES`; what is unused for longest goes first.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["MOST_BYTES", "borrow", "kept_bytes", "release"]

MOST_BYTES = 256 * 2**20
"""What is kept between calls at most."""
_LINE = 64
_free: deque[np.ndarray] = deque()
_returned: deque[np.ndarray] = deque()
_lock = threading.Lock()
_DTYPES = {torch.float32: np.dtype(np.float32), torch.float64: np.dtype(np.float64)}


class _Lent(np.ndarray):
    """The array behind a borrowed tensor's memory: torch holds it as long as any tensor uses that memory."""

    whole: Any = None

    def __del__(self) -> None:
        if self.whole is None or self.whole.nbytes > MOST_BYTES:
            return
        _returned.append(self.whole)
        # Python may end an array at any point of this very thread, also where it holds the lock: never wait for it.
        if _lock.acquire(blocking=False):
            try:
                _settle()
            finally:
                _lock.release()


def _settle() -> None:
    """Take in what has come back; the caller holds the lock."""
    while _returned:
        _free.append(_returned.popleft())
    while sum(array.nbytes for array in _free) > MOST_BYTES:
        _free.popleft()


def _new(size: int) -> np.ndarray:
    """Bytes that begin at a line of the cache."""
    raw = np.empty(size + _LINE, np.uint8)
    first = -raw.ctypes.data % _LINE
    return raw[first : first + size]


def borrow(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Make a tensor (float32, float64) of arbitrary content, in memory used before if some of about the size is free.

    Example:
        >>> borrow((2, 3), torch.float32).shape
        torch.Size([2, 3])
    """
    kind = _DTYPES[dtype]
    size = math.prod(shape) * kind.itemsize
    found = None
    with _lock:
        _settle()
        fitting = [place for place, array in enumerate(_free) if size <= array.nbytes <= 2 * size + 4096]
        if fitting:
            place = min(fitting, key=lambda place: _free[place].nbytes)
            found = _free[place]
            del _free[place]
    whole = _new(size) if found is None else found
    lent = whole[:size].view(kind).view(_Lent)
    lent.whole = whole
    return torch.from_numpy(lent).view(shape)


def kept_bytes() -> int:
    """What is kept now."""
    with _lock:
        _settle()
        return sum(array.nbytes for array in _free)


def release() -> None:
    """Give all that is kept back to the system."""
    with _lock:
        _settle()
        _free.clear()
