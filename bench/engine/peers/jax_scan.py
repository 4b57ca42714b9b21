"""JAX: `lax.scan` over a cell, compiled by XLA."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bench.engine.peers.by_xla import compiled
from bench.engine.plain import PLAIN
from bench.engine.problem import Arrays, Contender, Problem, joined, split

__all__ = ["make"]


class _Jax:
    """JAX's functions under the names that `plain` uses; matrices are kept `[input, gate]`, as JAX's libraries do."""

    sigmoid = staticmethod(jax.nn.sigmoid)
    tanh = staticmethod(jnp.tanh)
    exp = staticmethod(jnp.exp)
    relu = staticmethod(jax.nn.relu)
    maximum = staticmethod(jnp.maximum)
    log_sigmoid = staticmethod(jax.nn.log_sigmoid)
    split = staticmethod(lambda a, parts: jnp.split(a, parts, -1))

    @staticmethod
    def linear(x: Any, weight: Any, bias: Any = None) -> Any:
        return x @ weight if bias is None else x @ weight + bias

    @staticmethod
    def normalise(a: Any, gain: Any) -> Any:
        apart = a - a.mean(-1, keepdims=True)
        return gain * apart * lax.rsqrt((apart * apart).mean(-1, keepdims=True) + 1e-5)


def make(asked: Problem) -> Contender:
    """Compute a problem with `lax.scan`. The input's product stands inside the scan, where XLA does better with it."""
    cell = PLAIN[asked.cell]
    weights = {name: jnp.asarray(array.T) for name, array in joined(asked.weights, cell.stacks).items()}
    inputs, gradient = jnp.asarray(asked.inputs), jnp.asarray(asked.gradient)
    sizes = [asked.gradient.shape[-1]] + [asked.shape.hidden] * (cell.states - 1)

    def forward(p: Any, x: Any) -> Any:
        state = tuple(jnp.zeros((asked.shape.batch, size), jnp.float32) for size in sizes)

        def step(state: Any, at: Any) -> Any:
            state = cell.step(_Jax, p, _Jax.linear(at, p["W"], p.get("b")), state)
            return state, state[0]

        return lax.scan(step, state, x)[1]

    call = compiled(forward, weights, inputs, gradient if asked.trains else None)

    def results() -> Arrays:
        output, gradients = call()
        found = {"output": np.asarray(output)}
        if gradients is not None:
            turned = {name: np.asarray(value).T for name, value in gradients[0].items()}
            found |= {"x": np.asarray(gradients[1])} | split(turned, cell.stacks)
        return found

    return Contender(call, results, jax.default_backend())
