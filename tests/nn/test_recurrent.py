"""Laws of every recurrent layer: padding, lengths, directions, layers, states, traces, errors, seeds."""

from __future__ import annotations

import copy

import pytest
import torch
from naive import run

from remanence.cells import CELLS, Cell
from remanence.errors import SettingError, ShapeError
from remanence.nn.recurrent import Recurrent, RecurrentOptions
from remanence.sequences import Sequences

EAGER = RecurrentOptions(path="eager")
LENGTHS = torch.tensor([7, 0, 1, 4])
NAMES = ["rnn", "lstm", "gru", "lstm-peephole", "gru-before", "lstmp"]
CASES = [(name, "auto") for name in NAMES] + [(name, "eager") for name in ("rnn", "lstm", "gru")]
every_path = pytest.mark.parametrize(("name", "path"), CASES)


def _layer(name: str, path: str = "auto", **options: object) -> Recurrent:
    torch.manual_seed(1)
    return Recurrent(name, 3, 5, options=RecurrentOptions(path=path), **options).double()


def _state(layer: Recurrent, batch: int) -> dict[str, torch.Tensor]:
    rows = layer.layers * len(layer.directions)
    sizes = {name: layer.sizes[layer.cell.step.sizes[name]] for name in layer.cell.state}
    return {name: torch.rand(rows, batch, size, dtype=torch.float64) for name, size in sizes.items()}


def _close(one, other):
    torch.testing.assert_close(one.output, other.output, atol=1e-10, rtol=1e-9)
    for name in one.state:
        torch.testing.assert_close(one.state[name], other.state[name], atol=1e-10, rtol=1e-9)


@every_path
@pytest.mark.parametrize("filler", [0.0, 1e6, float("nan"), float("inf")])
def test_padding_never_changes_a_result_or_a_gradient(name: str, path: str, filler: float):
    layer = _layer(name, path, layers=2, bidirectional=True)
    data = torch.randn(4, 7, 3, dtype=torch.float64)
    start = _state(layer, 4)

    def through(pad: float, time: int):
        padded = torch.full((4, time, 3), pad, dtype=torch.float64)
        for b, length in enumerate(LENGTHS.tolist()):
            padded[b, :length] = data[b, :length]
        padded.requires_grad_()
        done = layer(Sequences(padded, LENGTHS), start)
        loss = done.output.sin().sum() + sum(value.cos().sum() for value in done.state.values())
        gradients = torch.autograd.grad(loss, [padded, *layer.parameters()])
        return done, gradients

    plain, expected = through(0.5, 7)
    filled, came = through(filler, 9)
    _close(filled._replace(output=filled.output[:, :7]), plain)
    assert not filled.output[:, 7:].any()
    torch.testing.assert_close(came[0][:, :7], expected[0], atol=1e-10, rtol=1e-9)
    assert not came[0][:, 7:].any()
    for mine, theirs in zip(came[1:], expected[1:], strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-10, rtol=1e-9)


@every_path
def test_each_sequence_alone_gives_what_the_batch_gives(name: str, path: str):
    layer = _layer(name, path, layers=2, bidirectional=True)
    data, start = torch.randn(4, 7, 3, dtype=torch.float64), _state(layer, 4)
    together = layer(Sequences(data, LENGTHS), start)
    for b, length in enumerate(LENGTHS.tolist()):
        alone = layer(data[b : b + 1, :length], {k: v[:, b : b + 1] for k, v in start.items()})
        torch.testing.assert_close(together.output[b, :length], alone.output[0], atol=1e-10, rtol=1e-9)
        assert not together.output[b, length:].any()
        for state, value in alone.state.items():
            torch.testing.assert_close(together.state[state][:, b], value[:, 0], atol=1e-10, rtol=1e-9)


@every_path
@pytest.mark.parametrize("cut", [0, 1, 3, 7])
def test_a_split_stream_gives_what_the_whole_gives(name: str, path: str, cut: int):
    layer = _layer(name, path, layers=2)
    whole = Sequences(torch.randn(4, 7, 3, dtype=torch.float64), LENGTHS)
    first = layer(whole.chunk(0, cut))
    second = layer(whole.chunk(cut, 7), first.state)
    joined = second._replace(output=torch.cat([first.output, second.output], 1))
    _close(joined, layer(whole))


@pytest.mark.parametrize("name", NAMES)
def test_stack_of_directions_matches_naive_twins(name: str):
    layer = _layer(name, layers=2, bidirectional=True)
    data, start = torch.randn(3, 5, 3, dtype=torch.float64), _state(layer, 3)
    lengths = [5, 2, 1]
    done = layer(Sequences(data, torch.tensor(lengths)), start)
    flow, index = data, 0
    for depth in range(2):
        outputs = []
        for direction in ("forward", "reverse"):
            weights = getattr(layer, f"layer{depth}_{direction}").tensors()
            read = flow if direction == "forward" else _turned(flow, lengths)
            before = {k: v[index] for k, v in start.items()}
            output, last, _ = run(name, weights, read, before, layer.cell.output, lengths)
            outputs.append(output if direction == "forward" else _turned(output, lengths))
            for state, value in last.items():
                torch.testing.assert_close(done.state[state][index], value, atol=1e-10, rtol=1e-9)
            index += 1
        flow = torch.cat(outputs, -1)
    torch.testing.assert_close(done.output, flow, atol=1e-10, rtol=1e-9)


def _turned(values: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    return torch.stack([torch.cat([v[:n].flip(0), v[n:]]) for v, n in zip(values, lengths, strict=True)])


def test_trace_of_the_reverse_direction_stands_at_the_steps_it_read():
    layer = _layer("lstm", layers=2, bidirectional=True)
    done = layer(Sequences(torch.randn(4, 7, 3, dtype=torch.float64), LENGTHS), trace=("f", "h"))
    assert set(done.trace) == {f"layer{n}.{d}.{q}" for n in (0, 1) for d in ("forward", "reverse") for q in "fh"}
    last = torch.cat([done.trace["layer1.forward.h"], done.trace["layer1.reverse.h"]], -1)
    torch.testing.assert_close(last, done.output)
    assert not done.trace["layer0.forward.f"][1].any()
    assert (done.trace["layer0.forward.f"][3, :4] > 0).all()


def test_trace_changes_no_result():
    layer = _layer("gru", layers=2, bidirectional=True)
    data = Sequences(torch.randn(4, 7, 3, dtype=torch.float64), LENGTHS)
    _close(layer(data, trace=("*",)), layer(data))


@pytest.mark.parametrize(("batch", "time"), [(0, 3), (2, 0), (0, 0)])
@every_path
def test_empty_axes_return_the_initial_state(name: str, path: str, batch: int, time: int):
    layer = _layer(name, path, bidirectional=True)
    start = _state(layer, batch)
    done = layer(torch.zeros(batch, time, 3, dtype=torch.float64), start, trace=("*",))
    assert done.output.shape == (batch, time, layer.output_size)
    if time == 0:
        assert all(torch.equal(done.state[name], start[name]) for name in start)
    assert {traced.shape[:2] for traced in done.trace.values()} == {(batch, time)}


def test_dropout_falls_between_layers_in_training_alone():
    layer = _layer("gru", layers=2, dropout=0.5)
    data = torch.randn(3, 7, 3, dtype=torch.float64)
    torch.manual_seed(0)
    first = layer(data).output
    assert not torch.equal(first, layer(data).output)
    torch.manual_seed(0)
    assert torch.equal(first, layer(data).output)
    layer.eval()
    assert torch.equal(layer(data).output, layer(data).output)
    # With one layer there is nothing between layers.
    alone = _layer("gru", dropout=0.5)
    assert torch.equal(alone(data).output, alone(data).output)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_gives_the_same_weights_within_torchs_bounds(name: str):
    one, other = _layer(name), _layer(name)
    for (key, mine), theirs in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), key
        assert mine.abs().max() <= 5**-0.5
    assert not torch.equal(next(one.parameters()), next(Recurrent(name, 3, 5).double().parameters()))


def test_orthogonal_start_makes_recurrent_matrices_orthogonal():
    layer = Recurrent("lstm", 3, 33, options=RecurrentOptions(recurrent_init="orthogonal", forget_bias=1.0))
    u = layer.layer0_forward.tensors()["U_f"]
    torch.testing.assert_close(u @ u.T, torch.eye(33), atol=1e-5, rtol=0)
    assert layer.layer0_forward.tensors()["b_f"].min() > 0.8
    assert layer.layer0_forward.tensors()["b_i"].max() < 0.2


def test_layer_survives_deepcopy_and_state_dict():
    layer = _layer("lstm-peephole", layers=2)
    data = torch.randn(3, 7, 3, dtype=torch.float64)
    again = _layer("lstm-peephole", layers=2)
    again.load_state_dict(layer.state_dict())
    for other in (again, copy.deepcopy(layer)):
        assert torch.equal(other(data).output, layer(data).output)


def test_paths_name_themselves():
    layer = Recurrent("lstm", 3, 5, options=RecurrentOptions(path="torch"))
    assert layer.path == "torch"
    assert "LSTM" in layer.path_reason
    assert Recurrent("mgu", 3, 5).path == "cpu-fused"
    assert "compiled from the equations" in Recurrent("mgu", 3, 5).path_reason
    assert "bfloat16" in Recurrent("mgu", 3, 5).bfloat16().path_reason
    layer = Recurrent("lstm", 3, 5, options=EAGER)
    assert (layer.path, layer.path_reason) == ("eager", "asked for by options.path")
    assert Recurrent("lstm", 3, 5).bfloat16().path == "eager"
    assert "path cpu-fused" in Recurrent("lstm", 3, 5).describe()
    assert "180 parameters" in Recurrent("lstm", 3, 5).describe()


def test_own_cell_runs_as_any_other():
    cell = Cell("leaky", ("h",), "h", "h = 0.5 * h + W @ x", "worked by hand")
    layer = Recurrent(cell, 1, 1)
    with torch.no_grad():
        layer.layer0_forward.tensors()["W"].fill_(1.0)
    assert layer(torch.ones(1, 3, 1)).output.detach().flatten().tolist() == [1.0, 1.5, 1.75]


@pytest.mark.parametrize(
    ("call", "axis"),
    [
        (lambda layer: layer(torch.zeros(2, 3)), "number of axes"),
        (lambda layer: layer(torch.zeros(2, 4, 2)), "feature"),
        (lambda layer: layer(torch.zeros(2, 4, 3, dtype=torch.float64)), "dtype"),
        (lambda layer: layer(torch.zeros(2, 4, 3, dtype=torch.int64)), "dtype"),
        (lambda layer: layer(torch.zeros(2, 4, 3), {"h": torch.zeros(2, 2, 5)}), "state"),
        (lambda layer: layer(torch.zeros(2, 4, 3), dict.fromkeys("hcz", torch.zeros(2, 2, 5))), "state"),
        (lambda layer: layer(torch.zeros(2, 4, 3), dict.fromkeys("hc", torch.zeros(1, 2, 5))), "layers * directions"),
        (lambda layer: layer(torch.zeros(2, 4, 3), dict.fromkeys("hc", torch.zeros(2, 3, 5))), "batch"),
        (lambda layer: layer(torch.zeros(2, 4, 3), dict.fromkeys("hc", torch.zeros(2, 2, 4))), "hidden"),
        (lambda layer: layer(torch.zeros(2, 4, 3), dict.fromkeys("hc", torch.zeros(2, 5))), "number of axes"),
        (lambda layer: layer(torch.zeros(2, 4, 3), dict.fromkeys("hc", torch.zeros(2, 2, 5).double())), "dtype"),
        (lambda layer: layer(Sequences(torch.zeros(2, 4, 3), torch.tensor([5, 1]))), "time"),
    ],
)
def test_wrong_shapes_name_the_axis(call, axis: str):
    with pytest.raises(ShapeError) as caught:
        call(Recurrent("lstm", 3, 5, bidirectional=True))
    assert caught.value.axis == axis
    assert str(caught.value.expected) in str(caught.value)
    assert str(caught.value.came) in str(caught.value)


def test_wrong_settings_are_refused():
    with pytest.raises(SettingError, match=r"no quantity 'q'.*expected some of i, f, g, o, c, h"):
        Recurrent("lstm", 3, 5)(torch.zeros(1, 2, 3), trace=("q",))
    for options in ({"layers": 0}, {"layers": 1.5}, {"dropout": 1.0}, {"dropout": -0.1}):
        with pytest.raises(SettingError, match=next(iter(options))):
            Recurrent("lstm", 3, 5, **options)
    with pytest.raises(SettingError, match="hidden"):
        Recurrent("lstm", 3, 0)
    with pytest.raises(SettingError, match="has no projection"):
        Recurrent("lstm", 3, 5, options=RecurrentOptions(proj_size=2))
    assert Recurrent("lstmp", 3, 5, options=RecurrentOptions(proj_size=4)).output_size == 4
    assert set(CELLS) >= set(NAMES)
