"""Memory that is used again: the arrays of a call that nobody else sees.

What a program asks of its system for the first time costs more than computing on it: a page that is touched first is
zeroed and mapped, 4 KB at a time. A training step asks for the same arrays again and again, so they are kept between
calls, up to `MOST_BYTES`; the ones unused for longest go first.
"""

from __future__ import annotations

import threading
from collections import deque

import torch
from torch import Tensor

__all__ = ["MOST_BYTES", "Lease", "borrow", "kept_bytes", "release"]

MOST_BYTES = 256 * 2**20
"""What is kept between calls at most."""
_free: deque[Tensor] = deque()
_returned: deque[Tensor] = deque()
_lock = threading.Lock()


class Lease:
    """A borrowed array, given back when nothing refers to the lease any more.

    Args:
        whole: the memory.
        tensor: the part of it that was asked for. Its content is arbitrary.
    """

    __slots__ = ("tensor", "whole")

    def __init__(self, whole: Tensor, shape: tuple[int, ...]) -> None:
        self.whole = whole
        count = 1
        for size in shape:
            count *= size
        self.tensor = whole[:count].view(shape)

    def __del__(self) -> None:
        if self.whole.nbytes > MOST_BYTES:
            return
        _returned.append(self.whole)
        # Python may end a lease at any point of this very thread, also where it holds the lock: never wait for it here.
        if _lock.acquire(blocking=False):
            try:
                _settle()
            finally:
                _lock.release()


def _settle() -> None:
    """Take in what has come back; the caller holds the lock."""
    while _returned:
        _free.append(_returned.popleft())
    while sum(tensor.nbytes for tensor in _free) > MOST_BYTES:
        _free.popleft()


def borrow(shape: tuple[int, ...], dtype: torch.dtype) -> Lease:
    """Borrow an array, used before if one of about the size is free.

    Example:
        >>> borrow((2, 3), torch.float32).tensor.shape
        torch.Size([2, 3])
    """
    count = 1
    for size in shape:
        count *= size
    with _lock:
        _settle()
        fitting = [t for t in _free if t.dtype == dtype and count <= t.numel() <= 2 * count + 1024]
        found = min(fitting, key=Tensor.numel, default=None)
        if found is not None:
            # By identity: comparing tensors would compare numbers.
            place = next(i for i, tensor in enumerate(_free) if tensor is found)
            del _free[place]
    if found is None:
        # Under inference_mode the array would be an inference tensor, which no later training step may write to.
        with torch.inference_mode(False):
            found = torch.empty(count, dtype=dtype)
    return Lease(found, shape)


def kept_bytes() -> int:
    """What is kept now."""
    with _lock:
        _settle()
        return sum(tensor.nbytes for tensor in _free)


def release() -> None:
    """Give all that is kept back to the system."""
    with _lock:
        _settle()
        _free.clear()
