"""One call of a cell's kernels: what is known of its sizes beforehand, how its rows are dealt, and the call itself."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from remanence.compiler import threads
from remanence.compiler.emit_cpu import arrays_of, sizes_of
from remanence.compiler.ir import SCALAR, Step
from remanence.compiler.kernel import Kernel, Tiles, shared_by_all, tiles
from remanence.compiler.layout import Home
from remanence.compiler.machine import MACHINE
from remanence.compiler.reading import Reading, other_sizes
from remanence.compiler.rows import HEAD, LISTS, Rows, numbers
from remanence.compiler.scratch import Scratch
from remanence.compiler.tables import Packing

__all__ = ["Call", "Groups", "Shape", "call_of", "new_shape", "shape_of"]

Groups = tuple[tuple[str, ...], ...]
"""Names of each parameter tensor: one, or those of a stack."""

_ROOM = {False: 2**18, True: 2**22}
"""Bytes for the products ahead of a few steps, which stay in a core's own cache; and for the adjoints behind them, many
rows, for each time the gradients of the matrices, which may be larger than that cache, are read and written once."""
_LEAST_ROWS, _MOST_ROWS = 64, 512


@dataclass(frozen=True, eq=False)
class Shape:
    """What calls of one kernel on tensors of the same sizes have in common; made once.

    Args:
        kernel: its loops.
        groups: the parameter tensors.
        time, batch: of the input.
        true: sizes by name.
        dtype: of all tensors.
        threads: that share the batch.
        backwards: whether each sequence is read from its end.
    """

    kernel: Kernel
    groups: Groups
    time: int
    batch: int
    true: Mapping[str, int]
    dtype: torch.dtype
    threads: int
    backwards: bool

    @cached_property
    def padded(self) -> dict[str, int]:
        """Sizes by name, in whole registers."""
        width = MACHINE.width(self.dtype.itemsize)
        return {name: -(-size // width) * width for name, size in self.true.items()} | {SCALAR: width}

    @cached_property
    def tiles(self) -> Tiles:
        return tiles(str(self.dtype).removeprefix("torch."))

    def begin(self, home: Home) -> int:
        """Where a home begins in its row."""
        return sum(self.padded[size] for size in home.before)

    def width(self, array: str, backward: bool = False) -> int:
        """Numbers in a row of an array, as the kernel strides over it."""
        found = self._widths.get((array, backward))
        if found is None:
            found = self._widths[array, backward] = self._width(array, backward)
        return found

    @cached_property
    def _widths(self) -> dict[tuple[str, bool], int]:
        return {}

    def _width(self, array: str, backward: bool) -> int:
        lanes = self.kernel.lanes(array, self.padded, backward)
        return lanes + self.padded[SCALAR] if array in "gd" else lanes

    @cached_property
    def most(self) -> dict[bool, int]:
        """Rows that are worked on at once, by whether backward."""
        return {
            back: max(_LEAST_ROWS, min(_MOST_ROWS, room // (self.width("gd"[back], back) * self.dtype.itemsize)))
            for back, room in _ROOM.items()
        }

    def row(self, state: str) -> int:
        """Numbers in a row of a state."""
        return self.padded[self.kernel.step.sizes[state]]

    def at_once(self, rows: Rows, backward: bool) -> int:
        """Rows of a few steps that are worked on at once: at least all that a thread has of one step."""
        return max(self.most[backward], rows.longest)

    @cached_property
    def gradient_size(self) -> int:
        """Numbers in all gradients of one thread."""
        return self.kernel.runs[True].gradient_size(self.true, self.padded)

    @cached_property
    def rows(self) -> Rows:
        """The whole batch, all steps."""
        return Rows.whole(self.batch, self.time, self.threads, backwards=self.backwards)

    @cached_property
    def dealing(self) -> np.ndarray:
        """The sizes that `performing.deal` takes."""
        return np.array([self.batch, self.time, self.threads, self.backwards], np.int64)

    def dealt(self, lengths: Tensor) -> Rows:
        """Sequences of unequal length, long and short ones alike for each thread; lengths: of `own_lengths`."""
        sizes = [self.threads + 1, self.time * self.threads, self.batch, self.batch]
        found, room = np.empty(sum(sizes), np.int64), np.empty(self.time + 1, np.int64)
        _deal()(found.ctypes.data, lengths.data_ptr(), self.dealing.ctypes.data, room.ctypes.data)
        bounds, counts, order, entry = np.split(found, np.cumsum(sizes[:-1]))
        return Rows(self.time, order, bounds, counts.reshape(self.time, self.threads), entry)

    @cached_property
    def numbers(self) -> Mapping[bool, np.ndarray]:
        """The kernel's integers for the whole batch, by whether backward; strides are still to be filled in."""
        ways = (False, True) if self.kernel.backward is not None else (False,)
        return {way: self.integers(self.rows, way) for way in ways}

    def integers(self, rows: Rows, backward: bool) -> np.ndarray:
        """The kernel's integers; strides are still to be filled in."""
        known = self.tiles
        keep = backward or self.keeping
        head = {"spread": known.spread, "gather": known.gather, "sums": known.sums, "fill": known.fill}
        head |= {"sign": -1 if self.backwards else 1, "keep": int(keep)}
        head |= {"most": self.at_once(rows, backward)}
        if backward:
            head["z_size"] = self.gradient_size
        return numbers(head, [self.true[name] for name in sizes_of(self.kernel.step)], rows)

    def listed(self, backward: bool) -> int:
        """How many of the kernel's integers are lists, the last ones, which it writes itself."""
        return self.rows.parts * len(LISTS) * self.at_once(self.rows, backward)

    @cached_property
    def arrays(self) -> Mapping[bool, list[str]]:
        """Names of the kernel's arrays, by whether backward."""
        return {way: arrays_of(self.kernel.step, way) for way in (False, True)}

    @cached_property
    def packing(self) -> Mapping[bool, Packing]:
        """What is packed where, by whether backward."""
        ways = (False, True) if self.kernel.backward is not None else (False,)
        return {way: self._packed(way) for way in ways}

    def _packed(self, backward: bool) -> Packing:
        parts: list[tuple[int, ...]] = []
        start = filled = 0
        for run in self.kernel.runs[backward].packed:
            wide = sum(self.padded[block] for block in run.blocks)
            depth, columns = (wide, self.padded[run.other]) if backward else (self.true[run.other], wide)
            place = 0
            for name, block in zip(run.matrices, run.blocks, strict=True):
                size, other = self.true[block], self.true[run.other]
                inner, count = (size, other) if backward else (other, size)
                row, column = (place, 0) if backward else (0, place)
                parts.append((*self.begins(name), start, inner, count, depth, columns, row, column, int(not backward)))
                filled += size * other
                place += self.padded[block]
            start += run.elements(self.true, self.padded, backward)
        rows: dict[str, tuple[int, int]] = {}
        for array, vectors in ({} if backward else self._plain_vectors()).items():
            width = self.kernel.lanes({"b": "g"}.get(array, array), self.padded)
            rows[array] = (start, width)
            for name, home, size in vectors:
                # A row of lanes is a matrix in panels of one row.
                parts.append((*self.begins(name), start, 1, size, 1, width, 0, self.begin(home), 1))
                filled += size
            start += width
        return Packing(parts, start, filled, rows)

    @cached_property
    def pack_tables(self) -> dict[bool, np.ndarray]:
        """By whether backward, for calls whose addresses are the panels and the parameter tensors."""
        return {way: packing.table(1, (0, 0), self.threads) for way, packing in self.packing.items()}

    def _plain_vectors(self) -> dict[str, list[tuple[str, Home, int]]]:
        """The parameters that rows of lanes are made of; none where they are computed, repeated or added up."""
        plan, layout = self.kernel.plan, self.kernel.forward
        sizes, leaves = layout.loop.sizes, layout.loop.leaves
        found = {"v": [(slot, slot) for slot, leaf in leaves.items() if leaf[0] == "vector"]}
        found["b"] = [(hoist.out, slot) for hoist in layout.loop.hoisted for slot in hoist.biases]
        slots = [slot for pairs in found.values() for _, slot in pairs]
        if any(slot not in plan.vectors or sizes[slot] == SCALAR for slot in slots):
            return {}
        if len({out for out, _ in found["b"]}) < len(found["b"]):
            return {}
        return {
            array: [(plan.vectors[slot], layout.homes[out], self.true[sizes[slot]]) for out, slot in pairs]
            for array, pairs in found.items()
        }

    def scratch(self, rows: Rows) -> Scratch:
        """The work of a forward loop; the rows of lanes that are packed lie in the memory of the matrices."""
        layout, packing = self.kernel.forward, self.packing[False]
        sizes = {"w": packing.size, "g": rows.parts * self.at_once(rows, False) * self.width("g")}
        sizes |= {"k": self.batch * self.width("k"), "l": rows.parts * self.width("l")}
        if not self.keeping:
            sizes["s"] = self.batch * self.width("s")
        sizes |= {f"x_{name}": 2 * self.batch * self.row(name) for name in layout.passing}
        found = Scratch.of(sizes, self.dtype.itemsize)
        return Scratch({**found.places, **packing.lines}, found.size)

    @cached_property
    def whole_scratch(self) -> Scratch:
        """Of the whole batch."""
        return self.scratch(self.rows)

    @cached_property
    def keeping(self) -> bool:
        """Whether every step's values are kept."""
        return self.kernel.keeping

    def begins(self, name: str) -> tuple[int, int]:
        """Which tensor a parameter is in, and how many elements before it."""
        index, part = self.places[name]
        return index, part * math.prod(self.true[axis] for axis in self.kernel.step.parameter(name).axes)

    @cached_property
    def places(self) -> dict[str, tuple[int, int]]:
        """Which tensor a parameter is in, and at which of its equal parts."""
        return {name: (i, part) for i, names in enumerate(self.groups) for part, name in enumerate(names)}

    def named(self, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Parameters by name."""
        parts = [tensor.chunk(len(names)) for names, tensor in zip(self.groups, tensors, strict=True)]
        return {name: parts[index][part] for name, (index, part) in self.places.items()}


@dataclass(frozen=True, eq=False)
class Call:
    """One call.

    Args:
        shape: what it has in common with others.
        reading: lengths, direction, trace.
    """

    shape: Shape
    reading: Reading

    @cached_property
    def rows(self) -> Rows:
        """How the batch is dealt."""
        return self.shape.rows if self.lengths is None else self.shape.dealt(self.lengths)

    @property
    def keeping(self) -> bool:
        return self.shape.keeping

    @property
    def kernel(self) -> Kernel:
        return self.shape.kernel

    @property
    def step(self) -> Step:
        return self.shape.kernel.step

    @property
    def lengths(self) -> Tensor | None:
        return self.reading.lengths

    @cached_property
    def scratch(self) -> Scratch:
        """The plan of the memory that nobody reads behind the forward loop."""
        if self.lengths is None:
            return self.shape.whole_scratch
        return self.shape.scratch(self.rows)

    def sorted(self, rest: tuple[Tensor, ...]) -> tuple[dict[str, Tensor], tuple[Tensor, ...], dict[str, Tensor]]:
        """What is given, parameter tensors and states, from all tensors but the input."""
        names = tuple(self.step.given)
        one, two = len(names), len(names) + len(self.shape.groups)
        given = dict(zip(names, rest[:one], strict=True))
        return given, rest[one:two], dict(zip(self.step.state, rest[two:], strict=True))

    def start(self, arrays: Mapping[str, Tensor], strides: Mapping[str, int], backward: bool) -> None:
        """Run a kernel to its end."""
        shape, parts = self.shape, self.rows.parts
        uniform = self.lengths is None
        whole = shape.numbers[backward].copy() if uniform else shape.integers(self.rows, backward)
        for name, value in strides.items():
            whole[_AT[name]] = value
        places = {name: array.data_ptr() for name, array in arrays.items()}
        if whole_scratch := places.pop("scratch", 0):
            wide = shape.dtype.itemsize
            places |= {
                n: whole_scratch + begin * wide for n, (begin, _) in self.scratch.places.items() if n not in places
            }
        pointers = np.array([places.get(name, 0) for name in shape.arrays[backward]], np.int64)
        address = shape.kernel.address(str(shape.dtype).removeprefix("torch."), backward)
        threads.launch(address, whole.ctypes.data, pointers.ctypes.data, parts)

    def pack(self, tensors: tuple[Tensor, ...], packed: Tensor, backward: bool) -> None:
        """Put the matrices in panels, one run behind the other."""
        shape, packing = self.shape, self.shape.packing[backward]
        if packing.filled < packing.size:
            packed.zero_()
        table = shape.pack_tables[backward]
        bases = np.array([packed.data_ptr(), *(tensor.data_ptr() for tensor in tensors)], np.int64)
        threads.launch(shape.tiles.pack, table.ctypes.data, bases.ctypes.data, int(table[1]))


@lru_cache(maxsize=1)
def _deal() -> Any:
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(shared_by_all()["deal"])


_AT = {name: place for place, name in enumerate(HEAD)}


def new_shape(kernel: Kernel, groups: Groups, sizes: tuple[Any, ...], dtype: torch.dtype, *ways: Any) -> Shape:
    """Name the sizes of calls; they may be symbols, as torch.compile has them.

    Args:
        kernel, groups, dtype, ways: see `Shape`; ways are threads and backwards.
        sizes: (time, batch), features of the input, those of the parameter tensors, what these do not tell by name.
    """
    (time, batch), features, tensors, others = sizes
    step, (threads, backwards) = kernel.step, ways
    true = {"input": features, **dict(others)}
    for names, size in zip(groups, tensors, strict=True):
        true |= zip(step.parameter(names[0]).axes, (size[0] // len(names), *size[1:]), strict=True)
    return Shape(kernel, groups, time, batch, true, dtype, threads, backwards)


_known_shape = lru_cache(maxsize=512)(new_shape)


def shape_of(
    kernel: Kernel,
    groups: Groups,
    tensors: tuple[tuple[int, int], int, Sequence[Tensor]],
    dtype: torch.dtype,
    backwards: bool = False,
    others: tuple[tuple[str, int], ...] = (),
) -> Shape:
    """Find the sizes of calls.

    Args:
        kernel, groups: see `Shape`.
        tensors: (time, batch), features of the input, the parameter tensors.
        dtype: of all tensors.
        backwards: see `Shape`.
        others: sizes that no parameter tells.
    """
    (time, batch), features, parameters = tensors
    sizes = ((time, batch), features, tuple(tensor.shape for tensor in parameters), others)
    return _known_shape(kernel, groups, sizes, dtype, threads.parts_of(batch), backwards)


def call_of(
    kernel: Kernel,
    groups: Groups,
    tensors: list[Tensor],
    inputs: Tensor,
    state: Mapping[str, Tensor],
    reading: Reading,
) -> Call:
    """Find the sizes; lengths are of `own_lengths`."""
    step = kernel.step
    time, batch, features = inputs.shape
    others = other_sizes(step, state, reading.given)
    shape = shape_of(kernel, groups, ((time, batch), features, tensors), inputs.dtype, reading.backwards, others)
    return Call(shape, reading)
