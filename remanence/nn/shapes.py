"""What a recurrent layer is called with, checked axis by axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from remanence.cells import Cell
from remanence.errors import SettingError, ShapeError

__all__ = ["check_axes", "check_finite", "check_inputs", "check_named", "check_resets", "quantities_of"]


def check_axes(what: str, tensor: Tensor, axes: Mapping[str, int]) -> None:
    """Refuse a tensor whose axes are not these.

    Raises:
        ShapeError: the first axis that differs.
    """
    _check_tensor(what, tensor)
    if tensor.ndim != len(axes):
        raise ShapeError(what, axis="number of axes", expected=len(axes), came=tensor.ndim)
    for (axis, expected), came in zip(axes.items(), tensor.shape, strict=True):
        if came != expected:
            raise ShapeError(what, axis=axis, expected=expected, came=came)


def _check_tensor(what: str, came: object) -> None:
    if not isinstance(came, Tensor):
        raise ShapeError(what, axis="type", expected="torch.Tensor", came=type(came).__name__)


def check_finite(what: str, module: nn.Module, result: Tensor) -> None:
    """Refuse weights that are not finite, where a result is not; a result on another device than the CPU is not read.

    Raises:
        ShapeError: the first such weight, and where in it.
    """
    # Only a plain tensor holds numbers to look at; while torch compiles or traces there are none.
    plain = type(result) is Tensor and result.device.type == "cpu" and not torch.compiler.is_compiling()
    if not plain or torch._C._get_tracing_state() is not None or math.isfinite(result.detach().sum().item()):
        return
    for name, weight in module.named_parameters():
        wrong = (~torch.isfinite(weight)).nonzero()
        if len(wrong):
            place = tuple(wrong[0].tolist())
            raise ShapeError(
                f"{what} '{name}'",
                axis="values",
                expected="finite",
                came=f"{weight[place].item()} at {list(place)}",
                remedy="training diverged before, or the file holds it; clip gradients or lower the learning rate",
            )


def check_inputs(what: str, data: Tensor, features: int, weight: Tensor | None) -> None:
    """Refuse an input that is not `[batch, time, features]` of the weights' dtype."""
    _check_tensor(what, data)
    if data.ndim != 3:
        raise ShapeError(what, axis="number of axes", expected="3 (batch, time, feature)", came=data.ndim)
    if data.shape[2] != features:
        raise ShapeError(what, axis="feature", expected=features, came=data.shape[2])
    if weight is not None and data.dtype != weight.dtype and not torch.is_autocast_enabled(data.device.type):
        raise ShapeError(
            what, axis="dtype", expected=weight.dtype, came=data.dtype, remedy="convert the input or the layer"
        )


def check_named(
    what: str, came: Mapping[str, Tensor], axes: Mapping[str, Mapping[str, int]], like: Tensor, remedy: str = ""
) -> None:
    """Refuse a dictionary of tensors that are not these, each of these axes, of one dtype.

    Args:
        what: of whom, ending in "state" or "given".
        came: name → tensor.
        axes: name → axis → size.
        like: a tensor of the dtype.
        remedy: what to try where the names differ.
    """
    kind = what.rpartition(" ")[2]
    if not isinstance(came, Mapping):
        example = "{" + ", ".join(f"'{name}': …" for name in axes) + "}"
        raise ShapeError(what, axis="type", expected=f"a dictionary {example}", came=type(came).__name__)
    if set(came) != set(axes):
        raise ShapeError(what, axis=kind, expected=tuple(axes) or "none", came=tuple(came) or "none", remedy=remedy)
    for name, wanted in axes.items():
        check_axes(f"{what} '{name}'", came[name], wanted)
        if came[name].dtype != like.dtype:
            raise ShapeError(f"{what} '{name}'", axis="dtype", expected=like.dtype, came=came[name].dtype)


def check_resets(what: str, resets: Tensor, data: Tensor) -> None:
    """Refuse resets that are not bool `[batch, time]`."""
    check_axes(what, resets, {"batch": data.shape[0], "time": data.shape[1]})
    if resets.dtype != torch.bool:
        raise ShapeError(what, axis="dtype", expected=torch.bool, came=resets.dtype, remedy="such as resets != 0")


def quantities_of(cell: Cell, trace: Iterable[str]) -> tuple[str, ...]:
    """The quantities that a trace asks for; "*" means all.

    Raises:
        SettingError: a name that the cell has not.
    """
    known, asked = cell.quantities, tuple(trace)
    if "*" in asked:
        return known
    for name in asked:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise SettingError(
                f"cell '{cell.name}' has no quantity '{name}'",
                name="trace",
                remedy=f"{hint}expected some of {', '.join(known)}, or *",
            )
    return tuple(dict.fromkeys(asked))
