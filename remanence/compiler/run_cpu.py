"""Run a cell's fused kernels on PyTorch tensors: arguments and results of `emit_torch.run`, float32 or float64, CPU.

The whole layer is one autograd function around two compiled loops; torch allocates memory and forms what depends on
parameters alone. When a second derivative is asked for, or one through a trace, backward runs the eager reference.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from remanence.compiler import emit_torch
from remanence.compiler.emit_cpu import arrays_of, sizes_of
from remanence.compiler.ir import SCALAR, Step
from remanence.compiler.kernel import Kernel, launcher, most_threads, tiles
from remanence.compiler.layout import Home
from remanence.compiler.rows import Rows, numbers
from remanence.compiler.schedule import ONCE
from remanence.compiler.vector import MACHINE

__all__ = ["Options", "run"]

# Compiled functions as ctypes sees them; a call releases Python's lock.
_LONG, _PLACE = ctypes.c_int64, ctypes.c_void_p
_KERNEL = ctypes.CFUNCTYPE(None, _LONG, _PLACE, _PLACE)
_PACK = ctypes.CFUNCTYPE(None, _PLACE, _LONG, _LONG, _PLACE, *[_LONG] * 6)
_kernel_at = lru_cache(maxsize=512)(_KERNEL)
_pack_at = lru_cache(maxsize=8)(_PACK)

FORWARD_BYTES, BACKWARD_BYTES = 2**18, 2**19
"""Room for the products ahead of a few steps, and for the adjoints behind them: what stays in a core's own cache."""
LEAST_ROWS, MOST_ROWS = 64, 512


@dataclass(frozen=True)
class Options:
    """How a layer is run besides its tensors.

    Args:
        backwards: read every sequence from its own end; outputs and traces keep the places of the input.
        trace: quantities to return.
        stacks: parameters that are one tensor: names in the order of its rows, in equal parts.
    """

    backwards: bool = False
    trace: tuple[str, ...] = ()
    stacks: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, eq=False)
class _Call:
    """What one call knows besides its tensors.

    Args:
        kernel: its loops.
        groups: names of each parameter tensor: one, or those of a stack.
        true, padded: sizes by name.
        rows: how the batch is dealt.
        lengths: of the sequences; None: all steps.
        options: see `Options`.
    """

    kernel: Kernel
    groups: tuple[tuple[str, ...], ...]
    true: dict[str, int]
    padded: dict[str, int]
    rows: Rows
    lengths: Tensor | None
    options: Options
    dtype: torch.dtype
    given: tuple[str, ...] = ()
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def step(self) -> Step:
        return self.kernel.step

    @property
    def batch(self) -> int:
        return len(self.rows.order)

    def named(self, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Parameters by name, from the tensors of the groups."""
        found: dict[str, Tensor] = {}
        for names, tensor in zip(self.groups, tensors, strict=True):
            if len(names) == 1:
                found[names[0]] = tensor
            else:
                found |= zip(names, tensor.chunk(len(names)), strict=True)
        return found

    def begin(self, home: Home) -> int:
        return sum(self.padded[size] for size in home.before)

    def start(self, arrays: Mapping[str, Tensor], head: Mapping[str, int], backward: bool) -> None:
        """Run a kernel to its end."""
        dtype = str(self.dtype).removeprefix("torch.")
        shared, parts = tiles(dtype), self.rows.parts
        head = {"spread": shared.spread, "gather": shared.gather, "sums": shared.sums, "fill": shared.fill, **head}
        head |= {"sign": -1 if self.options.backwards else 1}
        whole = numbers(head, [self.true[name] for name in sizes_of(self.step)], self.rows)
        names = arrays_of(self.step, backward)
        pointers = np.array([arrays[name].data_ptr() if name in arrays else 0 for name in names], np.int64)
        address = self.kernel.address(dtype, backward)
        if parts == 1:
            _kernel_at(address)(0, whole.ctypes.data, pointers.ctypes.data)
            return
        before = numba.get_num_threads()
        numba.set_num_threads(parts)
        launcher()(address, whole.ctypes.data, pointers.ctypes.data, parts)
        numba.set_num_threads(before)

    def pack(self, parameters: Mapping[str, Tensor], backward: bool) -> Tensor:
        """The matrices in panels, one run behind the other."""
        runs = self.kernel.runs[backward].packed
        sizes = [run.elements(self.true, self.padded, backward) for run in runs]
        packed = torch.zeros(sum(sizes), dtype=self.dtype)
        pack, start = _pack_at(tiles(str(self.dtype).removeprefix("torch.")).pack), 0
        for run, size in zip(runs, sizes, strict=True):
            wide = sum(self.padded[block] for block in run.blocks)
            depth, columns = (wide, self.padded[run.other]) if backward else (self.true[run.other], wide)
            place = 0
            for name, block in zip(run.matrices, run.blocks, strict=True):
                matrix = parameters[name].contiguous()
                row, column = (place, 0) if backward else (0, place)
                to = packed.data_ptr()
                pack(matrix.data_ptr(), *matrix.shape, to, start, depth, columns, row, column, not backward)
                place += self.padded[block]
            start += size
        return packed


def _widened(tensor: Tensor, size: int) -> Tensor:
    """The last axis padded with zeros to `size`."""
    short = size - tensor.shape[-1]
    return functional.pad(tensor, (0, short)) if short else tensor


def _line(call: _Call, lanes: list[str], parts: list[tuple[Home, Any, str]]) -> Tensor:
    """A row of lanes: numbers and vectors at their homes, zero elsewhere; several at one home are added."""
    line = torch.zeros(sum(call.padded[size] for size in lanes), dtype=call.dtype)
    for home, value, size in parts:
        begin = call.begin(home)
        line[begin : begin + (call.padded if size == SCALAR else call.true)[size]] += value
    return line


def _once(call: _Call, parameters: Mapping[str, Tensor]) -> list[Any]:
    """What depends on parameters alone, by slot."""
    values = emit_torch.start(call.kernel.plan, parameters)
    emit_torch.interpret(call.kernel.plan.stages[ONCE], values, emit_torch.Weights(parameters))
    return values


def _forward_arrays(
    call: _Call, parameters: dict[str, Tensor], inputs: Tensor, given: dict[str, Tensor], state: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The memory of a forward pass."""
    kernel, layout, time, batch = call.kernel, call.kernel.forward, call.rows.time, call.batch
    homes, sizes, leaves = layout.homes, layout.loop.sizes, layout.loop.leaves
    # Steps that a short sequence never takes must show zeros.
    make = inputs.new_empty if call.lengths is None else inputs.new_zeros
    values = _once(call, parameters)
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
        if not call.options.backwards:
            states[0] = _widened(start, size)
        elif call.lengths is None:
            states[time] = _widened(start, size)
        else:
            states[call.lengths, torch.arange(batch)] = _widened(start, size)
    return arrays


def _outside(call: _Call, inputs: Tensor, given: Mapping[str, Tensor]) -> Tensor:
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


def _finals(call: _Call, arrays: Mapping[str, Tensor]) -> list[Tensor]:
    """The state after each sequence's last step, `[batch, size]` each."""
    found = []
    for name in call.step.state:
        states = arrays[f"x_{name}"][:, :, : call.true[call.step.sizes[name]]]
        if call.options.backwards:
            found.append(states[0].clone())
        elif call.lengths is None:
            found.append(states[-1].clone())
        else:
            found.append(states[call.lengths, torch.arange(call.batch)])
    return found


def _entries(call: _Call, states: Tensor, following: bool) -> Tensor:
    """The states that steps start from or leave, by place in time; zero beyond a sequence's length."""
    shown = states[1:] if following != call.options.backwards else states[:-1]
    if call.lengths is None or (following and not call.options.backwards):
        return shown
    # An entry beyond the end holds what the sequence starts from.
    valid = (torch.arange(call.rows.time)[:, None] < call.lengths)[..., None]
    return shown.masked_fill(~valid, 0)


def _traced(call: _Call, arrays: Mapping[str, Tensor], name: str, values: list[Any]) -> Tensor:
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
        return _entries(call, arrays[home.array], home.step == 1)[:, :, :width].clone()
    return arrays[home.array][:, :, begin : begin + width].clone()


def _valid(call: _Call) -> Tensor:
    assert call.lengths is not None
    return (torch.arange(call.rows.time)[:, None] < call.lengths)[..., None]


class _Fused(torch.autograd.Function):
    """inputs, given, parameters, states → output, final states, traces."""

    @staticmethod
    def forward(ctx: Any, call: _Call, inputs: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        given, parameters, state = _sorted(call, rest)
        arrays = _forward_arrays(call, parameters, inputs, given, state)
        head = {"x_time": inputs.stride(0), "x_row": inputs.stride(1), "keep": int(arrays["s"].shape[0] != 1)}
        head["keep"] = int(call.kernel.backward is not None or bool(call.kernel.kept))
        call.start(arrays, head, False)
        output = _entries(call, arrays[f"x_{call.step.output}"], True)
        output = output[:, :, : call.true[call.step.sizes[call.step.output]]]
        values = _once(call, parameters) if call.options.trace else []
        traces = [_traced(call, arrays, name, values) for name in call.options.trace]
        if call.kernel.backward is not None:
            ctx.set_materialize_grads(False)
            ctx.call, ctx.arrays = call, arrays
            # The output lies in memory that backward reads: saved too, so that changing it in place is an error.
            ctx.save_for_backward(inputs, *rest, output)
        return (output, *_finals(call, arrays), *traces)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:  # type: ignore[override]
        call: _Call = ctx.call
        saved = ctx.saved_tensors[:-1]
        count = 1 + len(call.step.state)
        if torch.is_grad_enabled() or any(gradient is not None for gradient in gradients[count:]):
            return None, *_eager_gradients(call, saved, gradients, ctx.needs_input_grad[1:])
        return None, *_gradients(call, ctx.arrays, saved, gradients[:count], ctx.needs_input_grad[1:])


def _sorted(call: _Call, rest: tuple[Tensor, ...]) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """What is given, parameters and states, by name."""
    one, two = len(call.given), len(call.given) + len(call.groups)
    given = dict(zip(call.given, rest[:one], strict=True))
    return given, call.named(rest[one:two]), dict(zip(call.step.state, rest[two:], strict=True))


def _gradients(
    call: _Call,
    kept: Mapping[str, Tensor],
    saved: tuple[Tensor, ...],
    gradients: tuple[Tensor | None, ...],
    wanted: tuple[bool, ...],
) -> list[Tensor | None]:
    """Gradients of inputs, given, parameters and states by the backward kernel."""
    kernel, padded = call.kernel, call.padded
    _, parameters, _ = _sorted(call, saved[1:])
    size = kernel.runs[True].gradient_size(call.true, padded)
    arrays = {**kept, "w": call.pack(parameters, True)}
    like, time, batch, parts = kept["g"], call.rows.time, call.batch, call.rows.parts
    make = like.new_empty if call.lengths is None else like.new_zeros
    width = kernel.lanes("d", padded, True)
    rows = _most(width * like.element_size(), BACKWARD_BYTES)
    call = _with_most(call, rows)
    arrays |= {
        "g": like.new_empty(0),
        "d": like.new_empty(parts, call.rows.most, width + padded[SCALAR]),
        "k": like.new_empty(batch, kernel.lanes("k", padded, True)),
        "a": like.new_zeros(parts, kernel.lanes("v", padded)),
        "q": make(time, batch, kernel.lanes("q", padded, True)),
        "z": like.new_zeros(parts, size),
        "e": _arriving(call, gradients[0]),
    }
    for name, final in zip(call.step.state, gradients[1:], strict=True):
        wide = padded[call.step.sizes[name]]
        arrays[f"y_{name}"] = like.new_zeros(2, batch, wide)
        if final is not None:
            arrays[f"y_{name}"][:, :, : final.shape[-1]] = final
    head = {"x_time": kept["x"].stride(0), "x_row": kept["x"].stride(1), "keep": 1, "want_x": int(wanted[0])}
    head |= {"e_time": arrays["e"].stride(0), "e_row": arrays["e"].stride(1), "z_size": size}
    call.start(arrays, head, True)
    found = _parameter_gradients(call, parameters, arrays, wanted)
    starts = [arrays[f"y_{n}"][0][:, : call.true[call.step.sizes[n]]] for n in call.step.state]
    outside = [_outside_gradient(call, arrays["q"], name) if want else None
               for name, want in zip(("", *call.given), wanted, strict=False)]  # fmt: skip
    return [*outside, *found, *starts]


def _arriving(call: _Call, gradient: Tensor | None) -> Tensor:
    """The gradient of the output, readable in whole registers."""
    width = call.padded[call.step.sizes[call.step.output]]
    if gradient is None:
        return torch.zeros(1, 1, width, dtype=call.dtype).expand(call.rows.time, call.batch, width)
    if gradient.shape[-1] == width and gradient.stride(2) == 1:
        return gradient
    return _widened(gradient, width).contiguous()


def _outside_gradient(call: _Call, q: Tensor, name: str) -> Tensor | None:
    """The gradient of x ("") or of something given."""
    layout = call.kernel.backward
    assert layout is not None
    slots = {known: slot for slot, known in call.kernel.plan.given.items()} | {"": 0}
    home = layout.homes_of_d.get(slots[name]) if name in slots else None
    if home is None:
        return None
    size = call.kernel.forward.loop.sizes[slots[name]]
    begin = call.begin(home)
    return q[:, :, begin : begin + (1 if size == SCALAR else call.true[size])]


def _parameter_gradients(
    call: _Call, parameters: dict[str, Tensor], arrays: Mapping[str, Tensor], wanted: tuple[bool, ...]
) -> list[Tensor | None]:
    """Gradients of the parameter tensors, in their order."""
    found = _matrix_gradients(call, arrays["z"])
    for name, gradient in _vector_gradients(call, parameters, arrays).items():
        found[name] = found[name] + gradient if name in found else gradient
    result: list[Tensor | None] = []
    for names, want in zip(call.groups, wanted[1 + len(call.given) :], strict=False):
        if not want:
            result.append(None)
        elif len(names) == 1:
            result.append(found.get(names[0]))
        else:
            result.append(torch.cat([found.get(name, torch.zeros_like(parameters[name])) for name in names]))
    return result


def _matrix_gradients(call: _Call, z: Tensor) -> dict[str, Tensor]:
    total = z[0] if len(z) == 1 else z.sum(0)
    found: dict[str, Tensor] = {}
    at = 0
    for run in call.kernel.runs[True].matrices:
        depth, width = call.true[run.other], sum(call.padded[block] for block in run.blocks)
        whole, begin = total[at : at + depth * width].view(depth, width), 0
        for name, block in zip(run.matrices, run.blocks, strict=True):
            gradient = whole[:, begin : begin + call.true[block]].t()
            found[name] = found[name] + gradient if name in found else gradient
            begin += call.padded[block]
        at += depth * width
    return found


def _vector_gradients(
    call: _Call, parameters: dict[str, Tensor], arrays: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Gradients of what is added to products, and of vectors that steps read; and through what is made of them once."""
    plan, forward, backward = call.kernel.plan, call.kernel.forward, call.kernel.backward
    assert backward is not None
    slots: dict[int, Tensor] = {}
    lanes = kernel_lanes = call.kernel.lanes("d", call.padded, True)
    sums = arrays["z"][:, arrays["z"].shape[1] - lanes :].sum(0) if call.kernel.runs[True].biases else None
    for hoist in forward.loop.hoisted:
        adjoint = backward.loop.results.get(("sliced", hoist.out))
        if adjoint is None or sums is None:
            continue
        begin = call.begin(backward.homes_of_d[adjoint])
        for slot in hoist.biases:
            part = sums[begin : begin + call.true[forward.loop.sizes[slot]]]
            slots[slot] = slots[slot] + part if slot in slots else part
    whole = arrays["a"].sum(0)
    for slot, leaf in forward.loop.leaves.items():
        if leaf in backward.loop.results and leaf[0] == "vector":
            begin, size = call.begin(forward.homes[slot]), forward.loop.sizes[slot]
            part = whole[begin : begin + (1 if size == SCALAR else call.true[size])]
            slots[slot] = slots[slot] + part if slot in slots else part
    found: dict[str, Tensor] = {}
    made = {slot: part for slot, part in slots.items() if slot not in plan.vectors}
    for slot, part in slots.items():
        if slot in plan.vectors:
            name = plan.vectors[slot]
            found[name] = found[name] + part if name in found else part
    for name, part in _through_once(call, parameters, made).items():
        found[name] = found[name] + part if name in found else part
    return found


def _through_once(call: _Call, parameters: dict[str, Tensor], made: dict[int, Tensor]) -> dict[str, Tensor]:
    """Gradients of parameters through what was made of them before the loop."""
    if not made:
        return {}
    local = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    with torch.enable_grad():
        values = _once(call, local)
        pairs = [(values[slot], part) for slot, part in made.items()]
        outputs = [(v, part.reshape(v.shape)) for v, part in pairs if isinstance(v, Tensor) and v.requires_grad]
        gradients = torch.autograd.grad(
            [v for v, _ in outputs], list(local.values()), [part for _, part in outputs], allow_unused=True
        )
    return {name: g for name, g in zip(local, gradients, strict=True) if g is not None}


def _eager_gradients(
    call: _Call, saved: tuple[Tensor, ...], gradients: tuple[Tensor | None, ...], wanted: tuple[bool, ...]
) -> list[Tensor | None]:
    """The same gradients by the eager reference, differentiable again."""
    given, parameters, state = _sorted(call, saved[1:])
    with torch.enable_grad():
        done = emit_torch.run(
            call.kernel.plan,
            parameters,
            _turned(call, saved[0]),
            state,
            lengths=call.lengths,
            trace=call.options.trace,
            given={name: _turned(call, value) for name, value in given.items()},
        )
        outputs = [_turned(call, done.output), *(done.state[name] for name in call.step.state)]
        outputs += [_turned(call, done.trace[name]) for name in call.options.trace]
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


def _turned(call: _Call, flow: Tensor) -> Tensor:
    """Each sequence from its own end, where the layer reads backwards."""
    if not call.options.backwards:
        return flow
    steps = torch.arange(call.rows.time)[:, None]
    ends = torch.full((call.batch,), call.rows.time) if call.lengths is None else call.lengths
    index = torch.where(steps < ends, ends - 1 - steps, steps)
    return flow.gather(0, index[..., None].expand(*index.shape, flow.shape[-1]))


def _most(bytes_a_row: int, room: int) -> int:
    return max(LEAST_ROWS, min(MOST_ROWS, room // max(bytes_a_row, 1)))


def _with_most(call: _Call, most: int) -> _Call:
    from dataclasses import replace

    least = int(np.diff(call.rows.bounds).max())
    return replace(call, rows=replace(call.rows, most=max(most, least)))


def run(
    kernel: Kernel,
    parameters: Mapping[str, Tensor],
    inputs: Tensor,
    state: Mapping[str, Tensor],
    *,
    lengths: Tensor | None = None,
    given: Mapping[str, Tensor] | None = None,
    options: Options | None = None,
) -> emit_torch.Run:
    """Run a cell over time through its kernels; arguments and results as `emit_torch.run`.

    Args:
        kernel: built with the quantities of `options.trace`, and with a backward loop if any gradient is wanted.
        parameters: by name; the tensor of a stack by the name of its first parameter.
        inputs: `[time, batch, input]`, of any strides.
        state: name → `[batch, size]`.
        lengths: int64 `[batch]`.
        given: name → `[time, batch, size]`.
        options: direction, trace, stacks.

    Numerics: within 2e-5 (float32) or 1e-10 (float64) of the eager reference, relative to the largest value.
    """
    step, options = kernel.step, options or Options()
    time, batch, features = inputs.shape
    stacked = {name: names for names in options.stacks for name in names}
    groups = tuple(dict.fromkeys(stacked.get(p.name, (p.name,)) for p in step.parameters))
    tensors = [parameters[names[0]] for names in groups]
    true = {"input": features, **{step.sizes[name]: value.shape[-1] for name, value in state.items()}}
    for names, tensor in zip(groups, tensors, strict=True):
        shape = (tensor.shape[0] // len(names), *tensor.shape[1:])
        true |= zip(step.parameter(names[0]).axes, shape, strict=True)
    for name, value in (given or {}).items():
        true.setdefault(step.given[name], value.shape[-1])
    width = MACHINE.width(inputs.element_size())
    padded = {name: -(-size // width) * width for name, size in true.items()} | {SCALAR: width}
    wanted = min(torch.get_num_threads(), batch)
    threads = min(wanted, most_threads()) if wanted > 1 else 1
    most = _most(kernel.lanes("g", padded) * inputs.element_size(), FORWARD_BYTES)
    counted = None if lengths is None else lengths.numpy()
    rows = Rows.deal(batch, time, counted, max(threads, 1), backwards=options.backwards, most=most)
    names = tuple(step.given)
    call = _Call(kernel, groups, true, padded, rows, lengths, options, inputs.dtype, names)
    if inputs.stride(2) != 1 and features > 1:
        inputs = inputs.contiguous()
    rest = [*((given or {})[name] for name in names), *tensors, *(state[name] for name in step.state)]
    done = _Fused.apply(call, inputs, *rest)  # type: ignore[misc]
    count = 1 + len(step.state)
    finals = dict(zip(step.state, done[1:count], strict=True))
    return emit_torch.Run(done[0], finals, dict(zip(options.trace, done[count:], strict=True)))
