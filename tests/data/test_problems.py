"""Problems that are made: what they hold, by hand; the same seed, the same file; what cannot be made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from remanence.cli import main
from remanence.data.labelled import prepare_classify
from remanence.data.problems import BLANK, LETTERS, SIGN, adding, copy_memory, problem_rows
from remanence.errors import SettingError
from remanence.settings import DataSettings


@pytest.mark.parametrize("length", [2, 3, 7, 50])
def test_adding_marks_one_number_in_each_half(length: int) -> None:
    numbers, marks, sums = adding(500, length, np.random.default_rng(0))
    half = length // 2
    assert (marks[:, :half].sum(1) == 1).all() and (marks[:, half:].sum(1) == 1).all()
    assert numbers.min() >= 0 and numbers.max() < 1
    for row in range(3):
        first, second = np.flatnonzero(marks[row])
        assert sums[row] == pytest.approx(numbers[row, first] + numbers[row, second])
    # Every place of a half is as likely as another: 500 draws over it, four deviations.
    counts = marks[:, :half].sum(0)
    expected = 500 / half
    assert np.abs(counts - expected).max() <= 4 * np.sqrt(expected) + 1


def test_always_answering_one_has_the_error_of_the_paper() -> None:
    _, _, sums = adding(20_000, 10, np.random.default_rng(1))
    # Var of the squared error's mean over 20,000 draws is about (0.2)² / 20,000.
    assert ((sums - 1) ** 2).mean() == pytest.approx(1 / 6, abs=0.006)


@pytest.mark.parametrize("length", [2, 9])
def test_copy_asks_for_ten_letters_after_the_sign(length: int) -> None:
    read, answer = copy_memory(50, length, np.random.default_rng(0))
    assert read.shape == answer.shape == (50, length + 20)
    for row in range(50):
        assert set(read[row, :10]) <= set(LETTERS) and (read[row, :10] == answer[row, -10:]).all()
        assert np.flatnonzero(read[row] == SIGN).tolist() == [length + 9]
        assert (answer[row, :-10] == BLANK).all() and (read[row, length + 10 :] == BLANK).all()


def test_the_same_seed_makes_the_same_rows_and_parts_have_their_shares() -> None:
    first, again, other = (list(problem_rows("copy", sequences=50, length=5, seed=seed)) for seed in (3, 3, 4))
    assert first == again and first != other
    assert [row["split"] for row in first].count("train") == 40 and [row["split"] for row in first].count("valid") == 5


def test_an_adding_file_is_read_back_as_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["problem", "adding", "--length", "6", "--sequences", "20", "--seed", "1", "--out", "a.csv"]) == 0
    settings = DataSettings(task="regress", label="sum", split_column="split")
    parts = prepare_classify(tmp_path / "a.csv", settings)
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [16, 2, 2]
    assert parts.encoders.input == ("number", "marked") and parts.encoders.sequence == ("sequence",)
    numbers, marks, sums = adding(20, 6, np.random.default_rng(1))
    batch = parts.test.batch(np.arange(2))
    assert parts.encoders.scaler is not None and parts.encoders.answer is not None and batch.target is not None
    found = parts.encoders.scaler.unscale(batch.inputs.data.numpy(), ("number", "marked"))
    np.testing.assert_allclose(found, np.stack([numbers[18:], marks[18:]], 2), atol=1e-6)
    np.testing.assert_allclose(
        parts.encoders.answer.unscale(batch.target.numpy()[:, None], ("sum",))[:, 0], sums[18:], atol=1e-6
    )


def test_a_copy_file_holds_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["problem", "copy", "--length", "4", "--sequences", "10", "--out", "c.jsonl"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert len(rows) == 10 and {len(row["tokens"]) for row in rows} == {24} == {len(row["labels"]) for row in rows}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["adding", "--length", "1"], "--length: expected 2"),
        (["adding", "--length", "99999999"], "--length: expected 2"),
        (["adding", "--sequences", "3"], "--sequences: expected 10"),
        (["multiplying"], "no such problem 'multiplying'"),
        (["copy"], "lists"),
        (["copy", "--out", "c.csv"], "lists"),
        (["adding", "--out", "a.doc"], "--out: cannot tell a format"),
        (["adding", "--out", "there.csv"], "--out: there.csv exists"),
    ],
)
def test_what_cannot_be_made_is_told_in_a_line(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.csv").write_text("precious")
    assert main(["problem", *words]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and says in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]


def test_numbers_out_of_range_are_refused_before_any_row_is_made() -> None:
    with pytest.raises(SettingError, match="--length"):
        problem_rows("copy", sequences=10, length=0)
