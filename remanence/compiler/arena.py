"""Memory that is used again: tensors whose memory comes back when nothing refers to it any more.

What a program asks of its system for the first time costs more than computing on it: a page that is touched first is
zeroed and mapped, 4 KB at a time. A training step asks for the same arrays again and again, so their memory is kept
between calls, up to `MOST_BYTES`; what is unused for longest goes first.
"""

from __future__ import annotations

import ctypes
import math
import os
import threading
from collections import deque
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "MOST_BYTES",
    "SMALL_BYTES",
    "borrow",
    "borrow_like",
    "give_back",
    "installed_bytes",
    "keep_freed",
    "kept_bytes",
    "release",
    "scratch",
]


def installed_bytes() -> int | None:
    """This machine's memory; None where the system does not say."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None


def _most() -> int:
    """A 32nd of the machine's memory, but 256 MB at least and 1 GB at most.

    A training step on 64 sequences of 256 steps uses, with 512 units, 140 MB in a minLSTM, 230 in an LSTM, 300 in an
    sLSTM, 410 in a layer-norm LSTM; the last takes 5 to 9 % longer where its memory is new each time (one thread of a
    Zen 4).
    """
    return min(max((installed_bytes() or 0) // 32, 256 * 2**20), 2**30)


MOST_BYTES = _most()
"""What is kept between calls at most."""
SMALL_BYTES = 64 * 2**10
"""What is no larger comes from the C library, which keeps such pieces itself, and faster than can be done here."""
_LINE = 64
_lock = threading.Lock()
_returned: deque[np.ndarray] = deque()
# By size; sizes that were used of late stand last.
_free: dict[int, list[np.ndarray]] = {}
_kept = 0
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
    global _kept
    while _returned:
        array = _returned.popleft()
        arrays = _free.pop(array.nbytes, [])
        arrays.append(array)
        _free[array.nbytes] = arrays
        _kept += array.nbytes
    while _kept > MOST_BYTES:
        size = next(iter(_free))
        _free[size].pop()
        _kept -= size
        if not _free[size]:
            del _free[size]


def _rounded(size: int) -> int:
    """A size that others are rounded to as well: at most an eighth larger, whole lines."""
    step = max(_LINE, 1 << max(size.bit_length() - 4, 0))
    return -(-size // step) * step


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
    global _kept
    count = math.prod(shape)
    if count * dtype.itemsize <= SMALL_BYTES:
        return torch.empty(shape, dtype=dtype)
    kind = _DTYPES[dtype]
    size = _rounded(count * kind.itemsize)
    whole = None
    with _lock:
        if _returned:
            _settle()
        if arrays := _free.get(size):
            whole = arrays.pop()
            _kept -= size
            if not arrays:
                del _free[size]
    whole = _new(size) if whole is None else whole
    lent = whole.view(kind)[:count].view(_Lent)
    lent.whole = whole
    return torch.from_numpy(lent).view(shape)


def borrow_like(tensor: Tensor) -> Tensor:
    """The same for the shape and dtype of a tensor, contiguous; what is small without a detour through Python."""
    if tensor.nbytes <= SMALL_BYTES:
        return torch.empty_like(tensor, memory_format=torch.contiguous_format)
    return borrow(tuple(tensor.shape), tensor.dtype)


def scratch(size: int) -> tuple[int, Any]:
    """An address with so many bytes of arbitrary content, for what this thread does until it asks again; hold the other
    result as long. It comes faster than what is borrowed."""
    if size > _MOST_SCRATCH:
        held = borrow((-(-size // 4),), torch.float32)
        return held.data_ptr(), held
    held = getattr(_mine, "held", None)
    if held is None or held[1].nbytes < size:
        array = _new(_rounded(size))
        held = _mine.held = array.ctypes.data, array
    return held


_MOST_SCRATCH = 16 * 2**20
"""Bytes that a thread keeps for itself at most."""
_mine = threading.local()


def keep_freed() -> bool:
    """Have the C library keep memory that is freed, for as long as the process lives.

    By itself glibc gives what is larger than 32 MB back at once: a tensor of 64 MB, filled again and again, takes 27 ms
    each time instead of 2. What PyTorch itself makes in training then comes back as what is borrowed here does. Beyond
    `MOST_BYTES` the end of the heap is given back; gaps below what is still in use stay until `give_back`.

    Returns:
        Whether it does; glibc before 2.35 refuses, and other libraries know no such request.
    """
    try:
        asked = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    # In this order: the other one alone would keep glibc from learning which sizes come again.
    return all(asked(option, MOST_BYTES) == 1 for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))


def give_back() -> None:
    """Have the C library give what is free back to the system, gaps too; where it knows no such request, nothing."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of mallopt's options, as in malloc.h."""


def kept_bytes() -> int:
    """What is kept now."""
    with _lock:
        _settle()
        return _kept


def release() -> None:
    """Give all that is kept back to the system."""
    global _kept
    with _lock:
        _settle()
        _free.clear()
        _kept = 0
