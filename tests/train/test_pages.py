"""What a training writes beside its weights: the report, and what the report is drawn from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remanence.report import answers
from remanence.run import Run
from remanence.train.fit import fit

TEXTS = {"task": "classify", "input": "text", "label": "label", "epochs": 1, "hidden": 4, "threads": 1}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The label is the first letter."""
    path = tmp_path_factory.mktemp("data") / "texts.csv"
    random = np.random.default_rng(0)
    rows = ["".join(random.choice(list("abc"), 6)) for _ in range(90)]
    path.write_text("text,label\n" + "".join(f"{text},{text[0]}\n" for text in rows), encoding="utf-8")
    return path


def test_test_part_is_scored_once(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def again(*_: Any) -> None:
        raise AssertionError("the report scores the test part again")

    monkeypatch.setattr(answers, "measure", again)
    run = fit(texts, out=tmp_path / "run", progress=False, beside=(), **TEXTS)
    drawn = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Right and wrong answers" in drawn
    monkeypatch.undo()
    counts = run.evaluate().confusion
    assert counts is not None
    kept = np.zeros_like(counts)
    for truth, answer, count in json.loads((run.path / "manifest.json").read_text())["confusion"]:
        kept[truth, answer] = count
    assert (kept == counts).all() and kept.sum() == len(run.part("test"))
    # A run of an earlier version holds no confusion: it is counted then.
    older = Run(run.path, {name: value for name, value in run.manifest.items() if name != "confusion"})
    assert (answers._counts(older, older.prepared.test) == counts).all()
