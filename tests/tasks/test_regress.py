"""A number a sequence: metrics by hand, scaling there and back, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import remanence
from remanence.data.labelled import prepare_classify, reopen_classify
from remanence.data.scalers import Scaler
from remanence.errors import DataError
from remanence.settings import DataSettings
from remanence.tasks import task
from remanence.tasks.baselines_regress import MeanAnswer
from tests.tasks import made

NUMBERS = DataSettings(task="regress", sequence=("id",), input=("x",), label="sum")


def sums(folder: Path, changes: dict[int, str] | None = None, name: str = "sums.csv") -> Path:
    """Thirty sequences of 2 to 4 steps, each with the sum of its numbers; lines are replaced where asked."""
    lines = ["id,x,sum"]
    for at in range(30):
        steps = [at + step / 2 for step in range(2 + at % 3)]
        lines += [f"s{at},{step},{sum(steps)}" for step in steps]
    for line, text in (changes or {}).items():
        lines[line - 1] = text
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def test_metrics_are_those_worked_by_hand() -> None:
    data = made.made_measured()
    assert data.encoders.answer is not None  # type: ignore[attr-defined]
    batch = data.test.batch(np.arange(3))
    # Scaled by 2 with mean 10: truths 12, 8, 10; answers 11, 8, 16.
    truth, answer = torch.tensor([1.0, -1.0, 0.0]), torch.tensor([[0.5], [-1.0], [3.0]])
    meter = task("regress").meter(data.encoders, None)  # type: ignore[arg-type]
    for row in (2, 0, 1):
        one = made.Batch(batch.inputs, truth[row : row + 1], None, torch.tensor([row]))
        meter.update(answer[row : row + 1], one)
    scores = meter.scores()
    assert scores.metrics == pytest.approx(
        {"mae": 7 / 3, "mse": 37 / 3, "rmse": (37 / 3) ** 0.5, "r2": 1 - 37 / 8}, abs=1e-12
    )
    assert scores.errors.tolist() == pytest.approx([1.0, 0.0, 6.0]) and next(iter(scores.metrics)) == "mae"


def test_numbers_are_scaled_by_the_training_part_and_told_in_their_own_units(tmp_path: Path) -> None:
    parts = prepare_classify(sums(tmp_path), NUMBERS)
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [18, 6, 6]
    scaler = parts.encoders.answer
    assert isinstance(scaler, Scaler) and parts.encoders.labels == ()
    targets = parts.train.targets(np.arange(18))
    assert targets is not None and targets.dtype == torch.float32
    assert abs(float(targets.mean())) < 1e-6 and float(targets.std(correction=0)) == pytest.approx(1, abs=1e-6)
    for index in range(6):
        at = int(parts.test.name(index).split(" s")[-1])
        steps = [at + step / 2 for step in range(2 + at % 3)]
        assert float(parts.test.label(index) or "nan") == pytest.approx(sum(steps))
    # Another test part changes neither the scaler nor a training answer.
    again = prepare_classify(sums(tmp_path, name="again.csv"), NUMBERS.model_copy(update={"split": (18.0, 6.0, 3.0)}))
    assert again.encoders.answer == scaler


def test_reopened_files_need_no_number_to_be_answered(tmp_path: Path) -> None:
    parts = prepare_classify(sums(tmp_path), NUMBERS)
    (tmp_path / "new.csv").write_text("id,x\na,1\na,2\nb,3\n")
    part = reopen_classify(tmp_path / "new.csv", parts.data, parts.encoders, answers=False)
    assert part.batch(np.arange(2)).target is None and part.label(0) is None and part.lengths.tolist() == [2, 1]
    with pytest.raises(DataError, match="no such column"):
        reopen_classify(tmp_path / "new.csv", parts.data, parts.encoders)


@pytest.mark.parametrize(
    ("changes", "line", "says"),
    [
        ({line: f"s1,{line},many" for line in (4, 5, 6)}, 4, "expected a number to answer with, came 'many'"),
        ({2: "s0,0,inf", 3: "s0,0.5,inf"}, 2, "came 'inf'"),
        ({3: "s0,0.5,7"}, 3, "'sum' changes within sequence s0"),
        ({2: "s0,0,", 3: "s0,0.5,"}, 2, "the label is missing"),
    ],
)
def test_answers_that_are_no_numbers_are_refused(changes: dict[int, str], line: int, says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=says) as caught:
        prepare_classify(sums(tmp_path, changes), NUMBERS)
    assert caught.value.line == line and caught.value.remedy


def test_one_number_only_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"s{at},{at},5\n" for at in range(20))
    (tmp_path / "d.csv").write_text("id,x,sum\n" + rows)
    with pytest.raises(DataError, match=r"one number only \(5\)"):
        prepare_classify(tmp_path / "d.csv", NUMBERS)


def test_the_mean_is_the_mean() -> None:
    data = made.made_measured()
    assert torch.equal(MeanAnswer().predict(data.test.batch(np.arange(3))), torch.zeros(3, 1))


def test_ridge_on_statistics_finds_what_they_hold() -> None:
    """The answer is the sum of x: its mean times its length, both of which the statistics hold, nearly linear."""
    data = made.made_measured()
    ridge = next(each for each in task("regress").baselines(data, None) if each.name == "summary")  # type: ignore[arg-type]
    ridge.fit(data.train, data.valid)
    batch = data.test.batch(np.arange(20))
    assert batch.target is not None
    assert float((ridge.predict(batch)[:, 0] - batch.target).abs().mean()) < 0.6 * float(batch.target.abs().mean())


def test_a_file_becomes_a_run_that_answers_in_units(tmp_path: Path) -> None:
    run = remanence.fit(
        sums(tmp_path), task="regress", label="sum", out=tmp_path / "run", beside=(), steps=150, hidden=16,
        threads=1, learning_rate=0.01, progress=False,
    )  # fmt: skip
    found = run.evaluate().metrics
    mean = next(row for row in run.manifest["baselines"] if row["name"] == "mean")
    assert found["mae"] < 0.3 * mean["test"]["mae"] and found["r2"] > 0.8
    rows = list(run.predict(sums(tmp_path, name="new.csv")))
    assert len(rows) == 30 and set(rows[0]) == {"example", "sum"}
    assert abs(float(rows[20]["sum"]) - (20 + 20.5 + 21 + 21.5)) < 25
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "measures sums.csv" in page and "R²" in page and "回归" in page
