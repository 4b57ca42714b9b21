"""Gates are what the equations say, for every layer and direction."""

from __future__ import annotations

import numpy as np
import pytest

from remanence.errors import DataError, SettingError
from remanence.explain.example import Example
from remanence.explain.gates import gates
from tests.explain.helpers import text_model, token_example


def test_gates_obey_the_cell_equations() -> None:
    found = gates(text_model("lstm"), token_example("猫追猫"))
    f, i, g, o, c, h = (found.value(name) for name in "figoch")
    before = np.concatenate([np.zeros((1, 6)), c[:-1]])
    assert np.allclose(c, f * before + i * g, atol=1e-6)
    assert np.allclose(h, o * np.tanh(c), atol=1e-6)
    assert found.labels == ("猫", "追", "猫")


def test_gates_name_every_layer_and_direction() -> None:
    found = gates(text_model("gru", layers=2, bidirectional=True), token_example("abcd"))
    assert found.layers() == ("layer0.forward", "layer0.reverse", "layer1.forward", "layer1.reverse")
    assert found.quantities("layer1.reverse") == ("r", "z", "n", "h")
    assert found.value("z", "layer1.forward").shape == (4, 6)


def test_gates_leave_padding_out() -> None:
    padded = gates(text_model("lstm"), token_example("abc", padding=4))
    plain = gates(text_model("lstm"), token_example("abc"))
    for name, values in plain.values.items():
        assert np.allclose(values, padded.values[name], atol=1e-6)


def test_gates_refuse_a_quantity_the_cell_does_not_have() -> None:
    with pytest.raises(SettingError, match="forget"):
        gates(text_model("lstm"), token_example("abc"), ("forget",))


def test_an_example_without_steps_is_refused() -> None:
    with pytest.raises(DataError, match="no step"):
        Example(token_example("a").batch, (), "nothing")
