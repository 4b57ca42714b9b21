"""One step at a time, its state carried: memory laid out once, so that a step is one foreign call a layer.

The states of a layer have two entries; a step reads one and writes the other, and the next step goes the other way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from remanence.compiler import threads
from remanence.compiler.call import Call, Groups, shape_of
from remanence.compiler.emit_cpu import arrays_of
from remanence.compiler.kernel import Kernel
from remanence.compiler.memory import packed_memory
from remanence.compiler.reading import Reading
from remanence.compiler.rows import HEAD

__all__ = ["OneStep"]

_X_ROW = HEAD.index("x_row")


class OneStep:
    """One layer, ready to advance many sequences by a step.

    Args:
        kernel: built without a backward loop, every state kept.
        groups: names of each parameter tensor.
        tensors: the parameters; they are packed here, and later changes of them are not seen.
        batch: sequences.
        read: `[batch, width]`, or both entries `[2, batch, width]` of the layer below: where x is read, in whole
            registers; None: a new array, see `x`.
        features: of x.
    """

    def __init__(
        self, kernel: Kernel, groups: Groups, tensors: Sequence[Tensor], batch: int, read: Tensor | None, features: int
    ) -> None:
        dtype, step = tensors[0].dtype, kernel.step
        tensors = tuple(tensor.detach().contiguous() for tensor in tensors)
        shapes = [
            shape_of(kernel, groups, ((1, batch), features, tensors), dtype, backwards) for backwards in (False, True)
        ]
        shape = self.shape = shapes[0]
        call = Call(shape, Reading())
        width = shape.padded["input"]
        self.x = torch.zeros(batch, width, dtype=dtype) if read is None else read
        self.states = {name: torch.zeros(2, batch, shape.row(name), dtype=dtype) for name in step.state}
        made = {
            "g": torch.zeros(shape.threads * shape.at_once(call.rows, False) * shape.width("g"), dtype=dtype),
            "k": torch.zeros(batch * shape.width("k"), dtype=dtype),
            "l": torch.zeros(shape.threads * shape.width("l"), dtype=dtype),
            "s": torch.zeros(batch, shape.width("s"), dtype=dtype),
            **packed_memory(call, tensors),
            **{f"x_{name}": value for name, value in self.states.items()},
        }
        # Reversed, a step goes from the last entry of a state to the one before.
        self._numbers = [one.numbers[False].copy() for one in shapes]
        self._pointers = [np.array(_places(kernel, made, self.x, parity), np.int64) for parity in (0, 1)]
        for numbers in self._numbers:
            numbers[_X_ROW] = self.x.shape[-1]
        self._kept = (tensors, made)
        self._address = kernel.address(str(dtype).removeprefix("torch."), False)
        self._call = threads.kernel_at(self._address)
        self._places = [(n.ctypes.data, p.ctypes.data) for n, p in zip(self._numbers, self._pointers, strict=True)]

    def advance(self, parity: int) -> None:
        """Take a step, from entry `parity` of the states to the other one."""
        numbers, pointers = self._places[parity]
        if self.shape.threads == 1:
            self._call(0, numbers, pointers)
            return
        threads.launch(self._address, numbers, pointers, self.shape.threads)


def _places(kernel: Kernel, made: Mapping[str, Tensor], x: Tensor, parity: int) -> list[int]:
    # The layer below has just written its other entry.
    read = x if x.ndim == 2 else x[1 - parity]
    known = {**made, "x": read, "u": read}
    return [known[name].data_ptr() if name in known else 0 for name in arrays_of(kernel.step, False)]
