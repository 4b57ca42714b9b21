"""Swapping torch.nn's layers inside a model, and back."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

import remanence.nn as ours


class Reader(nn.Module):
    """Shares one layer between two places, and one weight between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.GRU(4, 4, batch_first=True)
        self.again = self.first
        self.other = nn.GRU(4, 4, batch_first=True)
        self.other.weight_hh_l0 = self.first.weight_hh_l0
        self.steps = nn.ModuleList([nn.LSTMCell(4, 4), nn.RNN(4, 4), nn.RNNCell(4, 4), nn.GRUCell(4, 4)])
        self.lstm = nn.LSTM(4, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.lstm(self.other(self.again(self.first(inputs)[0])[0])[0])[0]


def test_conversion_keeps_everything_but_the_class() -> None:
    torch.manual_seed(0)
    model = Reader().double().eval()
    weights, modules = dict(model.named_parameters()), list(model.modules())
    called: list[object] = []
    model.first.register_forward_hook(lambda *_: called.append(None))
    inputs = torch.randn(3, 9, 4, dtype=torch.float64)
    expected = model(inputs)
    assert ours.convert(model) is model
    kinds = [type(part).__module__.partition(".")[0] for part in modules if not isinstance(part, nn.ModuleList)][1:]
    assert set(kinds) == {"remanence"} and len(kinds) == 7
    assert all(one is other for one, other in zip(model.modules(), modules, strict=True))
    assert all(weight is weights[name] for name, weight in model.named_parameters())
    assert model.first is model.again and model.other.weight_hh_l0 is model.first.weight_hh_l0
    assert not any(part.training for part in modules)
    torch.testing.assert_close(model(inputs), expected)
    assert len(called) == 4
    ours.restore(model)
    assert torch.equal(model(inputs), expected)
    assert type(model.lstm) is nn.LSTM and type(model.steps[0]) is nn.LSTMCell


def test_conversion_of_a_layer_itself() -> None:
    layer = nn.LSTM(3, 5)
    assert ours.convert(layer) is layer and type(layer) is ours.LSTM
    assert ours.convert(layer) is layer
    assert type(ours.convert(layer, back=True)) is nn.LSTM


def test_a_class_of_its_own_is_left_and_named() -> None:
    class Own(nn.GRU):
        pass

    model = nn.Sequential(Own(3, 5), nn.GRU(3, 5))
    with pytest.warns(RuntimeWarning, match=r"left as they are.*0 \(Own\)$"):
        ours.convert(model)
    assert type(model[0]) is Own and type(model[1]) is ours.GRU


def test_training_goes_on_after_the_swap() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.GRU(3, 5))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs, losses = torch.randn(9, 2, 3), []
    for turn in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            (ours.convert, ours.restore, ours.convert)[turn](model)
        loss = (model(inputs)[0] - 0.5).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_torchscript_sees_the_layers_of_torch() -> None:
    torch.manual_seed(0)
    model = ours.convert(nn.Sequential(Reader())).eval()
    inputs = torch.randn(3, 9, 4)
    expected = model(inputs)
    torch.testing.assert_close(torch.jit.trace(model, (inputs,))(inputs), expected)
    scripted = torch.jit.script(model)
    torch.testing.assert_close(scripted(inputs), expected)
    assert all(one is other for one, other in zip(scripted.parameters(), model.parameters(), strict=True))
