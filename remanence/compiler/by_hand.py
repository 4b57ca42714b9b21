"""Kernels that are written by hand, not from a cell's equations: a forward and a backward loop over rows of a batch."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from remanence.compiler import threads
from remanence.compiler.kernel import functions_of
from remanence.compiler.machine import MACHINE

__all__ = ["ByHand"]

_SOURCE = '''"""Written by remanence: {what}, in one dtype; from {module}."""

from remanence.compiler import {module}
from remanence.compiler.compiling import compiled
from remanence.compiler.values import {dtype}, INT, Pointer

NUMBERS, ARRAYS = Pointer.of(INT), Pointer.of(Pointer.of({dtype}))


@compiled(INT, NUMBERS, ARRAYS)
def forward(part, numbers, arrays):
    {module}.forward(part, numbers, arrays, {width})


@compiled(INT, NUMBERS, ARRAYS)
def backward(part, numbers, arrays):
    {module}.backward(part, numbers, arrays, {width})
'''


@dataclass(frozen=True)
class ByHand:
    """A pair of kernels; compiled, or read from the cache, at the first call.

    Args:
        name: what users know them by; also of their file in the cache, with dashes for blanks.
        what: they compute, for its first line.
        module: of this package, with functions `forward` and `backward` of (part, numbers, arrays, elements of a
            register); it is not imported but to compile.
    """

    name: str
    what: str
    module: str

    @cache  # noqa: B019 (a handful of constants, which live as long as the program)
    def addresses(self, dtype: torch.dtype) -> dict[str, int]:
        """Where both are in memory, for float32 or float64."""
        word, width = str(dtype).removeprefix("torch."), MACHINE.width(dtype.itemsize)
        source = _SOURCE.format(what=self.what, module=self.module, dtype=word.upper(), width=width)
        return functions_of(source, self.name.replace(" ", "-"), ("forward", "backward"))

    def run(self, name: str, numbers: list[int], lengths: np.ndarray, arrays: list[Tensor], parts: int) -> None:
        """Run one of them over all rows.

        Args:
            name: "forward" or "backward".
            numbers: what it takes behind the number of parts.
            lengths: behind these, int64 `[batch]`.
            arrays: of one dtype.
            parts: threads that share the rows.
        """
        # Arrays of the standard library, for they tell their address at a tenth of what NumPy's take.
        given = array("q", (parts, *numbers))
        given.frombytes(np.asarray(lengths, np.int64).tobytes())
        pointers = array("q", [tensor.data_ptr() for tensor in arrays])
        kernel = self.addresses(arrays[0].dtype)[name]
        threads.launch(kernel, given.buffer_info()[0], pointers.buffer_info()[0], parts)
