"""The sum and the highest value of the steps of each sequence, by kernels that read every step once.

Written out in PyTorch the steps are copied twice, without what stands beyond an end, and passed over a dozen times
behind that; a layer that reads texts of a thousand words spends less time on its equations.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from remanence.compiler import threads
from remanence.compiler.arena import borrow
from remanence.compiler.gradients import many_at_once
from remanence.compiler.kernel import functions_of
from remanence.compiler.machine import MACHINE

__all__ = ["able", "kernels", "sum_and_highest"]

_SOURCE = '''"""Written by remanence: Σ_t x_tk and max_t x_tk of each sequence's own steps, in one dtype."""

from math import inf

from numba.core import types

from remanence.compiler.compiling import compiled
from remanence.compiler.pointwise import absolute
from remanence.compiler.vector import add_at, load, splat, store, where_positive

NUMBERS, ARRAYS = types.CPointer(types.int64), types.CPointer(types.CPointer(types.{dtype}))
one = {width}


@compiled(types.int64, NUMBERS, ARRAYS)
def forward(part, numbers, arrays):
    parts, batch, size, step, row = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    x, total, highest, place = arrays[0], arrays[1], arrays[2], arrays[3]
    for r in range(part * batch // parts, (part + 1) * batch // parts):
        base = r * size
        for k in range(base, base + size, one):
            store(total, k, splat(x, 0.0))
            store(highest, k, splat(x, -inf))
            store(place, k, splat(x, 0.0))
        for t in range(min(numbers[6 + r], numbers[5])):
            here, at = splat(x, t), r * row + t * step - base
            for k in range(base, base + size, one):
                value, best = load(x, at + k), load(highest, k)
                add_at(total, k, value)
                store(place, k, where_positive(value - best, here, load(place, k)))
                # Neither above the other: they are alike, or one is no number, and so is what comes of it.
                alike = 0.5 * value + 0.5 * best
                store(highest, k, where_positive(value - best, value, where_positive(best - value, best, alike)))


@compiled(types.int64, NUMBERS, ARRAYS)
def backward(part, numbers, arrays):
    parts, batch, size, step, row, time = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    dx, total, highest, place = arrays[0], arrays[1], arrays[2], arrays[3]
    for r in range(part * batch // parts, (part + 1) * batch // parts):
        base = r * size
        for t in range(time):
            here, at = splat(dx, t), r * row + t * step - base
            if t < numbers[6 + r]:
                for k in range(base, base + size, one):
                    mine = where_positive(0.5 - absolute(load(place, k) - here), load(highest, k), splat(dx, 0.0))
                    store(dx, at + k, load(total, k) + mine)
            else:
                for k in range(base, base + size, one):
                    store(dx, at + k, splat(dx, 0.0))
'''
_COUNTED = 2**24
"""Steps that float32 counts one by one."""


@lru_cache(maxsize=2)
def kernels(dtype: str) -> dict[str, int]:
    """Addresses of both kernels of a dtype; compiled, or read from the cache, at the first call."""
    source = _SOURCE.format(dtype=dtype, width=MACHINE.width(4 if dtype == "float32" else 8))
    return functions_of(source, "pooling", ("forward", "backward"))


def able(data: Tensor) -> bool:
    """Whether steps `[batch, time, size]` lie as the kernels read them: in whole registers."""
    whole = data.shape[2] % MACHINE.width(data.dtype.itemsize) == 0
    return whole and data.stride(2) == 1 and data.shape[1] <= _COUNTED


def _run(name: str, steps: Tensor, lengths: np.ndarray, others: list[Tensor]) -> None:
    (batch, time, size), parts = steps.shape, threads.parts_of(len(steps))
    head = np.array([parts, batch, size, steps.stride(1), steps.stride(0), time], np.int64)
    numbers = np.concatenate([head, lengths])
    pointers = np.array([array.data_ptr() for array in (steps, *others)], np.int64)
    kernel = kernels(str(steps.dtype).removeprefix("torch."))[name]
    threads.launch(kernel, numbers.ctypes.data, pointers.ctypes.data, parts)


class _Pooled(torch.autograd.Function):
    """steps, lengths → sum, highest."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, lengths: np.ndarray) -> tuple[Tensor, Tensor]:
        total, highest, place = (data.new_empty(len(data), data.shape[2]) for _ in range(3))
        _run("forward", data, lengths, [total, highest, place])
        ctx.place, ctx.lengths, ctx.like = place, lengths, (data.shape, data.stride(1) > data.stride(0), data.dtype)
        return total, highest

    @staticmethod
    def backward(ctx: Any, of_total: Tensor, of_highest: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (batch, time, size), first, dtype = ctx.like
        if torch.is_grad_enabled() or many_at_once(of_total) or many_at_once(of_highest):
            steps = torch.arange(time)[:, None]
            inside = steps < torch.from_numpy(ctx.lengths)[:, None, None]
            there = inside & (steps == ctx.place[:, None])
            return torch.where(inside, of_total[:, None], 0.0) + torch.where(there, of_highest[:, None], 0.0), None
        # As the steps lie themselves: of a layer, one step of all sequences behind the other.
        found = borrow((time, batch, size), dtype).transpose(0, 1) if first else borrow((batch, time, size), dtype)
        _run("backward", found, ctx.lengths, [of_total.contiguous(), of_highest.contiguous(), ctx.place])
        return found, None


def sum_and_highest(data: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Sum the steps of each sequence, and find the highest value of each feature.

    Args:
        data: `[batch, time, size]`, of which `able` holds, on the CPU, float32 or float64; beyond a sequence's length
            anything may stand.
        lengths: int64 `[batch]`, each in 0 … time.

    Returns:
        Both `[batch, size]`; without steps 0 and -inf. Of equal values the first gets the gradient.

    Example:
        >>> steps = torch.zeros(1, 3, 16)
        >>> steps[0, :, 0] = torch.tensor([1.0, 4.0, 9.0])
        >>> [found[0, 0].item() for found in sum_and_highest(steps, torch.tensor([2]))]
        [5.0, 4.0]
    """
    return _Pooled.apply(data, lengths.numpy().copy())  # type: ignore[no-any-return]
