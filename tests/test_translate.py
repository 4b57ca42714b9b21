"""The tasks translate and summarise from the command line: trained, compared, scored, answered, explained."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from helpers import EXAMPLE_DATA, command
from sacrebleu.metrics.bleu import BLEU

import remanence
from remanence.explain.example import example_of
from remanence.report import written
from remanence.report.page import Figure, Table
from remanence.tasks.alignment import Alignment

PAIRS = EXAMPLE_DATA / "tatoeba-zh-en.tsv"
TITLES = EXAMPLE_DATA / "csl-titles.jsonl"
TINY = ("--steps", "3", "--hidden", "4", "--embedding", "4", "--threads", "1", "--quiet")
COLUMNS = ("--task", "translate", "--input", "chinese", "--answer", "english", "--group", "english")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small part of the example, and a run trained a little on it."""
    folder = tmp_path_factory.mktemp("pairs")
    lines = PAIRS.read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "pairs.tsv").write_text("".join(lines[:1] + lines[500:700]), encoding="utf-8")
    done = command("fit", folder / "pairs.tsv", *COLUMNS, "--beside", "none", *TINY, "--out", folder / "run")
    assert done.status == 0, done.err
    return folder


def test_predictions_are_a_row_a_source_and_their_scores_those_of_evaluate(pairs: Path) -> None:
    done = command("predict", pairs / "run", pairs / "pairs.tsv")
    rows = list(csv.DictReader(done.out.splitlines()))
    truth = [row.split("\t")[0] for row in (pairs / "pairs.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    assert len(rows) == len(truth) == 200 and list(rows[0]) == ["example", "english", "score"]
    found = json.loads(command("evaluate", pairs / "run", pairs / "pairs.tsv", "--json").out)
    expected = BLEU(force=True).corpus_score([row["english"] for row in rows], [truth]).score
    assert found["metrics"]["bleu"] == pytest.approx(expected, abs=1e-6) and found["examples"] == 200


def test_one_text_is_translated_with_its_alignment(pairs: Path, tmp_path: Path) -> None:
    run = remanence.Run.load(pairs / "run")
    row = next(run.predict(text="我明天去北京", alignment=True))
    alignment = Alignment.from_json(row["alignment"])
    assert row["example"] == "我明天去北京" and len(alignment.source) == 6
    np.testing.assert_allclose(alignment.weights.sum(1), 1, atol=1e-3)
    shown = command("predict", pairs / "run", "--text", "我明天去北京", "--alignment")
    assert shown.status == 0 and shown.out.splitlines() == [row["english"], *alignment.lines()]
    assert command("predict", pairs / "run", "--text", "我明天去北京", "--out", tmp_path / "one.jsonl").status == 0
    assert list(json.loads((tmp_path / "one.jsonl").read_text(encoding="utf-8"))) == ["example", "english", "score"]


def test_pages_show_texts_and_what_was_attended_to(pairs: Path, tmp_path: Path) -> None:
    page = (pairs / "run" / "report.html").read_text(encoding="utf-8")
    assert "What it writes" in page and "它写的东西" in page and "最常见的文本" in page and "BLEU" in page
    out = tmp_path / "page.html"
    assert command("explain", pairs / "run", "--text", "我明天去学校", "--out", out).status == 0
    text = out.read_text(encoding="utf-8")
    assert "What it looked at" in text and "它注意了什么" in text and "学" in text


def test_an_empty_text_is_shown_as_such(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = remanence.Run.load(pairs / "run")
    part = run.part("test")
    found = written._written(run, example_of(part, 0))
    monkeypatch.setattr(written, "_written", lambda run, example: ("", *found[1:]))
    table, _, figure = written.written_section(run, part).blocks
    assert isinstance(table, Table) and {row[2] for row in table.rows} == {written.NOTHING}
    assert isinstance(figure, Figure) and figure.title.en.endswith("→ (nothing)") and "（空）" in figure.title.zh
    assert written.written_words(run, example_of(part, 0)).zh == "它什么也没有写出。"


def test_comparison_of_summaries_ends_in_a_verdict(tmp_path: Path) -> None:
    lines = TITLES.read_text(encoding="utf-8").splitlines(keepends=True)
    path = tmp_path / "titles.jsonl"
    path.write_text("".join(lines[:40] + lines[400:412] + lines[-12:]), encoding="utf-8")
    done = command(
        "compare", path, "--task", "summarise", "--split-column", "split", "--cells", "gru", *TINY, "--out",
        tmp_path / "compared", "--json",
    )  # fmt: skip
    assert done.status == 0, done.err
    rows = {row["model"]: row for row in json.loads(done.out)["rows"]}
    assert {"gru", "lead", "frequent-text", "nearest-text"} <= set(rows)
    assert rows["lead"]["metrics"]["rougeL"] > rows["frequent-text"]["metrics"]["rougeL"] > 0


def test_a_model_learns_to_write_backwards_and_looks_where_it_should(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    texts = dict.fromkeys("".join(random.choice(list("abcdefgh"), random.integers(3, 7))) for _ in range(1500))
    path = tmp_path / "t.csv"
    path.write_text("source,target\n" + "".join(f"{text},{text[::-1]}\n" for text in texts), encoding="utf-8")
    run = remanence.fit(
        path, task="translate", tokens="characters", answer_tokens="characters", hidden=32, embedding=16, dropout=0.0,
        embedding_dropout=0.0, epochs=12, learning_rate=0.01, threads=1, beside=(), beam=2, out=tmp_path / "run",
    )  # fmt: skip
    assert run.manifest["test"]["chrf_error"] < 0.1, run.manifest["test"]
    row = next(run.predict(text="abcde", alignment=True))
    assert row["target"] == "edcba"
    weights = Alignment.from_json(row["alignment"]).weights
    # Each letter is written while looking at the place it comes from, or at its neighbour's, which knows it.
    assert np.abs(weights[:5].argmax(1) - np.arange(4, -1, -1)).max() <= 1
