"""A Python loop over a cell in torch, `state = cell(x[t], state)`, as torch's own documentation of cells writes it."""

from __future__ import annotations

from bench.engine.peers.loop import in_steps
from bench.engine.problem import Contender, Problem

__all__ = ["make"]


def make(asked: Problem) -> Contender:
    """Compute a problem step by step, the product of each step's input within the step."""
    return in_steps(asked, lambda x, product: (product(x[t]) for t in range(len(x))))
