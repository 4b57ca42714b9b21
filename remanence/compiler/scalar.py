"""An expression over plain numbers: what a claim about equations is checked with. No torch here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from remanence.compiler.ir import Node, Number, Operation

__all__ = ["compute"]


def _sigmoid(a: float) -> float:
    return 1 / (1 + math.exp(-a)) if a >= 0 else math.exp(a) / (1 + math.exp(a))


_FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "sigmoid": _sigmoid,
    "tanh": math.tanh,
    "relu": lambda a: max(a, 0.0),
    "exp": math.exp,
    "log": math.log,
    "softplus": lambda a: max(a, 0.0) + math.log1p(math.exp(-abs(a))),
    "abs": lambda a: abs(a),
    "sqrt": math.sqrt,
    "max": lambda a, b: max(a, b),
    "min": lambda a, b: min(a, b),
    "mean": lambda a: a,
    "norm": lambda a: abs(a),
}


def compute(node: Node, leaves: dict[Node, float], draw: Callable[[float, float], float]) -> float:
    """Compute an expression as if every vector had one unit; leaves without a number draw one in [0.1, 0.9].

    Args:
        node: the expression. A product `W @ a` counts as a leaf.
        leaves: number of each leaf; filled in as they are met.
        draw: gives a number between two.
    """
    match node:
        case Number(value):
            return value
        case Operation(op, operands):
            return _FUNCTIONS[op](*(compute(operand, leaves, draw) for operand in operands))
    if node not in leaves:
        leaves[node] = draw(0.1, 0.9)
    return leaves[node]
