"""The memory of a call, allocated by torch: what the kernels read and write, and how results are read off it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from remanence.compiler import emit_torch
from remanence.compiler.arena import borrow
from remanence.compiler.call import Call, Shape
from remanence.compiler.ir import SCALAR
from remanence.compiler.layout import Home
from remanence.compiler.schedule import ONCE
from remanence.compiler.work import backward_work

__all__ = [
    "arriving", "backward_memory", "entries", "finals", "forward_memory", "kept_shapes", "once", "packed_memory",
    "traced",
]  # fmt: skip


def forward_memory(
    call: Call, tensors: tuple[Tensor, ...], inputs: Tensor, given: dict[str, Tensor], state: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The memory of a forward pass, without what nobody reads behind it; `tensors`: the parameters, contiguous."""
    shape, layout, kernel = call.shape, call.kernel.forward, call.kernel
    batch, dtype = shape.batch, shape.dtype
    whole = borrow((call.scratch.size,), dtype)
    arrays = {"x": inputs, "scratch": whole}
    if call.keeping:
        arrays["s"] = borrow((shape.time, batch, shape.width("s")), dtype)
    if layout.lanes.get("u"):
        arrays["u"] = _outside(call, inputs, given)
    arrays |= _packed(call, tensors, call.scratch.part(whole, "w"))
    for name, start in state.items():
        size = shape.row(name)
        if name in layout.passing:
            entry = call.scratch.part(whole, f"x_{name}")[: batch * size].view(batch, size)
        else:
            states = arrays[f"x_{name}"] = borrow((shape.time + 1, batch, size), dtype)
            if call.lengths is not None and (name == call.step.output or call.reading.trace):
                # Steps that a short sequence never takes must show zeros.
                states.zero_()
            if shape.backwards and call.lengths is not None:
                states[call.lengths, torch.arange(batch)] = _widened(start, size)
                continue
            entry = states[shape.time if shape.backwards else 0]
        entry.copy_(start if start.shape[-1] == size else _widened(start, size))
    if call.lengths is not None and call.reading.trace:
        arrays["s"].zero_()
    if kernel.backward is not None and "v" not in arrays:
        # Backward reads it when the rest of the scratch is used for something else.
        arrays["v"] = call.scratch.part(whole, "v").clone()
    return arrays


def kept_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Name → shape of what a backward pass reads of the forward one: told without a call, as torch.compile asks."""
    kernel, time, batch = shape.kernel, shape.time, shape.batch
    shapes: dict[str, tuple[int, ...]] = {"v": (shape.width("v"),), "s": (time, batch, shape.width("s"))}
    if kernel.forward.lanes.get("u"):
        shapes["u"] = (time, batch, shape.width("u"))
    for name in kernel.step.state:
        kept = 2 if name in kernel.forward.passing else time + 1
        shapes[f"x_{name}"] = (kept, batch, shape.row(name))
    return shapes


def packed_memory(call: Call, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Matrices in panels (w), and rows of lanes: vectors that steps read (v), what products with x start from (b)."""
    whole = borrow((call.shape.packing[False].size,), call.shape.dtype)
    lines = call.shape.packing[False].lines
    rows = {name: whole.narrow(0, begin, width) for name, (begin, width) in lines.items()}
    return {"w": whole, **rows, **_packed(call, tensors, whole)}


def _packed(call: Call, tensors: tuple[Tensor, ...], whole: Tensor) -> dict[str, Tensor]:
    """Pack the matrices, and the rows of lanes behind them; what could not be packed is returned."""
    call.pack(tensors, whole, False)
    return {} if call.shape.packing[False].lines else _vectors(call, tensors)


def _vectors(call: Call, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Rows of lanes: the vectors that steps read (v), and what products with x start from (b)."""
    layout = call.kernel.forward
    homes, sizes, leaves = layout.homes, layout.loop.sizes, layout.loop.leaves
    vectors = [(homes[s], s, sizes[s]) for s, leaf in leaves.items() if leaf[0] == "vector"]
    biases = [(homes[h.out], s, sizes[s]) for h in layout.loop.hoisted for s in h.biases]
    values = once(call, tensors) if vectors or biases else []
    return {
        "v": _line(call, call.shape.width("v"), [(home, values[s], size) for home, s, size in vectors]),
        "b": _line(call, call.shape.width("g"), [(home, values[s], size) for home, s, size in biases]),
    }


def _widened(tensor: Tensor, size: int) -> Tensor:
    """The last axis padded with zeros to `size`."""
    short = size - tensor.shape[-1]
    return functional.pad(tensor, (0, short)) if short else tensor


def _line(call: Call, width: int, parts: list[tuple[Home, Any, str]]) -> Tensor:
    """A row of lanes: numbers and vectors at their homes, zero elsewhere; several at one home are added."""
    line = torch.zeros(width, dtype=call.shape.dtype)
    taken: set[int] = set()
    for home, value, size in parts:
        begin = call.shape.begin(home)
        place = line.narrow(0, begin, (call.shape.padded if size == SCALAR else call.shape.true)[size])
        if begin in taken:
            place += value
        elif isinstance(value, Tensor):
            place.copy_(value)
        else:
            place.fill_(value)
        taken.add(begin)
    return line


def once(call: Call, tensors: tuple[Tensor, ...]) -> list[Any]:
    """What depends on parameters alone, by slot."""
    plan, parameters = call.kernel.plan, call.shape.named(tensors)
    values = emit_torch.start(plan, parameters)
    emit_torch.interpret(plan.stages[ONCE], values, emit_torch.Weights(parameters))
    return values


def _outside(call: Call, inputs: Tensor, given: Mapping[str, Tensor]) -> Tensor:
    """x and what is given, in lanes: `[time, batch, lanes]`."""
    parts = []
    for slot, leaf in call.kernel.forward.loop.leaves.items():
        if leaf[0] in ("input", "given"):
            value = inputs if leaf[0] == "input" else given[str(leaf[1])]
            width = call.shape.padded[call.kernel.forward.loop.sizes[slot]]
            single = call.kernel.forward.loop.sizes[slot] == SCALAR
            parts.append(value.expand(*value.shape[:2], width) if single else _widened(value, width))
    if call.lengths is not None:
        valid = (torch.arange(call.shape.time)[:, None] < call.lengths)[..., None]
        parts = [part.masked_fill(~valid, 0) for part in parts]
    return torch.cat(parts, -1)


def finals(call: Call, arrays: Mapping[str, Tensor]) -> list[Tensor]:
    """The state after each sequence's last step, `[batch, size]` each."""
    found = []
    for name in call.step.state:
        size, passing = call.step.sizes[name], name in call.kernel.forward.passing
        if passing:
            entries = (2, call.shape.batch, call.shape.padded[size])
            states = call.scratch.part(arrays["scratch"], f"x_{name}").view(entries)
        else:
            states = arrays[f"x_{name}"]
        if call.shape.true[size] != states.shape[-1]:
            states = states[:, :, : call.shape.true[size]]
        if call.shape.backwards and not passing:
            found.append(states[0].clone())
        elif call.lengths is None:
            found.append(states[call.shape.time & 1 if passing else -1].clone())
        else:
            found.append(states[call.lengths & 1 if passing else call.lengths, torch.arange(call.shape.batch)])
    return found


def entries(call: Call, states: Tensor, following: bool) -> Tensor:
    """The states that steps start from or leave, by place in time; zero beyond a sequence's length."""
    shown = states[1:] if following != call.shape.backwards else states[:-1]
    if call.lengths is None or (following and not call.shape.backwards):
        return shown
    # An entry beyond the end holds what the sequence starts from.
    valid = (torch.arange(call.shape.time)[:, None] < call.lengths)[..., None]
    return shown.masked_fill(~valid, 0)


def traced(call: Call, arrays: Mapping[str, Tensor], name: str, values: list[Any]) -> Tensor:
    """A quantity, `[time, batch, size]`."""
    slot, home = call.kernel.plan.quantities[name], call.kernel.forward_home(name)
    size = call.kernel.forward.loop.sizes[slot]
    if home is None or home.array == "v":
        value = torch.as_tensor(values[slot], dtype=call.shape.dtype)
        shape = (call.shape.time, call.shape.batch, value.shape[-1] if value.ndim else call.shape.true.get(size, 1))
        whole = value.expand(shape).clone()
        return whole if call.lengths is None else whole.masked_fill(~_valid(call), 0)
    width, begin = 1 if size == SCALAR else call.shape.true[size], call.shape.begin(home)
    if home.array.startswith("x_"):
        return entries(call, arrays[home.array], home.step == 1)[:, :, :width]
    return arrays[home.array][:, :, begin : begin + width]


def _valid(call: Call) -> Tensor:
    assert call.lengths is not None
    return (torch.arange(call.shape.time)[:, None] < call.lengths)[..., None]


def backward_memory(
    call: Call, kept: Mapping[str, Tensor], tensors: tuple[Tensor, ...], gradients: tuple[Tensor | None, ...]
) -> dict[str, Tensor]:
    """The memory of a backward pass."""
    shape, dtype, parts = call.shape, call.shape.dtype, call.rows.parts
    plan = backward_work(shape, call.rows)
    whole = borrow((plan.size,), dtype)
    whole[plan.places["a"][0] :].zero_()
    arrays = {**kept, **{name: plan.part(whole, name) for name in plan.places}, "e": arriving(shape, gradients[0])}
    arrays |= {"a": arrays["a"].view(parts, shape.width("v")), "z": arrays["z"].view(parts, shape.gradient_size)}
    arrays["q"] = borrow((shape.time, shape.batch, shape.width("q", True)), dtype)
    call.pack(tensors, arrays["w"], True)
    if call.lengths is not None:
        arrays["q"].zero_()
    for name, final in zip(call.step.state, gradients[1:], strict=True):
        adjoint = arrays[f"y_{name}"] = arrays[f"y_{name}"].view(2, shape.batch, shape.row(name))
        if final is not None:
            adjoint[:, :, : final.shape[-1]] = final
    return arrays


def arriving(shape: Shape, gradient: Tensor | None) -> Tensor:
    """The gradient of the output, readable in whole registers."""
    width = shape.row(shape.kernel.step.output)
    if gradient is None:
        return torch.zeros(1, 1, width, dtype=shape.dtype).expand(shape.time, shape.batch, width)
    gradient = gradient.resolve_neg()
    if gradient.shape[-1] == width and gradient.stride(2) == 1:
        return gradient
    return _widened(gradient, width).contiguous()
