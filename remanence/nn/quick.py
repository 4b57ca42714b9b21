"""The short way of a drop-in: a whole batch from zeros through one layer in one direction.

Whatever is unlike that, or may be, takes the usual way, which looks at everything and explains what it finds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from remanence.nn import fused
from remanence.nn.stacks import CELL_OF, stacked
from remanence.nn.twin import transformed

__all__ = ["run"]

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


def run(kind: str, layer: nn.RNNBase, data: Any) -> tuple[Tensor, ...] | None:
    """Output, time-major, and the final states `[batch, size]`; None where the usual way must look.

    Args:
        kind: as in `CELL_OF`.
        layer: whose weights to take.
        data: its input, as it came.
    """
    if type(data) is not Tensor or data.ndim != 3 or layer.num_layers > 1 or layer.bidirectional or _watched():
        return None
    known = layer._parameters
    weights = {name: weight for name in _NAMES if (weight := known.get(f"{name}_l0")) is not None}
    if any(type(weight) is not nn.Parameter for weight in weights.values()):
        return None
    flow = data.transpose(0, 1) if layer.batch_first else data
    signature = tuple([(weight.shape, weight.stride(), weight.dtype, weight.device) for weight in weights.values()])
    wanted = (layer.input_size, layer.hidden_size, layer.proj_size, layer.bias)
    like = (flow.shape, flow.stride(), flow.dtype, flow.device)
    train = torch.is_grad_enabled() and (data.requires_grad or any(w.requires_grad for w in weights.values()))
    loops = _loops(kind, wanted, tuple(weights), signature, like, (train, torch.get_num_threads()))
    if loops is None:
        return None
    from remanence.compiler import short

    return short.run(loops, flow, tuple(stacked(kind, weights).values()))


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
    signature: tuple[tuple[Any, ...], ...],
    like: tuple[Any, ...],
    way: tuple[bool, int],
) -> Any:
    """The loops of calls of these shapes (`way`: whether with gradients, threads); None where the usual way does."""
    (features, units, proj, biased), (shape, strides, dtype, device), (train, _) = wanted, like, way
    rows, out = {"LSTM": 4, "LSTMP": 4, "GRU": 3}.get(kind, 1) * units, proj or units
    expected = {"weight_ih": (rows, features), "weight_hh": (rows, out)}
    expected |= {"bias_ih": (rows,), "bias_hh": (rows,)} if biased else {}
    expected |= {"weight_hr": (out, units)} if proj else {}
    if set(names) != set(expected) or shape[2] != features or (strides[2] != 1 and features > 1):
        return None
    blank = {name: torch.empty(size, dtype=dtype) for name, size in expected.items()}
    plain = [(blank[name].shape, blank[name].stride(), dtype, torch.device("cpu")) for name in names]
    if device.type != "cpu" or list(signature) != plain or 0 in shape:
        return None
    flow = torch.empty_strided(shape, strides, dtype=dtype)
    if fused.choose(CELL_OF[kind], blank["weight_ih"], flow.transpose(0, 1))[0] != "cpu-fused":
        return None
    from remanence.compiler import short
    from remanence.compiler.call import shape_of

    stacks = stacked(kind, blank)
    sizes = (tuple(shape[:2]), features, tuple(stacks.values()))
    return short.ready(shape_of(fused.built(CELL_OF[kind], train), tuple(stacks), sizes, dtype), tuple(strides[:2]))
