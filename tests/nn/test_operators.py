"""Layers under torch.compile and torch.export: one operator each, in one graph, with the same numbers."""

from __future__ import annotations

import inspect
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

import remanence.nn as ours
from remanence.cells import CELLS
from remanence.compiler.reading import Reading
from remanence.nn import fused, operators
from remanence.nn import graphs as graphs_of_torch
from remanence.nn.weights import CellWeights
from remanence.sequences import Sequences

# torch warns of its own parts while it compiles.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _afresh() -> None:
    import torch._dynamo as dynamo

    dynamo.reset()


class Around(nn.Module):
    """Layers of ours between others."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.before, self.layers = nn.Linear(3, 3), nn.ModuleList(layers)
        self.double()

    def forward(self, inputs: Tensor) -> Tensor:
        flow, total = self.before(inputs).relu(), inputs.sum()
        for layer in self.layers:
            flow, last = layer(flow)
            total = total + sum(part.sin().sum() for part in (last if isinstance(last, tuple) else (last,)))
        return total + flow.square().sum()


def numbers(whole: nn.Module, run: Any, inputs: Tensor) -> list[Tensor]:
    whole.zero_grad()
    loss = run(inputs)
    loss.backward()
    return [loss.detach(), *(parameter.grad for parameter in whole.parameters() if parameter.grad is not None)]


def graphs(run: Any, inputs: Any) -> tuple[int, int]:
    """Breaks, and operators of ours."""
    import torch._dynamo as dynamo

    found = dynamo.explain(run)(inputs)
    targets = [str(node.target) for graph in found.graphs for node in graph.graph.nodes]
    return found.graph_break_count, sum("remanence.layer" in target for target in targets)


def test_compiled_model_gives_the_same_in_one_graph() -> None:
    whole = Around(ours.GRU(3, 5, bidirectional=True), ours.LSTM(10, 4), ours.LSTM(4, 4, proj_size=2))
    compiled = torch.compile(whole, fullgraph=True, backend="aot_eager", dynamic=True)
    for time, batch in ((9, 2), (12, 3)):
        inputs = torch.randn(time, batch, 3, dtype=torch.float64)
        expected = numbers(whole, whole, inputs)
        torch.testing.assert_close(numbers(whole, compiled, inputs), expected)
    assert graphs(whole, inputs) == (0, 4)


def test_any_cell_is_one_operator() -> None:
    torch.manual_seed(0)
    layer = ours.Recurrent("lstm-cifg", 3, 5).double()
    inputs = torch.randn(2, 9, 3, dtype=torch.float64)
    assert graphs(lambda data: layer(data).output, inputs) == (0, 1)


def test_lengths_stay_in_the_graph() -> None:
    layer = ours.GRU(3, 5).double()
    data, lengths = torch.randn(3, 9, 3, dtype=torch.float64), torch.tensor([4, 9, 0])

    def run(data: Tensor) -> Tensor:
        return layer(Sequences(data, lengths))[0].data

    assert graphs(run, data) == (0, 1)
    torch.testing.assert_close(torch.compile(run, fullgraph=True, backend="aot_eager")(data), run(data))


@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
def test_inductor_takes_the_operator() -> None:
    whole = Around(ours.RNN(3, 5, nonlinearity="relu"))
    inputs = torch.randn(9, 2, 3, dtype=torch.float64)
    compiled = torch.compile(whole, fullgraph=True)
    torch.testing.assert_close(numbers(whole, compiled, inputs), numbers(whole, whole, inputs))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("make", [ours.LSTM, ours.GRU, ours.RNN])
def test_layers_of_all_kinds_are_in_one_graph(make: Any, backend: str) -> None:
    whole = Around(make(3, 5, num_layers=2), make(5, 4))
    compiled = torch.compile(whole, fullgraph=True, backend=backend)
    inputs = torch.randn(9, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(numbers(whole, compiled, inputs), numbers(whole, whole, inputs))
    with torch.no_grad():
        torch.testing.assert_close(compiled(inputs), whole(inputs))
        assert graphs(whole, inputs) == (0, 3)


def test_layers_that_torch_computes_stay_out_of_graphs() -> None:
    """As they do without ours beside them: taken apart step by step, they would take minutes to compile."""
    from torch._dynamo.exc import Unsupported

    inputs = torch.randn(9, 2, 3, dtype=torch.float64)
    for theirs, data in ((nn.GRU(3, 5).double(), inputs), (ours.GRU(3, 5).bfloat16(), inputs.bfloat16())):
        with pytest.raises(Unsupported, match="GRU"):
            torch.compile(lambda data, layer=theirs: layer(data)[0], fullgraph=True, backend="eager")(data)
    whole = Around(ours.GRU(3, 5), nn.GRU(5, 4))
    compiled = torch.compile(whole, backend="eager")
    torch.testing.assert_close(numbers(whole, compiled, inputs), numbers(whole, whole, inputs))


def test_where_torch_knows_no_switch_the_layer_runs_between_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.exc import Unsupported
    from torch._dynamo.variables.builder import VariableBuilder

    monkeypatch.setattr(VariableBuilder, "wrap_module", inspect.unwrap(VariableBuilder.wrap_module))
    whole = Around(ours.GRU(3, 5))
    inputs = torch.randn(9, 2, 3, dtype=torch.float64)
    with pytest.raises(Unsupported, match="GRU"):
        torch.compile(whole, fullgraph=True, backend="eager")(inputs)
    compiled = torch.compile(whole, backend="eager")
    torch.testing.assert_close(numbers(whole, compiled, inputs), numbers(whole, whole, inputs))
    monkeypatch.delattr(VariableBuilder, "wrap_module")
    before = dict(vars(VariableBuilder))
    graphs_of_torch.let_in(ours.GRU)
    assert dict(vars(VariableBuilder)) == before


def test_the_compiler_is_noticed_when_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "like_torchs_compiler.py").write_text("LOADED = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(graphs_of_torch, "_COMPILER", "like_torchs_compiler")
    opened: list[tuple[type[nn.Module], bool]] = []

    def note(kind: type[nn.Module]) -> None:
        opened.append((kind, hasattr(sys.modules["like_torchs_compiler"], "LOADED")))

    monkeypatch.setattr(graphs_of_torch, "_open", note)
    finders = list(sys.meta_path)
    graphs_of_torch.let_in(ours.GRU)
    import_module("json")
    assert opened == []
    import_module("like_torchs_compiler")
    assert opened == [(ours.GRU, True)] and sys.meta_path == finders


def test_exported_layer_needs_torch_alone() -> None:
    layer, inputs = ours.GRU(3, 5), torch.randn(9, 2, 3)
    exported = torch.export.export(layer, (inputs,))
    assert not any("remanence" in str(node.target) for node in exported.graph.nodes)
    torch.testing.assert_close(exported.module()(inputs)[0], layer(inputs)[0])


def operands(name: str, lengths: Tensor | None) -> tuple[Any, ...]:
    cell, sizes = CELLS[name], {"input": 2, "hidden": 3}
    torch.manual_seed(0)
    weights = {key: value.detach().double() for key, value in CellWeights(cell, sizes).tensors().items()}
    inputs = torch.randn(9, 2, 2, dtype=torch.float64)
    state = {key: torch.randn(2, 3, dtype=torch.float64) for key in cell.state}
    for tensor in (inputs, *weights.values(), *state.values()):
        tensor.requires_grad_()
    return cell, weights, inputs, state, Reading(lengths, backwards=lengths is not None)


@pytest.mark.parametrize("name", ["gru", "lstm-layernorm"])
@pytest.mark.parametrize("lengths", [None, [4, 9]])
def test_operator_is_what_the_eager_call_is(name: str, lengths: list[int] | None) -> None:
    found = []
    for run in (fused.run, operators.run):
        cell, weights, inputs, state, reading = operands(name, None if lengths is None else torch.tensor(lengths))
        done = run(cell, weights, inputs, state, reading)
        (done.output.square().sum() + sum(last.sin().sum() for last in done.state.values())).backward()
        leaves = [inputs, *weights.values(), *state.values()]
        found.append([done.output.detach(), *done.state.values(), *(leaf.grad for leaf in leaves)])
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)


def test_operator_keeps_what_it_promises_to_torch() -> None:
    cell, weights, inputs, state, _ = operands("gru", None)
    tensors = [inputs, *weights.values(), *state.values()]
    # What backward reads has room between its numbers, of arbitrary content: compared as far as it is shown.
    shapes = ("test_schema", "test_autograd_registration", "test_faketensor")
    for lengths in (None, torch.tensor([4, 9])):
        for train, which in ((True, shapes), (False, (*shapes, "test_aot_dispatch_dynamic"))):
            read = tensors if train else [tensor.detach() for tensor in tensors]
            operands_ = (read, lengths, cell.name, "", False, train)
            torch.library.opcheck(torch.ops.remanence.layer.default, operands_, test_utils=which)


def test_operator_is_differentiated_twice() -> None:
    cell, weights, inputs, state, reading = operands("gru", None)
    names = list(weights)

    def run(data: Tensor, h: Tensor, *parts: Tensor) -> tuple[Tensor, Tensor]:
        done = operators.run(cell, dict(zip(names, parts, strict=True)), data, {"h": h}, reading)
        return done.output, done.state["h"]

    leaves = (inputs, state["h"], *weights.values())
    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, leaves, fast_mode=True)


def test_fake_tensors_learn_the_shapes() -> None:
    with FakeTensorMode() as mode:
        layer = ours.LSTM(3, 5, proj_size=2, bidirectional=True)
        output, (h, c) = layer(torch.empty(9, 4, 3))
    assert mode is not None and (output.shape, h.shape, c.shape) == ((9, 4, 4), (2, 4, 2), (2, 4, 5))
