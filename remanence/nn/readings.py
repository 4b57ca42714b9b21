"""What a stack of layers reads in a call, and what each layer of it reads in one direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

__all__ = ["LayerReading", "StackCall"]


@dataclass(frozen=True)
class StackCall:
    """What a stack of layers reads, batch first."""

    data: Tensor
    lengths: Tensor | None
    state: Mapping[str, Tensor]
    given: Mapping[str, Tensor]
    quantities: tuple[str, ...]


@dataclass(frozen=True)
class LayerReading:
    """What one layer reads in one direction, time-major."""

    flow: Tensor
    initial: dict[str, Tensor]
    lengths: Tensor | None
    quantities: tuple[str, ...]
    given: Mapping[str, Tensor]
    sizes: Mapping[str, int]
