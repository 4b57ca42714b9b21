"""ONNX Runtime: the standard operators LSTM, GRU and RNN, inference only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from bench.engine.problem import Arrays, Contender, Problem

__all__ = ["make", "session"]

# Order of gates, as the operators' pages state it: https://onnx.ai/onnx/operators/
GATES = {"lstm": "iofg", "gru": "zrn", "rnn": ""}


def _weights(cell: str, weights: Arrays) -> Arrays:
    """W, R and B of the operator, with an axis of one direction before them."""

    def stacked(letter: str) -> np.ndarray:
        names = [f"{letter}_{gate}" for gate in GATES[cell]] or [letter]
        return np.concatenate([weights[name] for name in names])

    second = np.zeros_like(stacked("b"))
    if cell == "gru":
        second[-len(weights["b_hn"]) :] = weights["b_hn"]
    found = {"W": stacked("W"), "R": stacked("U"), "B": np.concatenate([stacked("b"), second])}
    return {name: np.ascontiguousarray(value[None]) for name, value in found.items()}


def session(cell: str, weights: Arrays, shape: Sequence[int | str], threads: int, carried: bool = False) -> Any:
    """Build a session of one operator.

    Args:
        cell: "lstm", "gru" or "rnn".
        weights: by our names.
        shape: of the input X: time, batch, input.
        threads: of its pool.
        carried: take the states as inputs and return the last ones.
    """
    hidden = next(weight.shape[0] for weight in weights.values())
    states = ["h", "c"] if cell == "lstm" else ["h"]
    options: dict[str, Any] = {"linear_before_reset": 1} if cell == "gru" else {}
    taken = [f"initial_{name}" for name in states] if carried else []
    given = ["Y", *(f"Y_{name}" for name in states)] if carried else ["Y"]
    node = helper.make_node(cell.upper(), ["X", "W", "R", "B", "", *taken], given, hidden_size=hidden, **options)
    row = [1, shape[1], hidden]
    value = helper.make_tensor_value_info
    ins = [value("X", TensorProto.FLOAT, shape), *(value(name, TensorProto.FLOAT, row) for name in taken)]
    outs = [value("Y", TensorProto.FLOAT, [shape[0], *row])]
    outs += [value(name, TensorProto.FLOAT, row) for name in given[1:]]
    held = [numpy_helper.from_array(array, name) for name, array in _weights(cell, weights).items()]
    graph = helper.make_graph([node], cell, ins, outs, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    wanted = onnxruntime.SessionOptions()
    wanted.intra_op_num_threads, wanted.inter_op_num_threads = threads, 1
    # Its threads spin after a call and would take the core from whoever runs next.
    wanted.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), wanted, providers=["CPUExecutionProvider"])


def make(asked: Problem) -> Contender:
    """Compute a problem with one operator."""
    built = session(asked.cell, asked.weights, asked.inputs.shape, asked.threads)

    def call() -> Any:
        return built.run(["Y"], {"X": asked.inputs})[0]

    return Contender(call, lambda: {"output": call()[:, 0]})
