"""The memory of a call, allocated by torch: what the kernels read and write, and how results are read off it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from remanence.compiler import emit_torch
from remanence.compiler.call import Call
from remanence.compiler.ir import SCALAR
from remanence.compiler.layout import Home
from remanence.compiler.schedule import ONCE

__all__ = ["backward_arrays", "entries", "finals", "forward_arrays", "once", "traced"]


def forward_arrays(
    call: Call, parameters: dict[str, Tensor], inputs: Tensor, given: dict[str, Tensor], state: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The memory of a forward pass."""
    kernel, layout, time, batch = call.kernel, call.kernel.forward, call.rows.time, call.batch
    homes, sizes, leaves = layout.homes, layout.loop.sizes, layout.loop.leaves
    # Steps that a short sequence never takes must show zeros.
    make = inputs.new_empty if call.lengths is None else inputs.new_zeros
    values = once(call, parameters)
    vectors = [(homes[s], values[s], sizes[s]) for s, leaf in leaves.items() if leaf[0] == "vector"]
    biases = [(homes[h.out], values[s], sizes[s]) for h in layout.loop.hoisted for s in h.biases]
    keeping = kernel.backward is not None or bool(kernel.kept)
    arrays = {
        "x": inputs,
        "v": _line(call, layout.lanes.get("v", []), vectors),
        "b": _line(call, layout.lanes.get("g", []), biases),
        "g": inputs.new_empty(call.rows.parts, call.rows.most, kernel.lanes("g", call.padded) + call.padded[SCALAR]),
        "s": make(time if keeping else 1, batch, kernel.lanes("s", call.padded)),
        "k": inputs.new_empty(batch, kernel.lanes("k", call.padded)),
        "w": call.pack(parameters, False),
    }
    if layout.lanes.get("u"):
        arrays["u"] = _outside(call, inputs, given)
    for name, start in state.items():
        size = call.padded[call.step.sizes[name]]
        arrays[f"x_{name}"] = states = make(time + 1, batch, size)
        if not call.reading.backwards:
            states[0] = _widened(start, size)
        elif call.lengths is None:
            states[time] = _widened(start, size)
        else:
            states[call.lengths, torch.arange(batch)] = _widened(start, size)
    return arrays


def _widened(tensor: Tensor, size: int) -> Tensor:
    """The last axis padded with zeros to `size`."""
    short = size - tensor.shape[-1]
    return functional.pad(tensor, (0, short)) if short else tensor


def _line(call: Call, lanes: list[str], parts: list[tuple[Home, Any, str]]) -> Tensor:
    """A row of lanes: numbers and vectors at their homes, zero elsewhere; several at one home are added."""
    line = torch.zeros(sum(call.padded[size] for size in lanes), dtype=call.dtype)
    for home, value, size in parts:
        begin = call.begin(home)
        line[begin : begin + (call.padded if size == SCALAR else call.true)[size]] += value
    return line


def once(call: Call, parameters: Mapping[str, Tensor]) -> list[Any]:
    """What depends on parameters alone, by slot."""
    values = emit_torch.start(call.kernel.plan, parameters)
    emit_torch.interpret(call.kernel.plan.stages[ONCE], values, emit_torch.Weights(parameters))
    return values


def _outside(call: Call, inputs: Tensor, given: Mapping[str, Tensor]) -> Tensor:
    """x and what is given, in lanes: `[time, batch, lanes]`."""
    parts = []
    for slot, leaf in call.kernel.forward.loop.leaves.items():
        if leaf[0] in ("input", "given"):
            value = inputs if leaf[0] == "input" else given[str(leaf[1])]
            width = call.padded[call.kernel.forward.loop.sizes[slot]]
            single = call.kernel.forward.loop.sizes[slot] == SCALAR
            parts.append(value.expand(*value.shape[:2], width) if single else _widened(value, width))
    if call.lengths is not None:
        valid = (torch.arange(call.rows.time)[:, None] < call.lengths)[..., None]
        parts = [part.masked_fill(~valid, 0) for part in parts]
    return torch.cat(parts, -1)


def finals(call: Call, arrays: Mapping[str, Tensor]) -> list[Tensor]:
    """The state after each sequence's last step, `[batch, size]` each."""
    found = []
    for name in call.step.state:
        states = arrays[f"x_{name}"][:, :, : call.true[call.step.sizes[name]]]
        if call.reading.backwards:
            found.append(states[0].clone())
        elif call.lengths is None:
            found.append(states[-1].clone())
        else:
            found.append(states[call.lengths, torch.arange(call.batch)])
    return found


def entries(call: Call, states: Tensor, following: bool) -> Tensor:
    """The states that steps start from or leave, by place in time; zero beyond a sequence's length."""
    shown = states[1:] if following != call.reading.backwards else states[:-1]
    if call.lengths is None or (following and not call.reading.backwards):
        return shown
    # An entry beyond the end holds what the sequence starts from.
    valid = (torch.arange(call.rows.time)[:, None] < call.lengths)[..., None]
    return shown.masked_fill(~valid, 0)


def traced(call: Call, arrays: Mapping[str, Tensor], name: str, values: list[Any]) -> Tensor:
    """A quantity, `[time, batch, size]`."""
    slot, layout = call.kernel.plan.quantities[name], call.kernel.forward
    home, size = layout.copies.get(slot, layout.homes.get(slot)), layout.loop.sizes[slot]
    if home is None or home.array == "v":
        value = torch.as_tensor(values[slot], dtype=call.dtype)
        shape = (call.rows.time, call.batch, value.shape[-1] if value.ndim else call.true.get(size, 1))
        whole = value.expand(shape).clone()
        return whole if call.lengths is None else whole.masked_fill(~_valid(call), 0)
    width, begin = 1 if size == SCALAR else call.true[size], call.begin(home)
    if home.array.startswith("x_"):
        return entries(call, arrays[home.array], home.step == 1)[:, :, :width].clone()
    return arrays[home.array][:, :, begin : begin + width].clone()


def _valid(call: Call) -> Tensor:
    assert call.lengths is not None
    return (torch.arange(call.rows.time)[:, None] < call.lengths)[..., None]


def backward_arrays(
    call: Call, kept: Mapping[str, Tensor], parameters: dict[str, Tensor], gradients: tuple[Tensor | None, ...]
) -> tuple[dict[str, Tensor], dict[str, int]]:
    """The memory of a backward pass, and how its arrays are laid out."""
    kernel, padded, like = call.kernel, call.padded, kept["g"]
    time, batch, parts = call.rows.time, call.batch, call.rows.parts
    make = like.new_empty if call.lengths is None else like.new_zeros
    size = kernel.runs[True].gradient_size(call.true, padded)
    width = kernel.lanes("d", padded, True)
    arrays = {
        **kept,
        "w": call.pack(parameters, True),
        "d": like.new_empty(parts, call.with_rows(width).rows.most, width + padded[SCALAR]),
        "k": like.new_empty(batch, kernel.lanes("k", padded, True)),
        "a": like.new_zeros(parts, kernel.lanes("v", padded)),
        "q": make(time, batch, kernel.lanes("q", padded, True)),
        "z": like.new_zeros(parts, size),
        "e": _arriving(call, gradients[0]),
    }
    for name, final in zip(call.step.state, gradients[1:], strict=True):
        arrays[f"y_{name}"] = like.new_zeros(2, batch, padded[call.step.sizes[name]])
        if final is not None:
            arrays[f"y_{name}"][:, :, : final.shape[-1]] = final
    head = {"x_time": kept["x"].stride(0), "x_row": kept["x"].stride(1), "keep": 1, "z_size": size}
    return arrays, {**head, "e_time": arrays["e"].stride(0), "e_row": arrays["e"].stride(1)}


def _arriving(call: Call, gradient: Tensor | None) -> Tensor:
    """The gradient of the output, readable in whole registers."""
    width = call.padded[call.step.sizes[call.step.output]]
    if gradient is None:
        return torch.zeros(1, 1, width, dtype=call.dtype).expand(call.rows.time, call.batch, width)
    if gradient.shape[-1] == width and gradient.stride(2) == 1:
        return gradient
    return _widened(gradient, width).contiguous()
