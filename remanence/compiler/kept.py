"""Shapes of what a backward pass reads of the forward one, from the shapes of a call's tensors alone."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from remanence.compiler.ir import SCALAR
from remanence.compiler.kernel import Kernel
from remanence.compiler.machine import MACHINE
from remanence.compiler.reading import groups_of

__all__ = ["kept_shapes"]


def kept_shapes(
    kernel: Kernel, inputs: Tensor, rest: Sequence[Tensor], stacks: tuple[tuple[str, ...], ...]
) -> dict[str, tuple[int, ...]]:
    """Name of an array → its shape.

    Args:
        kernel: with a backward loop.
        inputs: `[time, batch, input]`; no number of it is read.
        rest: what is given, parameters by group, states.
        stacks: as in `Reading`.
    """
    step, groups = kernel.step, groups_of(kernel.step, stacks)
    one, two = len(step.given), len(step.given) + len(groups)
    true = {"input": inputs.shape[2]}
    true |= {step.sizes[name]: value.shape[-1] for name, value in zip(step.state, rest[two:], strict=True)}
    for names, tensor in zip(groups, rest[one:two], strict=True):
        true |= zip(step.parameter(names[0]).axes, (tensor.shape[0] // len(names), *tensor.shape[1:]), strict=True)
    for size, value in zip(step.given.values(), rest[:one], strict=True):
        true.setdefault(size, value.shape[-1])
    width = MACHINE.width(inputs.element_size())
    padded = {name: -(-size // width) * width for name, size in true.items()} | {SCALAR: width}
    time, batch, _ = inputs.shape
    shapes: dict[str, tuple[int, ...]] = {"v": (kernel.lanes("v", padded),)}
    shapes["s"] = (time, batch, kernel.lanes("s", padded))
    if kernel.forward.lanes.get("u"):
        shapes["u"] = (time, batch, kernel.lanes("u", padded))
    for name in step.state:
        kept = 2 if name in kernel.forward.passing else time + 1
        shapes[f"x_{name}"] = (kept, batch, padded[step.sizes[name]])
    return shapes
