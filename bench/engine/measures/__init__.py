"""What is not a ratio of two layers: a module each, with `measure(asked) -> findings`.

A finding is `{"value": …, "note": …}`, with "low" and "high" where there are quartiles, or `{"skipped": why}`; its key
is one of `limits.LIMITS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.engine.timing import Budget

__all__ = ["MEASURES", "Asked", "Measure"]

Findings = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Asked:
    """How to measure: threads of the process, budget of a comparison, whether a rough answer will do."""

    threads: int
    budget: Budget
    quick: bool


@dataclass(frozen=True)
class Measure:
    """A group of findings that one process makes.

    Args:
        title: for the progress bar.
        module: where `measure` is.
        threads: numbers of threads that it is made with.
    """

    title: str
    module: str
    threads: tuple[int, ...] = (1,)

    def load(self) -> Callable[[Asked], Findings]:
        """Import its `measure`."""
        return importlib.import_module(f"bench.engine.measures.{self.module}").measure


MEASURES = {
    "step": Measure("one step", "step"),
    "rate": Measure("rate in the loop", "rate", (1, 2)),
    "trace": Measure("a full trace", "trace"),
    "new-cell": Measure("a new cell", "new_cell"),
    "checkpoint": Measure("checkpoints", "checkpoint"),
    "numerics": Measure("numerics", "numerics"),
}
"""Every group by the name that `--measures` takes."""
