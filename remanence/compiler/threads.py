"""Kernels called by their address, over several threads: those of PyTorch's own OpenMP, so that two pools never fight.

The runtime is asked for by name among what is loaded: `GOMP_parallel` is GNU's, and LLVM's and Intel's know it, too.
"""

from __future__ import annotations

import ctypes
from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from remanence.compiler.kernel import shared_by_all

__all__ = ["entrances", "kernel_at", "launch", "parts_of"]

# A compiled function as ctypes sees it: (part, numbers, arrays). A call releases Python's lock.
kernel_at = lru_cache(maxsize=1024)(ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p))


@dataclass(frozen=True, eq=False)
class _Pool:
    """The runtime: how a function runs on all threads (as ctypes calls it, and its address), and where each is told its
    number and how many they are."""

    parallel: Any
    door: int
    number: int
    count: int


@lru_cache(maxsize=1)
def _pool() -> _Pool | None:
    try:
        known = ctypes.CDLL(None)
        parallel = known.GOMP_parallel
        places = [ctypes.cast(getattr(known, f"omp_get_{name}"), ctypes.c_void_p) for name in _QUESTIONS]
    except (AttributeError, OSError, TypeError):
        return None
    parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    parallel.restype = None
    door = ctypes.cast(parallel, ctypes.c_void_p)
    return _Pool(parallel, *(place.value or 0 for place in (door, *places)))


_QUESTIONS = ("thread_num", "num_threads")


def parts_of(batch: int) -> int:
    """Among how many threads the rows of a batch are dealt; without a pool to share a kernel has one."""
    threads = min(torch.get_num_threads(), batch)
    return threads if threads > 1 and _pool() is not None else 1


def launch(kernel: int, numbers: int, arrays: int, parts: int) -> None:
    """Run all parts of a kernel, each on one thread.

    Args:
        kernel: its address.
        numbers, arrays: what it takes, by their addresses.
        parts: how many.
    """
    if parts == 1:
        kernel_at(kernel)(0, numbers, arrays)
        return
    pool = _pool()
    assert pool is not None
    given = array("q", (kernel, numbers, arrays, parts, pool.number, pool.count))
    pool.parallel(shared_by_all()["launch"], given.buffer_info()[0], parts, 0)


def entrances() -> tuple[int, int, int, int]:
    """Addresses for those who launch by themselves: of the pool's door, of what each thread runs there, of its two
    questions."""
    pool = _pool()
    assert pool is not None
    return pool.door, shared_by_all()["launch"], pool.number, pool.count
