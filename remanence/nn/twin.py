"""Torch's own kernels for the cells that have one: oneDNN or ATen on the CPU, cuDNN on CUDA.

The layer's weights keep the names of the equations and are stacked as torch wants them at each call. Unequal
lengths need no packing, which is several times slower on the CPU: the batch runs padded, and the output is read off
at each sequence's end. The LSTM's cell state is not an output, so there the input has one more feature, 1 in padding
and 0 elsewhere, whose weights open the forget gate and shut the input gate (`TorchTwin.keep`): the cell state at the
end of the time axis is, to the last bit, the one after each sequence's last valid step.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

import torch
from torch import Tensor

from remanence.cells import Cell, TorchTwin
from remanence.compiler.emit_torch import Run

__all__ = ["choose", "run", "transformed"]

# oneDNN keeps a kernel for each shape it has seen, 1,024 by default: with texts of many lengths these took 375 MB and
# left the heap in pieces. Eight took no more time. oneDNN reads this when it is first used.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8")

_KERNELS = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn_tanh", "RNN_RELU": "rnn_relu"}


def choose(cell: Cell, weight: Tensor | None, data: Tensor | None) -> tuple[str, str]:
    """The path of a call, and why."""
    if cell.torch_twin is None or weight is None:
        return "eager", f"torch has no kernel for {cell.name}"
    if weight.device.type not in ("cpu", "cuda"):
        return "eager", f"torch's kernels were not tried on {weight.device.type}"
    if weight.dtype not in (torch.float32, torch.float64):
        return "eager", f"torch's kernels were not tried in {weight.dtype}"
    if data is not None and 0 in data.shape:
        return "eager", "an axis is empty"
    if transformed():
        return "eager", "torch's kernels do not run under torch.func transforms"
    return "torch", f"torch's own {cell.torch_twin.kind} kernel computes these equations"


def transformed() -> bool:
    """Whether a transform of torch.func (vmap, grad, jacrev) is running."""
    active = getattr(torch._C, "_are_functorch_transforms_active", None)
    return bool(active is not None and active())


def run(
    cell: Cell, weights: Mapping[str, Tensor], inputs: Tensor, state: Mapping[str, Tensor], lengths: Tensor | None
) -> Run:
    """Run one layer in one direction through torch's kernel; arguments as `emit_torch.run`."""
    twin = cell.torch_twin
    assert twin is not None
    valid = None
    if lengths is not None:
        steps = torch.arange(inputs.shape[0], device=inputs.device)
        valid = (steps[:, None] < lengths.to(inputs.device)[None, :])[..., None]
        inputs = inputs.masked_fill(~valid, 0)
        if twin.keep:
            inputs = torch.cat([inputs, (~valid).to(inputs.dtype)], dim=-1)
    stacked = _stack(twin, weights, bool(twin.keep) and valid is not None)
    output, finals = _call(twin, inputs, [state[name][None].contiguous() for name in _order(cell)], stacked)
    # Under autocast the kernel answers in a narrower dtype; a state must fit the next call.
    output = output.to(inputs.dtype)
    final = {name: value[0].to(inputs.dtype) for name, value in zip(_order(cell), finals, strict=True)}
    if lengths is not None and valid is not None:
        final[cell.output] = _at_end(output, state[cell.output], lengths)
        output = output.masked_fill(~valid, 0)
    return Run(output, final, {})


def _order(cell: Cell) -> tuple[str, ...]:
    """States as torch orders them: the output first."""
    return (cell.output, *(name for name in cell.state if name != cell.output))


def _stack(twin: TorchTwin, weights: Mapping[str, Tensor], keep: bool) -> list[Tensor]:
    """weight_ih, weight_hh, bias_ih, bias_hh, as views of one buffer in that order: cuDNN would copy any other.

    With `keep`, one more input column, for the feature that is 1 in padding.
    """
    like = weights[twin.bias[0]]
    units, gates = like.shape[0], len(twin.input)
    inputs = [weights[name] for name in twin.input]
    if keep:
        inputs = [torch.cat([w, w.new_full((units, 1), k)], dim=1) for w, k in zip(inputs, twin.keep, strict=True)]
    recurrent = [weights[name] for name in twin.recurrent]
    bias = [weights[name] for name in twin.bias]
    recurrent_bias = [weights[name] if name else torch.zeros_like(like) for name in twin.recurrent_bias]
    buffer = torch.cat([part.reshape(-1) for part in (*inputs, *recurrent, *bias, *recurrent_bias)])
    shapes = [(gates * units, inputs[0].shape[1]), (gates * units, units), (gates * units,), (gates * units,)]
    parts = buffer.split([math.prod(shape) for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def _call(twin: TorchTwin, inputs: Tensor, state: list[Tensor], stacked: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    kernel = getattr(torch._VF, _KERNELS[twin.kind])
    start = state if twin.kind == "LSTM" else state[0]
    # cuDNN refuses a backward pass after a forward pass in evaluation mode; without dropout nothing else changes.
    train = torch.is_grad_enabled()
    output, *finals = kernel(inputs, start, stacked, True, 1, 0.0, train, False, False)
    return output, finals


def _at_end(output: Tensor, start: Tensor, lengths: Tensor) -> Tensor:
    """The output at each sequence's last valid step, the initial one where there is none: `[batch, size]`."""
    ends = lengths.to(output.device)
    index = (ends - 1).clamp(min=0)[None, :, None].expand(1, *start.shape)
    return torch.where((ends > 0)[:, None], output.gather(0, index)[0], start)
