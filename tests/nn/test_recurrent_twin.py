"""Both paths against torch.nn: outputs, states and all gradients, weights copied."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from remanence.nn.recurrent import Recurrent, RecurrentOptions
from remanence.sequences import Sequences

# dtype → absolute tolerance of outputs and states, and of gradients
TOLERANCE = {torch.float64: (1e-12, 1e-10), torch.float32: (1e-5, 1e-4)}

KINDS = {
    "rnn": lambda *a, **k: nn.RNN(*a, **k),
    "rnn-relu": lambda *a, **k: nn.RNN(*a, nonlinearity="relu", **k),
    "lstm": lambda *a, **k: nn.LSTM(*a, **k),
    "gru": lambda *a, **k: nn.GRU(*a, **k),
}


def _pair(name: str, path: str, dtype: torch.dtype, hidden: int) -> tuple[Recurrent, nn.RNNBase]:
    """Our layer and torch's with the same weights; torch's second bias is zero where we have one bias."""
    torch.manual_seed(5)
    options = RecurrentOptions(path=path)
    ours = Recurrent(name, 3, hidden, layers=2, bidirectional=True, options=options).to(dtype)
    theirs = KINDS[name](3, hidden, num_layers=2, bidirectional=True, batch_first=True).to(dtype)
    twin = ours.cell.torch_twin
    assert twin is not None
    with torch.no_grad():
        for layer in (0, 1):
            for direction, suffix in (("forward", ""), ("reverse", "_reverse")):
                weights = getattr(ours, f"layer{layer}_{direction}").tensors()
                zero = torch.zeros(hidden, dtype=dtype)
                for kind, names in (
                    ("weight_ih", twin.input),
                    ("weight_hh", twin.recurrent),
                    ("bias_ih", twin.bias),
                    ("bias_hh", twin.recurrent_bias),
                ):
                    stacked = torch.cat([weights[n] if n else zero for n in names])
                    getattr(theirs, f"{kind}_l{layer}{suffix}").copy_(stacked)
    return ours, theirs


def _gradients(ours: Recurrent, theirs: nn.RNNBase, mine, loss_mine, other, loss_other):
    twin = ours.cell.torch_twin
    assert twin is not None
    ours.zero_grad()
    theirs.zero_grad()
    loss_mine.backward()
    loss_other.backward()
    yield mine.grad, other.grad
    for layer in (0, 1):
        for direction, suffix in (("forward", ""), ("reverse", "_reverse")):
            weights = getattr(ours, f"layer{layer}_{direction}").tensors()
            for kind, names in (("weight_ih", twin.input), ("weight_hh", twin.recurrent), ("bias_ih", twin.bias)):
                stacked = torch.cat([weights[name].grad for name in names])
                yield stacked, getattr(theirs, f"{kind}_l{layer}{suffix}").grad


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("path", ["torch", "eager", "cpu-fused"])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
@pytest.mark.parametrize("lengths", [None, [63, 1, 20]], ids=["full", "ragged"])
@pytest.mark.parametrize("hidden", [5, 33])
def test_layer_matches_torch_nn(name: str, path: str, dtype: torch.dtype, lengths: list[int] | None, hidden: int):
    ours, theirs = _pair(name, path, dtype, hidden)
    assert ours.path == path
    mine = torch.randn(3, 63, 3, dtype=dtype, requires_grad=True)
    other = mine.detach().clone().requires_grad_()
    start = {state: torch.rand(4, 3, hidden, dtype=dtype, requires_grad=True) for state in ours.cell.state}
    begin = {state: value.detach().clone().requires_grad_() for state, value in start.items()}
    hx = (begin["h"], begin["c"]) if "c" in begin else begin["h"]
    if lengths is None:
        done = ours(mine, start)
        output, last = theirs(other, hx)
    else:
        done = ours(Sequences(mine, torch.tensor(lengths)), start)
        packed, last = theirs(pack_padded_sequence(other, lengths, batch_first=True, enforce_sorted=False), hx)
        output, _ = pad_packed_sequence(packed, batch_first=True)
    finals = dict(zip("hc", last, strict=True)) if isinstance(last, tuple) else {"h": last}
    exact, loose = TOLERANCE[dtype]
    torch.testing.assert_close(done.output, output, atol=exact, rtol=0)
    for state, value in finals.items():
        torch.testing.assert_close(done.state[state], value, atol=exact, rtol=0)
    weigh = torch.randn_like(output)
    mine_loss = (done.output * weigh).mean() + sum(done.state[s].sin().mean() for s in finals)
    their_loss = (output * weigh).mean() + sum(finals[s].sin().mean() for s in finals)
    for ours_grad, theirs_grad in _gradients(ours, theirs, mine, mine_loss, other, their_loss):
        torch.testing.assert_close(ours_grad, theirs_grad, atol=loose * 0.1, rtol=loose)
    for state, value in start.items():
        torch.testing.assert_close(value.grad, begin[state].grad, atol=loose * 0.1, rtol=loose)


@pytest.mark.parametrize("name", KINDS)
def test_torch_path_gives_eagers_numbers_in_evaluation_and_without_gradients(name: str):
    torch.manual_seed(2)
    fast = Recurrent(name, 3, 33, bidirectional=True).eval()
    slow = Recurrent(name, 3, 33, bidirectional=True, options=RecurrentOptions(path="eager")).eval()
    slow.load_state_dict(fast.state_dict())
    batch = Sequences(torch.randn(3, 63, 3), torch.tensor([63, 0, 2]))
    with torch.no_grad():
        one, other = fast(batch), slow(batch)
    torch.testing.assert_close(one.output, other.output, atol=1e-5, rtol=0)
    for state, value in other.state.items():
        torch.testing.assert_close(one.state[state], value, atol=1e-5, rtol=0)
    with torch.inference_mode():
        assert torch.equal(fast(batch).output, one.output)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_state_of_an_ended_sequence_is_kept_exactly(name: str):
    """The gates that padding drives are exactly 0 and 1, so 60 steps of padding change not one bit."""
    torch.manual_seed(2)
    layer = Recurrent(name, 3, 33)
    data = torch.randn(2, 63, 3)
    start = {state: torch.randn(1, 2, 33) for state in layer.cell.state}
    short = layer(Sequences(data[:, :4], torch.tensor([3, 0])), start)
    long = layer(Sequences(data, torch.tensor([3, 0])), start)
    for state in layer.cell.state:
        assert torch.equal(short.state[state], long.state[state])
        assert torch.equal(long.state[state][:, 1], start[state][:, 1])


def test_transforms_take_the_eager_path():
    layer = Recurrent("lstm", 3, 5)
    data = torch.randn(4, 2, 7, 3)
    mapped = torch.func.vmap(lambda x: layer(x).output)(data)
    for index in range(4):
        torch.testing.assert_close(mapped[index], layer(data[index]).output, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("path", ["torch", "eager", "cpu-fused"])
def test_autocast_gives_a_state_that_the_next_call_takes(name: str, path: str):
    layer = Recurrent(name, 3, 5, options=RecurrentOptions(path=path))
    data = Sequences(torch.randn(2, 7, 3), torch.tensor([7, 3]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        first = layer(data)
        second = layer(data, first.state)
    assert first.output.dtype == torch.float32
    torch.testing.assert_close(second.output, layer(data, layer(data).state).output, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_torch_path_has_batched_and_second_gradients(name: str):
    torch.manual_seed(0)
    layers = [Recurrent(name, 3, 5, options=RecurrentOptions(path=path)) for path in ("auto", "eager")]
    layers[1].load_state_dict(layers[0].state_dict())
    data = torch.randn(1, 6, 3, requires_grad=True)
    rows, squares = [], []
    for layer in layers:
        last = layer(data).output[0, -1]
        rows.append(torch.autograd.grad(last, data, torch.eye(5), is_grads_batched=True, retain_graph=True)[0])
        slope = torch.autograd.grad(last.sin().sum(), data, create_graph=True)[0]
        squares.append(torch.autograd.grad(slope.square().sum(), data)[0])
    torch.testing.assert_close(rows[0], rows[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(squares[0], squares[1], atol=1e-5, rtol=0)
