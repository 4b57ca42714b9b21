"""Nothing that the program says of data or settings is left in English on the Chinese page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import remanence
import remanence.data
import remanence.tasks
from remanence.data.media.sounds import SoundForm
from remanence.explain.words import Words, has_chinese
from remanence.report.names import MODELS
from remanence.report.notes import note_words
from remanence.report.page import Details, Figure, Page, Table, Text
from remanence.report.run_page import run_page
from remanence.report.settings_words import setting_words
from remanence.settings import DataSettings, ModelSettings, TrainSettings

DATA = Path(remanence.data.__file__).parent


def spoken(node: ast.expr) -> Iterator[str]:
    """Every text that an expression can be, each value in it standing for 7."""
    if isinstance(node, ast.IfExp):
        yield from spoken(node.body)
        yield from spoken(node.orelse)
    elif isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        parts = [[str(part.value)] if isinstance(part, ast.Constant) else ["7", *_named(part)] for part in node.values]
        yield from map("".join, product(*parts))


def _named(part: ast.expr) -> Iterator[str]:
    """What a value in a text is where there is none of the user's: `{columns or 'the motion alone'}`."""
    if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.BoolOp):
        yield from (str(one.value) for one in part.value.values if isinstance(one, ast.Constant))


def notes() -> Iterator[tuple[str, str]]:
    for path in sorted(DATA.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("notes.append"):
                yield from ((f"{path.name}:{node.lineno}", text) for text in spoken(node.args[0]))


# What ends in a value that says more than a number.
ENDINGS = {"7 missing steps inserted in 7 gaps7": ["7 missing steps inserted in 7 gaps, masked",
           "7 missing steps inserted in 7 gaps, filled with the value before; never scored"]}  # fmt: skip


def test_every_note_has_its_chinese() -> None:
    found = list(notes())
    assert len(found) > 20
    for place, text in found:
        for note in ENDINGS.get(text, [text]):
            chinese = note_words(note).zh
            assert has_chinese(chinese), f"{place}: give '{note}' a line in remanence/report/notes.py"
            # Values and flags outlive translation.
            assert sorted(re.findall(r"7|--[a-z-]+", chinese)) == sorted(re.findall(r"7|--[a-z-]+", note)), chinese


@pytest.mark.parametrize("part", [DataSettings, ModelSettings, TrainSettings])
def test_every_setting_has_its_chinese(part: type) -> None:
    for name in part.model_fields:  # type: ignore[attr-defined]
        words = setting_words(f"part.{name}")
        assert words.en == f"part.{name}"
        assert words.zh != words.en, f"give '{name}' a line in remanence/report/settings_words.py"


def test_names_of_users_are_not_translated() -> None:
    assert note_words("time: 'hourly' (--time)").zh == "时间：“hourly”（--time）"
    assert note_words("input: words, test (--input)").zh == "输入：words, test（--input）"
    assert note_words("something else (--x)").zh == "something else (--x)"


@pytest.mark.parametrize(
    ("note", "chinese"),
    [
        ("season: 96 steps (every 15 minutes)", "季节：96 步（每 15 分钟）"),
        ("season: 5 steps (weekdays)", "季节：5 步（工作日）"),
        ("tokens: characters (--tokens)", "切分：字（--tokens）"),
        ("input: sounds 'file' (--input)", "输入：声音“file”（--input）"),
        ("input: videos 'path' (--input)", "输入：视频“path”（--input）"),
        (
            SoundForm(kind="sound", rate=8000, width=40).note,
            "声音：8000 Hz，每 10 毫秒一帧：40 个梅尔频带（--features、--sample-rate）",
        ),
        (
            SoundForm(kind="sound", rate=8000, features="mfcc", width=13).note,
            "声音：8000 Hz，每 10 毫秒一帧：13 个倒谱系数（--features、--sample-rate）",
        ),
        ("input: files in 'file' (--input)", "输入：“file”列所指的文件（--input）"),
        (
            "valid: one window in 3 is scored, of so many (--stride 1 scores all)",
            "验证部分：窗口太多，每 3 个评一个（--stride 1 评全部）",
        ),
        (
            "calendar inputs: hour, month (--no-calendar leaves them out)",
            "日历输入：小时、月份（--no-calendar 不用它们）",
        ),
    ],
)
def test_words_of_the_program_are_translated(note: str, chinese: str) -> None:
    assert note_words(note).zh == chinese


def test_every_simple_model_has_its_chinese() -> None:
    names = {
        node.value.value
        for path in Path(remanence.tasks.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.AnnAssign)
        and ast.unparse(node.target) == "name"
        and isinstance(node.value, ast.Constant)
    }
    assert len(names) > 20 and names - set(MODELS) <= set(remanence.tasks.TASKS)
    assert all(has_chinese(words.zh) for words in MODELS.values() if words.en.isascii())


# What Chinese readers call so, too: names of models, scores, files, and signs of equations.
LATIN = {
    "LSTM", "RNN", "MAE", "MSE", "MASE", "sMAPE", "BLEU", "chrF", "IoU", "VT", "sigmoid", "tanh", "csv", "nat",
    "Kneser", "Ney",
}  # fmt: skip


def _texts(page: Page) -> Iterator[str]:
    """Every text of the Chinese page but the settings, which go by the names of their flags, too."""
    yield page.title.zh
    yield page.verdict.zh
    for section in page.sections:
        yield section.title.zh
        for block in section.blocks:
            if isinstance(block, Text):
                yield from (line.zh for line in block.lines)
            elif isinstance(block, Table):
                yield from (
                    str(cell.zh if isinstance(cell, Words) else cell)
                    for row in (block.header, *block.rows)
                    for cell in row
                )
            elif isinstance(block, Figure):
                yield from (words.zh for words in (block.title, block.how) if words)
                yield from _drawn(block.draw("zh").to_dict())
            else:
                assert isinstance(block, Details)


def _drawn(part: Any) -> Iterator[str]:
    """What a figure says: titles, legends, and what is shown where the mouse rests, by a field where it has no name."""
    if isinstance(part, list):
        for one in part:
            yield from _drawn(one)
    if not isinstance(part, dict):
        return
    for name, value in part.items():
        if name == "tooltip":
            for one in value if isinstance(value, list) else [value]:
                yield one.get("title") or one["field"]
        elif name in ("title", "subtitle", "text") and isinstance(value, str | list):
            yield from [value] if isinstance(value, str) else value
        elif name == "domain" and isinstance(value, list):
            yield from (one for one in value if isinstance(one, str))
        else:
            yield from _drawn(value)


def _made(folder: Path, task: str) -> dict[str, Any]:
    """A file whose own words are Chinese, and how it is read."""
    if task == "tag":
        rows = [f"甲{n},{s / 8},{s % 5},{s % 3},{'停' if s % 5 else '动'}" for n in range(6) for s in range(40)]
        (folder / "数据.csv").write_text("记录,时刻,横,纵,标签\n" + "\n".join(rows) + "\n", encoding="utf-8")
        return {
            "sequence": "记录", "time": "时刻", "position": "横,纵", "label": "标签", "window": 16, "margin": 4,
        }  # fmt: skip
    if task == "forecast":
        rows = [f"{date(2024, 1, 1) + timedelta(day)},{day % 7 + day % 3}" for day in range(200)]
        (folder / "数据.csv").write_text("日期,销量\n" + "\n".join(rows) + "\n", encoding="utf-8")
        return {
            "time": "日期",
            "target": "销量",
            "horizon": 3,
            "context": 14,
            "season": 7,
            "quantiles": (0.1, 0.5, 0.9),
        }
    rows = [f"第{n}句{'好坏'[n % 2] * (n % 5 + 1)},{'好坏'[n % 2]}" for n in range(60)]
    (folder / "数据.csv").write_text("文本,类别\n" + "\n".join(rows) + "\n", encoding="utf-8")
    if task == "generate":
        return {"input": "文本"}
    return {"input": "文本", "label": "类别"} if task == "classify" else {"input": "文本", "answer": "类别"}


@pytest.mark.parametrize("task", ["forecast", "classify", "tag", "generate", "translate"])
def test_no_english_is_left_on_a_page(task: str, tmp_path: Path) -> None:
    options = _made(tmp_path, task)
    tiny = {"hidden": 3, "steps": 3, "cell": "lstm", "beside": ("rnn",), "threads": 1, "progress": False}
    run = remanence.fit(tmp_path / "数据.csv", out=tmp_path / "run", task=task, **options, **tiny)
    left: dict[str, str] = {}
    for text in _texts(run_page(run)):
        own = re.sub(r"--[a-z-]+( [a-z]+)?|“remanence[^”]*”", "", text)
        left |= {word: text[:90] for word in re.findall(r"[A-Za-z]{2,}", own) if word not in LATIN}
    assert not left
