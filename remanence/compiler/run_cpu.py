"""Run a cell's fused kernels on PyTorch tensors: arguments and results of `emit_torch.run`, float32 or float64, CPU.

The whole layer is one autograd function around two compiled loops; torch allocates memory and forms what depends on
parameters alone. When a second derivative is asked for, or one through a trace, backward runs the eager reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from remanence.compiler import emit_torch, short
from remanence.compiler.call import Call, call_of
from remanence.compiler.fitting import check_fit
from remanence.compiler.gradients import as_read, eager_gradients, fused_gradients, many_at_once
from remanence.compiler.kernel import Kernel
from remanence.compiler.memory import entries, finals, forward_memory, once, traced
from remanence.compiler.reading import Reading, groups_of, own_lengths
from remanence.compiler.ready import apart

__all__ = ["backward", "forward", "prepare", "run"]


_PASSING = ("b", "scratch")
"""Arrays that backward does not read."""


class _Fused(torch.autograd.Function):
    """inputs, given, parameters, states → output, final states, traces."""

    @staticmethod
    def forward(ctx: Any, call: Call, inputs: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        outputs, arrays = forward(call, inputs, rest)
        ctx.set_materialize_grads(False)
        ctx.call, ctx.sizes = call, [inputs.shape, *(tensor.shape for tensor in rest)]
        ctx.arrays = {name: array for name, array in arrays.items() if name not in _PASSING}
        # The output and traces lie in memory that backward reads: saved too, so that changing them is an error.
        ctx.save_for_backward(inputs, *rest, outputs[0], *outputs[1 + len(call.step.state) :])
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:  # type: ignore[override]
        wanted = ctx.needs_input_grad[1:]
        saved = as_read(ctx.saved_tensors[: len(wanted)], ctx.sizes, ctx.call.shape.dtype)
        return None, *backward(ctx.call, ctx.arrays, saved, gradients, wanted)


def forward(call: Call, inputs: Tensor, rest: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """Run the forward loop: output, final states, traces; and the memory, of which `backward` reads `kept_shapes`.

    Args:
        call: made by `prepare`.
        inputs: `[time, batch, input]`.
        rest: what is given, parameters, states.
    """
    given, tensors, state = call.sorted(rest)
    arrays = forward_memory(call, tensors, inputs, given, state)
    call.start(arrays, {"x_time": inputs.stride(0), "x_row": inputs.stride(1)}, False)
    output = entries(call, arrays[f"x_{call.step.output}"], True)
    size = call.shape.true[call.step.sizes[call.step.output]]
    output = output if output.shape[-1] == size else output[:, :, :size]
    values = once(call, tensors) if call.reading.trace else []
    traces = [apart(traced(call, arrays, name, values)) for name in call.reading.trace]
    return (apart(output), *finals(call, arrays), *traces), arrays


def backward(
    call: Call,
    kept: Mapping[str, Tensor],
    saved: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """Gradients of inputs and rest from those of what `forward` gave.

    Args:
        call: as it ran forward.
        kept: the memory of the forward pass.
        saved: inputs and rest.
        gradients: of output, final states and traces; None where nothing reads them.
        wanted: which of `saved` need a gradient.
    """
    count = 1 + len(call.step.state)
    come = [gradient for gradient in gradients if gradient is not None]
    traced_too = any(gradient is not None for gradient in gradients[count:])
    if torch.is_grad_enabled() or traced_too or any(map(many_at_once, come)):
        return eager_gradients(call, tuple(saved), tuple(gradients), tuple(wanted))
    return fused_gradients(call, kept, tuple(saved), tuple(gradients[:count]), tuple(wanted))


@lru_cache(maxsize=512)
def _groups(kernel: Kernel, stacks: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    return groups_of(kernel.step, stacks)


def prepare(
    kernel: Kernel, parameters: Mapping[str, Tensor], inputs: Tensor, state: Mapping[str, Tensor], reading: Reading
) -> tuple[Call, Tensor, list[Tensor]]:
    """What `forward` takes, from the arguments of `run`."""
    step, groups = kernel.step, _groups(kernel, reading.stacks)
    if reading.lengths is not None:
        reading = replace(reading, lengths=own_lengths(reading.lengths, len(inputs)))
    tensors = [parameters[names[0]].resolve_neg().contiguous() for names in groups]
    inputs = inputs.resolve_neg()
    check_fit(kernel, groups, inputs, tensors, state)
    if inputs.stride(2) != 1 and inputs.shape[2] > 1:
        inputs = inputs.contiguous()
    call = call_of(kernel, groups, tensors, inputs, state, reading)
    given = [reading.given[name] for name in step.given]
    return call, inputs, [*given, *tensors, *(state[name] for name in step.state)]


def run(
    kernel: Kernel,
    parameters: Mapping[str, Tensor],
    inputs: Tensor,
    state: Mapping[str, Tensor],
    reading: Reading | None = None,
) -> emit_torch.Run:
    """Run a cell over time through its kernels.

    Args:
        kernel: built with the quantities of `reading.trace`, and with a backward loop if any gradient is wanted.
        parameters: by name; the tensor of a stack by the name of its first parameter.
        inputs: `[time, batch, input]`, of any strides.
        state: name → `[batch, size]` before the first step.
        reading: lengths, direction, trace.

    Numerics: within 2e-5 (float32) or 1e-10 (float64) of the eager reference, relative to the largest value.
    """
    step, reading = kernel.step, reading or Reading()
    call, inputs, rest = prepare(kernel, parameters, inputs, state, reading)
    lengths = call.lengths
    loops = None if step.given else short.ready(call.shape, inputs.stride()[:2], lengths is not None)
    seen = reading.trace
    if loops is not None:
        seen = kernel.kept
        tensors = len(call.shape.groups)
        done = short.run(loops, inputs, rest[:tensors], rest[tensors:], lengths)
    elif kernel.backward is None:
        done = forward(call, inputs, tuple(rest))[0]
    else:
        done = _Fused.apply(call, inputs, *rest)  # type: ignore[misc]
    count = 1 + len(step.state)
    last = dict(zip(step.state, done[1:count], strict=True))
    traces = dict(zip(seen, done[count:], strict=True))
    return emit_torch.Run(done[0], last, {name: traces[name] for name in reading.trace})
