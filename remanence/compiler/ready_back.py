"""The backward loop over batches of one shape: all that a call need not find anew (see `ready`)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from remanence.compiler.arena import borrow, scratch
from remanence.compiler.gradients import blank_gradients, home_of_gradient, tables
from remanence.compiler.memory import arriving
from remanence.compiler.program import Program
from remanence.compiler.ready import KEPT, LENGTHS, WORK, Ready, loop
from remanence.compiler.work import backward_work

__all__ = ["Back"]

_COMING, _GOING, _NUMBERS = range(LENGTHS + 1, LENGTHS + 4)
"""Bases besides those of `ready`: the gradient of the output, that of the input, and the first of `_STRIDES`."""
_STRIDES = ("x_time", "x_row", "e_time", "e_row", "want_x")


class Back:
    """A backward loop, ready for what a forward loop left."""

    def __init__(self, ready: Ready) -> None:
        self._ready, shape = ready, ready.shape
        self._work = backward_work(shape, shape.rows)
        self._homes = {name: home for name, home in ready.homes.items() if home[0] != WORK}
        self._homes |= {name: (KEPT, begin) for name, (begin, _) in ready.kept.places.items()}
        self._homes |= {name: (WORK, begin) for name, (begin, _) in self._work.places.items()}
        self._homes |= {"e": (_COMING, 0), "q": (_GOING, 0)}
        self._going = (shape.time, shape.batch, shape.width("q", True))
        self._x = home_of_gradient(shape, "")
        self._sizes = {name: shape.true[shape.kernel.step.sizes[name]] for name in shape.kernel.step.state}
        self._programs: dict[tuple[tuple[bool, ...], tuple[bool, ...]], Program] = {}

    def _written(self, come: tuple[bool, ...], wanted: tuple[bool, ...]) -> Program:
        """The program: addresses as above, of gradients of final states, of those of first states, of parameters, of
        their gradients.

        Args:
            come: which final states have a gradient.
            wanted: of which first states it is wanted.
        """
        shape, places = self._ready.shape, self._work.places
        wide = shape.dtype.itemsize
        program = Program(WORK, self._work.size * wide)
        finals = _NUMBERS + len(_STRIDES)
        starts = finals + sum(come)
        tensors = starts + sum(wanted)
        blank = places["a"][0]
        program.zero((WORK, blank * wide), (self._work.size - blank) * wide)
        if self._ready.uneven:
            program.zero((_GOING, 0), math.prod(self._going) * wide)
        step = shape.kernel.step
        states = [tuple(n * wide for n in (places[f"y_{s}"][0], shape.row(s), self._sizes[s])) for s in step.state]
        for place, (at, row, true) in enumerate(state for state, is_it in zip(states, come, strict=True) if is_it):
            for entry in range(2):
                to = (WORK, at + entry * shape.batch * row)
                program.copy(to, (finals + place, 0), true, shape.batch, (row, true))
        strides = {name: (_NUMBERS + place, 0) for place, name in enumerate(_STRIDES)}
        loop(program, self._ready, self._homes, tensors, strides)
        for place, (at, row, true) in enumerate(state for state, want in zip(states, wanted, strict=False) if want):
            program.copy((starts + place, 0), (WORK, at), true, shape.batch, (true, row))
        sizes = {"a": shape.width("v"), "z": shape.gradient_size}
        arrays = {name: (WORK, places[name][0], size) for name, size in sizes.items()}
        table = tables(shape).table(shape, tensors + len(shape.groups), arrays)
        program.launch(shape.tiles.collect, int(table[1]), program.held(table))
        return program.ready()

    def run(
        self,
        kept: tuple[Tensor | None, Tensor],
        read: tuple[Tensor, tuple[Tensor, ...]],
        gradients: Sequence[Tensor | None],
        wanted: Sequence[bool],
        lengths: Tensor | None = None,
    ) -> list[Tensor | None]:
        """Gradients of the input, the parameters and the states.

        Args:
            kept: as `Ready.run` left it.
            read: the input, the parameters.
            gradients: of the output and the final states; None where nothing reads them.
            wanted: of the input, the parameters, and the states, or of none of these.
            lengths: as `Ready.run` read them.
        """
        (flow, tensors), shape = read, self._ready.shape
        dtype = shape.dtype
        kinds = tuple(g is not None for g in gradients[1:]), tuple(wanted[1 + len(tensors) :])
        program = self._programs.get(kinds)
        if program is None:
            program = self._programs[kinds] = self._written(*kinds)
        work, holder = scratch(program.room)
        going, found = borrow(self._going, dtype), blank_gradients(shape, tensors)
        coming = arriving(shape, gradients[0])
        finals = [gradient.resolve_neg().contiguous() for gradient in gradients[1:] if gradient is not None]
        sizes = zip(self._sizes.values(), kinds[1], strict=False)
        starts = [torch.empty(shape.batch, size, dtype=dtype) if want else None for size, want in sizes]
        left, out = kept
        addresses = [0 if tensor is None else tensor.data_ptr() for tensor in (left, out, flow, lengths, coming, going)]
        addresses += [*flow.stride()[:2], *coming.stride()[:2], int(wanted[0])]
        begun = [start for start in starts if start is not None]
        filled = [tensor if one is None else one for tensor, one in zip(tensors, found, strict=True)]
        addresses += [tensor.data_ptr() for tensor in (*finals, *begun, *tensors, *filled)]
        outside = None
        if wanted[0] and self._x is not None:
            first, size = self._x
            outside = going if size == self._going[2] else going[:, :, first : first + size]
        program.run([work, *addresses])
        del holder
        return [outside, *(g if want else None for g, want in zip(found, wanted[1:], strict=False)), *starts]
