"""Which values of a step have to be exact relative to themselves."""

from __future__ import annotations

from remanence.compiler.layout import Layout
from remanence.compiler.schedule import Compute

__all__ = ["divided"]


def divided(forward: Layout) -> set[int]:
    """What a step divides by, divides, or takes the logarithm of, and what that is made of: a small value counts there
    as much as a large one, so it has to be as exact."""
    found: set[int] = set()
    for instruction in reversed(forward.loop.instructions):
        if isinstance(instruction, Compute) and (instruction.op in ("div", "log") or instruction.out in found):
            found.update(instruction.operands)
    return found
