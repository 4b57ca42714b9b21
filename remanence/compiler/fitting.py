"""Whether the tensors of a call fit each other: kernels read memory by sizes, and would read whatever lies there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from remanence.compiler.kernel import Kernel
from remanence.errors import ShapeError

__all__ = ["check_fit"]


def check_fit(
    kernel: Kernel,
    groups: tuple[tuple[str, ...], ...],
    inputs: Tensor,
    tensors: Sequence[Tensor],
    state: Mapping[str, Tensor],
) -> None:
    """Compare the parameters with each other, the input and the state.

    Raises:
        ShapeError: the parameter, its axis, what was expected, what came.
    """
    for names, tensor in zip(groups, tensors, strict=True):
        if tensor.dtype != inputs.dtype or tensor.device != inputs.device:
            what, came = ", ".join(names), f"{tensor.dtype} on {tensor.device}"
            expected = f"{inputs.dtype} on {inputs.device}"
            raise ShapeError(f"parameter {what}", axis="dtype, device", expected=expected, came=came)
    sizes = tuple((name, value.shape[-1]) for name, value in state.items())
    _check_shapes(kernel, groups, inputs.shape[-1], tuple(tensor.shape for tensor in tensors), sizes)


@lru_cache(maxsize=256)
def _check_shapes(
    kernel: Kernel,
    groups: tuple[tuple[str, ...], ...],
    features: int,
    shapes: tuple[torch.Size, ...],
    states: tuple[tuple[str, int], ...],
) -> None:
    """Once for each set of sizes."""
    step = kernel.step
    known = {"input": features} | {step.sizes[name]: size for name, size in states}
    for names, shape in zip(groups, shapes, strict=True):
        axes, what = step.parameter(names[0]).axes, f"parameter {', '.join(names)}"
        if len(shape) != len(axes):
            raise ShapeError(what, axis="number of axes", expected=len(axes), came=len(shape))
        parts = (len(names), *[1] * len(axes))
        for axis, size, part in zip(axes, shape, parts, strict=False):
            expected = known.setdefault(axis, size // part) * part
            if size != expected:
                raise ShapeError(what, axis=axis, expected=expected, came=size)
