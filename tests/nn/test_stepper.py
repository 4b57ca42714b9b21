"""One step at a time gives what the layer gives over the whole sequence."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from remanence.cells import CELLS
from remanence.errors import SettingError, ShapeError
from remanence.nn import GRU, LSTM, Recurrent, RecurrentOptions, Stepper
from tests.explain.helpers import text_model


class Finished(NamedTuple):
    """As much of a run as matters here."""

    model: Any


CHOSEN = ("lstm", "gru-before", "sru", "lstmp")


@pytest.mark.parametrize("name", CHOSEN)
def test_steps_add_up_to_the_sequence(name: str) -> None:
    torch.manual_seed(0)
    layer = Recurrent(
        name, 3, (5, 7) if name == "lstm" else (6, 6), options=RecurrentOptions(learn_start=name == "sru")
    )
    layer.double().eval()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)
    data = torch.randn(2, 9, 3, dtype=torch.float64)
    with torch.no_grad():
        whole = layer(data)
    stepper = Stepper(layer, 2)
    came = torch.stack([torch.from_numpy(stepper.step(data[:, t]).copy()) for t in range(9)], 1)
    torch.testing.assert_close(came, whole.output, rtol=0, atol=1e-12)
    for state, value in stepper.state.items():
        torch.testing.assert_close(value, whole.state[state], rtol=0, atol=1e-12)
    assert stepper.steps == 9


def test_cells_that_read_more_than_x_are_refused() -> None:
    given = [name for name, cell in CELLS.items() if cell.step.given]
    assert given
    for name in given:
        with pytest.raises(SettingError, match="reads x alone"):
            Stepper(Recurrent(name, 3, 4))


@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_drop_ins_step_too(kind: type) -> None:
    torch.manual_seed(0)
    layer = kind(3, 8, num_layers=2, batch_first=True)
    data = torch.randn(1, 5, 3)
    with torch.no_grad():
        expected = layer(data)[0]
    stepper = Stepper(layer)
    for t in range(5):
        np.testing.assert_allclose(stepper.step(data[:, t].numpy()), expected[:, t], atol=2e-6)


def test_state_can_be_taken_set_and_begun_again() -> None:
    torch.manual_seed(0)
    layer = Recurrent("gru-before", 3, 5)
    stepper, other = Stepper(layer, 3), Stepper(layer, 3)
    data = np.random.default_rng(0).standard_normal((4, 3, 3)).astype(np.float32)
    first = stepper.step(data[0]).copy()
    stepper.step(data[1])
    kept = stepper.state
    expected = stepper.step(data[2]).copy()
    other.load(kept)
    assert np.array_equal(other.step(data[2]), expected)
    stepper.reset([1])
    again = stepper.step(data[0])
    assert np.array_equal(again[1], first[1]) and not np.array_equal(again[0], first[0])
    with pytest.raises(ShapeError, match="shape"):
        stepper.load({"h": kept["h"][:, :2]})
    with pytest.raises(ShapeError, match="state"):
        stepper.load({"c": kept["h"]})


def test_threads_change_nothing() -> None:
    torch.manual_seed(0)
    layer, before, found = Recurrent("gru-before", 3, 5), torch.get_num_threads(), []
    data = np.random.default_rng(0).standard_normal((3, 7, 3)).astype(np.float32)
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            stepper = Stepper(layer, 7)
            found.append([stepper.step(x).copy() for x in data])
    finally:
        torch.set_num_threads(before)
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_model_and_a_run_are_told_where_their_layers_are() -> None:
    model: Any = text_model("lstm")
    for given, says in ((model, r"Stepper\(model.recurrent\)"), (Finished(model), r"Stepper\(run.model.recurrent\)")):
        with pytest.raises(SettingError, match=f"^a Stepper runs recurrent layers of remanence.nn, came .*{says}$"):
            Stepper(given)


def test_bad_use_is_refused() -> None:
    with pytest.raises(SettingError, match="backwards"):
        Stepper(Recurrent("gru", 3, 5, bidirectional=True))
    with pytest.raises(SettingError, match="residual"):
        Stepper(Recurrent("gru", 3, 5, layers=2, options=RecurrentOptions(residual=True)))
    with pytest.raises(SettingError, match=r"^a Stepper runs .* came LSTM — convert"):
        Stepper(torch.nn.LSTM(3, 5))  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="at least 1"):
        Stepper(Recurrent("gru", 3, 5), 0)
    with pytest.raises(ShapeError, match=r"should be .1, 3., came .1, 4."):
        Stepper(Recurrent("gru-before", 3, 5)).step(np.zeros((1, 4), np.float32))
