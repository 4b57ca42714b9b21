"""A layer's loops as operators of torch.library, for what looks at operations before it runs them.

To torch.compile, torch.export and fake tensors a layer is one operator whose shapes and gradients are known. An eager
call goes to `run_cpu` without it: dispatching an operator written in Python takes longer than a short sequence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from remanence.cells import CELLS, Cell
from remanence.compiler.emit_torch import Run
from remanence.compiler.reading import Reading, groups_of, other_sizes

__all__ = ["run"]


def run(
    cell: Cell, weights: Mapping[str, Tensor], inputs: Tensor, state: Mapping[str, Tensor], reading: Reading
) -> Run:
    """Run one layer in one direction as one operator; arguments as `fused.run`, without a trace."""
    step = cell.step
    tensors = [inputs, *(reading.given[name] for name in step.given)]
    tensors += [weights[names[0]] for names in groups_of(step, reading.stacks)]
    tensors += [state[name] for name in step.state]
    train = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    known = cell.name if CELLS.get(cell.name) is cell else cell.to_json()
    stacks = ";".join([" ".join(names) for names in reading.stacks])
    found = _layer(tensors, reading.lengths, known, stacks, reading.backwards, train)
    return Run(found[0], dict(zip(step.state, found[1:], strict=False)), {})


@lru_cache(maxsize=256)
def _kernel(cell: str, train: bool) -> Any:
    from remanence.compiler import kernel

    return kernel.build((CELLS[cell] if cell in CELLS else Cell.from_json(cell)).step, (), train=train)


def _stacks(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(names.split(" ")) for names in text.split(";") if names)


def _call(tensors: Sequence[Tensor], lengths: Tensor | None, plan: tuple[str, str, bool], train: bool) -> Any:
    """A call of `run_cpu`, its inputs, and the rest."""
    from remanence.compiler import run_cpu

    cell, stacks, backwards = plan
    built = _kernel(cell, train)
    given, parameters, state = _named(built, tensors, _stacks(stacks))
    reading = Reading(lengths, backwards, given, (), _stacks(stacks))
    return run_cpu.prepare(built, parameters, tensors[0], state, reading)


def _named(
    kernel: Any, tensors: Sequence[Tensor], stacks: tuple[tuple[str, ...], ...]
) -> tuple[dict[str, Tensor], ...]:
    """What is given, parameters by the first name of each, and states."""
    step, firsts = kernel.step, [names[0] for names in groups_of(kernel.step, stacks)]
    one = 1 + len(step.given)
    two = one + len(firsts)
    parts = ((step.given, tensors[1:one]), (firsts, tensors[one:two]), (step.state, tensors[two:]))
    return tuple(dict(zip(names, part, strict=True)) for names, part in parts)


def _kept(kernel: Any, tensors: Sequence[Tensor], stacks: str) -> dict[str, tuple[int, ...]]:
    """Name → shape of what backward reads of the forward loop; no number of the tensors is read."""
    from remanence.compiler.call import new_shape
    from remanence.compiler.memory import kept_shapes

    groups, inputs = groups_of(kernel.step, _stacks(stacks)), tensors[0]
    given, parameters, state = _named(kernel, tensors, _stacks(stacks))
    shapes, others = [tensor.shape for tensor in parameters.values()], other_sizes(kernel.step, state, given)
    sizes = (inputs.shape[:2], inputs.shape[2], shapes, others)
    return kept_shapes(new_shape(kernel, groups, sizes, inputs.dtype, 1, False))


@torch.library.custom_op("remanence::layer", mutates_args=(), device_types="cpu")
def _layer(
    tensors: Sequence[Tensor], lengths: Tensor | None, cell: str, stacks: str, backwards: bool, train: bool
) -> list[Tensor]:
    """Output and final states, and in training what backward reads of the forward loop.

    Args:
        tensors: input, what is given, parameters (stacks whole), states.
        lengths: of the sequences, or None.
        cell: a name in `CELLS`, or a cell as JSON.
        stacks: names of each stack, parted by spaces; stacks by semicolons.
        backwards: read each sequence from its own end.
        train: keep what backward reads.
    """
    from remanence.compiler import run_cpu

    call, inputs, rest = _call(tensors, lengths, (cell, stacks, backwards), train)
    results, arrays = run_cpu.forward(call, inputs, tuple(rest))
    kept = _kept(call.kernel, tensors, stacks) if train else {}
    # An operator's results must lie apart: the output lies in the states' memory, vectors in that of matrices.
    return [
        results[0].clone(memory_format=torch.contiguous_format),
        *results[1:],
        *(arrays[name].clone() if name == "v" else arrays[name] for name in kept),
    ]


@_layer.register_fake
def _(
    tensors: Sequence[Tensor], lengths: Tensor | None, cell: str, stacks: str, backwards: bool, train: bool
) -> list[Tensor]:
    built, inputs = _kernel(cell, train), tensors[0]
    states = dict(zip(built.step.state, tensors[-len(built.step.state) :], strict=True))
    output = inputs.new_empty(*inputs.shape[:2], states[built.step.output].shape[-1])
    kept = _kept(built, tensors, stacks).values() if train else []
    finals = [torch.empty_like(value, memory_format=torch.contiguous_format) for value in states.values()]
    return [output, *finals, *(inputs.new_empty(shape) for shape in kept)]


@torch.library.custom_op("remanence::layer_backward", mutates_args=(), device_types="cpu")
def _layer_backward(
    tensors: Sequence[Tensor],
    kept: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    lengths: Tensor | None,
    cell: str,
    stacks: str,
    backwards: bool,
    wanted: Sequence[bool],
) -> list[Tensor]:
    """Gradients of those tensors that are wanted."""
    from remanence.compiler import run_cpu

    call, inputs, rest = _call(tensors, lengths, (cell, stacks, backwards), True)
    names = _kept(call.kernel, tensors, stacks)
    arrays = {"x": inputs, **dict(zip(names, kept, strict=True))}
    with torch.no_grad():
        found = run_cpu.backward(call, arrays, (inputs, *rest), tuple(gradients), tuple(wanted))
    return [
        torch.zeros_like(tensor) if gradient is None else gradient.clone(memory_format=torch.contiguous_format)
        for tensor, gradient, want in zip(tensors, found, wanted, strict=True)
        if want
    ]


@_layer_backward.register_fake
def _(tensors: Sequence[Tensor], *rest: Any) -> list[Tensor]:
    pairs = zip(tensors, rest[-1], strict=True)
    return [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor, want in pairs if want]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    tensors, lengths, cell, stacks, backwards, train = inputs
    count = 1 + len(_kernel(cell, train).step.state)
    ctx.save_for_backward(*tensors, *output[count:], *([] if lengths is None else [lengths]))
    ctx.counts = (len(tensors), len(output) - count, count)
    ctx.plan = (cell, stacks, backwards)


def _differentiate(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    read, kept, count = ctx.counts
    saved = ctx.saved_tensors
    lengths = saved[read + kept] if len(saved) > read + kept else None
    wanted = ctx.needs_input_grad[0]
    if torch.is_grad_enabled():
        # Differentiated again: by the equations, step by step.
        from remanence.compiler import run_cpu

        call, inputs, rest = _call(list(saved[:read]), lengths, ctx.plan, True)
        return run_cpu.backward(call, {}, (inputs, *rest), gradients[:count], wanted), *[None] * 5
    found = iter(
        _layer_backward(
            list(saved[:read]), list(saved[read : read + kept]), list(gradients[:count]), lengths, *ctx.plan, wanted
        )
    )
    return [next(found) if want else None for want in wanted], None, None, None, None, None


_layer.register_autograd(_differentiate, setup_context=_keep)
