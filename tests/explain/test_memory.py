"""Memory against numbers worked by hand, the full Jacobian, and cells whose memory is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from remanence.errors import SettingError
from remanence.explain.memory import Memory, half_life, kept_along_path, memory, sensitivity, shown_steps
from remanence.nn.recurrent import Recurrent
from tests.explain.helpers import text_model, token_example


def leaky(rate: float):
    """h_t = rate · h_{t-1} + x_t, by its definition."""

    def states(inputs: torch.Tensor) -> torch.Tensor:
        held, found = torch.zeros_like(inputs[:, 0]), []
        for step in range(inputs.shape[1]):
            held = rate * held + inputs[:, step]
            found.append(held)
        return torch.stack(found, dim=1)

    return states


@pytest.mark.parametrize("rate", [0.5, -0.9, 1.1])
def test_sensitivity_of_a_scalar_cell_is_a_power(rate: float) -> None:
    found = sensitivity(leaky(rate), torch.randn(6, 1, dtype=torch.float64))
    s, t = np.indices((6, 6))
    assert np.allclose(found.norms, np.where(t >= s, np.abs(rate) ** np.maximum(t - s, 0), 0.0), atol=1e-12)
    assert (found.method, found.probes) == ("exact", 0)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "lstm-peephole"])
@pytest.mark.parametrize(("time", "hidden", "layers"), [(1, 1, 1), (2, 5, 2), (7, 33, 1)])
def test_sensitivity_is_the_norm_of_the_jacobian(cell: str, time: int, hidden: int, layers: int) -> None:
    torch.manual_seed(3)
    recurrent = Recurrent(cell, 3, hidden, layers=layers).double().eval()
    inputs = torch.randn(time, 3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: recurrent(x[None]).output[0], inputs)
    expected = torch.as_tensor(jacobian).square().sum((1, 3)).sqrt().T.numpy()
    found = sensitivity(lambda x: recurrent(x).output, inputs)
    assert np.allclose(found.norms, expected, rtol=1e-9, atol=1e-12)


def test_sensitivity_of_chosen_steps_is_a_part_of_the_whole() -> None:
    torch.manual_seed(0)
    recurrent = Recurrent("gru", 2, 4).double().eval()
    inputs, steps = torch.randn(9, 2, dtype=torch.float64), np.array([0, 3, 8])
    whole = sensitivity(lambda x: recurrent(x).output, inputs).norms
    part = sensitivity(lambda x: recurrent(x).output, inputs, steps).norms
    assert np.allclose(part, whole[np.ix_(steps, steps)], atol=1e-12)


def test_probes_come_near_the_exact_norm_and_repeat() -> None:
    torch.manual_seed(0)
    recurrent = Recurrent("lstm", 3, 20).eval()
    inputs = torch.randn(5, 3)
    exact = sensitivity(lambda x: recurrent(x).output, inputs, probes=0)
    first, again = (sensitivity(lambda x: recurrent(x).output, inputs, probes=400, seed=7) for _ in range(2))
    reached = exact.norms > 0
    assert np.allclose(first.norms[reached], exact.norms[reached], rtol=0.15)
    assert np.array_equal(first.norms, again.norms)
    assert (first.method, first.probes) == ("probes", 400)


def test_cost_decides_between_exact_and_probes() -> None:
    recurrent = Recurrent("rnn", 2, 20).eval()
    inputs = torch.randn(3, 2)
    assert sensitivity(lambda x: recurrent(x).output, inputs, operations=1.0).method == "exact"
    assert sensitivity(lambda x: recurrent(x).output, inputs, operations=1e12).method == "probes"


def test_kept_along_path_is_a_product_of_later_factors() -> None:
    factors = np.random.default_rng(0).uniform(0, 1, (6, 3))
    kept = kept_along_path(factors)
    for s in range(6):
        for t in range(6):
            if t < s:
                assert np.isnan(kept[s, t]).all()
            else:
                assert np.allclose(kept[s, t], factors[s + 1 : t + 1].prod(0))


def test_kept_along_path_survives_a_shut_gate() -> None:
    kept = kept_along_path(np.array([[0.5], [0.0], [0.5]]))
    assert kept[0, :, 0].tolist() == [1.0, 0.0, 0.0]
    assert kept[1, 1:, 0].tolist() == [1.0, 0.5]


@pytest.mark.parametrize(("rate", "expected"), [(0.5, 1.0), (0.25, 0.5), (0.9, np.log(0.5) / np.log(0.9))])
def test_half_life_of_a_power_is_its_logarithm(rate: float, expected: float) -> None:
    assert half_life(rate ** np.arange(30)) == pytest.approx(expected, rel=1e-9 if rate >= 0.5 else 1.0)


def test_half_life_is_infinite_where_nothing_fades_and_nan_where_nothing_is_known() -> None:
    assert half_life(np.ones(5)) == np.inf
    assert np.isnan(half_life(np.full(3, np.nan)))
    assert half_life(np.array([1.0, 0.0])) == 1.0


def test_shown_steps_keep_both_ends() -> None:
    steps = shown_steps(1000)
    assert len(steps) == 64
    assert (steps[0], steps[-1]) == (0, 999)
    assert shown_steps(1).tolist() == [0]


def test_memory_of_a_model_starts_at_one_and_knows_its_path() -> None:
    model = text_model("lstm")
    found = memory(model, token_example("猫追老鼠，它跑得很快"))
    assert found.labels == tuple("猫追老鼠，它跑得很快")
    assert np.allclose(np.diag(found.reach), 1.0)
    assert np.isnan(found.reach[np.tril_indices(10, -1)]).all()
    assert found.path is not None
    assert found.path_units is not None
    assert found.path_units.shape == (10, 10, 6)
    assert np.allclose(found.path_units.mean(2), found.path, equal_nan=True)
    assert found.path_state == "c"


def test_path_is_the_product_of_the_traced_forget_gates() -> None:
    model, example = text_model("lstm", layers=2), token_example("abcab")
    with torch.no_grad():
        forget = model.trace(example.batch, ("f",)).trace["layer0.forward.f"][0].double().numpy()
    found = memory(model, example)
    assert found.path is not None
    assert found.path[1, 4] == pytest.approx(forget[2:5].prod(0).mean())


def test_lstm_of_1997_keeps_everything_on_its_path() -> None:
    found = memory(text_model("lstm-1997"), token_example("abca"))
    assert found.path is not None
    assert np.nanmin(found.path) == np.nanmax(found.path) == 1.0
    assert found.half_life("path") == np.inf


def test_a_plain_network_has_no_path() -> None:
    found = memory(text_model("rnn"), token_example("abc"))
    assert found.path is None
    with pytest.raises(SettingError, match="reading"):
        found.half_life("path")


def test_memory_of_both_directions_follows_the_forward_one() -> None:
    found = memory(text_model("lstm", bidirectional=True), token_example("abcde"))
    assert found.bidirectional
    assert np.allclose(np.diag(found.reach), 1.0)


def test_padding_does_not_change_a_memory() -> None:
    model = text_model("gru")
    short, padded = token_example("abcd"), token_example("abcd", padding=5)
    assert np.allclose(memory(model, short).reach, memory(model, padded).reach, atol=1e-6, equal_nan=True)


def test_memory_of_a_dead_input_is_unknown_not_zero() -> None:
    model = text_model("rnn")
    with torch.no_grad():
        model.recurrent.layer0_forward.W.zero_()
    found = memory(model, token_example("abc"))
    assert np.isnan(found.reach).all()
    assert np.isnan(found.half_life())


def test_a_long_example_is_thinned_out() -> None:
    found = memory(text_model("rnn"), token_example("ab" * 60), most=8)
    assert isinstance(found, Memory)
    assert (len(found.steps), found.length, found.reach.shape) == (8, 120, (8, 8))
