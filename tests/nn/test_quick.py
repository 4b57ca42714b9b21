"""The short way of drop-ins: the same numbers as torch's, weights as they are now, memory of its own for each call."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from remanence import nn
from remanence.cells import CELLS, Cell
from remanence.compiler import short
from remanence.errors import ShapeError
from remanence.nn import quick
from remanence.nn.recurrent import Recurrent, RecurrentOptions
from remanence.sequences import Sequences

LAYERS = {
    "LSTM": (nn.LSTM, torch.nn.LSTM, {}),
    "LSTMP": (nn.LSTM, torch.nn.LSTM, {"proj_size": 3}),
    "GRU": (nn.GRU, torch.nn.GRU, {}),
    "RNN": (nn.RNN, torch.nn.RNN, {}),
    "RNN-relu": (nn.RNN, torch.nn.RNN, {"nonlinearity": "relu"}),
    "LSTM-no-bias": (nn.LSTM, torch.nn.LSTM, {"bias": False}),
}
# What torch says of its own layer.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")
SHAPES = [(1, 63, 1, 5), (3, 7, 4, 33), (5, 63, 17, 64), (2, 9, 33, 130)]
"""Batch, time, features, units; the weights of the last are packed and their gradients collected by all threads."""


def _watch(monkeypatch: pytest.MonkeyPatch, name: str) -> list[bool]:
    """Whether each call of a function of `quick` found the short way."""
    found: list[bool] = []
    usual = getattr(quick, name)

    def run(*arguments: Any) -> Any:
        done = usual(*arguments)
        found.append(done is not None)
        return done

    monkeypatch.setattr(quick, name, run)
    return found


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    return _watch(monkeypatch, "run")


@pytest.fixture
def cells_taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    return _watch(monkeypatch, "run_cell")


def _pair(name: str, features: int, hidden: int, **more: Any) -> tuple[Any, Any]:
    made, torchs, options = LAYERS[name]
    torch.manual_seed(1)
    mine = made(features, hidden, **options, **more)
    theirs = torchs(features, hidden, **options, **more)
    theirs.load_state_dict(mine.state_dict())
    return mine, theirs


def _flat(done: Any) -> list[torch.Tensor]:
    output, last = done
    return [output, *(last if isinstance(last, tuple) else [last])]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_short_way_equals_torch(name: str, batch_first: bool, shape: tuple[int, ...], taken: list[bool]) -> None:
    batch, time, features, hidden = shape
    mine, theirs = _pair(name, features, hidden, batch_first=batch_first)
    data = torch.randn(*((batch, time) if batch_first else (time, batch)), features)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            for ours, expected in zip(_flat(mine(data)), _flat(theirs(data)), strict=True):
                assert ours.is_contiguous() == expected.is_contiguous()
                torch.testing.assert_close(ours, expected, rtol=2e-5, atol=2e-6)
    if not name.startswith("RNN"):
        assert all(taken) and len(taken) == 2


def _learn(layer: torch.nn.Module, data: torch.Tensor, loss: Any) -> list[torch.Tensor | None]:
    """The gradients of the input and of all weights."""
    data = data.clone().requires_grad_()
    layer.zero_grad()
    loss(*_flat(layer(data))).backward()
    return [data.grad, *(weight.grad for weight in layer.parameters())]


LOSSES = {
    "all": lambda output, *last: output.sin().sum() + sum((value**2).sum() for value in last),
    "output": lambda output, *last: (output[2:] ** 2).sum(),
    "last": lambda output, *last: (last[-1] ** 3).sum(),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_short_way_learns_like_torch(name: str, shape: tuple[int, ...], loss: str, taken: list[bool]) -> None:
    batch, time, features, hidden = shape
    mine, theirs = _pair(name, features, hidden, batch_first=True)
    data = torch.randn(batch, time, features)
    for ours, expected in zip(_learn(mine, data, LOSSES[loss]), _learn(theirs, data, LOSSES[loss]), strict=True):
        torch.testing.assert_close(ours, expected, rtol=2e-4, atol=2e-5)
    assert taken == [True]


def test_weights_that_are_frozen_have_no_gradient(taken: list[bool]) -> None:
    mine, theirs = _pair("LSTM", 4, 8)
    for layer in (mine, theirs):
        layer.weight_hh_l0.requires_grad_(False)
        layer(torch.ones(9, 3, 4))[0].sum().backward()
    assert mine.weight_hh_l0.grad is None and taken == [True]
    torch.testing.assert_close(mine.weight_ih_l0.grad, theirs.weight_ih_l0.grad, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_second_derivatives_of_the_short_way(name: str, taken: list[bool]) -> None:
    mine, theirs = _pair(name, 3, 4)
    mine, theirs = mine.double(), theirs.double()
    found = []
    for layer in (mine, theirs):
        data = torch.linspace(-1, 1, 7 * 2 * 3, dtype=torch.float64).view(7, 2, 3).requires_grad_()
        (first,) = torch.autograd.grad((layer(data)[0] ** 2).sum(), data, create_graph=True)
        found.append(torch.autograd.grad((first**2).sum(), data)[0])
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)
    assert taken == [True]


def test_output_that_backward_reads_may_not_be_changed(taken: list[bool]) -> None:
    mine, _ = _pair("LSTM", 4, 64)
    output, _ = mine(torch.ones(9, 3, 4))
    output.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()
    assert taken == [True]


def test_backward_runs_again_where_the_graph_was_kept() -> None:
    mine, _ = _pair("GRU", 4, 8)
    total = mine(torch.ones(9, 3, 4))[0].sum()
    one, other = (torch.autograd.grad(total, mine.weight_hh_l0, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(one, other)


def test_weights_are_read_at_every_call(taken: list[bool]) -> None:
    mine, theirs = _pair("LSTM", 4, 8)
    data = torch.randn(9, 3, 4)
    with torch.no_grad():
        first = mine(data)[0].clone()
        for layer in (mine, theirs):
            layer.weight_hh_l0.mul_(2)
        again = mine(data)[0]
        torch.testing.assert_close(again, theirs(data)[0], rtol=2e-5, atol=2e-6)
        assert not torch.allclose(first, again) and taken == [True, True]


def test_results_of_calls_lie_apart() -> None:
    mine, _ = _pair("LSTM", 4, 40)
    one, other = torch.randn(20, 30, 4), torch.randn(20, 30, 4)
    with torch.no_grad():
        output, (h, c) = mine(one)
        kept = [tensor.clone() for tensor in (output, h, c)]
        again, _ = mine(other)
        again.zero_()
    assert all(torch.equal(a, b) for a, b in zip((output, h, c), kept, strict=True))


def test_what_is_unlike_takes_the_usual_way(taken: list[bool]) -> None:
    mine, theirs = _pair("LSTM", 4, 8, num_layers=2)
    with torch.no_grad():
        torch.testing.assert_close(mine(torch.ones(9, 3, 4))[0], theirs(torch.ones(9, 3, 4))[0], rtol=2e-5, atol=2e-6)
        with pytest.raises(Exception, match="5"):
            _pair("LSTM", 4, 8)[0](torch.randn(9, 3, 5))
    assert not any(taken)


def _asked(layer: Recurrent, data: torch.Tensor, state: dict[str, torch.Tensor] | None) -> list[torch.Tensor | None]:
    """Output, final states, and all gradients of a loss of these."""
    data = data.clone().requires_grad_()
    layer.zero_grad()
    done = layer(data, state)
    (done.output.sin().sum() + sum((value**2).sum() for value in done.state.values())).backward()
    return [done.output, *done.state.values(), data.grad, *(weight.grad for weight in layer.parameters())]


@pytest.mark.parametrize("name", sorted(name for name, cell in CELLS.items() if not cell.step.given))
def test_short_way_of_a_cell_equals_the_usual_one(name: str, cells_taken: list[bool]) -> None:
    torch.manual_seed(0)
    layer = Recurrent(name, 3, 17, options=RecurrentOptions(path="cpu-fused"))
    data = torch.randn(5, 9, 3)
    zeros = {state: torch.zeros_like(value) for state, value in layer(data).state.items()}
    # A state that is given takes the usual way.
    for ours, expected in zip(_asked(layer, data, None), _asked(layer, data, zeros), strict=True):
        torch.testing.assert_close(ours, expected, rtol=2e-5, atol=2e-6)
    with torch.no_grad():
        torch.testing.assert_close(layer(data).output, layer(data, zeros).output, rtol=2e-5, atol=2e-6)
    assert len(cells_taken) == 3 and all(cells_taken)


@pytest.mark.parametrize("name", sorted(name for name, cell in CELLS.items() if not cell.step.given))
@pytest.mark.parametrize("trains", [True, False])
def test_traces_of_the_short_way_are_those_of_the_usual_one(
    name: str, trains: bool, cells_taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    layer = Recurrent(name, 3, 17, options=RecurrentOptions(path="cpu-fused"))
    data = torch.randn(5, 9, 3)

    def found() -> list[torch.Tensor | None]:
        layer.zero_grad()
        with torch.set_grad_enabled(trains):
            done = layer(data, trace=("*",))
        if trains:
            (done.output.sin().sum() + sum((value**2).sum() for value in done.state.values())).backward()
        assert list(done.trace) == [f"layer0.forward.{quantity}" for quantity in layer.cell.quantities]
        return [done.output, *done.state.values(), *done.trace.values(), *(w.grad for w in layer.parameters())]

    ours = found()
    monkeypatch.setattr(short, "ready", lambda *_: None)
    quick._cell_loops.cache_clear()
    for one, expected in zip(ours, found(), strict=True):
        torch.testing.assert_close(one, expected, rtol=2e-5, atol=2e-6)
    quick._cell_loops.cache_clear()
    assert cells_taken[0] and not any(cells_taken[1:])


@pytest.mark.parametrize("name", sorted(name for name, cell in CELLS.items() if not cell.step.given))
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("trains", [True, False])
def test_uneven_sequences_take_the_short_way_as_well(
    name: str, started: bool, trains: bool, cells_taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    layer = Recurrent(name, 3, 17, bidirectional=True, options=RecurrentOptions(path="cpu-fused"))
    lengths = torch.tensor([4, 9, 0, 9, 1, 7])
    data = torch.randn(6, 9, 3, requires_grad=trains)
    start = {name: value.detach() for name, value in layer(data).state.items()} if started else None
    cells_taken.clear()

    def found() -> list[torch.Tensor | None]:
        layer.zero_grad()
        data.grad = None
        given = {name: value.clone().requires_grad_(trains) for name, value in (start or {}).items()}
        known = lengths.clone()
        with torch.set_grad_enabled(trains):
            done = layer(Sequences(data, known), given or None)
        # What was read is what counts.
        known.fill_(2)
        if trains:
            (done.output.sin().sum() + sum((value**3).sum() for value in done.state.values())).backward()
        assert not done.output[2].any() and not done.output[0, 4:].any()
        learnt = [data, *given.values(), *layer.parameters()]
        return [done.output, *done.state.values(), *(tensor.grad for tensor in learnt)]

    asked: list[bool] = []
    usual = short.ready
    monkeypatch.setattr(short, "ready", lambda *known: (asked.append(known[2]), usual(*known))[1])
    quick._cell_loops.cache_clear()
    ours = found()
    assert asked == [True, True] and cells_taken == ([] if started else [True, True])
    monkeypatch.setattr(short, "ready", lambda *_: None)
    quick._cell_loops.cache_clear()
    for one, expected in zip(ours, found(), strict=True):
        torch.testing.assert_close(one, expected, rtol=2e-5, atol=2e-6)
    quick._cell_loops.cache_clear()


def test_second_derivatives_of_uneven_sequences(cells_taken: list[bool]) -> None:
    torch.manual_seed(0)
    layer = Recurrent("gru", 3, 4, bidirectional=True, options=RecurrentOptions(path="cpu-fused")).double()
    lengths, data = torch.tensor([3, 5, 0]), torch.randn(3, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: layer(Sequences(x, lengths)).output, (data,))
    assert cells_taken and all(cells_taken)


SUMS = {
    "state": "h = W @ x + U @ h",
    "biased": "h = W @ x + U @ h + b",
    "named": "s = W @ x + U @ h\nh = s",
    "product": "r = U @ h\nh = tanh(W @ x + r)",
    "second": "a = tanh(W @ x + U @ h)\nr = V @ a\nq = r + 0.5 * a\nh = tanh(q)",
}
"""Equations in which a product is added to what is in memory, and sum, product or both are named."""


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("trains", [True, False])
def test_sums_of_products_are_traced_as_they_are_named(name: str, trains: bool) -> None:
    torch.manual_seed(0)
    cell = Cell(name, ("h",), "h", SUMS[name], source="none")
    fast, slow = (Recurrent(cell, 3, 17, options=RecurrentOptions(path=path)) for path in ("cpu-fused", "eager"))
    slow.load_state_dict(fast.state_dict())
    data = torch.randn(2, 6, 3)
    for trace in (("h",), ("*",)):
        with torch.set_grad_enabled(trains):
            one, other = (layer(data, trace=trace) for layer in (fast, slow))
        torch.testing.assert_close(one.output, other.output, rtol=2e-5, atol=2e-6)
        torch.testing.assert_close(one.trace, other.trace, rtol=2e-5, atol=2e-6)


def test_gradients_come_through_traces_of_the_short_way(cells_taken: list[bool]) -> None:
    layer = Recurrent("lstm", 3, 8, options=RecurrentOptions(path="cpu-fused")).double()
    data = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    weights = tuple(layer.parameters())

    def gates(data: torch.Tensor, *_: torch.Tensor) -> tuple[torch.Tensor, ...]:
        done = layer(data, trace=("f", "c"))
        return done.output, *done.trace.values()

    assert torch.autograd.gradcheck(gates, (data, *weights)) and all(cells_taken)
    done = layer(data, trace=("f",))
    done.trace["layer0.forward.f"].detach().zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        done.output.sum().backward()


def test_a_cell_under_masks_takes_the_usual_way_in_training(cells_taken: list[bool]) -> None:
    layer = Recurrent("lstm-peephole", 3, 8, options=RecurrentOptions(zoneout={"h": 0.5}))
    data = torch.randn(2, 9, 3)
    assert not torch.equal(layer(data).output, layer(data).output)
    assert torch.equal(layer.eval()(data).output, layer(data).output)
    # In evaluation alone.
    assert cells_taken == [True, True]


def test_wrong_weights_of_a_cell_are_refused_by_name() -> None:
    for wrong in (torch.zeros(8, 7), torch.full((8, 8), float("nan"))):
        layer = Recurrent("lstm-peephole", 3, 8)
        layer.get_submodule("layer0_forward").register_parameter("U_f", torch.nn.Parameter(wrong))
        with pytest.raises(ShapeError, match="U_f"):
            layer(torch.randn(2, 9, 3))
