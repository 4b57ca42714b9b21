"""A cell cannot be constructed with a claim that its equations do not bear out."""

from __future__ import annotations

import json

import pytest

from remanence.cells import CELLS, Cell, cell
from remanence.errors import CellError, SettingError

LEAKY = "g = tanh(W @ x + b)\nh = f * h + (1 - f) * g"


def test_cell_by_name_names_near_ones():
    with pytest.raises(SettingError, match=r"did you mean .*lstm"):
        cell("lstmm")
    assert cell("gru") is CELLS["gru"]


@pytest.mark.parametrize(
    ("memory", "message"),
    [
        ({"h": ("f", "g")}, "the equations say h = f \\* h"),
        ({"q": ("f", "g")}, "not a state"),
        ({"h": ("0", "h")}, "must not mention 'h'"),
        ({"h": ("W", "g")}, "not a quantity"),
        ({"h": ("f +", "g")}, "not an expression"),
    ],
)
def test_cell_false_additive_memory_is_refused(memory: dict, message: str):
    equations = "f = sigmoid(V @ x)\n" + LEAKY
    assert Cell("leaky", ("h",), "h", equations, "none", additive_memory={"h": ("f", "(1 - f) * g")})
    with pytest.raises(CellError, match=message):
        Cell("leaky", ("h",), "h", equations, "none", additive_memory=memory)


def test_cell_property_of_an_unknown_parameter_is_refused():
    with pytest.raises(CellError, match="'b_q' is not a parameter"):
        Cell("leaky", ("h",), "h", LEAKY, "none", forget_bias=("b_q",))
    with pytest.raises(CellError, match="'W' is a matrix"):
        Cell("leaky", ("h",), "h", LEAKY, "none", forget_bias=("W",))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"name": 1}',
        json.dumps({"name": "a", "state": ["h"], "output": "h", "equations": "h = x", "more": 1}),
        json.dumps({"name": "a", "state": 3, "output": "h", "equations": "h = W @ x"}),
        json.dumps(
            {"name": "a", "state": ["h"], "output": "h", "equations": "h = W @ x", "torch_twin": {"kind": "LSTM"}}
        ),
        json.dumps({"name": "a", "state": ["h"], "output": "h", "equations": 7}),
        json.dumps({"name": "a", "state": ["h"], "output": "h", "equations": "h = __import__('os')"}),
        json.dumps({"name": "a", "state": ["h"], "output": "h", "equations": "h = W @ x", "additive_memory": [1]}),
    ],
)
def test_cell_malformed_json_is_refused(text: str):
    with pytest.raises(CellError):
        Cell.from_json(text)


def test_cell_parameter_count_matches_a_number_worked_by_hand():
    # 4 gates of 5 × 3 + 5 × 5 + 5
    assert CELLS["lstm"].parameter_count(input=3, hidden=5) == 4 * (15 + 25 + 5)
    assert CELLS["gru"].parameter_count(input=3, hidden=5) == 3 * (15 + 25 + 5) + 5


def test_cell_that_reads_no_input_is_refused():
    with pytest.raises(CellError, match="reads the input x"):
        Cell("still", ("h",), "h", "h = 0.5 * h", "none")
    with pytest.raises(CellError, match="tuple of names"):
        Cell("still", "h", "h", "h = W @ x", "none")  # pyright: ignore[reportArgumentType]


def test_cell_without_parameters_runs():
    from torch import ones

    from remanence.nn.recurrent import Recurrent

    layer = Recurrent(Cell("sum", ("h",), "h", "h = h + mean(x)", "none"), 2, 1)
    assert layer(ones(1, 3, 2)).output.flatten().tolist() == [1.0, 2.0, 3.0]
    assert layer.path == "eager"


def test_cell_of_values_that_are_no_plain_text_or_numbers_is_refused():
    with pytest.raises(CellError, match="should be text and plain numbers"):
        Cell("odd", ("h",), "h", "h = W @ x + b", "none", start={"b": 1j})  # type: ignore[dict-item]
    with pytest.raises(CellError, match="clip should be a number above 0"):
        Cell("odd", ("h",), "h", "h = W @ x + U @ h", "none", clip=-1.0)
