"""The task tag from the command line: trained, compared, continued, answered, explained."""

from __future__ import annotations

import csv
import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import EXAMPLE_DATA, command

import remanence
from remanence.explain.example import example_of
from remanence.report.page import Table
from remanence.report.tagged import found_words, tagged_blocks
from remanence.storage import read_tensors

SLOTS = EXAMPLE_DATA / "snips-slots.jsonl"
GAZE = EXAMPLE_DATA / "gaze-samples.csv"
TINY = ("--steps", 3, "--hidden", 4, "--threads", 1, "--quiet")


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


@pytest.fixture(scope="module")
def slots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "slots"
    done = command("fit", SLOTS, "--task", "tag", "--split-column", "split", "--beside", "none", *TINY, "--out", out)
    assert done.status == 0, done.err
    return out


def test_predictions_of_tokens_are_a_row_each_and_scores_agree(slots: Path, tmp_path: Path) -> None:
    lines = SLOTS.read_text(encoding="utf-8").splitlines()
    test = tmp_path / "test.jsonl"
    test.write_text("\n".join(line for line in lines if '"split":"test"' in line))
    rows = _rows(command("predict", slots, test).out)
    truth = [json.loads(line) for line in test.read_text().splitlines()]
    assert [row["text"] for row in rows] == [word for each in truth for word in each["tokens"]]
    right = [
        row["labels"] == label for row, label in zip(rows, (x for each in truth for x in each["labels"]), strict=True)
    ]
    found = json.loads(command("evaluate", slots, test, "--json").out)
    assert found["metrics"]["accuracy"] == pytest.approx(sum(right) / len(right))
    assert found == json.loads(command("evaluate", slots, "--json").out) | {"on": str(test)}


def test_other_kinds_of_file_are_answered(slots: Path, tmp_path: Path) -> None:
    kinds = {"a.txt": "play some jazz\n", "a.conll": "play\nsome\njazz\n", "b.conll": "play O\nsome O\njazz B-genre\n"}
    answers = []
    for name, text in kinds.items():
        (tmp_path / name).write_text(text)
        done = command("predict", slots, tmp_path / name)
        assert done.status == 0, done.err
        answers.append([(row["text"], row["labels"]) for row in _rows(done.out)])
    assert answers[0] == answers[1] == answers[2] and [word for word, _ in answers[0]] == ["play", "some", "jazz"]


def test_page_and_explanation_show_words_and_labels(slots: Path, tmp_path: Path) -> None:
    page = (slots / "report.html").read_text(encoding="utf-8")
    assert "Labels found" in page and "标注结果" in page and "majority class" in page
    out = tmp_path / "page.html"
    assert command("explain", slots, "--text", "play some jazz", "--out", out).status == 0
    text = out.read_text(encoding="utf-8")
    assert "jazz" in text and ("Found: " in text or "No span is found." in text)


def test_comparison_of_samples_has_every_simple_model(tmp_path: Path) -> None:
    out = tmp_path / "gaze"
    arguments = ("--task", "tag", "--cells", "lstm", "--seeds", 1, *TINY, "--out", out, "--json")
    found = json.loads(command("compare", GAZE, *arguments).out)
    models = {row["model"]: row for row in found["rows"]}
    assert set(models) == {"lstm", "majority", "sample-window", "threshold"}
    assert models["threshold"]["metrics"]["error"] < models["majority"]["metrics"]["error"]
    assert set(models["lstm"]["metrics"]) == {"error", "accuracy", "macro_f1", "event_f1", "event_iou_f1"}
    rows = _rows(command("predict", out / "lstm", GAZE).out)
    table = _rows(GAZE.read_text())
    assert [(row["recording"], float(row["time"])) for row in rows] == [
        (row["recording"], float(row["time"])) for row in table
    ]
    evaluated = json.loads(command("evaluate", out / "lstm", GAZE, "--json").out)["metrics"]["accuracy"]
    assert evaluated == pytest.approx(
        sum(a["event"] == b["event"] for a, b in zip(rows, table, strict=True)) / len(table)
    )
    assert command("explain", out / "lstm", "--row", 3, "--out", tmp_path / "page.html").status == 0
    # Stretches follow each other from the first step of the window that is its own to its last.
    ends = re.findall(
        r"[a-z]+ \((\d+)(?:–(\d+))?\)", (tmp_path / "page.html").read_text(encoding="utf-8").split("Of an")[0]
    )
    assert ends[0][0] == "751" and all(int(b[0]) == int(a[1] or a[0]) + 1 for a, b in pairwise(ends))


def test_recordings_may_be_read_in_chunks_with_the_state_carried(tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ("--window", 0, "--truncate", 100, "--batch-size", 2, "--beside", "none")
    done = command("fit", GAZE, "--task", "tag", *options, *TINY, "--out", out)
    assert done.status == 0, done.err
    assert len(_rows(command("predict", out, GAZE).out)) == 6000
    refused = command("fit", SLOTS, "--task", "tag", "--truncate", 5, *TINY, "--out", tmp_path / "no")
    assert refused.status == 2 and "--crf: scores whole sequences" in refused.err


def test_description_says_what_a_row_is() -> None:
    slots, gaze = (json.loads(command("describe", path, "--task", "tag", "--json").out) for path in (SLOTS, GAZE))
    assert slots["facts"]["a row is"] == "one token" and slots["facts"]["spans"] == "BIO"
    assert gaze["facts"]["sequences"] == 6 and gaze["facts"]["labels"]["fixation"] > 5000


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.conllu", "1\tx\tx\tNOUN\t_\t_\t0\troot\t_\n", "expected 10 columns"),
        ("a.conll", "a O\nb\n", "expected 2 columns"),
        ("a.conll", "a O\n\nb B-x\n", "too few for 3 parts"),
        ("a.jsonl", '{"tokens": ["a"], "labels": []}\n', "expected a list"),
        ("a.csv", "recording,x,event\na,1,F\na,,F\n", "--missing"),
    ],
)
def test_mistakes_end_in_one_line_and_leave_nothing(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    done = command("fit", tmp_path / name, "--task", "tag", *TINY, "--out", tmp_path / "run")
    assert done.status == 2 and said in done.err and len(done.err.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_labels_are_calibrated_on_the_validation_part(tmp_path: Path) -> None:
    # The labels are tried hundreds of times: on fewer texts.
    lines = SLOTS.read_text(encoding="utf-8").splitlines(keepends=True)
    parts = {part: [line for line in lines if f'"split":"{part}"' in line] for part in ("train", "valid", "test")}
    path, found = tmp_path / "slots.jsonl", {}
    path.write_text("".join(parts["train"] + parts["valid"][:30] + parts["test"][:10]), encoding="utf-8")
    for name, more in (("plain", ()), ("calibrated", ("--calibrate",))):
        options = ("--task", "tag", "--split-column", "split", "--beside", "none", "--epochs", 2, "--hidden", 4)
        done = command("fit", path, *options, "--threads", 1, "--quiet", *more, "--out", tmp_path / name)
        assert done.status == 0, done.err
        found[name] = json.loads(command("evaluate", tmp_path / name, "--part", "valid", "--json").out)["metrics"]
        kept = json.loads((tmp_path / name / "manifest.json").read_text())["valid"]
        assert found[name]["f1"] == pytest.approx(kept["f1"])
    # Labels are chosen on this part, so that it cannot be answered worse.
    assert found["calibrated"]["f1"] > found["plain"]["f1"]
    assert "head.offsets" in read_tensors(tmp_path / "calibrated" / "model.safetensors", "")
    assert "head.offsets" not in read_tensors(tmp_path / "plain" / "model.safetensors", "")


def test_labels_of_frames_are_told_with_their_seconds(tmp_path: Path) -> None:
    for name in "abcdefgh":
        soundfile.write(tmp_path / f"{name}.wav", np.random.default_rng(0).normal(0, 0.1, 800), 8000)
    rows = (f"{name}.wav,{stretch}" for name in "abcdefgh" for stretch in ("0,0.04,x", "0.04,0.08,y"))
    (tmp_path / "t.csv").write_text("\n".join(["file,start,end,label", *rows]) + "\n", encoding="utf-8")
    run = remanence.fit(
        tmp_path / "t.csv", out=tmp_path / "run", task="tag", hidden=3, layers=1, steps=1, beside=(), progress=False
    )
    part = run.part("test")
    example = example_of(part, 0)
    found = re.findall(r"[xy] \(([\d.]+)–([\d.]+) s\)", found_words(run, example).en)
    # One stretch begins where the one before it ends, from the first frame to the end of the last.
    ends = ["0.00", *(stop for _, stop in found)]
    assert [start for start, _ in found] == ends[:-1] and ends[-1] == f"{len(example.labels) / 100:.2f}"
    tables = [block for block in tagged_blocks(run, part) if isinstance(block, Table)]
    assert re.fullmatch(r"0\.00–0\.\d\d s", tables[0].header[1].en)
