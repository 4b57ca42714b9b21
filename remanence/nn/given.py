"""What a layer of torch.nn may be given, turned time-major and back: tensors, packed sequences, `Sequences`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from remanence.errors import ShapeError
from remanence.sequences import Sequences

__all__ = ["Given", "Layer", "Mismatch", "check_state", "packed", "read", "unpacked", "zeros"]


class Mismatch(ShapeError, RuntimeError, ValueError):  # noqa: N818 (one of our errors, by a name that says more)
    """A `ShapeError` that programs written for torch.nn can catch, too: torch raises one or the other of these."""


@dataclass(frozen=True)
class Layer:
    """What the checks know of a layer.

    Args:
        name: for messages.
        features: numbers of one step.
        states: name → size, in the order in which torch takes them.
        rows: layers × directions.
        batch_first: of the tensors that it is given.
        weight: one of its parameters.
    """

    name: str
    features: int
    states: Mapping[str, int]
    rows: int
    batch_first: bool
    weight: Tensor


@dataclass(frozen=True)
class Given:
    """An input, and the form that it came in.

    Args:
        source: the input as it came.
        form: the output takes the same.
        lengths: int64 `[batch]` on the CPU; None where all steps are valid.
        batch_first: of a batched tensor.
    """

    source: Tensor | PackedSequence | Sequences
    form: Literal["batched", "unbatched", "packed", "sequences"]
    lengths: Tensor | None = None
    batch_first: bool = False

    @property
    def batch(self) -> int:
        """Sequences side by side."""
        if isinstance(self.source, PackedSequence):
            return int(self.source.batch_sizes[0])
        if isinstance(self.source, Sequences):
            return self.source.batch
        return 1 if self.form == "unbatched" else self.source.shape[0 if self.batch_first else 1]

    @property
    def data(self) -> Tensor:
        """All numbers, as they came."""
        return self.source if isinstance(self.source, Tensor) else self.source.data

    def flow(self) -> Tensor:
        """Turn it time-major: `[time, batch, feature]`. A packed input is padded, which takes time."""
        if isinstance(self.source, PackedSequence):
            if self.lengths is None:
                return self.data.view(-1, self.batch, self.data.shape[1])
            return pad_packed_sequence(PackedSequence(self.data, self.source.batch_sizes))[0]
        if self.form == "unbatched":
            return self.data.unsqueeze(1)
        return self.data.transpose(0, 1) if self.batch_first or self.form == "sequences" else self.data

    def inner(self, state: Tensor) -> Tensor:
        """A state `[rows, batch, size]` as the flow orders its rows."""
        if self.form == "unbatched":
            return state.unsqueeze(1)
        if isinstance(self.source, PackedSequence) and self.source.sorted_indices is not None:
            return state.index_select(1, self.source.sorted_indices)
        return state

    def outer(self, state: Tensor) -> Tensor:
        """The way back."""
        if self.form == "unbatched":
            return state.squeeze(1)
        if isinstance(self.source, PackedSequence) and self.source.unsorted_indices is not None:
            return state.index_select(1, self.source.unsorted_indices)
        return state

    def answer(self, output: Tensor) -> Tensor | PackedSequence | Sequences:
        """An output `[time, batch, size]` in the form of the input."""
        if isinstance(self.source, PackedSequence):
            return PackedSequence(self.pack(output), *self.source[1:])
        if isinstance(self.source, Sequences):
            return Sequences(output.transpose(0, 1), self.source.lengths)
        if self.form == "unbatched":
            return output.squeeze(1)
        return output.transpose(0, 1) if self.batch_first else output

    def pack(self, flow: Tensor) -> Tensor:
        """The valid steps of `[time, batch, size]` as this packed input orders them."""
        return flow.flatten(0, 1) if self.lengths is None else pack_padded_sequence(flow, self.lengths).data


def read(layer: Layer, source: Any) -> Given:
    """Check an input, and tell its form.

    Raises:
        Mismatch: the axis, what was expected, what came.
    """
    if isinstance(source, Sequences):
        _check_numbers(layer, source.data, ("batch", "time", "feature"))
        # A graph cannot ask for the value of a number.
        asks = not torch.compiler.is_compiling()
        whole = asks and (source.batch == 0 or int(source.lengths.min()) == source.time)
        return Given(source, "sequences", None if whole else source.lengths)
    if isinstance(source, PackedSequence):
        _check_numbers(layer, source.data, ("valid step", "feature"))
        sizes = source.batch_sizes
        lengths = None if sizes[0] == sizes[-1] else (sizes > torch.arange(int(sizes[0]))[:, None]).sum(1)
        return Given(source, "packed", lengths)
    axes = ("batch", "time", "feature") if layer.batch_first else ("time", "batch", "feature")
    if isinstance(source, Tensor) and source.ndim == 2:
        _check_numbers(layer, source, ("time", "feature"))
        return Given(source, "unbatched")
    _check_numbers(layer, source, axes)
    return Given(source, "batched", None, layer.batch_first)


def _check_numbers(layer: Layer, data: Tensor, axes: tuple[str, ...]) -> None:
    what = f"{layer.name} input"
    if data.ndim != len(axes):
        form = f"{len(axes)} ({', '.join(axes)})"
        expected = f"{form}, or 2 (time, feature)" if axes[0] in ("batch", "time") and len(axes) == 3 else form
        raise Mismatch(what, axis="number of axes", expected=expected, came=data.ndim)
    if data.shape[-1] != layer.features:
        remedy = f"its axes are ({', '.join(axes)})"
        raise Mismatch(what, axis="feature", expected=layer.features, came=data.shape[-1], remedy=remedy)
    _check_place(layer, what, data)


def _check_place(layer: Layer, what: str, data: Tensor) -> None:
    kind = data.device.type
    if data.dtype != layer.weight.dtype and not torch.is_autocast_enabled(kind):
        remedy = "convert the input or the layer"
        raise Mismatch(what, axis="dtype", expected=layer.weight.dtype, came=data.dtype, remedy=remedy)
    if data.device != layer.weight.device:
        remedy = "move the input or the layer"
        raise Mismatch(what, axis="device", expected=layer.weight.device, came=data.device, remedy=remedy)


def check_state(layer: Layer, given: Given, hx: Any) -> None:
    """Check a state as the user gives it: one tensor, or a pair for cells of two states.

    Raises:
        Mismatch: the axis, what was expected, what came.
    """
    states = hx if len(layer.states) > 1 else (hx,)
    if (
        not isinstance(states, tuple | list)
        or len(states) != len(layer.states)
        or not all(isinstance(value, Tensor) for value in states)
    ):
        came = f"{len(hx)} tensors" if isinstance(hx, tuple | list) else type(hx).__name__
        raise Mismatch(f"{layer.name} hx", axis="state", expected=f"({', '.join(layer.states)})", came=came)
    for (name, size), value in zip(layer.states.items(), states, strict=True):
        axes = {"layers × directions": layer.rows, "batch": given.batch, "hidden": size}
        if given.form == "unbatched":
            del axes["batch"]
        what = f"{layer.name} hx, state {name}"
        if value.ndim != len(axes):
            raise Mismatch(what, axis="number of axes", expected=f"{len(axes)} ({', '.join(axes)})", came=value.ndim)
        for (axis, expected), came in zip(axes.items(), value.shape, strict=True):
            if came != expected:
                raise Mismatch(what, axis=axis, expected=expected, came=came)
        _check_place(layer, what, value)


def zeros(layer: Layer, given: Given) -> dict[str, Tensor]:
    """The state that a sequence starts from where none is given: name → `[rows, batch, size]`."""
    return {name: given.data.new_zeros(layer.rows, given.batch, size) for name, size in layer.states.items()}


def packed(given: Given) -> Any:
    """What torch's own kernel takes for this input. It knows no length of 0: such a sequence goes with one step."""
    if not isinstance(given.source, Sequences):
        return given.source
    data, lengths = given.source.data, given.source.lengths
    none = (lengths == 0).to(data.device)[:, None, None]
    return pack_padded_sequence(data.masked_fill(none, 0), lengths.clamp(min=1), batch_first=True, enforce_sorted=False)


def unpacked(
    given: Given, output: PackedSequence, finals: list[Tensor], start: list[Tensor]
) -> tuple[Any, list[Tensor]]:
    """Output and final states of torch's kernel for `Sequences`, where a length of 0 changes no state."""
    assert isinstance(given.source, Sequences)
    data, _ = pad_packed_sequence(output, batch_first=True, total_length=given.source.time)
    some = (given.source.lengths > 0).to(data.device)
    data = torch.where(some[:, None, None], data, 0.0)
    finals = [torch.where(some[:, None], final, first) for final, first in zip(finals, start, strict=True)]
    return Sequences(data, given.source.lengths), finals
