"""Answers to new files: rows, writers, lengths never seen in training."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import remanence
from remanence.errors import MachineError, SettingError
from remanence.prediction.outputs import outputs
from remanence.prediction.writers import write_rows, write_rows_to_stdout
from remanence.run import Run
from remanence.train import fit as fitting
from remanence.train.fit import fit
from tests.train.made import OPTIONS, load_csv

ROWS = [{"name": "甲,乙", "value": 0.1 + 0.2, "count": 3}, {"name": 'a "b"\nc', "value": -1e-300, "count": 4}]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("predict")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "_report", lambda *_: None)
        return fit(load_csv(folder / "load.csv"), out=folder / "run", progress=False, beside=(), steps=4, **OPTIONS)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".CSV"])
def test_rows_read_back_as_written(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"answers{suffix}"
    assert write_rows(iter(ROWS), out) == 2
    if suffix == ".parquet":
        assert pq.read_table(out).to_pylist() == ROWS
    elif suffix == ".jsonl":
        assert [json.loads(line) for line in out.read_text("utf-8").splitlines()] == ROWS
    else:
        with open(out, encoding="utf-8", newline="") as file:
            read = list(csv.DictReader(file))
        assert [(row["name"], float(row["value"]), int(row["count"])) for row in read] == [
            (row["name"], row["value"], row["count"]) for row in ROWS
        ]
    assert [entry.name for entry in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_no_rows_make_an_empty_file(tmp_path: Path, suffix: str) -> None:
    assert write_rows(iter(()), tmp_path / f"none{suffix}") == 0
    assert (tmp_path / f"none{suffix}").exists()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_failure_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"answers{suffix}"
    out.write_text("old")

    def failing():
        yield ROWS[0]
        raise KeyError("half way")

    with pytest.raises(KeyError):
        write_rows(failing(), out)
    assert out.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == [out.name]


def test_unknown_suffix_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"\.parquet"):
        write_rows(iter(ROWS), tmp_path / "answers.xlsx")


def test_absent_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no folder"):
        write_rows(iter(ROWS), tmp_path / "absent" / "answers.csv")


def test_csv_on_standard_output() -> None:
    stream = io.StringIO()
    assert write_rows_to_stdout(ROWS, stream) == 2
    assert stream.getvalue().splitlines()[0] == "name,value,count"


@pytest.mark.parametrize("rows", [8, 9, 63])
def test_forecast_follows_the_last_row_of_a_new_file(run: Run, tmp_path: Path, rows: int) -> None:
    answers = list(remanence.predict(run, load_csv(tmp_path / "new.csv", rows, seed=4)))
    assert len(answers) == 3
    assert all(np.isfinite(answer["load"]) for answer in answers)
    start = np.datetime64("2024-01-01T00:00")
    expected = [str(start + np.timedelta64(rows + step, "h")).replace("T", " ") for step in range(3)]
    assert [answer["hour"] for answer in answers] == expected


@pytest.mark.parametrize("loss", ["mae", "mse"])
def test_a_median_lies_between_its_quantiles_and_a_mean_is_told(
    loss: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_report", lambda *_: None)
    made = OPTIONS | {"quantiles": "0.1,0.5,0.9", "loss": loss, "steps": 2}
    run = fit(load_csv(tmp_path / "load.csv"), out=tmp_path / "run", progress=False, beside=(), **made)
    notes: list[str] = []
    rows = list(run.predict(load_csv(tmp_path / "new.csv", 40), note=notes.append))
    if loss == "mae":
        assert all(row["load_q0.1"] <= row["load"] == row["load_q0.5"] <= row["load_q0.9"] for row in rows)
        assert not notes
    else:
        assert any(row["load"] != row["load_q0.5"] for row in rows)
        assert notes == [
            "the point forecast is a mean, which may lie outside the quantiles; --loss mae learns the median"
        ]


def test_prediction_is_in_the_units_of_the_file(run: Run, tmp_path: Path) -> None:
    answers = list(run.predict(load_csv(tmp_path / "new.csv", 40)))
    assert all(5 < answer["load"] < 15 for answer in answers)


def test_written_predictions_are_those_of_python(run: Run, tmp_path: Path) -> None:
    file = load_csv(tmp_path / "new.csv", 40)
    assert run.write_predictions(file, tmp_path / "answers.parquet") == 3
    assert pq.read_table(tmp_path / "answers.parquet").to_pylist() == list(run.predict(file))


def test_chunks_and_neighbours_change_no_answer(run: Run) -> None:
    """One example alone, in a batch, or read in chunks of 3 steps: the same within 1e-6."""
    part = run.part("test")
    truncated = run.settings.model_copy(update={"train": run.settings.train.model_copy(update={"truncate": 3})})
    whole, chunked = (
        {int(i): row for out, batch in outputs(run.model, part, s) for i, row in zip(batch.index, out, strict=True)}
        for s in (run.settings, truncated)
    )
    assert set(whole) == set(chunked) == set(range(len(part)))
    for index in range(len(part)):
        np.testing.assert_allclose(whole[index], chunked[index], atol=1e-6)
        alone = run.model(part.batch(np.array([index])))[0][0].detach()
        np.testing.assert_allclose(whole[index], alone, atol=1e-6)


def test_order_of_the_part_is_kept_when_asked(run: Run) -> None:
    part = run.part("test")
    seen = [int(i) for _, batch in outputs(run.model, part, run.settings, in_order=True) for i in batch.index]
    assert seen == list(range(len(part)))


def test_evaluation_of_a_new_file_needs_only_its_answers(run: Run, tmp_path: Path) -> None:
    scores = remanence.evaluate(run.path, load_csv(tmp_path / "new.csv", 30, seed=9))
    assert len(scores.errors) == 30 - 8 - 3 + 1
