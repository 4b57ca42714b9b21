"""The short way of a layer: a batch from zeros through one layer in one direction.

Whatever is unlike that, or may be, takes the usual way, which looks at everything and explains what it finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from remanence.cells import Cell
from remanence.compiler.emit_torch import Run
from remanence.compiler.reading import Reading, own_lengths
from remanence.errors import ShapeError
from remanence.nn import fused
from remanence.nn.stacks import CELL_OF, stacked
from remanence.nn.twin import transformed

__all__ = ["run", "run_cell"]

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


def run(kind: str, layer: nn.RNNBase, data: Any) -> tuple[Tensor, ...] | None:
    """Output, time-major, and the final states `[batch, size]` of a drop-in; None where the usual way must look.

    Args:
        kind: as in `CELL_OF`.
        layer: whose weights to take.
        data: its input, as it came.
    """
    if type(data) is not Tensor or data.ndim != 3 or layer.num_layers > 1 or layer.bidirectional or _watched():
        return None
    known = layer._parameters
    weights = {name: weight for name in _NAMES if (weight := known.get(f"{name}_l0")) is not None}
    shapes = _shapes(weights.values(), data.dtype)
    if shapes is None:
        return None
    flow = data.transpose(0, 1) if layer.batch_first else data
    wanted = (layer.input_size, layer.hidden_size, layer.proj_size, layer.bias)
    way = (_trains(data, weights.values()), torch.get_num_threads())
    loops = _loops(kind, wanted, tuple(weights), shapes, _like(flow), way)
    if loops is None:
        return None
    from remanence.compiler import short

    return short.run(loops, flow, tuple(stacked(kind, weights).values()))


def run_cell(cell: Cell, weights: Mapping[str, Tensor], flow: Tensor, features: int, reading: Reading) -> Run | None:
    """The same of any cell, in either direction, with lengths or traces.

    Args:
        cell: as it runs.
        weights: by the names of its parameters.
        flow: `[time, batch, feature]`.
        features: what the layer reads at each step.
        reading: lengths, direction, quantities that are asked for.
    """
    if type(flow) is not Tensor or flow.ndim != 3 or _watched():
        return None
    tensors = [weights[parameter.name] for parameter in cell.step.parameters]
    shapes = _shapes(tensors, flow.dtype)
    if shapes is None:
        return None
    trace, lengths = reading.trace, reading.lengths
    how = _trains(flow, tensors), torch.get_num_threads(), reading.backwards, lengths is not None
    loops = _cell_loops(cell, features, shapes, _like(flow), how, trace)
    if loops is None:
        return None
    from remanence.compiler import short

    known = None if lengths is None else own_lengths(lengths, len(flow))
    output, *rest = short.run(loops, flow, tensors, lengths=known)
    finals, traces = rest[: len(cell.state)], rest[len(cell.state) :]
    seen = dict(zip(loops[0].shape.kernel.kept, traces, strict=True))
    return Run(output, dict(zip(cell.state, finals, strict=True)), {name: seen[name] for name in trace})


def _trains(data: Tensor, weights: Iterable[Tensor]) -> bool:
    return torch.is_grad_enabled() and (data.requires_grad or any(weight.requires_grad for weight in weights))


def _shapes(weights: Iterable[Tensor], dtype: torch.dtype) -> tuple[torch.Size, ...] | None:
    """The sizes of parameters of this dtype on the CPU, whose numbers lie in order; None of others."""
    found = []
    for weight in weights:
        plain = type(weight) is nn.Parameter and weight.dtype is dtype and weight.is_cpu and weight.is_contiguous()
        if not plain or weight.is_neg():
            return None
        found.append(weight.shape)
    return tuple(found)


_Like = tuple[torch.Size, tuple[int, ...], torch.dtype, torch.device]


def _like(tensor: Tensor) -> _Like:
    """What a call asks of a tensor but its numbers."""
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device


def _watched() -> bool:
    """Whether anybody looks at operations, or changes what they mean."""
    return (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or transformed()
        or bool(torch._C._len_torch_dispatch_stack() or torch._C._len_torch_function_stack())
        or torch.autograd.forward_ad._current_level >= 0
        or torch.is_autocast_enabled("cpu")
    )


@lru_cache(maxsize=64)
def _loops(
    kind: str,
    wanted: tuple[int, int, int, bool],
    names: tuple[str, ...],
    weights: tuple[torch.Size, ...],
    flow: _Like,
    way: tuple[bool, int],
) -> Any:
    """The loops of calls of these sizes (`way`: whether with gradients, threads); None where the usual way does."""
    features, units, proj, biased = wanted
    rows, out = {"LSTM": 4, "LSTMP": 4, "GRU": 3}.get(kind, 1) * units, proj or units
    expected = {"weight_ih": (rows, features), "weight_hh": (rows, out)}
    expected |= {"bias_ih": (rows,), "bias_hh": (rows,)} if biased else {}
    expected |= {"weight_hr": (out, units)} if proj else {}
    if set(names) != set(expected) or list(weights) != [expected[name] for name in names]:
        return None
    blank = {name: torch.empty(expected[name], dtype=flow[2]) for name in names}
    return _found(CELL_OF[kind], stacked(kind, blank), features, flow, (way[0], False, False))


@lru_cache(maxsize=512)
def _cell_loops(
    cell: Cell,
    features: int,
    weights: tuple[torch.Size, ...],
    flow: _Like,
    way: tuple[bool, int, bool, bool],
    trace: tuple[str, ...],
) -> Any:
    """The same for a cell whose parameters are tensors of their own (`way`: also whether backwards, and uneven)."""
    stacks = {
        (parameter.name,): torch.empty(shape, dtype=flow[2])
        for parameter, shape in zip(cell.step.parameters, weights, strict=True)
    }
    return _found(cell, stacks, features, flow, (way[0], *way[2:]), trace)


def _found(
    cell: Cell,
    stacks: Mapping[tuple[str, ...], Tensor],
    features: int,
    flow: _Like,
    way: tuple[bool, bool, bool],
    trace: tuple[str, ...] = (),
) -> Any:
    (train, backwards, uneven), (shape, strides, dtype, device) = way, flow
    if shape[2] != features or (strides[2] != 1 and features > 1) or device.type != "cpu" or 0 in shape:
        return None
    blank = torch.empty_strided(shape, strides, dtype=dtype)
    first = next(iter(stacks.values()), None)
    if fused.choose(cell, first, blank.transpose(0, 1), trace)[0] != "cpu-fused":
        return None
    from remanence.compiler import short
    from remanence.compiler.call import shape_of
    from remanence.compiler.fitting import check_fit

    kernel, groups, tensors = fused.built(cell, train, trace), tuple(stacks), tuple(stacks.values())
    try:
        check_fit(kernel, groups, blank, tensors, {})
    except ShapeError:
        # The usual way says what is wrong.
        return None
    known = shape_of(kernel, groups, ((shape[0], shape[1]), features, tensors), dtype, backwards)
    if not set(cell.step.sizes.values()) <= known.true.keys():
        return None
    return short.ready(known, (strides[0], strides[1]), uneven)
