"""Bounded memory over time: keep the states between chunks of steps, and compute each chunk again on the way back.

What a time loop saves for its backward pass grows with the number of steps; here only one chunk's is held at a time.
Chunks run by the same kernels as a whole sequence, so results agree to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from remanence.compiler.arena import borrow
from remanence.compiler.emit_torch import Run
from remanence.nn import fused

__all__ = ["Loop", "run_in_chunks"]

Loop = Callable[
    [Tensor, Mapping[str, Tensor], Mapping[str, Tensor], "Tensor | None", Mapping[str, Tensor]],
    Run,
]
"""A time loop: `loop(inputs, weights, state, lengths, given)`, time-major."""


@dataclass(frozen=True)
class _Plan:
    """How a sequence is cut, and what each tensor is."""

    loop: Loop
    steps: int
    time: int
    lengths: Tensor | None
    weights: tuple[str, ...]
    states: tuple[str, ...]
    given: tuple[str, ...]

    def starts(self) -> range:
        return range(0, self.time, self.steps)

    def run(self, start: int, inputs: Tensor, weights: Sequence[Tensor], state: Sequence[Tensor], given: Any) -> Run:
        """One chunk; `inputs` and `given` hold its steps alone."""
        lengths = None
        if self.lengths is not None:
            lengths = (self.lengths - start).clamp(0, len(inputs))
            lengths = None if int(lengths.min()) == len(inputs) else lengths
        named = dict(zip(self.weights, weights, strict=True)), dict(zip(self.states, state, strict=True))
        return self.loop(inputs, *named, lengths, dict(zip(self.given, given, strict=True)))

    def split(self, rest: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """Weights, states and given, of what stands after the inputs."""
        one, two = len(self.weights), len(self.weights) + len(self.states)
        return rest[:one], rest[one:two], rest[two:]


class _Chunks(torch.autograd.Function):
    """inputs, weights, states, given → output, final states."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, inputs: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        weights, state, given = plan.split(rest)
        output, kept = None, []
        for start in plan.starts():
            kept.append(state)
            until = start + plan.steps
            done = plan.run(start, inputs[start:until], weights, state, [value[start:until] for value in given])
            if output is None:
                output = _room(done.output, (plan.time, *done.output.shape[1:]))
            output[start:until] = done.output
            # A final state may be a view of all that its chunk computed.
            state = [done.state[name].clone() for name in plan.states]
        assert output is not None
        ctx.plan, ctx.kept, kind = plan, kept, inputs.device.type
        ctx.autocast = (kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind))
        ctx.save_for_backward(inputs, *rest)
        # A loss of the final states alone has no gradient of the output: zeros for it would be as large as that.
        ctx.set_materialize_grads(False)
        return output, *state

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:  # type: ignore[override]
        plan, needed = ctx.plan, ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():
            with torch.autocast(*ctx.autocast):
                return None, *_all_at_once(plan, ctx.saved_tensors, gradients, needed)
        inputs, *rest = ctx.saved_tensors
        weights, _, given = plan.split(rest)
        arriving, *carried = gradients
        whole = [_room(t, t.shape) if n else None for t, n in zip((inputs, *rest), needed, strict=True)]
        of_weights, of_start, of_given = plan.split(whole[1:])
        for total in of_weights:
            if total is not None:
                total.zero_()
        for start, state in zip(reversed(plan.starts()), reversed(ctx.kept), strict=True):
            chunk = slice(start, start + plan.steps)
            before = [value.detach().requires_grad_() for value in state]
            sliced = [value[chunk] for value in (inputs, *given)]
            moving = [
                v.detach().requires_grad_(w is not None) for v, w in zip(sliced, (whole[0], *of_given), strict=True)
            ]
            local = [w.detach().requires_grad_(g is not None) for w, g in zip(weights, of_weights, strict=True)]
            with torch.enable_grad(), torch.autocast(*ctx.autocast):
                done = plan.run(start, moving[0], local, before, moving[1:])
            now = None if arriving is None else arriving[chunk]
            found = _gradients(done, plan, (now, *carried), [*local, *before, *moving])
            for total, one in zip(of_weights, found, strict=False):
                if total is not None and one is not None:
                    total += one
            later = found[len(local) + len(before) :]
            for total, one in zip((whole[0], *of_given), later, strict=True):
                if total is not None:
                    total[chunk] = 0 if one is None else one
            carried = found[len(local) : len(local) + len(before)]
        first = [one if total is not None else None for one, total in zip(carried, of_start, strict=True)]
        return None, whole[0], *of_weights, *first, *of_given


def _room(like: Tensor, shape: Sequence[int]) -> Tensor:
    """A tensor of arbitrary content; of the kernels' own kind in memory that they used before."""
    if like.device.type != "cpu" or like.dtype not in (torch.float32, torch.float64) or fused.abstract(like):
        return like.new_empty(shape)
    if like.ndim == 3 and not like.is_contiguous() and like.transpose(0, 1).is_contiguous():
        # As the gradient of a batch that is turned for the loop is wanted.
        return borrow((shape[1], shape[0], shape[2]), like.dtype).transpose(0, 1)
    return borrow(tuple(shape), like.dtype)


def _gradients(
    done: Run, plan: _Plan, arriving: Sequence[Tensor | None], asked: Sequence[Tensor]
) -> list[Tensor | None]:
    outputs = [done.output, *(done.state[name] for name in plan.states)]
    pairs = [(o, g) for o, g in zip(outputs, arriving, strict=True) if o.requires_grad and g is not None]
    if not pairs:
        return [None] * len(asked)
    wanted = [tensor for tensor in asked if tensor.requires_grad]
    outs, given = [one for one, _ in pairs], [gradient for _, gradient in pairs]
    again = torch.is_grad_enabled()
    found = iter(torch.autograd.grad(outs, wanted, given, create_graph=again, allow_unused=True))
    return [next(found) if tensor.requires_grad else None for tensor in asked]


def _all_at_once(
    plan: _Plan, saved: Sequence[Tensor], gradients: Sequence[Tensor | None], needed: Sequence[bool]
) -> list[Tensor | None]:
    """The same gradients, differentiable again; memory is not bounded here."""
    weights, state, given = plan.split(saved[1:])
    found = _gradients(plan.run(0, saved[0], weights, state, given), plan, gradients, saved)
    return [one if want else None for one, want in zip(found, needed, strict=True)]


def run_in_chunks(
    loop: Loop,
    steps: int,
    inputs: Tensor,
    named: tuple[Mapping[str, Tensor], Mapping[str, Tensor], Mapping[str, Tensor]],
    lengths: Tensor | None,
) -> Run:
    """Run a time loop chunk by chunk, holding what backward needs of one chunk alone.

    Args:
        loop: what runs a chunk; called again for each in the backward pass.
        steps: of a chunk.
        inputs: `[time, batch, input]`, at least one step.
        named: weights, states before the first step, and what is given at each step (`[time, batch, size]`), by name.
        lengths: valid steps of each sequence, or None.
    """
    weights, state, given = named
    plan = _Plan(loop, steps, len(inputs), lengths, tuple(weights), tuple(state), tuple(given))
    output, *finals = _Chunks.apply(plan, inputs, *weights.values(), *state.values(), *given.values())  # type: ignore[misc]
    return Run(output, dict(zip(state, finals, strict=True)), {})
