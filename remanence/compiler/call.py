"""One call of a cell's kernels: its sizes, how its rows are dealt, and the call itself."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numba
import numpy as np
import torch
from torch import Tensor

from remanence.compiler.emit_cpu import arrays_of, sizes_of
from remanence.compiler.ir import SCALAR, Step
from remanence.compiler.kernel import Kernel, launcher, most_threads, tiles
from remanence.compiler.layout import Home
from remanence.compiler.reading import Reading
from remanence.compiler.rows import Rows, numbers
from remanence.compiler.vector import MACHINE

__all__ = ["BACKWARD_BYTES", "Call", "call_of"]

# Compiled functions as ctypes sees them; a call releases Python's lock.
_LONG, _PLACE = ctypes.c_int64, ctypes.c_void_p
_KERNEL = ctypes.CFUNCTYPE(None, _LONG, _PLACE, _PLACE)
_PACK = ctypes.CFUNCTYPE(None, _PLACE, _LONG, _LONG, _PLACE, *[_LONG] * 6)
_kernel_at = lru_cache(maxsize=512)(_KERNEL)
_pack_at = lru_cache(maxsize=8)(_PACK)

FORWARD_BYTES, BACKWARD_BYTES = 2**18, 2**19
"""Room for the products ahead of a few steps, and for the adjoints behind them: what stays in a core's own cache."""
LEAST_ROWS, MOST_ROWS = 64, 512


@dataclass(frozen=True, eq=False)
class Call:
    """What one call knows besides its tensors.

    Args:
        kernel: its loops.
        groups: names of each parameter tensor: one, or those of a stack.
        true, padded: sizes by name.
        rows: how the batch is dealt.
        reading: lengths, direction, trace.
        dtype: of all tensors.
    """

    kernel: Kernel
    groups: tuple[tuple[str, ...], ...]
    true: dict[str, int]
    padded: dict[str, int]
    rows: Rows
    reading: Reading
    dtype: torch.dtype

    @property
    def step(self) -> Step:
        return self.kernel.step

    @property
    def lengths(self) -> Tensor | None:
        return self.reading.lengths

    @property
    def given(self) -> tuple[str, ...]:
        return tuple(self.step.given)

    @property
    def batch(self) -> int:
        return len(self.rows.order)

    def named(self, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Parameters by name, from the tensors of the groups."""
        found: dict[str, Tensor] = {}
        for names, tensor in zip(self.groups, tensors, strict=True):
            if len(names) == 1:
                found[names[0]] = tensor
            else:
                found |= zip(names, tensor.chunk(len(names)), strict=True)
        return found

    def sorted(self, rest: tuple[Tensor, ...]) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """What is given, parameters and states by name, from all tensors but the input."""
        one, two = len(self.given), len(self.given) + len(self.groups)
        given = dict(zip(self.given, rest[:one], strict=True))
        return given, self.named(rest[one:two]), dict(zip(self.step.state, rest[two:], strict=True))

    def with_rows(self, lanes: int) -> Call:
        """The same call for a backward pass whose rows of adjoints have so many numbers."""
        least = int(np.diff(self.rows.bounds).max())
        rows = max(least, _most(lanes * self.dtype.itemsize, BACKWARD_BYTES))
        return replace(self, rows=replace(self.rows, most=rows))

    def begin(self, home: Home) -> int:
        return sum(self.padded[size] for size in home.before)

    def start(self, arrays: Mapping[str, Tensor], head: Mapping[str, int], backward: bool) -> None:
        """Run a kernel to its end."""
        dtype = str(self.dtype).removeprefix("torch.")
        shared, parts = tiles(dtype), self.rows.parts
        head = {"spread": shared.spread, "gather": shared.gather, "sums": shared.sums, "fill": shared.fill, **head}
        head |= {"sign": -1 if self.reading.backwards else 1}
        whole = numbers(head, [self.true[name] for name in sizes_of(self.step)], self.rows)
        names = arrays_of(self.step, backward)
        pointers = np.array([arrays[name].data_ptr() if name in arrays else 0 for name in names], np.int64)
        address = self.kernel.address(dtype, backward)
        if parts == 1:
            _kernel_at(address)(0, whole.ctypes.data, pointers.ctypes.data)
            return
        before = numba.get_num_threads()
        numba.set_num_threads(parts)
        launcher()(address, whole.ctypes.data, pointers.ctypes.data, parts)
        numba.set_num_threads(before)

    def pack(self, parameters: Mapping[str, Tensor], backward: bool) -> Tensor:
        """The matrices in panels, one run behind the other."""
        runs = self.kernel.runs[backward].packed
        sizes = [run.elements(self.true, self.padded, backward) for run in runs]
        packed = torch.zeros(sum(sizes), dtype=self.dtype)
        pack, start = _pack_at(tiles(str(self.dtype).removeprefix("torch.")).pack), 0
        for run, size in zip(runs, sizes, strict=True):
            wide = sum(self.padded[block] for block in run.blocks)
            depth, columns = (wide, self.padded[run.other]) if backward else (self.true[run.other], wide)
            place = 0
            for name, block in zip(run.matrices, run.blocks, strict=True):
                matrix = parameters[name].contiguous()
                row, column = (place, 0) if backward else (0, place)
                to = packed.data_ptr()
                pack(matrix.data_ptr(), *matrix.shape, to, start, depth, columns, row, column, not backward)
                place += self.padded[block]
            start += size
        return packed


def _most(bytes_a_row: int, room: int) -> int:
    return max(LEAST_ROWS, min(MOST_ROWS, room // max(bytes_a_row, 1)))


def call_of(
    kernel: Kernel,
    groups: tuple[tuple[str, ...], ...],
    tensors: list[Tensor],
    inputs: Tensor,
    state: Mapping[str, Tensor],
    reading: Reading,
) -> Call:
    """Find the sizes, and deal the rows."""
    step = kernel.step
    time, batch, features = inputs.shape
    true = {"input": features, **{step.sizes[name]: value.shape[-1] for name, value in state.items()}}
    for names, tensor in zip(groups, tensors, strict=True):
        shape = (tensor.shape[0] // len(names), *tensor.shape[1:])
        true |= zip(step.parameter(names[0]).axes, shape, strict=True)
    for name, value in reading.given.items():
        true.setdefault(step.given[name], value.shape[-1])
    width = MACHINE.width(inputs.element_size())
    padded = {name: -(-size // width) * width for name, size in true.items()} | {SCALAR: width}
    wanted = min(torch.get_num_threads(), batch)
    threads = min(wanted, most_threads()) if wanted > 1 else 1
    most = _most(kernel.lanes("g", padded) * inputs.element_size(), FORWARD_BYTES)
    counted = None if reading.lengths is None else reading.lengths.numpy()
    rows = Rows.deal(batch, time, counted, max(threads, 1), backwards=reading.backwards, most=most)
    return Call(kernel, groups, true, padded, rows, reading, inputs.dtype)
