"""What a recurrent layer is called with, checked axis by axis."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from remanence.errors import ShapeError

__all__ = ["check_axes", "check_inputs", "check_named", "check_resets"]


def check_axes(what: str, tensor: Tensor, axes: Mapping[str, int]) -> None:
    """Refuse a tensor whose axes are not these.

    Raises:
        ShapeError: the first axis that differs.
    """
    if tensor.ndim != len(axes):
        raise ShapeError(what, axis="number of axes", expected=len(axes), came=tensor.ndim)
    for (axis, expected), came in zip(axes.items(), tensor.shape, strict=True):
        if came != expected:
            raise ShapeError(what, axis=axis, expected=expected, came=came)


def check_inputs(what: str, data: Tensor, features: int, weight: Tensor | None) -> None:
    """Refuse an input that is not `[batch, time, features]` of the weights' dtype."""
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
    if set(came) != set(axes):
        kind = what.rpartition(" ")[2]
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
