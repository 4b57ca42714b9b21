"""Any cell as a layer: stacked, in one direction or both, over sequences of unequal length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from remanence.cells import Cell, describe
from remanence.cells import cell as find_cell
from remanence.compiler import emit_torch
from remanence.compiler.emit_torch import Run
from remanence.compiler.ir import SCALAR
from remanence.compiler.schedule import schedule
from remanence.errors import SettingError, ShapeError
from remanence.nn import fused, twin
from remanence.nn.turn import reversal, turn
from remanence.nn.weights import CellWeights
from remanence.sequences import Sequences

__all__ = ["Recurrent", "RecurrentOptions", "RecurrentOutput"]


class RecurrentOutput(NamedTuple):
    """What a recurrent layer gives.

    Args:
        output: `[batch, time, directions * size]`; zero beyond a sequence's length.
        state: state name → `[layers * directions, batch, size]`, after each sequence's last valid step (in the reverse
            direction: after its first).
        trace: "layer0.forward.f" → `[batch, time, size]`; zero beyond a sequence's length.
    """

    output: Tensor
    state: dict[str, Tensor]
    trace: dict[str, Tensor]


@dataclass(frozen=True)
class RecurrentOptions:
    """How a recurrent layer starts, and which way it runs.

    Args:
        proj_size: units of the output, for cells whose output is a projection; None: half of the hidden size.
        forget_bias: added to the forget gates' biases at the start (1 is usual).
        recurrent_init: "uniform" (as torch.nn) or "orthogonal".
        path: "auto" takes torch's own kernel where there is one, else a time loop compiled from the equations (CPU,
            float32 or float64, no trace, 8 steps or more; 1 to 4 seconds at the first use ever, then kept on disk;
            not for minLSTM and minGRU, whose work stands before the loop),
            else runs the equations; "eager" always runs them; "cpu-fused" compiles also where torch has a kernel.
    """

    proj_size: int | None = None
    forget_bias: float = 0.0
    recurrent_init: Literal["uniform", "orthogonal"] = "uniform"
    path: Literal["auto", "eager", "cpu-fused"] = "auto"


class Recurrent(nn.Module):
    """A recurrent layer made of a cell's equations.

    Args:
        cell: a cell, or its name in `cells.CELLS`.
        input_size: features of one step.
        hidden_size: units of the recurrent state.
        layers: how many, one upon another.
        bidirectional: also read each sequence from its own end; outputs are joined along the last axis.
        dropout: probability of dropping an output between layers, in training.
        options: initialisation and path.

    Numerics: the paths agree to 1e-5 in float32 (2e-5 the compiled one), gradients too. All weights come from
    torch's global generator.

    Example:
        >>> layer = Recurrent("gru", 3, 5)
        >>> done = layer(torch.zeros(2, 7, 3), trace=("z",))
        >>> done.output.shape, done.state["h"].shape, done.trace["layer0.forward.z"].shape
        (torch.Size([2, 7, 5]), torch.Size([1, 2, 5]), torch.Size([2, 7, 5]))
    """

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        options: RecurrentOptions | None = None,
    ) -> None:
        super().__init__()
        self.cell = find_cell(cell) if isinstance(cell, str) else cell
        self.plan = schedule(self.cell.step)
        self.options = options or RecurrentOptions()
        self.input_size, self.hidden_size, self.layers = input_size, hidden_size, layers
        self.bidirectional, self.dropout = bidirectional, dropout
        self.directions = ("forward", "reverse") if bidirectional else ("forward",)
        _check_sizes(self)
        self.sizes = {"hidden": hidden_size}
        if "proj" in self.cell.step.size_names:
            self.sizes["proj"] = self.options.proj_size or max(hidden_size // 2, 1)
        self.unit_size = self.sizes[self.cell.step.sizes[self.cell.output]]
        self.output_size = len(self.directions) * self.unit_size
        for layer in range(layers):
            for direction in self.directions:
                weights = CellWeights(
                    self.cell,
                    {"input": input_size if layer == 0 else self.output_size, **self.sizes},
                    forget_bias=self.options.forget_bias,
                    recurrent=self.options.recurrent_init,
                )
                self.add_module(f"layer{layer}_{direction}", weights)

    @property
    def path(self) -> str:
        """ "torch", "eager" or "cpu-fused": the way that a call without a trace takes."""
        return self._choose(())[0]

    @property
    def path_reason(self) -> str:
        """Why that way."""
        return self._choose(())[1]

    def forward(
        self,
        inputs: Tensor | Sequences,
        state: dict[str, Tensor] | None = None,
        *,
        given: Mapping[str, Tensor] | None = None,
        trace: tuple[str, ...] = (),
    ) -> RecurrentOutput:
        """Read sequences.

        Args:
            inputs: `[batch, time, feature]`, or `Sequences` of such data with lengths.
            state: state name → `[layers * directions, batch, size]` to start from; zeros where None.
            given: name → `[batch, time, size]`, for cells that read more than x at each step; every layer and direction
                reads it at the step where it stands.
            trace: quantities of the equations to return; `("*",)` means all. A trace takes the eager path.

        Raises:
            ShapeError: the axis, what was expected, what came.
            SettingError: an unknown quantity in `trace`.
        """
        data = inputs.data if isinstance(inputs, Sequences) else inputs
        self._check_inputs(data)
        lengths = inputs.lengths if isinstance(inputs, Sequences) else None
        if lengths is not None and (lengths.numel() == 0 or int(lengths.min()) == data.shape[1]):
            lengths = None
        quantities = self._quantities(trace)
        start = self._start(data, state)
        outside = {name: value.transpose(0, 1) for name, value in self._given(data, given).items()}
        path, _ = self._choose(quantities, data)
        finals: dict[str, list[Tensor]] = {name: [] for name in self.cell.state}
        traced: dict[str, Tensor] = {}
        flow = data.transpose(0, 1)
        for layer in range(self.layers):
            outputs = []
            for direction in self.directions:
                index = len(finals[self.cell.output])
                initial = {name: start[name][index] for name in self.cell.state}
                read = _Reading(flow, initial, lengths, quantities, outside)
                done = self._run(f"layer{layer}_{direction}", read, path)
                outputs.append(done.output)
                for name in self.cell.state:
                    finals[name].append(done.state[name])
                for name, values in done.trace.items():
                    traced[f"layer{layer}.{direction}.{name}"] = values.transpose(0, 1)
            flow = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
            if self.dropout and layer + 1 < self.layers:
                flow = functional.dropout(flow, self.dropout, self.training)
        stacked = {name: torch.stack(values) for name, values in finals.items()}
        return RecurrentOutput(flow.transpose(0, 1), stacked, traced)

    def describe(self) -> str:
        """The cell's equations and shapes, and the way that this layer runs."""
        count = sum(parameter.numel() for parameter in self.parameters())
        head = describe(self.cell, input=self.input_size, **self.sizes)
        ways = " and ".join(self.directions)
        return f"{head}\n{self.layers} layer(s), {ways}, {count} parameters; path {self.path}: {self.path_reason}"

    def extra_repr(self) -> str:
        return f"{self.cell.name}, {self.input_size}, {self.hidden_size}, layers={self.layers}, path={self.path}"

    def _choose(self, quantities: tuple[str, ...], data: Tensor | None = None) -> tuple[str, str]:
        if self.options.path == "eager":
            return "eager", "asked for by options.path"
        if quantities:
            return "eager", "a trace was asked for"
        weight, asked = next(self.parameters(), None), self.options.path == "cpu-fused"
        if asked or self.cell.torch_twin is None:
            return fused.choose(self.cell, weight, data, asked=asked)
        return twin.choose(self.cell, weight, data)

    def _run(self, name: str, read: _Reading, path: str) -> Run:
        weights, flow, given = getattr(self, name)(), read.flow, read.given
        back = reversal(read.lengths, flow) if name.endswith("reverse") else None
        if back is not None:
            flow = turn(flow, back)
            given = {name: turn(value, back) for name, value in given.items()}
        if path == "torch":
            done = twin.run(self.cell, weights, flow, read.initial, read.lengths)
        elif path == "cpu-fused":
            done = fused.run(self.cell, weights, flow, read.initial, read.lengths)
        else:
            done = emit_torch.run(
                self.plan, weights, flow, read.initial, lengths=read.lengths, trace=read.quantities, given=given
            )
        if back is None:
            return done
        turned = {name: turn(values, back) for name, values in done.trace.items()}
        return Run(turn(done.output, back), done.state, turned)

    def _quantities(self, trace: Iterable[str]) -> tuple[str, ...]:
        known = self.cell.quantities
        asked = tuple(trace)
        if "*" in asked:
            return known
        for name in asked:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean '{close[0]}'? " if close else ""
                raise SettingError(
                    f"cell '{self.cell.name}' has no quantity '{name}'",
                    name="trace",
                    remedy=f"{hint}expected some of {', '.join(known)}, or *",
                )
        return tuple(dict.fromkeys(asked))

    def _check_inputs(self, data: Tensor) -> None:
        what = f"Recurrent({self.cell.name}) input"
        if data.ndim != 3:
            raise ShapeError(what, axis="number of axes", expected="3 (batch, time, feature)", came=data.ndim)
        if data.shape[2] != self.input_size:
            raise ShapeError(what, axis="feature", expected=self.input_size, came=data.shape[2])
        weight = next(self.parameters(), None)
        if weight is None:
            return
        if data.dtype != weight.dtype and not torch.is_autocast_enabled(data.device.type):
            raise ShapeError(
                what, axis="dtype", expected=weight.dtype, came=data.dtype, remedy="convert the input or the layer"
            )

    def _given(self, data: Tensor, given: Mapping[str, Tensor] | None) -> Mapping[str, Tensor]:
        expected, came = self.cell.step.given, given or {}
        what = f"Recurrent({self.cell.name}) given"
        if set(came) != set(expected):
            raise ShapeError(what, axis="name", expected=tuple(expected) or "none", came=tuple(came) or "none")
        for name, size in expected.items():
            wanted = 1 if size == SCALAR else {"input": self.input_size, **self.sizes}[size]
            _check_axes(f"{what} '{name}'", came[name], {"batch": data.shape[0], "time": data.shape[1], size: wanted})
            if came[name].dtype != data.dtype:
                raise ShapeError(f"{what} '{name}'", axis="dtype", expected=data.dtype, came=came[name].dtype)
        return came

    def _start(self, data: Tensor, state: dict[str, Tensor] | None) -> dict[str, Tensor]:
        rows = self.layers * len(self.directions)
        sizes = {name: self.sizes[self.cell.step.sizes[name]] for name in self.cell.state}
        if state is None:
            return {name: data.new_zeros(rows, data.shape[0], size) for name, size in sizes.items()}
        what = f"Recurrent({self.cell.name}) state"
        if set(state) != set(sizes):
            raise ShapeError(
                what, axis="state", expected=tuple(sizes), came=tuple(state), remedy="is it another cell's?"
            )
        for name, size in sizes.items():
            axes = {"layers * directions": rows, "batch": data.shape[0], "hidden": size}
            _check_axes(f"{what} '{name}'", state[name], axes)
            if state[name].dtype != data.dtype:
                raise ShapeError(f"{what} '{name}'", axis="dtype", expected=data.dtype, came=state[name].dtype)
        return state


@dataclass(frozen=True)
class _Reading:
    """What one layer reads in one direction, time-major."""

    flow: Tensor
    initial: dict[str, Tensor]
    lengths: Tensor | None
    quantities: tuple[str, ...]
    given: Mapping[str, Tensor]


def _check_axes(what: str, tensor: Tensor, axes: Mapping[str, int]) -> None:
    if tensor.ndim != len(axes):
        raise ShapeError(what, axis="number of axes", expected=len(axes), came=tensor.ndim)
    for (axis, expected), came in zip(axes.items(), tensor.shape, strict=True):
        if came != expected:
            raise ShapeError(what, axis=axis, expected=expected, came=came)


def _check_sizes(layer: Recurrent) -> None:
    for name in ("input_size", "hidden_size", "layers"):
        value = getattr(layer, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise SettingError(f"expected a whole number of at least 1, came {value!r}", name=name)
    if not 0 <= layer.dropout < 1:
        raise SettingError(f"expected a probability in [0, 1), came {layer.dropout!r}", name="dropout")
    proj = layer.options.proj_size
    if proj is not None and "proj" not in layer.cell.step.size_names:
        raise SettingError(f"cell '{layer.cell.name}' has no projection", name="proj_size", remedy="leave it out")
    if proj is not None and proj < 1:
        raise SettingError(f"expected at least 1, came {proj}", name="proj_size")
