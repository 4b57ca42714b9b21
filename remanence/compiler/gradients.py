"""Gradients of a call: read off what the backward kernel left, or by the eager reference, differentiable again."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from remanence.compiler import emit_torch
from remanence.compiler.call import Call
from remanence.compiler.ir import SCALAR
from remanence.compiler.memory import backward_arrays, once

__all__ = ["eager_gradients", "fused_gradients"]


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
    _, parameters, _ = call.sorted(saved[1:])
    arrays, head = backward_arrays(call, kept, parameters, gradients)
    call = call.with_rows(call.kernel.lanes("d", call.padded, True))
    call.start(arrays, {**head, "want_x": int(wanted[0])}, True)
    found = _parameter_gradients(call, parameters, arrays, wanted)
    starts = [arrays[f"y_{n}"][0][:, : call.true[call.step.sizes[n]]] for n in call.step.state]
    outside = [
        _outside_gradient(call, arrays["q"], name) if want else None
        for name, want in zip(("", *call.given), wanted, strict=False)
    ]
    return [*outside, *found, *starts]


def _outside_gradient(call: Call, q: Tensor, name: str) -> Tensor | None:
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
    call: Call, parameters: dict[str, Tensor], arrays: Mapping[str, Tensor], wanted: tuple[bool, ...]
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


def _matrix_gradients(call: Call, z: Tensor) -> dict[str, Tensor]:
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


def _vector_gradients(call: Call, parameters: dict[str, Tensor], arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gradients of what is added to products, and of vectors that steps read; and through what is made of them once."""
    plan, forward, backward = call.kernel.plan, call.kernel.forward, call.kernel.backward
    assert backward is not None
    slots: dict[int, Tensor] = {}
    lanes = call.kernel.lanes("d", call.padded, True)
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


def _through_once(call: Call, parameters: dict[str, Tensor], made: dict[int, Tensor]) -> dict[str, Tensor]:
    """Gradients of parameters through what was made of them before the loop."""
    if not made:
        return {}
    local = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    with torch.enable_grad():
        values = once(call, local)
        pairs = [(values[slot], part) for slot, part in made.items()]
        outputs = [(v, part.reshape(v.shape)) for v, part in pairs if isinstance(v, Tensor) and v.requires_grad]
        gradients = torch.autograd.grad(
            [v for v, _ in outputs], list(local.values()), [part for _, part in outputs], allow_unused=True
        )
    return {name: g for name, g in zip(local, gradients, strict=True) if g is not None}


def eager_gradients(
    call: Call, saved: tuple[Tensor, ...], gradients: tuple[Tensor | None, ...], wanted: tuple[bool, ...]
) -> list[Tensor | None]:
    """The same gradients by the eager reference, differentiable again."""
    given, parameters, state = call.sorted(saved[1:])
    with torch.enable_grad():
        done = emit_torch.run(
            call.kernel.plan,
            parameters,
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
    if not call.reading.backwards:
        return flow
    steps = torch.arange(call.rows.time)[:, None]
    ends = torch.full((call.batch,), call.rows.time) if call.lengths is None else call.lengths
    index = torch.where(steps < ends, ends - 1 - steps, steps)
    return flow.gather(0, index[..., None].expand(*index.shape, flow.shape[-1]))
