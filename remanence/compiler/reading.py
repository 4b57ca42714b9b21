"""How a layer reads its input, besides the tensors that every call has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from remanence.compiler.ir import Step
from remanence.errors import ShapeError

__all__ = ["Reading", "groups_of", "other_sizes", "own_lengths"]


@dataclass(frozen=True)
class Reading:
    """Lengths, direction, and what is shown.

    Args:
        lengths: valid steps of each sequence, int64 `[batch]` on the CPU; None: all of them.
        backwards: read every sequence from its own end; outputs and traces keep the places of the input.
        given: name → `[time, batch, size]`, for cells that read more than x at each step.
        trace: quantities to return.
        stacks: parameters that are one tensor, by the names of its rows in equal parts; it goes by the first name.
    """

    lengths: Tensor | None = None
    backwards: bool = False
    given: Mapping[str, Tensor] = field(default_factory=dict)
    trace: tuple[str, ...] = ()
    stacks: tuple[tuple[str, ...], ...] = ()


def own_lengths(lengths: Tensor, time: int) -> Tensor:
    """A copy that nobody changes while kernels read it, now or in the backward pass; int64 `[batch]`, in order.

    Raises:
        ShapeError: one lies outside of 0 … time: kernels write where lengths say.
    """
    counted = lengths.numpy()
    if counted.size and (counted.min() < 0 or counted.max() > time):
        came = f"{counted.min()} … {counted.max()}"
        remedy = "they were changed behind their check"
        raise ShapeError("lengths", axis="time", expected=f"lengths in 0 … {time}", came=came, remedy=remedy)
    return lengths.clone(memory_format=torch.contiguous_format)


def groups_of(step: Step, stacks: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """Names of each parameter tensor, in the order of the step's parameters."""
    stacked = {name: names for names in stacks for name in names}
    return tuple(dict.fromkeys(stacked.get(p.name, (p.name,)) for p in step.parameters))


def other_sizes(step: Step, state: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> tuple[tuple[str, int], ...]:
    """Names and numbers of the sizes of states and of what is given."""
    found = [(step.sizes[name], value.shape[-1]) for name, value in state.items()]
    return (*found, *((step.given[name], value.shape[-1]) for name, value in given.items()))
