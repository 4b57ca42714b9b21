"""Gradients of a call: read off what the backward kernel left, or by the eager reference, differentiable again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from remanence.compiler import emit_torch, threads
from remanence.compiler.arena import borrow_like
from remanence.compiler.call import Call, Shape
from remanence.compiler.ir import SCALAR
from remanence.compiler.memory import backward_memory, once
from remanence.compiler.tables import table_of
from remanence.errors import ShapeError

__all__ = [
    "as_read",
    "blank_gradients",
    "eager_gradients",
    "fused_gradients",
    "home_of_gradient",
    "many_at_once",
    "tables",
]


def fused_gradients(
    call: Call,
    kept: Mapping[str, Tensor],
    saved: tuple[Tensor, ...],
    gradients: tuple[Tensor | None, ...],
    wanted: tuple[bool, ...],
) -> list[Tensor | None]:
    """Run the backward kernel: gradients of inputs, given, parameters and states.

    Args:
        call: as it ran forward.
        kept: the memory of the forward pass.
        saved: inputs, given, parameters, states.
        gradients: of the output and of the final states; None where nothing reads them.
        wanted: which of `saved` need a gradient.
    """
    _, tensors, _ = call.sorted(saved[1:])
    arrays = backward_memory(call, kept, tensors, gradients)
    x, e = arrays["x"], arrays["e"]
    strides = {"x_time": x.stride(0), "x_row": x.stride(1), "e_time": e.stride(0), "e_row": e.stride(1)}
    call.start(arrays, {**strides, "want_x": int(wanted[0])}, True)
    count = 1 + len(call.step.given)
    found = _parameter_gradients(call, tensors, arrays, wanted[count : count + len(tensors)])
    sizes = [call.shape.true[call.step.sizes[name]] for name in call.step.state]
    # Apart from the work, which is much larger.
    starts = [
        arrays[f"y_{name}"][0, :, :size].clone() if want else None
        for name, size, want in zip(call.step.state, sizes, wanted[count + len(tensors) :], strict=True)
    ]
    outside = [
        _outside_gradient(call, arrays["q"], name) if want else None
        for name, want in zip(("", *call.step.given), wanted[:count], strict=True)
    ]
    return [*outside, *found, *starts]


def _outside_gradient(call: Call, q: Tensor, name: str) -> Tensor | None:
    """The gradient of x ("") or of something given."""
    home = home_of_gradient(call.shape, name)
    return None if home is None else q[:, :, home[0] : home[0] + home[1]]


def home_of_gradient(shape: Shape, name: str) -> tuple[int, int] | None:
    """Where the gradient of x ("") or of something given begins in a row of q, and its size."""
    layout = shape.kernel.backward
    assert layout is not None
    slots = {known: slot for slot, known in shape.kernel.plan.given.items()} | {"": 0}
    home = layout.homes_of_d.get(slots[name]) if name in slots else None
    if home is None:
        return None
    size = shape.kernel.forward.loop.sizes[slots[name]]
    return shape.begin(home), 1 if size == SCALAR else shape.true[size]


def many_at_once(gradient: Tensor) -> bool:
    """Whether it stands for many gradients, as under vmap: it has no memory of its own then."""
    known = torch._C._functorch  # pyright: ignore[reportAttributeAccessIssue] (made when torch is imported)
    return known.is_legacy_batchedtensor(gradient) or known.is_batchedtensor(gradient)


@dataclass(frozen=True)
class _Tables:
    """How gradients are collected.

    Args:
        parts: (array, elements before the gradient in it, parameter tensor, elements before the parameter, the rest of
            a line of `tables.COLLECT` behind the threads) of each gradient.
        made: slots that were made of parameters beforehand, and where their gradients are (array, begin, size).
        groups: of each parameter tensor whether every part has a gradient; None where no part has.
    """

    parts: list[tuple[Any, ...]]
    made: list[tuple[int, str, int, int]]
    groups: list[bool | None]

    def table(self, shape: Shape, first: int, arrays: Mapping[str, tuple[int, int, int]]) -> np.ndarray:
        """The table of `panels.collect`.

        Args:
            shape: as it was made for.
            first: base of the gradient of the first parameter tensor.
            arrays: of `a` and `z` the base, the elements behind it, and those of one thread.
        """
        lines, parts = [], shape.rows.parts
        for array, at, tensor, behind, *rest in self.parts:
            base, begin, size = arrays[array]
            lines.append((base, begin + at, first + tensor, behind, size, parts, *rest))
        return table_of(lines, shape.gradient_size, parts)


@lru_cache(maxsize=256)
def tables(shape: Shape) -> _Tables:
    """Find where the gradients of matrices and vectors are."""
    parts: list[tuple[Any, ...]] = []
    made: list[tuple[int, str, int, int]] = []
    met: set[str] = set()

    def note(array: str, name: str, at: int, line: list[int]) -> None:
        parts.append((array, at, *shape.begins(name), *line, int(name in met)))
        met.add(name)

    at = 0
    for run in shape.kernel.runs[True].matrices:
        depth, width, begin = shape.true[run.other], sum(shape.padded[block] for block in run.blocks), 0
        for name, block in zip(run.matrices, run.blocks, strict=True):
            note("z", name, at + begin, [width, depth, shape.true[block], depth])
            begin += shape.padded[block]
        at += depth * width
    for slot, array, begin, size in _vector_places(shape, at):
        if slot in shape.kernel.plan.vectors:
            note(array, shape.kernel.plan.vectors[slot], begin, [size, 1, size, 1])
        else:
            made.append((slot, array, begin, size))
    groups = [all(n in met for n in group) if any(n in met for n in group) else None for group in shape.groups]
    return _Tables(parts, made, groups)


def _vector_places(shape: Shape, sums: int) -> Iterator[tuple[int, str, int, int]]:
    """Slots of vectors with (array, begin, size) of their gradients; `sums`: where those of d's lanes begin in z."""
    forward, backward = shape.kernel.forward, shape.kernel.backward
    assert backward is not None
    for hoist in forward.loop.hoisted:
        adjoint = backward.loop.results.get(("sliced", hoist.out))
        if adjoint is not None:
            begin = sums + shape.begin(backward.homes_of_d[adjoint])
            yield from ((slot, "z", begin, shape.true[forward.loop.sizes[slot]]) for slot in hoist.biases)
    for slot, leaf in forward.loop.leaves.items():
        if leaf[0] == "vector" and leaf in backward.loop.results:
            size = forward.loop.sizes[slot]
            yield slot, "a", shape.begin(forward.homes[slot]), 1 if size == SCALAR else shape.true[size]


def _parameter_gradients(
    call: Call, tensors: tuple[Tensor, ...], arrays: Mapping[str, Tensor], wanted: tuple[bool, ...]
) -> list[Tensor | None]:
    """Gradients of the parameter tensors, in their order."""
    shape = call.shape
    known, found = tables(shape), blank_gradients(shape, tensors)
    made, places = known.made, {name: (i, 0, arrays[name].shape[1]) for i, name in enumerate("az")}
    table = known.table(shape, len(places), places)
    held = [arrays[name] for name in places]
    held += [tensor if one is None else one for tensor, one in zip(tensors, found, strict=True)]
    bases = np.array([tensor.data_ptr() for tensor in held], np.int64)
    threads.launch(shape.tiles.collect, table.ctypes.data, bases.ctypes.data, int(table[1]))
    for name, gradient in _through_once(call, tensors, arrays, made).items():
        index, part = shape.places[name]
        into = found[index]
        if into is None:
            into = found[index] = torch.zeros_like(tensors[index])
        into.chunk(len(shape.groups[index]))[part].add_(gradient)
    return [gradient if want else None for gradient, want in zip(found, wanted, strict=True)]


def as_read(saved: Sequence[Tensor], sizes: Sequence[torch.Size], dtype: torch.dtype) -> tuple[Tensor, ...]:
    """What a backward pass reads again, its last axis in order, parameters as a whole.

    Saved tensors are the parameters themselves: `.data` and `module.half()` change them, and nobody else notices.

    Args:
        saved: input, what is given, parameters, states.
        sizes: as they were read.
        dtype: of all.

    Raises:
        ShapeError: one of them is of other sizes or another dtype now.
    """
    flow, *rest = saved
    alike = [tensor.shape for tensor in saved] == list(sizes) and flow.dtype is dtype and flow.stride(-1) == 1
    if alike and not [one for one in rest if one.dtype is not dtype or not one.is_contiguous()]:
        return tuple(saved)
    for tensor, size in zip(saved, sizes, strict=True):
        if tensor.shape != size or tensor.dtype is not dtype:
            raise ShapeError(
                "a tensor that backward reads",
                axis="sizes, dtype",
                expected=f"{list(size)}, {dtype}",
                came=f"{list(tensor.shape)}, {tensor.dtype}",
                remedy="it was changed behind the forward pass (.data, .half(), .double()): run that again",
            )
    flow = flow if flow.stride(-1) == 1 or flow.shape[-1] == 1 else flow.contiguous()
    return flow, *(tensor.contiguous() for tensor in rest)


def blank_gradients(shape: Shape, tensors: tuple[Tensor, ...]) -> list[Tensor | None]:
    """Tensors for the gradients of the parameter tensors, zero unless all will be filled; None where the loop meets no
    part of one."""
    pairs = zip(tensors, tables(shape).groups, strict=True)
    return [borrow_like(tensor) if whole else _partly(tensor, whole) for tensor, whole in pairs]


def _partly(like: Tensor, met: bool | None) -> Tensor | None:
    return None if met is None else borrow_like(like).zero_()


def _through_once(
    call: Call, tensors: tuple[Tensor, ...], arrays: Mapping[str, Tensor], made: list[tuple[int, str, int, int]]
) -> dict[str, Tensor]:
    """Gradients of parameters through what was made of them before the loop."""
    if not made:
        return {}
    local = tuple(tensor.detach().requires_grad_() for tensor in tensors)
    with torch.enable_grad():
        values = once(call, local)
        pairs = [(values[slot], arrays[array][:, begin : begin + size].sum(0)) for slot, array, begin, size in made]
        pairs = [(v, part.reshape(v.shape)) for v, part in pairs if isinstance(v, Tensor) and v.requires_grad]
        # Of one number: given gradients, torch looks at their shapes by SymPy, half a second at the first time.
        whole = torch.stack([(v * part).sum() for v, part in pairs]).sum()
        gradients = torch.autograd.grad(whole, local, allow_unused=True, materialize_grads=True)
    return call.shape.named(gradients)


def eager_gradients(
    call: Call, saved: tuple[Tensor, ...], gradients: tuple[Tensor | None, ...], wanted: tuple[bool, ...]
) -> list[Tensor | None]:
    """The same gradients by the eager reference, differentiable again."""
    given, tensors, state = call.sorted(saved[1:])
    with torch.enable_grad():
        done = emit_torch.run(
            call.kernel.plan,
            call.shape.named(tensors),
            _turned(call, saved[0]),
            state,
            lengths=call.lengths,
            trace=call.reading.trace,
            given={name: _turned(call, value) for name, value in given.items()},
        )
        outputs = [_turned(call, done.output), *(done.state[name] for name in call.step.state)]
        outputs += [_turned(call, done.trace[name]) for name in call.reading.trace]
    pairs = [(o, g) for o, g in zip(outputs, gradients, strict=True) if o.requires_grad and g is not None]
    asked = [tensor for tensor, want in zip(saved, wanted, strict=True) if want]
    if not pairs:
        return [None] * len(saved)
    found = iter(
        torch.autograd.grad(
            [out for out, _ in pairs], asked, [g for _, g in pairs], create_graph=torch.is_grad_enabled(),
            allow_unused=True,
        )
    )  # fmt: skip
    return [next(found) if want else None for want in wanted]


def _turned(call: Call, flow: Tensor) -> Tensor:
    """Each sequence from its own end, where the layer reads backwards."""
    if not call.shape.backwards:
        return flow
    steps = torch.arange(call.shape.time)[:, None]
    ends = torch.full((call.shape.batch,), call.shape.time) if call.lengths is None else call.lengths
    index = torch.where(steps < ends, ends - 1 - steps, steps)
    return flow.gather(0, index[..., None].expand(*index.shape, flow.shape[-1]))
