"""Which way a drop-in layer takes: a kernel compiled from the equations, torch's own, or the equations themselves."""

from __future__ import annotations

import warnings
from functools import lru_cache

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn import Parameter

from remanence.nn import fused
from remanence.nn.stacks import CELL_OF
from remanence.nn.twin import transformed

__all__ = ["route"]


def route(kind: str, weight: Tensor, flow: Tensor | None = None) -> tuple[str, str]:
    """The path of a call, and why.

    Args:
        kind: as in `CELL_OF`.
        weight: one of the layer's parameters.
        flow: `[time, batch, feature]`; None: of a usual call.

    Returns:
        "cpu-fused"; "torch" or "cudnn", torch's own kernels; or "eager", the equations step by step.
    """
    if transformed():
        return "eager", "kernels do not run under torch.func transforms"
    if weight.device.type == "cuda":
        known = torch.backends.cudnn.enabled and torch.backends.cudnn.is_acceptable(weight)
        return ("cudnn", "the layer is on a GPU") if known else ("torch", "cuDNN is missing, or has no such dtype")
    if why := _alien(weight, flow):
        return "torch", why
    data = None if flow is None else flow.transpose(0, 1)
    path, why = fused.choose(CELL_OF[kind], weight, data)
    if path == "cpu-fused":
        return path, why
    if why.startswith("llvmlite"):
        _warn(why)
    return "torch", why


def _alien(weight: Tensor, flow: Tensor | None) -> str:
    """Why operators of ours may not know what to do with a tensor; "" where they do."""
    known = (Tensor, Parameter, FakeTensor, type(None))
    if not torch.compiler.is_compiling() and not {type(weight), type(flow)} <= {*known}:
        return "the tensors are of a class of their own"
    return ""


@lru_cache(maxsize=8)
def _warn(why: str) -> None:
    """Say once what the user can mend."""
    message = f"recurrent layers run through torch's own kernels, several times slower: {why}"
    warnings.warn(message, RuntimeWarning, stacklevel=2)
