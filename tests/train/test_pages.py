"""What a training writes beside its weights: the report, and what the report is drawn from."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remanence.explain import render
from remanence.report import answers, pictures
from remanence.run import Run
from remanence.train.fit import fit, resume
from remanence.train.progress import Progress

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
    assert not (run.path / "figures").exists()
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


class Interrupting(Progress):
    """Asks to stop after the second update, as Ctrl-C does."""

    def __init__(self) -> None:
        self.seen = 0
        self.notes: list[str] = []

    def step(self, used: float, loss: float, seconds: float) -> None:
        self.seen += 1
        if self.seen == 2:
            signal.raise_signal(signal.SIGINT)

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_interrupted_run_has_a_report_and_its_figures(texts: Path, tmp_path: Path) -> None:
    options = TEXTS | {"epochs": 4, "figures": "svg"}
    run = fit(texts, out=tmp_path / "run", progress=Interrupting(), beside=(), **options)
    assert run.manifest["status"] == "interrupted"
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Training was interrupted after 2 updates" in page and "训练在 2 次更新后被中断" in page
    names = {name for name in run.manifest["files"] if name.startswith("figures/")}
    assert {"figures/learning.svg", "figures/confusion.svg", "figures/gates.svg", "figures/memory.svg"} <= names
    assert Run.load(run.path).evaluate().metrics
    again = resume(run.path, progress=False)
    assert again.manifest["status"] == "finished"
    assert "was interrupted" not in (again.path / "report.html").read_text(encoding="utf-8")


def test_figures_without_a_font_are_told_of_first(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "chinese_font", lambda: "")
    monkeypatch.setattr(pictures, "chinese_font", lambda: "")
    progress = Interrupting()
    run = fit(texts, out=tmp_path / "run", progress=progress, beside=(), **TEXTS | {"figures": "svg"})
    assert [note for note in progress.notes if "fonts-noto-cjk" in note]
    assert not [name for name in run.manifest["files"] if ".zh." in name]
    # Texts of Latin letters need no such font.
    assert "figures/gates.svg" in run.manifest["files"]
