"""A call of whatever JAX differentiates, compiled by XLA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

__all__ = ["compiled"]


def compiled(forward: Callable[[Any, Any], Any], weights: Any, inputs: Any, gradient: Any | None) -> Callable[[], Any]:
    """Make a call that waits for output and gradients: those of weights and input, or None.

    Args:
        forward: of weights and input.
        weights, inputs: what it reads.
        gradient: of the output; None: gradients are not wanted.
    """

    def loss(p: Any, x: Any) -> Any:
        output = forward(p, x)
        return (output * gradient).sum(), output

    def run(p: Any, x: Any) -> Any:
        if gradient is None:
            return forward(p, x), None
        gradients, output = jax.grad(loss, (0, 1), has_aux=True)(p, x)
        return output, gradients

    run = jax.jit(run)
    return lambda: jax.block_until_ready(run(weights, inputs))
