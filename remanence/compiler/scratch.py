"""One piece of memory in which several arrays lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

__all__ = ["Scratch"]

_LINE = 64


@dataclass(frozen=True, eq=False)
class Scratch:
    """What lies where.

    Args:
        places: array → (begin, elements).
        size: elements in all.

    Example:
        >>> Scratch.of({"w": 20, "g": 3}, itemsize=4)
        Scratch(places={'w': (0, 20), 'g': (32, 3)}, size=48)
    """

    places: Mapping[str, tuple[int, int]]
    size: int

    @classmethod
    def of(cls, sizes: Mapping[str, int], itemsize: int) -> Scratch:
        """Lay arrays of so many elements one behind the other, each at a line of the cache."""
        places, begin, line = {}, 0, _LINE // itemsize
        for name, size in sizes.items():
            places[name] = (begin, size)
            begin += -(-size // line) * line
        return cls(places, begin)

    def part(self, whole: Tensor, array: str) -> Tensor:
        """An array of it."""
        begin, size = self.places[array]
        return whole.narrow(0, begin, size)
