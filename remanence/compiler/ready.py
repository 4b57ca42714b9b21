"""Loops over batches of one shape: all that a call need not find anew.

A call makes the tensors that it returns, and runs a program (see `program`), which was written at the first call.

Its addresses are `WORK`, which nobody reads behind the loop; `KEPT`, which a backward loop reads; `OUT`, the states
that are the output; `IN`, the input; `LENGTHS`, those of the sequences, where they differ; then those of other tensors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from remanence.compiler.arena import borrow, scratch
from remanence.compiler.call import Shape
from remanence.compiler.emit_cpu import whole_numbers
from remanence.compiler.ir import SCALAR
from remanence.compiler.kernel import shared_by_all
from remanence.compiler.program import FIRST, NOWHERE, WORD, Place, Program
from remanence.compiler.rows import HEAD
from remanence.compiler.work import kept

__all__ = ["KEPT", "LENGTHS", "OUT", "WORK", "Ready", "able", "apart", "loop"]

WORK, KEPT, OUT, IN, LENGTHS = range(FIRST, FIRST + 5)


def able(shape: Shape) -> bool:
    """Whether a kernel reads but x, its weights and states, and of the weights nothing but what is packed; and whether
    every quantity that is traced differs from step to step."""
    kernel = shape.kernel
    outside = kernel.step.given or kernel.forward.lanes.get("u")
    steady = any(home is None or home.array == "v" for home in map(kernel.forward_home, kernel.kept))
    return not outside and not steady and bool(shape.packing[False].lines)


def loop(
    program: Program, ready: Ready, homes: dict[str, tuple[int, int]], first: int, strides: dict[str, Place]
) -> None:
    """Write lines that pack the weights and run a kernel: the backward one if there is a gradient to arrive.

    Args:
        program: to write to; its room is behind the work.
        ready: for what calls.
        homes: array → (base, elements behind it); what is not named is not read.
        first: base of the first parameter tensor.
        strides: of `rows.HEAD`, where they come from.
    """
    shape, backward = ready.shape, "e" in homes
    wide = shape.dtype.itemsize
    packing, template = shape.packing[backward], shape.integers(shape.rows, backward)
    if packing.filled < packing.size:
        program.zero((WORK, 0), packing.size * wide)
    table = packing.table(first, (WORK, 0), shape.threads)
    program.launch(shape.tiles.pack, int(table[1]), program.held(table))
    numbers, given = program.space(len(template)), template[: -shape.listed(backward)].copy()
    program.copy(numbers, program.held(given), given.nbytes)
    if ready.uneven:
        dealt = numbers[0], numbers[1] + len(whole_numbers(shape.kernel.step)) * template.itemsize
        room = program.space(shape.time + 1)
        program.call(shared_by_all()["deal"], dealt, (LENGTHS, 0), program.held(shape.dealing), room)
    for name, value in strides.items():
        program.put((numbers[0], numbers[1] + HEAD.index(name) * template.itemsize), value)
    names = shape.arrays[backward]
    arrays = program.space(len(names))
    for place, name in enumerate(names):
        base, behind = homes.get(name, (NOWHERE, 0))
        program.put((arrays[0], arrays[1] + 8 * place), (base, behind * wide))
    address = shape.kernel.address(str(shape.dtype).removeprefix("torch."), backward)
    program.launch(address, shape.rows.parts, numbers, arrays)


@dataclass(frozen=True)
class _Entries:
    """Where the entries of a state lie, `[entry, batch, row]`.

    Args:
        base, begin: their place.
        batch: rows of an entry.
        row, true: bytes of a row, and those that count.
        turns: whether there are two entries alone, taken by turns.
    """

    base: int
    begin: int
    batch: int
    row: int
    true: int
    turns: bool

    def at(self, entry: int) -> Place:
        """Where an entry begins."""
        return self.base, self.begin + entry * self.batch * self.row

    def sizes(self, last: bool) -> np.ndarray:
        """What `performing.enter` and `performing.leave` take; the last one is theirs."""
        return np.array([self.batch, self.row // WORD, self.true // WORD, last], np.int64)


class Ready:
    """A forward loop, ready for tensors of one shape.

    Args:
        shape: of which `able` holds.
        strides: of the input, in time and batch.
        uneven: whether sequences differ in length; then nothing is traced.
    """

    def __init__(self, shape: Shape, strides: tuple[int, int], uneven: bool = False) -> None:
        step, layout, wide = shape.kernel.step, shape.kernel.forward, shape.dtype.itemsize
        self.shape, self.uneven, self._strides, work = shape, uneven, strides, shape.whole_scratch
        self.kept = kept(shape)
        self.homes = {name: (WORK, begin) for name, (begin, _) in work.places.items()}
        self.homes |= {name: (KEPT, begin) for name, (begin, _) in self.kept.places.items() if name != "v"}
        self.homes |= {"x": (IN, 0), f"x_{step.output}": (OUT, 0)}
        self._states = (shape.time + 1, shape.batch, shape.row(step.output))
        self._entries = []
        for name in step.state:
            (base, begin), sizes = (
                self.homes[f"x_{name}"],
                (shape.row(name) * wide, shape.true[step.sizes[name]] * wide),
            )
            self._entries.append(_Entries(base, begin * wide, shape.batch, *sizes, name in layout.passing))
        self._true = shape.true[step.sizes[step.output]]
        self._finals = [(shape.batch, shape.true[step.sizes[name]]) for name in step.state]
        self._traced = [self._seen(name) for name in shape.kernel.kept]
        self._programs: dict[bool, Program] = {}

    def _written(self, started: bool) -> Program:
        """The program: addresses as above, of final states, of states to start from, of parameters."""
        shape, wide, count = self.shape, self.shape.dtype.itemsize, len(self._entries)
        program, shared = Program(WORK, shape.whole_scratch.size * wide), shared_by_all()
        finals, starts, lengths = LENGTHS + 1, LENGTHS + 1 + count, (LENGTHS, 0)
        first, last = (shape.time, 0) if shape.backwards else (0, shape.time)
        if self.uneven:
            # Steps that a short sequence never takes must show zeros.
            program.zero((OUT, 0), math.prod(self._states) * wide)
        for place, state in enumerate(self._entries):
            source = (starts + place, 0) if started else (NOWHERE, 0)
            if self.uneven and shape.backwards and not state.turns:
                program.call(shared["enter"], state.at(0), source, lengths, program.held(state.sizes(started)))
                continue
            to = state.at(0 if state.turns else first)
            program.zero(to, state.batch * state.row)
            if started:
                program.copy(to, source, state.true, state.batch, (state.row, state.true))
        strides = {name: (NOWHERE, stride) for name, stride in zip(("x_time", "x_row"), self._strides, strict=True)}
        loop(program, self, self.homes, starts + count * started, strides)
        if "v" in self.kept.places:
            # Rows of lanes that backward reads, when the rest of the work is used for something else.
            (there, size), (_, here) = self.kept.places["v"], self.homes["v"]
            program.copy((KEPT, there * wide), (WORK, here * wide), size * wide)
        for place, state in enumerate(self._entries):
            to = finals + place, 0
            if self.uneven and (state.turns or not shape.backwards):
                program.call(shared["leave"], to, state.at(0), lengths, program.held(state.sizes(state.turns)))
                continue
            source = state.at(shape.time & 1 if state.turns else last)
            program.copy(to, source, state.true, state.batch, (state.true, state.row))
        return program.ready()

    def _seen(self, name: str) -> tuple[int, tuple[int, ...], tuple[int, ...], int]:
        """Where a traced quantity `[time, batch, size]` lies: its base, sizes, strides and first number."""
        shape, layout = self.shape, self.shape.kernel.forward
        home = shape.kernel.forward_home(name)
        assert home is not None
        size = layout.loop.sizes[shape.kernel.plan.quantities[name]]
        base, begin = self.homes[home.array]
        if home.array == "s":
            row, begin = shape.width("s"), begin + shape.begin(home)
        else:
            row = shape.row(home.array.removeprefix("x_"))
            # One entry more than steps: what each step starts from, or what it leaves.
            begin += shape.batch * row if (home.step == 1) != shape.backwards else 0
        sizes = (shape.time, shape.batch, 1 if size == SCALAR else shape.true[size])
        return base, sizes, (shape.batch * row, row, 1), begin

    def run(
        self, tensors: tuple[Tensor, ...], flow: Tensor, starts: Sequence[Tensor] = (), lengths: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor], list[Tensor], tuple[Tensor | None, Tensor]]:
        """Read a batch.

        Args:
            tensors: the parameters.
            flow: `[time, batch, feature]`.
            starts: states before the first step, `[batch, size]`; none: zeros.
            lengths: int64 `[batch]`, in order, of an uneven batch.

        Returns:
            Output `[time, batch, size]`; final states `[batch, size]`; the quantities that the kernel keeps,
            `[time, batch, size]`; the memory of `KEPT` (None: none) and `OUT`.
        """
        dtype, program = flow.dtype, self._programs.get(bool(starts))
        if program is None:
            program = self._programs[bool(starts)] = self._written(bool(starts))
        work, holder = scratch(program.room)
        out = borrow(self._states, dtype)
        left = borrow((self.kept.size,), dtype) if self.kept.size else None
        finals = [torch.empty(sizes, dtype=dtype) for sizes in self._finals]
        begun = [value.resolve_neg().contiguous() for value in starts]
        addresses = [0 if tensor is None else tensor.data_ptr() for tensor in (left, out, flow, lengths)]
        addresses += [tensor.data_ptr() for tensor in (*finals, *begun, *tensors)]
        shown = out[:-1] if self.shape.backwards else out[1:]
        if self._true != self._states[2]:
            shown = shown[:, :, : self._true]
        shown, held = apart(shown), {KEPT: left, OUT: out}
        traces = [
            apart(torch.as_strided(held[base], sizes, strides, begin)) for base, sizes, strides, begin in self._traced
        ]
        program.run([work, *addresses])
        del holder
        if lengths is not None and begun and self.shape.backwards:
            # The entry beyond the end holds what the sequence starts from.
            shown = shown.masked_fill((torch.arange(self.shape.time)[:, None] >= lengths)[..., None], 0)
        return shown, finals, traces, (left, out)


def apart(view: Tensor) -> Tensor:
    """The same numbers as a tensor that autograd does not know for a view, where that makes a difference: one may then
    change it in place."""
    if torch.is_inference_mode_enabled():
        return view
    return torch.empty(0, dtype=view.dtype).set_(
        view.untyped_storage(), view.storage_offset(), view.shape, view.stride()
    )
