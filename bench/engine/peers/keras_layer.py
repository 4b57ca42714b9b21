"""Keras 3 on its JAX backend: layers.LSTM, GRU and SimpleRNN, compiled by XLA."""

from __future__ import annotations

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax.numpy as jnp
import keras
import numpy as np

from bench.engine.peers.by_xla import compiled
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

    call = compiled(forward, weights, inputs, gradient if asked.trains else None)

    def results() -> Arrays:
        output, gradients = call()
        found = {"output": np.asarray(output).transpose(1, 0, 2)}
        if gradients is not None:
            kernel, recurrent, shift = map(np.asarray, gradients[0])
            stacked = {"W": kernel.T, "U": recurrent.T, "b": shift[0] if shift.ndim == 2 else shift}
            if shift.ndim == 2:
                stacked["b2"] = shift[1]
            found |= {"x": np.asarray(gradients[1]).transpose(1, 0, 2)} | split(stacked, stacks)
        return found

    return Contender(call, results)
