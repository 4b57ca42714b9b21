"""The backward loop over whole batches of one shape: all that a call need not find anew (see `ready`)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from remanence.compiler.arena import borrow
from remanence.compiler.gradients import Collecting, home_of_gradient
from remanence.compiler.memory import arriving
from remanence.compiler.ready import KEPT, WORK, Loop, Ready
from remanence.compiler.rows import HEAD
from remanence.compiler.work import backward_work

__all__ = ["Back"]

_COMING, _GOING = 4, 5
"""Pieces besides those of `ready`: the gradient of the output, and that of the input."""


class Back:
    """A backward loop, ready for what a forward loop left."""

    def __init__(self, ready: Ready) -> None:
        shape = self._shape = ready.shape
        step, wide, work = shape.kernel.step, shape.dtype.itemsize, backward_work(shape, shape.rows)
        self._work, places = work, work.places
        self._blank = (places["a"][0] * wide, (work.size - places["a"][0]) * wide)
        homes = {name: home for name, home in ready.homes.items() if home[0] != WORK}
        homes |= {name: (KEPT, begin) for name, (begin, _) in ready.kept.places.items()}
        homes |= {name: (WORK, begin) for name, (begin, _) in places.items()} | {"e": (_COMING, 0), "q": (_GOING, 0)}
        self._loop = Loop(shape, True, homes)
        self._strides = [HEAD.index(name) for name in ("x_time", "x_row", "e_time", "e_row", "want_x")]
        self._going = (shape.time, shape.batch, shape.width("q", True))
        self._x = home_of_gradient(shape, "")
        self._states = [(places[f"y_{n}"][0], shape.row(n), shape.true[step.sizes[n]]) for n in step.state]
        self._found = {
            "a": (places["a"][0] * wide, shape.width("v")),
            "z": (places["z"][0] * wide, shape.gradient_size),
        }

    def run(
        self,
        kept: tuple[Tensor, Tensor],
        read: tuple[Tensor, tuple[Tensor, ...]],
        gradients: Sequence[Tensor | None],
        wanted: Sequence[bool],
    ) -> list[Tensor | None]:
        """Gradients of the input, the parameters and the states.

        Args:
            kept: as `Ready.run` left it.
            read: the input, the parameters.
            gradients: of the output and the final states; None where nothing reads them.
            wanted: of the input, the parameters, and the states, or of none of these.
        """
        (flow, tensors), shape, dtype = read, self._shape, self._shape.dtype
        work, going = borrow((self._work.size,), dtype), borrow(self._going, dtype)
        coming, begin, collecting = arriving(shape, gradients[0]), work.data_ptr(), Collecting.of(shape, tensors)
        outside = None
        if wanted[0] and self._x is not None:
            first, size = self._x
            outside = going if size == self._going[2] else going[:, :, first : first + size]
        ctypes.memset(begin + self._blank[0], 0, self._blank[1])
        for (place, row, true), final in zip(self._states, gradients[1:], strict=True):
            if final is not None:
                torch.as_strided(work, (2, shape.batch, true), (shape.batch * row, row, 1), place).copy_(final)
        numbers = self._loop.numbers.copy()
        numbers[self._strides] = (*flow.stride()[:2], *coming.stride()[:2], int(wanted[0]))
        pieces = (begin, *(piece.data_ptr() for piece in (*kept, flow, coming, going)))
        places = {name: (begin + behind, size) for name, (behind, size) in self._found.items()}
        self._loop.run(tensors, pieces, numbers)
        found = collecting.fill(shape, places, wanted[1 : 1 + len(tensors)])
        starts = [
            torch.as_strided(work, (shape.batch, true), (row, 1), place).clone() if want else None
            for (place, row, true), want in zip(self._states, wanted[1 + len(tensors) :], strict=False)
        ]
        return [outside, *found, *starts]
