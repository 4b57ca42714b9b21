"""How weights start, by name: against the papers' numbers, for every cell; and where a start makes no sense."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from remanence.cells import CELLS, Cell
from remanence.compiler import emit_torch
from remanence.errors import SettingError
from remanence.nn.recurrent import Recurrent, RecurrentOptions
from remanence.nn.start import options_of, unsuited
from remanence.nn.weights import CellWeights
from remanence.settings import settings_from

every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=list(CELLS))
REACH = 601


def tensors(layer: Recurrent) -> dict[str, torch.Tensor]:
    part = layer.get_submodule("layer0_forward")
    assert isinstance(part, CellWeights)
    return part.tensors()


def weights(cell: str, hidden: int = 400, **options) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    layer = Recurrent(cell, 1, hidden, options=RecurrentOptions(**options)).requires_grad_(False)
    return tensors(layer)


def test_chrono_draws_the_papers_biases():
    found = weights("lstm", chrono=REACH)
    lasting = found["b_f"].exp()
    assert torch.equal(found["b_i"], -found["b_f"])
    assert lasting.min() >= 1 and lasting.max() <= REACH - 1
    # A mean of 400 draws from U(1, 600): 300.5, with deviation 599 / √12 / 20 = 8.6.
    assert abs(float(lasting.mean()) - 300.5) < 4 * 8.6
    assert abs(float((lasting < 150.75).float().mean()) - 0.25) < 0.09
    plain = weights("lstm")
    assert found["b_o"].abs().max() <= plain["b_o"].abs().max() * 1.1
    assert torch.equal(weights("gru", chrono=2)["b_z"], torch.zeros(400))


@every_cell
def test_chrono_keeps_what_the_biases_say(cell: Cell):
    """With every other weight 0, a step keeps u / (u + 1) of the state: it lasts u + 1 steps."""
    if not cell.chrono:
        assert unsuited(cell, "chrono")
        pytest.skip(f"{cell.name} declares no gate that keeps")
    layer = Recurrent(cell, 3, 7, options=RecurrentOptions(chrono=50)).double().requires_grad_(False)
    named = tensors(layer)
    keeping, sign = next(iter(cell.chrono.items()))
    lasting = (sign * named[keeping]).exp()
    for name, weight in named.items():
        if name not in cell.chrono and name not in cell.start:
            weight.zero_()
    trace = layer(torch.zeros(1, 1, 3, dtype=torch.float64), trace=("*",)).trace
    quantities = {name: trace[f"layer0.forward.{name}"] for name in cell.quantities}
    state = next(iter(cell.additive_memory))
    kept = torch.as_tensor(emit_torch.evaluate(cell.memory(state)[0], quantities)).reshape(-1)
    torch.testing.assert_close(kept, lasting / (lasting + 1), rtol=1e-9, atol=0)


def test_identity_is_that_of_the_paper():
    found = weights("rnn-relu", recurrent_init="identity")
    assert torch.equal(found["U"], torch.eye(400)) and not found["b"].any()
    assert abs(float(found["W"].std()) / 0.001 - 1) < 0.1 and abs(float(found["W"].mean())) < 2e-4
    # Its state stands still without input, and adds what comes in.
    layer = Recurrent("rnn-relu", 1, 5, options=RecurrentOptions(recurrent_init="identity")).requires_grad_(False)
    data = torch.tensor([1.0, 0.0, 0.0, 2.0])[None, :, None]
    outputs = layer(data).output[0]
    expected = torch.relu(tensors(layer)["W"][:, 0])
    torch.testing.assert_close(outputs, expected * torch.tensor([1.0, 1.0, 1.0, 3.0])[:, None])


@every_cell
def test_orthogonal_matrices_keep_lengths(cell: Cell):
    if unsuited(cell, "orthogonal"):
        assert not any(len(p.axes) == 2 and p.axes[1] != "input" for p in cell.step.parameters)
        pytest.skip(f"{cell.name} has no recurrent matrix")
    layer = Recurrent(cell, 2, 33, options=RecurrentOptions(recurrent_init="orthogonal")).requires_grad_(False)
    for parameter in cell.step.parameters:
        matrix = tensors(layer)[parameter.name]
        if len(parameter.axes) == 2 and parameter.axes[1] != "input":
            short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
            torch.testing.assert_close(short @ short.T, torch.eye(len(short)), atol=1e-5, rtol=0)


def test_forget_bias_adds_one_and_leaves_the_rest():
    plain, raised = weights("lstm"), weights("lstm", **options_of(CELLS["lstm"], ("forget-bias",), 2))
    for name, weight in plain.items():
        torch.testing.assert_close(raised[name], weight + (1.0 if name == "b_f" else 0.0))


def test_the_same_seed_gives_the_same_weights_as_before_there_were_names():
    """A run that names no start is not touched: the draws come in the order of the equations."""
    torch.manual_seed(5)
    expected = torch.empty(4, 3).uniform_(-0.5, 0.5)
    torch.manual_seed(5)
    assert torch.equal(tensors(Recurrent("lstm", 3, 4))["W_i"], expected)


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("rnn", "chrono"), ("rnn", "forget-bias"), ("lstm-1997", "forget-bias"), ("slstm", "chrono"),
        ("lstm", "identity"), ("gru", "identity"), ("indrnn", "orthogonal"), ("lstmp", "identity"),
    ],
)  # fmt: skip
def test_a_start_that_makes_no_sense_is_refused(cell: str, name: str):
    with pytest.raises(SettingError, match=f"--initialise: cell '{cell}' has no .*, which {name} needs"):
        options_of(CELLS[cell], (name,), 9)
    field = {"chrono": {"chrono": 9}, "forget-bias": {"forget_bias": 1.0}}.get(name, {"recurrent_init": name})
    with pytest.raises(SettingError, match=f"cell '{cell}' has no"):
        Recurrent(cell, 2, 3, options=RecurrentOptions(**field))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"chrono": 1}, "--chrono: expected a number of steps of at least 2, came 1"),
        ({"chrono": 9, "forget_bias": 1.0}, "chrono sets the forget biases itself"),
        ({"recurrent_init": "zeros"}, "--recurrent-init: expected uniform or orthogonal or identity"),
    ],
)
def test_options_that_contradict_are_refused(options: dict, says: str):
    with pytest.raises(SettingError, match=says):
        Recurrent("lstm", 2, 3, options=RecurrentOptions(**options))


def test_settings_take_one_start_for_gates_and_one_for_matrices():
    assert settings_from({"initialise": "chrono,orthogonal"}).model.initialise == ("chrono", "orthogonal")
    for wrong in ("chrono,forget-bias", "orthogonal,identity", "chrono,chrono", "xavier"):
        with pytest.raises(SettingError, match="--initialise"):
            settings_from({"initialise": wrong})


def test_layers_above_the_first_and_both_directions_start_alike():
    layer = Recurrent("lstm", 2, 33, layers=2, bidirectional=True, options=RecurrentOptions(chrono=100))
    layer.requires_grad_(False)
    spans = [part.get_parameter("b_f").exp() for name, part in layer.named_children() if name.startswith("layer")]
    assert len(spans) == 4 and all(float(span.min()) >= 1 and float(span.max()) <= 99 for span in spans)
    assert not torch.equal(spans[0], spans[1])
    assert np.isclose(float(torch.cat(spans).mean()), 50, atol=12)
