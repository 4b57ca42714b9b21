"""The short way of a layer: a batch, of which the output, the final states and, of sequences of equal length, perhaps
traces are asked.

It is what nearly every call is. The two loops are those of `run_cpu`; what surrounds them was found before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from remanence.compiler.call import Call, Shape
from remanence.compiler.gradients import as_read, eager_gradients, many_at_once, tables
from remanence.compiler.reading import Reading
from remanence.compiler.ready import Ready, able
from remanence.compiler.ready_back import Back

__all__ = ["ready", "run"]


@lru_cache(maxsize=512)
def ready(shape: Shape, strides: tuple[int, int], uneven: bool = False) -> tuple[Ready, Back | None] | None:
    """The loops of calls of one shape, whose input has these strides in time and batch, and whose sequences are equally
    long unless they are uneven; None where they need more."""
    if not able(shape) or (uneven and shape.kernel.kept):
        return None
    if shape.kernel.backward is None:
        return Ready(shape, strides, uneven), None
    if tables(shape).made:
        return None
    forward = Ready(shape, strides, uneven)
    return forward, Back(forward)


def run(
    loops: tuple[Ready, Back | None],
    flow: Tensor,
    tensors: Sequence[Tensor],
    starts: Sequence[Tensor] = (),
    lengths: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Read a batch.

    Args:
        loops: of `ready`.
        flow: `[time, batch, feature]`.
        tensors: the parameters, contiguous.
        starts: states before the first step, `[batch, size]`; none: zeros.
        lengths: of `own_lengths`, for loops of an uneven batch.

    Returns:
        Output `[time, batch, size]`, final states `[batch, size]`, what the kernel keeps to be looked at
        `[time, batch, size]`.
    """
    if flow.is_neg():
        flow = flow.resolve_neg()
    # Without a backward pass autograd has nothing to know, and asking it takes longer than a short sequence.
    if loops[1] is None:
        output, finals, traces, _ = loops[0].run(tuple(tensors), flow, starts, lengths)
        return output, *finals, *traces
    return _apply((loops, lengths), len(tensors), *map(_alive, (flow, *tensors, *starts)))


class _Short(torch.autograd.Function):
    """input, parameters, states → output, final states, traces."""

    @staticmethod
    def forward(
        ctx: Any, call: tuple[Any, Tensor | None], count: int, flow: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.loops, ctx.lengths = call
        ctx.count = count
        output, finals, traces, ctx.kept = ctx.loops[0].run(rest[:count], flow, rest[count:], ctx.lengths)
        ctx.set_materialize_grads(False)
        ctx.sizes = [flow.shape, *(tensor.shape for tensor in rest)]
        # The output and traces lie in memory that backward reads: saved too, so that changing them is an error.
        ctx.save_for_backward(flow, *rest, output, *traces)
        return output, *finals, *traces

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:  # type: ignore[override]
        wanted = ctx.needs_input_grad[2:]
        flow, *rest = as_read(ctx.saved_tensors[: len(wanted)], ctx.sizes, ctx.loops[0].shape.dtype)
        tensors, starts = tuple(rest[: ctx.count]), rest[ctx.count :]
        states = 1 + len(ctx.loops[0].shape.kernel.step.state)
        traced = any(gradient is not None for gradient in gradients[states:])
        if traced or torch.is_grad_enabled() or any(many_at_once(g) for g in gradients if g is not None):
            return None, None, *_again(ctx, flow, tensors, starts, gradients, wanted)
        return None, None, *ctx.loops[1].run(ctx.kept, (flow, tensors), gradients[:states], wanted, ctx.lengths)


_alive: Any = torch._C._functorch.unwrap_if_dead  # pyright: ignore[reportAttributeAccessIssue] (as in `gradients`)
_apply: Any = super(torch.autograd.Function, _Short).apply  # pyright: ignore[reportAttributeAccessIssue] (of C)
"""What `Function.apply` does outside of transforms, where nobody calls a loop, at a third of its time."""


def _again(
    ctx: Any,
    flow: Tensor,
    tensors: tuple[Tensor, ...],
    starts: Sequence[Tensor],
    gradients: tuple[Tensor | None, ...],
    wanted: tuple[bool, ...],
) -> list[Tensor | None]:
    """Gradients that can be differentiated again, or come through traces: by the equations, step by step."""
    shape: Shape = ctx.loops[0].shape
    step = shape.kernel.step
    sizes = [shape.true[step.sizes[name]] for name in step.state]
    states = starts or [flow.new_zeros(shape.batch, size) for size in sizes]
    call = Call(shape, Reading(ctx.lengths, shape.backwards, trace=shape.kernel.kept))
    asked = wanted if starts else (*wanted, *[False] * len(states))
    return eager_gradients(call, (flow, *tensors, *states), gradients, asked)[: len(wanted)]
