"""`RNN`, `LSTM` and `GRU`: torch.nn's layers, run by our kernels where these are faster.

Each is a subclass of its namesake. Constructor, attributes, `state_dict`, weights from a seed, pickling and `repr`
are torch's own code; only `forward` differs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from remanence.compiler.reading import Reading
from remanence.nn import given as forms
from remanence.nn import graphs, quick
from remanence.nn.given import Given, Layer
from remanence.nn.namesake import Namesake
from remanence.nn.route import route
from remanence.nn.stacks import CELL_OF, run_stacked, stacked
from remanence.sequences import Sequences

__all__ = ["GRU", "LSTM", "RNN"]


class _Layer(Namesake, nn.RNNBase):
    """What the three have in common."""

    @property
    def kind(self) -> str:
        """Of the cell: torch's `mode`, LSTMP where there is a projection."""
        return "LSTMP" if self.proj_size else self.mode

    @property
    def path(self) -> str:
        """The way that a usual call takes: "cpu-fused", "torch", "cudnn" or "eager"."""
        return route(self.kind, self._first())[0]

    @property
    def path_reason(self) -> str:
        """Why that way."""
        return route(self.kind, self._first())[1]

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Read sequences, as torch's layer of this name does.

        Args:
            input: a tensor of three axes, or of two without a batch; a `PackedSequence`; or `Sequences`, whose output
                is `Sequences` again, with zeros beyond the lengths.
            hx: the state to start from, `[layers × directions, batch, size]`; a pair (h, c) for the LSTM.

        Raises:
            ShapeError: the axis, what was expected, what came; a RuntimeError and a ValueError, too.
        """
        if hx is None and (done := quick.run(self.kind, self, input)) is not None:
            output, last = self._own(done[0]), [values.unsqueeze(0) for values in done[1:]]
            return output.transpose(0, 1) if self.batch_first else output, tuple(last) if len(last) > 1 else last[0]
        if torch._C._get_tracing_state() is not None and not isinstance(input, Sequences):
            # A tracer would record our checks among the operations.
            return super().forward(input, hx)
        layer = self._layer()
        given = forms.read(layer, input)
        if hx is not None:
            forms.check_state(layer, given, hx)
        ragged = given.lengths is not None
        if ragged and route(self.kind, layer.weight)[0] in ("torch", "cudnn"):
            # Before the input is padded, which these do not need.
            return self._by_torch(layer, given, hx)
        flow = given.flow()
        path, _ = route(self.kind, layer.weight, flow)
        if path in ("torch", "cudnn"):
            return self._by_torch(layer, given, hx)
        if hx is None:
            start = forms.zeros(layer, given)
        else:
            states = hx if len(layer.states) > 1 else (hx,)
            start = dict(zip(layer.states, map(given.inner, states), strict=True))
        output, finals = self._run(given, flow, start, path)
        last = [given.outer(_stacked(values)) for values in finals.values()]
        return given.answer(output), tuple(last) if len(layer.states) > 1 else last[0]

    def _first(self) -> Tensor:
        weight = self.weight_ih_l0
        assert isinstance(weight, Tensor)
        return weight

    def _layer(self) -> Layer:
        cell, sizes = CELL_OF[self.kind], {"hidden": self.hidden_size, "proj": self.proj_size}
        states = {name: sizes[cell.step.sizes[name]] for name in cell.state}
        rows = self.num_layers * (2 if self.bidirectional else 1)
        name = type(self).__name__
        return Layer(name, self.input_size, states, rows, self.batch_first, self._first())

    def _run(
        self, given: Given, flow: Tensor, start: dict[str, Tensor], path: str
    ) -> tuple[Tensor, dict[str, list[Tensor]]]:
        """All layers and directions: output `[time, batch, size]`, and the final states by name."""
        finals: dict[str, list[Tensor]] = {name: [] for name in start}
        ways = ("", "_reverse") if self.bidirectional else ("",)
        for layer in range(self.num_layers):
            outputs = []
            for way, suffix in enumerate(ways):
                row = layer * len(ways) + way
                stacks = stacked(self.kind, self._weights(f"_l{layer}{suffix}"))
                initial = {name: values[row] for name, values in start.items()}
                reading = Reading(given.lengths, backwards=bool(suffix))
                done = run_stacked(CELL_OF[self.kind], stacks, flow, initial, reading, path=path)
                outputs.append(done.output)
                for name, value in done.state.items():
                    finals[name].append(value)
            flow = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
            if self.dropout and self.training and layer + 1 < self.num_layers:
                flow = self._dropped(given, flow)
        if given.form == "packed" and given.lengths is not None:
            return flow, finals
        return self._own(flow), finals

    def _own(self, flow: Tensor) -> Tensor:
        """The output as programs for torch take it.

        They view it as contiguous, and change that of GRUs and RNNs in place; of a plain LSTM torch's own kernel, too,
        says at the backward pass that it may not be done: the output is among what it saved.
        """
        if self.kind != "LSTM" and flow.requires_grad:
            return flow.clone(memory_format=torch.contiguous_format)
        return flow.contiguous()

    def _weights(self, suffix: str) -> dict[str, Tensor]:
        names = ["weight_ih", "weight_hh"] + ["bias_ih", "bias_hh"] * self.bias + ["weight_hr"] * bool(self.proj_size)
        found = {name: getattr(self, name + suffix) for name in names}
        units, first = self.hidden_size, self._first()
        rows, out = {"LSTM": 4, "GRU": 3}.get(self.mode, 1) * units, self.proj_size or units
        below = self.input_size if suffix.startswith("_l0") else out * (2 if self.bidirectional else 1)
        shapes = {"weight_ih": (rows, below), "weight_hh": (rows, out), "weight_hr": (out, units)}
        # Kernels read memory by sizes: a tensor put in the place of a weight is looked at first.
        for name, value in found.items():
            if value.shape != shapes.get(name, (rows,)):
                expected = shapes.get(name, (rows,))
                raise forms.Mismatch(name + suffix, axis="shape", expected=expected, came=tuple(value.shape))
            if value.dtype != first.dtype or value.device != first.device:
                expected, came = f"{first.dtype} on {first.device}", f"{value.dtype} on {value.device}"
                raise forms.Mismatch(name + suffix, axis="dtype, device", expected=expected, came=came)
        return found

    def _dropped(self, given: Given, flow: Tensor) -> Tensor:
        """With dropout, drawn in torch's order: of a packed input for its valid steps alone."""
        if given.form != "packed" or given.lengths is None:
            return functional.dropout(flow, self.dropout, True)
        assert isinstance(given.source, PackedSequence)
        data = functional.dropout(given.pack(flow), self.dropout, True)
        return nn.utils.rnn.pad_packed_sequence(PackedSequence(data, given.source.batch_sizes))[0]

    def _by_torch(self, layer: Layer, given: Given, hx: Any) -> Any:
        if not isinstance(given.source, Sequences):
            return super().forward(given.source, hx)
        if given.lengths is None:
            output, last = super().forward(given.source.data if self.batch_first else given.flow(), hx)
            return Sequences(output if self.batch_first else output.transpose(0, 1), given.source.lengths), last
        output, last = super().forward(forms.packed(given), hx)
        start = hx if hx is not None else tuple(forms.zeros(layer, given).values())
        pair = isinstance(last, tuple)
        answer, finals = forms.unpacked(
            given, output, list(last) if pair else [last], list(start) if isinstance(start, tuple | list) else [start]
        )
        return answer, tuple(finals) if pair else finals[0]


def _stacked(values: list[Tensor]) -> Tensor:
    return values[0].unsqueeze(0) if len(values) == 1 else torch.stack(values)


class RNN(_Layer, nn.RNN):
    """torch.nn.RNN by our kernels: see its documentation for arguments and shapes, and this package's `docs/nn.md`.

    Example:
        >>> layer = RNN(3, 5, nonlinearity="relu")
        >>> output, h = layer(torch.zeros(7, 2, 3))
        >>> output.shape, h.shape, isinstance(layer, nn.RNN)
        (torch.Size([7, 2, 5]), torch.Size([1, 2, 5]), True)
    """


class LSTM(_Layer, nn.LSTM):
    """torch.nn.LSTM by our kernels: see its documentation for arguments and shapes, and this package's `docs/nn.md`.

    Example:
        >>> layer = LSTM(3, 5, num_layers=2, bidirectional=True, proj_size=2)
        >>> output, (h, c) = layer(torch.zeros(9, 2, 3))
        >>> output.shape, h.shape, c.shape
        (torch.Size([9, 2, 4]), torch.Size([4, 2, 2]), torch.Size([4, 2, 5]))
    """


class GRU(_Layer, nn.GRU):
    """torch.nn.GRU by our kernels: see its documentation for arguments and shapes, and this package's `docs/nn.md`.

    Example:
        >>> lengths = torch.tensor([7, 0])
        >>> output, h = GRU(3, 5)(Sequences(torch.ones(2, 7, 3), lengths))
        >>> output.data.shape, h[0, 1].tolist()
        (torch.Size([2, 7, 5]), [0.0, 0.0, 0.0, 0.0, 0.0])
    """


graphs.let_in(_Layer)
