"""The one piece of memory that nobody reads behind a forward loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

__all__ = ["Scratch"]


@dataclass(frozen=True, eq=False)
class Scratch:
    """What lies in the one piece of memory that nobody reads behind a forward loop.

    Args:
        places: array → (begin, elements); the rows of lanes lie behind the matrices.
        size: elements in all.
    """

    places: Mapping[str, tuple[int, int]]
    size: int

    def part(self, whole: Tensor, array: str) -> Tensor:
        """An array of it."""
        begin, size = self.places[array]
        return whole.narrow(0, begin, size)
