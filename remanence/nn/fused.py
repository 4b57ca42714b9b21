"""Kernels compiled from a cell's own equations, for the CPU. A cell is compiled at its first use.

The choice depends on nothing but the layer, the call's shape and what surrounds it: never on a clock, nor on what the
cache holds. So the same seed on the same machine gives the same bits, whoever compiled the kernel and when.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from remanence.cells import Cell
from remanence.compiler.emit_torch import Run
from remanence.compiler.reading import Reading
from remanence.errors import ShapeError
from remanence.nn import operators
from remanence.nn.twin import transformed

if TYPE_CHECKING:
    from remanence.compiler.kernel import Kernel

__all__ = [
    "SHORTEST",
    "abstract",
    "additive",
    "built",
    "check_weight",
    "choose",
    "dropped",
    "learns_rows",
    "log_partition",
    "log_probability",
    "normalised",
    "run",
    "sum_and_highest",
]

_PRESENT = importlib.util.find_spec("llvmlite") is not None

SHORTEST = 4
"""Sequences of fewer steps take the eager path: calling a kernel takes as long as they do."""


def choose(
    cell: Cell, weight: Tensor | None, data: Tensor | None, trace: tuple[str, ...] = (), *, asked: bool = False
) -> tuple[str, str]:
    """The path of a call, and why.

    Args:
        cell: of the layer.
        weight: one of its parameters.
        data: `[batch, time, feature]`; None: of a usual call.
        trace: quantities that are asked for.
        asked: by the user, so that short sequences take the kernel too.
    """
    if _recorded():
        return "eager", "what is traced or exported should need torch alone"
    why = _refusal(weight, data)
    if abstract(weight, data):
        why = why or ("a trace was asked for" if trace else "" if _PRESENT else "llvmlite is missing here")
        return ("eager", why) if why else ("cpu-fused", "one operator in a graph")
    why = why or _elsewhere()
    if not why and weight is not None and data is not None and not asked and data.shape[1] < SHORTEST:
        why = f"fewer than {SHORTEST} steps take no longer than calling a kernel"
    why = why or _missing()
    if not why and weight is not None and data is not None:
        why = _failure(cell, weight.dtype, trace, torch.is_grad_enabled())
    return ("eager", why) if why else ("cpu-fused", "one time loop, compiled from the equations at first use")


def _recorded() -> bool:
    return torch._C._get_tracing_state() is not None or torch.compiler.is_exporting()


def _elsewhere() -> str:
    """Why arrays that are made without naming a device would not be where kernels look for them; "" where they are."""
    if torch._C._len_torch_function_stack() and torch.get_default_device().type != "cpu":
        return f"torch makes tensors on {torch.get_default_device()} now"
    return ""


def abstract(*tensors: Tensor | None) -> bool:
    """Whether operations are only looked at: by torch.compile, by a mode of torch, or for want of numbers."""
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack():
        return True
    return any(isinstance(tensor, FakeTensor) for tensor in tensors)


def check_weight(what: str, weight: Tensor) -> None:
    """Refuse weights that no kernel is for, where a kernel was asked for by name.

    Raises:
        ShapeError: what there are kernels for, what came.
    """
    remedy = "leave options.path at 'auto', or convert the layer"
    if weight.device.type != "cpu":
        raise ShapeError(f"{what} weights", axis="device", expected="cpu", came=weight.device, remedy=remedy)
    if weight.dtype not in (torch.float32, torch.float64):
        expected = "torch.float32 or torch.float64"
        raise ShapeError(f"{what} weights", axis="dtype", expected=expected, came=weight.dtype, remedy=remedy)


def _refusal(weight: Tensor | None, data: Tensor | None) -> str:
    if weight is None:
        return "the cell has no parameters"
    if weight.device.type != "cpu":
        return f"fused kernels are for the CPU, the layer is on {weight.device.type}"
    if weight.dtype not in (torch.float32, torch.float64):
        return f"fused kernels are for float32 and float64, the layer is {weight.dtype}"
    if data is not None and 0 in data.shape:
        return "an axis is empty"
    if transformed():
        return "fused kernels do not run under torch.func transforms"
    if torch.autograd.forward_ad._current_level >= 0:
        return "fused kernels have no forward-mode derivative"
    if torch.is_autocast_enabled("cpu"):
        return "fused kernels do not run under autocast"
    return ""


@lru_cache(maxsize=1)
def _missing() -> str:
    """Why no kernel can be built on this machine; "" where they can."""
    try:
        importlib.import_module("remanence.compiler.run_cpu")
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return f"llvmlite is missing or broken here ({type(error).__name__}: {error})"
    return ""


@lru_cache(maxsize=256)
def _failure(cell: Cell, dtype: torch.dtype, trace: tuple[str, ...], train: bool) -> str:
    """Build what a call needs; why that failed, or "". Said once as a warning, for the user can mend it."""
    name = str(dtype).removeprefix("torch.")
    return _attempted(f"cell '{cell.name}'", lambda: _built(cell, trace, train).compile(name))


def _attempted(what: str, build: Callable[[], Any]) -> str:
    try:
        build()
    # A compiler meeting a machine or a folder that it does not know may raise anything; the eager path still works.
    except Exception as error:
        first = str(error).strip().split("\n")[0]
        why = f"no kernel could be built ({type(error).__name__}: {first})"
        warnings.warn(f"{what} runs on the eager path: {why}", RuntimeWarning, stacklevel=2)
        return why
    return ""


def additive(queries: Tensor, keys: Tensor, weight: Tensor, lengths: Tensor) -> Tensor:
    """Additive scores by a kernel where one can run, else written out; arguments as `additive.additive_scores`.

    Behind a source's end any number may stand.
    """
    if _runs("additive", weight, keys, queries):
        from remanence.compiler.additive import additive_scores

        return additive_scores(queries, keys, weight, lengths)
    return torch.tanh(queries[:, :, None] + keys[:, None]) @ weight


def sum_and_highest(data: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The sum and the highest of each sequence's steps by a kernel where one can run, else written out; arguments as
    `pooling.sum_and_highest`, of any size."""
    if _runs("pooling", data, data):
        from remanence.compiler import pooling

        if pooling.able(data):
            return pooling.sum_and_highest(data, lengths)
    inside = (torch.arange(data.shape[1], device=data.device) < lengths.to(data.device)[:, None])[..., None]
    total = torch.where(inside, data, 0.0).sum(1)
    if not data.shape[1]:
        return total, torch.full_like(total, -torch.inf)
    return total, torch.where(inside, data, -torch.inf).max(1).values


def log_partition(parts: tuple[Tensor, Tensor, Tensor, Tensor], mask: Tensor) -> Tensor | None:
    """The sum over all label sequences of a chain by a kernel; None where none can run. Arguments as
    `chain.log_partition`."""
    if not _runs("chain", parts[0], parts[3]):
        return None
    from remanence.compiler import chain

    return chain.log_partition(parts, mask)


def log_probability(logits: Tensor, texts: Tensor, steps: Tensor, counts: Tensor) -> Tensor | None:
    """The log-probability of each text by a kernel; None where none can run. Arguments as `ctc.log_probability`."""
    if not _runs("ctc", logits, logits):
        return None
    from remanence.compiler import ctc

    return ctc.log_probability(logits, texts, steps, counts)


def dropped(data: Tensor, rate: float) -> Tensor | None:
    """Dropout by a kernel; None where none can run. Arguments as `dropping.dropped`."""
    if not _runs("dropping", data, data):
        return None
    from remanence.compiler import dropping

    return dropping.dropped(data, rate)


def normalised(
    data: Tensor, weight: Tensor, bias: Tensor, lengths: Tensor, floor: float
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Batch normalisation and ReLU by a kernel; None where none can run. Arguments as `norm.normalised`."""
    if not (data.dtype == weight.dtype == bias.dtype and _runs("norm", weight, data)):
        return None
    from remanence.compiler import norm

    return norm.normalised(data, weight, bias, lengths, floor)


def learns_rows(table: Tensor) -> bool:
    """Whether kernels can update single rows of a table (`compiler.adam`)."""
    return table.is_contiguous() and _runs("adam", table, table)


def _runs(name: str, *tensors: Tensor) -> bool:
    """Whether the kernels that a module of the compiler has by hand can run on these, the second a batch of steps."""
    first, steps = tensors[:2]
    barred = _recorded() or abstract(*tensors) or _refusal(first, steps) or _elsewhere() or _missing()
    return not barred and not _no_kernels(name, first.dtype)


@lru_cache(maxsize=16)
def _no_kernels(name: str, dtype: torch.dtype) -> str:
    kernels = importlib.import_module(f"remanence.compiler.{name}").KERNELS
    return _attempted(kernels.name, lambda: kernels.addresses(dtype))


def run(
    cell: Cell, weights: Mapping[str, Tensor], inputs: Tensor, state: Mapping[str, Tensor], reading: Reading
) -> Run:
    """Run one layer in one direction; arguments as `run_cpu.run`."""
    if abstract(inputs):
        return operators.run(cell, weights, inputs, state, reading)
    from remanence.compiler import run_cpu

    train = torch.is_grad_enabled() and any(
        tensor.requires_grad for tensor in (inputs, *weights.values(), *state.values(), *reading.given.values())
    )
    return run_cpu.run(_built(cell, reading.trace, train), weights, inputs, state, reading)


def built(cell: Cell, train: bool, trace: tuple[str, ...] = ()) -> Kernel:
    """The kernel of a cell, with or without gradients; `trace`: quantities that are asked for."""
    return _built(cell, trace, train)


@lru_cache(maxsize=256)
def _built(cell: Cell, trace: tuple[str, ...], train: bool) -> Kernel:
    """By cell, whose hash is that of its text: the hash of a step goes through all its nodes, at every call."""
    from remanence.compiler import kernel

    return kernel.build(cell.step, trace, train=train)
