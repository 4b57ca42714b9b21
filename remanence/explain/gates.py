"""Every named quantity of every layer at each step of one example: gates, candidates, states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from remanence.compiler.ir import Operation
from remanence.explain.example import Example, model_of, step_labels

__all__ = ["Gates", "gates"]

MANY = 16
"""Quantities of a cell beyond which its figures leave out those between."""


@dataclass(frozen=True)
class Gates:
    """What went on inside a model while it read one example.

    Args:
        model: name of the model, such as `lstm`.
        labels: what stands at each step: a token or a time, `[time]`.
        values: `layer0.forward.f` → the quantity, `[time, unit]`, in the order in which the cell computes it.
        functions: quantity → `sigmoid` or `tanh`, for those that are nothing but one of these of something.
        apart: seconds between two steps, whose labels are then seconds; 0 where steps are not of time.
        states: names of the cell's states.

    Example:
        >>> gates = Gates("lstm", ("a", "b"), {"layer0.forward.f": np.zeros((2, 3))})
        >>> gates.quantities(), gates.value("f").shape
        (('f',), (2, 3))
    """

    model: str
    labels: tuple[str, ...]
    values: Mapping[str, np.ndarray]
    functions: Mapping[str, str] = field(default_factory=dict)
    apart: float = 0.0
    states: tuple[str, ...] = ()

    def layers(self) -> tuple[str, ...]:
        """Layers and directions, such as `layer0.forward`, in reading order."""
        return tuple(dict.fromkeys(name.rpartition(".")[0] for name in self.values))

    def quantities(self, layer: str | None = None) -> tuple[str, ...]:
        """Names of the quantities of one layer (the first when None)."""
        layer = self.layers()[0] if layer is None else layer
        return tuple(name.rpartition(".")[2] for name in self.values if name.rpartition(".")[0] == layer)

    def telling(self, layer: str | None = None) -> tuple[str, ...]:
        """The quantities that tell most of one layer: all; of many, its gates, candidates and states."""
        names = self.quantities(layer)
        if len(names) <= MANY:
            return names
        return tuple(name for name in names if name in self.functions or name in self.states)

    def value(self, quantity: str, layer: str | None = None) -> np.ndarray:
        """One quantity of one layer (the first when None), `[time, unit]`."""
        return self.values[f"{self.layers()[0] if layer is None else layer}.{quantity}"]


def gates(run: Any, example: Example, quantities: tuple[str, ...] = ("*",)) -> Gates:
    """Trace the quantities of every layer and direction while a model reads one example.

    Args:
        run: a `Run`, or its `SequenceModel`.
        example: what it reads.
        quantities: names in the cell's equations; `("*",)` means all.

    Raises:
        SettingError: a quantity that the cell does not have.
    """
    model = model_of(run).eval()
    with torch.no_grad():
        traced = model.trace(example.batch, quantities).trace
    length = int(model.encode(example.batch).lengths[0])
    values = {name: value[0, :length].double().cpu().numpy() for name, value in traced.items()}
    cell = model.recurrent.cell
    functions = {
        equation.name: equation.value.op
        for equation in cell.step.equations
        if isinstance(equation.value, Operation) and equation.value.op in ("sigmoid", "tanh")
    }
    labels = step_labels(example.labels, length)
    return Gates(cell.name, labels, values, functions, example.seconds_apart(length), tuple(cell.state))
