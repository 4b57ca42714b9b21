"""Comparisons whose answer is known: a random walk, a label that only memory knows, labels that mean nothing."""

import json

import numpy as np
import pytest

from remanence import compare, fit
from remanence.cells import CELLS
from remanence.errors import RunError, SettingError
from remanence.run import Run
from remanence.train.opening import open_data, with_cell
from remanence.train.size import hidden_for, parameters

KEYS = {"model", "kind", "metrics", "seeds", "interval", "seconds", "parameters"}


def _letters(path, rows=600, shuffled=False):
    """Twelve letters a row; the label depends on the first alone."""
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("abcdefgh"), 12)) for _ in range(rows)]
    labels = ["yes" if text[0] in "abcd" else "no" for text in texts]
    if shuffled:
        generator.shuffle(labels)
    lines = [f"{text},{label}" for text, label in zip(texts, labels, strict=True)]
    path.write_text("text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def walk(tmp_path):
    steps = 100 + np.cumsum(np.random.default_rng(0).normal(size=900))
    lines = [f"{step},{value:.5f}" for step, value in enumerate(steps)]
    path = tmp_path / "walk.csv"
    path.write_text("step,price\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_compare_a_random_walk_needs_no_memory(walk, tmp_path):
    found = compare(
        walk, task="forecast", time="step", target="price", horizon=3, context=12, cells=("lstm",), hidden=8, seeds=2,
        steps=60, threads=1, out=tmp_path / "out", progress=False,
    )  # fmt: skip
    assert found.verdict.finding == "memory does not help"
    assert found.verdict.sentence.startswith("memory does not help")
    assert {row["model"] for row in found.rows} >= {"naive", "drift", "mean", "ridge", "lstm"}


def test_compare_the_first_of_twelve_letters_needs_memory(tmp_path):
    found = compare(
        _letters(tmp_path / "letters.csv"), input="text", label="label", cells=("gru",), hidden=16, seeds=1, epochs=12,
        learning_rate=0.01, dropout=0.0, out=tmp_path / "out", progress=False,
    )  # fmt: skip
    assert found.verdict.finding == "memory helps"
    assert "memory helps: GRU beats the best simple model" in found.verdict.sentence
    rows = {row["model"]: row for row in found.rows}
    assert rows["gru"]["metrics"]["accuracy"] > 0.95 > 0.7 > rows["bag-of-words"]["metrics"]["accuracy"]


def test_compare_shuffled_labels_leave_nothing_to_learn(tmp_path):
    found = compare(
        _letters(tmp_path / "letters.csv", shuffled=True), input="text", label="label", cells=("gru",), hidden=8,
        seeds=1, epochs=3, out=tmp_path / "out", progress=False,
    )  # fmt: skip
    assert found.verdict.finding == "nothing to learn"
    assert "nothing to learn" in found.verdict.sentence


def test_comparison_is_a_folder_of_runs_and_plain_json(walk, tmp_path):
    out = tmp_path / "out"
    options = {"task": "forecast", "time": "step", "target": "price", "horizon": 2, "context": 8}
    found = compare(walk, cells=("rnn", "lstm"), hidden=6, seeds=2, steps=5, out=out, progress=False, **options)
    content = found.to_json()
    assert set(content) == {"task", "protocol", "rows", "verdict"}
    assert all(set(row) >= KEYS for row in content["rows"])
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert json.loads((out / "comparison.json").read_text("utf-8"))["verdict"] == content["verdict"]
    assert (out / "report.html").stat().st_size > 100_000
    lstm = next(row for row in content["rows"] if row["model"] == "lstm")
    low, high = lstm["interval"]
    assert low <= lstm["metrics"]["mae"] <= high
    assert [seed["seed"] for seed in lstm["seeds"]] == [0, 1]
    assert Run.load(out / "lstm").evaluate().metrics["mae"] == pytest.approx(
        next(s["test"]["mae"] for s in lstm["seeds"] if s["seed"] == found.runs["lstm"].manifest["best_seed"]), rel=1e-5
    )
    with pytest.raises(RunError, match="lstm"):
        Run.load(out)
    with pytest.raises(SettingError, match="exists already"):
        compare(walk, out=out, progress=False, **options)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm-cifg", "lstm-peephole"])
def test_cells_of_like_size_differ_by_less_than_five_percent(walk, name):
    from remanence.settings import settings_from

    settings = settings_from(
        {
            "task": "forecast",
            "time": "step",
            "target": "price",
            "horizon": 3,
            "context": 12,
            "cell": "lstm",
            "hidden": 32,
        }
    )
    opened = open_data(walk, settings)

    def count(hidden, cell=name):
        return parameters(opened.task, opened.prepared.encoders, with_cell(opened.settings, cell, hidden))

    wanted = count(32, "lstm")
    hidden = hidden_for(count, wanted)
    assert abs(count(hidden) - wanted) <= 0.05 * wanted
    real = opened.task.model(opened.prepared.encoders, with_cell(opened.settings, name, hidden))
    assert sum(weight.numel() for weight in real.parameters()) == count(hidden)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"cells": ("lstmm",)}, "lstm"),
        ({"cells": ()}, "no cell"),
        ({"budget": "size"}, "parameters or hidden"),
        ({"split": "0.8,0.2,0"}, "test part is empty"),
    ],
)
def test_compare_refuses_what_cannot_be_compared(walk, tmp_path, options, what):
    with pytest.raises(SettingError, match=what):
        compare(
            walk, time="step", target="price", horizon=2, context=8, out=tmp_path / "out", progress=False, **options
        )
    assert not (tmp_path / "out").exists()
    assert len(CELLS) > 10


def test_a_model_beyond_memory_is_refused_before_it_is_made(walk, tmp_path):
    options = {"time": "step", "target": "price", "horizon": 2, "context": 8, "hidden": 60_000}
    with pytest.raises(SettingError, match=r"parameters needs \d+ GB to train"):
        compare(walk, out=tmp_path / "out", progress=False, **options)


def test_cell_that_reads_more_than_a_row_is_refused_before_the_file_is_read():
    for call in (lambda: fit("absent.csv", cell="gru-d"), lambda: compare("absent.csv", cells=("lstm", "gru-d"))):
        with pytest.raises(SettingError, match="'gru-d' also reads m, delta, last at each step"):
            call()
