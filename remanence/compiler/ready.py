"""A forward loop over whole batches of one shape, without gradients: all that a call need not find anew.

After a loop has filled the processor's caches each line of Python that follows is cold, and takes ten times as long as
in a tight loop. So a call is a handful of lines: two pieces of memory, the weights packed, the kernel.
"""

from __future__ import annotations

import ctypes

import numpy as np
import torch
from torch import Tensor

from remanence.compiler import threads
from remanence.compiler.arena import borrow
from remanence.compiler.call import PACK_AT, Call, Groups, kernel_at, shape_of
from remanence.compiler.kernel import Kernel
from remanence.compiler.reading import Reading
from remanence.compiler.rows import HEAD

__all__ = ["Ready"]

_DENSE = torch.contiguous_format


class Ready:
    """A kernel without a backward loop, ready for tensors of one shape.

    Args:
        kernel: that reads nothing but x, its biases plain parameters: see `possible`.
        groups: names of each parameter tensor.
        tensors: the parameters, of which only the shapes are looked at.
        flow: `[time, batch, feature]`, of which shape and strides are looked at.
    """

    def __init__(self, kernel: Kernel, groups: Groups, tensors: tuple[Tensor, ...], flow: Tensor) -> None:
        time, batch, features = flow.shape
        shape = self._shape = shape_of(kernel, groups, ((time, batch), features, tensors), flow.dtype)
        scratch, step = Call(shape, Reading(), shape.rows).scratch, kernel.step
        wide, names = flow.dtype.itemsize, shape.arrays[False]
        size = shape.padded[step.sizes[step.output]]
        self._states, self._true = (time + 1, batch, size), shape.true[step.sizes[step.output]]
        self._scratch = (scratch.size,)
        self._behind = np.array([scratch.places.get(name, (0, 0))[0] * wide for name in names], np.int64)
        self._inside = np.array([name in scratch.places for name in names], np.int64)
        self._x, self._out = names.index("x"), names.index(f"x_{step.output}")
        self._numbers = shape.numbers[False].copy()
        self._numbers[[HEAD.index("x_time"), HEAD.index("x_row")]] = flow.stride()[:2]
        packing = shape.packing[False]
        self._table, self._packed = packing.table, packing.names
        self._gaps = packing.size * wide if packing.gaps else 0
        self._start = batch * size * wide
        # Of each other state: where it begins, how many numbers an entry has, and of these how many a row shows.
        self._others = [
            (scratch.places[f"x_{name}"][0], shape.padded[step.sizes[name]], shape.true[step.sizes[name]])
            for name in step.state
            if name != step.output
        ]
        self._zeroed = [(begin * wide, batch * row * wide) for begin, row, _ in self._others]
        self._address = kernel.address(str(flow.dtype).removeprefix("torch."), False)
        self._call, self._parts = kernel_at(self._address), shape.rows.parts

    @property
    def possible(self) -> bool:
        """Whether the kernel is one of these, and what it packs is all that it reads."""
        return bool(self._shape.packing[False].lines) and not self._shape.kernel.forward.lanes.get("u")

    def run(self, tensors: tuple[Tensor, ...], flow: Tensor) -> tuple[Tensor, ...]:
        """Output `[time, batch, size]`, and the final states `[1, batch, size]`, the output's first; from zeros."""
        states, work = borrow(self._states, flow.dtype), borrow(self._scratch, flow.dtype)
        begin, place = work.data_ptr(), states.data_ptr()
        if self._gaps:
            ctypes.memset(begin, 0, self._gaps)
        ctypes.memset(place, 0, self._start)
        for behind, size in self._zeroed:
            ctypes.memset(begin + behind, 0, size)
        table, numbers = self._table.copy(), self._numbers.copy()
        table[:, 0] = self._shape.sources(tensors, self._packed)
        PACK_AT(self._shape.tiles.pack)(begin, table.ctypes.data, len(table))
        pointers = self._behind + begin * self._inside
        pointers[self._x], pointers[self._out] = flow.data_ptr(), place
        if self._parts == 1:
            self._call(0, numbers.ctypes.data, pointers.ctypes.data)
        else:
            threads.launch(self._address, numbers.ctypes.data, pointers.ctypes.data, self._parts)
        if self._true != self._states[2]:
            states = states[:, :, : self._true]
        time, batch = self._states[0] - 1, self._states[1]
        finals = [
            work.narrow(0, begin + (time & 1) * batch * row, batch * row)
            .view(1, batch, row)[:, :, :true]
            .clone(memory_format=_DENSE)
            for begin, row, true in self._others
        ]
        return _apart(states[1:]), states[time:].clone(memory_format=_DENSE), *finals


def _apart(view: Tensor) -> Tensor:
    """The same numbers as a tensor that autograd does not know for a view, where that makes a difference."""
    if torch.is_inference_mode_enabled():
        return view
    return torch.empty(0, dtype=view.dtype).set_(
        view.untyped_storage(), view.storage_offset(), view.shape, view.stride()
    )
