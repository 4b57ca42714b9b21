"""Nothing that the program says of data or settings is left in English on the Chinese page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import remanence.data
from remanence.data.media.sounds import SoundForm
from remanence.explain.words import has_chinese
from remanence.report.notes import note_words
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
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)


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
