"""Loops over whole batches of one shape: all that a call need not find anew.

After a loop has filled the processor's caches each line of Python that follows is cold, and takes ten times as long as
in a tight loop. So a call is a handful of lines: a few pieces of memory, the weights packed, the kernel.

The pieces are `WORK`, which nobody reads behind the loop; `KEPT`, which a backward loop reads; `OUT`, the states that
are the output; `IN`, the input.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from remanence.compiler import threads
from remanence.compiler.arena import borrow
from remanence.compiler.call import PACK_AT, Shape
from remanence.compiler.ir import SCALAR
from remanence.compiler.rows import HEAD
from remanence.compiler.work import kept

__all__ = ["IN", "KEPT", "OUT", "WORK", "Loop", "Ready", "able", "apart"]

WORK, KEPT, OUT, IN = range(4)


def able(shape: Shape) -> bool:
    """Whether a kernel reads but x, its weights and states, and of the weights nothing but what is packed; and whether
    every quantity that is traced differs from step to step."""
    kernel = shape.kernel
    outside = kernel.step.given or kernel.forward.lanes.get("u")
    steady = any(home is None or home.array == "v" for home in map(kernel.forward_home, kernel.kept))
    return not outside and not steady and bool(shape.packing[False].lines)


class Loop:
    """A kernel's call, of which only addresses change.

    Args:
        shape: of all calls.
        backward: which loop.
        homes: array → (piece, elements from its beginning); what is not named is not read.
    """

    def __init__(self, shape: Shape, backward: bool, homes: dict[str, tuple[int, int]]) -> None:
        names, wide, packing = shape.arrays[backward], shape.dtype.itemsize, shape.packing[backward]
        self._shape, self._parts, self.numbers = shape, shape.rows.parts, shape.numbers[backward].copy()
        self._pieces = np.array([homes.get(name, (WORK, 0))[0] for name in names], np.int64)
        self._behind = np.array([homes.get(name, (WORK, 0))[1] * wide for name in names], np.int64)
        self._table, self._packed = packing.table, packing.names
        self._gaps = packing.size * wide if packing.gaps else 0
        self._address = shape.kernel.address(str(shape.dtype).removeprefix("torch."), backward)
        self._pack = PACK_AT(shape.tiles.pack)

    def run(self, tensors: tuple[Tensor, ...], pieces: tuple[int, ...], numbers: np.ndarray) -> None:
        """Pack the weights at the beginning of the first piece, and run.

        Args:
            tensors: the parameters.
            pieces: addresses.
            numbers: a copy of `self.numbers`, which the kernel writes to.
        """
        if self._gaps:
            ctypes.memset(pieces[0], 0, self._gaps)
        table = self._table.copy()
        table[:, 0] = self._shape.sources(tensors, self._packed)
        self._pack(pieces[0], table.ctypes.data, len(table))
        pointers = np.array(pieces, np.int64)[self._pieces]
        pointers += self._behind
        threads.launch(self._address, numbers.ctypes.data, pointers.ctypes.data, self._parts)


class Ready:
    """A forward loop, ready for tensors of one shape.

    Args:
        shape: of which `able` holds.
        strides: of the input, in time and batch.
    """

    def __init__(self, shape: Shape, strides: tuple[int, int]) -> None:
        step, layout, wide = shape.kernel.step, shape.kernel.forward, shape.dtype.itemsize
        self.shape, self.work, self._wide = shape, shape.whole_scratch, wide
        self.kept = kept(shape)
        self.homes = {name: (WORK, begin) for name, (begin, _) in self.work.places.items()}
        self.homes |= {name: (KEPT, begin) for name, (begin, _) in self.kept.places.items() if name != "v"}
        self.homes |= {"x": (IN, 0), f"x_{step.output}": (OUT, 0)}
        self._loop = Loop(shape, False, self.homes)
        self._loop.numbers[[HEAD.index("x_time"), HEAD.index("x_row")]] = strides
        self._states = (shape.time + 1, shape.batch, shape.row(step.output))
        # Of each state: its piece, numbers in an entry's row, how many of them count, where the first and last entry
        # begin.
        self._entries = []
        for name in step.state:
            (piece, begin), row = self.homes[f"x_{name}"], shape.row(name)
            first, last = (shape.time, 0) if shape.backwards else (0, shape.time)
            if name in layout.passing:
                # It has two entries, taken by turns.
                first, last = 0, shape.time & 1
            at = [begin + entry * shape.batch * row for entry in (first, last)]
            self._entries.append((piece, row, shape.true[step.sizes[name]], *at))
        self._zeroed = [(p, first * wide, shape.batch * row * wide) for p, row, _, first, _ in self._entries]
        # Rows of lanes that backward reads, when the rest of the work is used for something else.
        self._lines = []
        if "v" in self.kept.places:
            (there, size), here = self.kept.places["v"], self.work.places["v"][0]
            self._lines.append((there * wide, here * wide, size * wide))
        self._true = shape.true[step.sizes[step.output]]
        self._traced = [self._seen(name) for name in shape.kernel.kept]

    def _seen(self, name: str) -> tuple[int, tuple[int, ...], tuple[int, ...], int]:
        """Where a traced quantity `[time, batch, size]` lies: its piece, sizes, strides and first number."""
        shape, layout = self.shape, self.shape.kernel.forward
        home = shape.kernel.forward_home(name)
        assert home is not None
        size = layout.loop.sizes[shape.kernel.plan.quantities[name]]
        piece, begin = self.homes[home.array]
        if home.array == "s":
            row, begin = shape.width("s"), begin + shape.begin(home)
        else:
            row = shape.row(home.array.removeprefix("x_"))
            # One entry more than steps: what each step starts from, or what it leaves.
            begin += shape.batch * row if (home.step == 1) != shape.backwards else 0
        sizes = (shape.time, shape.batch, 1 if size == SCALAR else shape.true[size])
        return piece, sizes, (shape.batch * row, row, 1), begin

    def run(
        self, tensors: tuple[Tensor, ...], flow: Tensor, starts: Sequence[Tensor] = ()
    ) -> tuple[Tensor, list[Tensor], list[Tensor], tuple[Tensor, Tensor]]:
        """Read a batch.

        Args:
            tensors: the parameters.
            flow: `[time, batch, feature]`.
            starts: states before the first step, `[batch, size]`; none: zeros.

        Returns:
            Output `[time, batch, size]`; final states `[batch, size]`; the quantities that the kernel keeps,
            `[time, batch, size]`; the pieces `KEPT` and `OUT`.
        """
        dtype = flow.dtype
        work, out = borrow((self.work.size,), dtype), borrow(self._states, dtype)
        left = borrow((self.kept.size,), dtype) if self.kept.size else work
        pieces, held = (work.data_ptr(), left.data_ptr(), out.data_ptr(), flow.data_ptr()), (work, left, out)
        for piece, begin, size in self._zeroed:
            ctypes.memset(pieces[piece] + begin, 0, size)
        for value, (piece, row, true, first, _) in zip(starts, self._entries, strict=bool(starts)):
            torch.as_strided(held[piece], (self.shape.batch, true), (row, 1), first).copy_(value)
        shown = out[:-1] if self.shape.backwards else out[1:]
        if self._true != self._states[2]:
            shown = shown[:, :, : self._true]
        shown = apart(shown)
        finals = [torch.empty(self.shape.batch, true, dtype=dtype) for _, _, true, _, _ in self._entries]
        ends = [final.data_ptr() for final in finals]
        self._loop.run(tensors, pieces, self._loop.numbers.copy())
        for there, here, size in self._lines:
            ctypes.memmove(pieces[KEPT] + there, pieces[WORK] + here, size)
        for final, end, (piece, row, true, _, last) in zip(finals, ends, self._entries, strict=True):
            if row == true:
                ctypes.memmove(end, pieces[piece] + last * self._wide, self.shape.batch * row * self._wide)
            else:
                final.copy_(torch.as_strided(held[piece], (self.shape.batch, true), (row, 1), last))
        traces = [
            apart(torch.as_strided(held[piece], sizes, strides, begin)) for piece, sizes, strides, begin in self._traced
        ]
        return shown, finals, traces, (left, out)


def apart(view: Tensor) -> Tensor:
    """The same numbers as a tensor that autograd does not know for a view, where that makes a difference: one may then
    change it in place."""
    if torch.is_inference_mode_enabled():
        return view
    return torch.empty(0, dtype=view.dtype).set_(
        view.untyped_storage(), view.storage_offset(), view.shape, view.stride()
    )
