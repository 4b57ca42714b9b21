"""A layer one step at a time, for streams: the object holds the state, and a step takes microseconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from remanence.cells import Cell
from remanence.errors import SettingError, ShapeError
from remanence.nn.dropin import GRU, LSTM, RNN
from remanence.nn.recurrent import Recurrent
from remanence.nn.stacks import CELL_OF, stacked

__all__ = ["Stepper"]


@dataclass(frozen=True)
class _Level:
    """One layer of a stack: its cell, its parameters, and the states it starts from."""

    cell: Cell
    weights: Mapping[tuple[str, ...], Tensor]
    start: Mapping[str, Tensor]


class Stepper:
    """Runs a layer step by step over sequences that come in as they happen.

    Args:
        layer: a `Recurrent`, or an `RNN`, `LSTM` or `GRU` of this package; in one direction, on the CPU, in float32 or
            float64. Its weights are copied: training it further changes nothing here. It runs as in evaluation.
        batch: sequences that advance together.

    Raises:
        SettingError: not such a layer (a run's is `run.model.recurrent`), or it reads backwards, joins its layers by
            more than a stack, or reads given inputs.

    Numerics: as the layer itself over the whole sequence, within 1e-5 in float32.

    Example:
        >>> stepper = Stepper(Recurrent("lstm", 3, 5))
        >>> stepper.step(np.zeros((1, 3), np.float32)).shape
        (1, 5)
        >>> stepper.state["c"].shape, stepper.steps
        (torch.Size([1, 1, 5]), 1)
    """

    def __init__(self, layer: Recurrent | RNN | LSTM | GRU, batch: int = 1) -> None:
        if not isinstance(batch, int) or batch < 1:
            raise SettingError(f"expected a whole number of at least 1, came {batch!r}", name="batch")
        self._levels = list(_levels(layer))
        self.batch, self.input_size, self.steps = batch, layer.input_size, 0
        self._layers = [*self._build(layer.input_size)]
        self._parity = 0
        self._read = self._layers[0].x[:, : self.input_size].numpy()
        output = self._levels[-1].cell.output
        last = self._layers[-1]
        size = last.shape.true[self._levels[-1].cell.step.sizes[output]]
        self._written = [last.states[output][entry, :, :size].numpy() for entry in (1, 0)]
        self._ways = [[one.advance for one in self._layers]]
        self.reset()

    def _build(self, features: int) -> Iterator[Any]:
        from remanence.compiler.kernel import build
        from remanence.compiler.one_step import OneStep

        read = None
        for level in self._levels:
            step = level.cell.step
            kernel = build(step, tuple(step.state), train=False)
            groups, tensors = tuple(level.weights), list(level.weights.values())
            one = OneStep(kernel, groups, tensors, self.batch, read, features)
            yield one
            read, features = one.states[step.output], one.shape.true[step.sizes[step.output]]

    def step(self, x: np.ndarray | Tensor) -> np.ndarray:
        """Advance every sequence by one step.

        Args:
            x: `[batch, input]`.

        Returns:
            The output, `[batch, size]`; the array is written again two steps later: copy what you keep.
        """
        if x.shape != self._read.shape:
            raise ShapeError("Stepper input", axis="batch, feature", expected=self._read.shape, came=tuple(x.shape))
        self._read[...] = x
        parity = self._parity
        for layer in self._layers:
            layer.advance(parity)
        self._parity = 1 - parity
        self.steps += 1
        return self._written[parity]

    @property
    def state(self) -> dict[str, Tensor]:
        """State name → `[layers, batch, size]`, a copy; narrower layers are filled with zeros."""
        found = {}
        for name in self._levels[0].cell.state:
            parts = [self._part(layer, level, name) for layer, level in zip(self._layers, self._levels, strict=True)]
            whole = parts[0].new_zeros(len(parts), self.batch, max(part.shape[1] for part in parts))
            for row, part in zip(whole, parts, strict=True):
                row[:, : part.shape[1]] = part
            found[name] = whole
        return found

    def _part(self, layer: Any, level: _Level, name: str) -> Tensor:
        size = layer.shape.true[level.cell.step.sizes[name]]
        return layer.states[name][self._parity, :, :size]

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state, as `state` or the layer gives it: name → `[layers, batch, size]`.

        Raises:
            ShapeError: it is another layer's.
        """
        known = self.state
        if set(state) != set(known):
            raise ShapeError("Stepper state", axis="state", expected=tuple(known), came=tuple(state))
        for name, value in known.items():
            if state[name].shape != value.shape:
                came = tuple(state[name].shape)
                raise ShapeError(f"Stepper state '{name}'", axis="shape", expected=tuple(value.shape), came=came)
        for row, (layer, level) in enumerate(zip(self._layers, self._levels, strict=True)):
            for name in known:
                part = self._part(layer, level, name)
                part.copy_(state[name][row, :, : part.shape[1]].detach())

    def reset(self, rows: Any = slice(None)) -> None:
        """Begin again: all sequences, or those that an index, a list or a mask names."""
        for layer, level in zip(self._layers, self._levels, strict=True):
            for name in level.cell.state:
                self._part(layer, level, name)[rows] = level.start[name].to(layer.x.dtype)


def _levels(layer: nn.Module) -> Iterator[_Level]:
    """The layers of a stack, from below."""
    refused = _refusal(layer)
    if refused:
        raise SettingError(f"a Stepper {refused}", remedy=_remedy(layer))
    if isinstance(layer, Recurrent):
        cell = layer.masked.evaluation
        for index in range(layer.layers):
            weights = {(name,): tensor for name, tensor in getattr(layer, f"layer{index}_forward")().items()}
            sizes = layer.layer_sizes[index]
            start = {name: torch.zeros(sizes[cell.step.sizes[name]]) for name in cell.state}
            learnt = dict(getattr(layer, f"start{index}_forward").items()) if layer.options.learn_start else {}
            ordered = {(p.name,): weights[p.name,] for p in cell.step.parameters}
            yield _Level(cell, ordered, {**start, **{name: value.detach() for name, value in learnt.items()}})
        return
    assert isinstance(layer, RNN | LSTM | GRU)
    cell = CELL_OF[layer.kind]
    for index in range(layer.num_layers):
        weights = stacked(layer.kind, layer._weights(f"_l{index}"))
        sizes = {"hidden": layer.hidden_size, "proj": layer.proj_size}
        yield _Level(cell, weights, {name: torch.zeros(sizes[cell.step.sizes[name]]) for name in cell.state})


def _refusal(layer: nn.Module) -> str:
    """Why a layer cannot be run step by step here; "" where it can."""
    if not isinstance(layer, Recurrent | RNN | LSTM | GRU):
        return f"runs recurrent layers of remanence.nn, came {type(layer).__name__}"
    if layer.bidirectional:
        return "reads as steps come, the layer reads backwards too"
    weight = next(layer.parameters(), None)
    if weight is None or weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.float64):
        what = "has no weights" if weight is None else f"is {weight.dtype} on {weight.device.type}"
        return f"is for float32 and float64 on the CPU, the layer {what}"
    if not isinstance(layer, Recurrent):
        return ""
    options = layer.options
    joined = [name for name in ("residual", "skip", "layer_norm") if getattr(options, name)] if layer.layers > 1 else []
    if joined:
        return f"runs plain stacks of layers, this one has {', '.join(joined)}"
    if layer.masked.evaluation.step.given:
        return f"reads x alone, the cell reads {', '.join(layer.masked.evaluation.step.given)} too"
    return ""


def _remedy(layer: Any) -> str:
    """Which layer to give instead of what was given."""
    if hasattr(layer, "model"):
        return "give it those of the run, Stepper(run.model.recurrent)"
    if hasattr(layer, "recurrent"):
        return "give it those of the model, Stepper(model.recurrent)"
    return "convert() makes torch.nn's such" if isinstance(layer, nn.RNNBase) else ""
