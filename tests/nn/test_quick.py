"""The short way of drop-ins: the same numbers as torch's, weights as they are now, memory of its own for each call."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from remanence import nn
from remanence.nn import quick

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
SHAPES = [(1, 63, 1, 5), (3, 7, 4, 33), (5, 63, 17, 64)]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each call took the short way."""
    found: list[bool] = []
    usual = quick.run

    def run(*arguments: Any) -> Any:
        done = usual(*arguments)
        found.append(done is not None)
        return done

    monkeypatch.setattr(quick, "run", run)
    return found


def _pair(name: str, features: int, hidden: int, **more: Any) -> tuple[torch.nn.Module, torch.nn.Module]:
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
