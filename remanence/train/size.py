"""Models of like size: the hidden size at which a cell has as many parameters as another.

A GRU of the same hidden size has three quarters of an LSTM's weights; to compare memory and not size, each cell gets
the hidden size whose whole model comes closest to a given count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from remanence.compiler.arena import installed_bytes
from remanence.errors import SettingError
from remanence.settings import Settings
from remanence.tasks.task import Task

__all__ = ["TOLERANCE", "check_size", "hidden_for", "parameters"]

TOLERANCE = 0.05
"""Models whose counts differ by no more than this share are called the same size."""

_LARGEST = 8192
_BYTES = 20
"""Of a trained number: itself, its gradient, two moments and an average, in float32."""


def parameters(task: Task, encoders: BaseModel, settings: Settings) -> int:
    """Count the trained numbers of the model these settings would make; allocates no memory for them."""
    with torch.device("meta"), _Undrawn():
        model = task.model(encoders, settings)
    return sum(weight.numel() for weight in model.parameters())


class _Undrawn(TorchFunctionMode):
    """Weights without memory are not drawn: to draw them normally, torch loads its compiler for seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (nn.init.normal_, Tensor.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def check_size(task: Task, encoders: BaseModel, settings: Settings) -> None:
    """Refuse a model that this machine's memory cannot hold with its gradients and the optimiser's moments.

    Raises:
        SettingError: with the sizes.
    """
    needed, present = _BYTES * parameters(task, encoders, settings), installed_bytes()
    if present is not None and needed > present:
        raise SettingError(
            f"a model of {needed // _BYTES:,} parameters needs {needed / 1e9:.0f} GB to train, "
            f"this machine has {present / 1e9:.0f}",
            name="hidden",
            remedy="choose fewer units",
        )


def hidden_for(count: Callable[[int], int], wanted: int) -> int:
    """Find the hidden size whose count comes closest to `wanted`.

    Args:
        count: parameters of a model of that hidden size; rises with it.

    Example:
        >>> hidden_for(lambda hidden: 4 * hidden * hidden, 4 * 33 * 33 + 5)
        33
    """
    low, high = 1, 1
    while count(high) < wanted and high < _LARGEST:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < wanted else (low, middle)
    return min((low, high), key=lambda hidden: abs(count(hidden) - wanted))
