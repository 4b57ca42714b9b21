"""JAX: `lax.scan` over a cell, compiled by XLA."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

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

    def loss(p: Any, x: Any) -> Any:
        output = forward(p, x)
        return (output * gradient).sum(), output

    run = jax.jit(jax.grad(loss, (0, 1), has_aux=True) if asked.trains else forward)

    def call() -> Any:
        return jax.block_until_ready(run(weights, inputs))

    def results() -> Arrays:
        if not asked.trains:
            return {"output": np.asarray(call())}
        (by_weight, by_input), output = call()
        turned = {name: np.asarray(value).T for name, value in by_weight.items()}
        return {"output": np.asarray(output), "x": np.asarray(by_input)} | split(turned, cell.stacks)

    return Contender(call, results, jax.default_backend())
