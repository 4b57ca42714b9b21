"""The commands on runs that generate: what is written, scored and explained, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import command

from remanence.explain.words import Words
from remanence.report.page import Table
from remanence.report.writings import writings_section
from remanence.run import Run
from remanence.train import fit as fitting

FIT = ["--task", "generate", "--hidden", "8", "--threads", "1", "--beside", "none", "--split", "0.6,0.2,0.2"]


@pytest.fixture(scope="module")
def text_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "t.txt").write_text("海上生明月，天涯共此时。Sea is blue. " * 40, encoding="utf-8")
    outcome = command("fit", folder / "t.txt", *FIT, "--epochs", "2", "--context", "20", "--out", folder / "run")
    assert outcome.status == 0, outcome.err
    return folder / "run"


@pytest.fixture(scope="module")
def music_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    pieces = [{"notes": [[60 + (step + place) % 5, 72] for step in range(9)]} for place in range(20)]
    (folder / "m.jsonl").write_text("".join(json.dumps(piece) + "\n" for piece in pieces))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "_report", lambda *_: None)
        outcome = command("fit", folder / "m.jsonl", *FIT, "--epochs", "2", "--out", folder / "run")
    assert outcome.status == 0, outcome.err
    return folder / "run"


def test_a_text_is_gone_on_with(text_run: Path) -> None:
    words = ["generate", text_run, "--text", "Sea is", "--length", "12", "--seed", "3", "--samples", "2"]
    plain, again = command(*words), command(*words)
    assert plain.status == 0 and plain.out == again.out and plain.out.startswith("[1] Sea is")
    found = json.loads(command(*words, "--json").out)
    assert plain.out == "".join(f"[{n}] Sea is{text}\n" for n, text in enumerate(found["samples"], 1))
    strange = command("generate", text_run, "--text", "海龍", "--length", "2")
    assert strange.status == 0 and "never seen in training: 龍" in strange.err


def test_the_report_shows_what_it_writes(text_run: Path) -> None:
    page = (text_run / "report.html").read_text(encoding="utf-8")
    assert "What it writes" in page and "它写的东西" in page


def test_a_text_that_ends_at_once_is_shown_as_such(text_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.load(text_run)
    monkeypatch.setattr(Run, "completion", lambda *_: iter(()))
    section = writings_section(run, run.part("test"))
    assert section is not None and isinstance(section.blocks[0], Table)
    for *_, likeliest, drawn in section.blocks[0].rows:
        assert likeliest == drawn == Words("(ends here)", "（到此结束）")
    monkeypatch.setattr(Run, "completion", lambda *_: iter((" ", "\n")))
    section = writings_section(run, run.part("test"))
    assert section is not None and isinstance(section.blocks[0], Table)
    assert {row[2] for row in section.blocks[0].rows} == {"␣↵"}


def test_a_run_is_scored_explained_and_answers_with_surprisals(text_run: Path, tmp_path: Path) -> None:
    still = json.loads(command("evaluate", text_run, "--json").out)["metrics"]["nats"]
    moving = json.loads(command("evaluate", text_run, "--dynamic", "0.003", "--json").out)["metrics"]["nats"]
    assert moving < still
    assert command("explain", text_run, "--text", "Sea is", "--out", tmp_path / "e.html").status == 0
    assert "Next would come" in (tmp_path / "e.html").read_text(encoding="utf-8")
    (tmp_path / "new.txt").write_text("明月 Sea", encoding="utf-8")
    rows = json.loads(command("predict", text_run, tmp_path / "new.txt", "--json").out)
    assert "".join(row["token"] for row in rows) == "明月 Sea" and all(row["nats"] > 0 for row in rows)


def test_music_is_gone_on_with(music_run: Path, tmp_path: Path) -> None:
    words = ["generate", music_run, "--row", "1", "--length", "5", "--samples", "2"]
    lines = command(*words).out.splitlines()
    assert [len(json.loads(line)["notes"]) for line in lines] == [5, 5]
    (tmp_path / "m.jsonl").write_text('{"notes": [[60], [61], [62], [63]]}\n' + "".join(f"{line}\n" for line in lines))
    assert command("generate", music_run, "--file", tmp_path / "m.jsonl", "--length", "2").status == 0
    found = json.loads(command("evaluate", music_run, tmp_path / "m.jsonl", "--json").out)
    assert found["metrics"]["nll"] > 0 and found["examples"] == 3 + 4 + 4


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--text", "a", "--row", "0"], "--text: goes without"),
        (["--row", "0"], "trained on texts"),
        (["--length", "0"], "--length: expected at least 1, came '0'"),
        (["--top-p", "2"], "--top-p"),
        (["--seed", "x"], "--seed: expected a whole number"),
    ],
)
def test_mistakes_are_one_line(text_run: Path, words: list[str], says: str) -> None:
    outcome = command("generate", text_run, *words)
    assert (outcome.status, outcome.out) == (2, "") and says in outcome.err and outcome.err.count("\n") == 1


def test_mistakes_with_music_are_one_line(music_run: Path) -> None:
    for words, says in ((["--text", "a"], "trained on music"), (["--row", "99"], "expected 0 …")):
        outcome = command("generate", music_run, *words)
        assert (outcome.status, outcome.out) == (2, "") and says in outcome.err
    assert command("explain", music_run, "--text", "a").status == 2
