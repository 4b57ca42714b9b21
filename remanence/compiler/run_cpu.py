"""Run a cell's fused kernels on PyTorch tensors: arguments and results of `emit_torch.run`, float32 or float64, CPU.

What stands before the loop (`W @ x`, and all that knows no state) runs in torch; the loop runs in `kernel`. The
whole is one autograd function. When a second derivative is asked for, backward runs the eager reference instead.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from remanence.compiler import emit_torch
from remanence.compiler.emit_cpu import arrays_of, sizes_of, whole_numbers
from remanence.compiler.ir import SCALAR, Step
from remanence.compiler.kernel import Kernel, launcher, most_threads, tiles
from remanence.compiler.layout import Home
from remanence.compiler.schedule import BEFORE, ONCE, Compute, Multiply
from remanence.compiler.vector import MACHINE

__all__ = ["run"]

# Compiled functions as ctypes sees them; a call releases Python's lock.
_LONG, _PLACE = ctypes.c_int64, ctypes.c_void_p
_KERNEL = ctypes.CFUNCTYPE(None, _LONG, _PLACE, _PLACE)
_PACK = ctypes.CFUNCTYPE(None, _PLACE, _LONG, _LONG, _PLACE, *[_LONG] * 6)


@dataclass(frozen=True, eq=False)
class _Call:
    """What one call knows besides its tensors: the kernel, sizes, how rows are dealt to threads."""

    kernel: Kernel
    names: tuple[str, ...]
    true: dict[str, int]
    padded: dict[str, int]
    time: int
    batch: int
    lengths: Tensor | None
    counts: np.ndarray
    bounds: np.ndarray

    @property
    def step(self) -> Step:
        return self.kernel.step

    def start(self, arrays: Mapping[str, Any], parameters: Mapping[str, Tensor], backward: bool) -> None:
        """Pack the matrices and run a kernel to its end."""
        dtype = str(arrays["g"].dtype).removeprefix("torch.")
        shared = tiles(dtype)
        self._pack(shared.pack, arrays["w"], parameters, backward)
        known = {"tiles": shared.multiply, "time": self.time, "batch": self.batch, "parts": len(self.bounds) - 1}
        known |= {f"n_{name}": self.true[name] for name in sizes_of(self.step)} | {"s_step": arrays["s_step"]}
        whole = [known[name] for name in whole_numbers(self.step)]
        numbers = np.concatenate([np.array(whole, np.int64), self.bounds, self.counts])
        places = [arrays[name].data_ptr() for name in arrays_of(self.step, backward)]
        pointers = np.array(places, np.int64)
        address = self.kernel.address(dtype, backward)
        if known["parts"] == 1:
            _KERNEL(address)(0, numbers.ctypes.data, pointers.ctypes.data)
        else:
            before = numba.get_num_threads()
            numba.set_num_threads(known["parts"])
            launcher()(address, numbers.ctypes.data, pointers.ctypes.data, known["parts"])
            numba.set_num_threads(before)

    def _pack(self, address: int, packed: Tensor, parameters: Mapping[str, Tensor], backward: bool) -> None:
        pack, start = _PACK(address), 0
        for run in self.kernel.runs[backward]:
            wide = sum(self.padded[block] for block in run.blocks)
            depth, columns = (wide, self.padded[run.other]) if backward else (self.true[run.other], wide)
            place = 0
            for name, block in zip(run.matrices, run.blocks, strict=True):
                matrix = parameters[name].detach().contiguous()
                row, column = (place, 0) if backward else (0, place)
                to = packed.data_ptr()
                pack(matrix.data_ptr(), *matrix.shape, to, start, depth, columns, row, column, not backward)
                place += self.padded[block]
            start += run.elements(self.true, self.padded, backward)

    def begin(self, home: Home) -> int:
        return sum(self.padded[size] for size in home.before)


def _widened(tensor: Tensor, size: int) -> Tensor:
    """The last axis padded with zeros to `size`; a single number is repeated."""
    short = size - tensor.shape[-1]
    return functional.pad(tensor, (0, short)) if short else tensor


def _dealt(batch: int, time: int, lengths: Tensor | None, threads: int) -> tuple[Tensor | None, np.ndarray, np.ndarray]:
    """Order of rows, rows alive at each step for each thread, and where each thread's rows begin."""
    parts = max(1, min(threads, batch))
    if lengths is None:
        bounds = np.linspace(0, batch, parts + 1).astype(np.int64)
        return None, np.tile(np.diff(bounds), max(time, 1)), bounds
    # Long and short sequences go to every thread alike; within one, the longest come first, so that its tile shrinks.
    falling = torch.argsort(lengths, descending=True, stable=True)
    dealt = [falling[part::parts] for part in range(parts)]
    bounds = np.cumsum([0, *(len(rows) for rows in dealt)]).astype(np.int64)
    steps = np.arange(time)[:, None]
    alive = [(lengths[rows].numpy()[None, :] > steps).sum(1) for rows in dealt]
    return torch.cat(dealt), np.stack(alive, 1).astype(np.int64).reshape(-1), bounds


def _before(call: _Call, parameters: Mapping[str, Tensor], inputs: Tensor) -> tuple[Tensor, Tensor]:
    """g `[time, batch, lanes]` and v `[lanes]`, in torch."""
    plan, forward = call.kernel.plan, call.kernel.forward
    weights = emit_torch.Weights(parameters)
    values = emit_torch.start(plan, parameters)
    emit_torch.interpret(plan.stages[ONCE], values, weights)
    lanes = sorted((len(forward.homes[s].before), s) for s, leaf in forward.loop.leaves.items() if leaf[0] == "sliced")
    affine = [_affine(call, slot) for _, slot in lanes]
    if lanes and all(found is not None for found in affine):
        g = _one_product(
            call, parameters, values, inputs, [(found, s) for found, (_, s) in zip(affine, lanes, strict=True) if found]
        )
    else:
        values[0] = inputs
        emit_torch.interpret(plan.stages[BEFORE], values, weights)
        parts = [_lane(call, values[slot], slot, inputs) for _, slot in lanes]
        g = torch.cat(parts, -1) if parts else inputs.new_empty(call.time, call.batch, 0)
    vectors = sorted(
        (len(forward.homes[s].before), s) for s, leaf in forward.loop.leaves.items() if leaf[0] == "vector"
    )
    rows = [_vector(call, values[slot], slot, inputs) for _, slot in vectors]
    return g, torch.cat(rows) if rows else inputs.new_empty(0)


def _vector(call: _Call, value: Tensor | float, slot: int, like: Tensor) -> Tensor:
    size = call.kernel.forward.loop.sizes[slot]
    tensor = torch.as_tensor(value, dtype=like.dtype).reshape(-1)
    return tensor.expand(call.padded[SCALAR]) if size == SCALAR else _widened(tensor, call.padded[size])


def _lane(call: _Call, value: Tensor | float, slot: int, like: Tensor) -> Tensor:
    size = call.kernel.forward.loop.sizes[slot]
    tensor = torch.as_tensor(value, dtype=like.dtype)
    shape = (call.time, call.batch, call.padded[size] if size == SCALAR else call.true[size])
    return _widened(tensor.expand(shape), call.padded[size])


def _affine(call: _Call, slot: int) -> tuple[str, tuple[int, ...]] | None:
    """The matrix and the vectors of a slot that is `W @ x + b + …`; None for anything else."""
    plan = call.kernel.plan
    made = {out: i for i in plan.stages[BEFORE] for out in (i.outs if isinstance(i, Multiply) else (i.out,))}
    vectors: list[int] = []
    while isinstance(found := made.get(slot), Compute) and found.op == "add":
        once = [operand for operand in found.operands if plan.stage_of[operand] == ONCE]
        if len(once) != 1:
            return None
        vectors += once
        slot = next(operand for operand in found.operands if operand != once[0])
    if isinstance(found, Multiply) and found.operand == 0:
        return found.matrices[found.outs.index(slot)], tuple(vectors)
    return None


def _one_product(
    call: _Call,
    parameters: Mapping[str, Tensor],
    values: list[Any],
    inputs: Tensor,
    affine: list[tuple[tuple[str, tuple[int, ...]], int]],
) -> Tensor:
    matrices_, biases = [], []
    for (matrix, vectors), slot in affine:
        size = call.kernel.forward.loop.sizes[slot]
        weight = parameters[matrix]
        short = call.padded[size] - weight.shape[0]
        matrices_.append(functional.pad(weight, (0, 0, 0, short)) if short else weight)
        total: Any = sum(values[v] for v in vectors) if vectors else weight.new_zeros(call.true[size])
        total = torch.as_tensor(total, dtype=inputs.dtype).expand(call.true[size])
        biases.append(_widened(total, call.padded[size]))
    flat = inputs.reshape(-1, inputs.shape[-1])
    product = torch.addmm(torch.cat(biases), flat, torch.cat(matrices_).t())
    return product.view(call.time, call.batch, product.shape[-1])


class _Fused(torch.autograd.Function):
    """inputs, parameters, states → output, final states."""

    @staticmethod
    def forward(ctx: Any, call: _Call, inputs: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        count = len(call.names)
        wanted = [tensor.requires_grad for tensor in (inputs, *rest)]
        training = any(ctx.needs_input_grad)
        local = [t.detach().requires_grad_(w and training) for t, w in zip((inputs, *rest), wanted, strict=True)]
        parameters = dict(zip(call.names, local[1 : count + 1], strict=True))
        with torch.set_grad_enabled(training):
            g, v = _before(call, parameters, local[0])
        arrays = _forward_arrays(call, g, v, dict(zip(call.step.state, rest[count:], strict=True)), training)
        call.start(arrays, parameters, False)
        if training:
            ctx.call, ctx.local, ctx.graph, ctx.arrays = call, local, (g, v), arrays
        finals = []
        for name in call.step.state:
            size = call.true[call.step.sizes[name]]
            at = call.time if call.lengths is None else call.lengths
            states = arrays[f"x_{name}"]
            finals.append(
                (states[at] if call.lengths is None else states[at, torch.arange(call.batch)])[:, :size].clone()
            )
        output = arrays[f"x_{call.step.output}"][1:, :, : call.true[call.step.sizes[call.step.output]]]
        if call.lengths is not None:
            output = output.clone()
        if training:
            # The output lies in memory that backward reads: saved too, so that changing it in place is an error.
            ctx.save_for_backward(inputs, *rest, output)
        return (output, *finals)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        call = ctx.call
        saved = ctx.saved_tensors[:-1]
        if torch.is_grad_enabled():
            return None, *_eager_gradients(call, saved, gradients, ctx.needs_input_grad[1:])
        count = len(call.names)
        arrays = _backward_arrays(call, ctx.arrays, gradients)
        parameters = dict(zip(call.names, ctx.local[1 : count + 1], strict=True))
        call.start(arrays, parameters, True)
        early = _early_gradients(call, ctx, arrays)
        found: dict[str, Tensor | None] = dict(zip(call.names, early[1:], strict=True))
        for matrix, gradient in _matrix_gradients(call, arrays).items():
            known = found.get(matrix)
            found[matrix] = gradient if known is None else known + gradient
        starts = [arrays[f"y_{n}"][0][:, : call.true[call.step.sizes[n]]] for n in call.step.state]
        return None, early[0], *(found[name] for name in call.names), *starts


def _forward_arrays(call: _Call, g: Tensor, v: Tensor, state: Mapping[str, Tensor], training: bool) -> dict[str, Any]:
    kernel, time, batch = call.kernel, call.time, call.batch
    # Steps that a short sequence never takes are read again by whole-array products: they must be zero.
    make = g.new_empty if call.lengths is None else g.new_zeros
    arrays: dict[str, Any] = {"g": g.detach(), "v": v.detach(), "s_step": batch if training else 0}
    if not arrays["g"].is_contiguous():
        arrays["g"] = arrays["g"].contiguous()
    arrays["s"] = make(time if training else 1, batch, kernel.lanes("s", call.padded))
    arrays["k"] = g.new_empty(batch, kernel.lanes("k", call.padded))
    arrays["w"] = g.new_zeros(kernel.packed(call.true, call.padded, False))
    for name, start in state.items():
        size = call.padded[call.step.sizes[name]]
        arrays[f"x_{name}"] = make(time + 1, batch, size)
        arrays[f"x_{name}"][0] = _widened(start.detach(), size)
    return arrays


def _backward_arrays(call: _Call, kept: Mapping[str, Any], gradients: tuple[Tensor, ...]) -> dict[str, Any]:
    kernel, like = call.kernel, kept["g"]
    arrays = dict(kept)
    make = like.new_empty if call.lengths is None else like.new_zeros
    arrays["d"] = make(call.time, call.batch, kernel.lanes("d", call.padded, True))
    arrays["k"] = like.new_empty(call.batch, kernel.lanes("k", call.padded, True))
    arrays["w"] = like.new_zeros(kernel.packed(call.true, call.padded, True))
    arrays["a"] = like.new_zeros(len(call.bounds) - 1, kernel.lanes("v", call.padded))
    output = call.padded[call.step.sizes[call.step.output]]
    arrays["e"] = _widened(gradients[0], output).contiguous()
    for name, final in zip(call.step.state, gradients[1:], strict=True):
        wide = _widened(final, call.padded[call.step.sizes[name]])
        arrays[f"y_{name}"] = torch.stack([wide, wide])
    return arrays


def _early_gradients(call: _Call, ctx: Any, arrays: Mapping[str, Any]) -> list[Tensor | None]:
    """Gradients of inputs and parameters through what stands before the loop."""
    g, v = ctx.graph
    reverse, forward = call.kernel.backward, call.kernel.forward
    places = []
    for slot, leaf in sorted(forward.loop.leaves.items(), key=lambda item: len(forward.homes[item[0]].before)):
        if leaf[0] == "sliced":
            adjoint = reverse.loop.results.get(leaf)
            width = call.padded[forward.loop.sizes[slot]]
            places.append((None if adjoint is None else call.begin(reverse.homes_of_d[adjoint]), width))
    d, start = arrays["d"], 0
    together = True
    for begin, width in places:
        together &= begin == start
        start += width
    if together:
        gradient = d[:, :, :start]
    else:
        zero = d.new_zeros(call.time, call.batch, 1)
        gradient = torch.cat([zero.expand(-1, -1, w) if b is None else d[:, :, b : b + w] for b, w in places], -1)
    outputs = [(t, grad) for t, grad in ((g, gradient), (v, arrays["a"].sum(0))) if t.requires_grad]
    local = ctx.local[: len(call.names) + 1]
    asked = [tensor for tensor in local if tensor.requires_grad]
    if not outputs or not asked:
        return [None] * len(local)
    found = iter(
        torch.autograd.grad(
            [t for t, _ in outputs], asked, [x for _, x in outputs], retain_graph=True, allow_unused=True
        )
    )
    return [next(found) if tensor.requires_grad else None for tensor in local]


def _matrix_gradients(call: _Call, arrays: Mapping[str, Any]) -> dict[str, Tensor]:
    """Gradients of the matrices inside the loop, each one product over all steps."""
    reverse, forward = call.kernel.backward, call.kernel.forward
    found: dict[str, Tensor] = {}
    for leaf, adjoint in reverse.loop.results.items():
        if leaf[0] != "product":
            continue
        matrix, operand = str(leaf[1]), int(leaf[2])  # type: ignore[misc]
        rows, columns = (call.true[axis] for axis in call.step.parameter(matrix).axes)
        begin = call.begin(reverse.homes_of_d[adjoint])
        d = arrays["d"].view(call.time * call.batch, -1)[:, begin : begin + rows]
        home = forward.homes[operand]
        array = arrays[home.array]
        if home.array.startswith("x_"):
            array = array[home.step : home.step + call.time]
        at = call.begin(home)
        a = array.reshape(call.time * call.batch, -1)[:, at : at + columns]
        gradient = d.t() @ a
        found[matrix] = found[matrix] + gradient if matrix in found else gradient
    return found


def _eager_gradients(
    call: _Call, saved: tuple[Tensor, ...], gradients: tuple[Tensor, ...], wanted: tuple[bool, ...]
) -> list[Tensor | None]:
    """The same gradients by the eager reference, differentiable again."""
    count = len(call.names)
    parameters = dict(zip(call.names, saved[1 : count + 1], strict=True))
    state = dict(zip(call.step.state, saved[count + 1 :], strict=True))
    done = emit_torch.run(call.kernel.plan, parameters, saved[0], state, lengths=call.lengths)
    outputs = [done.output, *(done.state[name] for name in call.step.state)]
    pairs = [(out, grad) for out, grad in zip(outputs, gradients, strict=True) if out.requires_grad]
    asked = [tensor for tensor, want in zip(saved, wanted, strict=True) if want]
    found = iter(
        torch.autograd.grad(
            [out for out, _ in pairs], asked, [grad for _, grad in pairs], create_graph=True, allow_unused=True
        )
    )
    return [next(found) if want else None for want in wanted]


def run(
    kernel: Kernel,
    parameters: Mapping[str, Tensor],
    inputs: Tensor,
    state: Mapping[str, Tensor],
    *,
    lengths: Tensor | None = None,
) -> emit_torch.Run:
    """Run a cell over time through its kernels; arguments and results as `emit_torch.run`, without a trace.

    Numerics: within 2e-5 (float32) or 1e-10 (float64) of the eager reference, relative to the largest value.
    """
    step = kernel.step
    time, batch, features = inputs.shape
    itemsize = inputs.element_size()
    true = {"input": features, **{step.sizes[name]: value.shape[-1] for name, value in state.items()}}
    for parameter in step.parameters:
        true |= dict(zip(parameter.axes, parameters[parameter.name].shape, strict=True))
    width = MACHINE.width(itemsize)
    padded = {name: -(-size // width) * width for name, size in true.items()} | {SCALAR: width}
    wanted = min(torch.get_num_threads(), batch)
    threads = min(wanted, most_threads()) if wanted > 1 else 1
    order, counts, bounds = _dealt(batch, time, lengths, threads)
    if lengths is not None and order is not None:
        lengths = lengths[order]
        steps = torch.arange(time)[:, None]
        inputs = torch.where((steps < lengths)[..., None], inputs[:, order], inputs.new_zeros(()))
        state = {name: value[order] for name, value in state.items()}
    names = tuple(parameter.name for parameter in step.parameters)
    call = _Call(kernel, names, true, padded, time, batch, lengths, counts, bounds)
    tensors = (*(parameters[name] for name in names), *(state[name] for name in step.state))
    output, *finals = _Fused.apply(call, inputs, *tensors)  # type: ignore[misc]
    if order is not None:
        back = torch.argsort(order)
        output, finals = output[:, back], [final[back] for final in finals]
    return emit_torch.Run(output, dict(zip(step.state, finals, strict=True)), {})
