"""Keras 3 on its JAX backend: layers.LSTM, GRU and SimpleRNN, compiled by XLA."""

from __future__ import annotations

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import keras
import numpy as np

from bench.engine.problem import Arrays, Contender, Problem, joined, split

__all__ = ["make"]

LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}
GATES = {"lstm": "ifgo", "gru": "zrn"}


def _stacks(cell: str) -> dict[str, tuple[str, ...]]:
    if cell == "rnn":
        return {"W": ("W",), "U": ("U",), "b": ("b",)}
    found = {f"{letter}": tuple(f"{letter}_{gate}" for gate in GATES[cell]) for letter in "WUb"}
    return found | ({"b2": ("", "", "b_hn")} if cell == "gru" else {})


def make(asked: Problem) -> Contender:
    """Compute a problem with a Keras layer; it reads `[batch, time, feature]`."""
    layer = LAYERS[asked.cell](asked.shape.hidden, return_sequences=True)
    inputs = jnp.asarray(asked.inputs.transpose(1, 0, 2).copy())
    gradient = jnp.asarray(asked.gradient.transpose(1, 0, 2).copy())
    layer.build(inputs.shape)
    stacks = _stacks(asked.cell)
    stacked = joined(asked.weights, stacks)
    bias = np.stack([stacked["b"], stacked["b2"]]) if "b2" in stacked else stacked["b"]
    weights = [jnp.asarray(array) for array in (stacked["W"].T, stacked["U"].T, bias)]
    rest = [variable.value for variable in layer.non_trainable_variables]

    def forward(p: Any, x: Any) -> Any:
        return layer.stateless_call(p, rest, x)[0]

    def loss(p: Any, x: Any) -> Any:
        output = forward(p, x)
        return (output * gradient).sum(), output

    run = jax.jit(jax.grad(loss, (0, 1), has_aux=True) if asked.trains else forward)

    def call() -> Any:
        return jax.block_until_ready(run(weights, inputs))

    def results() -> Arrays:
        if not asked.trains:
            return {"output": np.asarray(call()).transpose(1, 0, 2)}
        (by_weight, by_input), output = call()
        kernel, recurrent, shift = map(np.asarray, by_weight)
        found = {"W": kernel.T, "U": recurrent.T, "b": shift[0] if shift.ndim == 2 else shift}
        if shift.ndim == 2:
            found["b2"] = shift[1]
        turned = {"output": np.asarray(output), "x": np.asarray(by_input)}
        return {name: array.transpose(1, 0, 2) for name, array in turned.items()} | split(found, stacks)

    return Contender(call, results)
