"""Any cell as a layer: stacked, in one direction or both, over sequences of unequal length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from remanence.cells import Cell, describe
from remanence.cells import cell as find_cell
from remanence.compiler import emit_torch
from remanence.compiler.emit_torch import Run
from remanence.compiler.ir import SCALAR
from remanence.compiler.reading import Reading
from remanence.compiler.schedule import schedule
from remanence.nn import fused, quick, twin
from remanence.nn.checkpoint import run_in_chunks
from remanence.nn.dropout import drop, keep_units
from remanence.nn.masks import draw, masked_cells
from remanence.nn.options import RecurrentOptions, check_layer, sizes_of, widths_of
from remanence.nn.readings import LayerReading, StackCall
from remanence.nn.segments import cut
from remanence.nn.shapes import check_finite, check_inputs, check_named, check_resets, quantities_of
from remanence.nn.turn import reversal, turn
from remanence.nn.weights import CellWeights
from remanence.sequences import Sequences

__all__ = ["Recurrent", "RecurrentOptions", "RecurrentOutput"]

Named = Mapping[str, Tensor]


class RecurrentOutput(NamedTuple):
    """What a recurrent layer gives.

    Args:
        output: `[batch, time, directions * size]`; zero beyond a sequence's length. A `PackedSequence` where one came.
        state: state name → `[layers * directions, batch, size]`, after each sequence's last valid step (in the reverse
            direction: after its first). Where layers differ in width, `size` is the widest, with zeros beyond a
            narrower one's.
        trace: "layer0.forward.f" → `[batch, time, size]`; zero beyond a sequence's length. It may share memory with
            `output`: clone it before you change it in place.
    """

    output: Tensor
    state: dict[str, Tensor]
    trace: dict[str, Tensor]


_WHOLE = Reading()


class Recurrent(nn.Module):
    """A recurrent layer made of a cell's equations.

    Args:
        cell: a cell, or its name in `cells.CELLS`.
        input_size: features of one step.
        hidden_size: units of the recurrent state, or one number for each layer, from below.
        layers: how many, one upon another.
        bidirectional: also read each sequence from its own end; outputs are joined along the last axis.
        dropout: probability of dropping an output between layers, in training.
        options: initialisation, path, masks, what joins the layers.

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
        hidden_size: int | Sequence[int],
        *,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        options: RecurrentOptions | None = None,
    ) -> None:
        super().__init__()
        self.cell = find_cell(cell) if isinstance(cell, str) else cell
        self.options = options or RecurrentOptions()
        widths = widths_of(hidden_size, layers)
        self.input_size, self.hidden_size, self.layers = input_size, widths[-1], len(widths)
        self.bidirectional, self.dropout = bidirectional, dropout
        self.directions = ("forward", "reverse") if bidirectional else ("forward",)
        check_layer(self.cell, input_size, widths, dropout, self.options)
        self.masked = masked_cells(self.cell, self.options)
        self.plan = schedule(self.masked.evaluation.step)
        self.training_plan = schedule(self.masked.training.step)
        self.layer_sizes = sizes_of(self.cell, input_size, widths, len(self.directions), self.options)
        self.sizes = {name: size for name, size in self.layer_sizes[-1].items() if name != "input"}
        self.unit_size = self.sizes[self.cell.step.sizes[self.cell.output]]
        self.output_size = len(self.directions) * self.unit_size
        self._make()

    def _make(self) -> None:
        """The weights: of cells first, then learnt states and norms."""
        for layer, sizes in enumerate(self.layer_sizes):
            for direction in self.directions:
                self.add_module(f"layer{layer}_{direction}", CellWeights(self.cell, sizes, self.options.start))
        for layer, sizes in enumerate(self.layer_sizes):
            for direction in self.directions if self.options.learn_start else ():
                starts = {
                    name: nn.Parameter(torch.zeros(sizes[self.cell.step.sizes[name]])) for name in self.cell.state
                }
                self.add_module(f"start{layer}_{direction}", nn.ParameterDict(starts))
            if self.options.layer_norm and layer:
                read = sizes["input"] - (self.input_size if self.options.skip else 0)
                self.add_module(f"norm{layer}", nn.LayerNorm(read))

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
        inputs: Tensor | Sequences | PackedSequence,
        state: dict[str, Tensor] | None = None,
        *,
        given: Mapping[str, Tensor] | None = None,
        resets: Tensor | None = None,
        trace: tuple[str, ...] = (),
    ) -> RecurrentOutput:
        """Read sequences.

        Args:
            inputs: `[batch, time, feature]`, or `Sequences` of such data with lengths, or a packed sequence.
            state: state name → `[layers * directions, batch, size]` to start from; where None, zeros or what is learnt.
            given: name → `[batch, time, size]`, for cells that read more than x at each step; every layer and direction
                reads it at the step where it stands.
            resets: bool `[batch, time]`, true where a new sequence begins: nothing before that step reaches it or a
                later one, nor, in the reverse direction, the other way round. The state is then the layer's own (zeros,
                or learnt), not `state`; so a stream may be cut anywhere.
            trace: quantities of the equations to return; `("*",)` means all.

        Raises:
            ShapeError: the axis, what was expected, what came.
            SettingError: an unknown quantity in `trace`.
        """
        quantities = quantities_of(self.cell, trace)
        if state is None and given is None and resets is None and (done := self._quick(inputs, quantities)):
            return done
        data, lengths = _read(inputs)
        what = f"Recurrent({self.cell.name})"
        weight = next(self.parameters(), None)
        check_inputs(f"{what} input", data, self.input_size, weight)
        if self.options.path == "cpu-fused" and weight is not None:
            fused.check_weight(what, weight)
        batch, time = data.shape[:2]
        sizes = {SCALAR: 1, **self.layer_sizes[0]}
        outside = given or {}
        axes = {n: {"batch": batch, "time": time, size: sizes[size]} for n, size in self.cell.step.given.items()}
        check_named(f"{what} given", outside, axes, data)
        if state is None:
            # The compiled way begins with zeros by itself.
            state = self._own_start(data) if resets is not None or self.options.learn_start else {}
        else:
            axes = {"layers * directions": len(self.directions) * self.layers, "batch": batch}
            known = {name: {**axes, "hidden": size} for name, size in self._widest().items()}
            check_named(f"{what} state", state, known, data, "is it another cell's?")
        call = StackCall(data, lengths, state, dict(outside), quantities)
        if resets is not None:
            check_resets(f"{what} resets", resets, data)
            resets = resets.to(data.device)
        done = self._stack(call) if resets is None or not resets.any() else self._in_parts(call, resets)
        if isinstance(inputs, PackedSequence):
            assert lengths is not None
            packed = pack_padded_sequence(done.output, lengths, batch_first=True, enforce_sorted=False)
            return done._replace(output=cast(Tensor, packed))
        return done

    def _quick(
        self, inputs: Tensor | Sequences | PackedSequence, quantities: tuple[str, ...]
    ) -> RecurrentOutput | None:
        """The short way of one layer in one direction, which nothing but its cell shapes."""
        options, cell = self.options, self.running
        if not isinstance(inputs, Tensor) or self.layers * len(self.directions) > 1 or options.learn_start:
            return None
        if options.checkpoint or options.path not in ("auto", "cpu-fused"):
            return None
        if self.training and (self.masked.masks or options.variational_input_dropout):
            return None
        weights = cast(CellWeights, self._modules["layer0_forward"])()
        reading = Reading(trace=quantities) if quantities else _WHOLE
        flow = inputs.transpose(0, 1) if inputs.ndim == 3 else inputs
        done = quick.run_cell(cell, weights, flow, self.input_size, reading)
        if done is None:
            return None
        check_finite(f"Recurrent({self.cell.name}) weight", self, done.state[cell.output])
        traces = {f"layer0.forward.{name}": values.transpose(0, 1) for name, values in done.trace.items()}
        return RecurrentOutput(done.output.transpose(0, 1), {n: v[None] for n, v in done.state.items()}, traces)

    def _in_parts(self, call: StackCall, resets: Tensor) -> RecurrentOutput:
        """Run the stack over the parts that resets make of sequences."""
        parts = cut(resets, call.lengths)
        kept = ~resets[:, 0] if call.lengths is None else ~resets[:, 0] | (call.lengths.to(resets.device) == 0)
        # A part that goes on from the given state: the first one of each sequence, read backwards the last.
        goes_on, ends = [], []
        for direction in self.directions:
            before, after = (parts.first, parts.last) if direction == "forward" else (parts.last, parts.first)
            mine = torch.zeros_like(parts.row, dtype=torch.bool)
            mine[before] = kept if direction == "forward" else True
            goes_on.append(mine)
            ends.append(after)
        goes_on, ends = (torch.stack(rows).repeat(self.layers, 1)[..., None] for rows in (goes_on, ends))
        own = self._own_start(call.data[parts.row, :0])
        start = {name: torch.where(goes_on, call.state[name][:, parts.row], own[name]) for name in own}
        done = []
        for group in parts.groups:
            given = {name: parts.take(value, group) for name, value in call.given.items()}
            state, lengths = {name: value[:, group] for name, value in start.items()}, parts.length[group].cpu()
            part = StackCall(parts.take(call.data, group), lengths, state, given, call.quantities)
            done.append(self._stack(part))
        order = torch.cat(parts.groups).argsort()
        finals = {name: torch.cat([one.state[name] for one in done], 1)[:, order] for name in own}
        state = {name: values.gather(1, ends.expand(-1, -1, values.shape[-1])) for name, values in finals.items()}
        trace = {name: parts.put_back([one.trace[name] for one in done]) for name in done[0].trace}
        return RecurrentOutput(parts.put_back([one.output for one in done]), state, trace)

    def _stack(self, call: StackCall) -> RecurrentOutput:
        """Run all layers."""
        lengths = call.lengths
        # A graph cannot ask for the value of a number.
        if (
            lengths is not None
            and not torch.compiler.is_compiling()
            and (lengths.numel() == 0 or int(lengths.min()) == call.data.shape[1])
        ):
            lengths = None
        path, _ = self._choose(call.quantities, call.data)
        outside = {name: value.transpose(0, 1) for name, value in call.given.items()}
        finals: dict[str, list[Tensor]] = {name: [] for name in self.cell.state}
        traced: dict[str, Tensor] = {}
        first = flow = call.data.transpose(0, 1)
        widest = self._widest()
        for layer, sizes in enumerate(self.layer_sizes):
            below, flow = flow, self._joined(layer, flow, first)
            outputs = []
            for direction in self.directions:
                index = len(finals[self.cell.output])
                initial = {n: v[index][..., : sizes[self.cell.step.sizes[n]]] for n, v in call.state.items()}
                read = LayerReading(flow, initial, lengths, call.quantities, outside, sizes)
                done = self._run(f"layer{layer}_{direction}", read, path)
                outputs.append(done.output)
                for name in self.cell.state:
                    finals[name].append(_widened(done.state[name], widest[name]))
                for name, values in done.trace.items():
                    traced[f"layer{layer}.{direction}.{name}"] = values.transpose(0, 1)
            flow = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
            if self.options.residual and layer:
                flow = flow + below
        stacked = {name: torch.stack(values) for name, values in finals.items()}
        if not twin.transformed():
            check_finite(f"Recurrent({self.cell.name}) weight", self, finals[self.cell.output][-1])
        return RecurrentOutput(flow.transpose(0, 1), stacked, traced)

    def _joined(self, layer: int, flow: Tensor, first: Tensor) -> Tensor:
        """What a layer reads of the one below."""
        if not layer:
            return flow
        if self.options.layer_norm:
            flow = getattr(self, f"norm{layer}")(flow)
        if self.dropout and self.training:
            flow = drop(self.dropout, flow)
        return torch.cat([flow, first], dim=-1) if self.options.skip else flow

    def describe(self) -> str:
        """The cell's equations and shapes, what the options add, and the way that this layer runs."""
        count = sum(parameter.numel() for parameter in self.parameters())
        head = describe(self.cell, **self.layer_sizes[0])
        ways = " and ".join(self.directions)
        widths = ", ".join(str(sizes["hidden"]) for sizes in self.layer_sizes)
        asked = [
            name.replace("_", " ") if value is True else f"{name.replace('_', ' ')} {value}"
            for name, value in vars(self.options).items()
            if name not in ("path", "proj_size", "forget_bias", "recurrent_init", "chrono")
            and value not in (0.0, False, None)
        ]
        lines = [head, *([f"options     {'; '.join(asked)}"] if asked else [])]
        lines.append(f"{self.layers} layer(s) of {widths} units, {ways}, {count} parameters")
        return "\n".join([*lines, f"path {self.path}: {self.path_reason}"])

    def extra_repr(self) -> str:
        return f"{self.cell.name}, {self.input_size}, {self.hidden_size}, layers={self.layers}, path={self.path}"

    @property
    def running(self) -> Cell:
        """The cell as it runs now: under masks in training, with zoneout's expectation in evaluation; clipped."""
        return self.masked.training if self.training else self.masked.evaluation

    def _choose(self, quantities: tuple[str, ...], data: Tensor | None = None) -> tuple[str, str]:
        cell, asked = self.running, self.options.path == "cpu-fused"
        if self.options.path == "eager":
            return "eager", "asked for by options.path"
        weight, clipped = next(self.parameters(), None), cell.clip is not None and torch.is_grad_enabled()
        # Torch's kernels tell nothing of a step, and clip no gradient of a state.
        other = not (asked or quantities or clipped or cell.torch_twin is None)
        if other and self.options.path == "torch":
            return twin.choose(cell, weight, data)
        chosen = fused.choose(cell, weight, data, quantities, asked=asked)
        return twin.choose(cell, weight, data) if other and chosen[0] != "cpu-fused" else chosen

    def _run(self, name: str, read: LayerReading, path: str) -> Run:
        cell, weights, flow, given = self.running, getattr(self, name)(), read.flow, read.given
        if self.training:
            given = {**given, **draw(self.masked.masks, read.sizes, flow)}
            if rate := self.options.variational_input_dropout:
                flow = flow * keep_units(rate, (1, *flow.shape[1:]), flow)
        chunk = self.options.checkpoint if torch.is_grad_enabled() and not read.quantities else None
        if twin.transformed() or torch.compiler.is_compiling() or (chunk and len(flow) <= chunk):
            chunk = None
        backwards, initial = name.endswith("reverse"), read.initial
        if not initial:
            if path == "cpu-fused" and not given and not chunk:
                reading = Reading(read.lengths, backwards, trace=read.quantities)
                done = quick.run_cell(cell, weights, flow, read.sizes["input"], reading)
                if done is not None:
                    return done
            initial = {n: flow.new_zeros(flow.shape[1], read.sizes[self.cell.step.sizes[n]]) for n in self.cell.state}
        # A compiled loop reads from either end; what reads from one end alone is given the sequence turned.
        back = reversal(read.lengths, flow) if backwards and (chunk or path != "cpu-fused") else None
        if back is not None:
            flow = turn(flow, back)
            given = {name: turn(value, back) for name, value in given.items()}

        def loop(flow: Tensor, weights: Named, state: Named, lengths: Tensor | None, given: Named) -> Run:
            if path == "torch":
                return twin.run(cell, weights, flow, state, lengths)
            if path == "cpu-fused":
                reading = Reading(lengths, backwards and back is None, given, read.quantities)
                return fused.run(cell, weights, flow, state, reading)
            plan = self.training_plan if self.training else self.plan
            return emit_torch.run(plan, weights, flow, state, lengths=lengths, trace=read.quantities, given=given)

        if chunk:
            done = run_in_chunks(loop, chunk, flow, (weights, initial, given), read.lengths)
        else:
            done = loop(flow, weights, initial, read.lengths, given)
        if back is None:
            return done
        turned = {name: turn(values, back) for name, values in done.trace.items()}
        return Run(turn(done.output, back), done.state, turned)

    def _widest(self) -> dict[str, int]:
        """State → its largest size over layers."""
        return {name: max(s[self.cell.step.sizes[name]] for s in self.layer_sizes) for name in self.cell.state}

    def _own_start(self, data: Tensor) -> dict[str, Tensor]:
        """The states before a sequence that begins here: `[layers * directions, batch, size]`."""
        rows, batch = self.layers * len(self.directions), data.shape[0]
        if not self.options.learn_start:
            return {name: data.new_zeros(rows, batch, size) for name, size in self._widest().items()}
        held = [getattr(self, f"start{n}_{way}") for n in range(self.layers) for way in self.directions]
        started = {}
        for name, size in self._widest().items():
            vectors = [_widened(one[name], size) for one in held]
            started[name] = torch.stack(vectors)[:, None].expand(rows, batch, size).to(data.dtype)
        return started


def _widened(values: Tensor, size: int) -> Tensor:
    """The last axis filled up with zeros."""
    short = size - values.shape[-1]
    return functional.pad(values, (0, short)) if short else values


def _read(inputs: Tensor | Sequences | PackedSequence) -> tuple[Tensor, Tensor | None]:
    """`[batch, time, feature]` and lengths."""
    if isinstance(inputs, Sequences):
        return inputs.data, inputs.lengths
    if isinstance(inputs, PackedSequence):
        return pad_packed_sequence(inputs, batch_first=True)
    return inputs, None
