"""Figures draw what they are given: every step its own column, every text harmless, both languages."""

from __future__ import annotations

import json

import numpy as np
import pytest

from remanence.errors import SettingError
from remanence.explain.figures import Curve, ForecastExample, comparison, confusion, forecasts, learning_curves
from remanence.explain.gates import Gates, gates
from remanence.explain.inside import activations, first_input, gate_heatmaps, memory_heatmaps
from remanence.explain.memory import memory
from remanence.explain.render import save_svg, specification
from remanence.explain.style import token_text
from remanence.report.sections import memory_section
from tests.explain.helpers import text_model, token_example


def data_of(chart) -> list[dict]:
    """Columns of every data set of a chart."""
    return [rows[0] for rows in specification(chart)["datasets"].values()]


def texts_of(chart) -> str:
    return json.dumps(specification(chart), ensure_ascii=False)


@pytest.mark.parametrize("text", ["猫追老鼠，它跑得很快", "a", "abcabcabc", "ab" * 80])
def test_gate_heatmaps_keep_a_column_for_every_step(text: str) -> None:
    chart = gate_heatmaps(gates(text_model("lstm"), token_example(text)), language="zh")
    shown = min(len(text), 64)
    for columns in data_of(chart):
        assert sorted(set(columns["step"])) == list(range(shown))
        assert len(columns["value"]) == shown * 6


def test_gate_heatmaps_label_repeated_tokens_by_place() -> None:
    spec = specification(gate_heatmaps(gates(text_model("lstm"), token_example("猫追猫")), ("f",)))
    assert spec["params"][0]["value"] == ["猫", "追", "猫"]
    assert spec["concat"][0]["encoding"]["x"]["field"] == "step"


def test_gate_heatmaps_show_the_units_that_change_most_and_say_so() -> None:
    values = np.zeros((4, 50))
    values[::2, 7] = 0.9
    chart = gate_heatmaps(Gates("lstm", tuple("abcd"), {"layer0.forward.f": values}))
    assert "32 of 50 units" in texts_of(chart)
    assert 7 in data_of(chart)[0]["unit"]


def test_memory_heatmaps_share_one_colour_scale() -> None:
    left = [memory(text_model(cell), token_example("abcde")) for cell in ("rnn", "lstm")]
    spec = specification(memory_heatmaps(left))
    assert [panel["title"]["text"] for panel in spec["concat"]] == ["RNN", "LSTM"]
    scales = [panel["encoding"]["color"]["scale"] for panel in spec["concat"]]
    assert scales[0] == scales[1]
    assert scales[0]["domain"] == [0, 1]
    assert all(len(columns["left"]) == 15 for columns in data_of(memory_heatmaps(left)))


def test_memory_heatmaps_say_how_they_were_made() -> None:
    long = memory(text_model("rnn", bidirectional=True), token_example("ab" * 20), most=10, probes=5)
    said = texts_of(memory_heatmaps([long]))
    assert "10 of 40 steps" in said
    assert "5 random directions" in said
    assert "forward direction only" in said
    assert "随机方向" in texts_of(memory_heatmaps([long], language="zh"))


def test_path_heatmaps_leave_out_models_without_one() -> None:
    plain, gated = (memory(text_model(cell), token_example("abc")) for cell in ("rnn", "lstm"))
    assert len(specification(memory_heatmaps([plain, gated], reading="path"))["concat"]) == 1
    with pytest.raises(SettingError, match="path"):
        memory_heatmaps([plain], reading="path")


def test_first_input_ends_where_a_logarithm_would_be_lost() -> None:
    found = memory(text_model("rnn"), token_example("abcdefghij"))
    found.reach[0, 4:] = 0.0
    lines = max(data_of(first_input([found])), key=lambda columns: len(columns["left"]))
    assert min(lines["left"]) >= 1e-4
    assert len(lines["left"]) == 4
    # The axis goes on a little behind the line's end, with a name for each of its steps.
    axis = first_input([found]).to_dict()["layer"][1]["encoding"]["x"]
    assert axis["scale"]["domain"] == axis["axis"]["values"] == list(range(8))


def test_activations_put_a_model_back_where_its_gates_came_from() -> None:
    came = np.array([[-2.0, 0.0], [1.0, 3.0]])
    traced = Gates("lstm", ("a", "b"), {"layer0.forward.f": 1 / (1 + np.exp(-came))}, {"f": "sigmoid"})
    bars = next(columns for columns in data_of(activations(traced)) if "floor" in columns and columns["floor"][0] == 0)
    places = [low for low, height in zip(bars["z"], bars["value"], strict=True) if height > 0]
    assert places == pytest.approx([-2.0, 0.0, 1.0, 3.0], abs=0.26)


def test_activations_bear_a_saturated_gate() -> None:
    traced = Gates("lstm", ("a",), {"layer0.forward.f": np.array([[0.0, 1.0]])}, {"f": "sigmoid"})
    bars = next(columns for columns in data_of(activations(traced)) if "floor" in columns)
    assert bars["value"][0] > 0 and bars["value"][-1] > 0 and sum(height > 0 for height in bars["value"]) == 2


def test_activations_are_told_from_the_equations() -> None:
    """A plain RNN's state is a tanh and no gate; a state that is a sum or product is neither, wherever it lies."""
    example = token_example("abcde")
    plain, gated, linear = (gates(text_model(cell), example) for cell in ("rnn", "lstm", "rnn-relu"))
    assert (plain.functions, linear.functions) == ({"h": "tanh"}, {})
    assert gated.functions == {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid"}
    bars = [columns for columns in data_of(activations(plain)) if "floor" in columns]
    assert len(bars) == 1 and max(bars[0]["value"]) > -1.0
    with pytest.raises(SettingError, match="rnn-relu"):
        activations(linear)
    titles = [section.title.en for section in memory_section({"rnn-relu": text_model("rnn-relu")}, example)]
    assert "Where the activations stood" not in titles and len(titles) == 2


def test_learning_curves_leave_out_what_was_not_written() -> None:
    steps = np.arange(1.0, 4.0)
    curve = Curve("lstm", 0, steps, np.array([3.0, 2.0, 1.0]), np.array([np.nan, 2.5, np.nan]))
    columns = data_of(learning_curves([curve]))[0]
    assert columns["value"] == [3.0, 2.0, 1.0, 2.5]


def test_forecasts_leave_out_unknown_truth() -> None:
    example = ForecastExample("a", ("1", "2", "3", "4"), np.ones(2), np.array([np.nan, 5.0]), np.array([3.0, 4.0]))
    lines = next(columns for columns in data_of(forecasts([example])) if "line" in columns)
    assert lines["value"] == [1.0, 1.0, 5.0, 3.0, 4.0]


def test_confusion_counts_stand_in_their_cells() -> None:
    columns = data_of(confusion(np.array([[3, 1], [0, 0]]), ["好", "坏"], language="zh"))[0]
    assert columns["count"] == [3, 1, 0, 0]
    assert columns["share"] == [0.75, 0.25, 0.0, 0.0]


def test_comparison_is_sorted_and_leaves_out_models_without_a_score() -> None:
    rows = [
        {"model": name, "kind": kind, "metrics": {"mae": value}, "interval": ends}
        for name, kind, value, ends in (
            ("naive", "trivial", 2.0, [1.0, 3.0]),
            ("lstm", "recurrent", 1.0, None),
            ("dtw", "simple", None, None),
        )
    ]
    columns = data_of(comparison(rows, metric="mae"))[0]
    assert columns["model"] == ["lstm", "naive"]
    assert (columns["low"], columns["high"]) == ([1.0, 1.0], [1.0, 3.0])


@pytest.mark.parametrize("text", ["猫", "猫追老鼠，它跑得很快", "</script>"])
def test_every_figure_of_an_example_is_drawn(text: str, tmp_path) -> None:
    example = token_example("".join(sign if sign != "t" else "t" for sign in text))
    traced = gates(text_model("lstm"), example)
    left = [memory(text_model("lstm"), example)]
    for number, chart in enumerate((gate_heatmaps(traced), memory_heatmaps(left), first_input(left))):
        drawn = save_svg(chart, tmp_path / f"{number}.svg").read_text(encoding="utf-8")
        assert drawn.startswith("<svg")
        assert "</script>" not in drawn


def test_blanks_and_controls_are_shown() -> None:
    assert [token_text(token) for token in (" ", "\n", "a b", "\x07", "")] == ["␣", "↵", "a b", "�", ""]


def test_gate_heatmaps_of_many_quantities_show_gates_and_states() -> None:
    traced = gates(text_model("lstm-layernorm"), token_example("猫追老鼠"))
    titles = [panel["title"] if isinstance(panel["title"], str) else panel["title"]["text"]
              for panel in specification(gate_heatmaps(traced))["concat"]]  # fmt: skip
    assert sorted(titles) == ["c", "f", "g", "h", "i", "o"]
    assert len(traced.quantities()) == 33
    assert len(specification(gate_heatmaps(traced, ("y_c", "d_c")))["concat"]) == 2
    few = gates(text_model("lstm"), token_example("猫追老鼠"))
    assert few.telling() == few.quantities()
